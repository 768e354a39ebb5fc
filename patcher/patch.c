/* patch.c: from edits to a patch, and the object as it will be. */
#include "patcher/check.h"
#include "patcher/in_place.h"
#include "patcher/pages.h"
#include "patcher/rungs.h"

#include <stdio.h>
#include <string.h>

bool em_patch_is_empty(const struct em_patch *patch)
{
    return patch->ranges.count == 0 && patch->new_size == patch->old_size;
}

struct attempt {
    struct em_patch *patch;
    struct em_goal *goal;
    struct em_pieces pieces;
    struct em_chains chains;
    uint32_t allowed;
    enum em_old_strings old;
    bool in_place;
    struct em_error reason; /* why the last candidate was no good */
};

/* Results that are checked before an object is given up: a sound one passes at the first or second. */
#define MAX_CHECKED 16u

/* In place, strings that the object refers to keep their bytes, or all of the patch is one write. */
static bool can_be_written(const struct attempt *attempt, const struct em_layout *layout)
{
    return !attempt->in_place || em_patch_is_one_write(attempt->patch) ||
           (attempt->old == EM_OLD_KEEP && em_layout_keeps_order(layout, attempt->patch));
}

/* 1: the patch is good; 0: it is not, reason says why, and what the layout took is given back. */
static int try_choice(struct attempt *attempt, const struct em_placement *placement, const struct em_choice *choice,
                      unsigned *checked, struct em_error *error)
{
    struct em_arena *arena = attempt->goal->image->arena;
    struct em_arena_mark mark = em_arena_mark(arena);
    struct em_layout layout;
    int r = em_layout_build(&layout, attempt->goal, placement, &attempt->pieces, &attempt->chains, &choice->candidate, error);

    if (r == 1)
        r = em_layout_emit(attempt->patch, &layout, error);
    if (r < 0)
        return r;
    if (r == 1 && can_be_written(attempt, &layout)) {
        attempt->reason = (struct em_error)EM_ERROR_INIT;
        ++*checked;
        r = em_check(attempt->patch, &layout, &attempt->reason);
        if (r == EM_OK)
            return 1;
        if (r == EM_IO || r == EM_NO_MEMORY || r == EM_CHANGED) {
            if (error)
                *error = attempt->reason;
            return r;
        }
    }
    em_arena_rewind(arena, mark);
    return 0;
}

/* As try_choice, of all that the ladder has. */
static int climb(struct attempt *attempt, struct em_error *error)
{
    struct em_placement placement;
    struct em_choices choices = { 0 };
    unsigned checked = 0;
    int r = em_strings_place(&placement, attempt->goal, attempt->allowed, attempt->old, error);

    for (int all = 0; r == 0 && (all == 0 || choices.settled); all++) {
        r = em_choices_find(&choices, attempt->goal, &placement, &attempt->pieces, &attempt->chains, attempt->allowed, all,
                            error);
        for (size_t i = 0; r == 0 && i < choices.count && checked < MAX_CHECKED; i++)
            r = try_choice(attempt, &placement, &choices.items[i], &checked, error);
    }
    return r;
}

static int refuse(struct attempt *attempt, struct em_error *error)
{
    const char *name = attempt->goal->image->name;

    if (attempt->reason.code != EM_OK)
        return em_fail(error, EM_REFUSED, name, "cannot be edited safely: the result %s", attempt->reason.sentence);
    if (attempt->goal->image->has_strtab && !em_pieces_of_kind(&attempt->pieces, EM_PIECE_DYNSTR))
        return em_fail(error, EM_REFUSED, name,
                       "has a dynamic string table that other tables or sections lie across, so it cannot get longer");
    if (attempt->in_place)
        return em_fail(error, EM_REFUSED, name, "cannot be edited in place: a part that is in use would move or change");
    return em_fail(error, EM_REFUSED, name,
                   "has no room for the edit: no padding behind .dynstr, no table that could move, no program header to spare");
}

/* What our own reader refuses is not edited either. */
static int open_image(struct em_image *image, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    struct em_object object;
    int r = em_object_read(&object, arena, reader, error);

    if (r == EM_OK)
        r = em_image_open(image, arena, reader, error);
    if (r == EM_OK && image->unannounced)
        r = em_fail_at(
            error, EM_UNSUPPORTED, image->name, image->dynamic_offset,
            "cannot be edited safely: a tool has left its dynamic section where no PT_LOAD has it, and it works since "
            "pages are mapped as a whole");
    if (r == EM_OK)
        r = em_image_read_sections(image, error);
    if (r == EM_OK && image->sections_beyond_end)
        r = em_fail_at(error, EM_BAD_ELF, image->name, image->shoff, "is cut off: its section headers lie beyond its end");
    return r == EM_OK ? em_image_check_sections(image, error) : r;
}

