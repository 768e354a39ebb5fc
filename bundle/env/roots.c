#include "bundle/env/inside.h"

#include <string.h>
#include <unistd.h>

/* What the kernel makes of ".." behind a link is not what the text says: such a target is resolved, all others stay as they are
 * spelled. */
static bool climbs(const char *path)
{
    for (; *path; path += strspn(path, "/")) {
        size_t size = strcspn(path, "/");

        if (size == 2 && path[0] == '.' && path[1] == '.')
            return true;
        path += size;
    }
    return false;
}

static int find_path(struct em_env *env, const char *target, struct em_error *error)
{
    char *absolute = em_path_join(env->arena, "/", target), *real;
    int r;

    if (target[0] != '/') {
        em_cleanup_free char *cwd = getcwd(NULL, 0);

        if (!cwd)
            return em_fail_errno(error, target, "is relative, and the current directory cannot be named");
        absolute = em_path_join(env->arena, cwd, target);
    }
    if (!absolute)
        return EM_NO_MEMORY;
    r = em_tree_real_path(env->tree, env->arena, absolute, &real);
    if (r < 0)
        return em_env_fail(error, env, NULL, r, "cannot be found");
    env->real_path = real;
    env->path = climbs(target) ? real : em_path_normal(env->arena, absolute);
    return env->path ? EM_OK : EM_NO_MEMORY;
}

static bool exists(const struct em_env *env, const char *directory, const char *name, enum em_node_kind kind)
{
    const char *path = em_path_join(env->arena, directory, name);
    struct em_node node;

    return path && em_tree_stat(env->tree, path, &node) == 0 && node.kind == kind;
}

/* ---- pyvenv.cfg ---- */

/* The value of "key = value" (PEP 405; the keys of venv, virtualenv and uv), or NULL. Keys have no case. */
static const char *config_value(struct em_arena *arena, struct em_bytes config, const char *key)
{
    const char *at = (const char *)config.data, *end = at + config.size;

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        const char *stop = line_end ? line_end : end, *equals = memchr(at, '=', (size_t)(stop - at));
        size_t length = strlen(key);

        at += strspn(at, " \t");
        if (equals && at + length <= equals && strncasecmp(at, key, length) == 0 &&
            at + length + strspn(at + length, " \t") == equals) {
            const char *value = equals + 1;

            value += strspn(value, " \t");
            while (stop > value && strchr(" \t\r", stop[-1]))
                stop--;
            return value < stop ? em_arena_strndup(arena, value, (size_t)(stop - value)) : NULL;
        }
        at = line_end ? line_end + 1 : end;
    }
    return NULL;
}

/* "3.11" of "3.11.2" or "3.11.2.final.0"; NULL if it is no such thing. */
static const char *minor_version(struct em_arena *arena, const char *version)
{
    size_t major = version ? strspn(version, "0123456789") : 0, minor;

    if (major == 0 || version[major] != '.')
        return NULL;
    minor = strspn(version + major + 1, "0123456789");
    return minor ? em_arena_strndup(arena, version, major + 1 + minor) : NULL;
}

/* The interpreter by its file in bin/, else by what pyvenv.cfg says of the one that made the environment. */
static void find_python(struct em_env *env, const char *home)
{
    const char *const candidates[] = { em_path_join(env->arena, env->path, "bin/python3"),
                                       em_path_join(env->arena, env->path, "bin/python"),
                                       home ? em_path_join(env->arena, home, "python3") : NULL,
                                       home ? em_path_join(env->arena, home, "python") : NULL };
    char *real;

    for (size_t i = 0; i < sizeof candidates / sizeof *candidates && !env->python; i++) {
        if (candidates[i] && em_tree_real_path(env->tree, env->arena, candidates[i], &real) == 0)
            env->python = real;
    }
}

/* ---- sites ---- */

/* Two spellings of one directory are one site: lib64 is a link to lib in most environments. */
static int add_site(struct em_env *env, const char *site)
{
    struct em_node node, other;

    if (em_tree_stat(env->tree, site, &node) < 0 || node.kind != EM_NODE_DIRECTORY)
        return EM_OK;
    em_vec_each (const char *, known, &env->sites) {
        if (em_tree_stat(env->tree, *known, &other) == 0 && other.device == node.device && other.inode == node.inode)
            return EM_OK;
    }
    return em_vec_push(env->arena, &env->sites, site);
}

/* "python3.11" and "pypy3.10"; "python3.13t" is the free-threaded build. */
static const char *interpreter_version(struct em_arena *arena, const char *name)
{
    if (strncmp(name, "python", 6) == 0)
        return minor_version(arena, name + 6);
    return strncmp(name, "pypy", 4) == 0 ? minor_version(arena, name + 4) : NULL;
}

