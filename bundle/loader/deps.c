/* deps.c: all that an object needs, breadth first, as _dl_map_object_deps goes through it (elf/dl-deps.c). */
#include "bundle/loader/room.h"

#include <string.h>

/* glibc's list of maps, with its trick: an auxiliary object takes the node of the object that named it, and that moves one on. */
struct node {
    struct loaded *object;
    bool done;
    struct node *next;
};

/* Filters that name each other move each other forward for ever, and glibc with them, until its stack is full. */

struct walk {
    struct process *process;
    struct em_open *open;
    struct node *first, *tail;
    unsigned moves;
};

static struct node *new_node(struct walk *walk, struct loaded *object)
{
    struct node *node = em_new(em_process_arena(walk->process), struct node);

    if (node)
        node->object = object;
    return node;
}

static int append(struct walk *walk, struct loaded *object)
{
    struct node *node;

    if (object->listed)
        return EM_OK;
    node = new_node(walk, object);
    if (!node)
        return EM_NO_MEMORY;
    object->listed = true;
    if (walk->tail)
        walk->tail->next = node;
    else
        walk->first = node;
    walk->tail = node;
    return EM_OK;
}

/* One request of object. NULL in *answer: a token had no value. */
static int ask(struct walk *walk, struct loaded *object, const char *written, enum em_via via, struct em_request **answer)
{
    struct process *process = walk->process;
    struct em_arena *arena = em_process_arena(process);
    struct question question = { .from = object, .written = written, .via = via };
    size_t before = process->base.requests.count;
    int r;

    *answer = NULL;
    question.name = em_tokens_expand(arena, process->base.loader->world, object->base.origin, object->base.is_main, written);
    question.name = em_loader_text(process->base.loader, question.name);
    if (!question.name)
        return EM_NO_MEMORY;
    if (!*question.name)
        return EM_OK;
    r = em_glibc_request(process, &question, answer);
    /* Needs of what was complete before this open say nothing new. */
    if (r == EM_OK && (*answer)->result == EM_RESULT_REUSED && !object->fresh)
        process->base.requests.count = before;
    return r;
}

static int needed(struct walk *walk, struct loaded *object, const char *name)
{
    struct em_request *answer;
    int r = ask(walk, object, name, EM_VIA_NEEDED, &answer);

    /* expand_dst is called with its "fatal" the wrong way round: a NEEDED whose token has no value is passed over. */
    if (r < 0 || !answer)
        return r;
    if (answer->to)
        return append(walk, (struct loaded *)answer->to);
    em_open_fail(walk->process, walk->open, answer, answer->why);
    return EM_OK;
}

/* Moves object right before other in load order. After a failure nothing moves any more: the loader did not get that far. */
static void move_before(struct process *process, struct loaded *object, struct loaded *other)
{
    struct em_loadeds *list = &process->base.objects;
    size_t from = object->base.index, to;

    if (process->failed)
        return;
    memmove(list->items + from, list->items + from + 1, (list->count - from - 1) * sizeof *list->items);
    for (to = 0; to < list->count - 1 && list->items[to] != &other->base; to++)
        continue;
    memmove(list->items + to + 1, list->items + to, (list->count - 1 - to) * sizeof *list->items);
    list->items[to] = &object->base;
    for (size_t i = 0; i < list->count; i++)
        list->items[i]->index = i;
    em_present_forget(process, PRESENT_MOVED);
}

/* DT_FILTER and DT_AUXILIARY: like a need, but the object comes before the one that names it. *node is the node of that one, and
 * of it again afterwards. */
static int filter(struct walk *walk, struct node **node, const char *name, bool auxiliary)
{
    struct node *orig = *node, *moved, *late;
    struct loaded *aux;
    struct em_request *answer;
    int r = ask(walk, orig->object, name, EM_VIA_FILTER, &answer);

    if (r < 0)
        return r;
    if (answer)
        answer->optional = auxiliary;
    if (!answer || !answer->to) {
        if (answer ? !auxiliary : auxiliary)
            em_open_fail(walk->process, walk->open, answer, answer ? answer->why : "empty dynamic string token substitution");
        return EM_OK;
    }
    aux = (struct loaded *)answer->to;
    moved = new_node(walk, orig->object);
    if (!moved)
        return EM_NO_MEMORY;
    *moved = *orig;
    if (aux->listed) {
        for (late = moved; late->next && late->next->object != aux; late = late->next)
            continue;
        /* Somewhere before: it is early enough. */
        if (!late->next)
            return EM_OK;
        if (++walk->moves > EM_MAX_MOVES)
            return EM_OK;
        orig->object = aux;
        orig->done = false;
        orig->next = moved;
        if (walk->tail == late->next)
            walk->tail = late;
        late->next = late->next->next;
    } else {
        orig->object = aux;
        orig->done = false;
        orig->next = moved;
        aux->listed = true;
    }
    move_before(walk->process, aux, moved->object);
    if (walk->tail == orig)
        walk->tail = moved;
    *node = moved;
    return EM_OK;
}

static int visit(struct walk *walk, struct node *node)
{
    struct loaded *object = node->object;
    const struct em_object *file = &object->base.file->object;
    int r = EM_OK;

    node->done = true;
    for (size_t i = 0; r == EM_OK && i < file->needed.count; i++)
        r = needed(walk, object, file->needed.items[i]);
    /* The order in .dynamic between these three is the linker's, which is this one. */
    for (size_t i = 0; r == EM_OK && i < file->filters.count; i++)
        r = filter(walk, &node, file->filters.items[i], false);
    for (size_t i = 0; r == EM_OK && i < file->auxiliaries.count; i++)
        r = filter(walk, &node, file->auxiliaries.items[i], true);
    return r;
}

int em_glibc_deps(struct process *process, struct loaded *root, const struct em_loadeds *preloads, struct em_open *open,
                  struct em_loadeds *list)
{
    struct walk walk = { .process = process, .open = open };
    int r = append(&walk, root);

    for (size_t i = 0; r == EM_OK && preloads && i < preloads->count; i++)
        r = append(&walk, (struct loaded *)preloads->items[i]);
    for (struct node *node = walk.first; r == EM_OK && node;) {
        r = visit(&walk, node);
        if (walk.moves > EM_MAX_MOVES) {
            open->aborts = !process->failed;
            em_open_fail(process, open, NULL, "filters name each other: the loader goes round until its stack overflows");
            node = NULL;
        }
        while (node && node->done)
            node = node->next;
    }
    for (struct node *node = walk.first; node; node = node->next) {
        node->object->listed = false;
        if (r == EM_OK)
            r = em_vec_push(em_process_arena(process), list, &node->object->base);
    }
    return r;
}
