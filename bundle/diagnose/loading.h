/* loading.h: the environment as the loader meets it. Private to diagnose.
 *
 * Opens what an import would open, each in a fresh process, and writes down every request that an object of the environment made,
 * with its answer. What the answers mean is judge.c's. loading_work.h says which file does what.
 */
#ifndef EM_BUNDLE_DIAGNOSE_LOADING_H
#define EM_BUNDLE_DIAGNOSE_LOADING_H

#include "bundle/diagnose/opens.h"

/* A request and its answer, once for each (object, name): if it was answered differently in several processes, the worst answer
 * stands, since that is a process in which it fails. */
struct em_case {
    const struct em_env_object *object; /* the requester */
    const struct em_request *request;   /* the answer; for an opening that failed, the one to its wanted name */
    struct em_opening *opening;         /* NULL: DT_NEEDED */
    const struct em_env_object *root;   /* what was opened in that process */
    bool by_import;                     /* and an import does so */
    bool unreachable;                   /* a member that another missing member would open: never even asked for */
    bool inherited;                     /* the object resolves something by an RPATH that is not its own */
};

/* A root that the loader refuses itself: an executable stack, a wrong file. */
struct em_refused_root {
    const struct em_env_object *root;
    const struct em_request *request;
    bool by_import;
};

/* A symbol version that an object needs and its provider does not define. */
struct em_version_miss {
    const struct em_env_object *object;
    const char *version;
    const char *why;
    bool by_import;
};

/* A file with ELF magic that is no whole object. */
struct em_unreadable {
    const struct em_env_object *object;
    const char *problem;
};

/* What was opened, and whether all of it was there. */
struct em_root {
    const struct em_env_object *object;
    bool by_import;
    bool ok;
};

struct em_loading {
    struct em_loader *loader; /* freed by whoever ran it, when the judging is over */
    struct {
        EM_VEC(struct em_case);
    } cases;
    struct {
        EM_VEC(struct em_refused_root);
    } refused;
    struct {
        EM_VEC(struct em_version_miss);
    } versions;
    struct {
        EM_VEC(struct em_unreadable);
    } unreadable;
    struct {
        EM_VEC(struct em_root);
    } roots;
    struct em_edges edges;      /* every request, and every process that made it */
    struct em_map imported;     /* object and distribution: an import of one of the distribution's modules loads the object */
    struct em_map objects;      /* "device:inode" -> struct em_env_object *: the environment's, by identity */
    struct em_loadable **files; /* what each of the environment's objects is, by its index there */
    bool *reached;              /* by the same index: some import loads it, or may open it */
    uint64_t bytes_read;        /* of strings; headers are counted by the loader */
};

int em_loading_run(struct em_loading *loading, struct em_arena *arena, struct em_env *env, const struct em_world *world,
                   const struct em_knowledge *knowledge, struct em_diagnose_cache *cache, struct em_error *error);

/* A shared library that a loader of this world can map at all: another machine's are not its business. */
bool em_loading_is_library(const struct em_world *world, const struct em_loadable *file);

/* Nothing answers the request. */
bool em_case_is_missing(const struct em_case *item);

/* Only this machine answers it, although the tables have a package for it: it works here by luck. */
bool em_case_is_by_luck(const struct em_case *item, const struct em_loading *loading, const struct em_knowledge *knowledge);

/* The name by which packages carry what is asked for. */
const char *em_case_name(const struct em_case *item);

/* Some import of a module of that distribution (NULL: of nobody's) loads the object. */
bool em_loading_is_imported(const struct em_loading *loading, const struct em_env_object *object,
                            const struct em_distribution *distribution);

/* A key for a map: of a thing, by its number or address, and something about it. NULL: no memory. */
char *em_loading_key(struct em_arena *arena, uint64_t number, const char *text);

/* Whether a path by which the loader has the object is a link from another directory: then $ORIGIN is that one. */
bool em_loading_is_link(struct em_arena *arena, struct em_tree *tree, const char *path, const struct em_env_object *object);

/* The environment's object that a loaded file is, by identity; NULL: it lies elsewhere. */
const struct em_env_object *em_loading_object(const struct em_loading *loading, const struct em_node *node);

#endif
