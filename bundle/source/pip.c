#include "bundle/source/inside.h"

#include <ctype.h>
#include <dirent.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* Runs a program with its output on our standard error: what a package manager says is a diagnostic of ours, and a report stays
 * alone on standard output. *status is what it left with, -1 if it could not be started. */
static int run(char *const arguments[], int *status, const char *label, struct em_error *error)
{
    posix_spawn_file_actions_t actions;
    int wait_status, r;
    pid_t child;

    *status = -1;
    if (!arguments[0])
        return EM_OK;
    r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        if (r == 0)
            r = posix_spawn(&child, arguments[0], &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    if (r == ENOENT)
        return EM_OK;
    if (r != 0) {
        errno = r;
        return em_fail_errno(error, label, "cannot be fetched: %s cannot be started", arguments[0]);
    }
    while (waitpid(child, &wait_status, 0) < 0) {
        if (errno != EINTR)
            return em_fail_errno(error, label, "cannot be fetched: %s", arguments[0]);
    }
    *status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    return EM_OK;
}

/* As the shell would find it, but in no directory whose name counts from the current one: that may be anybody's. NULL: nowhere. */
static const char *find_program(struct em_arena *arena, const char *name)
{
    const char *search = getenv("PATH");
    size_t length;

    for (; search && *search; search += length + (search[length] == ':')) {
        const char *path;

        length = strcspn(search, ":");
        path = *search == '/' ? em_arena_printf(arena, "%.*s/%s", (int)length, search, name) : NULL;
        if (path && access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

/* Who may write there would have us run what he likes. */
static int check_hands(struct em_arena *arena, const char *place, const char *path, struct em_error *error)
{
    em_cleanup_free char *real = realpath(path, NULL);
    const char *unsafe;
    int r = real ? em_find_unsafe(arena, real, &unsafe, error) : em_fail_errno(error, path, "cannot be examined");

    return r == EM_OK && unsafe ? em_fail(error, EM_REFUSED, place,
                                          "is not fetched by %s: %s belongs to another user, or others may write to it, and "
                                          "what they put there would "
                                          "be run in your name; fetch the wheel yourself, and name it with --source",
                                          path, unsafe)
                                : r;
}

/* The environment's own interpreter by the name that it has there: behind the link it would be another environment's. It runs what the
 * environment has for it at its start, and the pip that it has. Without one, that of the shell. */
static int find_python(struct em_arena *arena, const char *place, const struct em_env *target, const char **python,
                       struct em_error *error)
{
    static const char *const names[] = { "bin/python3", "bin/python" };
    struct em_node node;
    int r = EM_OK;

    *python = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !*python; i++) {
        const char *path = target && (target->kind == EM_ENV_VENV || target->kind == EM_ENV_CONDA)
                               ? em_path_join(arena, target->path, names[i])
                               : NULL;

        if (path && em_tree_stat(target->tree, path, &node) == 0)
            *python = path;
    }
    if (!*python) {
        *python = find_program(arena, "python3");
        return EM_OK;
    }
    r = check_hands(arena, place, em_path_dirname(arena, *python), error);
    if (r == EM_OK)
        r = check_hands(arena, place, *python, error);
    em_vec_each (const char *, site, &target->sites)
        if (r == EM_OK)
            r = check_hands(arena, place, *site, error);
    return r;
}

/* A name, and which versions of it (packaging specifications, "Dependency specifiers"). A file, a directory or a URL is none: pip builds what
 * it finds there, and so runs it. */
static bool is_requirement(const char *text)
{
    static const char *const archives[] = { ".zip", ".tar", ".gz",   ".tgz", ".bz2", ".tbz",
                                            ".xz",  ".txz", ".lzma", ".tlz", ".lz",  ".whl" };
    const size_t size = strlen(text);

    if (!isalnum((unsigned char)*text) || strpbrk(text, "/\\@"))
        return false;
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++)
        if (size > strlen(archives[i]) && strcasecmp(text + size - strlen(archives[i]), archives[i]) == 0)
            return false;
    return true;
}

/* One wheel into directory, and no bytecode into the environment (-B): by pip; where the environment has none, as uv makes them, by uv,
 * which unpacks it at once. */
static int fetch(struct em_arena *arena, const char *place, const char *requirement, const char *python, const char *directory,
                 struct em_error *error)
{
    char *const has_pip[] = {
        (char *)python, "-I", "-B", "-c", "import importlib.util as u, sys; sys.exit(not u.find_spec('pip'))", NULL
    };
    char *const pip[] = { (char *)python,
                          "-I",
                          "-B",
                          "-m",
                          "pip",
                          "--disable-pip-version-check",
                          "--no-input",
                          "download",
                          "--quiet",
                          "--no-deps",
                          "--only-binary=:all:",
                          "--dest",
                          (char *)directory,
                          "--",
                          (char *)requirement,
                          NULL };
    char *const uv[] = { (char *)find_program(arena, "uv"),
                         "pip",
                         "install",
                         "--quiet",
                         "--no-deps",
                         "--only-binary=:all:",
                         "--python",
                         (char *)(python ? python : "python3"),
                         "--target",
                         (char *)directory,
                         "--",
                         (char *)requirement,
                         NULL };
    int status, r = run(has_pip, &status, place, error);

    if (r < 0)
        return r;
    r = run(status == 0 ? pip : uv, &status, place, error);
    if (r < 0)
        return r;
    if (status < 0)
        return em_fail(error, EM_NOT_FOUND, place,
                       "cannot be fetched: the environment has no pip, and there is no uv; install either, or name the wheel "
                       "itself with --source");
    if (status > 0)
        return em_fail(error, EM_REFUSED, place, "could not be fetched: exit status %d, for the reason above", status);
    return EM_OK;
}

/* The wheel that pip left, or the directory itself if it is unpacked already. */
static int what_came(struct em_arena *arena, const char *directory, const char **found, struct em_error *error)
{
    DIR *listing = opendir(directory);
    const struct dirent *entry;

    *found = directory;
    if (!listing)
        return em_fail_errno(error, directory, "cannot be listed");
    while ((entry = readdir(listing))) {
        size_t length = strlen(entry->d_name);

        if (length > 4 && strcmp(entry->d_name + length - 4, ".whl") == 0)
            *found = em_path_join(arena, directory, entry->d_name);
    }
    closedir(listing);
    return *found ? EM_OK : EM_NO_MEMORY;
}

/* What was asked for by name is unpacked at once, and the wheel is not kept. */
static int unpack(struct em_source *source, const char *wheel, struct em_error *error)
{
    int r = em_container_open(source, wheel, source->place, error);

    return r < 0 ? r : em_container_look(source, NULL, false, error);
}

/* The same bytes as in what was fetched now. */
static bool is_same(void *context, const char *directory)
{
    const struct em_sha256 *wanted = context;
    struct em_sha256 found;

    return em_cache_hash(directory, &found, NULL) == EM_OK && em_sha256_equal(&found, wanted);
}

/* What came unpacked stays under a name that its content gives it: who fetches the same at the same time has the same directory, and
 * nobody takes it away from him. */
static int keep(struct em_source *source, struct em_tree *tree, const char *scratch, struct em_error *error)
{
    struct em_arena *arena = source->env.arena;
    char key[EM_SHA256_HEX_SIZE];
    struct em_sha256 digest;
    const char *directory;
    int r = em_cache_hash(scratch, &digest, error);

    if (r < 0)
        return r;
    em_sha256_hex(&digest, key);
    directory = em_arena_printf(arena, "%s/%s-fetched", source->cache, key);
    if (directory)
        directory = em_cache_put(arena, scratch, directory, is_same, &digest);
    return directory ? em_source_read_directory(source, arena, tree, directory, error) : EM_NO_MEMORY;
}

int em_source_fetch(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *place,
                    const struct em_env *target, struct em_error *error)
{
    const char *requirement = place + strlen("pip:"), *python, *scratch, *found = NULL;
    int r;

    if (!is_requirement(requirement))
        return em_fail(error, EM_USAGE, place, "names no requirement: pip:nvidia-cudnn-cu12==9.10.2.21 would");
    r = find_python(arena, place, target, &python, error);
    if (r < 0)
        return r;
    em_cache_remove_old(arena, source->cache);
    r = em_cache_scratch(arena, source->cache, &scratch, error);
    if (r < 0)
        return r;
    r = fetch(arena, place, requirement, python, scratch, error);
    if (r == EM_OK)
        r = what_came(arena, scratch, &found, error);
    if (r == EM_OK && found == scratch)
        r = keep(source, tree, scratch, error);
    else if (r == EM_OK)
        r = unpack(source, found, error);
    if (r < 0 || found != scratch)
        em_cache_remove(scratch);
    return r;
}
