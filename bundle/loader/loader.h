/* loader.h: what the dynamic loader would do, and why.
 *
 * The model is a state machine that follows glibc's or musl's loader rule by rule (the world says which). One em_loader serves a
 * whole run: each object is parsed once, each directory looked up once. One em_process is one fresh process: what is loaded, in
 * load order, and under which names, decides what the next request finds.
 *
 *     loader = em_loader_new(&world, arena);                        NULL: no memory
 *     process = em_process_new(loader, "/usr/bin/python3.11", error)  its NEEDED are loaded as at start; NULL: a bare program
 *     r = em_process_open(process, "/v/x/_ext.so", NULL, &open)     as dlopen(RTLD_NOW) does, called by the main program
 *     if (!open.ok) open.failure ...                                the request that failed; what was newly loaded is gone again
 *     process->requests: every request since, with the rule that answered it and the directories tried
 *     r = em_process_ask(process, "libcudnn_cnn.so.9", shim, &request) what dlopen of that name by shim would find, without loading
 *
 * A request is a name and a requester. For DT_NEEDED it is the object itself whose search path counts; for dlopen it is the caller.
 * Paths are as the loader spells them, never normalised: $ORIGIN depends on the spelling.
 *
 * Errors (negative enum em_err) are ours: no memory, an unreadable world. That a library is missing is an answer, not an error.
 * Memory: what is known of files, and all strings, live in the loader's arena; processes, their requests and who is loaded too, but for
 * those of a fork, which live in the arena that it was given: whoever forks a hundred thousand keeps of each what is worth it
 * (em_request_keep) and forgets the rest. Threads: one loader, one thread; the world may be shared by several loaders.
 */
#ifndef EM_BUNDLE_LOADER_LOADER_H
#define EM_BUNDLE_LOADER_LOADER_H

#include "bundle/loader/world.h"
#include "patcher/patcher.h"

/* A file that was looked at as an object. One for each (device, inode). */
struct em_loadable {
    struct em_node node;
    struct em_object object; /* if code is 0 */
    int code;                /* EM_OK, EM_NOT_ELF, EM_BAD_ELF ... */
    const char *problem;     /* the sentence, if code is not 0 */
};

enum em_rule {
    EM_RULE_NONE,
    EM_RULE_PATH,     /* the name has a slash */
    EM_RULE_SONAME,   /* already loaded under that name or with that SONAME */
    EM_RULE_RPATH,    /* DT_RPATH of the requester, one of its loaders, or the main program */
    EM_RULE_RUNPATH,  /* DT_RUNPATH of the requester */
    EM_RULE_ENV,      /* LD_LIBRARY_PATH */
    EM_RULE_CACHE,    /* ld.so.cache */
    EM_RULE_DEFAULT,  /* system directories */
    EM_RULE_RESERVED, /* musl: a name that libc itself stands for */
};
const char *em_rule_name(enum em_rule rule); /* "path", "soname", ... as INTERFACE's JSON spells them; NULL for NONE */

enum em_via {
    EM_VIA_NEEDED,
    EM_VIA_DLOPEN,
    EM_VIA_OPEN, /* by the user of the model: a root */
    EM_VIA_PRELOAD,
    EM_VIA_FILTER,
};
const char *em_via_name(enum em_via via);

enum em_result {
    EM_RESULT_LOADED,  /* mapped anew */
    EM_RESULT_REUSED,  /* was there already */
    EM_RESULT_MISSING, /* nowhere */
    EM_RESULT_REFUSED, /* found, and the loader chokes on it: why says on what */
};
const char *em_result_name(enum em_result result);

/* One directory that was searched, in order. */
struct em_try {
    const char *directory; /* expanded, as the loader spells it */
    const char *entry;     /* as written in the path list: "$ORIGIN/../x.libs"; NULL for cache and default */
    enum em_rule rule;
    const struct em_loaded *owner; /* whose RPATH or RUNPATH it stands in; NULL otherwise */
    const char *skipped;           /* a file of the name was there and was passed over: "wrong class", NULL otherwise */
    bool absent;                   /* there is no such directory */
    bool relative;                 /* depends on the working directory */
    bool ends;                     /* skipped ended the list that the directory is in: what stands behind it was not searched */
};

struct em_tries {
    EM_VEC(struct em_try);
};

struct em_loaded {
    const char *name;        /* l_name: as opened */
    const char *origin;      /* value of $ORIGIN; NULL if it has none */
    struct em_strings names; /* every string it was requested by */
    struct em_loadable *file;
    struct em_loaded *loader; /* whose NEEDED loaded it first; NULL for what was opened */
    size_t index;             /* in load order */
    bool is_main;
    bool is_interpreter; /* ld.so itself: there from the start, listed once somebody needs it */
    bool is_system;      /* found by the cache or in a system directory, or loaded by an object that was */
};

/* Why a file that was found is not taken: what kind of fault it is, for those who must tell them apart. */
enum em_refused {
    EM_REFUSAL_NONE,
    EM_REFUSAL_FILE,  /* wrong class or machine, no object, torn */
    EM_REFUSAL_STACK, /* it asks for an executable stack */
};

