#include "bundle/wheel/aside.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define PREFIX ".elfmend-"
/* Another run may take a directory for a dead one's between its making and its lock; then we make the next. */
#define TRIES 16

/* ---- what killed runs left ---- */

/* -1: it is gone, or no directory. */
static int open_hidden(int directory, const char *name)
{
    return openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void each_name(int directory, void (*visit)(int directory, const char *name))
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    if (!stream) {
        em_closep(&copy);
        return;
    }
    while ((entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(directory, entry->d_name);
    closedir(stream);
}

/* Files and nothing else: we put nothing else there. */
static void remove_file(int hidden, const char *name)
{
    unlinkat(hidden, name, 0);
}

/* Whose directory this is may have given another of ours such a name: the mode he cannot give it. */
static void remove_dead(int directory, const char *name)
{
    em_cleanup_fd int hidden = em_is_random_name(name, PREFIX) ? open_hidden(directory, name) : -1;
    struct stat st;

    if (hidden < 0 || fstat(hidden, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 0777) != 0700 ||
        flock(hidden, LOCK_EX | LOCK_NB) < 0)
        return;
    each_name(hidden, remove_file);
    unlinkat(directory, name, AT_REMOVEDIR);
}

/* ---- our own ---- */

/* A user's own link to a directory is followed, and root's; not one that somebody else has put where we were told to write. */
static int open_directory(const char *path, struct em_error *error)
{
    em_cleanup_fd int fd = -1;
    struct stat st;

    do
        fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return em_steal_fd(&fd);
    if ((errno == ELOOP || errno == ENOTDIR) && lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid != geteuid() &&
        st.st_uid != 0)
        return em_fail(error, EM_REFUSED, path, "is a link that user %u has made; name the directory itself",
                       (unsigned)st.st_uid);
    return em_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, error);
}

/* 1: it was removed before we had its lock. */
static int make_hidden(struct em_aside *aside, struct em_error *error)
{
    struct stat by_fd, by_name;

    if (mkdirat(aside->directory, aside->name, 0700) < 0)
        return em_fail_errno(error, aside->path, "cannot be written to");
    aside->hidden = open_hidden(aside->directory, aside->name);
    if (aside->hidden < 0)
        return errno == ENOENT ? 1 : em_fail_errno(error, aside->path, "has a directory of ours that cannot be opened");
    if (fstat(aside->hidden, &by_fd) < 0)
        return em_fail_errno(error, aside->path, "has a directory of ours that cannot be examined");
    if (by_fd.st_uid != geteuid())
        return em_fail(error, EM_REFUSED, aside->path, "has another directory where ours was made");
    /* No lock, where there are none: then nobody removes it either. */
    (void)!flock(aside->hidden, LOCK_EX | LOCK_NB);
    if (fstatat(aside->directory, aside->name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && by_name.st_ino == by_fd.st_ino)
        return EM_OK;
    em_closep(&aside->hidden);
    aside->hidden = -1;
    return 1;
}

int em_aside_open(struct em_aside *aside, struct em_arena *arena, const char *directory, struct em_error *error)
{
    int r = 1;

    *aside = (struct em_aside)EM_ASIDE_INIT;
    aside->path = directory;
    r = em_make_directories(directory, 0777, error);
    if (r == EM_OK)
        aside->directory = r = open_directory(directory, error);
    if (r < 0)
        return r;
    each_name(aside->directory, remove_dead);
    r = 1;
    for (int i = 0; r == 1 && i < TRIES; i++) {
        aside->name = em_random_name(arena, PREFIX);
        r = aside->name ? make_hidden(aside, error) : EM_NO_MEMORY;
    }
    if (r == 1)
        r = em_fail(error, EM_BUSY, directory, "has a directory of ours that somebody removes time and again");
    if (r < 0)
        em_aside_close(aside);
    return r;
}

int em_aside_file(const struct em_aside *aside, const char *name, struct em_error *error)
{
    return em_open_at(aside->hidden, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644, error);
}

int em_aside_place(const struct em_aside *aside, const char *name, int dir, struct em_error *error)
{
    if (renameat(aside->hidden, name, dir, name) < 0)
        return em_fail_errno(error, name, "cannot be put in place");
    return EM_OK;
}

void em_aside_close(struct em_aside *aside)
{
    if (aside->hidden >= 0) {
        each_name(aside->hidden, remove_file);
        close(aside->hidden);
        unlinkat(aside->directory, aside->name, AT_REMOVEDIR);
    }
    em_closep(&aside->directory);
    aside->directory = aside->hidden = -1;
}
