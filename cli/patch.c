/* patch.c: patchelf's command line on our edits. Options, output and exit status are those that patchelf 0.19 documents; under its name
 * the program prefixes messages with it and fails with 1, as elfmend patch it fails with 2. All edits of a call go into one layout. */
#include "cli/abi.h"
#include "cli/cli.h"
#include "cli/patchelf_words.h"
#include "patcher/patcher.h"

#include <string.h>

const struct em_command em_patch_command = {
    .name = "patch",
    .arguments = "[OPTIONS] FILE...",
    .summary = "Edit one object, with patchelf's own options; the same when the program is called patchelf",
    .example = "elfmend patch --set-rpath '$ORIGIN/../nvidia/cudnn/lib' libfoo.so",
    .run = em_cmd_patch,
};

enum option {
    OPTION_SET_INTERPRETER,
    OPTION_PAGE_SIZE,
    OPTION_PRINT_INTERPRETER,
    OPTION_PRINT_OS_ABI,
    OPTION_SET_OS_ABI,
    OPTION_PRINT_SONAME,
    OPTION_SET_SONAME,
    OPTION_SET_RPATH,
    OPTION_ADD_RPATH,
    OPTION_REMOVE_RPATH,
    OPTION_SHRINK_RPATH,
    OPTION_ALLOWED_PREFIXES,
    OPTION_PRINT_RPATH,
    OPTION_FORCE_RPATH,
    OPTION_ADD_NEEDED,
    OPTION_REMOVE_NEEDED,
    OPTION_REPLACE_NEEDED,
    OPTION_PRINT_NEEDED,
    OPTION_NO_DEFAULT_LIB,
    OPTION_IGNORED,
    OPTION_CLEAR_VERSION,
    OPTION_ADD_DEBUG_TAG,
    OPTION_NIX_CACHE,
    OPTION_PRINT_EXECSTACK,
    OPTION_CLEAR_EXECSTACK,
    OPTION_SET_EXECSTACK,
    OPTION_RENAME_SYMBOLS,
    OPTION_OUTPUT,
    OPTION_IN_PLACE,
    OPTION_FSYNC,
    OPTION_DEBUG,
    OPTION_VERSION,
    OPTION_HELP,
};

/* values: how many follow; spelled: they are names for --help, and "@FILE" as the value means what FILE holds. */
static const struct {
    const char *name;
    enum option option;
    int values;
    const char *spelled, *summary;
} table[] = {
    { "--set-interpreter", OPTION_SET_INTERPRETER, 1, "FILE", "the program interpreter (dynamic loader)" },
    { "--interpreter", OPTION_SET_INTERPRETER, 1, NULL, NULL },
    { "--print-interpreter", OPTION_PRINT_INTERPRETER, 0, "", "an error where there is none" },
    { "--set-os-abi", OPTION_SET_OS_ABI, 1, "ABI", "EI_OSABI by name: System V, Linux, FreeBSD, ..." },
    { "--print-os-abi", OPTION_PRINT_OS_ABI, 0, "", "by the same names" },
    { "--set-soname", OPTION_SET_SONAME, 1, "NAME", "DT_SONAME of a shared object" },
    { "--print-soname", OPTION_PRINT_SONAME, 0, "", "nothing is printed where there is none" },
    { "--set-rpath", OPTION_SET_RPATH, 1, "PATH", "the search path, as DT_RUNPATH" },
    { "--add-rpath", OPTION_ADD_RPATH, 1, "PATH", "appended to the search path, what of it is not there yet" },
    { "--remove-rpath", OPTION_REMOVE_RPATH, 0, "", "DT_RPATH and DT_RUNPATH go" },
    { "--shrink-rpath", OPTION_SHRINK_RPATH, 0, "", "absolute directories that hold nothing needed go" },
    { "--allowed-rpath-prefixes", OPTION_ALLOWED_PREFIXES, 1, "LIST", "with --shrink-rpath: others go too" },
    { "--print-rpath", OPTION_PRINT_RPATH, 0, "", "DT_RUNPATH, else DT_RPATH" },
    { "--force-rpath", OPTION_FORCE_RPATH, 0, "", "with the options above: as DT_RPATH" },
    { "--add-needed", OPTION_ADD_NEEDED, 1, "LIBRARY", "in front of all others, once" },
    { "--remove-needed", OPTION_REMOVE_NEEDED, 1, "LIBRARY", "with what it was to provide versions of" },
    { "--replace-needed", OPTION_REPLACE_NEEDED, 2, "OLD NEW", "in needed versions too" },
    { "--print-needed", OPTION_PRINT_NEEDED, 0, "", "one a line" },
    { "--no-default-lib", OPTION_NO_DEFAULT_LIB, 0, "", "DF_1_NODEFLIB" },
    { "--clear-symbol-version", OPTION_CLEAR_VERSION, 1, "SYMBOL", "it is looked up without a version" },
    { "--add-debug-tag", OPTION_ADD_DEBUG_TAG, 0, "", "DT_DEBUG" },
    { "--print-execstack", OPTION_PRINT_EXECSTACK, 0, "", "X, - or ? (no PT_GNU_STACK)" },
    { "--clear-execstack", OPTION_CLEAR_EXECSTACK, 0, "", "the stack is not executable" },
    { "--set-execstack", OPTION_SET_EXECSTACK, 0, "", "the stack is executable" },
    { "--rename-dynamic-symbols", OPTION_RENAME_SYMBOLS, 1, "MAPFILE", "\"old new\" a line" },
    { "--output", OPTION_OUTPUT, 1, "FILE", "write there; one input only" },
    { "--in-place", OPTION_IN_PLACE, 0, "", "no copy, where nobody else links or uses FILE and a kill cannot hurt" },
    { "--fsync", OPTION_FSYNC, 0, "", "on disk before it takes its name" },
    { "--page-size", OPTION_PAGE_SIZE, 1, "SIZE", "accepted; the object's own alignment counts" },
    { "--no-sort", OPTION_IGNORED, 0, "", "accepted; headers are never sorted" },
    { "--no-clobber-old-sections", OPTION_IGNORED, 0, "", "accepted; nothing is clobbered" },
    { "--build-resolution-cache", OPTION_NIX_CACHE, 0, NULL, NULL },
    { "--debug", OPTION_DEBUG, 0, "", "says how each file was edited" },
    { "--version", OPTION_VERSION, 0, "", "prints it" },
    { "--help", OPTION_HELP, 0, "", "this text" },
    { "-h", OPTION_HELP, 0, NULL, NULL },
};

