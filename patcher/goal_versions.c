/* goal_versions.c: what edits do to .gnu.version_r and .gnu.version.
 *
 * ld.so looks up each vn_file among the names of the loaded objects, and ends the process when it finds none
 * (_dl_check_map_versions: `needed != NULL'). So a file that is renamed or removed in DT_NEEDED is renamed or removed here as well.
 */
#include "patcher/goal.h"

#include <string.h>

#define RECORD_SIZE ((size_t)16) /* Elf*_Verneed and Elf*_Vernaux */

static int file_of(struct em_goal *goal, size_t record, const char **file, struct em_error *error)
{
    if (goal->need_file[record] != EM_NO_STRING) {
        *file = goal->strings.items[goal->need_file[record]].text;
        return EM_OK;
    }
    return em_image_string(goal->image, goal->needs.records.items[record].file, file, error);
}

int em_goal_replace_file(struct em_goal *goal, const char *file, const char *replacement, struct em_error *error)
{
    for (size_t i = 0; i < goal->needs.records.count; i++) {
        const char *now;
        int r = goal->need_gone[i] ? EM_OK : file_of(goal, i, &now, error);

        if (r < 0)
            return r;
        if (goal->need_gone[i] || strcmp(now, file) != 0)
            continue;
        r = em_goal_want(goal, replacement, &goal->need_file[i]);
        if (r < 0)
            return r;
        goal->needs_changed = true;
    }
    return EM_OK;
}

int em_goal_remove_file(struct em_goal *goal, const char *file, struct em_error *error)
{
    for (size_t i = 0; i < goal->needs.records.count; i++) {
        const char *now;
        int r = goal->need_gone[i] ? EM_OK : file_of(goal, i, &now, error);

        if (r < 0)
            return r;
        if (goal->need_gone[i] || strcmp(now, file) != 0)
            continue;
        goal->need_gone[i] = true;
        goal->needs_changed = true;
    }
    return EM_OK;
}

static bool versym_offset(const struct em_goal *goal, uint64_t *offset)
{
    const struct em_dyn *versym = em_image_dyn(goal->image, DT_VERSYM);

    return versym && goal->symbols.there && em_image_offset(goal->image, versym->value, goal->symbols.count * 2, offset);
}

/* Symbols that wanted a version of a file that is gone want any version now: VER_NDX_GLOBAL. */
static int free_symbols(struct em_goal *goal, const struct em_vernaux *aux, size_t count, size_t *freed, struct em_error *error)
{
    uint64_t offset;

    if (!versym_offset(goal, &offset))
        return EM_OK;
    for (uint64_t i = 0; i < goal->symbols.count; i++) {
        const uint8_t *at;
        uint8_t global[2];
        int r = em_image_peek(goal->image, offset + 2 * i, 2, "a symbol's version", &at, error);

        if (r < 0)
            return r;
        for (size_t j = 0; j < count; j++) {
            if ((em_get16(goal->image, at) & 0x7fff) != (aux[j].other & 0x7fff))
                continue;
            em_put16(goal->image, global, VER_NDX_GLOBAL);
            r = em_goal_change(goal, offset + 2 * i, global, sizeof global);
            if (r < 0)
                return r;
            (*freed)++;
            break;
        }
    }
    return EM_OK;
}

static void put_need(struct em_goal *goal, uint8_t *at, const struct em_verrec *record, bool last)
{
    struct em_image *image = goal->image;

    em_put16(image, at, VER_NEED_CURRENT);
    em_put16(image, at + 2, (uint16_t)record->aux_count);
    em_put32(image, at + 4, record->file);
    em_put32(image, at + 8, record->aux_count > 0 ? (uint32_t)RECORD_SIZE : 0);
    em_put32(image, at + 12, last ? 0 : (uint32_t)(RECORD_SIZE * (1 + record->aux_count)));
    for (size_t i = 0; i < record->aux_count; i++) {
        const struct em_vernaux *aux = &goal->needs.aux.items[record->aux_first + i];

        at += RECORD_SIZE;
        em_put32(image, at, aux->hash);
        em_put16(image, at + 4, aux->flags);
        em_put16(image, at + 6, aux->other);
        em_put32(image, at + 8, aux->name);
        em_put32(image, at + 12, i + 1 < record->aux_count ? (uint32_t)RECORD_SIZE : 0);
    }
}

