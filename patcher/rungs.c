#include "patcher/rungs.h"

#include <stdlib.h>
#include <string.h>

#define MAX_EVICTIONS 24u /* ways to evict that are worth a try for each target; more never came up */
/* What all layouts of one search may cost, in looks at a section or header for each program header: a second. An object with 14 headers
 * and 70,000 sections gets a thousand layouts, one with the 40 of a common library more than there are. */
#define MAX_LOOKS ((uint64_t)1 << 30)

struct search {
    struct em_choices *choices;
    struct em_goal *goal;
    const struct em_placement *placement;
    const struct em_pieces *pieces;
    const struct em_chains *chains;
    struct em_error *error;
    uint64_t looks; /* that the layouts so far took */
    uint32_t allowed;
    bool all;           /* even where the first one cannot be outdone */
    bool wants_strings; /* .dynstr gets longer */
    bool wants_target;  /* something goes elsewhere, whatever happens to .dynstr */
    bool moves_interpreter;
    bool wants_header; /* PT_GNU_STACK is missing */
};

/* Builds one candidate and remembers it if it fits. The layout goes again: thousands are tried where there are many segments. */
static int try(struct search *search, struct em_candidate candidate)
{
    const struct em_image *image = search->goal->image;
    struct em_arena_mark mark = em_arena_mark(image->arena);
    struct em_choice choice = { .candidate = candidate };
    struct em_layout layout;
    int r;

    if (search->looks > MAX_LOOKS)
        return 0;
    search->looks += image->phnum * ((uint64_t)image->phnum + image->shnum);
    r = em_layout_build(&layout, search->goal, search->placement, search->pieces, search->chains, &candidate, search->error);
    choice.rung = layout.rung;
    choice.growth = layout.growth;
    choice.moved_bytes = layout.moved_bytes;
    choice.writable = candidate.target < image->phnum && (image->phdrs[candidate.target].flags & PF_W);
    em_arena_rewind(image->arena, mark);
    if (r != 1 || !(search->allowed & (1u << choice.rung)))
        return r < 0 ? r : 0;
    r = em_vec_push(search->goal->arena, search->choices, choice);
    return r < 0 ? r : 1;
}

static int try_targets(struct search *search, struct em_candidate candidate, bool wanted)
{
    const struct em_image *image = search->goal->image;
    int r = EM_OK;

    if (!wanted) {
        candidate.target = EM_TARGET_NONE;
        r = try(search, candidate);
        if (r < 0 || (!search->wants_header && candidate.slot == EM_SLOT_SPARE))
            return r;
    }
    for (uint32_t i = 0; r >= 0 && i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type != PT_LOAD || phdr->filesz == 0 || phdr->filesz != phdr->memsz)
            continue;
        candidate.target = i;
        r = try(search, candidate);
    }
    candidate.target = EM_TARGET_NEW;
    return r < 0 ? r : try(search, candidate);
}

/* Whether a chain has room once these are gone. The segment's end counts as it is: an extension makes eviction pointless. */
static bool makes_room(const struct search *search, const struct em_chain *chain, uint64_t at, uint32_t evict)
{
    const struct em_phdr *load = &search->goal->image->phdrs[chain->load];
    uint64_t end = chain->barrier != UINT64_MAX ? chain->barrier : load->vaddr + load->filesz;

    for (size_t i = 0; i < chain->count; i++) {
        const struct em_piece *piece = &search->pieces->items[chain->items[i]];
        uint64_t size = piece->size, wanted = search->placement->appended_at + search->placement->appended_size;

        if ((evict & (1u << i)) || (piece->kind == EM_PIECE_INTERP && search->moves_interpreter))
            continue;
        if (piece->kind == EM_PIECE_DYNSTR && search->wants_strings && wanted > size)
            size = wanted;
        at = at <= piece->addr ? piece->addr : em_round_up(at, piece->align);
        at += size;
    }
    return at <= end;
}

struct eviction {
    uint32_t set;
    uint64_t size;
};

static int by_size(const void *a, const void *b)
{
    const struct eviction *x = a, *y = b;

    return x->size < y->size ? -1 : x->size > y->size;
}

/* The sets that make room and of which nothing can be left out, the smallest first. */
static int try_evictions(struct search *search, const struct em_chain *chain, uint64_t at, struct em_candidate candidate)
{
    struct {
        EM_VEC(struct eviction);
    } found = { 0 };
    int r = EM_OK;

    for (uint32_t set = 1; at != 0 && set < 1u << chain->count; set++) {
        struct eviction eviction = { .set = set };
        bool minimal = makes_room(search, chain, at, set);

        for (uint32_t bit = 1; minimal && bit <= set; bit <<= 1)
            minimal = !(set & bit) || !makes_room(search, chain, at, set & ~bit);
        for (size_t i = 0; minimal && i < chain->count; i++)
            eviction.size += set & (1u << i) ? search->pieces->items[chain->items[i]].size : 0;
        if (minimal)
            r = em_vec_push(search->goal->arena, &found, eviction);
        if (r < 0)
            return r;
    }
    if (found.count > 1)
        qsort(found.items, found.count, sizeof *found.items, by_size);
    for (size_t i = 0; r >= 0 && i < found.count && i < MAX_EVICTIONS; i++) {
        candidate.evict = found.items[i].set;
        r = try_targets(search, candidate, true);
    }
    return r < 0 ? r : EM_OK;
}