struct request {
    struct em_arena *arena;
    const char *self; /* for messages: "elfmend" or "patchelf" */
    int failed;       /* the exit status of a failure */
    bool print_interpreter, print_os_abi, print_soname, print_rpath, print_needed, print_execstack;
    bool remove_rpath, shrink_rpath, force_rpath, no_default_lib, debug_tag, clear_stack, set_stack, debug, in_place, fsync;
    bool sets_abi;
    uint8_t abi;
    const char *interpreter, *soname, *rpath, *more_rpath, *output;
    struct em_strings prefixes, add, remove, replace, clear, rename, files; /* replace, rename: pairs in a row */
};

static bool is_patchelf(const struct request *request)
{
    return request->failed == 1;
}

/* The end of a complaint: under patchelf's name with the words that it has for the matter, since scripts look for them. */
static int end_complaint(const struct request *request, const char *sentence)
{
    const char *words = is_patchelf(request) ? em_patchelf_words(sentence) : NULL;

    if (words)
        fprintf(stderr, "; in patchelf's words: %s", words);
    fputc('\n', stderr);
    return request->failed;
}

static int complain(const struct request *request, const char *about, const char *sentence)
{
    fprintf(stderr, "%s: %s%s%s", request->self, about ? about : "", about ? ": " : "", sentence);
    return end_complaint(request, sentence);
}

static int complain_error(const struct request *request, const struct em_error *error)
{
    fprintf(stderr, "%s: %s%s%s", request->self, error->path, error->path[0] ? ": " : "",
            error->sentence[0] ? error->sentence : em_err_name(error->code));
    if (error->saved_errno)
        fprintf(stderr, ": %s", strerror(error->saved_errno));
    if (error->offset >= 0)
        fprintf(stderr, " (at offset %lld)", (long long)error->offset);
    return end_complaint(request, error->sentence);
}

/* In patchelf's words, which scripts look for. */
static int complain_missing(const struct request *request, const char *path)
{
    fprintf(stderr, "%s: getting info about '%s': No such file or directory\n", request->self, path);
    return request->failed;
}

