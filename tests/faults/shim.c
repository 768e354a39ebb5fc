/* shim.c: preloaded into elfmend, it counts the calls that change a file system and lets one of them go wrong.
 *
 *     FAULT_KIND=look       calls that only look are counted instead: stat, open, read, lock
 *     FAULT_COUNT=FILE      at the end FILE has the number of such calls
 *     FAULT_AT=N            the Nth call, counted from 1 over all of them, goes as FAULT_HOW says
 *     FAULT_HOW=before      SIGKILL instead of the call
 *               after       SIGKILL once it is done
 *               short       a write, a copy or a read moves half of what was asked for
 *               other       the shell command FAULT_RUN is run first: somebody else at work
 *               ENOSPC ...  the call fails with this error and does nothing
 *     FAULT_SYNC=N          once the Nth call is done, everything on the file system of FAULT_PLACE is written out
 *     FAULT_NAME=FILE       FILE gets the name of the call that went wrong
 *     FAULT_LACKS=exchange  renameat2 has no flags here, as on NFS; FICLONE and copy_file_range do not work either
 *                 links     no hard links, as on FAT
 *                 openat2   no openat2(2), as before Linux 5.6
 *                 holes     files lie on ZFS, and what was just written is told to be a hole, as OpenZFS before 2.2.2 does
 *
 * What the C library does inside of itself (opening streams) is not seen; elfmend changes nothing that way. Calls to standard output
 * and error do not count, and neither does fsync of what is no file.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <linux/fs.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long count, at, sync_at;
static const char *how = "";
static bool no_exchange, no_links, no_openat2, false_holes, looking;

static const struct {
    const char *name;
    int value;
} errors[] = {
    { "ENOSPC", ENOSPC }, { "EIO", EIO },     { "EACCES", EACCES }, { "EROFS", EROFS },
    { "EMFILE", EMFILE }, { "EINTR", EINTR }, { "EDQUOT", EDQUOT }, { "EPERM", EPERM },
};

/* By the kernel itself: these files are not part of what is tested. */
static void note(const char *variable, const char *text)
{
    const char *path = getenv(variable);
    long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;

    if (fd < 0)
        return;
    syscall(SYS_write, fd, text, strlen(text));
    syscall(SYS_close, fd);
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FAULT_AT"), *lacks = getenv("FAULT_LACKS");

    at = text ? strtoul(text, NULL, 10) : 0;
    text = getenv("FAULT_SYNC");
    sync_at = text ? strtoul(text, NULL, 10) : 0;
    how = getenv("FAULT_HOW") ? getenv("FAULT_HOW") : "";
    looking = getenv("FAULT_KIND") && strcmp(getenv("FAULT_KIND"), "look") == 0;
    no_exchange = lacks && strstr(lacks, "exchange");
    no_links = lacks && strstr(lacks, "links");
    no_openat2 = lacks && strstr(lacks, "openat2");
    false_holes = lacks && strstr(lacks, "holes");
}

__attribute__((destructor)) static void end(void)
{
    char text[32];

    snprintf(text, sizeof text, "%lu\n", count);
    note("FAULT_COUNT", text);
}

enum fate { GO_ON, FAIL, KILL_AFTER, SHORTEN, SYNC_AFTER };

static void run_other(void)
{
    const int saved = errno;

    unsetenv("LD_PRELOAD");
    if (!getenv("FAULT_RUN") || system(getenv("FAULT_RUN")) != 0)
        note("FAULT_NAME", "what was to run beside it failed");
    errno = saved;
}

/* What is to become of this call. */
static enum fate fate_of_kind(const char *name, bool looks)
{
    unsigned long number;

    if (looks != looking)
        return GO_ON;
    pthread_mutex_lock(&lock);
    number = ++count;
    pthread_mutex_unlock(&lock);
    if (number != at)
        return number == sync_at ? SYNC_AFTER : GO_ON;
    note("FAULT_NAME", name);
    if (strcmp(how, "before") == 0)
        syscall(SYS_kill, getpid(), SIGKILL);
    if (strcmp(how, "after") == 0)
        return KILL_AFTER;
    if (strcmp(how, "short") == 0)
        return SHORTEN;
    if (strcmp(how, "other") == 0)
        run_other();
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (strcmp(errors[i].name, how) == 0) {
            errno = errors[i].value;
            return FAIL;
        }
    }
    return GO_ON;
}

static enum fate fate_of(const char *name)
{
    return fate_of_kind(name, false);
}

static size_t part_of(enum fate fate, size_t size)
{
    return fate == SHORTEN && size > 1 ? size / 2 : size;
}

