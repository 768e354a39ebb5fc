#include "bundle/tree/disk.h"

#include <dirent.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

struct disk {
    struct em_tree tree;
    int root;            /* -1: the machine's own "/" */
    atomic_bool by_hand; /* the kernel does not resolve for us */
};

struct disk_file {
    struct em_file file;
    int fd;
    char name[];
};

/* ---- a path inside a root ---- */

/* A path while it is resolved: done has no link left in it and is relative to the root, "" for the root itself. */
struct walk {
    char done[PATH_MAX];
    size_t length;
    char rest[2 * PATH_MAX]; /* still to be looked at */
    unsigned links;
};

static void walk_up(struct walk *walk)
{
    while (walk->length > 0 && walk->done[walk->length - 1] != '/')
        walk->length--;
    if (walk->length > 0)
        walk->length--;
    walk->done[walk->length] = '\0';
}

/* The link at done, of which the last component was just added, gives way to its target. */
static int walk_link(struct walk *walk, const char *target, const char *behind)
{
    char rest[2 * PATH_MAX];
    int size;

    if (++walk->links > EM_MAX_LINKS)
        return -ELOOP;
    size = snprintf(rest, sizeof rest, "%s/%s", target, behind);
    if (size < 0 || (size_t)size >= sizeof rest)
        return -ENAMETOOLONG;
    if (*behind == '\0')
        rest[size - 1] = '\0'; /* a slash at the end would ask for a directory */
    if (target[0] == '/')
        walk->length = 0, walk->done[0] = '\0';
    else
        walk_up(walk);
    memcpy(walk->rest, rest, (size_t)size + 1);
    return 0;
}

static int walk_component(struct disk *disk, struct walk *walk, const char *part, size_t size, const char *behind, bool follow)
{
    bool last = behind[strspn(behind, "/")] == '\0';
    char target[PATH_MAX];
    ssize_t got;

    if (walk->length + size + 2 > sizeof walk->done)
        return -ENAMETOOLONG;
    if (walk->length > 0)
        walk->done[walk->length++] = '/';
    memcpy(walk->done + walk->length, part, size);
    walk->length += size;
    walk->done[walk->length] = '\0';
    if (last && !follow && *behind == '\0') {
        memmove(walk->rest, behind, strlen(behind) + 1);
        return 0;
    }
    got = readlinkat(disk->root, walk->done, target, sizeof target - 1);
    if (got >= 0) {
        target[got] = '\0';
        return walk_link(walk, target, behind);
    }
    /* EINVAL says that it is there and no link. The last one may be missing: whoever asked will hear it. */
    if (errno != EINVAL && !(last && errno == ENOENT && *behind == '\0'))
        return -errno;
    memmove(walk->rest, behind, strlen(behind) + 1);
    return 0;
}

