/* knowledge.h: what cannot be read off an object, as data.
 *
 * The tables are JSON under knowledge/, carried in the program; `--knowledge FILE` adds more of the same format. Logic that uses
 * them stands elsewhere; nothing in the tables is code.
 *
 *     em_knowledge_load(&knowledge, arena, extra, error)       extra: a path, or NULL
 *     opens     which names an object hands to dlopen, with what is lost when they are not found
 *     packages  which package brings a soname, by CUDA major; which packages are one vendor's; which names are the driver's
 *     preloads  which libraries of a vendor's packages a package opens itself before anything asks for them
 *     cures     which newer version of a package does without the library
 *     gpus      which architecture a product is; builds: which version of a package has code for it
 *     system    which package of a Linux distribution brings a library that no wheel does
 *     copies    which libraries have state of their own, so that a second copy in one process costs something
 *     runtimes  which driver a CUDA major asks for; cuda_errors: what a code of the driver's means
 *
 * Patterns are fnmatch(3)'s. In soname patterns {major} stands for the number behind ".so."; in names composed by an object
 * {full}, {minor} and {major} are the version of the object that composes: 9.1.0, 9.1, 9; where it has none, of the CUDA runtime
 * that it needs.
 */
#ifndef EM_BUNDLE_DIAGNOSE_KNOWLEDGE_H
#define EM_BUNDLE_DIAGNOSE_KNOWLEDGE_H

#include "base/base.h"

enum em_without {
    EM_WITHOUT_ABORT,    /* the process dies */
    EM_WITHOUT_MAIN,     /* what the object is for does not work */
    EM_WITHOUT_OPTIONAL, /* absence is handled */
};

struct em_opens_entry {
    const char *member;  /* a stem, from which names are composed by the rule's templates; or NULL */
    const char *string;  /* a pattern: names that the object holds as a string; or NULL */
    const char *name;    /* with string: the name that is opened when it is another than the string */
    const char *through; /* the stem of the member that opens this one in fact; NULL: the object itself */
    enum em_without without;
    const char *loses; /* "the process aborts at ..." */
};

struct em_opens {
    struct em_strings objects; /* patterns of SONAMEs, or of file names where an object has none */
    const char *what;
    struct em_strings names; /* templates, most wanted first */
    struct {
        EM_VEC(struct em_opens_entry);
    } entries;
};

struct em_package_choice {
    const char *major; /* of the soname */
    const char *cuda;  /* "cu12", or "*" where the soname's own major says it */
    const char *requirement;
};

struct em_package {
    const char *component;
    struct em_strings sonames;
    const char *dir,
        *cu13_dir;     /* below site-packages, where its wheels put the libraries; cu13_dir NULL: the same; dir NULL: unknown */
    bool own_versions; /* the package's major is not the soname's */
    bool extra;        /* who asks for it and does not find it does without: a back end beside others */
    struct {
        EM_VEC(struct em_package_choice);
    } choices;
};

struct em_cure {
    const char *package, *from, *below; /* versions: from <= v < below */
    const char *request;                /* pattern of sonames */
    const char *cure, *why;
};

/* What a package's own Python code opens by path, where a vendor's package has it. */
struct em_preload {
    const char *package;         /* pattern of normalised names */
    struct em_strings libraries; /* patterns of sonames */
    struct em_strings optional;  /* of these, what it does without */
};

/* A library that comes with the operating system: the packages of Debian's family and of Fedora's. */
struct em_system_library {
    const char *soname; /* pattern */
    const char *apt, *dnf;
};

/* A library that a process should have once. */
struct em_copied {
    const char *what, *costs;
    struct em_strings libraries; /* patterns of file names as far as ".so", without a graft's hash */
};

struct em_gpu_model {
    uint32_t arch;           /* 120 */
    const char *driver;      /* the first that knows it; NULL: every driver that is around */
    struct em_strings names; /* patterns of product names, without "NVIDIA" */
};