/* Rung 7: the table grows over its neighbours. They give way by a push or an eviction, .dynstr too if it is among them; else it is
 * pushed or copied as ever. */
static int try_grown_headers(struct search *search, struct em_candidate candidate)
{
    const struct em_chain *chain = &search->chains->headers;
    int r;

    candidate.slot = EM_SLOT_GROW;
    r = try_targets(search, candidate, true);
    for (int more = 0; r >= 0 && more <= 1; more++) {
        /* With and without a new segment the table has different lengths, so other sets make room. */
        candidate.target = more ? EM_TARGET_NEW : EM_TARGET_NONE;
        if (em_headers_wanted(search->goal, &candidate) == 0)
            continue;
        r = try_evictions(search, chain, em_headers_end(search->goal->image, em_headers_wanted(search->goal, &candidate)),
                          candidate);
    }
    return r;
}

/* Nothing goes anywhere else, no header is added, the file gets no longer: no other candidate has as much merit. */
static bool is_settled(const struct search *search)
{
    const struct em_choice *first = search->choices->items;

    return !search->all && search->choices->count == 1 && first->growth == 0 && first->rung <= EM_RUNG_SLIDE &&
           first->candidate.target == EM_TARGET_NONE;
}

static int try_strings(struct search *search, struct em_candidate candidate)
{
    bool wanted = search->wants_target || candidate.move_dynamic, found;
    const struct em_chain *chain = &search->chains->strings;
    struct em_candidate copied = candidate;
    int r = EM_OK;

    if (search->wants_strings && chain->count == 0)
        return EM_OK;
    copied.copy = search->wants_strings;
    for (candidate.slot = EM_SLOT_SPARE; r >= 0 && candidate.slot <= EM_SLOT_MOVE; candidate.slot++) {
        if (candidate.slot == EM_SLOT_GROW)
            continue;
        r = try_targets(search, candidate, wanted);
        search->choices->settled = r >= 0 && is_settled(search);
        if (search->choices->settled)
            return EM_OK;
        if (r >= 0 && search->wants_strings) {
            const struct em_piece *dynstr = &search->pieces->items[chain->items[0]];

            r = try_evictions(search, chain, dynstr->addr, candidate);
        }
    }
    found = false;
    em_vec_each (struct em_choice, choice, search->choices)
        found = found || choice->rung < EM_RUNG_GROW_HEADERS;
    if (r < 0 || found)
        return r < 0 ? r : EM_OK;
    candidate.slot = EM_SLOT_SPARE;
    r = try_grown_headers(search, candidate);
    return r < 0 || !copied.copy ? r : try_grown_headers(search, copied);
}

static int by_merit(const void *a, const void *b)
{
    const struct em_choice *x = a, *y = b;
    unsigned last_x = x->rung >= EM_RUNG_GROW_HEADERS ? x->rung : 0, last_y = y->rung >= EM_RUNG_GROW_HEADERS ? y->rung : 0;

    if (last_x != last_y)
        return last_x < last_y ? -1 : 1;
    if (x->growth != y->growth)
        return x->growth < y->growth ? -1 : 1;
    if (x->rung != y->rung)
        return x->rung < y->rung ? -1 : 1;
    if (x->writable != y->writable)
        return x->writable ? 1 : -1;
    return x->moved_bytes < y->moved_bytes ? -1 : x->moved_bytes > y->moved_bytes;
}

int em_choices_find(struct em_choices *choices, struct em_goal *goal, const struct em_placement *placement,
                    const struct em_pieces *pieces, const struct em_chains *chains, uint32_t allowed, bool all,
                    struct em_error *error)
{
    struct search search = { .choices = choices,
                             .goal = goal,
                             .placement = placement,
                             .pieces = pieces,
                             .chains = chains,
                             .error = error,
                             .allowed = allowed,
                             .all = all,
                             .wants_strings = placement->appended_size > 0 };
    const struct em_image *image = goal->image;
    struct em_candidate plain = { .target = EM_TARGET_NONE };
    bool stack = false;
    int r = EM_OK;

    *choices = (struct em_choices){ 0 };
    for (uint32_t i = 0; i < image->phnum; i++)
        stack = stack || image->phdrs[i].type == PT_GNU_STACK;
    search.wants_header = goal->stack >= 0 && !stack;
    em_vec_each (const struct em_piece, piece, pieces)
        if (piece->kind == EM_PIECE_INTERP && goal->interpreter && strlen(goal->interpreter) + 1 > piece->size)
            search.wants_target = search.moves_interpreter = true;
    if (goal->dyns.count + 1 <= image->dyn_slots || !image->dynamic)
        r = try_strings(&search, plain);
    else {
        struct em_candidate drop = { .target = EM_TARGET_NONE, .drop_count = true };
        struct em_candidate move = { .target = EM_TARGET_NONE, .move_dynamic = true };

        if (em_goal_dyn(goal, DT_RELACOUNT) || em_goal_dyn(goal, DT_RELCOUNT))
            r = try_strings(&search, drop);
        if (r == EM_OK)
            r = try_strings(&search, move);
    }
    if (choices->count > 1)
        qsort(choices->items, choices->count, sizeof *choices->items, by_merit);
    return r;
}
