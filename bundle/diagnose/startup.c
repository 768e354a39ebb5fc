#include "bundle/diagnose/startup.h"

#include <ctype.h>
#include <string.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The dotted name at the start of text, without its relative dot. */
static size_t dotted(const char *text)
{
    size_t length = 0;

    while (is_word(text[length]) || text[length] == '.')
        length++;
    return length;
}

/* "pkg.module", "module" for a name that was relative. */
static bool is_module(const char *name, size_t length, bool relative, const char *package, const char *module)
{
    size_t head = relative ? 0 : strlen(package) + 1;

    if (!relative && (length < head || strncmp(name, package, head - 1) != 0 || name[head - 1] != '.'))
        return false;
    return length - head == strlen(module) && strncmp(name + head, module, length - head) == 0;
}

/* "module" in "a, module as m, (b". */
static bool lists(const char *names, const char *end, const char *module)
{
    size_t length = strlen(module);

    for (const char *at = names; at + length <= end; at++)
        if (strncmp(at, module, length) == 0 && !is_word(at[-1]) && (at + length == end || !is_word(at[length])))
            return true;
    return false;
}

/* Language reference, 7.11: "import a.b", "from .b import c", "from . import b". */
static bool imports_it(const char *line, const char *end, const char *package, const char *module)
{
    const char *name, *names;
    size_t length;
    bool relative;

    if (strncmp(line, "import ", 7) == 0)
        return is_module(line + 7, dotted(line + 7), false, package, module);
    if (strncmp(line, "from ", 5) != 0)
        return false;
    name = line + 5;
    relative = *name == '.';
    name += relative;
    length = dotted(name);
    if (is_module(name, length, relative, package, module))
        return true;
    names = name + length;
    if (names + 8 > end || strncmp(names, " import ", 8) != 0)
        return false;
    if (relative ? length > 0 : length != strlen(package) || strncmp(name, package, length) != 0)
        return false;
    return lists(names + 8, end, module);
}

int em_startup_imports(bool *imports, struct em_arena *arena, struct em_tree *tree, const char *module, uint64_t *bytes_read)
{
    const char *base = em_path_basename(module);
    char *directory = em_path_dirname(arena, module), *source, *text, *name;
    struct em_bytes bytes;

    *imports = false;
    name = em_arena_strndup(arena, base, strcspn(base, "."));
    source = directory ? em_path_join(arena, directory, "__init__.py") : NULL;
    if (!name || !source)
        return EM_NO_MEMORY;
    if (em_tree_read(tree, arena, source, EM_MAX_METADATA, &bytes, NULL) < 0)
        return EM_OK;
    *bytes_read += bytes.size;
    text = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    if (!text)
        return EM_NO_MEMORY;
    while (text && !*imports) {
        char *line = strsep(&text, "\n");

        *imports = imports_it(line, line + strlen(line), em_path_basename(directory), name);
    }
    return EM_OK;
}

/* More than these of one distribution are not read: what opens its libraries stands near its start. */
#define MOST_FILES 4096u

static bool is_python(const char *path)
{
    size_t length = strlen(path);

    return length > 3 && strcmp(path + length - 3, ".py") == 0;
}

static int holds(bool *found, const struct em_env *env, const struct em_distribution *distribution, const char *row,
                 const char *stem, size_t length, uint64_t *bytes_read)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    const char *path = em_env_row_path(env, distribution, row);
    struct em_bytes bytes;

    if (!scratch || !path)
        return EM_NO_MEMORY;
    if (em_tree_read(env->tree, scratch, path, EM_MAX_METADATA, &bytes, NULL) < 0)
        return EM_OK;
    *bytes_read += bytes.size;
    *found = memmem(bytes.data, bytes.size, stem, length) != NULL;
    return EM_OK;
}

int em_startup_names(bool *names, const struct em_env *env, const struct em_distribution *distribution, const char *library,
                     uint64_t *bytes_read)
{
    size_t length = strcspn(library, "."), files = 0;
    int r = EM_OK;

    while (length > 0 && isdigit((unsigned char)library[length - 1]))
        length--;
    *names = false;
    for (size_t i = 0; r == EM_OK && !*names && i < distribution->record.rows.count && files < MOST_FILES; i++) {
        const char *row = distribution->record.rows.items[i].path;

        if (!is_python(row) || length < 4)
            continue;
        files++;
        r = holds(names, env, distribution, row, library, length, bytes_read);
    }
    return r;
}
