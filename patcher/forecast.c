/* forecast.c: what the patcher would say to an edit, by asking it: each edit is laid out and checked, and none is written. */
#include "patcher/patcher.h"

#include "patcher/symbols.h"

#include <string.h>

#define LONGER 256u /* bytes that a name grows by; a path to a sibling package has some hundred */

/* old and LONGER bytes that no object has yet. */
static const char *lengthen(struct em_arena *arena, const char *old)
{
    char more[LONGER + 1];

    memset(more, 'E', LONGER);
    more[LONGER] = '\0';
    return em_arena_printf(arena, "%s%s%s", old ? old : "", old ? ":" : "", more);
}

static int ask(struct em_forecasts *forecasts, struct em_arena *arena, struct em_reader *reader, const char *option,
               struct em_edit edit, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_forecast forecast = { .option = option };
    struct em_error why = EM_ERROR_INIT;
    struct em_patch patch;
    int r = scratch ? em_patch_make(&patch, scratch, reader, &edit, 1, NULL, &why) : EM_NO_MEMORY;

    if (r == EM_IO || r == EM_NO_MEMORY || r == EM_CHANGED) {
        if (error)
            *error = why;
        return r;
    }
    if (r < 0) {
        forecast.refused = em_arena_strdup(arena, why.sentence);
        if (!forecast.refused)
            return EM_NO_MEMORY;
    } else {
        forecast.rung = patch.rung;
        forecast.growth = patch.new_size - patch.old_size;
        forecast.warning = patch.warning ? em_arena_strdup(arena, patch.warning) : NULL;
        if (patch.warning && !forecast.warning)
            return EM_NO_MEMORY;
    }
    return em_vec_push(arena, forecasts, forecast);
}

int em_forecasts_make(struct em_forecasts *forecasts, struct em_arena *arena, struct em_reader *reader,
                      const struct em_object *object, struct em_error *error)
{
    const char *longer = lengthen(arena, object->runpath ? object->runpath : object->rpath);
    bool executable = object->stack == EM_STACK_EXECUTABLE;
    const struct {
        const char *option;
        bool wanted;
        struct em_edit edit;
    } edits[] = {
        { "--set-rpath", true, { .kind = EM_EDIT_SET_RPATH, .value = longer } },
        { "--add-needed", true, { .kind = EM_EDIT_ADD_NEEDED, .value = "libelfmend-forecast.so.0" } },
        { "--remove-needed",
          object->needed.count > 0,
          { .kind = EM_EDIT_REMOVE_NEEDED, .value = object->needed.count > 0 ? object->needed.items[0] : NULL } },
        { "--replace-needed",
          object->needed.count > 0,
          { .kind = EM_EDIT_REPLACE_NEEDED,
            .value = object->needed.count > 0 ? object->needed.items[0] : NULL,
            .replacement = "libelfmend-forecast.so.0" } },
        { "--set-soname", true, { .kind = EM_EDIT_SET_SONAME, .value = "libelfmend-forecast.so.0" } },
        { "--set-interpreter", true, { .kind = EM_EDIT_SET_INTERPRETER, .value = longer } },
        { executable ? "--clear-execstack" : "--set-execstack",
          true,
          { .kind = executable ? EM_EDIT_CLEAR_EXECSTACK : EM_EDIT_SET_EXECSTACK } },
        { "--set-os-abi", true, { .kind = EM_EDIT_SET_OS_ABI, .number = object->osabi ^ ELFOSABI_GNU } },
        { "--no-default-lib", !(object->dt_flags_1 & DF_1_NODEFLIB), { .kind = EM_EDIT_NO_DEFAULT_LIB } },
        { "--add-debug-tag", !object->has_debug_tag, { .kind = EM_EDIT_ADD_DEBUG_TAG } },
    };
    int r = longer ? EM_OK : EM_NO_MEMORY;

    *forecasts = (struct em_forecasts){ 0 };
    for (size_t i = 0; r == EM_OK && i < sizeof edits / sizeof *edits; i++)
        if (edits[i].wanted)
            r = ask(forecasts, arena, reader, edits[i].option, edits[i].edit, error);
    return r;
}

static int count_symbol(void *context, uint64_t index, const struct em_symbol *symbol)
{
    struct em_symbol_counts *counts = context;

    if (index > 0 && (symbol->info >> 4) != STB_LOCAL) {
        counts->undefined += symbol->shndx == SHN_UNDEF;
        counts->defined += symbol->shndx != SHN_UNDEF;
    }
    return 0;
}

int em_symbols_count(struct em_symbol_counts *counts, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    const struct em_arena_mark mark = em_arena_mark(arena);
    struct em_symbols symbols = { 0 };
    struct em_image image;
    int r = em_image_open(&image, arena, reader, error);

    *counts = (struct em_symbol_counts){ 0 };
    if (r == EM_OK)
        r = em_symbols_locate(&symbols, &image, error);
    if (r == EM_OK && symbols.there)
        r = em_symbols_each(&image, &symbols, count_symbol, counts, error);
    em_arena_rewind(arena, mark);
    return r;
}
