#include "cli/patch_wishes.h"

#include "cli/abi.h"
#include "cli/cli.h"
#include "cli/patchelf_words.h"

#include <string.h>

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

bool em_patch_is_patchelf(const struct em_patch_wishes *wishes)
{
    return wishes->failed == 1;
}

/* The end of a complaint: under patchelf's name with the words that it has for the matter, since scripts look for them. */
static int end_complaint(const struct em_patch_wishes *wishes, const char *sentence)
{
    const char *words = em_patch_is_patchelf(wishes) ? em_patchelf_words(sentence) : NULL;

    if (words)
        fprintf(stderr, "; in patchelf's words: %s", words);
    fputc('\n', stderr);
    return wishes->failed;
}

int em_patch_complain(const struct em_patch_wishes *wishes, const char *about, const char *sentence)
{
    fprintf(stderr, "%s: %s%s%s", wishes->self, about ? about : "", about ? ": " : "", sentence);
    return end_complaint(wishes, sentence);
}

int em_patch_complain_error(const struct em_patch_wishes *wishes, const struct em_error *error)
{
    fprintf(stderr, "%s: %s%s%s", wishes->self, error->path, error->path[0] ? ": " : "",
            error->sentence[0] ? error->sentence : em_err_name(error->code));
    if (error->saved_errno)
        fprintf(stderr, ": %s", strerror(error->saved_errno));
    if (error->offset >= 0)
        fprintf(stderr, " (at offset %lld)", (long long)error->offset);
    return end_complaint(wishes, error->sentence);
}

/* In patchelf's words, which scripts look for. */
int em_patch_complain_missing(const struct em_patch_wishes *wishes, const char *path)
{
    fprintf(stderr, "%s: getting info about '%s': No such file or directory\n", wishes->self, path);
    return wishes->failed;
}

void em_patch_help(const struct em_patch_wishes *wishes, FILE *stream)
{
    if (!em_patch_is_patchelf(wishes))
        fprintf(stream, "    %s\n\n", em_patch_command.example);
    fprintf(stream, "usage: %s [OPTIONS] FILE...\n\n", em_patch_is_patchelf(wishes) ? "patchelf" : "elfmend patch");
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
static int resolve_value(struct em_patch_wishes *wishes, const char **value)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;
    int r;

    if (**value != '@')
        return 0;
    r = em_read_file_at(AT_FDCWD, *value + 1, EM_MAX_PATH_LIST, wishes->arena, &bytes, &error);
    if (r == EM_NOT_FOUND)
        return em_patch_complain_missing(wishes, *value + 1);
    if (r < 0)
        return em_patch_complain_error(wishes, &error);
    *value = em_arena_strndup(wishes->arena, (const char *)bytes.data, bytes.size);
    return *value ? 0 : em_patch_complain(wishes, NULL, "no memory");
}

static bool has_version(const char *name)
{
    return strchr(name, '@') != NULL;
}

/* One pair a line, apart by blanks; empty lines are fine. */
static int read_map(struct em_patch_wishes *wishes, const char *path)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;
    struct em_map olds = { .arena = wishes->arena };
    char *text, *save = NULL;
    int r = em_read_file_at(AT_FDCWD, path, EM_MAX_METADATA, wishes->arena, &bytes, &error);
    unsigned line = 0;

    if (r < 0)
        return em_patch_complain_error(wishes, &error);
    text = em_arena_strndup(wishes->arena, (const char *)bytes.data, bytes.size);
    for (char *at = text; at; at = save) {
        char *end = strchrnul(at, '\n'), *words = NULL;
        const char *old, *new, *what;

        save = *end ? end + 1 : NULL;
        *end = '\0';
        line++;
        old = strtok_r(at, " \t\r", &words);
        if (!old)
            continue;
        new = strtok_r(NULL, " \t\r", &words);
        what = !new                                   ? "has no second name"
               : em_map_get(&olds, old)               ? "names a symbol for the second time"
               : has_version(old) || has_version(new) ? "has a name with a version; the map takes bare names"
               : strtok_r(NULL, " \t\r", &words)      ? "has more than two names"
                                                      : NULL;
        if (what) {
            char *where = em_arena_printf(wishes->arena, "%s:%u", path, line);

            return em_patch_complain(wishes, where ? where : path, what);
        }
        if (em_map_put(&olds, old, at) < 0 || em_vec_push(wishes->arena, &wishes->rename, old) < 0 ||
            em_vec_push(wishes->arena, &wishes->rename, new) < 0)
            return em_patch_complain(wishes, NULL, "no memory");
    }
    return 0;
}

static int set_abi(struct em_patch_wishes *wishes, const char *name)
{
    wishes->sets_abi = em_abi_number(name, &wishes->abi);
    return wishes->sets_abi ? 0 : em_patch_complain(wishes, name, "unrecognized OS ABI");
}

