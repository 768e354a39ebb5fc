#include "bundle/source/unpack.h"

#include <string.h>

#define PIECE ((size_t)256 * 1024)
#define MOST_MEMBERS (1u << 20)

/* ---- names ---- */

static bool has_control(const char *name)
{
    for (; *name; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7f)
            return true;
    }
    return false;
}

/* The name as a path of ours: "./" in front and "/" behind are tar's habit. NULL in *path: it has none that we could write, being in no
 * encoding that libarchive knows. */
static int member_path(struct em_unpack *unpack, struct archive_entry *entry, const char **path)
{
    const char *name = em_la.archive_entry_pathname_utf8(entry);
    char *copy;
    size_t length;

    *path = NULL;
    if (!name)
        name = em_la.archive_entry_pathname(entry);
    if (!name)
        return EM_OK;
    while (name[0] == '.' && name[1] == '/')
        name += 2 + strspn(name + 2, "/");
    copy = em_arena_strdup(unpack->arena, name);
    if (!copy)
        return EM_NO_MEMORY;
    length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    if (em_la.archive_entry_filetype(entry) == AE_IFDIR && (length == 0 || strcmp(copy, ".") == 0))
        return EM_OK;
    if (has_control(copy))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has a member with a control character in its name");
    if (!em_path_is_contained(copy))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has a member that would lie outside of it: '%s'", copy);
    *path = copy;
    return EM_OK;
}

static bool is_in_dist_info(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash - path > 10 && strncmp(slash - 10, ".dist-info", 10) == 0 &&
           (strcmp(slash, "/RECORD") == 0 || strcmp(slash, "/METADATA") == 0);
}

static bool is_wanted(const char *path)
{
    return em_is_library_name(em_path_basename(path)) || is_in_dist_info(path) || em_is_licence_name(path) ||
           strcmp(path, "info/paths.json") == 0 || strcmp(path, "info/index.json") == 0;
}

/* ---- files ---- */

/* The directory that a path lies in, made on the way; below unpack->root there is nothing but what we made. */
static int make_directories(struct em_unpack *unpack, const char *path)
{
    em_cleanup_free char *part = strdup(path);

    if (!part)
        return EM_NO_MEMORY;
    for (char *slash = part; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdirat(unpack->root, part, 0700) < 0 && errno != EEXIST)
            return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", part);
        *slash = '/';
    }
    return EM_OK;
}

static int write_content(struct em_unpack *unpack, struct archive *archive, int fd, const char *path)
{
    em_cleanup_free char *piece = malloc(PIECE);
    uint64_t written = 0;

    if (!piece)
        return EM_NO_MEMORY;
    for (;;) {
        la_ssize_t got = em_la.archive_read_data(archive, piece, PIECE);
        int r;

        if (got < 0)
            return em_fail(unpack->error, EM_BAD_ZIP, unpack->label, "cannot be read: %s: %s", path,
                           em_la.archive_error_string(archive) ? em_la.archive_error_string(archive) : "damaged");
        if (got == 0)
            return EM_OK;
        /* A size that was not told before, or that lied. */
        written += (uint64_t)got;
        if (written > unpack->limit)
            return em_fail(unpack->error, EM_REFUSED, unpack->label, "would grow beyond all measure when it is unpacked");
        r = em_write_all(fd, piece, (size_t)got, path, unpack->error);
        if (r < 0)
            return r;
    }
}

