#include "bundle/plan/slot.h"

#include "bundle/plan/beneath.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define GONE "is gone since the plan was made; make a new plan"

/* The arena belongs to one thread at a time and staging has several, so the label is made in the caller's frame. */
struct label {
    char text[1024];
};

static const char *label_make(struct label *label, const struct em_store *store, const char *path)
{
    int length = snprintf(label->text, sizeof label->text, "%s/%s", store->path, path);

    return length < 0 || (size_t)length >= sizeof label->text ? path : label->text;
}

void em_slot_name(const struct em_entry *entry, char name[16])
{
    snprintf(name, 16, "%u", entry->slot);
}

/* ---- owner, mode, attributes ---- */

static bool is_signature(const char *name)
{
    return strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0;
}

static int copy_xattr(int from, int to, const char *name, char *value, const char *label, struct em_error *error)
{
    ssize_t size = fgetxattr(from, name, value, EM_MAX_XATTR);

    if (size < 0 && errno == ENODATA)
        return EM_OK;
    if (size >= 0 && fsetxattr(to, name, value, (size_t)size, 0) == 0)
        return EM_OK;
    /* A security label is mostly given by where a file is made, and only a privileged process may choose it. */
    if (strncmp(name, "security.", 9) == 0 && strcmp(name, "security.capability") != 0 &&
        (errno == EPERM || errno == EOPNOTSUPP))
        return EM_OK;
    return em_fail_errno(error, label, "has the extended attribute %s, which its new file cannot be given", name);
}

static int copy_xattrs(int from, int to, const char *label, struct em_error *error)
{
    em_cleanup_free char *names = NULL;
    char *value;
    ssize_t size = flistxattr(from, NULL, 0);
    int r = EM_OK;

    if (size == 0 || (size < 0 && errno == EOPNOTSUPP))
        return EM_OK;
    names = malloc((size_t)2 * EM_MAX_XATTR);
    if (!names)
        return EM_NO_MEMORY;
    value = names + EM_MAX_XATTR;
    size = flistxattr(from, names, EM_MAX_XATTR);
    if (size < 0)
        return em_fail_errno(error, label, "has extended attributes that cannot be listed");
    for (char *name = names; r == EM_OK && name < names + size; name += strlen(name) + 1) {
        if (!is_signature(name))
            r = copy_xattr(from, to, name, value, label, error);
    }
    return r;
}

