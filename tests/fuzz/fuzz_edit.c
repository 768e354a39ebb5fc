/* An object is edited. The last 64 bytes of the input are the edits, what stands before them is the object. A refusal is fine; a
 * patch that changes something must keep its word. Holds: the result is an object, each kind of edit shows in it, bytes outside of the ranges and of the
 * tail are not touched, and the same edit again changes nothing.
 */
#include "patcher/patcher.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define TAIL 64u
#define KINDS (EM_EDIT_ADD_RPATH + 1)

/* One edit in 16 bytes: kind, tag, number, length of the value; twelve bytes of value, repeated as often as makes that length. */
static struct em_edit edit_of(const uint8_t *at, struct em_arena *arena)
{
    static const char alphabet[] = "$ORIGIN/.:-_abcdefghijklmnopqrstuvwxyz0123456789libso";
    struct em_edit edit = { .kind = (enum em_edit_kind)(at[0] % KINDS), .tag = (enum em_path_tag)(at[1] % 3), .number = at[2] };
    const size_t length = 1 + (at[3] < 200 ? at[3] % 60u : (size_t)(at[3] - 199) * 200);
    char *value = em_arena_alloc(arena, length + 1);

    if (!value)
        abort();
    for (size_t i = 0; i < length; i++)
        value[i] = alphabet[at[4 + i % 12] % (sizeof alphabet - 1)];
    edit.value = at[4] == 0xff ? "libc.so.6" : at[4] == 0xfe ? "$ORIGIN/../lib" : value;
    edit.replacement = value;
    return edit;
}

/* What must be seen in the result of that one edit. */
static void check_shows(const struct em_edit *edit, const struct em_object *object)
{
    bool has = false;

    em_vec_each (const char *, needed, &object->needed)
        has = has || strcmp(*needed, edit->value) == 0;
    switch (edit->kind) {
    case EM_EDIT_SET_RPATH: {
        const char *path = object->runpath ? object->runpath : object->rpath;

        FUZZ_HOLDS(path && strcmp(path, edit->value) == 0);
        break;
    }
    case EM_EDIT_REMOVE_RPATH: FUZZ_HOLDS(!object->rpath && !object->runpath); break;
    case EM_EDIT_ADD_NEEDED: FUZZ_HOLDS(has); break;
    case EM_EDIT_REMOVE_NEEDED: FUZZ_HOLDS(!has); break;
    case EM_EDIT_SET_SONAME: FUZZ_HOLDS(object->soname && strcmp(object->soname, edit->value) == 0); break;
    case EM_EDIT_SET_INTERPRETER: FUZZ_HOLDS(object->interpreter && strcmp(object->interpreter, edit->value) == 0); break;
    case EM_EDIT_CLEAR_EXECSTACK: FUZZ_HOLDS(object->stack == EM_STACK_PLAIN); break;
    case EM_EDIT_SET_EXECSTACK: FUZZ_HOLDS(object->stack == EM_STACK_EXECUTABLE); break;
    case EM_EDIT_SET_OS_ABI: FUZZ_HOLDS(object->osabi == edit->number); break;
    case EM_EDIT_NO_DEFAULT_LIB: FUZZ_HOLDS(object->dt_flags_1 & DF_1_NODEFLIB); break;
    case EM_EDIT_ADD_DEBUG_TAG: FUZZ_HOLDS(object->has_debug_tag); break;
    case EM_EDIT_REPLACE_NEEDED:
    case EM_EDIT_CLEAR_SYMBOL_VERSION:
    case EM_EDIT_RENAME_SYMBOL:
    case EM_EDIT_ADD_RPATH: break;
    }
}

static void check_outside(const struct em_patch *patch, struct em_bytes old, struct em_reader *result)
{
    uint64_t at = 0, end = old.size < patch->new_size ? old.size : patch->new_size;
    uint8_t piece[4096];
    size_t next = 0;

    while (at < end) {
        const struct em_patch_range *range = next < patch->ranges.count ? &patch->ranges.items[next] : NULL;
        uint64_t to = range && range->offset < end ? range->offset : end;

        while (at < to) {
            const size_t length = to - at < sizeof piece ? (size_t)(to - at) : sizeof piece;

            FUZZ_HOLDS(em_read_at(result, piece, length, at, NULL) == EM_OK && memcmp(piece, old.data + at, length) == 0);
            at += length;
        }
        if (range && range->offset + range->bytes.size > at)
            at = range->offset + range->bytes.size;
        next++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    const struct em_bytes bytes = { data, size < TAIL ? 0 : size - TAIL };
    struct em_reader reader = em_reader_memory(&bytes, "fuzz");
    struct em_patched patched, twice;
    struct em_object object;
    struct em_patch patch, again;
    struct em_edit edits[3];
    size_t count;

    if (size < TAIL)
        return 0;
    count = 1 + data[size - 1] % 3u;
    for (size_t i = 0; i < count; i++)
        edits[i] = edit_of(data + size - TAIL + 16 * i, arena);
    if (em_patch_make(&patch, arena, &reader, edits, count, NULL, NULL) < 0 || em_patch_is_empty(&patch))
        return 0;
    em_patched_init(&patched, &reader, &patch);
    /* em_patch_make looks at what it edits, the reader at more: what was refused before may be refused after, and tells nothing. */
    if (em_object_read(&object, arena, &reader, NULL) < 0)
        return 0;
    FUZZ_HOLDS(em_object_read(&object, arena, &patched.reader, NULL) == EM_OK);
    check_outside(&patch, bytes, &patched.reader);
    if (count > 1)
        return 0;
    check_shows(&edits[0], &object);
    if (em_patch_make(&again, arena, &patched.reader, edits, 1, NULL, NULL) < 0)
        return 0;
    em_patched_init(&twice, &patched.reader, &again);
    FUZZ_HOLDS(em_patch_is_empty(&again) || edits[0].kind == EM_EDIT_RENAME_SYMBOL || edits[0].kind == EM_EDIT_REPLACE_NEEDED);
    return 0;
}
