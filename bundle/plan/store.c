#include "bundle/plan/store.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <time.h>

#define LOCK "lock"
#define README "README"
#define README_TEMPORARY "README.tmp"
#define DEFAULT_ACL "system.posix_acl_default"
/* The lock file may be removed between our opening and locking it, once for every run that ends just then. */
#define TRIES 100
/* How long somebody else's lock on the root is waited for. */
#define ROOT_TRIES 100
#define ROOT_PAUSE_NS 10000000

static const char readme[] =
    "elfmend has repaired ELF files in the directory above and keeps here what it needs to take that back.\n"
    "\n"
    "    elfmend undo --list     what was done, and what it holds on disk\n"
    "    elfmend undo            takes the last repair back: the original files return, the same inodes\n"
    "    elfmend undo --forget   frees this directory and keeps the repair\n"
    "\n"
    "undo/NUMBER holds the original files and a journal that says where they belong. txn is there only while elfmend works,\n"
    "or after it was interrupted; then the next `elfmend fix`, `apply` or `undo` on the directory above takes back what was "
    "begun.\n"
    "To keep the repair and give up going back, this directory may simply be removed, unless txn is there.\n";

const char *em_store_label(const struct em_store *store, const char *path)
{
    const char *label = strcmp(path, ".") == 0 ? store->path : em_path_join(store->arena, store->path, path);

    return label ? label : path;
}

/* Making or removing .elfmend changes the times of the root; nobody is to see that. Who does not own the root can't set them. */
static void keep_times(int fd, const struct stat *before)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, before->st_mtim };

    (void)!futimens(fd, times);
}

/* Whoever makes or removes .elfmend notes the root's times before and sets them after, and is alone meanwhile: another would note
 * the time in between, and set that. Where directories cannot be locked (NFS), or a stranger holds a lock of his for longer, we go on:
 * nothing but that time is at stake. Whoever runs us under `flock ROOT` is such a stranger, and is waited for once. */
static void hold_root(struct em_store *store)
{
    const struct timespec pause = { .tv_nsec = ROOT_PAUSE_NS };

    for (int i = 0; i < ROOT_TRIES; i++) {
        if (flock(store->root, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR))
            return;
        if (store->waited_in_vain)
            return;
        (void)nanosleep(&pause, NULL);
    }
    store->waited_in_vain = true;
}

static void release_root(const struct em_store *store)
{
    (void)flock(store->root, LOCK_UN);
}