/* The first version of a package that has code for an architecture. */
struct em_gpu_build {
    const char *package;
    uint32_t arch;
    const char *cure, *why;
};

struct em_cuda_runtime {
    const char *cuda;   /* major: "12" */
    const char *driver; /* the oldest that runs it: "525.60.13" */
    const char *needs;  /* the same in words */
};

struct em_cuda_error {
    int code;
    const char *name, *means;
};

struct em_knowledge {
    struct {
        EM_VEC(struct em_opens);
    } opens;
    struct {
        EM_VEC(struct em_package);
    } packages;
    struct em_strings vendors; /* patterns of normalised distribution names */
    struct em_strings driver;  /* patterns of sonames that only a driver installs */
    struct {
        EM_VEC(struct em_cure);
    } cures;
    struct {
        EM_VEC(struct em_preload);
    } preloads;
    struct {
        EM_VEC(struct em_system_library);
    } system;
    struct {
        EM_VEC(struct em_copied);
    } copies;
    struct {
        EM_VEC(struct em_gpu_model);
    } gpus;
    struct {
        EM_VEC(struct em_gpu_build);
    } builds;
    struct {
        EM_VEC(struct em_cuda_runtime);
    } runtimes;
    struct {
        EM_VEC(struct em_cuda_error);
    } cuda_errors;
};

int em_knowledge_load(struct em_knowledge *knowledge, struct em_arena *arena, const char *extra, struct em_error *error);

/* The rule for an object of that SONAME (or file name); NULL: none. */
const struct em_opens *em_knowledge_opens(const struct em_knowledge *knowledge, const char *soname);

/* The package entry that a soname belongs to, and the soname's major as digits in major (may be NULL). NULL: unknown. */
const struct em_package *em_knowledge_package(const struct em_knowledge *knowledge, const char *soname, char major[16]);
/* "nvidia-cudnn-cu12>=9,<10" for that major; cuda is "cu12" or so, the first choice where it does not fit. NULL: none known. */
const char *em_package_requirement(const struct em_package *package, const char *major, const char *cuda);

/* Where the wheel that a requirement names puts the libraries: "nvidia/cudnn/lib". Those without -cu11 or -cu12 are CUDA 13's. NULL:
 * unknown. */
const char *em_package_directory(const struct em_package *package, const char *requirement);

bool em_knowledge_is_vendor(const struct em_knowledge *knowledge, const char *normalized_name);
bool em_knowledge_is_driver(const struct em_knowledge *knowledge, const char *soname);
const struct em_cure *em_knowledge_cure(const struct em_knowledge *knowledge, const char *package, const char *version,
                                        const char *request);

bool em_knowledge_preloads(const struct em_knowledge *knowledge, const char *package, const char *soname);
/* The package catches that the library is missing, and does without. */
bool em_knowledge_does_without(const struct em_knowledge *knowledge, const char *package, const char *soname);

/* The entry of a soname; NULL: unknown. */
const struct em_system_library *em_knowledge_system(const struct em_knowledge *knowledge, const char *soname);

/* The entry for a library by its stem, "libgomp"; NULL: a second copy of it costs nothing that the tables know. */
const struct em_copied *em_knowledge_copied(const struct em_knowledge *knowledge, const char *stem);

/* The architecture of a product: "GeForce RTX 5070", "nvidia h100"; 0: unknown. */
uint32_t em_knowledge_gpu(const struct em_knowledge *knowledge, const char *name);
/* The entry of an architecture; NULL: unknown. */
const struct em_gpu_model *em_knowledge_gpu_model(const struct em_knowledge *knowledge, uint32_t arch);
const struct em_gpu_build *em_knowledge_gpu_build(const struct em_knowledge *knowledge, const char *package, uint32_t arch);
/* What a CUDA major ("12") asks of the driver; NULL: unknown. */
const struct em_cuda_runtime *em_knowledge_runtime(const struct em_knowledge *knowledge, const char *cuda);
const struct em_cuda_error *em_knowledge_cuda_error(const struct em_knowledge *knowledge, int code);

#endif
