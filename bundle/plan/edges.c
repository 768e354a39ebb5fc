#include "bundle/plan/edges.h"

#include <string.h>

static char *key_of(struct em_arena *arena, const struct em_edge *edge)
{
    return em_arena_printf(arena, "%s\n%d\n%s", edge->object, (int)edge->via, edge->name);
}

/* Answered by the machine, for a library that a package should bring. */
static bool may_change(const struct em_diagnosis *before, const struct em_edge *edge)
{
    return !em_path_is_below(edge->path, before->env->path) && em_knowledge_package(before->knowledge, edge->name, NULL);
}

const struct em_edge *em_edges_lost(const struct em_diagnosis *before, const struct em_diagnosis *after, struct em_arena *arena,
                                    const char **now, int *status)
{
    struct em_map known = { .arena = arena };

    *status = EM_NO_MEMORY;
    *now = NULL;
    em_vec_each (struct em_edge, edge, &after->edges) {
        char *key = key_of(arena, edge);

        if (!key || em_map_put(&known, key, edge) < 0)
            return NULL;
    }
    *status = EM_OK;
    em_vec_each (struct em_edge, edge, &before->edges) {
        char *key;
        const struct em_edge *then;

        if (!edge->path || may_change(before, edge))
            continue;
        key = key_of(arena, edge);
        if (!key) {
            *status = EM_NO_MEMORY;
            return NULL;
        }
        then = em_map_get(&known, key);
        if (then && then->path && strcmp(then->path, edge->path) == 0)
            continue;
        *now = then ? then->path : NULL;
        return edge;
    }
    return NULL;
}