static int write_file(struct em_unpack *unpack, struct archive *archive, struct archive_entry *entry, const char *path)
{
    em_cleanup_fd int fd = -1;
    /* As pip does: the archive's own bits may be none at all. */
    mode_t mode = em_la.archive_entry_perm(entry) & 0111 ? 0755 : 0644;
    int r = make_directories(unpack, path);

    if (r < 0)
        return r;
    fd = openat(unpack->root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EEXIST || errno == EISDIR || errno == ENOTDIR))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has two members of the name %s", path);
    if (fd < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", path);
    r = write_content(unpack, archive, fd, path);
    if (r == EM_OK && fchmod(fd, mode) < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", path);
    unpack->libraries += em_is_library_name(em_path_basename(path));
    return r;
}

/* ---- links ---- */

static int add_link(struct em_unpack *unpack, const char *path, const char *target, bool is_hard)
{
    const char *directory = em_path_dirname(unpack->arena, path), *joined, *normal;

    if (unpack->is_wheel)
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "is a wheel and has a link in it: %s", path);
    if (!directory || !target)
        return EM_NO_MEMORY;
    while (is_hard && target[0] == '.' && target[1] == '/')
        target += 2;
    if (target[0] == '/' && unpack->is_image)
        joined = target + strspn(target, "/");
    else
        joined = is_hard || target[0] == '/' ? target : em_path_join(unpack->arena, directory, target);
    normal = joined ? em_path_normal(unpack->arena, joined) : NULL;
    if (!normal)
        return EM_NO_MEMORY;
    if (!em_path_is_contained(normal))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has a link that leads out of it: %s -> %s", path, target);
    return em_vec_push(unpack->arena, &unpack->links, ((struct em_unpack_link){ path, normal, is_hard }));
}

/* Links may be met before what they lead to. One to what was not unpacked (a driver, another package) is left out: it would lead to
 * nothing. Chains are made from their end: as many rounds as there are links suffice. */
int em_unpack_end(struct em_unpack *unpack)
{
    size_t left = unpack->links.count, before;

    do {
        before = left;
        em_vec_each (struct em_unpack_link, link, &unpack->links) {
            const char *directory, *relative;
            struct stat st;
            int r;

            if (!link->path || fstatat(unpack->root, link->target, &st, 0) < 0 || !S_ISREG(st.st_mode))
                continue;
            directory = em_path_dirname(unpack->arena, link->path);
            relative = directory ? em_path_relative(unpack->arena, directory, link->target) : NULL;
            if (!relative)
                return EM_NO_MEMORY;
            r = make_directories(unpack, link->path);
            if (r < 0)
                return r;
            if ((link->is_hard ? linkat(unpack->root, link->target, unpack->root, link->path, 0)
                               : symlinkat(relative, unpack->root, link->path)) < 0) {
                if (errno == EEXIST)
                    return em_fail(unpack->error, EM_REFUSED, unpack->label, "has two members of the name %s", link->path);
                return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", link->path);
            }
            link->path = NULL;
            left--;
        }
    } while (left > 0 && left < before);
    return EM_OK;
}

int em_unpack_member(struct em_unpack *unpack, struct archive *archive, struct archive_entry *entry)
{
    int64_t size = em_la.archive_entry_size_is_set(entry) ? em_la.archive_entry_size(entry) : 0;
    const char *path, *hard;
    int r = member_path(unpack, entry, &path);

    if (r < 0)
        return r;
    if (++unpack->members > MOST_MEMBERS)
        return em_fail(unpack->error, EM_LIMIT, unpack->label, "has more than %u members", MOST_MEMBERS);
    if (size < 0 || __builtin_add_overflow(unpack->total, (uint64_t)size, &unpack->total) || unpack->total > unpack->limit)
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "would grow beyond all measure when it is unpacked");
    if (!path)
        return EM_OK;
    hard = em_la.archive_entry_hardlink(entry);
    if (hard)
        return is_wanted(path) ? add_link(unpack, path, em_arena_strdup(unpack->arena, hard), true) : EM_OK;
    if (em_la.archive_entry_filetype(entry) == AE_IFLNK) {
        const char *target = em_la.archive_entry_symlink(entry);

        if (!target || (!is_wanted(path) && !unpack->is_wheel))
            return EM_OK;
        return add_link(unpack, path, em_arena_strdup(unpack->arena, target), false);
    }
    return em_la.archive_entry_filetype(entry) == AE_IFREG && is_wanted(path) ? write_file(unpack, archive, entry, path)
                                                                              : EM_OK;
}