/* The records that stay, one behind the other in the old place; the rest of it is zero. */
static int write_needs_again(struct em_goal *goal, struct em_error *error)
{
    size_t size = 0, at = 0, left = 0, freed = 0;
    struct em_goal_dyn *dyn;
    uint8_t *table;
    int r = EM_OK;

    for (size_t i = 0; i < goal->needs.records.count; i++) {
        size += RECORD_SIZE * (1 + goal->needs.records.items[i].aux_count);
        left += !goal->need_gone[i];
    }
    /* Records that share their versions would not fit where they were; no linker writes such a table. */
    if (size > goal->needs.size)
        return em_fail_at(error, EM_REFUSED, goal->image->name, goal->needs.offset,
                          "has needed versions (DT_VERNEED) whose records overlap, so none can be removed");
    table = em_arena_alloc(goal->arena, (size_t)goal->needs.size);
    if (!table)
        return EM_NO_MEMORY;
    for (size_t i = 0, done = 0; r == EM_OK && i < goal->needs.records.count; i++) {
        const struct em_verrec *record = &goal->needs.records.items[i];

        if (goal->need_gone[i]) {
            r = free_symbols(goal, goal->needs.aux.items + record->aux_first, record->aux_count, &freed, error);
            continue;
        }
        put_need(goal, table + at, record, ++done == left);
        if (goal->need_file[i] != EM_NO_STRING)
            r = em_vec_push(goal->arena, &goal->refs, (struct em_goal_ref){ goal->needs.offset + at + 4, goal->need_file[i] });
        at += RECORD_SIZE * (1 + record->aux_count);
    }
    if (r == EM_OK)
        r = em_goal_change(goal, goal->needs.offset, table, (size_t)goal->needs.size);
    if (r < 0)
        return r;
    if (freed > 0)
        goal->warning = "symbols that wanted a version of the removed library are looked up without a version now";
    dyn = em_goal_dyn(goal, DT_VERNEEDNUM);
    if (dyn)
        dyn->value = left;
    return EM_OK;
}

int em_goal_finish_versions(struct em_goal *goal, struct em_error *error)
{
    bool any_gone = false;

    if (!goal->needs_changed)
        return EM_OK;
    for (size_t i = 0; i < goal->needs.records.count; i++)
        any_gone = any_gone || goal->need_gone[i];
    if (any_gone) {
        size_t left = 0;
        int r = write_needs_again(goal, error);

        if (r < 0)
            return r;
        for (size_t i = 0; i < goal->needs.records.count; i++)
            left += !goal->need_gone[i];
        /* A table without records: its tags go, its bytes stay where they are. */
        for (size_t i = goal->dyns.count; left == 0 && i-- > 0;)
            if (goal->dyns.items[i].tag == DT_VERNEED || goal->dyns.items[i].tag == DT_VERNEEDNUM) {
                memmove(goal->dyns.items + i, goal->dyns.items + i + 1, (goal->dyns.count - 1 - i) * sizeof *goal->dyns.items);
                goal->dyns.count--;
            }
        return EM_OK;
    }
    for (size_t i = 0; i < goal->needs.records.count; i++) {
        struct em_goal_ref ref = { goal->needs.records.items[i].offset + 4, goal->need_file[i] };
        int r = ref.string == EM_NO_STRING ? EM_OK : em_vec_push(goal->arena, &goal->refs, ref);

        if (r < 0)
            return r;
    }
    return EM_OK;
}