struct em_request {
    const struct em_loaded *from; /* NULL: the user of the model */
    const char *name;             /* as written, tokens unexpanded */
    enum em_via via;
    enum em_result result;
    enum em_rule rule;
    const struct em_loaded *owner; /* EM_RULE_RPATH, _RUNPATH: whose path it was */
    const char *entry;             /* and which entry of it, as written */
    const char *path;              /* of the object found; NULL if missing */
    struct em_loaded *to;          /* NULL if missing, refused, only asked for, or kept when its process was gone */
    bool to_system;                /* that is_system */
    struct em_loadable *file;      /* what is at path; also when only asked for */
    struct em_tries tried;         /* directories searched without success, in order */
    const char *why;               /* missing or refused: the loader's reason in a sentence */
    enum em_refused refusal;       /* refused: of which kind */
    bool optional;                 /* DT_AUXILIARY, LD_PRELOAD: the loader goes on without it */
    bool promised;                 /* not on this machine, but in the world: "manylinux", "empty" */
};

struct em_requests {
    EM_VEC(struct em_request *);
};
struct em_loadeds {
    EM_VEC(struct em_loaded *);
};

/* A version that an object needs, and why it cannot have it. */
struct em_version_problem {
    const struct em_loaded *from;
    const char *file;                 /* vn_file */
    const struct em_loaded *provider; /* NULL: nobody is loaded under that name, and the loader's assertion ends the process */
    const char *version;
    const char *why;
    bool weak; /* no error: the loader goes on */
};

struct em_version_problems {
    EM_VEC(struct em_version_problem);
};

struct em_open {
    bool ok;
    struct em_loaded *object;         /* what was opened, if ok; what was about to be, if it was mapped */
    const struct em_request *failure; /* the request that failed, if not ok and it was a request */
    const char *why;                  /* the sentence the loader would print, in its sense, if not ok */
    size_t first_request;             /* index into process->requests of the first one of this open */
    bool aborts;                      /* the process dies rather than gets an error (version assertion) */
    struct em_version_problems versions;
};

struct em_loader;

/* The loader stops at the first request that fails. The model notes it, goes on to see what else is missing, and then takes all
 * back, as the loader did at the first. */
struct em_process {
    struct em_loader *loader;
    struct em_arena *arena;      /* of all below */
    struct em_loadeds objects;   /* in load order; the main program first if there is one */
    struct em_requests requests; /* in order, of all opens so far */
    struct em_open start;        /* how the program's own start went; ok for a bare one. Not ok: what was found stays listed */
    /* Past a DT_NEEDED that is missing, as `ld.so --list` goes: what is there is mapped, open.ok is false, open.failure is the first
     * miss, and nothing is unmapped again. For finding all that is wrong in one go. */
    bool keep_going;
};

struct em_loader *em_loader_new(const struct em_world *world, struct em_arena *arena);
void em_loader_free(struct em_loader *loader);

/* The object at a path, parsed once; a relative one counts from the world's cwd. NULL only without memory; a file that is not there
 * has code EM_NOT_FOUND. */
struct em_loadable *em_loader_look(struct em_loader *loader, const char *path);

/* Whether dlopen of the object asks for an executable stack: by its PT_GNU_STACK, or by having none (not on every machine). musl's
 * loader does not look. */
bool em_loader_wants_stack(const struct em_world *world, const struct em_object *object);

/* What EM_LIMIT of a process means: all requests of all processes of one loader together go over EM_MAX_STEPS. */
int em_loader_fail_limit(struct em_error *error, const char *target);
/* What it means that an arena is full which had room for most bytes of what a target's processes ask and get. */
int em_loader_fail_memory(struct em_error *error, const char *target, uint64_t most);

/* Bytes read from objects so far. */
uint64_t em_loader_bytes_read(const struct em_loader *loader);

int em_process_new(struct em_process **process, struct em_loader *loader, const char *program, struct em_error *error);

/* dlopen(name, RTLD_NOW | RTLD_LOCAL) by caller, or by the main program if caller is NULL. */
int em_process_open(struct em_process *process, const char *name, const struct em_loaded *caller, struct em_open *open);

/* What such a dlopen, or a NEEDED, would find as things stand; loads nothing. */
int em_process_ask(struct em_process *process, const char *name, const struct em_loaded *caller, enum em_via via,
                   struct em_request **request);

/* ---- stability ---- */

enum em_stability {
    EM_STABLE,
    EM_ORDER_DEPENDENT,       /* found in some processes and not in others, or another file */
    EM_ENVIRONMENT_DEPENDENT, /* LD_LIBRARY_PATH decides, or can win over the RUNPATH that did */
    EM_SYSTEM_ONLY,           /* from the cache or the system directories */
    EM_MISSING,               /* in none */
};
const char *em_stability_name(enum em_stability stability);

/* What one edge (requester and name) came to in several processes of one loader: the requester alone, and after others were opened.
 * Computed from what happened in them, so it says as much as the processes that were tried. */
enum em_stability em_stability_of(const struct em_request *const *requests, size_t count);

/* The process as it is now, for a what-if that leaves this one alone; it and all that comes of it lives in arena. */
int em_process_fork(struct em_process **copy, const struct em_process *process, struct em_arena *arena);

/* Nothing was found, or what was found is refused. */
bool em_request_is_unanswered(const struct em_request *request);

/* The request for when its process is gone, in arena, with its tries; of who asked and whose paths were tried their names, their
 * files and what they are (is_main, is_system, ...), and not who loaded them. NULL: no memory. */
struct em_request *em_request_keep(struct em_arena *arena, const struct em_request *request);

#endif
