#include "bundle/diagnose/loading_work.h"

#include <string.h>

/* Missing is worse than an answer from outside, which is worse than one from the environment. */
static int badness(const struct em_loading_work *work, const struct em_case *item)
{
    if (em_case_is_missing(item))
        return 2;
    return item->request->file && em_loading_object(work->loading, &item->request->file->node) ? 0 : 1;
}

#define ANSWERS_COMPARED 8 /* of one request: real ones have one or two in all processes together */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_edge(const struct em_edge *a, const struct em_edge *b)
{
    return a->via == b->via && a->result == b->result && a->rule == b->rule && is_same_text(a->path, b->path) &&
           is_same_text(a->owner, b->owner) && is_same_text(a->name, b->name);
}

/* The edge's index plus 1, if it is among the last that the case was given; 0: it is not. */
static uint32_t known_edge(const struct em_loading_work *work, size_t index, const struct em_edge *edge)
{
    uint32_t at = work->last.items[index];

    for (unsigned i = 0; at > 0 && i < ANSWERS_COMPARED; i++) {
        if (is_same_edge(&work->loading->edges.items[at - 1], edge))
            return at;
        at = work->earlier.items[at - 1];
    }
    return 0;
}

/* What a plan must not lose: the answer to the case at index, without the search that led to it. A library that a thousand modules load
 * asks a thousand times and is answered alike. */
static int keep_edge(struct em_loading_work *work, size_t index, const struct em_case *item)
{
    struct em_edges *edges = &work->loading->edges;
    const struct em_request *request = item->request;
    bool answered = !em_case_is_missing(item);
    struct em_edge edge = {
        .object = item->object->path,
        .name = request->name,
        .via = request->via,
        .result = item->unreachable ? EM_RESULT_MISSING : request->result,
        .rule = request->rule,
        .path = answered ? request->path : NULL,
        .owner = answered && request->owner ? request->owner->name : NULL,
    };

    uint32_t at = known_edge(work, index, &edge);

    if (at == 0) {
        if (em_vec_push(work->arena, edges, edge) < 0 || em_vec_push(work->arena, &work->earlier, work->last.items[index]) < 0)
            return EM_NO_MEMORY;
        work->last.items[index] = at = (uint32_t)edges->count;
    }
    return em_vec_push(work->arena, &edges->uses, (struct em_edge_use){ at - 1, (uint32_t)em_loading_index(work, item->root) });
}

/* As a case that outlives its process. */
static int keep_request(struct em_loading_work *work, struct em_case *item)
{
    item->request = em_request_keep(work->arena, item->request);
    return item->request ? EM_OK : EM_NO_MEMORY;
}

static int keep_case(struct em_loading_work *work, struct em_case item)
{
    char *key = em_loading_key(work->scratch, em_loading_index(work, item.object), em_case_name(&item));
    struct em_case *known;
    size_t index;
    int r;

    if (!key)
        return EM_NO_MEMORY;
    index = (size_t)(uintptr_t)em_map_get(&work->by_request, key);
    if (index > 0) {
        if (keep_edge(work, index - 1, &item) < 0)
            return EM_NO_MEMORY;
        known = &work->loading->cases.items[index - 1];
        /* A consumer that an import reaches counts before an object opened by itself. */
        item.inherited = item.inherited || known->inherited;
        if (badness(work, &item) > badness(work, known)) {
            r = keep_request(work, &item);
            if (r < 0)
                return r;
            *known = item;
        }
        known->inherited = item.inherited;
        return EM_OK;
    }
    r = keep_request(work, &item);
    if (r == EM_OK)
        r = em_vec_push(work->arena, &work->loading->cases, item);
    if (r == EM_OK)
        r = em_vec_push(work->arena, &work->last, 0);
    if (r == EM_OK)
        r = keep_edge(work, work->loading->cases.count - 1, &item);
    return r < 0 ? r : em_loading_put(work, &work->by_request, key, (void *)(uintptr_t)work->loading->cases.count);
}

