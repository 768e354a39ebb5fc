/* env.h: what is installed, and who owns what.
 *
 *     r = em_env_read(&env, arena, tree, "/home/x/.venv", error)
 *     env.kind, env.distributions, env.objects ...
 *     owner = em_env_owner(&env, path)            the distribution that lists the file in its RECORD, else the conda package
 *                                                 that has it; NULL: nobody
 *
 * A target is a virtual environment (pyvenv.cfg), a conda prefix (conda-meta/), a --target directory (*.dist-info at its root), any
 * directory, or one object. Of each distribution its METADATA is read (name, version, Requires-Dist), and RECORD when something
 * asks for it. Objects are found by walking the site directories (or the whole of any other directory) for files with ELF magic:
 * by name first (.so, .so.N, bin/), so that ten thousand .py files cost a directory entry each and no open.
 * Links to directories are not followed. A link to a file is an object only if it leads out of the target and a RECORD lists it,
 * as where uv links all of a distribution to its cache; what it leads to inside is an object under its own name.
 * Hidden directories at the target's root, .elfmend and version control are left out.
 *
 * A virtual environment that was made with --system-site-packages has its base interpreter's packages beside it: processes of the
 * environment see them, so their distributions and objects are listed too. They are no part of the target (em_env_is_beside): nothing
 * of them is changed, verified or found fault with.
 *
 * The distributions of a part of a site (nvidia/cudnn/lib) or of one object are looked for in the directories above it; they are
 * then those alone that list something in it.
 *
 * All paths here are absolute in the tree's terms. What is shown is em_env_show: relative to the target as the user gave it.
 *
 * Errors: EM_NOT_FOUND, EM_IO, EM_BAD_JSON for a file of conda-meta, EM_BAD_RECORD with the distribution's RECORD and line, EM_UNSUPPORTED for a target that is none
 * of the above, a directory without a distribution and without an object included, EM_LIMIT for directories too deep.
 */
#ifndef EM_BUNDLE_ENV_ENV_H
#define EM_BUNDLE_ENV_ENV_H

#include "bundle/env/record.h"
#include "bundle/tree/tree.h"

enum em_env_kind {
    EM_ENV_VENV,
    EM_ENV_CONDA,
    EM_ENV_TARGET,    /* a directory with *.dist-info at its root */
    EM_ENV_DIRECTORY, /* any other */
    EM_ENV_OBJECT,    /* one file */
    EM_ENV_WHEEL,     /* a site that a wheel was laid out in: em_env_read_wheel */
};
const char *em_env_kind_name(enum em_env_kind kind); /* "venv", "conda", "target", "directory", "object", "wheel" */

struct em_requirement {
    const char *name;    /* normalised: PEP 503, lower case, runs of "-_." as "-" */
    const char *spelled; /* the whole Requires-Dist value */
    bool has_extra;      /* its marker names an extra: not installed by default */
};

/* What a package manager installed in one go. A conda package is one too: its record is made of its file in conda-meta, with paths
 * relative to the prefix, which is its site; it requires nothing that could be told by a name of Python's. */
struct em_distribution {
    const char *name;       /* as METADATA spells it */
    const char *normalized; /* PEP 503 */
    const char *version;
    const char *site;      /* absolute: the directory that holds the .dist-info */
    const char *dist_info; /* absolute; conda-meta itself for a conda package */
    const char
        *conda_meta;       /* absolute: conda-meta/NAME-VERSION-BUILD.json. NULL: no conda package, but one with a .dist-info */
    const char *installer; /* first line of INSTALLER; NULL if there is none */
    struct {
        EM_VEC(struct em_requirement);
    } requirements;
    bool has_record;
    struct em_record record;
    struct em_node record_node; /* the file that it was read from, as it was then */
};

struct em_env_object {
    const char *path; /* absolute, as found */
    struct em_node node;
    struct em_distribution *owner; /* NULL: no RECORD lists it */
    size_t owners;                 /* how many RECORDs do */
};

struct em_env {
    enum em_env_kind kind;
    const char *given;     /* the target as the user spelled it */
    const char *path;      /* the same, absolute and normal; for an object its directory's is dirname */
    const char *real_path; /* the same without links */
    struct em_tree *tree;
    struct em_arena *arena;
    const char *python;         /* the interpreter's real path in the tree; NULL if there is none */
    const char *python_version; /* "3.11"; NULL if unknown */
    struct em_strings sites;    /* absolute site directories, platlib first */
    struct em_strings beside;   /* those of the base interpreter that are seen from here too, in the order of its sys.path */
    struct {
        EM_VEC(struct em_distribution *);
    } distributions; /* by normalised name, then site; those with a .dist-info */
    struct {
        EM_VEC(struct em_distribution *);
    } conda; /* packages of a conda prefix, by file name. One of Python's has its .dist-info above as well */
    struct {
        EM_VEC(struct em_env_object);
    } objects;                   /* by path */
    struct em_strings impostors; /* absolute paths of files that are named as libraries are, and are no ELF objects */
    struct em_map
        odd_rows; /* absolute normal path -> the distribution, for rows that em_env_row_spelling would spell otherwise */
};