/* The order matters: a change of owner clears setuid bits and capabilities, an ACL is part of the mode. */
static int take_after(int old, const struct stat *was, int new, const char *label, struct em_error *error)
{
    struct stat st;
    int r;

    if (fstat(new, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if ((st.st_uid != was->st_uid || st.st_gid != was->st_gid) && fchown(new, was->st_uid, was->st_gid) < 0) {
        if (errno == EPERM)
            return em_fail(error, EM_REFUSED, label,
                           "belongs to user %u, group %u, and its new file cannot be given to them; run "
                           "elfmend as that user",
                           (unsigned)was->st_uid, (unsigned)was->st_gid);
        return em_fail_errno(error, label, "has an owner that its new file cannot be given");
    }
    r = copy_xattrs(old, new, label, error);
    if (r < 0)
        return r;
    if (fchmod(new, was->st_mode & 07777) < 0)
        return em_fail_errno(error, label, "has a mode that its new file cannot be given");
    return EM_OK;
}

/* By what the file runs with other rights than its user's: a repair keeps that, and says so. NULL: by nothing. */
static const char *privilege_of(int old, const struct stat *was)
{
    if (was->st_mode & S_ISUID)
        return "its set-user-ID bit";
    /* Without the right to execute it, this bit once meant locking, and gives nothing. */
    if ((was->st_mode & S_ISGID) && (was->st_mode & S_IXGRP))
        return "its set-group-ID bit";
    return fgetxattr(old, "security.capability", NULL, 0) > 0 ? "its file capabilities" : NULL;
}

/* The nearest directory above path that is there: others may be in their slots yet. */
static int nearest_directory(const struct em_store *store, const char *path, struct stat *st)
{
    struct em_error gone = EM_ERROR_INIT;
    char directory[PATH_MAX];
    char *slash;

    if (snprintf(directory, sizeof directory, "%s", path) >= (int)sizeof directory)
        return -1;
    while ((slash = strrchr(directory, '/'))) {
        em_cleanup_fd int fd = -1;

        *slash = '\0';
        fd = em_beneath_directory(store->root, directory, &gone);
        if (fd >= 0)
            return fstat(fd, st);
    }
    return fstat(store->root, st);
}

/* What is made in a directory with the setgid bit gets its group; ours was made elsewhere. What root makes in a tree of somebody else's is
 * theirs, for it is theirs to take away again. */
static void take_owner(int fd, const struct em_store *store, const char *path)
{
    struct stat st;

    if (nearest_directory(store, path, &st) < 0)
        return;
    if (geteuid() == 0 && st.st_uid != 0)
        (void)!fchown(fd, st.st_uid, st.st_gid);
    else if (st.st_mode & S_ISGID)
        (void)!fchown(fd, (uid_t)-1, st.st_gid);
}

/* ---- one file ---- */

/* Fails before gigabytes are written for nothing; the exchange would find out too. */
static int check_writable(int dir, const char *label, struct em_error *error)
{
    if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return em_fail_errno(error, label, "cannot be replaced: its directory is not writable");
    return EM_OK;
}

static int open_old(int dir, const char *name, const char *label, struct stat *st, struct em_error *error)
{
    em_cleanup_fd int fd = -1;

    do
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == ELOOP)
        return em_fail(error, EM_REFUSED, label, "is a link; nothing is changed through links");
    if (fd < 0 && errno == ENOENT)
        return em_fail(error, EM_CHANGED, label, GONE);
    if (fd < 0)
        return em_fail_errno(error, label, "cannot be opened");
    if (fstat(fd, st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if (!S_ISREG(st->st_mode))
        return em_fail(error, EM_REFUSED, label, "is not a regular file");
    return em_steal_fd(&fd);
}

static int check_free(int dir, const char *name, const char *label, struct em_error *error)
{
    struct stat st;
    bool there;
    int r = em_beneath_examine(dir, name, label, &st, &there, error);

    if (r == EM_OK && there)
        return em_fail(error, EM_CHANGED, label, "is there already, and was to be made");
    return r;
}

/* The hashes, when fill did not know them, and what the file is now that it is whole. */
static int seal(int fd, struct em_entry *entry, struct em_change *change, const char *label, struct em_error *error)
{
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if (!change->has_sha256) {
        struct em_reader reader = em_reader_fd(fd, (uint64_t)st.st_size, label);

        r = em_hash_reader(&reader, &change->sha256, &change->xxh3, error);
        if (r < 0)
            return r;
        change->has_sha256 = true;
    }
    r = em_fsync(fd, label, error);
    if (r < 0)
        return r;
    /* Only now: some file systems set the time of change when the bytes are written out. */
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    change->size = (uint64_t)st.st_size;
    entry->file = em_identity_of(&st);
    entry->sha256 = change->sha256;
    entry->xxh3 = change->xxh3;
    return EM_OK;
}

/* The directory that the file will be in: a parent that one of our own slots will become has no fd yet. */
struct parent {
    int dir;
    const char *name;
};

static void close_parent(struct parent *parent)
{
    em_closep(&parent->dir);
}

static int open_parent(const struct em_store *store, const struct em_change *change, struct parent *parent, const char *label,
                       struct em_error *error)
{
    parent->dir = em_beneath_parent(store->root, change->path, &parent->name, error);
    if (parent->dir == EM_NOT_FOUND && change->create && change->make_directories)
        return EM_OK;
    if (parent->dir == EM_NOT_FOUND && !change->create)
        return em_fail(error, EM_CHANGED, label, GONE);
    if (parent->dir < 0)
        return parent->dir;
    return check_writable(parent->dir, label, error);
}

static int make_slot(int slots, const char *slot, const char *label, struct em_error *error)
{
    int fd;

    do
        fd = openat(slots, slot, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? em_fail_errno(error, label, "has no room for its new file") : fd;
}

static int fill_slot(const struct em_store *store, int new, int old, const struct stat *was, struct em_entry *entry,
                     struct em_change *change, const char *label, struct em_error *error)
{
    int r = change->fill(change, old, new, error);

    if (r < 0 || change->unchanged)
        return r;
    if (old >= 0) {
        entry->old = em_identity_of(was);
        change->privilege = privilege_of(old, was);
        r = take_after(old, was, new, label, error);
    } else {
        take_owner(new, store, change->path);
        if (fchmod(new, change->mode & 0777) < 0)
            r = em_fail_errno(error, label, "cannot be given its mode");
    }
    return r < 0 ? r : seal(new, entry, change, label, error);
}

int em_slot_fill(const struct em_store *store, int slots, struct em_entry *entry, struct em_change *change,
                 struct em_error *error)
{
    struct label space = { "" };
    const char *label = label_make(&space, store, change->path);
    __attribute__((cleanup(close_parent))) struct parent parent = { .dir = -1 };
    em_cleanup_fd int old = -1, new = -1;
    struct stat was = { 0 };
    char slot[16];
    int r;

    em_slot_name(entry, slot);
    r = open_parent(store, change, &parent, label, error);
    if (r < 0)
        return r;
    if (!change->create) {
        old = open_old(parent.dir, parent.name, label, &was, error);
        if (old < 0)
            return old;
    } else if (parent.dir >= 0) {
        r = check_free(parent.dir, parent.name, label, error);
        if (r < 0)
            return r;
    }
    new = make_slot(slots, slot, label, error);
    if (new < 0)
        return new;
    r = fill_slot(store, new, old, &was, entry, change, label, error);
    if (r < 0 || !change->unchanged)
        return r;
    if (unlinkat(slots, slot, 0) < 0)
        return em_fail_errno(error, label, "has a new file that cannot be removed");
    return EM_OK;
}

/* Mode and owner as if it were made in place: by the umask, and by the nearest directory that is there. */
int em_slot_make_directory(const struct em_store *store, int slots, struct em_entry *entry, struct em_error *error)
{
    struct label space = { "" };
    const char *label = label_make(&space, store, entry->path);
    em_cleanup_fd int fd = -1;
    char slot[16];
    struct stat st;

    em_slot_name(entry, slot);
    if (mkdirat(slots, slot, 0777) < 0)
        return em_fail_errno(error, label, "cannot be made");
    fd = em_open_at(slots, slot, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, error);
    if (fd < 0)
        return fd;
    take_owner(fd, store, entry->path);
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    entry->file.inode = st.st_ino;
    return em_fsync(fd, label, error);
}