static int set_prefixes(struct em_patch_wishes *wishes, char *list)
{
    char *save = NULL;

    for (char *prefix = strtok_r(list, ":", &save); prefix; prefix = strtok_r(NULL, ":", &save))
        if (em_vec_push(wishes->arena, &wishes->prefixes, prefix) < 0)
            return em_patch_complain(wishes, NULL, "no memory");
    return 0;
}

static int push(struct em_patch_wishes *wishes, struct em_strings *list, const char *a, const char *b)
{
    if (em_vec_push(wishes->arena, list, a) < 0 || (b && em_vec_push(wishes->arena, list, b) < 0))
        return em_patch_complain(wishes, NULL, "no memory");
    return 0;
}

/* a, b: its values. Returns 0, or an exit status; -1 for an option that ends the program well. */
static int take(struct em_patch_wishes *wishes, enum option option, const char *a, const char *b)
{
    switch (option) {
    case OPTION_SET_INTERPRETER: wishes->interpreter = *a ? a : NULL; return 0;
    case OPTION_PRINT_INTERPRETER: wishes->print_interpreter = true; return 0;
    case OPTION_SET_OS_ABI: return set_abi(wishes, a);
    case OPTION_PRINT_OS_ABI: wishes->print_os_abi = true; return 0;
    case OPTION_SET_SONAME: wishes->soname = a; return 0;
    case OPTION_PRINT_SONAME: wishes->print_soname = true; return 0;
    case OPTION_SET_RPATH: wishes->rpath = a; return 0;
    case OPTION_ADD_RPATH: wishes->more_rpath = a; return 0;
    case OPTION_REMOVE_RPATH: wishes->remove_rpath = true; return 0;
    case OPTION_SHRINK_RPATH: wishes->shrink_rpath = true; return 0;
    case OPTION_ALLOWED_PREFIXES: return set_prefixes(wishes, em_arena_strdup(wishes->arena, a));
    case OPTION_PRINT_RPATH: wishes->print_rpath = true; return 0;
    case OPTION_FORCE_RPATH: wishes->force_rpath = true; return 0;
    case OPTION_ADD_NEEDED: return push(wishes, &wishes->add, a, NULL);
    case OPTION_REMOVE_NEEDED: return push(wishes, &wishes->remove, a, NULL);
    case OPTION_REPLACE_NEEDED: return push(wishes, &wishes->replace, a, b);
    case OPTION_PRINT_NEEDED: wishes->print_needed = true; return 0;
    case OPTION_NO_DEFAULT_LIB: wishes->no_default_lib = true; return 0;
    case OPTION_CLEAR_VERSION: return push(wishes, &wishes->clear, a, NULL);
    case OPTION_ADD_DEBUG_TAG: wishes->debug_tag = true; return 0;
    case OPTION_PRINT_EXECSTACK: wishes->print_execstack = true; return 0;
    case OPTION_CLEAR_EXECSTACK: wishes->clear_stack = true; return 0;
    case OPTION_SET_EXECSTACK: wishes->set_stack = true; return 0;
    case OPTION_RENAME_SYMBOLS: return read_map(wishes, a);
    case OPTION_OUTPUT: wishes->output = a; return 0;
    case OPTION_IN_PLACE: wishes->in_place = true; return 0;
    case OPTION_FSYNC: wishes->fsync = true; return 0;
    case OPTION_PAGE_SIZE:
        return strtol(a, NULL, 10) > 0 ? 0 : em_patch_complain(wishes, "--page-size", "needs a number of bytes");
    case OPTION_IGNORED: return 0;
    case OPTION_NIX_CACHE:
        return em_patch_complain(wishes, "--build-resolution-cache", "is for Nix's own loader, and not built");
    case OPTION_DEBUG: wishes->debug = true; return 0;
    case OPTION_VERSION: puts(em_patch_is_patchelf(wishes) ? "patchelf 0.19.3" : "elfmend patch (patchelf 0.19.3)"); return -1;
    case OPTION_HELP: em_patch_help(wishes, stdout); return -1;
    }
    return 0;
}

int em_patch_wishes_parse(struct em_patch_wishes *wishes, int argc, char **argv)
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
                return em_patch_complain(wishes, argv[i], "no such option, and no such file");
            r = push(wishes, &wishes->files, argv[i], NULL);
        } else {
            const char *name = argv[i];

            for (int k = 0; r == 0 && k < table[found].values; k++) {
                if (++i == argc)
                    return em_patch_complain(wishes, name,
                                             table[found].values > 1 ? "missing argument(s)" : "missing argument");
                values[k] = argv[i];
                if (table[found].option != OPTION_RENAME_SYMBOLS)
                    r = resolve_value(wishes, &values[k]);
            }
            if (r == 0)
                r = take(wishes, table[found].option, values[0], values[1]);
        }
        if (r != 0)
            return r;
    }
    return 0;
}
