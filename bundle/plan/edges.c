#include "bundle/plan/edges.h"

#include <string.h>

/* Two diagnoses have the same requests at other places of their lists, and the same objects under other numbers. A request (an object, how
 * it asks, a name) and an object each get a number here that holds in both. There are some thousand edges, and may be millions of uses of
 * them: no use takes more than four bytes. */
struct numbers {
    struct em_arena *arena; /* of all that is made here: gone when the edges have been compared */
    struct em_map requests; /* object's number, via and name -> the request's */
    struct em_map objects;  /* path -> the object's */
};

/* One of the two. */
struct side {
    const struct em_diagnosis *diagnosis;
    uint32_t *requests; /* by index of an edge */
    uint32_t *objects;  /* by index of an object */
};

/* What is answered afterwards, by a request's number: index of an edge plus 1; 0: nobody asks. */
struct answers {
    uint32_t *anywhere;          /* in whatever process */
    uint32_t *here, *here_since; /* in that of a root, where here_since is the root's number */
    uint32_t *order, *first;     /* the uses, by root: first[n] to first[n + 1] of order are of the root with number n */
};

/* From 1 on; 0: no memory. */
static uint32_t number_of(struct em_map *map, const char *key)
{
    const size_t known = (size_t)(uintptr_t)em_map_get(map, key), fresh = map->count + 1;

    if (known > 0)
        return (uint32_t)known;
    return em_map_put(map, key, (void *)(uintptr_t)fresh) == EM_OK ? (uint32_t)fresh : 0;
}

static uint32_t request_of(struct numbers *numbers, const struct em_edge *edge)
{
    const uint32_t object = number_of(&numbers->objects, edge->object);
    const struct em_arena_mark mark = em_arena_mark(numbers->arena);
    const size_t size = strlen(edge->name) + 1;
    char *key = em_arena_alloc(numbers->arena, 17 + size), *at = key ? em_put_hex(key, object) : NULL;
    uint32_t known;

    if (object == 0 || !key)
        return 0;
    *at = (char)('G' + edge->via); /* no digit */
    memcpy(at + 1, edge->name, size);
    known = (uint32_t)(uintptr_t)em_map_get(&numbers->requests, key);
    if (known == 0)
        return number_of(&numbers->requests, key);
    em_arena_rewind(numbers->arena, mark);
    return known;
}