/* By its real place: links to directories are not followed by the walk, and what lies in the target is met there. A site that lies
 * elsewhere is no part of what would be repaired, nor of what undo gives back. */
static int add_own_site(struct em_env *env, const char *site, struct em_error *error)
{
    char *real;

    if (em_tree_real_path(env->tree, env->arena, site, &real) < 0)
        return EM_OK;
    if (strcmp(env->real_path, "/") != 0 && !em_path_is_below(real, env->real_path))
        return em_fail(error, EM_UNSUPPORTED, env->given,
                       "has its packages outside of it, over a link: %s; give elfmend that directory instead", real);
    site = em_path_join(env->arena, env->path, em_path_after(real, env->real_path));
    return site ? add_site(env, site) : EM_NO_MEMORY;
}

/* LIB/pythonX.Y/site-packages. An environment that was upgraded keeps the old one's directory: only that of its version counts. */
static int add_sites_of(struct em_env *env, const char *lib, struct em_error *error)
{
    const char *directory = em_path_join(env->arena, env->path, lib);
    struct em_entries entries;
    int r;

    if (!directory)
        return EM_NO_MEMORY;
    r = em_tree_entries(env->tree, env->arena, directory, &entries);
    if (r == -ENOENT || r == -ENOTDIR)
        return EM_OK;
    if (r < 0)
        return em_fail(error, EM_IO, env->given, "has no lib directory that can be listed");
    em_vec_each (const struct em_entry, entry, &entries) {
        const char *version = interpreter_version(env->arena, entry->name);
        const char *site = em_arena_printf(env->arena, "%s/%s/site-packages", directory, entry->name);

        if (!version || (env->python_version && strcmp(version, env->python_version) != 0))
            continue;
        if (!site)
            return EM_NO_MEMORY;
        r = add_own_site(env, site, error);
        if (r < 0)
            return r;
        if (!env->python_version && env->sites.count)
            env->python_version = version;
    }
    return EM_OK;
}

/* platlib before purelib where they differ (Fedora's lib64); where lib64 is a link, "lib" is what RECORD and sysconfig spell. */
static int find_sites(struct em_env *env, struct em_error *error)
{
    const char *lib64 = em_path_join(env->arena, env->path, "lib64");
    struct em_node node;
    bool apart;
    int r = EM_OK;

    if (!lib64)
        return EM_NO_MEMORY;
    apart = em_tree_stat_link(env->tree, lib64, &node) == 0 && node.kind == EM_NODE_DIRECTORY;
    if (apart)
        r = add_sites_of(env, "lib64", error);
    if (r == EM_OK)
        r = add_sites_of(env, "lib", error);
    if (r == EM_OK && !apart)
        r = add_sites_of(env, "lib64", error);
    return r;
}

/* ---- what is beside ---- */

/* Two levels up from its bin directory, as a rule; where the standard library is, in any case. */
static const char *find_base(struct em_env *env, const char *home)
{
    const char *landmark = em_arena_printf(env->arena, "lib/python%s/os.py", env->python_version);
    char *directory;

    if (!landmark || em_tree_real_path(env->tree, env->arena, home, &directory) < 0)
        return NULL;
    while (!exists(env, directory, landmark, EM_NODE_FILE)) {
        if (strcmp(directory, "/") == 0)
            return NULL;
        directory = em_path_dirname(env->arena, directory);
        if (!directory)
            return NULL;
    }
    return directory;
}

static int add_beside(struct em_env *env, const char *site)
{
    const struct em_strings own = env->sites;
    int r;

    if (!site)
        return EM_NO_MEMORY;
    /* As for the target's own sites: each directory once. */
    env->sites = env->beside;
    r = add_site(env, site);
    env->beside = env->sites;
    env->sites = own;
    return r;
}

/* site.getsitepackages() of CPython, and of Debian's, which has its own packages and those of pip apart. */
static int find_beside(struct em_env *env, const char *home)
{
    static const char *const sites[] = { "local/lib/python%s/dist-packages", "lib/python3/dist-packages",
                                         "lib/python%s/dist-packages",       "local/lib64/python%s/site-packages",
                                         "local/lib/python%s/site-packages", "lib64/python%s/site-packages",
                                         "lib/python%s/site-packages" };
    const char *base = home && env->python_version ? find_base(env, home) : NULL;
    int r = EM_OK;

    for (size_t i = 0; base && r == EM_OK && i < sizeof sites / sizeof *sites; i++) {
        const char *version = strchr(sites[i], '%');
        const char *site = version ? em_arena_printf(env->arena, "%s/%.*s%s%s", base, (int)(version - sites[i]), sites[i],
                                                     env->python_version, version + 2)
                                   : em_path_join(env->arena, base, sites[i]);

        r = add_beside(env, site);
    }
    return r;
}