/* path with all links resolved as after a chroot into the root: ".." stops there. In walk->done, relative to the root. */
static int walk_path(struct disk *disk, struct walk *walk, const char *path, bool follow)
{
    struct stat st;

    *walk = (struct walk){ 0 };
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (*path == '\0')
        return -ENOENT;
    strcpy(walk->rest, path);
    while (*walk->rest) {
        char *part = walk->rest + strspn(walk->rest, "/");
        size_t size = strcspn(part, "/");
        char behind[2 * PATH_MAX];
        int r;

        if (*part == '\0') {
            /* A slash at the end: what stands before it must be a directory. */
            if (walk->length > 0 && fstatat(disk->root, walk->done, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
            return walk->length > 0 && !S_ISDIR(st.st_mode) ? -ENOTDIR : 0;
        }
        if (size == 1 && part[0] == '.') {
            memmove(walk->rest, part + size, strlen(part + size) + 1);
            continue;
        }
        if (size == 2 && part[0] == '.' && part[1] == '.') {
            if (walk->length > 0 && fstatat(disk->root, walk->done, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
                return -ENOTDIR;
            walk_up(walk);
            memmove(walk->rest, part + size, strlen(part + size) + 1);
            continue;
        }
        strcpy(behind, part + size);
        r = walk_component(disk, walk, part, size, behind, follow);
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_by_hand(struct disk *disk, const char *path, int flags)
{
    em_cleanup_free struct walk *walk = malloc(sizeof *walk);
    int fd, r;

    if (!walk)
        return -ENOMEM;
    r = walk_path(disk, walk, path, !(flags & O_NOFOLLOW));
    if (r < 0)
        return r;
    /* Nothing in it is a link any more; one that appears meanwhile at the end is not followed. */
    fd = openat(disk->root, walk->length ? walk->done : ".", flags | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static int open_in_root(struct disk *disk, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    long fd;

    if (disk->by_hand)
        return open_by_hand(disk, path, flags);
    /* EAGAIN: something was renamed while ".." was resolved, and the kernel cannot tell whether we are still inside. */
    do
        fd = syscall(SYS_openat2, disk->root, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        disk->by_hand = true;
        return open_by_hand(disk, path, flags);
    }
    return fd < 0 ? -errno : (int)fd;
}

/* ---- questions ---- */

static void node_from_stat(struct em_node *node, const struct stat *st)
{
    *node = (struct em_node){
        .kind = S_ISREG(st->st_mode)   ? EM_NODE_FILE
                : S_ISDIR(st->st_mode) ? EM_NODE_DIRECTORY
                : S_ISLNK(st->st_mode) ? EM_NODE_LINK
                                       : EM_NODE_OTHER,
        .device = st->st_dev,
        .inode = st->st_ino,
        .size = (uint64_t)st->st_size,
        .links = st->st_nlink,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
    };
}

static int disk_stat(struct em_tree *tree, const char *path, bool follow, struct em_node *node)
{
    struct disk *disk = (struct disk *)tree;
    struct stat st;

    if (disk->root < 0) {
        if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
    } else {
        em_cleanup_fd int fd = open_in_root(disk, path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));

        if (fd < 0)
            return fd;
        if (fstat(fd, &st) < 0)
            return -errno;
    }
    node_from_stat(node, &st);
    return 0;
}

static int disk_open_fd(struct disk *disk, const char *path, int flags)
{
    int fd;

    if (disk->root >= 0)
        return open_in_root(disk, path, flags | O_CLOEXEC);
    do
        fd = open(path, flags | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Opens the directory that holds path, unless it is open. What stat would say of a path in it that cannot be reached, this says. */
static int go_near(struct disk *disk, struct em_near *near, const char *path, size_t length)
{
    if (near->fd >= 0 && near->length == length && memcmp(near->directory, path, length) == 0)
        return 0;
    em_near_close(near);
    memcpy(near->directory, path, length);
    near->directory[length] = '\0';
    near->fd = disk_open_fd(disk, near->directory, O_PATH | O_DIRECTORY);
    if (near->fd < 0) {
        int r = near->fd;

        em_near_init(near);
        return r;
    }
    near->length = length;
    return 0;
}

static int disk_stat_near(struct em_tree *tree, struct em_near *near, const char *path, struct em_node *node)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    struct stat st;
    int r;

    if (length == 0 || length >= sizeof near->directory)
        return disk_stat(tree, path, true, node);
    r = go_near((struct disk *)tree, near, path, length);
    if (r < 0)
        return r;
    if (fstatat(near->fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    /* Where a link leads to is a question of the whole path, and of the root. */
    if (S_ISLNK(st.st_mode))
        return disk_stat(tree, path, true, node);
    node_from_stat(node, &st);
    return 0;
}

static void disk_file_close(struct em_file *file)
{
    close(((struct disk_file *)file)->fd);
    free(file);
}

static int disk_open(struct em_tree *tree, const char *path, struct em_file **file)
{
    /* A FIFO would block, a terminal would become ours. */
    em_cleanup_fd int fd = disk_open_fd((struct disk *)tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct disk_file *opened;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    opened = malloc(sizeof *opened + strlen(path) + 1);
    if (!opened)
        return -ENOMEM;
    strcpy(opened->name, path);
    node_from_stat(&opened->file.node, &st);
    opened->file.close = disk_file_close;
    opened->fd = em_steal_fd(&fd);
    opened->file.reader = em_reader_fd(opened->fd, (uint64_t)st.st_size, opened->name);
    *file = &opened->file;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct em_entry *)a)->name, ((const struct em_entry *)b)->name);
}

/* Most file systems say what an entry is; the others are asked. */
static enum em_node_kind entry_kind(int fd, const struct dirent64 *entry)
{
    struct em_node node;
    struct stat st;

    switch (entry->d_type) {
    case DT_REG: return EM_NODE_FILE;
    case DT_DIR: return EM_NODE_DIRECTORY;
    case DT_LNK: return EM_NODE_LINK;
    case DT_UNKNOWN: break;
    default: return EM_NODE_OTHER;
    }
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return EM_NODE_OTHER;
    node_from_stat(&node, &st);
    return node.kind;
}

static int add_entry(struct em_arena *arena, int fd, const struct dirent64 *entry, struct em_entries *entries)
{
    struct em_entry found;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return 0;
    found = (struct em_entry){ .name = em_arena_strdup(arena, entry->d_name), .kind = entry_kind(fd, entry) };
    return !found.name || em_vec_push(arena, entries, found) < 0 ? -ENOMEM : 0;
}

/* By getdents64(2) itself: opendir(3) asks twice more of the kernel for each directory, and an environment has thousands. */
static int disk_entries(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_entries *entries)
{
    em_cleanup_fd int fd = disk_open_fd((struct disk *)tree, path, O_RDONLY | O_DIRECTORY);
    _Alignas(struct dirent64) char buffer[16384];
    ssize_t size;
    int r = 0;

    *entries = (struct em_entries){ 0 };
    if (fd < 0)
        return fd;
    while (r == 0 && (size = getdents64(fd, buffer, sizeof buffer)) != 0) {
        if (size < 0)
            return -errno;
        for (ssize_t at = 0; r == 0 && at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);

            r = add_entry(arena, fd, entry, entries);
            at += entry->d_reclen;
        }
    }
    if (r == 0 && entries->count > 1)
        qsort(entries->items, entries->count, sizeof *entries->items, by_name);
    return r;
}

static int disk_list(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_strings *names)
{
    struct em_entries entries;
    int r = disk_entries(tree, arena, path, &entries);

    *names = (struct em_strings){ 0 };
    em_vec_each (const struct em_entry, entry, &entries) {
        if (r == 0 && em_vec_push(arena, names, entry->name) < 0)
            r = -ENOMEM;
    }
    return r;
}

static int disk_read_link(struct em_tree *tree, struct em_arena *arena, const char *path, char **target)
{
    struct disk *disk = (struct disk *)tree;
    char buffer[PATH_MAX];
    ssize_t got;

    if (disk->root < 0) {
        got = readlink(path, buffer, sizeof buffer);
    } else {
        em_cleanup_fd int fd = open_in_root(disk, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
            return fd;
        got = readlinkat(fd, "", buffer, sizeof buffer);
        /* readlinkat of an fd that is no link says ENOENT. */
        if (got < 0 && errno == ENOENT)
            return -EINVAL;
    }
    if (got < 0)
        return -errno;
    if ((size_t)got == sizeof buffer)
        return -ENAMETOOLONG;
    *target = em_arena_strndup(arena, buffer, (size_t)got);
    return *target ? 0 : -ENOMEM;
}

static int disk_real_path(struct em_tree *tree, struct em_arena *arena, const char *path, char **real)
{
    struct disk *disk = (struct disk *)tree;
    struct em_node node;
    int r;

    if (disk->root < 0) {
        em_cleanup_free char *resolved = realpath(path, NULL);

        if (!resolved)
            return -errno;
        *real = em_arena_strdup(arena, resolved);
    } else {
        em_cleanup_free struct walk *walk = malloc(sizeof *walk);

        if (!walk)
            return -ENOMEM;
        r = walk_path(disk, walk, path, true);
        if (r < 0)
            return r;
        *real = em_arena_printf(arena, "/%s", walk->done);
        if (!*real)
            return -ENOMEM;
        return disk_stat(tree, *real, false, &node);
    }
    return *real ? 0 : -ENOMEM;
}

static void disk_close(struct em_tree *tree)
{
    struct disk *disk = (struct disk *)tree;

    if (disk->root >= 0)
        close(disk->root);
    free(disk);
}

static const struct em_tree_ops disk_ops = {
    .stat = disk_stat,
    .stat_near = disk_stat_near,
    .open = disk_open,
    .list = disk_list,
    .entries = disk_entries,
    .read_link = disk_read_link,
    .real_path = disk_real_path,
    .close = disk_close,
};

int em_tree_disk_root(struct em_tree **tree, const char *root, bool by_hand, struct em_error *error)
{
    em_cleanup_fd int fd = -1;
    struct disk *disk;

    *tree = NULL;
    if (root) {
        fd = em_open_at(AT_FDCWD, root, O_PATH | O_DIRECTORY, 0, error);
        if (fd < 0)
            return fd;
    }
    disk = calloc(1, sizeof *disk);
    if (!disk)
        return EM_NO_MEMORY;
    disk->tree.ops = &disk_ops;
    disk->root = em_steal_fd(&fd);
    atomic_init(&disk->by_hand, by_hand);
    *tree = &disk->tree;
    return EM_OK;
}

int em_tree_disk(struct em_tree **tree, const char *root, struct em_error *error)
{
    return em_tree_disk_root(tree, root, false, error);
}