static int number_side(struct numbers *numbers, struct side *side, const struct em_diagnosis *diagnosis)
{
    const struct em_env *env = diagnosis->env;
    const struct em_edges *edges = &diagnosis->edges;

    side->diagnosis = diagnosis;
    side->requests = em_arena_array(numbers->arena, edges->count + 1, sizeof *side->requests);
    side->objects = em_arena_array(numbers->arena, env->objects.count + 1, sizeof *side->objects);
    if (!side->requests || !side->objects)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < env->objects.count; i++)
        if ((side->objects[i] = number_of(&numbers->objects, env->objects.items[i].path)) == 0)
            return EM_NO_MEMORY;
    for (size_t i = 0; i < edges->count; i++)
        if ((side->requests[i] = request_of(numbers, &edges->items[i])) == 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

/* Uses keep their order within a root: of two of one request the last one counts. */
static int index_answers(struct answers *answers, const struct numbers *numbers, const struct side *after)
{
    const struct em_edges *edges = &after->diagnosis->edges;
    const size_t requests = numbers->requests.count + 1, objects = numbers->objects.count + 2;
    uint32_t *at = em_arena_array(numbers->arena, objects, sizeof *at);

    answers->anywhere = em_arena_array(numbers->arena, requests, sizeof *answers->anywhere);
    answers->here = em_arena_array(numbers->arena, requests, sizeof *answers->here);
    answers->here_since = em_arena_array(numbers->arena, requests, sizeof *answers->here_since);
    answers->order = em_arena_array(numbers->arena, edges->uses.count + 1, sizeof *answers->order);
    answers->first = em_arena_array(numbers->arena, objects, sizeof *answers->first);
    if (!at || !answers->anywhere || !answers->here || !answers->here_since || !answers->order || !answers->first)
        return EM_NO_MEMORY;
    em_vec_each (const struct em_edge_use, use, &edges->uses) {
        answers->anywhere[after->requests[use->edge]] = use->edge + 1;
        answers->first[after->objects[use->root] + 1]++;
    }
    for (size_t i = 1; i < objects; i++)
        at[i] = answers->first[i] += answers->first[i - 1];
    for (size_t i = 0; i < edges->uses.count; i++)
        answers->order[at[after->objects[edges->uses.items[i].root]]++] = (uint32_t)i;
    return EM_OK;
}

/* What the process of a root is asked and answers afterwards. */
static void enter_root(struct answers *answers, const struct side *after, uint32_t root)
{
    for (uint32_t i = answers->first[root]; i < answers->first[root + 1]; i++) {
        const struct em_edge_use *use = &after->diagnosis->edges.uses.items[answers->order[i]];
        const uint32_t request = after->requests[use->edge];

        answers->here[request] = use->edge + 1;
        answers->here_since[request] = root;
    }
}

/* The same request afterwards: in the same process; or, where what was opened by itself is loaded by a consumer now and so not opened
 * any more, and where it was found through a link that goes, in any. */
static const struct em_edge *find_after(const struct answers *answers, const struct side *after, const struct em_draft *draft,
                                        const struct em_edge *edge, uint32_t request, uint32_t root)
{
    const bool is_opened = answers->first[root] < answers->first[root + 1];
    uint32_t at = answers->here_since[request] == root ? answers->here[request] : 0;

    if (!is_opened || em_map_get(&draft->unlinked, edge->object))
        at = answers->anywhere[request];
    return at > 0 ? &after->diagnosis->edges.items[at - 1] : NULL;
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

/* What is asked in a thousand processes is thought about once, and told once for each answer that is another. */
struct thought {
    bool done, counts;
    uint32_t lost; /* index of the last one that was told plus 1 */
};

static void think(struct thought *thought, struct em_arena *scratch, const struct em_diagnosis *before,
                  const struct em_draft *draft, const struct em_edge *edge)
{
    const struct em_arena_mark mark = em_arena_mark(scratch);

    thought->counts = edge->path && !may_change(before, edge) && !is_given_up(scratch, draft, edge);
    thought->done = true;
    em_arena_rewind(scratch, mark);
}

/* 1: then is as good as before; 0: it is not. */
static int is_kept(struct em_arena *scratch, const struct em_edge *before, const struct em_edge *then)
{
    const struct em_arena_mark mark = em_arena_mark(scratch);
    const int same = then && then->path ? is_same_place(scratch, then->path, before->path) : 0;

    em_arena_rewind(scratch, mark);
    return same < 0 ? EM_NO_MEMORY : same;
}

static int add_lost(struct em_losts *losts, struct em_arena *arena, struct thought *thought, struct em_lost lost)
{
    if (thought->lost > 0 && losts->items[thought->lost - 1].after == lost.after)
        return EM_OK;
    if (em_vec_push(arena, losts, lost) < 0)
        return EM_NO_MEMORY;
    thought->lost = (uint32_t)losts->count;
    return EM_OK;
}

int em_edges_lost(struct em_losts *losts, struct em_arena *arena, const struct em_diagnosis *before,
                  const struct em_diagnosis *after, const struct em_draft *draft)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct numbers numbers = { scratch, { .arena = scratch }, { .arena = scratch } };
    struct side first, second;
    struct answers answers;
    struct thought *thoughts;
    uint32_t root = 0;
    int r = scratch ? number_side(&numbers, &first, before) : EM_NO_MEMORY;

    if (r == EM_OK)
        r = number_side(&numbers, &second, after);
    if (r == EM_OK)
        r = index_answers(&answers, &numbers, &second);
    thoughts = r == EM_OK ? em_arena_array(scratch, before->edges.count + 1, sizeof *thoughts) : NULL;
    if (!thoughts)
        return r < 0 ? r : EM_NO_MEMORY;
    em_vec_each (const struct em_edge_use, use, &before->edges.uses) {
        const struct em_edge *edge = &before->edges.items[use->edge];
        struct thought *thought = &thoughts[use->edge];
        struct em_lost lost = { .before = edge };

        if (!thought->done)
            think(thought, scratch, before, draft, edge);
        if (!thought->counts)
            continue;
        if (root != first.objects[use->root])
            enter_root(&answers, &second, root = first.objects[use->root]);
        lost.after = find_after(&answers, &second, draft, edge, first.requests[use->edge], root);
        r = is_kept(scratch, edge, lost.after);
        if (r == 0)
            r = add_lost(losts, arena, thought, lost);
        if (r < 0)
            return r;
    }
    return EM_OK;
}