static void print_help(const struct request *request, FILE *stream)
{
    if (!is_patchelf(request))
        fprintf(stream, "    %s\n\n", em_patch_command.example);
    fprintf(stream, "usage: %s [OPTIONS] FILE...\n\n", is_patchelf(request) ? "patchelf" : "elfmend patch");
    fputs("Edits ELF programs and libraries. The result is a new file under the same name; printing changes nothing.\n\n",
          stream);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].spelled) {
            int width = fprintf(stream, "  %s%s%s", table[i].name, *table[i].spelled ? " " : "", table[i].spelled);

            fprintf(stream, "%*s%s\n", width < 36 ? 36 - width : 1, "", table[i].summary);
        }
    fputs("\nA value \"@FILE\" is what FILE holds. Exit status: 0 done, else nothing has changed in the file that is named.\n",
          stream);
}

/* "@FILE" is the contents of FILE, as they are. */
static int resolve_value(struct request *request, const char **value)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;
    int r;

    if (**value != '@')
        return 0;
    r = em_read_file_at(AT_FDCWD, *value + 1, EM_MAX_PATH_LIST, request->arena, &bytes, &error);
    if (r == EM_NOT_FOUND)
        return complain_missing(request, *value + 1);
    if (r < 0)
        return complain_error(request, &error);
    *value = em_arena_strndup(request->arena, (const char *)bytes.data, bytes.size);
    return *value ? 0 : complain(request, NULL, "no memory");
}

static bool has_version(const char *name)
{
    return strchr(name, '@') != NULL;
}

/* One pair a line, apart by blanks; empty lines are fine. */
static int read_map(struct request *request, const char *path)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;
    char *text, *save = NULL;
    int r = em_read_file_at(AT_FDCWD, path, EM_MAX_METADATA, request->arena, &bytes, &error);
    unsigned line = 0;

    if (r < 0)
        return complain_error(request, &error);
    text = em_arena_strndup(request->arena, (const char *)bytes.data, bytes.size);
    for (char *at = text; at; at = save) {
        char *end = strchrnul(at, '\n'), *words = NULL;
        const char *old, *new;

        save = *end ? end + 1 : NULL;
        *end = '\0';
        line++;
        old = strtok_r(at, " \t\r", &words);
        if (!old)
            continue;
        new = strtok_r(NULL, " \t\r", &words);
        for (size_t i = 0; new &&i < request->rename.count; i += 2)
            if (strcmp(request->rename.items[i], old) == 0)
                new = "@twice";
        if (!new || strcmp(new, "@twice") == 0 || has_version(old) || has_version(new) || strtok_r(NULL, " \t\r", &words)) {
            const char *what = !new                                   ? "has no second name"
                               : strcmp(new, "@twice") == 0           ? "names a symbol for the second time"
                               : has_version(old) || has_version(new) ? "has a name with a version; the map takes bare names"
                                                                      : "has more than two names";
            char *where = em_arena_printf(request->arena, "%s:%u", path, line);

            return complain(request, where ? where : path, what);
        }
        if (em_vec_push(request->arena, &request->rename, old) < 0 || em_vec_push(request->arena, &request->rename, new) < 0)
            return complain(request, NULL, "no memory");
    }
    return 0;
}

static int set_abi(struct request *request, const char *name)
{
    request->sets_abi = em_abi_number(name, &request->abi);
    return request->sets_abi ? 0 : complain(request, name, "unrecognized OS ABI");
}

static int set_prefixes(struct request *request, char *list)
{
    char *save = NULL;

    for (char *prefix = strtok_r(list, ":", &save); prefix; prefix = strtok_r(NULL, ":", &save))
        if (em_vec_push(request->arena, &request->prefixes, prefix) < 0)
            return complain(request, NULL, "no memory");
    return 0;
}

static int push(struct request *request, struct em_strings *list, const char *a, const char *b)
{
    if (em_vec_push(request->arena, list, a) < 0 || (b && em_vec_push(request->arena, list, b) < 0))
        return complain(request, NULL, "no memory");
    return 0;
}

