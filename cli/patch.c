/* patch.c: patchelf's command line on our edits. Options, output and exit status are those that patchelf 0.19 documents; under its name
 * the program prefixes messages with it and fails with 1, as elfmend patch it fails with 2. All edits of a call go into one layout. */
#include "cli/abi.h"
#include "cli/cli.h"
#include "cli/patch_wishes.h"
#include "patcher/patcher.h"

#include <string.h>

const struct em_command em_patch_command = {
    .name = "patch",
    .arguments = "[OPTIONS] FILE...",
    .summary = "Edit one object, with patchelf's own options; the same when the program is called patchelf",
    .example = "elfmend patch --set-rpath '$ORIGIN/../nvidia/cudnn/lib' libfoo.so",
    .run = em_cmd_patch,
};

struct edits {
    EM_VEC(struct em_edit);
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* patchelf's precedence: of the ways to change the search path one counts, shrink before remove before set before add. */
static int add_path_edit(const struct em_patch_wishes *wishes, struct edits *edits, const struct em_object *object,
                         struct em_error *error)
{
    struct em_edit edit = { .kind = EM_EDIT_SET_RPATH, .tag = wishes->force_rpath ? EM_TAG_RPATH : EM_TAG_RUNPATH };
    const char *now = object->runpath ? object->runpath : object->rpath;
    int r = EM_OK;