/* Whether what was opened is a directory of ours alone, beside what is to be changed. */
static int check_directory(const struct em_store *store, const struct stat *top, bool made, struct em_error *error)
{
    const char *label = em_store_label(store, EM_STORE_NAME);
    struct stat st;

    if (fstat(store->dir, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if (st.st_dev != top->st_dev)
        return em_fail(error, EM_REFUSED, label, "lies on another file system than the directory it is in");
    if (store->mode == EM_STORE_READ)
        return EM_OK;
    if (made && (st.st_uid != geteuid() || (st.st_mode & 077)))
        return em_fail(
            error, EM_REFUSED, store->path,
            "is on a file system that gives a new directory mode %04o and user %u, so what undo needs cannot be kept "
            "from others; mount it with permissions, or with umask=077 for this user",
            (unsigned)st.st_mode & 07777, (unsigned)st.st_uid);
    if (st.st_uid != geteuid())
        return em_fail(error, EM_REFUSED, label, "belongs to user %u; run elfmend as that user", (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return em_fail(error, EM_REFUSED, label, "is open to other users (mode %04o); it was made with mode 0700",
                       (unsigned)st.st_mode & 07777);
    /* A umask may have taken our own bits. */
    if ((st.st_mode & 0700) != 0700 && fchmod(store->dir, 0700) < 0)
        return em_fail_errno(error, label, "cannot be given mode 0700");
    /* From the directory above: it would pass to every new file, and let in whom the old one's mode kept out. */
    if (fgetxattr(store->dir, DEFAULT_ACL, NULL, 0) > 0 && fremovexattr(store->dir, DEFAULT_ACL) < 0)
        return em_fail_errno(error, label, "has an access list for what is made in it, which cannot be removed");
    return EM_OK;
}

static int make_and_open(struct em_store *store, struct em_error *error)
{
    const char *label = em_store_label(store, EM_STORE_NAME);
    bool made = false;
    struct stat top;
    int r;

    if (fstat(store->root, &top) < 0)
        return em_fail_errno(error, store->path, "cannot be examined");
    if (store->mode == EM_STORE_MAKE) {
        made = mkdirat(store->root, EM_STORE_NAME, 0700) == 0;
        if (made)
            keep_times(store->root, &top);
        else if (errno != EEXIST)
            return em_fail_errno(error, label, "cannot be made; nothing can be changed here");
    }
    do
        store->dir = openat(store->root, EM_STORE_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (store->dir < 0 && errno == EINTR);
    if (store->dir < 0 && errno == ENOENT)
        return EM_OK;
    if (store->dir < 0 && (errno == ELOOP || errno == ENOTDIR))
        return em_fail(error, EM_REFUSED, label, "is not a directory; elfmend keeps its transactions there and needs the name");
    if (store->dir < 0) {
        em_fail_errno(error, label, "cannot be opened");
        return EM_IO;
    }
    r = check_directory(store, &top, made, error);
    if (r < 0 && made && unlinkat(store->root, EM_STORE_NAME, AT_REMOVEDIR) == 0)
        keep_times(store->root, &top);
    return r;
}

/* Opens .elfmend, -1 in store->dir if there is none and none is to be made. */
static int open_directory(struct em_store *store, struct em_error *error)
{
    int r;

    if (store->mode != EM_STORE_MAKE)
        return make_and_open(store, error);
    hold_root(store);
    r = make_and_open(store, error);
    release_root(store);
    return r;
}

/* Whether the lock that we hold is the one that others will find. */
static bool lock_is_current(const struct em_store *store)
{
    struct stat ours, there;

    if (fstat(store->lock, &ours) < 0 || fstatat(store->dir, LOCK, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
        ours.st_ino != there.st_ino)
        return false;
    return fstat(store->dir, &ours) == 0 && fstatat(store->root, EM_STORE_NAME, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == there.st_ino;
}

/* 1: the lock was removed under us, try again from the directory. */
static int take_lock(struct em_store *store, struct em_error *error)
{
    int r;

    do
        store->lock = openat(store->dir, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    while (store->lock < 0 && errno == EINTR);
    if (store->lock < 0 && errno == ENOENT)
        return 1;
    if (store->lock < 0)
        return em_fail_errno(error, em_store_label(store, EM_STORE_NAME "/" LOCK), "cannot be opened");
    do
        r = flock(store->lock, LOCK_EX | LOCK_NB);
    while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EWOULDBLOCK)
        return em_fail(error, EM_BUSY, store->path, "is being worked on by another elfmend; wait for it to end");
    if (r < 0)
        return em_fail_errno(error, em_store_label(store, EM_STORE_NAME "/" LOCK), "cannot be locked");
    return lock_is_current(store) ? EM_OK : 1;
}

static int write_readme(const struct em_store *store, struct em_error *error)
{
    const char *label = em_store_label(store, EM_STORE_NAME "/" README);
    em_cleanup_fd int fd = -1;
    struct stat st;
    int r;

    if (fstatat(store->dir, README, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return EM_OK;
    if (errno != ENOENT)
        return em_fail_errno(error, label, "cannot be examined");
    fd = em_open_at(store->dir, README_TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, error);
    if (fd < 0)
        return fd;
    r = em_write_all(fd, readme, sizeof readme - 1, label, error);
    if (r < 0)
        return r;
    if (renameat(store->dir, README_TEMPORARY, store->dir, README) < 0)
        return em_fail_errno(error, label, "cannot be put in place");
    return EM_OK;
}

static void drop(struct em_store *store)
{
    if (store->lock >= 0)
        close(store->lock);
    if (store->dir >= 0)
        close(store->dir);
    store->lock = store->dir = -1;
}

static int open_and_lock(struct em_store *store, struct em_error *error)
{
    int r = 1;

    for (int i = 0; r == 1 && i < TRIES; i++) {
        drop(store);
        r = open_directory(store, error);
        if (r < 0)
            return r;
        if (store->dir < 0 && store->mode == EM_STORE_MAKE)
            r = 1;
        else if (store->dir >= 0 && store->mode != EM_STORE_READ)
            r = take_lock(store, error);
    }
    if (r == 1)
        return em_fail(error, EM_BUSY, store->path, "is being worked on by other elfmends, one after another");
    return r;
}

int em_store_open(struct em_store *store, struct em_arena *arena, const char *root, enum em_store_mode mode,
                  struct em_error *error)
{
    int r;

    *store = (struct em_store){ .arena = arena, .path = root, .mode = mode, .root = -1, .dir = -1, .lock = -1 };
    store->root = em_open_at(AT_FDCWD, root, O_RDONLY | O_DIRECTORY, 0, error);
    if (store->root < 0)
        return store->root;
    r = open_and_lock(store, error);
    if (r < 0) {
        drop(store);
        close(store->root);
        store->root = -1;
        return r;
    }
    if (mode == EM_STORE_MAKE)
        r = write_readme(store, error);
    if (r < 0)
        em_store_close(store);
    else if (store->dir >= 0 && mode != EM_STORE_READ)
        em_store_sweep(store);
    return r;
}

/* ---- what is in it ---- */

static int number_order(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static bool parse_id(const char *name, unsigned *id)
{
    char again[EM_STORE_ID_SIZE];
    unsigned long value;

    if (name[0] < '0' || name[0] > '9')
        return false;
    value = strtoul(name, NULL, 10);
    if (value == 0 || value > INT_MAX)
        return false;
    *id = (unsigned)value;
    em_store_undo_name(*id, again);
    return strcmp(again + strlen(EM_STORE_UNDO "/"), name) == 0;
}

void em_store_undo_name(unsigned id, char name[EM_STORE_ID_SIZE])
{
    snprintf(name, EM_STORE_ID_SIZE, EM_STORE_UNDO "/%04u", id);
}

int em_store_directory(const struct em_store *store, const char *name, struct em_error *error)
{
    int fd;

    do
        fd = openat(store->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return fd;
    if (errno == ENOENT)
        return EM_NOT_FOUND;
    em_fail_errno(error, em_store_label(store, EM_STORE_NAME), "its %s cannot be opened", name);
    return EM_IO;
}

static int each_name(int fd, int (*use)(void *context, const char *name), void *context)
{
    int copy = dup(fd);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    int r = EM_OK;

    if (!stream) {
        if (copy >= 0)
            close(copy);
        return EM_IO;
    }
    rewinddir(stream);
    errno = 0;
    while (r == EM_OK && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = use(context, entry->d_name);
        errno = 0;
    }
    if (r == EM_OK && errno != 0)
        r = EM_IO;
    int saved = errno;
    closedir(stream);
    errno = saved;
    return r;
}

struct id_list {
    struct em_arena *arena;
    struct em_store_ids *ids;
};

static int add_id(void *context, const char *name)
{
    struct id_list *list = context;
    unsigned id;

    /* Names that are not ours are left alone. */
    return parse_id(name, &id) ? em_vec_push(list->arena, list->ids, id) : EM_OK;
}

int em_store_ids(const struct em_store *store, struct em_store_ids *ids, struct em_error *error)
{
    em_cleanup_fd int undo = -1;
    struct id_list list = { store->arena, ids };
    int r;

    *ids = (struct em_store_ids){ 0 };
    if (store->dir < 0)
        return EM_OK;
    undo = em_store_directory(store, EM_STORE_UNDO, error);
    if (undo == EM_NOT_FOUND)
        return EM_OK;
    if (undo < 0)
        return undo;
    r = each_name(undo, add_id, &list);
    if (r == EM_IO)
        em_fail_errno(error, em_store_label(store, EM_STORE_NAME "/" EM_STORE_UNDO), "cannot be read");
    if (r < 0)
        return r;
    if (ids->count > 1)
        qsort(ids->items, ids->count, sizeof *ids->items, number_order);
    return EM_OK;
}

/* ---- removing ---- */

static int remove_one(void *context, const char *name)
{
    int dir = *(int *)context;

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return EM_OK;
    /* A slot may be a directory, which is empty then. Linux says EISDIR, POSIX EPERM. */
    if ((errno == EISDIR || errno == EPERM) && unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return EM_OK;
    return EM_IO;
}

static int empty_trash(const struct em_store *store, struct em_error *error)
{
    em_cleanup_fd int trash = em_store_directory(store, EM_STORE_TRASH, error);

    if (trash == EM_NOT_FOUND)
        return EM_OK;
    if (trash < 0)
        return trash;
    if (each_name(trash, remove_one, &trash) < 0 || unlinkat(store->dir, EM_STORE_TRASH, AT_REMOVEDIR) < 0) {
        em_fail_errno(error, em_store_label(store, EM_STORE_NAME "/" EM_STORE_TRASH), "cannot be removed");
        return EM_IO;
    }
    return EM_OK;
}

void em_store_sweep(const struct em_store *store)
{
    (void)empty_trash(store, NULL);
}

int em_store_move(const struct em_store *store, const char *from, const char *to, struct em_error *error)
{
    const char *label = em_store_label(store, EM_STORE_NAME);

    if (renameat(store->dir, from, store->dir, to) == 0)
        return EM_OK;
    /* overlayfs, unless it was mounted with redirect_dir. */
    if (errno == EXDEV)
        return em_fail(
            error, EM_REFUSED, label,
            "its %s lies in a lower layer of an overlay file system, where directories cannot be moved: do this in the "
            "step of the build that made the repair, or build without it",
            from);
    return em_fail_errno(error, label, "its %s cannot be moved to %s", from, to);
}

int em_store_discard(const struct em_store *store, const char *name, bool strict, struct em_error *error)
{
    int r;

    r = empty_trash(store, error);
    /* Trash that can't be emptied keeps the name taken, so nothing more can be discarded until it can. */
    if (r < 0)
        return r;
    r = em_store_move(store, name, EM_STORE_TRASH, error);
    if (r < 0)
        return r;
    /* Unless the new name is durable, what is in it must stay whole. */
    r = em_fsync(store->dir, em_store_label(store, EM_STORE_NAME), strict ? error : NULL);
    if (r == EM_OK)
        r = empty_trash(store, strict ? error : NULL);
    return strict ? r : EM_OK;
}

/* Removes .elfmend if it holds neither a transaction nor anything to go back to; the directories that are not empty stop it. We
 * hold the lock, and whoever waits for it finds that it is no longer the current one. It is let go before the directory: NFS and
 * FUSE keep the name of a file that is removed while it is open, and what somebody else puts there meanwhile stops us. */
static void remove_if_idle(struct em_store *store)
{
    struct stat top, st;

    if (fstatat(store->dir, EM_STORE_TXN, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT ||
        fstatat(store->dir, EM_STORE_TRASH, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
        return;
    if (unlinkat(store->dir, EM_STORE_UNDO, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return;
    hold_root(store);
    if (fstat(store->root, &top) == 0) {
        (void)unlinkat(store->dir, README, 0);
        (void)unlinkat(store->dir, README_TEMPORARY, 0);
        (void)unlinkat(store->dir, LOCK, 0);
        close(store->lock);
        store->lock = -1;
        if (unlinkat(store->root, EM_STORE_NAME, AT_REMOVEDIR) == 0)
            keep_times(store->root, &top);
    }
    release_root(store);
}

void em_store_close(struct em_store *store)
{
    if (store->dir >= 0 && store->lock >= 0)
        remove_if_idle(store);
    drop(store);
    if (store->root >= 0)
        close(store->root);
    store->root = -1;
}
