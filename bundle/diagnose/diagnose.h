/* diagnose.h: what will fail to load, and why.
 *
 *     r = em_diagnose(&diagnosis, arena, &env, &world, &knowledge, &options, error)
 *     diagnosis.findings    errors first, then by object and request
 *     diagnosis.edges       every request and what it resolves to, and in which processes: what a plan must not lose
 *
 * How an environment is judged:
 *   1. Each extension module is opened by the interpreter in a fresh process, as an import does; then each object that none of
 *      them loaded is opened in a process of its own. An object that a consumer loads is judged there and not alone: many
 *      libraries have no path of their own and need none (roots.c).
 *   2. In each process, each loaded object of the environment is asked which names it would dlopen (opens.c: the tables, and the
 *      strings they point at), and the loader which files those names give.
 *   3. A request that fails, or that only this machine answers although a package should, becomes a finding, with the provider
 *      in the environment if there is one that belongs to the requester's world (advice.c).
 *   4. RECORDs are held against the disk by presence and size (integrity.c); `elfmend verify` hashes.
 *   5. Modules are held against the Python and NumPy that are installed (python.c), without importing anything.
 *   6. GPU code is read where a GPU was named (gpu.c).
 *   7. What each framework was built for and gets is put into one table (matrix.c).
 *
 * Nothing outside of the environment makes a broken one look whole: a library that a package of the tables should bring and that
 * only the machine has is EM201, beside the error that it hides.
 *
 * Errors are ours (memory, I/O); what is wrong with the environment is in findings.
 */
#ifndef EM_BUNDLE_DIAGNOSE_DIAGNOSE_H
#define EM_BUNDLE_DIAGNOSE_DIAGNOSE_H

#include "bundle/diagnose/finding.h"
#include "bundle/diagnose/knowledge.h"

/* One request of one object as it was answered, in one process or in a thousand. The same object may find another file in another one. */
struct em_edge {
    const char *object; /* absolute path of the requester */
    const char *name;
    enum em_via via;
    enum em_result result;
    enum em_rule rule;
    const char *path;  /* of what answers, as the loader spells it; NULL: missing */
    const char *owner; /* by an RPATH or RUNPATH: of the object whose it is, as the loader spells it; NULL: by none */
};

/* That answer in one process: there may be millions. */
struct em_edge_use {
    uint32_t edge; /* index into the edges */
    uint32_t root; /* what was opened in that process: index into the environment's objects */
};

struct em_edges {
    EM_VEC(struct em_edge);
    struct {
        EM_VEC(struct em_edge_use);
    } uses; /* in the order in which processes asked */
};

/* What was read of objects' contents, by path: a what-if that leaves those alone need not read them again. Each map has an arena. */
struct em_diagnose_cache {
    struct em_map names;  /* path -> struct em_strings *: names found in its strings */
    struct em_map stacks; /* path -> enum em_stack_use plus 1 */
};

/* A GPU that objects should have code for. */
struct em_gpu {
    uint32_t arch;    /* 120 for sm_120 */
    const char *name; /* as the user called it, where that was no architecture; NULL otherwise */
};

struct em_gpus {
    EM_VEC(struct em_gpu);
};

struct em_diagnose_options {
    bool integrity;                  /* all that no path or copy changes too: RECORDs against the disk, Python and NumPy */
    const struct em_gpus *gpus;      /* look for GPU code too: the whole of each object is searched; NULL: do not */
    bool gpu_wanted;                 /* else what is opened for a GPU alone is missed only where something of CUDA is there */
    struct em_diagnose_cache *cache; /* may be NULL */
};

/* A framework, what it was built for and what it gets (matrix.h). NULL: it does not ask for that, or it was not looked for. */
struct em_framework {
    const struct em_distribution *distribution;
    const char *cuda;         /* "12.8", or the major alone: "12" */
    const char *cudnn_wanted; /* major */
    const char *cudnn_loaded; /* version of the package that answers, or where it lies; NULL: none */
    const char *numpy;        /* "1": built against NumPy 1, works with it alone; "2": with both */
    const char *gpu;          /* "sm_120: PTX, sm_86: yes" for the GPUs that were named */
    const char *driver;       /* the oldest that runs this CUDA */
    const char *for_gpu;      /* what would give it the CUDA that nothing here has; NULL: it has some, or none is known */
    const char *object;       /* one of its objects that asks */
    bool by_import;
};

struct em_frameworks {
    EM_VEC(struct em_framework);
};

struct em_diagnosis {
    struct em_env *env;
    const struct em_world *world;
    const struct em_knowledge *knowledge;
    struct em_findings findings;
    struct em_edges edges;
    struct em_frameworks frameworks; /* where options.integrity is set */
    size_t objects;
    uint64_t bytes_read;
};

int em_diagnose(struct em_diagnosis *diagnosis, struct em_arena *arena, struct em_env *env, const struct em_world *world,
                const struct em_knowledge *knowledge, const struct em_diagnose_options *options, struct em_error *error);

#endif