static struct em_openings *openings_of(struct em_loading_work *work, const struct em_env_object *object,
                                       const struct em_object *elf, int *r)
{
    struct em_openings *openings = work->openings[em_loading_index(work, object)];

    *r = EM_OK;
    if (openings)
        return openings;
    openings = em_new(work->arena, struct em_openings);
    *r = EM_NO_MEMORY;
    if (!openings)
        return NULL;
    *r = em_openings_of(openings, work->arena, work->knowledge, work->env->tree, object->path, elf, work->cache,
                        &work->loading->bytes_read, work->error);
    if (*r < 0)
        return NULL;
    work->openings[em_loading_index(work, object)] = openings;
    return openings;
}

/* Asks for an opening's names in turn, as the object would; the last answer is the one to the wanted name if none is found. */
static int ask_opening(struct em_process *process, const struct em_loaded *caller, const struct em_opening *opening,
                       struct em_request **answer)
{
    struct em_request *wanted = NULL;

    em_vec_each (const char *, name, &opening->names) {
        int r = em_process_ask(process, *name, caller, EM_VIA_DLOPEN, answer);

        if (r < 0)
            return r;
        if (!em_request_is_unanswered(*answer))
            return EM_OK;
        if (strcmp(*name, opening->wanted) == 0)
            wanted = *answer;
    }
    if (wanted)
        *answer = wanted;
    return EM_OK;
}

/* A member that another member opens can be had only if that one can. It is then asked for in that one's own process. */
static bool through_is_missing(const struct em_openings *openings, const bool *missing, const struct em_opening *opening)
{
    for (size_t i = 0; i < openings->count; i++) {
        const char *member = openings->items[i].entry->member;

        if (member && strcmp(member, opening->entry->through) == 0)
            return missing[i];
    }
    return false;
}

/* Of each object of a process: DT_RPATH of an object that loaded it, or of the main program, found something for it. NULL: no memory. */
static const bool *find_heirs(struct em_loading_work *work, const struct em_process *process)
{
    bool *heirs = em_arena_array(work->scratch, process->objects.count + 1, sizeof *heirs);

    em_vec_each (struct em_request *, at, &process->requests) {
        const struct em_request *request = *at;

        if (heirs && request->from && request->rule == EM_RULE_RPATH && request->owner && request->owner != request->from)
            heirs[request->from->index] = true;
    }
    return heirs;
}

