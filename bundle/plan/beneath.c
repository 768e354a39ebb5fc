#include "bundle/plan/beneath.h"

#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

/* RESOLVE_BENEATH gives EAGAIN when anything anywhere was renamed while it looked at a ".."; we have none, the kernel may say it
 * all the same. */
#define TRIES 16

static int failed(const char *path, struct em_error *error)
{
    switch (errno) {
    case ENOENT: return em_fail_errno(error, path, "is not there");
    case ELOOP:
    case ENOTDIR:
        return em_fail(error, EM_REFUSED, path,
                       "is a link or no directory, or lies behind one; nothing is changed through links");
    case EXDEV:
        return em_fail(
            error, EM_REFUSED, path,
            "lies on another file system than the target, where files cannot be exchanged; name it as a target itself");
    default: return em_fail_errno(error, path, "cannot be opened as a directory");
    }
}

static int open_whole(int root, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };

    for (int i = 0;; i++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof how);

        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || i == TRIES)
            return (int)fd;
    }
}

/* A component that is a link fails with ENOTDIR here (O_DIRECTORY looks at the link itself under O_NOFOLLOW), another file system
 * is seen by its device number; a bind mount of the same one is not, but then the exchange fails with EXDEV and is taken back. */
static int open_by_parts(int root, const char *path)
{
    em_cleanup_fd int dir = dup(root);
    struct stat top, st;

    if (dir < 0 || fstat(root, &top) < 0)
        return -1;
    while (*path) {
        char part[NAME_MAX + 1];
        size_t size = strcspn(path, "/");
        int next;

        if (size > NAME_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, size);
        part[size] = '\0';
        do
            next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        while (next < 0 && errno == EINTR);
        if (next < 0)
            return -1;
        close(dir);
        dir = next;
        if (fstat(dir, &st) < 0)
            return -1;
        if (st.st_dev != top.st_dev) {
            errno = EXDEV;
            return -1;
        }
        path += size;
        path += *path == '/';
    }
    return em_steal_fd(&dir);
}

int em_beneath_directory(int root, const char *path, struct em_error *error)
{
    int fd;

    if (strcmp(path, ".") != 0 && !em_path_is_contained(path))
        return em_fail(error, EM_REFUSED, path, "does not stay below the target");
    fd = open_whole(root, path);
    /* A container's filter answers EPERM to what it doesn't know, as a kernel answers ENOSYS. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_by_parts(root, strcmp(path, ".") == 0 ? "" : path);
    if (fd < 0)
        return failed(path, error);
    return fd;
}

int em_beneath_parent(int root, const char *path, const char **name, struct em_error *error)
{
    const char *base = em_path_basename(path);
    char parent[PATH_MAX];
    size_t size = (size_t)(base - path);

    *name = base;
    if (!em_path_is_contained(path))
        return em_fail(error, EM_REFUSED, path, "does not stay below the target");
    if (size == 0)
        return em_beneath_directory(root, ".", error);
    if (size > sizeof parent)
        return em_fail(error, EM_LIMIT, path, "is longer than a path may be");
    memcpy(parent, path, size - 1);
    parent[size - 1] = '\0';
    return em_beneath_directory(root, parent, error);
}

int em_beneath_examine(int dir, const char *name, const char *label, struct stat *st, bool *there, struct em_error *error)
{
    *there = fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
    if (*there)
        return EM_OK;
    *st = (struct stat){ 0 };
    if (errno == ENOENT)
        return EM_OK;
    em_fail_errno(error, label, "cannot be examined");
    return EM_IO;
}

int em_beneath_look(struct em_beneath *found, int root, const char *path, const char *label, struct em_error *error)
{
    const char *name;
    int dir = em_beneath_parent(root, path, &name, error);

    *found = (struct em_beneath){ .dir = dir, .name = name };
    if (dir < 0)
        return dir;
    return em_beneath_examine(found->dir, found->name, label, &found->st, &found->there, error);
}