/* Who edits it by its name later will not find it: worth telling, and no reason against an edit. */
static bool has_unnamed(const struct em_image *image)
{
    for (uint32_t i = 1; image->shdrs && image->shstrndx != SHN_UNDEF && i < image->shnum; i++)
        if (image->shdrs[i].name == 0 && image->shdrs[i].type != SHT_NULL && (image->shdrs[i].flags & SHF_ALLOC))
            return true;
    return false;
}

int em_patch_make(struct em_patch *patch, struct em_arena *arena, struct em_reader *reader, const struct em_edit *edits,
                  size_t count, const struct em_patch_options *options, struct em_error *error)
{
    struct attempt attempt = { .patch = patch, .reason = EM_ERROR_INIT };
    struct em_pages pages;
    struct em_image image;
    struct em_goal goal;
    int r = em_pages_init(&pages, arena, reader);
    bool adopts;

    *patch = (struct em_patch){ .old_size = reader->size, .new_size = reader->size, .rung = EM_RUNG_NONE };
    if (r == EM_OK)
        r = open_image(&image, arena, &pages.reader, error);
    adopts = r == EM_OK && options && options->unannounced && !image.dynamic;
    if (adopts)
        r = em_image_adopt_dynamic(&image, error);
    if (r == EM_OK)
        r = em_goal_start(&goal, &image, error);
    if (r == EM_OK && has_unnamed(&image))
        goal.warning = "a section header refers to an unnamed section; it is known by its place alone";
    goal.adopted = adopts && image.dynamic;
    if (r == EM_OK && goal.adopted)
        goal.warning = "no PT_DYNAMIC announces the dynamic section: no loader will see what is in it";
    for (size_t i = 0; r == EM_OK && i < count; i++)
        r = em_goal_apply(&goal, &edits[i], error);
    if (r == EM_OK)
        r = em_goal_finish(&goal, error);
    if (r < 0 || em_goal_is_reached(&goal))
        return r;
    attempt.goal = &goal;
    attempt.allowed = options && options->rungs ? options->rungs : UINT32_MAX;
    attempt.in_place = options && options->in_place;
    attempt.old = attempt.in_place ? EM_OLD_KEEP : options && options->wipe_paths ? EM_OLD_WIPE : EM_OLD_FREE;
    r = em_pieces_find(&attempt.pieces, &goal, error);
    /* A string table that runs into another table, or that sections know differently, is left as it is. */
    if (r == EM_OK && !em_pieces_of_kind(&attempt.pieces, EM_PIECE_DYNSTR))
        attempt.allowed &= ~(1u << EM_RUNG_OVERWRITE);
    if (r == EM_OK)
        r = em_chains_find(&attempt.chains, &goal, &attempt.pieces, error);
    if (r == EM_OK)
        r = climb(&attempt, error);
    /* A path over the one that it replaces: then its entry need not change. */
    if (r == 0 && attempt.in_place) {
        attempt.old = EM_OLD_FREE;
        r = climb(&attempt, error);
        attempt.old = EM_OLD_KEEP;
    }
    if (r == 0 && (attempt.allowed & (1u << EM_RUNG_OVERWRITE))) {
        attempt.allowed &= ~((1u << EM_RUNG_OVERWRITE) | (1u << EM_RUNG_REUSE));
        r = climb(&attempt, error);
    }
    if (r == 1)
        return EM_OK;
    *patch = (struct em_patch){ .old_size = reader->size, .new_size = reader->size };
    return r < 0 ? r : refuse(&attempt, error);
}

/* ---- the object as it will be ---- */

static int64_t read_patched(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    struct em_patched *patched = context;
    const struct em_patch *patch = patched->patch;
    uint64_t next = patch->new_size;
    size_t low = 0, high = patch->ranges.count;
    int64_t got;

    if (offset >= patch->new_size)
        return 0;
    /* The last range that begins at or before offset. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (patch->ranges.items[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < patch->ranges.count)
        next = patch->ranges.items[low].offset;
    if (length > next - offset)
        length = (size_t)(next - offset);
    if (low > 0) {
        const struct em_patch_range *range = &patch->ranges.items[low - 1];
        uint64_t into = offset - range->offset;

        if (into < range->bytes.size) {
            if (length > range->bytes.size - into)
                length = (size_t)(range->bytes.size - into);
            if (!range->bytes.data)
                return patched->below->read(patched->below->context, buffer, length, range->from + into, error);
            memcpy(buffer, range->bytes.data + into, length);
            return (int64_t)length;
        }
    }
    if (offset >= patch->old_size) {
        memset(buffer, 0, length);
        return (int64_t)length;
    }
    if (length > patch->old_size - offset)
        length = (size_t)(patch->old_size - offset);
    got = patched->below->read(patched->below->context, buffer, length, offset, error);
    return got;
}

void em_patched_init(struct em_patched *patched, struct em_reader *below, const struct em_patch *patch)
{
    *patched = (struct em_patched){ .below = below, .patch = patch };
    patched->reader = (struct em_reader){
        .read = read_patched, .context = patched, .size = patch->new_size, .name = below->name
    };
}
