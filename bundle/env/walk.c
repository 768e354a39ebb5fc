#include "bundle/env/inside.h"

#include <ctype.h>
#include <elf.h>
#include <string.h>

/* ---- names ---- */

bool em_is_library_name(const char *name)
{
    for (const char *at = name; (at = strstr(at, ".so")); at += 3) {
        if (at > name && (at[3] == '\0' || at[3] == '.'))
            return true;
    }
    return false;
}

int em_env_public_names(struct em_strings *names, struct em_arena *arena, const char *name)
{
    const char *so = strstr(name, ".so."), *hash = so && so - name > 9 ? so - 9 : NULL;
    const char *whole, *end;

    *names = (struct em_strings){ 0 };
    if (!hash || *hash != '-' || strspn(hash + 1, "0123456789abcdef") != 8 || !isdigit((unsigned char)so[4]))
        return EM_OK;
    whole = em_arena_printf(arena, "%.*s%s", (int)(hash - name), name, so);
    if (!whole)
        return EM_NO_MEMORY;
    for (end = whole + strlen(whole); end > whole + (hash - name) + strlen(".so");) {
        const char *shorter = em_arena_strndup(arena, whole, (size_t)(end - whole));

        if (!shorter || em_vec_push(arena, names, shorter) < 0)
            return EM_NO_MEMORY;
        do
            end--;
        while (*end != '.');
    }
    return EM_OK;
}

bool em_is_never_entered(const char *name)
{
    static const char *const names[] = { ".elfmend", ".git", ".hg", ".svn" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool ends_with(const char *string, const char *end)
{
    size_t length = strlen(string), end_length = strlen(end);

    return length >= end_length && strcmp(string + length - end_length, end) == 0;
}

/* Files without an extension may be programs (triton's ptxas, playwright's node), but not among headers (Eigen/Dense) and not
 * where the name shouts (LICENSE, METADATA). In a bin directory everything may be one that is not plainly a script. */
static bool may_be_program(const char *directory, const char *name)
{
    const char *last = em_path_basename(directory);

    if (strcmp(last, "bin") == 0 || strcmp(last, "sbin") == 0 || strcmp(last, "libexec") == 0)
        return !ends_with(name, ".py") && !ends_with(name, ".pyc") && !ends_with(name, ".sh");
    if (strchr(name, '.') || ends_with(last, ".dist-info") || ends_with(last, ".egg-info") || strstr(directory, "/include/") ||
        strcmp(last, "include") == 0)
        return false;
    for (const char *at = name; *at; at++) {
        if (islower((unsigned char)*at))
            return true;
    }
    return false;
}

static bool is_identifier(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && !((unsigned char)name[i] & 0x80))
            return false;
    }
    return length > 0 && !isdigit((unsigned char)name[0]);
}

/* importlib.machinery.EXTENSION_SUFFIXES, of any interpreter (PEP 3149). A bare ".so" is one too; "libfoo.so" could be imported, and
 * never is. */
bool em_env_is_extension(const char *path)
{
    static const char *const tags[] = { "cpython-", "pypy", "graalpy", "abi3" };
    const char *name = em_path_basename(path), *dot = strchr(name, '.');

    if (!dot || !ends_with(name, ".so") || !is_identifier(name, (size_t)(dot - name)))
        return false;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (strncmp(dot + 1, tags[i], strlen(tags[i])) == 0)
            return true;
    }
    for (const char *libs = path; (libs = strstr(libs, "libs/")); libs++) {
        if (libs > path && (libs[-1] == '.' || libs[-1] == '/'))
            return false;
    }
    return strcmp(dot, ".so") == 0 && strncmp(name, "lib", 3) != 0;
}

bool em_env_is_tagged(const char *path)
{
    const char *dot = strchr(em_path_basename(path), '.');

    return em_env_is_extension(path) && dot && strcmp(dot, ".so") != 0;
}

/* ---- the walk ---- */

