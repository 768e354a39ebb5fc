/* commit.c: a patch becomes a file.
 *
 * Unless it is told to (in_place.h), em_patch_file never writes into a file that existed before: the result is a new file beside it
 * that takes its name in one rename. A reader, a process that runs or maps the old file, and another hard link keep what they had;
 * a kill leaves the old or the new file whole, and at worst a temporary file, ".elfmend-" and 16 digits that stand for the target's
 * name, which the next edit of that target removes. What the new file keeps: permission bits, set-uid and set-gid included, owner and
 * group as far as we may set them (set-uid goes if we may not), extended attributes and ACLs, and the access time. The modification
 * time is that of the edit: build systems and package managers go by it. With another output, mode and attributes are those of the
 * input, and what is at the output's name is replaced the same way.
 */
#include "patcher/in_place.h"

#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>

#define PIECE ((size_t)256 * 1024)
#define ACCESS_ACL "system.posix_acl_access"

/* size bytes from one place of in to another of out. */
static int move_bytes(int in, int out, const struct em_patch_range *range, const char *label, struct em_error *error)
{
    em_cleanup_free uint8_t *buffer = malloc(range->bytes.size < PIECE ? range->bytes.size : PIECE);
    struct em_reader reader = em_reader_fd(in, range->from + range->bytes.size, label);

    if (!buffer)
        return EM_NO_MEMORY;
    for (size_t at = 0; at < range->bytes.size; at += PIECE) {
        size_t piece = range->bytes.size - at < PIECE ? range->bytes.size - at : PIECE;
        int r = em_read_at(&reader, buffer, piece, range->from + at, error);

        if (r == EM_OK)
            r = em_pwrite_all(out, buffer, piece, range->offset + at, label, error);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_patch_copy(const struct em_patch *patch, int in, int out, const char *label, struct em_error *error)
{
    int r = em_copy_fd(in, out, patch->old_size, label, error);

    em_vec_each (const struct em_patch_range, range, &patch->ranges) {
        if (r < 0)
            return r;
        if (range->bytes.data)
            r = em_pwrite_all(out, range->bytes.data, range->bytes.size, range->offset, label, error);
        else
            r = move_bytes(in, out, range, label, error);
    }
    return r;
}

/* A signature is of the old bytes; a label is mostly given by where a file is made, and only the privileged may choose it. Anything
 * else that the new file cannot be given would be lost without a word: a capability, an access list. */
static int copy_attribute(int in, int out, const char *name, const char *label, struct em_error *error)
{
    ssize_t length = fgetxattr(in, name, NULL, 0);
    em_cleanup_free char *value = NULL;

    if (length >= 0) {
        value = malloc((size_t)length + 1);
        if (!value)
            return EM_NO_MEMORY;
        length = fgetxattr(in, name, value, (size_t)length);
    }
    if ((length < 0 && errno == ENODATA) || (length >= 0 && fsetxattr(out, name, value, (size_t)length, 0) == 0))
        return EM_OK;
    if (strncmp(name, "security.", 9) == 0 && strcmp(name, "security.capability") != 0 &&
        (errno == EPERM || errno == EOPNOTSUPP))
        return EM_OK;
    return em_fail_errno(error, label, "has the attribute %s, which its new file cannot be given", name);
}

static int copy_attributes(int in, int out, const char *label, struct em_error *error)
{
    ssize_t size = flistxattr(in, NULL, 0);
    em_cleanup_free char *names = NULL;
    int r = EM_OK;

    /* Its directory's default, by which others might write to what the old file's mode kept from them. */
    if (fgetxattr(out, ACCESS_ACL, NULL, 0) > 0 && fremovexattr(out, ACCESS_ACL) < 0)
        return em_fail_errno(error, label, "has a new file whose access list cannot be removed");
    if (size == 0 || (size < 0 && errno == EOPNOTSUPP))
        return EM_OK;
    if (size > 0) {
        names = malloc((size_t)size);
        if (!names)
            return EM_NO_MEMORY;
        size = flistxattr(in, names, (size_t)size);
    }
    if (size < 0)
        return em_fail_errno(error, label, "has extended attributes that cannot be listed");
    for (const char *name = names; r == EM_OK && name < names + size; name += strlen(name) + 1)
        if (strcmp(name, "security.ima") != 0 && strcmp(name, "security.evm") != 0)
            r = copy_attribute(in, out, name, label, error);
    return r;
}

static int copy_owner(const struct stat *st, int out, const char *label, struct em_error *error)
{
    mode_t mode = st->st_mode & 07777;
    struct stat now;

    if (fstat(out, &now) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) && fchown(out, st->st_uid, st->st_gid) < 0) {
        if (errno != EPERM)
            return em_fail_errno(error, label, "cannot get its owner back");
        /* Not ours to give away: then nobody may run it with its former owner's rights either. */
        mode &= (mode_t)~06000;
    }
    if (fchmod(out, mode) < 0)
        return em_fail_errno(error, label, "cannot get its mode back");
    return EM_OK;
}

static int finish(int in, int out, const struct stat *st, bool sync, const char *label, struct em_error *error)
{
    struct timespec times[2] = { st->st_atim, { .tv_nsec = UTIME_OMIT } };
    int r = copy_owner(st, out, label, error);

    if (r == EM_OK)
        r = copy_attributes(in, out, label, error);
    if (r < 0)
        return r;
    futimens(out, times);
    return sync ? em_fsync(out, label, error) : EM_OK;
}

struct replacement {
    struct em_arena *arena;
    const char *target, *directory, *name;
    int dir;
    char *temporary;
    bool is_input; /* the target is the file that was read */
};

/* One name for each target: what a killed run left is found by the next one that edits the same file. */
static char *temporary_name(struct em_arena *arena, const char *name)
{
    const struct em_bytes bytes = { (const uint8_t *)name, strlen(name) };
    struct em_reader reader = em_reader_memory(&bytes, name);
    char hex[EM_XXH3_HEX_SIZE];
    struct em_xxh3 digest;

    if (em_hash_reader(&reader, NULL, &digest, NULL) < 0)
        return NULL;
    em_xxh3_hex(&digest, hex);
    return em_arena_printf(arena, ".elfmend-%.16s", hex);
}

static bool has_name(const struct replacement *replacement, int fd)
{
    struct stat by_fd, by_name;

    return fstat(fd, &by_fd) == 0 && fstatat(replacement->dir, replacement->temporary, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino;
}

/* The temporary file of somebody else. Its maker holds a lock on it while it lives: without one it is a dead run's, and goes. On a
 * file system that has no locks it goes too: then a live maker's rename finds nothing, and its edit fails. */
static int clear_away(struct replacement *replacement, struct em_error *error)
{
    em_cleanup_fd int fd = openat(replacement->dir, replacement->temporary, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? EM_OK
                               : em_fail_errno(error, replacement->target,
                                               "cannot be replaced: %s in its directory is in the way", replacement->temporary);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return em_fail(error, EM_BUSY, replacement->target, "is being edited by another elfmend");
    if (has_name(replacement, fd) && unlinkat(replacement->dir, replacement->temporary, 0) < 0)
        return em_fail_errno(error, replacement->target, "cannot be replaced: %s in its directory is in the way",
                             replacement->temporary);
    return EM_OK;
}

/* The directory is held open, and the file is made in it: a rename of a parent meanwhile does no harm. */
static int open_beside(struct replacement *replacement, const char *target, struct em_error *error)
{
    replacement->target = target;
    replacement->directory = em_path_dirname(replacement->arena, target);
    replacement->name = em_path_basename(target);
    replacement->temporary = temporary_name(replacement->arena, replacement->name);
    if (!replacement->directory || !replacement->temporary)
        return EM_NO_MEMORY;
    replacement->dir = em_open_at(AT_FDCWD, replacement->directory, O_RDONLY | O_DIRECTORY, 0, error);
    if (replacement->dir < 0)
        return replacement->dir;
    for (;;) {
        em_cleanup_fd int fd = openat(replacement->dir, replacement->temporary,
                                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        /* Between the two calls another run may take it for a dead one's, and remove it. */
        if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && has_name(replacement, fd))
            return em_steal_fd(&fd);
        if (fd >= 0 || errno == EINTR)
            continue;
        if (errno != EEXIST)
            return em_fail_errno(error, target, "cannot be replaced: no file can be made in its directory");
        r = clear_away(replacement, error);
        if (r < 0)
            return r;
    }
}

/* What we read must be what is still there, by itself and under its name: an edit by somebody else meanwhile is not ours to undo. */
static bool has_changed(const struct replacement *replacement, int in, const struct stat *st)
{
    struct stat now, named;

    return fstat(in, &now) < 0 || now.st_size != st->st_size || now.st_mtim.tv_sec != st->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != st->st_mtim.tv_nsec ||
           (replacement->is_input && (fstatat(replacement->dir, replacement->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
                                      named.st_dev != st->st_dev || named.st_ino != st->st_ino));
}

static int replace(const struct em_patch *patch, struct replacement *replacement, int in, const struct stat *st, bool sync,
                   struct em_error *error)
{
    em_cleanup_fd int out = open_beside(replacement, replacement->target, error);
    int r;

    if (out < 0)
        return out;
    r = em_patch_copy(patch, in, out, replacement->target, error);
    if (r == EM_OK)
        r = finish(in, out, st, sync, replacement->target, error);
    if (r == EM_OK && has_changed(replacement, in, st))
        r = em_fail(error, EM_CHANGED, replacement->target, "changed while it was edited; nothing was done");
    if (r == EM_OK && renameat(replacement->dir, replacement->temporary, replacement->dir, replacement->name) < 0)
        r = em_fail_errno(error, replacement->target, "cannot be replaced");
    if (r < 0)
        unlinkat(replacement->dir, replacement->temporary, 0);
    else if (sync)
        r = em_fsync(replacement->dir, replacement->directory, error);
    return r;
}

/* An output that is no regular file (a pipe, /dev/stdout) is written through. */
static int write_through(const struct em_patch *patch, struct em_reader *reader, const char *output, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, output, O_WRONLY, 0, error);
    em_cleanup_free uint8_t *buffer = malloc(PIECE);
    struct em_patched patched;

    if (fd < 0)
        return fd;
    if (!buffer)
        return EM_NO_MEMORY;
    em_patched_init(&patched, reader, patch);
    for (uint64_t at = 0; at < patch->new_size; at += PIECE) {
        size_t piece = patch->new_size - at < PIECE ? (size_t)(patch->new_size - at) : PIECE;
        int r = em_read_at(&patched.reader, buffer, piece, at, error);

        if (r == EM_OK)
            r = em_write_all(fd, buffer, piece, output, error);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* The file behind a link, by the name under which a new one must appear. */
static int resolve(struct em_arena *arena, const char *path, const char **target, struct em_error *error)
{
    em_cleanup_free char *real = realpath(path, NULL);

    if (!real)
        return em_fail_errno(error, path, "cannot be opened");
    *target = em_arena_strdup(arena, real);
    return *target ? EM_OK : EM_NO_MEMORY;
}

int em_patch_file(struct em_patch *patch, struct em_arena *arena, const char *path, const struct em_edit *edits, size_t count,
                  const struct em_patch_options *options, const struct em_patch_file_options *file_options,
                  struct em_error *error)
{
    struct replacement replacement = { .arena = arena, .dir = -1 };
    const char *output = file_options ? file_options->output : NULL;
    bool sync = file_options && file_options->fsync;
    const char *copied = NULL;
    em_cleanup_fd int in = -1;
    struct em_reader reader;
    struct stat st, there;
    int r;

    *patch = (struct em_patch){ 0 };
    if (file_options && file_options->in_place && !output) {
        r = em_patch_in_place(patch, arena, path, edits, count, options, sync, &copied, error);
        if (r != 0)
            return r < 0 ? r : EM_OK;
    }
    in = em_open_file_at(AT_FDCWD, path, 0, &st, error);
    if (in < 0)
        return in;
    reader = em_reader_fd(in, (uint64_t)st.st_size, path);
    r = em_patch_make(patch, arena, &reader, edits, count, options, error);
    if (r < 0 || (em_patch_is_empty(patch) && !output))
        return r;
    patch->copied = copied;
    if (output && stat(output, &there) == 0) {
        if (!S_ISREG(there.st_mode))
            return write_through(patch, &reader, output, error);
        if (em_patch_is_empty(patch) && there.st_dev == st.st_dev && there.st_ino == st.st_ino)
            return EM_OK;
        r = resolve(arena, output, &replacement.target, error);
    } else if (output) {
        replacement.target = output;
    } else {
        replacement.is_input = true;
        r = resolve(arena, path, &replacement.target, error);
    }
    if (r == EM_OK)
        r = replace(patch, &replacement, in, &st, sync, error);
    if (replacement.dir >= 0)
        close(replacement.dir);
    return r;
}
