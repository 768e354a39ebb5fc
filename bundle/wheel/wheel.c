#include "bundle/wheel/wheel.h"

#include <ctype.h>
#include <string.h>

bool em_is_wheel_name(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".whl") == 0;
}

bool em_is_musl_wheel(const char *path)
{
    const char *platforms = strrchr(em_path_basename(path), '-');

    if (!platforms || !em_is_wheel_name(path))
        return false;
    for (const char *at = platforms + 1;; at++) {
        if (strncmp(at, "musllinux_", 10) != 0)
            return false;
        at = strchr(at, '.');
        if (strcmp(at, ".whl") == 0)
            return true;
    }
}

/* ---- the name ---- */

/* Letters, digits and what joins them in names, versions (PEP 440) and tags. */
static bool is_plain(const char *part)
{
    return *part && part[strspn(part, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.+!")] == '\0';
}

/* "{name}-{version}(-{build})?-{python}-{abi}-{platform}.whl" (binary distribution format, "File name convention"). */
static int read_name(struct em_wheel *wheel, struct em_arena *arena)
{
    char *copy = em_arena_strndup(arena, wheel->file_name, strlen(wheel->file_name) - 4), *part;
    const char *parts[7];
    size_t count = 0;

    wheel->python = "python3";
    if (!copy)
        return EM_NO_MEMORY;
    while ((part = strsep(&copy, "-")) != NULL) {
        if (count == 6 || !is_plain(part))
            return EM_OK;
        parts[count++] = part;
    }
    if (count < 5 || (count == 6 && !isdigit((unsigned char)*parts[2])))
        return EM_OK;
    wheel->name = parts[0];
    wheel->version = parts[1];
    wheel->build = count == 6 ? parts[2] : NULL;
    wheel->tags = em_arena_printf(arena, "%s-%s-%s", parts[count - 3], parts[count - 2], parts[count - 1]);
    part = (char *)(uintptr_t)parts[count - 3];
    if (strncmp(part, "cp3", 3) == 0 && isdigit((unsigned char)part[3]))
        wheel->python = em_arena_printf(arena, "python3.%.*s", (int)strspn(part + 3, "0123456789"), part + 3);
    return wheel->tags && wheel->python ? EM_OK : EM_NO_MEMORY;
}

static bool is_dist_info(const char *directory, size_t length)
{
    return length > 10 && strncmp(directory + length - 10, ".dist-info", 10) == 0;
}

/* The one that belongs to the name, else the first. */
static int find_dist_info(struct em_wheel *wheel, struct em_arena *arena)
{
    struct em_map known = { .arena = arena };
    char *wanted = wheel->name ? em_arena_printf(arena, "%s-%s.dist-info", wheel->name, wheel->version) : NULL;

    em_vec_each (const struct em_zip_member, member, em_zip_members(wheel->zip)) {
        size_t length = strcspn(member->name, "/");
        char *directory;

        if (member->name[length] != '/' || !is_dist_info(member->name, length))
            continue;
        directory = em_arena_strndup(arena, member->name, length);
        if (!directory)
            return EM_NO_MEMORY;
        if (em_map_get(&known, directory))
            continue;
        if (em_map_put(&known, directory, directory) < 0)
            return EM_NO_MEMORY;
        if (!wheel->dist_info || (wanted && strcmp(directory, wanted) == 0))
            wheel->dist_info = directory;
    }
    wheel->dist_infos = (unsigned)known.count;
    return EM_OK;
}

/* Without links: its objects are laid over the tree of the machine, where a link on the way would lead past them. */
static int read_place(struct em_wheel *wheel, struct em_arena *arena, const char *path, struct em_error *error)
{
    em_cleanup_free char *real = realpath(path, NULL);

    if (!real)
        return em_fail_errno(error, path, "cannot be named by an absolute path");
    wheel->absolute = em_arena_strdup(arena, real);
    wheel->given = em_arena_strdup(arena, path);
    if (!wheel->absolute || !wheel->given)
        return EM_NO_MEMORY;
    wheel->file_name = em_path_basename(wheel->given);
    return EM_OK;
}

int em_wheel_open(struct em_wheel **result, struct em_arena *arena, const char *path, struct em_error *error)
{
    struct em_wheel *wheel = em_new(arena, struct em_wheel);
    int r;

    *result = NULL;
    if (!wheel)
        return EM_NO_MEMORY;
    r = em_zip_open(&wheel->zip, path, error);
    if (r < 0)
        return r;
    r = read_place(wheel, arena, path, error);
    if (r == EM_OK)
        r = read_name(wheel, arena);
    if (r == EM_OK)
        r = find_dist_info(wheel, arena);
    if (r < 0) {
        em_wheel_close(wheel);
        return r;
    }
    *result = wheel;
    return EM_OK;
}

void em_wheel_close(struct em_wheel *wheel)
{
    if (!wheel)
        return;
    em_zip_close(wheel->zip);
    wheel->zip = NULL;
}

struct em_zip_member *em_wheel_part(const struct em_wheel *wheel, struct em_arena *arena, const char *name)
{
    char *path = wheel->dist_info ? em_arena_printf(arena, "%s/%s", wheel->dist_info, name) : NULL;

    return path ? em_zip_find(wheel->zip, path) : NULL;
}

/* ---- installing ---- */

static void add_row(struct em_text *text, const struct em_record_row *row, const char *path)
{
    bool quote = strpbrk(path, ",\"\r\n") != NULL;

    if (quote) {
        em_text_add(text, "\"");
        for (const char *at = path; *at; at++)
            em_text_printf(text, *at == '"' ? "\"\"" : "%c", *at);
        em_text_add(text, "\"");
    } else {
        em_text_add(text, path);
    }
    if (row->has_size)
        em_text_printf(text, ",%s,%llu\n", row->hash, (unsigned long long)row->size);
    else
        em_text_printf(text, ",%s,\n", row->hash);
}

/* RECORD as an installer would write it: with the files of .data where they went. What it takes to see that nothing went anywhere is not
 * kept: of ten thousand rows it is megabytes. */
static int install_record(struct em_installed *installed, struct em_arena *arena, const struct em_wheel *wheel,
                          struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_zip_member *member = scratch ? em_wheel_part(wheel, scratch, "RECORD") : NULL;
    em_cleanup_text struct em_text text = { 0 };
    struct em_record record;
    struct em_bytes bytes;
    const char *path;
    bool moved = false;
    int r;

    if (!scratch)
        return EM_NO_MEMORY;
    if (!member)
        return EM_OK;
    r = em_zip_read(wheel->zip, member, scratch, EM_MAX_RECORD, &bytes, error);
    if (r == EM_OK)
        r = em_record_read(&record, scratch, bytes, em_arena_printf(scratch, "%s: %s", wheel->given, member->name), error);
    if (r < 0)
        return r;
    em_vec_each (const struct em_record_row, row, &record.rows) {
        path = em_site_member_path(scratch, row->path, wheel->python);
        if (!path)
            return EM_NO_MEMORY;
        moved = moved || path != row->path;
        add_row(&text, row, path);
    }
    if (text.failed)
        return EM_NO_MEMORY;
    if (!moved)
        return EM_OK;
    bytes.data = (const uint8_t *)em_arena_strndup(arena, text.data, text.size);
    bytes.size = text.size;
    path = em_arena_printf(arena, "%s/%s", installed->site, member->name);
    return bytes.data && path ? em_site_put_bytes(installed->tree, path, bytes) : EM_NO_MEMORY;
}

static int add_wheel(struct em_installed *installed, struct em_arena *arena, const struct em_wheel *wheel,
                     struct em_error *error)
{
    int r = em_site_put_wheel(installed->tree, wheel->zip, error);

    return r < 0 ? r : install_record(installed, arena, wheel, error);
}

/* An environment's sites, or the directory itself. */
static int add_directory(struct em_installed *installed, struct em_arena *arena, struct em_tree *below, const char *place,
                         struct em_error *error)
{
    struct em_env env;
    int r = em_env_read(&env, arena, below, place, error);

    if (r < 0)
        return r;
    if (env.kind == EM_ENV_OBJECT)
        return em_fail(error, EM_UNSUPPORTED, place, "is one object, which nothing is installed beside");
    if (env.sites.count == 0)
        return em_site_put_directory(installed->tree, env.path);
    em_vec_each (const char *, site, &env.sites) {
        r = em_site_put_directory(installed->tree, *site);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_wheel_install(struct em_installed *installed, struct em_arena *arena, const struct em_wheel *wheel,
                     struct em_tree *below, const struct em_strings *with, struct em_error *error)
{
    int r;

    *installed = (struct em_installed){ 0 };
    r = em_tree_site(&installed->tree, below, wheel->absolute, wheel->python);
    if (r < 0)
        return r;
    installed->site = em_site_path(installed->tree);
    r = add_wheel(installed, arena, wheel, error);
    em_vec_each (const char *, place, with) {
        struct em_wheel *sibling;

        if (r < 0)
            return r;
        if (!em_is_wheel_name(*place)) {
            r = add_directory(installed, arena, below, *place, error);
            continue;
        }
        r = em_wheel_open(&sibling, arena, *place, error);
        if (r == EM_OK)
            r = em_vec_push(arena, &installed->siblings, sibling);
        if (r == EM_OK)
            r = add_wheel(installed, arena, sibling, error);
    }
    return r;
}

int em_wheel_lay_out(struct em_installed *packed, const struct em_wheel *wheel, struct em_tree *below, struct em_error *error)
{
    int r;

    *packed = (struct em_installed){ 0 };
    r = em_tree_site(&packed->tree, below, wheel->absolute, NULL);
    if (r < 0)
        return r;
    packed->site = em_site_path(packed->tree);
    return em_site_put_wheel(packed->tree, wheel->zip, error);
}

void em_wheel_uninstall(struct em_installed *installed)
{
    em_vec_each (struct em_wheel *, sibling, &installed->siblings)
        em_wheel_close(*sibling);
    installed->siblings.count = 0;
    em_tree_close(installed->tree);
    installed->tree = NULL;
}

struct em_distribution *em_wheel_distribution(const struct em_wheel *wheel, const struct em_env *env)
{
    em_vec_each (struct em_distribution *, distribution, &env->distributions)
        if (wheel->dist_info && strcmp(em_path_basename((*distribution)->dist_info), wheel->dist_info) == 0)
            return *distribution;
    return NULL;
}