/* a, b: its values. Returns 0, or an exit status; -1 for an option that ends the program well. */
static int take(struct request *request, enum option option, const char *a, const char *b)
{
    switch (option) {
    case OPTION_SET_INTERPRETER: request->interpreter = *a ? a : NULL; return 0;
    case OPTION_PRINT_INTERPRETER: request->print_interpreter = true; return 0;
    case OPTION_SET_OS_ABI: return set_abi(request, a);
    case OPTION_PRINT_OS_ABI: request->print_os_abi = true; return 0;
    case OPTION_SET_SONAME: request->soname = a; return 0;
    case OPTION_PRINT_SONAME: request->print_soname = true; return 0;
    case OPTION_SET_RPATH: request->rpath = a; return 0;
    case OPTION_ADD_RPATH: request->more_rpath = a; return 0;
    case OPTION_REMOVE_RPATH: request->remove_rpath = true; return 0;
    case OPTION_SHRINK_RPATH: request->shrink_rpath = true; return 0;
    case OPTION_ALLOWED_PREFIXES: return set_prefixes(request, em_arena_strdup(request->arena, a));
    case OPTION_PRINT_RPATH: request->print_rpath = true; return 0;
    case OPTION_FORCE_RPATH: request->force_rpath = true; return 0;
    case OPTION_ADD_NEEDED: return push(request, &request->add, a, NULL);
    case OPTION_REMOVE_NEEDED: return push(request, &request->remove, a, NULL);
    case OPTION_REPLACE_NEEDED: return push(request, &request->replace, a, b);
    case OPTION_PRINT_NEEDED: request->print_needed = true; return 0;
    case OPTION_NO_DEFAULT_LIB: request->no_default_lib = true; return 0;
    case OPTION_CLEAR_VERSION: return push(request, &request->clear, a, NULL);
    case OPTION_ADD_DEBUG_TAG: request->debug_tag = true; return 0;
    case OPTION_PRINT_EXECSTACK: request->print_execstack = true; return 0;
    case OPTION_CLEAR_EXECSTACK: request->clear_stack = true; return 0;
    case OPTION_SET_EXECSTACK: request->set_stack = true; return 0;
    case OPTION_RENAME_SYMBOLS: return read_map(request, a);
    case OPTION_OUTPUT: request->output = a; return 0;
    case OPTION_IN_PLACE: request->in_place = true; return 0;
    case OPTION_FSYNC: request->fsync = true; return 0;
    case OPTION_PAGE_SIZE: return strtol(a, NULL, 10) > 0 ? 0 : complain(request, "--page-size", "needs a number of bytes");
    case OPTION_IGNORED: return 0;
    case OPTION_NIX_CACHE: return complain(request, "--build-resolution-cache", "is for Nix's own loader, and not built");
    case OPTION_DEBUG: request->debug = true; return 0;
    case OPTION_VERSION: puts(is_patchelf(request) ? "patchelf 0.19.3" : "elfmend patch (patchelf 0.19.3)"); return -1;
    case OPTION_HELP: print_help(request, stdout); return -1;
    }
    return 0;
}

static int parse(struct request *request, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *values[2] = { NULL, NULL };
        size_t found = SIZE_MAX;
        int r = 0;

        for (size_t j = 0; j < sizeof table / sizeof *table; j++)
            if (strcmp(argv[i], table[j].name) == 0)
                found = j;
        if (found == SIZE_MAX) {
            /* A file may be called anything; what looks like an option and is no file is a mistake. */
            if (strncmp(argv[i], "--", 2) == 0 && access(argv[i], F_OK) < 0)
                return complain(request, argv[i], "no such option, and no such file");
            r = push(request, &request->files, argv[i], NULL);
        } else {
            const char *name = argv[i];

            for (int k = 0; r == 0 && k < table[found].values; k++) {
                if (++i == argc)
                    return complain(request, name, table[found].values > 1 ? "missing argument(s)" : "missing argument");
                values[k] = argv[i];
                if (table[found].option != OPTION_RENAME_SYMBOLS)
                    r = resolve_value(request, &values[k]);
            }
            if (r == 0)
                r = take(request, table[found].option, values[0], values[1]);
        }
        if (r != 0)
            return r;
    }
    return 0;
}

struct edits {
    EM_VEC(struct em_edit);
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* patchelf's precedence: of the ways to change the search path one counts, shrink before remove before set before add. */
static int add_path_edit(const struct request *request, struct edits *edits, const struct em_object *object,
                         struct em_error *error)
{
    struct em_edit edit = { .kind = EM_EDIT_SET_RPATH, .tag = request->force_rpath ? EM_TAG_RPATH : EM_TAG_RUNPATH };
    const char *now = object->runpath ? object->runpath : object->rpath;
    int r = EM_OK;