int em_env_read(struct em_env *env, struct em_arena *arena, struct em_tree *tree, const char *target, struct em_error *error);
/* A wheel that somebody has laid out in the tree, with its packages in site: nothing is made of the names in it, a pyvenv.cfg is one of
 * its files. site (absolute, without links) and wheel (as the user spelled it) live as long as the environment. */
int em_env_read_wheel(struct em_env *env, struct em_arena *arena, struct em_tree *tree, const char *site, const char *wheel,
                      struct em_error *error);
struct em_distribution *em_env_owner(const struct em_env *env, const char *path);
struct em_distribution *em_env_find(const struct em_env *env, const char *normalized_name);

/* The command that installs it again, at the same version. NULL: no memory. */
const char *em_distribution_reinstall(struct em_arena *arena, const struct em_distribution *distribution);

/* Absolute path of a row of a distribution's RECORD, normal. NULL: no memory. */
const char *em_env_row_path(const struct em_env *env, const struct em_distribution *distribution, const char *row_path);
/* The reverse: how a RECORD in distribution->site spells an absolute path. */
const char *em_env_row_spelling(const struct em_env *env, const struct em_distribution *distribution, const char *path);

/* The path as shown: relative to the target, or as it is if it lies elsewhere. */
const char *em_env_show(const struct em_env *env, const char *path);

/* How many objects the target has: without those beside it. */
size_t em_env_count_objects(const struct em_env *env);

/* The path is a site of the base interpreter's, or lies in one. */
bool em_env_is_beside(const struct em_env *env, const char *path);

/* requirer requires provider, directly or through others, extras not counted; or they are the same. */
bool em_env_requires(const struct em_env *env, const struct em_distribution *requirer, const struct em_distribution *provider);

/* An extension module by its file name: foo.cpython-311-x86_64-linux-gnu.so, foo.abi3.so, or foo.so outside of *.libs. The import
 * system opens these by absolute path. */
bool em_env_is_extension(const char *path);
/* One whose name says for whom it is: "x.abi3.so", "x.cpython-311-x86_64-linux-gnu.so" (PEP 3149); a bare "x.so" does not. */
bool em_env_is_tagged(const char *path);

/* A name that a library may have: ".so" at its end or before a dot. */
bool em_is_library_name(const char *name);

/* Under which names others know a library that was given a private one: auditwheel puts eight digits of a hash behind the stem
 * (libcudnn-74a4c495.so.9.1.0 for libcudnn.so.9.1.0, libcudnn.so.9.1, libcudnn.so.9). Longest first; none if the name is no such one. */
int em_env_public_names(struct em_strings *names, struct em_arena *arena, const char *name);

char *em_normalize_name(struct em_arena *arena, const char *name); /* PEP 503 */

/* ---- verify: RECORD against disk, both ways ---- */
enum em_deviation_kind {
    EM_DEVIATION_CHANGED,   /* hash or size differ */
    EM_DEVIATION_UNCHECKED, /* listed with a hash that proves nothing or cannot be read */
    EM_DEVIATION_MISSING,   /* listed, not there */
    EM_DEVIATION_UNLISTED,  /* there, in a directory that a distribution owns, listed nowhere; __pycache__ not counted */
    EM_DEVIATION_SHARED,    /* several RECORDs list it; distribution is the one whose bytes are there, NULL if nobody's */
};

struct em_deviation {
    enum em_deviation_kind kind;
    const char *path; /* absolute */
    const struct em_distribution *distribution;
    const struct em_record_row *row; /* NULL for UNLISTED */
    bool same_bytes;                 /* SHARED: all of them list the same digest; nobody has a wrong file */
    const char *detail;              /* "size 10 instead of 20", "sha256 differs", owners */
};

struct em_verify_options {
    unsigned jobs; /* threads; 0: cores */
    bool hash;     /* read and hash every listed file; otherwise presence and size alone */
    bool unlisted; /* look for files that no RECORD lists */
};

struct em_deviations {
    EM_VEC(struct em_deviation);
    size_t files; /* that were looked at */
};

/* In order of distribution, then row; unlisted ones last, by path. bytes_read may be NULL. */
int em_env_verify(struct em_deviations *deviations, struct em_env *env, const struct em_verify_options *options,
                  uint64_t *bytes_read, struct em_error *error);

#endif
