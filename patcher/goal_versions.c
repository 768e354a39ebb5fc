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

int em_goal_load_versym(struct em_goal *goal, struct em_error *error)
{
    const struct em_dyn *versym = em_image_dyn(goal->image, DT_VERSYM);
    uint64_t size = goal->symbols.count * 2;
    int r;

    if (goal->versym || !versym || !goal->symbols.there || size == 0)
        return EM_OK;
    if (!em_image_offset(goal->image, versym->value, size, &goal->versym_offset))
        return em_fail_at(error, EM_BAD_ELF, goal->image->name, goal->image->dynamic_offset,
                          "has symbol versions (DT_VERSYM) that lead out of their PT_LOAD");
    goal->versym = em_arena_alloc(goal->arena, (size_t)size);
    if (!goal->versym)
        return EM_NO_MEMORY;
    r = em_read_at(goal->image->reader, goal->versym, (size_t)size, goal->versym_offset, error);
    if (r < 0)
        goal->versym = NULL;
    return r;
}

/* Symbols that wanted a version of a file that is gone want any version now: VER_NDX_GLOBAL. */
static int free_symbols(struct em_goal *goal, const struct em_vernaux *aux, size_t count, size_t *freed, struct em_error *error)
{
    int r = em_goal_load_versym(goal, error);

    for (uint64_t i = 0; r == EM_OK && goal->versym && i < goal->symbols.count; i++)
        for (size_t j = 0; j < count; j++)
            if ((em_get16(goal->image, goal->versym + 2 * i) & 0x7fff) == (aux[j].other & 0x7fff)) {
                em_put16(goal->image, goal->versym + 2 * i, VER_NDX_GLOBAL);
                (*freed)++;
                break;
            }
    return r;
}

/* A version that only the cleared symbols wanted: ld.so would refuse to load over it all the same, so it goes too. */
static void drop_unused(struct em_goal *goal, const uint32_t *cleared, size_t count)
{
    for (size_t i = 0; i < goal->needs.records.count; i++) {
        const struct em_verrec *record = &goal->needs.records.items[i];
        size_t left = 0;

        for (size_t j = record->aux_first; j < record->aux_first + record->aux_count; j++) {
            uint16_t index = goal->needs.aux.items[j].other & 0x7fff;
            bool hit = false, used = false;

            for (size_t k = 0; k < count; k++)
                hit = hit || cleared[k] == index;
            for (uint64_t k = 0; hit && !used && k < goal->symbols.count; k++)
                used = (em_get16(goal->image, goal->versym + 2 * k) & 0x7fff) == index;
            if (hit && !used)
                goal->aux_gone[j] = goal->needs_changed = true;
            left += !goal->aux_gone[j];
        }
        if (record->aux_count > 0 && left == 0)
            goal->need_gone[i] = true;
    }
}

int em_goal_clear_version(struct em_goal *goal, const char *symbol, struct em_error *error)
{
    struct {
        EM_VEC(uint32_t);
    } cleared = { 0 };
    int r = em_goal_load_versym(goal, error);

    for (uint64_t i = 1; r == EM_OK && goal->versym && i < goal->symbols.count; i++) {
        uint64_t offset = goal->symbols.offset + i * em_sym_size(goal->image);
        uint16_t index = em_get16(goal->image, goal->versym + 2 * i) & 0x7fff;
        const uint8_t *at;
        bool is_it = false;

        if (index <= VER_NDX_GLOBAL)
            continue;
        r = em_image_peek(goal->image, offset, em_sym_size(goal->image), "a dynamic symbol", &at, error);
        if (r == EM_OK)
            r = em_image_string_is(goal->image, em_get_symbol(goal->image, at).name, symbol, &is_it, error);
        if (r < 0 || !is_it)
            continue;
        em_put16(goal->image, goal->versym + 2 * i, VER_NDX_GLOBAL);
        r = em_vec_push(goal->arena, &cleared, index);
    }
    if (r == EM_OK && cleared.count > 0)
        drop_unused(goal, cleared.items, cleared.count);
    return r;
}

static size_t aux_left(const struct em_goal *goal, const struct em_verrec *record)
{
    size_t left = 0;

    for (size_t i = 0; i < record->aux_count; i++)
        left += !goal->aux_gone[record->aux_first + i];
    return left;
}

static void put_need(struct em_goal *goal, uint8_t *at, const struct em_verrec *record, bool last)
{
    struct em_image *image = goal->image;
    size_t left = aux_left(goal, record), done = 0;

    em_put16(image, at, VER_NEED_CURRENT);
    em_put16(image, at + 2, (uint16_t)left);
    em_put32(image, at + 4, record->file);
    em_put32(image, at + 8, left > 0 ? (uint32_t)RECORD_SIZE : 0);
    em_put32(image, at + 12, last ? 0 : (uint32_t)(RECORD_SIZE * (1 + left)));
    for (size_t i = 0; i < record->aux_count; i++) {
        const struct em_vernaux *aux = &goal->needs.aux.items[record->aux_first + i];

        if (goal->aux_gone[record->aux_first + i])
            continue;
        at += RECORD_SIZE;
        em_put32(image, at, aux->hash);
        em_put16(image, at + 4, aux->flags);
        em_put16(image, at + 6, aux->other);
        em_put32(image, at + 8, aux->name);
        em_put32(image, at + 12, ++done < left ? (uint32_t)RECORD_SIZE : 0);
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
        at += RECORD_SIZE * (1 + aux_left(goal, record));
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

/* A table without records: its tags go, its bytes stay where they are. Without any table of versions, DT_VERSYM must go too: glibc
 * would look up its numbers in an array that it has not made. */
static void drop_tags(struct em_goal *goal)
{
    bool defines = em_goal_dyn(goal, DT_VERDEF) != NULL;

    for (size_t i = goal->dyns.count; i-- > 0;) {
        uint64_t tag = goal->dyns.items[i].tag;

        if (tag != DT_VERNEED && tag != DT_VERNEEDNUM && (tag != DT_VERSYM || defines))
            continue;
        memmove(goal->dyns.items + i, goal->dyns.items + i + 1, (goal->dyns.count - 1 - i) * sizeof *goal->dyns.items);
        goal->dyns.count--;
    }
}

int em_goal_finish_versions(struct em_goal *goal, struct em_error *error)
{
    bool any_gone = false;

    if (!goal->needs_changed)
        return EM_OK;
    for (size_t i = 0; i < goal->needs.records.count; i++)
        any_gone = any_gone || goal->need_gone[i];
    for (size_t i = 0; i < goal->needs.aux.count; i++)
        any_gone = any_gone || goal->aux_gone[i];
    if (any_gone) {
        size_t left = 0;
        int r = write_needs_again(goal, error);

        if (r < 0)
            return r;
        for (size_t i = 0; i < goal->needs.records.count; i++)
            left += !goal->need_gone[i];
        if (left == 0)
            drop_tags(goal);
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
