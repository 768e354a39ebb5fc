#include "base/files.h"

#include "base/path.h"

#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>

#define COPY_PIECE ((size_t)128 * 1024) /* stays in the second-level cache, as cp has it; a MiB takes half as long again */
#define ZFS_MAGIC 0x2fc12fc1            /* OpenZFS, include/sys/zfs_vfsops_os.h */
#define HOLE_PIECE ((size_t)64 * 1024)  /* a smaller read is cheaper than to ask about holes */

int em_open_at(int dir, const char *name, int flags, mode_t mode, struct em_error *error)
{
    int fd;

    if ((flags & O_ACCMODE) == O_RDONLY)
        flags |= O_NONBLOCK;
    do
        fd = openat(dir, name, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return em_fail_errno(error, name, "cannot be opened");
    return fd;
}

int em_open_file_at(int dir, const char *name, int flags, struct stat *st, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(dir, name, O_RDONLY | flags, 0, error);

    if (fd < 0)
        return fd;
    if (fstat(fd, st) < 0)
        return em_fail_errno(error, name, "cannot be examined");
    if (!S_ISREG(st->st_mode))
        return em_fail(error, EM_UNSUPPORTED, name, "is not a regular file");
    return em_steal_fd(&fd);
}

int em_read_file_at(int dir, const char *name, uint64_t limit, struct em_arena *arena, struct em_bytes *bytes,
                    struct em_error *error)
{
    struct stat st;
    em_cleanup_fd int fd = em_open_file_at(dir, name, 0, &st, error);
    uint8_t *buffer;
    size_t done = 0;

    if (fd < 0)
        return fd;
    if ((uint64_t)st.st_size > limit)
        return em_fail(error, EM_LIMIT, name, "has %lld bytes, more than the %llu that such a file may have",
                       (long long)st.st_size, (unsigned long long)limit);
    buffer = em_arena_alloc(arena, (size_t)st.st_size + 1);
    if (!buffer)
        return EM_NO_MEMORY;
    while (done < (size_t)st.st_size) {
        ssize_t got = read(fd, buffer + done, (size_t)st.st_size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return em_fail_errno(error, name, "cannot be read");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *bytes = (struct em_bytes){ buffer, done };
    return EM_OK;
}

int em_write_all(int fd, const void *data, size_t size, const char *label, struct em_error *error)
{
    const char *at = data;

    while (size > 0) {
        ssize_t wrote = write(fd, at, size);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return em_fail_errno(error, label, "cannot be written");
        at += wrote;
        size -= (size_t)wrote;
    }
    return EM_OK;
}

int em_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, const char *label, struct em_error *error)
{
    const char *at = data;

    while (size > 0) {
        ssize_t wrote = pwrite(fd, at, size, (off_t)offset);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return em_fail_errno(error, label, "cannot be written at offset %llu", (unsigned long long)offset);
        at += wrote;
        offset += (uint64_t)wrote;
        size -= (size_t)wrote;
    }
    return EM_OK;
}

int em_fsync(int fd, const char *label, struct em_error *error)
{
    int r;

    do
        r = fsync(fd);
    while (r < 0 && errno == EINTR);
    /* EINVAL: something that cannot be synchronised, such as a pipe. */
    if (r < 0 && errno != EINVAL)
        return em_fail_errno(error, label, "cannot be written to disk");
    return EM_OK;
}

int em_make_directories(const char *path, mode_t mode, struct em_error *error)
{
    em_cleanup_free char *whole = strdup(path);

    if (!whole)
        return EM_NO_MEMORY;
    for (char *end = whole; *end;) {
        char kept;

        end += strspn(end, "/");
        end += strcspn(end, "/");
        kept = *end;
        *end = '\0';
        if (mkdir(whole, mode) < 0 && errno != EEXIST)
            return em_fail_errno(error, whole, "cannot be made");
        *end = kept;
    }
    return EM_OK;
}

struct em_stamp em_stamp_of(const struct stat *st)
{
    return (struct em_stamp){ st->st_dev, st->st_ino, (uint64_t)st->st_size, st->st_mtim, st->st_ctim };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool em_stamp_equal(const struct em_stamp *a, const struct em_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && same_time(a->modified, b->modified) &&
           same_time(a->changed, b->changed);
}

/* File systems take the time of the last tick, 10 ms ago at most; those of other machines are given more. A time to come proves that
 * clocks differ. */
bool em_stamp_is_fresh(const struct em_stamp *stamp)
{
    struct timespec now;

    return clock_gettime(CLOCK_REALTIME, &now) < 0 || stamp->changed.tv_sec >= now.tv_sec - 1;
}

bool em_is_safe(const struct stat *st)
{
    const mode_t others = st->st_gid == getegid() ? S_IWOTH : S_IWOTH | S_IWGRP;
    struct stat root;

    if (st->st_uid != geteuid() && st->st_uid != 0 && (stat("/", &root) < 0 || st->st_uid != root.st_uid))
        return false;
    return (st->st_mode & others) == 0 || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX));
}

/* Where there is an access list the group's bits say what the best of those may who are named in it (acl(5)). */
static bool has_named_writers(const char *path, const struct stat *st)
{
    return (st->st_mode & S_IWGRP) && !(S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)) &&
           lgetxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

int em_find_unsafe(struct em_arena *arena, const char *real, const char **unsafe, struct em_error *error)
{
    for (const char *at = real;; at = em_path_dirname(arena, at)) {
        struct stat st;

        *unsafe = at;
        if (!at)
            return EM_NO_MEMORY;
        if (lstat(at, &st) < 0)
            return em_fail_errno(error, at, "cannot be examined");
        if (!em_is_safe(&st) || has_named_writers(at, &st))
            return EM_OK;
        if (strcmp(at, "/") == 0)
            break;
    }
    *unsafe = NULL;
    return EM_OK;
}

/* What SEEK_DATA and SEEK_HOLE say of the file is true. OpenZFS before 2.2.2 may call a hole what was written a moment ago and is not on
 * the disk yet (its issue 15526): a library that a linker, pip or we have just made would be copied as zeros, and for most of what is
 * copied nobody has a digest. Later versions are not told apart: there all is read. */
static bool has_true_holes(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type != ZFS_MAGIC;
}

/* How many of the length bytes at offset are in a hole before the first that is not. A file system that knows of no holes has none. */
static size_t bytes_of_hole(int fd, size_t length, uint64_t offset)
{
    struct stat st;
    uint64_t end;
    off_t data;

    if (fstat(fd, &st) < 0 || st.st_blocks >= st.st_size / 512 || offset >= (uint64_t)st.st_size || !has_true_holes(fd))
        return 0;
    data = lseek(fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
        return 0;
    end = data < 0 ? (uint64_t)st.st_size : (uint64_t)data;
    return end - offset < length ? (size_t)(end - offset) : length;
}

ssize_t em_pread(int fd, void *buffer, size_t length, uint64_t offset)
{
    size_t nothing = length < HOLE_PIECE ? 0 : bytes_of_hole(fd, length, offset);
    ssize_t got;

    if (nothing > 0) {
        memset(buffer, 0, nothing);
        return (ssize_t)nothing;
    }
    do
        got = pread(fd, buffer, length, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got;
}

static int copy_by_hand(int in, int out, uint64_t from, uint64_t end, const char *label, struct em_error *error)
{
    em_cleanup_free char *piece = malloc(COPY_PIECE);

    if (!piece)
        return EM_NO_MEMORY;
    while (from < end) {
        size_t want = end - from < COPY_PIECE ? (size_t)(end - from) : COPY_PIECE;
        ssize_t got = em_pread(in, piece, want, from);
        int r;

        if (got < 0)
            return em_fail_errno(error, label, "cannot be read at offset %llu", (unsigned long long)from);
        if (got == 0)
            return em_fail_at(error, EM_CHANGED, label, from, "became shorter while it was copied");
        r = em_pwrite_all(out, piece, (size_t)got, from, label, error);
        if (r < 0)
            return r;
        from += (uint64_t)got;
    }
    return EM_OK;
}

static int copy_range(int in, int out, uint64_t from, uint64_t end, const char *label, struct em_error *error)
{
    while (from < end) {
        off_t in_at = (off_t)from, out_at = (off_t)from;
        size_t want = end - from > (1u << 30) ? (1u << 30) : (size_t)(end - from);
        ssize_t copied = copy_file_range(in, &in_at, out, &out_at, want, 0);

        if (copied < 0 && errno == EINTR)
            continue;
        /* Different file systems, or one that cannot: facts differ by kernel, so any of these falls back. */
        if (copied < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM))
            return copy_by_hand(in, out, from, end, label, error);
        if (copied < 0)
            return em_fail_errno(error, label, "cannot be copied");
        if (copied == 0)
            return copy_by_hand(in, out, from, end, label, error);
        from += (uint64_t)copied;
    }
    return EM_OK;
}

/* The next bytes of in that are there, from and before size; none: both are size. A file system that knows of no holes has none. */
static void find_data(int in, uint64_t from, uint64_t size, uint64_t *begin, uint64_t *end)
{
    off_t data = lseek(in, (off_t)from, SEEK_DATA);
    off_t hole;

    *begin = data >= 0 ? (uint64_t)data : errno == ENXIO ? size : from;
    if (*begin > size)
        *begin = size;
    hole = lseek(in, (off_t)*begin, SEEK_HOLE);
    *end = hole > (off_t)*begin && (uint64_t)hole < size ? (uint64_t)hole : size;
}

/* Holes stay holes: a terabyte of nothing is no reason to fill a disk. */
static int copy_data(int in, int out, uint64_t size, const char *label, struct em_error *error)
{
    uint64_t begin = 0, end = 0;
    struct stat st;
    int r;

    if (!has_true_holes(in))
        return copy_range(in, out, 0, size, label, error);
    while (end < size) {
        find_data(in, end, size, &begin, &end);
        r = copy_range(in, out, begin, end, label, error);
        if (r < 0)
            return r;
    }
    if (begin < size)
        return EM_OK;
    /* It ends with a hole, or is shorter than it was. */
    if (fstat(in, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined after it was copied");
    if ((uint64_t)st.st_size < size)
        return em_fail_at(error, EM_CHANGED, label, (uint64_t)st.st_size, "became shorter while it was copied");
    if (ftruncate(out, (off_t)size) < 0)
        return em_fail_errno(error, label, "cannot be made as long as it is");
    return EM_OK;
}

bool em_clone_fd(int in, int out)
{
    return ioctl(out, FICLONE, in) == 0;
}

int em_copy_fd(int in, int out, uint64_t size, const char *label, struct em_error *error)
{
    if (size == 0)
        return EM_OK;
    if (em_clone_fd(in, out)) {
        /* A clone takes all that in has now; more than the size we saw means that somebody is writing to it. */
        struct stat st;

        if (fstat(out, &st) < 0)
            return em_fail_errno(error, label, "cannot be examined after it was cloned");
        if ((uint64_t)st.st_size != size)
            return em_fail(error, EM_CHANGED, label, "changed its size while it was copied");
        return EM_OK;
    }
    return copy_data(in, out, size, label, error);
}

char *em_random_name(struct em_arena *arena, const char *prefix)
{
    uint64_t value;

    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        return NULL;
    return em_arena_printf(arena, "%s%016llx", prefix, (unsigned long long)value);
}

bool em_is_random_name(const char *name, const char *prefix)
{
    const size_t size = strlen(prefix);

    return strncmp(name, prefix, size) == 0 && strlen(name) == size + 16 && strspn(name + size, "0123456789abcdef") == 16;
}