static int read_venv(struct em_env *env, struct em_error *error)
{
    const char *path = em_path_join(env->arena, env->path, "pyvenv.cfg"), *version, *home, *sees;
    struct em_bytes config;
    int r;

    if (!path)
        return EM_NO_MEMORY;
    r = em_tree_read(env->tree, env->arena, path, EM_MAX_METADATA, &config, error);
    if (r < 0)
        return r;
    /* A copy with a NUL behind it, for the string functions. */
    config.data = (const uint8_t *)em_arena_strndup(env->arena, (const char *)config.data, config.size);
    if (!config.data)
        return EM_NO_MEMORY;
    version = config_value(env->arena, config, "version");
    if (!version)
        version = config_value(env->arena, config, "version_info");
    env->python_version = minor_version(env->arena, version);
    home = config_value(env->arena, config, "home");
    sees = config_value(env->arena, config, "include-system-site-packages");
    find_python(env, home);
    r = find_sites(env, error);
    if (r == EM_OK && env->sites.count == 0 && env->python_version) {
        /* The directory does not agree with pyvenv.cfg: what is there counts. */
        env->python_version = NULL;
        r = find_sites(env, error);
    }
    if (r == EM_OK && env->sites.count == 0)
        return em_fail(error, EM_UNSUPPORTED, env->given, "has a pyvenv.cfg but no lib/pythonX.Y/site-packages");
    return r == EM_OK && sees && strcasecmp(sees, "true") == 0 ? find_beside(env, home) : r;
}

static int read_conda(struct em_env *env, struct em_error *error)
{
    find_python(env, NULL);
    return find_sites(env, error); /* a prefix without Python has none */
}

static bool has_dist_info(struct em_env *env, const char *directory, int *answer)
{
    struct em_entries entries;

    *answer = em_tree_entries(env->tree, env->arena, directory, &entries);
    if (*answer < 0)
        return false;
    em_vec_each (const struct em_entry, entry, &entries) {
        if (entry->kind != EM_NODE_FILE && em_is_dist_info(entry->name))
            return true;
    }
    return false;
}

static int read_directory(struct em_env *env, struct em_error *error)
{
    int answer;

    if (exists(env, env->path, "pyvenv.cfg", EM_NODE_FILE)) {
        env->kind = EM_ENV_VENV;
        return read_venv(env, error);
    }
    if (exists(env, env->path, "conda-meta", EM_NODE_DIRECTORY)) {
        env->kind = EM_ENV_CONDA;
        return read_conda(env, error);
    }
    if (has_dist_info(env, env->path, &answer)) {
        env->kind = EM_ENV_TARGET;
        return em_vec_push(env->arena, &env->sites, env->path);
    }
    env->kind = EM_ENV_DIRECTORY;
    return answer < 0 ? em_env_fail(error, env, NULL, answer, "cannot be listed") : EM_OK;
}

static int read_file(struct em_env *env, struct em_error *error)
{
    size_t length = strlen(env->path);
    struct em_node node;
    bool is_object;
    int r;

    env->kind = EM_ENV_OBJECT;
    if (length > 4 && strcmp(env->path + length - 4, ".whl") == 0)
        return em_fail(error, EM_UNSUPPORTED, env->given,
                       "is a wheel, which is never changed: elfmend repack makes a repaired one");
    r = em_env_is_object(env, env->path, &is_object, &node, error);
    if (r < 0)
        return r;
    if (!is_object)
        return em_fail(error, EM_UNSUPPORTED, env->given, "is no environment: neither a directory nor an ELF object");
    return em_vec_push(env->arena, &env->objects, ((struct em_env_object){ .path = env->path, .node = node }));
}

int em_env_find_roots(struct em_env *env, const char *target, struct em_error *error)
{
    struct em_node node;
    int r;

    env->given = em_arena_strdup(env->arena, target);
    if (!env->given)
        return EM_NO_MEMORY;
    if (*target == '\0')
        return em_fail(error, EM_USAGE, NULL, "an empty path is no target");
    r = find_path(env, target, error);
    if (r < 0)
        return r;
    r = em_tree_stat(env->tree, env->path, &node);
    if (r < 0)
        return em_env_fail(error, env, NULL, r, "cannot be examined");
    switch (node.kind) {
    case EM_NODE_DIRECTORY: return read_directory(env, error);
    case EM_NODE_FILE: return read_file(env, error);
    case EM_NODE_LINK:
    case EM_NODE_OTHER: break;
    }
    return em_fail(error, EM_UNSUPPORTED, env->given, "is no environment: neither a directory nor a regular file");
}