static void sync_place(void)
{
    const char *place = getenv("FAULT_PLACE");
    long fd = syscall(SYS_openat, AT_FDCWD, place ? place : ".", O_RDONLY);

    if (fd < 0)
        return;
    syscall(SYS_syncfs, fd);
    syscall(SYS_close, fd);
}

static long finish(enum fate fate, long result)
{
    int saved = errno;

    if (fate == SYNC_AFTER)
        sync_place();
    errno = saved;
    if (fate == KILL_AFTER)
        syscall(SYS_kill, getpid(), SIGKILL);
    return result;
}

#define WRAP(name, call)                                                                                                       \
    do {                                                                                                                       \
        enum fate wrap_fate = fate_of(#name);                                                                                  \
        if (wrap_fate == FAIL)                                                                                                 \
            return -1;                                                                                                         \
        return finish(wrap_fate, (call));                                                                                      \
    } while (0)

#define LOOK(name, call)                                                                                                       \
    do {                                                                                                                       \
        enum fate look_fate = fate_of_kind(#name, true);                                                                       \
        if (look_fate == FAIL)                                                                                                 \
            return -1;                                                                                                         \
        return finish(look_fate, (call));                                                                                      \
    } while (0)

static int open_real(int dir, const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static long open_counted(int dir, const char *path, int flags, mode_t mode)
{
    if (!(flags & (O_CREAT | O_TRUNC)))
        LOOK(openat, open_real(dir, path, flags, mode));
    WRAP(openat, open_real(dir, path, flags, mode));
}

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (flags & O_CREAT) {
        va_list args;

        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return (int)open_counted(dir, path, flags, mode);
}

/* What openat becomes under _FORTIFY_SOURCE when it is called without a mode. */
int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags)
{
    return (int)open_counted(dir, path, flags, 0);
}

static long mkdirat_counted(int dir, const char *path, mode_t mode)
{
    WRAP(mkdirat, syscall(SYS_mkdirat, dir, path, mode));
}
int mkdirat(int dir, const char *path, mode_t mode)
{
    return (int)mkdirat_counted(dir, path, mode);
}

static long mkdir_counted(const char *path, mode_t mode)
{
    WRAP(mkdir, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
int mkdir(const char *path, mode_t mode)
{
    return (int)mkdir_counted(path, mode);
}

static ssize_t write_counted(int fd, const void *data, size_t size)
{
    enum fate fate;

    if (fd == STDOUT_FILENO || fd == STDERR_FILENO)
        return syscall(SYS_write, fd, data, size);
    fate = fate_of("write");
    if (fate == FAIL)
        return -1;
    return finish(fate, syscall(SYS_write, fd, data, part_of(fate, size)));
}
ssize_t write(int fd, const void *data, size_t size)
{
    return write_counted(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    enum fate fate = fate_of("pwrite");

    if (fate == FAIL)
        return -1;
    return finish(fate, syscall(SYS_pwrite64, fd, data, part_of(fate, size), offset));
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags)
{
    enum fate fate;

    if (no_exchange) {
        errno = EXDEV;
        return -1;
    }
    fate = fate_of("copy_file_range");
    if (fate == FAIL)
        return -1;
    return finish(fate, syscall(SYS_copy_file_range, in, in_at, out, out_at, part_of(fate, size), flags));
}

int ioctl(int fd, unsigned long request, ...)
{
    enum fate fate;
    void *argument;
    va_list args;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (request != FICLONE)
        return (int)syscall(SYS_ioctl, fd, request, argument);
    if (no_exchange) {
        errno = EOPNOTSUPP;
        return -1;
    }
    fate = fate_of("ioctl(FICLONE)");
    return fate == FAIL ? -1 : (int)finish(fate, syscall(SYS_ioctl, fd, request, argument));
}

static long fsync_counted(int fd)
{
    WRAP(fsync, syscall(SYS_fsync, fd));
}
int fsync(int fd)
{
    return (int)fsync_counted(fd);
}

static long renameat_counted(int from, const char *old, int to, const char *new)
{
    WRAP(renameat, syscall(SYS_renameat2, from, old, to, new, 0));
}
int renameat(int from, const char *old, int to, const char *new)
{
    return (int)renameat_counted(from, old, to, new);
}

int rename(const char *old, const char *new)
{
    return (int)renameat_counted(AT_FDCWD, old, AT_FDCWD, new);
}

static long renameat2_counted(int from, const char *old, int to, const char *new, unsigned flags)
{
    if (no_exchange && flags) {
        errno = EINVAL;
        return -1;
    }
    WRAP(renameat2, syscall(SYS_renameat2, from, old, to, new, flags));
}
int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return (int)renameat2_counted(from, old, to, new, flags);
}

static long linkat_counted(int from, const char *old, int to, const char *new, int flags)
{
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    WRAP(linkat, syscall(SYS_linkat, from, old, to, new, flags));
}
int linkat(int from, const char *old, int to, const char *new, int flags)
{
    return (int)linkat_counted(from, old, to, new, flags);
}

static long unlinkat_counted(int dir, const char *path, int flags)
{
    WRAP(unlinkat, syscall(SYS_unlinkat, dir, path, flags));
}
int unlinkat(int dir, const char *path, int flags)
{
    return (int)unlinkat_counted(dir, path, flags);
}

static long fchmod_counted(int fd, mode_t mode)
{
    WRAP(fchmod, syscall(SYS_fchmod, fd, mode));
}
int fchmod(int fd, mode_t mode)
{
    return (int)fchmod_counted(fd, mode);
}

static long fchown_counted(int fd, uid_t user, gid_t group)
{
    WRAP(fchown, syscall(SYS_fchown, fd, user, group));
}
int fchown(int fd, uid_t user, gid_t group)
{
    return (int)fchown_counted(fd, user, group);
}

static long ftruncate_counted(int fd, off_t size)
{
    WRAP(ftruncate, syscall(SYS_ftruncate, fd, size));
}
int ftruncate(int fd, off_t size)
{
    return (int)ftruncate_counted(fd, size);
}

static long utimensat_counted(int dir, const char *path, const struct timespec times[2], int flags)
{
    WRAP(utimensat, syscall(SYS_utimensat, dir, path, times, flags));
}
int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
    return (int)utimensat_counted(dir, path, times, flags);
}
int futimens(int fd, const struct timespec times[2])
{
    return (int)utimensat_counted(fd, NULL, times, 0);
}

static long fsetxattr_counted(int fd, const char *name, const void *value, size_t size, int flags)
{
    WRAP(fsetxattr, syscall(SYS_fsetxattr, fd, name, value, size, flags));
}
int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    return (int)fsetxattr_counted(fd, name, value, size, flags);
}

/* ---- looking ---- */

static long fstatat_counted(int dir, const char *path, struct stat *st, int flags)
{
    LOOK(fstatat, syscall(SYS_newfstatat, dir, path, st, flags));
}
int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return (int)fstatat_counted(dir, path, st, flags);
}

static long fstat_counted(int fd, struct stat *st)
{
    LOOK(fstat, syscall(SYS_fstat, fd, st));
}
int fstat(int fd, struct stat *st)
{
    int r = (int)fstat_counted(fd, st);

    if (r == 0 && false_holes)
        st->st_blocks = 1;
    return r;
}

int fstatfs(int fd, struct statfs *fs)
{
    int r = (int)syscall(SYS_fstatfs, fd, fs);

    if (r == 0 && false_holes)
        fs->f_type = 0x2fc12fc1;
    return r;
}

off_t lseek(int fd, off_t offset, int whence)
{
    if (false_holes && whence == SEEK_HOLE)
        return offset;
    if (false_holes && whence == SEEK_DATA) {
        errno = ENXIO;
        return -1;
    }
    return syscall(SYS_lseek, fd, offset, whence);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    enum fate fate = fate_of_kind("pread", true);

    return fate == FAIL ? -1 : finish(fate, syscall(SYS_pread64, fd, data, part_of(fate, size), offset));
}

ssize_t read(int fd, void *data, size_t size)
{
    enum fate fate = fate_of_kind("read", true);

    return fate == FAIL ? -1 : finish(fate, syscall(SYS_read, fd, data, part_of(fate, size)));
}

static long flock_counted(int fd, int operation)
{
    LOOK(flock, syscall(SYS_flock, fd, operation));
}
int flock(int fd, int operation)
{
    return (int)flock_counted(fd, operation);
}

static long flistxattr_counted(int fd, char *list, size_t size)
{
    LOOK(flistxattr, syscall(SYS_flistxattr, fd, list, size));
}
ssize_t flistxattr(int fd, char *list, size_t size)
{
    return flistxattr_counted(fd, list, size);
}

static long openat2_counted(long dir, long path, long how_to, long size)
{
    static long (*real)(long, ...);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    LOOK(openat2, real(SYS_openat2, dir, path, how_to, size));
}

/* openat2 has no wrapper in the C library. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long a[6];
    va_list args;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    va_start(args, number);
    for (size_t i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_openat2 && no_openat2) {
        errno = ENOSYS;
        return -1;
    }
    if (number == SYS_openat2)
        return openat2_counted(a[0], a[1], a[2], a[3]);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
