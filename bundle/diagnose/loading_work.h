/* loading_work.h: what the files share that make a loading. Private to loading.c, gather.c and roots.c.
 *
 * loading.c makes the work and answers for its results; roots.c chooses what is opened, each in a process of its own; gather.c writes
 * down what such a process shows.
 */
#ifndef EM_BUNDLE_DIAGNOSE_LOADING_WORK_H
#define EM_BUNDLE_DIAGNOSE_LOADING_WORK_H

#include "bundle/diagnose/loading.h"

struct em_loading_work {
    struct em_loading *loading; /* the results */
    struct em_arena *arena;
    struct em_env *env;
    const struct em_world *world;
    const struct em_knowledge *knowledge;
    struct em_diagnose_cache *cache;
    struct em_error *error;

    struct em_process *fresh; /* the interpreter as started: forked for each root */
    struct em_arena *scratch; /* what is gone when the next root is opened: its processes */
    bool *met;                /* by index in the environment: some process has loaded the object */
    struct em_map by_request; /* index of the object and name -> index into cases plus 1 */
    struct {
        EM_VEC(uint32_t);
    } last, earlier; /* by index of a case, of an edge: the case's last edge plus 1, the one before it plus 1; 0: none */
    struct em_openings **openings; /* by the same index: an object's strings are read once */
};

/* ---- loading.c ---- */
size_t em_loading_index(const struct em_loading_work *work, const struct em_env_object *object);
/* Puts value under a key that was made in the scratch arena and is copied if it is new. */
int em_loading_put(struct em_loading_work *work, struct em_map *map, const char *key, const void *value);
/* NULL: no memory. */
char *em_loading_import_key(struct em_arena *arena, const struct em_env_object *object,
                            const struct em_distribution *distribution);

/* ---- gather.c ---- */
/* Writes down what the objects of the environment asked for while root was opened in the process, and what they may open later. */
int em_loading_gather(struct em_loading_work *work, struct em_process *process, const struct em_open *open,
                      const struct em_env_object *root, bool by_import);

/* ---- roots.c ---- */
/* Opens every object that an import or nobody else loads, and gathers. */
int em_loading_open_roots(struct em_loading_work *work);

#endif
