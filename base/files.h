/* files.h: what we do with file descriptors, so that it is done right in one place: all of it or an error, EINTR tried again,
 * everything closed.
 *
 *     em_cleanup_fd int fd = em_open_at(dir, name, O_RDONLY, 0, error);   closed when it leaves the scope; -1 is fine
 *     em_cleanup_free char *copy = ...;                                   freed
 *     return em_steal_fd(&fd);                                            handed on
 *
 * The *at() functions take a held directory fd and a name below it; AT_FDCWD is for what the user typed. name is used in
 * messages as it is; where it says little, the caller passes label.
 */
#ifndef EM_BASE_FILES_H
#define EM_BASE_FILES_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void em_freep(void *pointer)
{
    free(*(void **)pointer);
}
static inline void em_closep(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}
static inline int em_steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}
#define em_cleanup_free __attribute__((cleanup(em_freep)))
#define em_cleanup_fd __attribute__((cleanup(em_closep)))

/* Opens with O_CLOEXEC; the fd, or a negative enum em_err. Never blocks on a FIFO (O_NONBLOCK while opening to read). */
int em_open_at(int dir, const char *name, int flags, mode_t mode, struct em_error *error);
/* To read, and a regular file: EM_UNSUPPORTED else. flags: 0 or O_NOFOLLOW. */
int em_open_file_at(int dir, const char *name, int flags, struct stat *st, struct em_error *error);

/* The whole of a regular file into the arena, refusing more than limit bytes. */
int em_read_file_at(int dir, const char *name, uint64_t limit, struct em_arena *arena, struct em_bytes *bytes,
                    struct em_error *error);

/* Up to length bytes at offset, as pread(2), but for EINTR: -1 and errno. What lies in a hole is not read: it would pass through the
 * page cache, which takes seconds a gigabyte, and a file of a terabyte of nothing costs nobody anything to make. On ZFS all is read: it
 * may tell of holes where there are none. */
ssize_t em_pread(int fd, void *buffer, size_t length, uint64_t offset);

int em_write_all(int fd, const void *data, size_t size, const char *label, struct em_error *error);
int em_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, const char *label, struct em_error *error);
int em_fsync(int fd, const char *label, struct em_error *error);

/* path, and what is missing above it. */
int em_make_directories(const char *path, mode_t mode, struct em_error *error);

/* A file as one look at it found it. What writes to it, or puts another in its place, leaves another stamp; within a process, and but for
 * what happens in the same tick of the clock (em_stamp_is_fresh). */
struct em_stamp {
    uint64_t device, inode, size;
    struct timespec modified, changed; /* st_mtime, st_ctime */
};
struct em_stamp em_stamp_of(const struct stat *st);
bool em_stamp_equal(const struct em_stamp *a, const struct em_stamp *b);
/* So new that a change after this one may still get the same time. */
bool em_stamp_is_fresh(const struct em_stamp *stamp);

/* Nobody but us and root could have written to it, or taken away what is in it: the owner, or who owns "/" (root, as a user namespace
 * shows him), and no write for others; for a group only if it is ours, as where each user has one of his own. In a directory with the
 * sticky bit everybody may write, and nobody take away what is another's. */
bool em_is_safe(const struct stat *st);
/* The same of what is at an absolute path without links, and of each directory above it: *unsafe is the first that is not, or NULL. */
int em_find_unsafe(struct em_arena *arena, const char *real, const char **unsafe, struct em_error *error);

/* out, which is empty, gets in's blocks, where the file system can share them. */
bool em_clone_fd(int in, int out);
/* size bytes of in, from its start, to out, which is empty: em_clone_fd, else copy_file_range, else read and write.
 * What is a hole in in is one in out, but on ZFS. */
int em_copy_fd(int in, int out, uint64_t size, const char *label, struct em_error *error);

/* A name that cannot be guessed: prefix and 16 hexadecimal digits from getrandom(2). NULL: no memory, or no randomness. */
char *em_random_name(struct em_arena *arena, const char *prefix);
bool em_is_random_name(const char *name, const char *prefix);

#endif