    if (request->shrink_rpath) {
        if (!now)
            return EM_OK;
        r = em_path_shrink(&edit.value, request->arena, object, now, &request->prefixes, error);
    } else if (request->remove_rpath) {
        edit.kind = EM_EDIT_REMOVE_RPATH;
    } else if (request->rpath) {
        edit.value = request->rpath;
    } else if (request->more_rpath && *request->more_rpath) {
        edit.kind = EM_EDIT_ADD_RPATH;
        edit.value = request->more_rpath;
    } else {
        return EM_OK;
    }
    return r < 0 ? r : em_vec_push(request->arena, edits, edit);
}

static int add_list(const struct request *request, struct edits *edits, enum em_edit_kind kind, const struct em_strings *list,
                    size_t step)
{
    for (size_t i = 0; i + step <= list->count; i += step) {
        struct em_edit edit = { .kind = kind, .value = list->items[i], .replacement = step > 1 ? list->items[i + 1] : NULL };
        int r = em_vec_push(request->arena, edits, edit);

        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* New libraries come first, sorted among themselves: each is put in front, so the last goes in first. */
static int add_needed(const struct request *request, struct edits *edits)
{
    struct em_strings sorted = { 0 };
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < request->add.count; i++)
        r = em_vec_push(request->arena, &sorted, request->add.items[i]);
    if (sorted.count > 1)
        qsort(sorted.items, sorted.count, sizeof *sorted.items, by_name);
    for (size_t i = sorted.count; r == EM_OK && i-- > 0;)
        r = em_vec_push(request->arena, edits, (struct em_edit){ .kind = EM_EDIT_ADD_NEEDED, .value = sorted.items[i] });
    return r;
}

static int add_plain(const struct request *request, struct edits *edits, bool wanted, struct em_edit edit)
{
    return wanted ? em_vec_push(request->arena, edits, edit) : EM_OK;
}

static int list_edits(const struct request *request, struct edits *edits, const struct em_object *object,
                      struct em_error *error)
{
    int r = add_plain(request, edits, request->sets_abi,
                      (struct em_edit){ .kind = EM_EDIT_SET_OS_ABI, .number = request->abi });

    /* A program has no soname, and asking for one is no mistake: scripts do it to whatever they find. */
    if (r == EM_OK)
        r = add_plain(request, edits, request->soname && object->type == ET_DYN,
                      (struct em_edit){ .kind = EM_EDIT_SET_SONAME, .value = request->soname });
    if (r == EM_OK)
        r = add_plain(request, edits, request->interpreter != NULL,
                      (struct em_edit){ .kind = EM_EDIT_SET_INTERPRETER, .value = request->interpreter });
    if (r == EM_OK)
        r = add_path_edit(request, edits, object, error);
    /* Of asking, clearing and setting one counts, in this order. */
    if (r == EM_OK && !request->print_execstack)
        r = request->clear_stack
                ? em_vec_push(request->arena, edits, (struct em_edit){ .kind = EM_EDIT_CLEAR_EXECSTACK })
                : add_plain(request, edits, request->set_stack, (struct em_edit){ .kind = EM_EDIT_SET_EXECSTACK });
    if (r == EM_OK)
        r = add_list(request, edits, EM_EDIT_REMOVE_NEEDED, &request->remove, 1);
    if (r == EM_OK)
        r = add_list(request, edits, EM_EDIT_REPLACE_NEEDED, &request->replace, 2);
    if (r == EM_OK)
        r = add_needed(request, edits);
    if (r == EM_OK)
        r = add_list(request, edits, EM_EDIT_CLEAR_SYMBOL_VERSION, &request->clear, 1);
    if (r == EM_OK)
        r = add_plain(request, edits, request->no_default_lib, (struct em_edit){ .kind = EM_EDIT_NO_DEFAULT_LIB });
    if (r == EM_OK)
        r = add_plain(request, edits, request->debug_tag, (struct em_edit){ .kind = EM_EDIT_ADD_DEBUG_TAG });
    return r < 0 ? r : add_list(request, edits, EM_EDIT_RENAME_SYMBOL, &request->rename, 2);
}

/* What was asked for, as it is before any edit. Returns 0 or an exit status. */
static int print(const struct request *request, const struct em_object *object, const char *path)
{
    bool wants_dynamic = request->print_soname || request->print_rpath || request->print_needed;

    if (request->print_interpreter && !object->interpreter)
        return complain(request, path, "cannot find an interpreter (PT_INTERP); it is a library, or linked statically");
    if (wants_dynamic && !object->has_dynamic && !object->dynamic_away)
        return complain(request, path, "cannot find a dynamic section; it is linked statically, or no program or library");
    if (request->print_interpreter)
        puts(object->interpreter);
    if (request->print_os_abi)
        puts(em_abi_name(request->arena, object->osabi));
    if (request->print_soname && object->soname)
        puts(object->soname);
    if (request->print_rpath)
        puts(object->runpath ? object->runpath : object->rpath ? object->rpath : "");
    if (request->print_execstack)
        printf("execstack: %s\n", object->stack == EM_STACK_ABSENT ? "?" : object->stack == EM_STACK_EXECUTABLE ? "X" : "-");
    for (size_t i = 0; request->print_needed && i < object->needed.count; i++)
        puts(object->needed.items[i]);
    return 0;
}

static int read_object(const struct request *request, const char *path, struct em_object *object, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, path, O_RDONLY, 0, error);
    struct em_reader reader;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, path, "cannot be examined");
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_NOT_ELF, path, "is not a regular file");
    reader = em_reader_fd(fd, (uint64_t)st.st_size, path);
    return em_object_read(object, request->arena, &reader, error);
}