/* Writes down what objects of the environment asked for since the open began. */
static int keep_requests(struct em_loading_work *work, const struct em_process *process, const struct em_open *open,
                         const bool *heirs, struct em_case base)
{
    for (size_t i = open->first_request; i < process->requests.count; i++) {
        struct em_case item = base;
        int r;

        item.request = process->requests.items[i];
        item.object = item.request->from && item.request->from->file
                          ? em_loading_object(work->loading, &item.request->from->file->node)
                          : NULL;
        if (!item.object)
            continue;
        item.inherited = heirs[item.request->from->index];
        r = keep_case(work, item);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* What answers an opening is opened as a root of its own elsewhere, under its own path. Found through a link it has another $ORIGIN,
 * so that path is tried here. */
static int open_through_link(struct em_loading_work *work, struct em_process *process, const struct em_loaded *caller,
                             const struct em_request *answer, struct em_case base)
{
    const struct em_env_object *object = answer->file ? em_loading_object(work->loading, &answer->file->node) : NULL;
    struct em_process *fork;
    struct em_open open;
    const bool *heirs;
    int r;

    if (!object || !em_loading_is_link(work->scratch, work->env->tree, answer->path, object))
        return EM_OK;
    r = em_process_fork(&fork, process, work->scratch);
    if (r < 0)
        return r;
    fork->keep_going = true;
    r = em_process_open(fork, answer->name, fork->objects.items[caller->index], &open);
    if (r < 0)
        return r;
    heirs = find_heirs(work, fork);
    return heirs ? keep_requests(work, fork, &open, heirs, base) : EM_NO_MEMORY;
}

static int ask_openings(struct em_loading_work *work, struct em_process *process, const struct em_loaded *loaded,
                        struct em_case base)
{
    int r;
    struct em_openings *openings = openings_of(work, base.object, &loaded->file->object, &r);
    bool *missing;

    if (!openings)
        return r;
    missing = em_arena_array(work->scratch, openings->count, sizeof *missing);
    if (!missing)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < openings->count; i++) {
        struct em_case item = base;
        struct em_request *answer;

        item.opening = &openings->items[i];
        if (item.opening->entry->through) {
            if (!through_is_missing(openings, missing, item.opening))
                continue;
            item.unreachable = true;
        }
        r = ask_opening(process, loaded, item.opening, &answer);
        if (r < 0)
            return r;
        item.request = answer;
        missing[i] = em_case_is_missing(&item) || em_case_is_by_luck(&item, work->loading, work->knowledge);
        r = keep_case(work, item);
        if (r == EM_OK && !missing[i])
            r = open_through_link(work, process, loaded, answer, base);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int gather_requests(struct em_loading_work *work, struct em_process *process, const struct em_open *open,
                           const struct em_env_object *root, bool by_import)
{
    const bool *heirs = find_heirs(work, process);
    int r = heirs ? keep_requests(work, process, open, heirs, (struct em_case){ .root = root, .by_import = by_import })
                  : EM_NO_MEMORY;

    if (r < 0)
        return r;
    for (size_t i = 0; i < process->objects.count; i++) {
        const struct em_loaded *loaded = process->objects.items[i];
        struct em_case item = { .root = root, .by_import = by_import };

        item.object = loaded->file ? em_loading_object(work->loading, &loaded->file->node) : NULL;
        if (!item.object)
            continue;
        item.inherited = heirs[i];
        work->met[em_loading_index(work, item.object)] = true;
        if (by_import && em_loading_put(work, &work->loading->imported,
                                        em_loading_import_key(work->scratch, item.object, root->owner), work) < 0)
            return EM_NO_MEMORY;
        if (by_import)
            work->loading->reached[em_loading_index(work, item.object)] = true;
        r = ask_openings(work, process, loaded, item);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int note_versions(struct em_loading_work *work, const struct em_open *open, bool by_import)
{
    em_vec_each (const struct em_version_problem, problem, &open->versions) {
        struct em_version_miss miss = { .version = problem->version, .why = problem->why, .by_import = by_import };
        char *key;

        miss.object = problem->from->file ? em_loading_object(work->loading, &problem->from->file->node) : NULL;
        if (problem->weak || !miss.object)
            continue;
        key = em_arena_printf(work->scratch, "%zx\nversion\n%s", em_loading_index(work, miss.object),
                              problem->version ? problem->version : problem->why);
        if (!key)
            return EM_NO_MEMORY;
        if (em_map_get(&work->by_request, key))
            continue;
        if (em_loading_put(work, &work->by_request, key, work) < 0 ||
            em_vec_push(work->arena, &work->loading->versions, miss) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int note_refused(struct em_loading_work *work, const struct em_env_object *root, const struct em_request *request,
                        bool by_import)
{
    struct em_refused_root refused = { .root = root, .by_import = by_import };

    refused.request = em_request_keep(work->arena, request);
    return refused.request ? em_vec_push(work->arena, &work->loading->refused, refused) : EM_NO_MEMORY;
}

int em_loading_gather(struct em_loading_work *work, struct em_process *process, const struct em_open *open,
                      const struct em_env_object *root, bool by_import)
{
    int r = EM_OK;

    if (!open->ok && open->failure && !open->failure->from && open->failure->result == EM_RESULT_REFUSED)
        r = note_refused(work, root, open->failure, by_import);
    if (r == EM_OK)
        r = note_versions(work, open, by_import);
    return r < 0 ? r : gather_requests(work, process, open, root, by_import);
}