    if (wishes->shrink_rpath) {
        if (!now)
            return EM_OK;
        r = em_path_shrink(&edit.value, wishes->arena, object, now, &wishes->prefixes, error);
    } else if (wishes->remove_rpath) {
        edit.kind = EM_EDIT_REMOVE_RPATH;
    } else if (wishes->rpath) {
        edit.value = wishes->rpath;
    } else if (wishes->more_rpath && *wishes->more_rpath) {
        edit.kind = EM_EDIT_ADD_RPATH;
        edit.value = wishes->more_rpath;
    } else {
        return EM_OK;
    }
    return r < 0 ? r : em_vec_push(wishes->arena, edits, edit);
}

static int add_list(const struct em_patch_wishes *wishes, struct edits *edits, enum em_edit_kind kind,
                    const struct em_strings *list, size_t step)
{
    for (size_t i = 0; i + step <= list->count; i += step) {
        struct em_edit edit = { .kind = kind, .value = list->items[i], .replacement = step > 1 ? list->items[i + 1] : NULL };
        int r = em_vec_push(wishes->arena, edits, edit);

        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* New libraries come first, sorted among themselves: each is put in front, so the last goes in first. */
static int add_needed(const struct em_patch_wishes *wishes, struct edits *edits)
{
    struct em_strings sorted = { 0 };
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < wishes->add.count; i++)
        r = em_vec_push(wishes->arena, &sorted, wishes->add.items[i]);
    if (sorted.count > 1)
        qsort(sorted.items, sorted.count, sizeof *sorted.items, by_name);
    for (size_t i = sorted.count; r == EM_OK && i-- > 0;)
        r = em_vec_push(wishes->arena, edits, (struct em_edit){ .kind = EM_EDIT_ADD_NEEDED, .value = sorted.items[i] });
    return r;
}

static int add_plain(const struct em_patch_wishes *wishes, struct edits *edits, bool wanted, struct em_edit edit)
{
    return wanted ? em_vec_push(wishes->arena, edits, edit) : EM_OK;
}

static int list_edits(const struct em_patch_wishes *wishes, struct edits *edits, const struct em_object *object,
                      struct em_error *error)
{
    int r = add_plain(wishes, edits, wishes->sets_abi, (struct em_edit){ .kind = EM_EDIT_SET_OS_ABI, .number = wishes->abi });

    /* A program has no soname, and asking for one is no mistake: scripts do it to whatever they find. */
    if (r == EM_OK)
        r = add_plain(wishes, edits, wishes->soname && object->type == ET_DYN,
                      (struct em_edit){ .kind = EM_EDIT_SET_SONAME, .value = wishes->soname });
    if (r == EM_OK)
        r = add_plain(wishes, edits, wishes->interpreter != NULL,
                      (struct em_edit){ .kind = EM_EDIT_SET_INTERPRETER, .value = wishes->interpreter });
    if (r == EM_OK)
        r = add_path_edit(wishes, edits, object, error);
    /* Of asking, clearing and setting one counts, in this order. */
    if (r == EM_OK && !wishes->print_execstack)
        r = wishes->clear_stack
                ? em_vec_push(wishes->arena, edits, (struct em_edit){ .kind = EM_EDIT_CLEAR_EXECSTACK })
                : add_plain(wishes, edits, wishes->set_stack, (struct em_edit){ .kind = EM_EDIT_SET_EXECSTACK });
    if (r == EM_OK)
        r = add_list(wishes, edits, EM_EDIT_REMOVE_NEEDED, &wishes->remove, 1);
    if (r == EM_OK)
        r = add_list(wishes, edits, EM_EDIT_REPLACE_NEEDED, &wishes->replace, 2);
    if (r == EM_OK)
        r = add_needed(wishes, edits);
    if (r == EM_OK)
        r = add_list(wishes, edits, EM_EDIT_CLEAR_SYMBOL_VERSION, &wishes->clear, 1);
    if (r == EM_OK)
        r = add_plain(wishes, edits, wishes->no_default_lib, (struct em_edit){ .kind = EM_EDIT_NO_DEFAULT_LIB });
    if (r == EM_OK)
        r = add_plain(wishes, edits, wishes->debug_tag, (struct em_edit){ .kind = EM_EDIT_ADD_DEBUG_TAG });
    return r < 0 ? r : add_list(wishes, edits, EM_EDIT_RENAME_SYMBOL, &wishes->rename, 2);
}

/* What was asked for, as it is before any edit. Returns 0 or an exit status. */
static int print(const struct em_patch_wishes *wishes, const struct em_object *object, const char *path)
{
    bool wants_dynamic = wishes->print_soname || wishes->print_rpath || wishes->print_needed;

    if (wishes->print_interpreter && !object->interpreter)
        return em_patch_complain(wishes, path, "cannot find an interpreter (PT_INTERP); it is a library, or linked statically");
    if (wants_dynamic && !object->has_dynamic && !object->dynamic_away)
        return em_patch_complain(wishes, path,
                                 "cannot find a dynamic section; it is linked statically, or no program or library");
    if (wishes->print_interpreter)
        puts(object->interpreter);
    if (wishes->print_os_abi)
        puts(em_abi_name(wishes->arena, object->osabi));
    if (wishes->print_soname && object->soname)
        puts(object->soname);
    if (wishes->print_rpath)
        puts(object->runpath ? object->runpath : object->rpath ? object->rpath : "");
    if (wishes->print_execstack)
        printf("execstack: %s\n", object->stack == EM_STACK_ABSENT ? "?" : object->stack == EM_STACK_EXECUTABLE ? "X" : "-");
    for (size_t i = 0; wishes->print_needed && i < object->needed.count; i++)
        puts(object->needed.items[i]);
    return 0;
}

static int read_object(const struct em_patch_wishes *wishes, const char *path, struct em_object *object, struct em_error *error)
{
    struct stat st;
    em_cleanup_fd int fd = em_open_file_at(AT_FDCWD, path, 0, &st, error);
    struct em_reader reader;

    if (fd < 0)
        return fd;
    reader = em_reader_fd(fd, (uint64_t)st.st_size, path);
    return em_object_read(object, wishes->arena, &reader, error);
}

/* What objcopy --only-keep-debug leaves: headers, and the bytes are elsewhere. */
static bool is_split_off(const struct em_object *object)
{
    return object->dynamic_away && !object->interpreter;
}

static int edit_file(const struct em_patch_wishes *wishes, const char *path)
{
    struct em_patch_file_options options = { .output = wishes->output, .fsync = wishes->fsync, .in_place = wishes->in_place };
    /* Those who scan for references to old paths expect none; patchelf goes by section headers alone. */
    struct em_patch_options how = { .wipe_paths = true, .unannounced = em_patch_is_patchelf(wishes) };
    struct em_error error = EM_ERROR_INIT;
    struct edits edits = { 0 };
    struct em_object object;
    struct em_patch patch;
    int r = read_object(wishes, path, &object, &error);

    if (r == EM_NOT_FOUND)
        return em_patch_complain_missing(wishes, path);
    if (r < 0)
        return em_patch_complain_error(wishes, &error);
    r = print(wishes, &object, path);
    if (r != 0)
        return r;
    r = list_edits(wishes, &edits, &object, &error);
    if (r == EM_OK && edits.count > 0 && em_patch_is_patchelf(wishes) && is_split_off(&object)) {
        fprintf(stderr, "%s: %s: holds debug information only, so nothing of it was edited\n", wishes->self, path);
        edits.count = 0;
    }
    if (r == EM_OK && (edits.count > 0 || wishes->output))
        r = em_patch_file(&patch, wishes->arena, path, edits.items, edits.count, &how, &options, &error);
    if (r < 0) {
        error.code = (enum em_err)r;
        return em_patch_complain_error(wishes, &error);
    }
    if (edits.count > 0 && patch.warning)
        fprintf(stderr, "%s: %s: warning: %s\n", wishes->self, path, patch.warning);
    if (edits.count > 0 && patch.copied)
        fprintf(stderr, "%s: %s: copied, not edited in place: %s\n", wishes->self, path, patch.copied);
    if (wishes->debug && edits.count > 0)
        fprintf(stderr, "%s: %s: %s, %zu ranges, %+lld bytes\n", wishes->self, path, em_rung_name(patch.rung),
                patch.ranges.count, (long long)(patch.new_size - patch.old_size));
    return 0;
}

static int run(struct em_patch_wishes *wishes, int argc, char **argv)
{
    int r = em_patch_wishes_parse(wishes, argc, argv);

    if (r != 0)
        return r < 0 ? EM_EXIT_OK : r;
    if (argc <= 1) {
        em_patch_help(wishes, stderr);
        return wishes->failed;
    }
    if (wishes->files.count == 0)
        return em_patch_complain(wishes, NULL, "missing filename");
    if (wishes->rpath && wishes->more_rpath)
        return em_patch_complain(wishes, NULL, "--set-rpath option not allowed with --add-rpath");
    if (wishes->output && wishes->in_place)
        return em_patch_complain(wishes, NULL, "--in-place writes into the file itself, so --output has no meaning beside it");
    if (wishes->output && wishes->files.count > 1)
        return em_patch_complain(wishes, NULL, "--output option only allowed with single input file");
    for (size_t i = 0; i < wishes->files.count; i++) {
        r = edit_file(wishes, wishes->files.items[i]);
        if (r != 0)
            return r;
    }
    return EM_EXIT_OK;
}

int em_cmd_patch(int argc, char **argv)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    bool as_patchelf = strcmp(em_path_basename(argv[0]), "patchelf") == 0;
    struct em_patch_wishes wishes = { .arena = arena,
                                      .self = as_patchelf ? "patchelf" : "elfmend",
                                      .failed = as_patchelf ? 1 : EM_EXIT_FAILED,
                                      .debug = getenv("PATCHELF_DEBUG") != NULL };

    return arena ? run(&wishes, argc, argv) : em_patch_complain(&wishes, NULL, "no memory");
}