/* What objcopy --only-keep-debug leaves: headers, and the bytes are elsewhere. */
static bool is_split_off(const struct em_object *object)
{
    return object->dynamic_away && !object->interpreter;
}

static int edit_file(const struct request *request, const char *path)
{
    struct em_patch_file_options options = { .output = request->output,
                                             .fsync = request->fsync,
                                             .in_place = request->in_place };
    /* Those who scan for references to old paths expect none; patchelf goes by section headers alone. */
    struct em_patch_options how = { .wipe_paths = true, .unannounced = is_patchelf(request) };
    struct em_error error = EM_ERROR_INIT;
    struct edits edits = { 0 };
    struct em_object object;
    struct em_patch patch;
    int r = read_object(request, path, &object, &error);

    if (r == EM_NOT_FOUND)
        return complain_missing(request, path);
    if (r < 0)
        return complain_error(request, &error);
    r = print(request, &object, path);
    if (r != 0)
        return r;
    r = list_edits(request, &edits, &object, &error);
    if (r == EM_OK && edits.count > 0 && is_patchelf(request) && is_split_off(&object)) {
        fprintf(stderr, "%s: %s: holds debug information only, so nothing of it was edited\n", request->self, path);
        edits.count = 0;
    }
    if (r == EM_OK && (edits.count > 0 || request->output))
        r = em_patch_file(&patch, request->arena, path, edits.items, edits.count, &how, &options, &error);
    if (r < 0) {
        error.code = (enum em_err)r;
        return complain_error(request, &error);
    }
    if (edits.count > 0 && patch.warning)
        fprintf(stderr, "%s: %s: warning: %s\n", request->self, path, patch.warning);
    if (edits.count > 0 && patch.copied)
        fprintf(stderr, "%s: %s: copied, not edited in place: %s\n", request->self, path, patch.copied);
    if (request->debug && edits.count > 0)
        fprintf(stderr, "%s: %s: %s, %zu ranges, %+lld bytes\n", request->self, path, em_rung_name(patch.rung),
                patch.ranges.count, (long long)(patch.new_size - patch.old_size));
    return 0;
}

static int run(struct request *request, int argc, char **argv)
{
    int r = parse(request, argc, argv);

    if (r != 0)
        return r < 0 ? EM_EXIT_OK : r;
    if (argc <= 1) {
        print_help(request, stderr);
        return request->failed;
    }
    if (request->files.count == 0)
        return complain(request, NULL, "missing filename");
    if (request->rpath && request->more_rpath)
        return complain(request, NULL, "--set-rpath option not allowed with --add-rpath");
    if (request->output && request->in_place)
        return complain(request, NULL, "--in-place writes into the file itself, so --output has no meaning beside it");
    if (request->output && request->files.count > 1)
        return complain(request, NULL, "--output option only allowed with single input file");
    for (size_t i = 0; i < request->files.count; i++) {
        r = edit_file(request, request->files.items[i]);
        if (r != 0)
            return r;
    }
    return EM_EXIT_OK;
}

int em_cmd_patch(int argc, char **argv)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    bool as_patchelf = strcmp(em_path_basename(argv[0]), "patchelf") == 0;
    struct request request = { .arena = arena,
                               .self = as_patchelf ? "patchelf" : "elfmend",
                               .failed = as_patchelf ? 1 : EM_EXIT_FAILED,
                               .debug = getenv("PATCHELF_DEBUG") != NULL };

    return arena ? run(&request, argc, argv) : complain(&request, NULL, "no memory");
}