static int walk_below(struct em_walk *walk, const char *directory, unsigned depth)
{
    struct em_entries entries;
    int r;

    if (depth > EM_MAX_TREE_DEPTH)
        return em_fail(walk->error, EM_LIMIT, directory, "lies deeper than the %u directories that are looked into",
                       EM_MAX_TREE_DEPTH);
    r = em_tree_entries(walk->env->tree, walk->scratch, directory, &entries);
    if (r == -ENOENT && depth > 0)
        return EM_OK;
    if (r < 0)
        return em_env_fail(walk->error, walk->env, directory, r, "cannot be listed");
    em_vec_each (const struct em_entry, entry, &entries) {
        const char *below;

        r = walk->visit(walk, directory, entry);
        if (r < 0)
            return r;
        if (entry->kind != EM_NODE_DIRECTORY || r == EM_WALK_SKIP)
            continue;
        below = em_path_join(walk->scratch, directory, entry->name);
        r = below ? walk_below(walk, below, depth + 1) : EM_NO_MEMORY;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_walk_directory(struct em_walk *walk, const char *directory)
{
    return walk_below(walk, directory, 0);
}

/* ---- objects ---- */

int em_env_is_object(struct em_env *env, const char *path, bool *is_object, struct em_node *node, struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    uint8_t header[EI_NIDENT + 2];
    uint16_t type = ET_NONE;
    int r = em_tree_open(env->tree, path, &file);

    *is_object = false;
    if (r == -ENOENT || r == -ENOTDIR || r == -EISDIR || r == -EINVAL || r == -ENXIO)
        return EM_OK;
    if (r < 0)
        return em_env_fail(error, env, path, r, "cannot be opened");
    if (file->reader.size < sizeof(Elf32_Ehdr))
        return EM_OK;
    r = em_read_at(&file->reader, header, sizeof header, 0, error);
    if (r < 0)
        return r;
    if (memcmp(header, ELFMAG, SELFMAG) != 0 || (header[EI_CLASS] != ELFCLASS32 && header[EI_CLASS] != ELFCLASS64) ||
        (header[EI_DATA] != ELFDATA2LSB && header[EI_DATA] != ELFDATA2MSB) ||
        (header[EI_CLASS] == ELFCLASS64 && file->reader.size < sizeof(Elf64_Ehdr)))
        return EM_OK;
    em_bytes_u16((struct em_bytes){ header, sizeof header }, EI_NIDENT, header[EI_DATA] == ELFDATA2MSB, &type);
    *is_object = type == ET_DYN || type == ET_EXEC;
    *node = file->node;
    return EM_OK;
}

/* The objects of a walk, and the sites that it meets. */
struct search {
    struct em_env *env;
    struct em_strings sites;
};

static int look_at_file(struct search *search, const char *directory, const struct em_entry *entry, struct em_error *error)
{
    struct em_env *env = search->env;
    struct em_env_object object = { 0 };
    bool is_object;
    int r;

    if (!em_is_library_name(entry->name) && !may_be_program(directory, entry->name))
        return EM_OK;
    object.path = em_path_join(env->arena, directory, entry->name);
    if (!object.path)
        return EM_NO_MEMORY;
    if (entry->kind == EM_NODE_LINK) {
        char *real;

        /* What it leads to inside is met under its own name. What lies outside belongs to the target only if a package manager
         * put it there: uv can link all of a distribution to its cache. */
        if (em_tree_real_path(env->tree, env->arena, object.path, &real) < 0 || em_path_is_below(real, env->real_path) ||
            !em_env_owners(env, object.path, &object.owners))
            return EM_OK;
    }
    r = em_env_is_object(env, object.path, &is_object, &object.node, error);
    if (r < 0 || is_object)
        return r < 0 ? r : em_vec_push(env->arena, &env->objects, object);
    return em_is_library_name(entry->name) ? em_vec_push(env->arena, &env->impostors, object.path) : EM_OK;
}

/* A site is a directory with a .dist-info, if it does not lie in another one: setuptools and pip carry others' in themselves. */
static int note_site(struct search *search, const char *directory)
{
    em_vec_each (const char *, site, &search->sites) {
        if (em_path_is_below(directory, *site))
            return EM_OK;
    }
    directory = em_arena_strdup(search->env->arena, directory);
    return directory ? em_vec_push(search->env->arena, &search->sites, directory) : EM_NO_MEMORY;
}

/* The prefix that conda itself is installed in holds the unpacked packages and the other prefixes. */
static bool is_other_prefix(const struct em_env *env, const char *directory, const char *name)
{
    return env->kind == EM_ENV_CONDA && strcmp(directory, env->path) == 0 &&
           (strcmp(name, "pkgs") == 0 || strcmp(name, "envs") == 0 || strcmp(name, "conda-bld") == 0);
}

static int look_at(struct em_walk *walk, const char *directory, const struct em_entry *entry)
{
    struct search *search = walk->context;
    const struct em_env *env = search->env;

    switch (entry->kind) {
    case EM_NODE_FILE:
    case EM_NODE_LINK: return look_at_file(search, directory, entry, walk->error);
    case EM_NODE_OTHER: return EM_OK;
    case EM_NODE_DIRECTORY: break;
    }
    /* At the root hidden directories are the tools' (.git, .venv, .tox); deeper they may be a wheel's: numpy/.libs. */
    if (em_is_never_entered(entry->name) || (entry->name[0] == '.' && strcmp(directory, env->path) == 0) ||
        strcmp(entry->name, "__pycache__") == 0 || is_other_prefix(env, directory, entry->name))
        return EM_WALK_SKIP;
    /* Names sort so that a site's .dist-info may be met after what is in its packages: sites are sorted out at the end. */
    if (env->kind == EM_ENV_DIRECTORY && em_is_dist_info(entry->name))
        return note_site(search, directory);
    return EM_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct em_env_object *)a)->path, ((const struct em_env_object *)b)->path);
}

/* The outermost of the sites that were met. */
static int keep_sites(struct search *search)
{
    em_vec_each (const char *, site, &search->sites) {
        bool outermost = true;
        int r;

        em_vec_each (const char *, other, &search->sites)
            outermost = outermost && (other == site || !em_path_is_below(*site, *other));
        r = outermost ? em_vec_push(search->env->arena, &search->env->sites, *site) : EM_OK;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_env_find_objects(struct em_env *env, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct search search = { .env = env };
    struct em_walk walk = { .env = env, .scratch = scratch, .error = error, .context = &search, .visit = look_at };
    int r;

    if (!scratch)
        return EM_NO_MEMORY;
    r = em_walk_directory(&walk, env->path);
    em_vec_each (const char *, site, &env->beside)
        if (r == EM_OK)
            r = em_walk_directory(&walk, *site);
    if (r == EM_OK)
        r = keep_sites(&search);
    if (r == EM_OK && env->objects.count > 1)
        qsort(env->objects.items, env->objects.count, sizeof *env->objects.items, by_path);
    return r;
}
