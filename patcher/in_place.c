#include "patcher/in_place.h"

#include <signal.h>
#include <string.h>
#include <sys/xattr.h>

#define PAGE ((uint64_t)4096) /* the smallest of any machine: a larger one holds it whole */

static bool is_of(const struct em_patch_range *range, enum em_turn turn)
{
    return range->turn == turn;
}

/* From the first byte of a turn to its last; empty if it has none. */
static void span_of(const struct em_patch *patch, enum em_turn turn, uint64_t *start, uint64_t *end)
{
    *start = *end = 0;
    em_vec_each (const struct em_patch_range, range, &patch->ranges) {
        if (!is_of(range, turn))
            continue;
        if (*end == 0)
            *start = range->offset;
        *end = range->offset + range->bytes.size;
    }
}

static bool is_one_write(const struct em_patch *patch, enum em_turn turn)
{
    uint64_t start, end;

    span_of(patch, turn, &start, &end);
    return end == 0 || (start / PAGE == (end - 1) / PAGE && end <= patch->old_size);
}

bool em_patch_is_one_write(const struct em_patch *patch)
{
    return patch->ranges.count == 1 && patch->new_size == patch->old_size && is_one_write(patch, patch->ranges.items[0].turn);
}

bool em_layout_keeps_order(const struct em_layout *layout, const struct em_patch *patch)
{
    const struct em_goal *goal = layout->goal;
    const struct em_image *image = layout->image;

    em_vec_each (const struct em_piece, piece, &layout->pieces)
        if (piece->moved)
            return false;
    if (goal->changes.count > 0 || goal->refs.count > 0 || goal->interpreter || layout->blanks.count > 0 ||
        layout->has_new_load || layout->phoff != image->phoff || layout->phnum != image->phnum || layout->shoff != image->shoff)
        return false;
    return is_one_write(patch, EM_TURN_HEADERS) && is_one_write(patch, EM_TURN_DYNAMIC);
}

/* The ranges of a turn and what lies between them, as one write. */
static int write_at_once(const struct em_patch *patch, enum em_turn turn, int fd, const char *path, struct em_error *error)
{
    uint8_t bytes[PAGE];
    struct em_reader reader = em_reader_fd(fd, patch->old_size, path);
    uint64_t start, end;
    int r;

    span_of(patch, turn, &start, &end);
    if (end == 0)
        return EM_OK;
    r = em_read_at(&reader, bytes, (size_t)(end - start), start, error);
    if (r < 0)
        return r;
    em_vec_each (const struct em_patch_range, range, &patch->ranges)
        if (is_of(range, turn))
            memcpy(bytes + (range->offset - start), range->bytes.data, range->bytes.size);
    return em_pwrite_all(fd, bytes, (size_t)(end - start), start, path, error);
}

static int write_each(const struct em_patch *patch, enum em_turn turn, int fd, const char *path, struct em_error *error)
{
    em_vec_each (const struct em_patch_range, range, &patch->ranges) {
        int r = is_of(range, turn) ? em_pwrite_all(fd, range->bytes.data, range->bytes.size, range->offset, path, error)
                                   : EM_OK;

        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int write_turns(const struct em_patch *patch, int fd, const char *path, bool sync, struct em_error *error)
{
    for (enum em_turn turn = EM_TURN_SPACE; turn < EM_TURNS; turn++) {
        bool at_once = turn == EM_TURN_HEADERS || turn == EM_TURN_DYNAMIC;
        int r = at_once ? write_at_once(patch, turn, fd, path, error) : write_each(patch, turn, fd, path, error);

        if (r == EM_OK && sync)
            r = em_fsync(fd, path, error);
        /* A full disk shows itself in the first turn: nothing refers to what it wrote. */
        if (r < 0 && turn == EM_TURN_SPACE && ftruncate(fd, (off_t)patch->old_size) < 0)
            return r;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* Why the file is not ours alone; NULL if it is, and then nobody can open it until fd is closed. A write lease is given only to the
 * one who has the only open file (fcntl(2), "Leases"); a mapping and a running program count as open. */
static const char *claim(int fd, const struct stat *st)
{
    if (st->st_nlink > 1)
        return "it has another name (a hard link)";
    if (st->st_uid != geteuid())
        return "it belongs to another user";
    if ((st->st_mode & (S_ISUID | S_ISGID)) || fgetxattr(fd, "security.capability", NULL, 0) >= 0)
        return "it has rights that the kernel takes away from a file that is written";
    /* Who opens it meanwhile waits; the signal that tells us is to be one that does nothing. */
    if (fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
        return NULL;
    return errno == EAGAIN ? "another process has it open or mapped"
                           : "its file system cannot tell whether another process has it open";
}

int em_patch_in_place(struct em_patch *patch, struct em_arena *arena, const char *path, const struct em_edit *edits,
                      size_t count, const struct em_patch_options *options, bool sync, const char **reason,
                      struct em_error *error)
{
    struct em_patch_options how = options ? *options : (struct em_patch_options){ 0 };
    em_cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct em_reader reader;
    struct stat st;
    int r;

    if (fd < 0) {
        *reason = errno == ETXTBSY ? "it is a program that runs" : "it cannot be opened for writing";
        return 0;
    }
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, path, "cannot be examined");
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_UNSUPPORTED, path, "is not a regular file");
    *reason = claim(fd, &st);
    if (*reason)
        return 0;
    how.in_place = true;
    reader = em_reader_fd(fd, (uint64_t)st.st_size, path);
    r = em_patch_make(patch, arena, &reader, edits, count, &how, NULL);
    if (r < 0) {
        /* A reason against the edit itself is found again, and told, when it is copied. */
        *reason = "a part that is in use would move or change";
        return 0;
    }
    if (!em_patch_is_empty(patch))
        r = write_turns(patch, fd, path, sync, error);
    return r < 0 ? r : 1;
}
