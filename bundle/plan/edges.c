#include "bundle/plan/edges.h"

#include <string.h>

static const char *root_of(const struct em_diagnosis *diagnosis, const struct em_edge_use *use)
{
    return diagnosis->env->objects.items[use->root].path;
}

/* root "": the request in whatever process. */
static char *key_of(struct em_arena *arena, const char *root, const struct em_edge *edge)
{
    return em_arena_printf(arena, "%s\n%s\n%d\n%s", root, edge->object, (int)edge->via, edge->name);
}

/* Two spellings of one place: "/v/x/../y" and "/v/y". -1: no memory. */
static int is_same_place(struct em_arena *arena, const char *a, const char *b)
{
    const char *left, *right;

    if (strcmp(a, b) == 0)
        return 1;
    left = em_path_normal(arena, a);
    right = em_path_normal(arena, b);
    return left && right ? strcmp(left, right) == 0 : -1;
}

/* Answered by the machine, for a library that a package should bring. */
static bool may_change(const struct em_diagnosis *before, const struct em_edge *edge)
{
    return (edge->rule == EM_RULE_CACHE || edge->rule == EM_RULE_DEFAULT || edge->rule == EM_RULE_ENV ||
            !em_path_is_below(edge->path, before->env->path)) &&
           em_knowledge_package(before->knowledge, edge->name, NULL);
}

static int index_edges(struct em_map *known, const struct em_diagnosis *diagnosis)
{
    em_vec_each (const struct em_edge_use, use, &diagnosis->edges.uses) {
        const struct em_edge *edge = &diagnosis->edges.items[use->edge];
        const char *root = root_of(diagnosis, use);
        char *key = key_of(known->arena, root, edge), *anywhere = key_of(known->arena, "", edge);

        if (!key || !anywhere || em_map_put(known, key, edge) < 0 || em_map_put(known, anywhere, edge) < 0 ||
            em_map_put(known, root, edge) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* The same request afterwards: in the same process; or, where what was opened by itself is loaded by a consumer now and so not opened
 * any more, and where it was found through a link that goes, in any. */
static int find_after(struct em_arena *arena, const struct em_map *known, const struct em_draft *draft,
                      const struct em_edge *edge, const char *root, struct em_edge **after)
{
    const bool anywhere = !em_map_get(known, root) || em_map_get(&draft->unlinked, edge->object);
    char *key = key_of(arena, anywhere ? "" : root, edge);

    if (!key)
        return EM_NO_MEMORY;
    *after = em_map_get(known, key);
    return EM_OK;
}

/* The draft says so itself. */
static bool is_given_up(struct em_arena *arena, const struct em_draft *draft, const struct em_edge *edge)
{
    const struct em_draft_change *change = em_draft_find(draft, edge->object), *answer;
    const char *path = em_path_normal(arena, edge->path);

    answer = path ? em_draft_find(draft, path) : NULL;
    if ((change && change->remove) || (answer && answer->remove))
        return true;

    if (em_map_get(&draft->retired, edge->object))
        return true;
    if (change)
        em_vec_each (const struct em_rename, rename, &change->renames)
            if (strcmp(rename->from, edge->name) == 0)
                return true;
    return false;
}

int em_edges_lost(struct em_losts *losts, struct em_arena *arena, const struct em_diagnosis *before,
                  const struct em_diagnosis *after, const struct em_draft *draft)
{
    struct em_map known = { .arena = arena };

    if (index_edges(&known, after) < 0)
        return EM_NO_MEMORY;
    em_vec_each (const struct em_edge_use, use, &before->edges.uses) {
        const struct em_edge *edge = &before->edges.items[use->edge];
        struct em_edge *then = NULL;
        struct em_lost lost = { .before = edge };
        int same;

        if (!edge->path || may_change(before, edge) || is_given_up(arena, draft, edge))
            continue;
        if (find_after(arena, &known, draft, edge, root_of(before, use), &then) < 0)
            return EM_NO_MEMORY;
        lost.after = then;
        same = lost.after && lost.after->path ? is_same_place(arena, lost.after->path, edge->path) : 0;
        if (same < 0 || (same == 0 && em_vec_push(arena, losts, lost) < 0))
            return EM_NO_MEMORY;
    }
    return EM_OK;
}
