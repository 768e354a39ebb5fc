#include "bundle/plan/exchange.h"

#include "bundle/plan/beneath.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Directories that change within this time after the exchange began were changed by it: only recovery asks, after a run that
 * died between its first rename and its last, which are milliseconds apart unless the disk is in trouble. */
#define WINDOW_SECONDS 60

struct names {
    char slot[16], aside[24]; /* aside: the halfway house of an exchange without RENAME_EXCHANGE */
};

/* One step at work: its directory, its names, what lies where. */
struct place {
    const struct em_exchange *exchange;
    const struct em_entry *entry;
    const char *label; /* the whole path, for messages */
    struct names names;
    int dir; /* of the path */
    const char *name;
    struct stat there, slot;
    bool is_there, in_slot;
};

static void close_place(struct place *place)
{
    em_closep(&place->dir);
}
#define em_cleanup_place __attribute__((cleanup(close_place)))

static int look(struct place *place, struct em_error *error)
{
    int r = em_beneath_examine(place->dir, place->name, place->label, &place->there, &place->is_there, error);

    if (r < 0)
        return r;
    return em_beneath_examine(place->exchange->slots, place->names.slot, place->label, &place->slot, &place->in_slot, error);
}

/* An exchange without RENAME_EXCHANGE that was cut off: see swap_by_links. */
static int settle_aside(struct place *place, struct em_error *error)
{
    const int slots = place->exchange->slots;
    struct stat aside;
    bool there;
    int r = em_beneath_examine(slots, place->names.aside, place->label, &aside, &there, error);

    if (r < 0 || !there)
        return r;
    r = look(place, error);
    if (r < 0)
        return r;
    if (place->in_slot)
        r = unlinkat(slots, place->names.aside, 0);
    else
        r = renameat(slots, place->names.aside, slots, place->names.slot);
    if (r < 0)
        return em_fail_errno(error, place->label, "cannot be brought out of an interrupted exchange");
    return EM_OK;
}

/* EM_NOT_FOUND: the directory of the path is not there. */
static int open_place(struct place *place, const struct em_exchange *exchange, const struct em_entry *entry,
                      struct em_error *error)
{
    int r;

    *place = (struct place){ .exchange = exchange, .entry = entry, .dir = -1 };
    place->label = em_store_label(exchange->store, entry->path);
    snprintf(place->names.slot, sizeof place->names.slot, "%u", entry->slot);
    snprintf(place->names.aside, sizeof place->names.aside, "%u.aside", entry->slot);
    r = em_beneath_parent(exchange->store->root, entry->path, &place->name, error);
    if (r < 0)
        return r;
    place->dir = r;
    r = settle_aside(place, error);
    return r < 0 ? r : look(place, error);
}

static bool is_new(const struct place *place, const struct stat *st)
{
    return st->st_ino == place->entry->file.inode;
}

static int changed(const struct place *place, struct em_error *error)
{
    return em_fail(
        error, EM_CHANGED, place->label,
        "was changed by somebody else while elfmend worked on it or after it was interrupted; 'elfmend undo --force' "
        "takes the rest back");
}

/* ---- two files that change places ---- */

/* At every moment the path has one of the two files. Cut off after the link: aside and the path are one file, the slot is as it
 * was. Cut off after the first rename: the slot is free and aside belongs there. */
static int swap_by_links(const struct place *place)
{
    const int slots = place->exchange->slots;

    if (linkat(place->dir, place->name, slots, place->names.aside, 0) < 0)
        return -1;
    if (renameat(slots, place->names.slot, place->dir, place->name) < 0) {
        int saved = errno;

        (void)unlinkat(slots, place->names.aside, 0);
        errno = saved;
        return -1;
    }
    return renameat(slots, place->names.aside, slots, place->names.slot);
}

static int swap(const struct place *place, struct em_error *error)
{
    int r = renameat2(place->exchange->slots, place->names.slot, place->dir, place->name, RENAME_EXCHANGE);
    const bool poor = r < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP);

    if (poor)
        r = swap_by_links(place);
    if (r < 0 && poor && (errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP))
        return em_fail(error, EM_REFUSED, place->label,
                       "is on a file system that can neither exchange two files nor give one a second name (%s), so that an "
                       "interrupted repair could not be taken back; repair a copy on another one",
                       strerror(errno));
    if (r < 0)
        return em_fail_errno(error, place->label, "cannot be exchanged");
    return EM_OK;
}

/* Moves a file to a name that must be free. A directory can't be linked: there the check and the rename are two calls, and what
 * could come in between is an empty directory of the same name, which ours takes the place of. */
static int move_to_free(int from, const char *from_name, int to, const char *to_name, bool directory)
{
    struct stat st;
    int r = renameat2(from, from_name, to, to_name, RENAME_NOREPLACE);

    if (r == 0 || (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
        return r;
    if (!directory)
        return linkat(from, from_name, to, to_name, 0) < 0 ? -1 : unlinkat(from, from_name, 0);
    if (fstatat(to, to_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? renameat(from, from_name, to, to_name) : -1;
}

static bool is_original(const struct place *place, const struct stat *st)
{
    return em_identity_unchanged(&place->entry->old, st);
}

/* What we took the place of must be what we looked at. Somebody may have put another file there since: theirs goes back. */
static int swap_for(struct place *place, bool (*is_wanted)(const struct place *, const struct stat *), struct em_error *error)
{
    int r = swap(place, error);

    if (r == EM_OK)
        r = look(place, error);
    if (r < 0 || (place->in_slot && is_wanted(place, &place->slot)))
        return r;
    r = swap(place, error);
    return r < 0 ? r : changed(place, error);
}

/* ---- one step forward ---- */

static int replace(struct place *place, struct em_error *error)
{
    if (place->is_there && is_new(place, &place->there))
        return EM_OK;
    if (!place->in_slot || !is_new(place, &place->slot) || !place->is_there)
        return changed(place, error);
    return swap_for(place, is_original, error);
}

static int create(struct place *place, struct em_error *error)
{
    const int slots = place->exchange->slots;

    if (place->is_there && is_new(place, &place->there)) {
        /* Both names, one file: a link-and-unlink that was cut off. */
        if (place->in_slot && is_new(place, &place->slot) && unlinkat(slots, place->names.slot, 0) < 0)
            return em_fail_errno(error, place->label, "keeps a second name");
        return EM_OK;
    }
    if (!place->in_slot || !is_new(place, &place->slot))
        return changed(place, error);
    if (move_to_free(slots, place->names.slot, place->dir, place->name, place->entry->kind == EM_ENTRY_MKDIR) == 0)
        return EM_OK;
    if (errno == EEXIST)
        return em_fail(error, EM_CHANGED, place->label, "is there now, and was not before");
    return em_fail_errno(error, place->label, "cannot be put in place");
}

static bool is_old(const struct place *place, const struct stat *st)
{
    return st->st_ino == place->entry->old.inode;
}

/* Forward is: the old file is in the slot and nothing is at the path. Both names, one file: a link-and-unlink that was cut off. */
static int unrestore(struct place *place, struct em_error *error)
{
    const bool both = place->in_slot && place->is_there && is_old(place, &place->slot) && is_old(place, &place->there);
    int r;

    if (place->in_slot && !both)
        return EM_OK;
    if (!place->is_there || !is_old(place, &place->there))
        return changed(place, error);
    r = both ? unlinkat(place->dir, place->name, 0)
             : move_to_free(place->dir, place->name, place->exchange->slots, place->names.slot, false);
    return r < 0 ? em_fail_errno(error, place->label, "cannot be moved") : EM_OK;
}

static int forward(const struct em_exchange *exchange, const struct em_entry *entry, struct em_error *error)
{
    em_cleanup_place struct place place;
    int r = open_place(&place, exchange, entry, error);

    if (r < 0)
        return r;
    switch (entry->kind) {
    case EM_ENTRY_REPLACE: return replace(&place, error);
    case EM_ENTRY_MKDIR:
    case EM_ENTRY_CREATE: return create(&place, error);
    case EM_ENTRY_RESTORE: return unrestore(&place, error);
    }
    return EM_OK;
}

/* ---- one step back ---- */

static int unreplace(struct place *place, struct em_error *error)
{
    if (!place->is_there || !is_new(place, &place->there))
        return place->in_slot && is_new(place, &place->slot) ? EM_OK : changed(place, error);
    if (!place->in_slot)
        return em_fail(error, EM_CHANGED, place->label, "has no original kept in %s", EM_STORE_NAME);
    return swap_for(place, is_new, error);
}

/* The file moves back into its slot instead of going at once, so that an undo that fails further on can be taken back itself. */
static int uncreate(struct place *place, struct em_error *error)
{
    const int slots = place->exchange->slots;

    if (place->is_there && is_new(place, &place->there)) {
        int r = place->in_slot ? unlinkat(place->dir, place->name, 0)
                               : move_to_free(place->dir, place->name, slots, place->names.slot, false);

        return r < 0 ? em_fail_errno(error, place->label, "cannot be taken away") : EM_OK;
    }
    if (place->in_slot || !place->is_there)
        return EM_OK;
    return changed(place, error);
}

static int is_empty(int dir, const char *name, bool *empty)
{
    em_cleanup_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!stream)
        return -1;
    (void)em_steal_fd(&fd); /* the stream has it now */
    *empty = true;
    errno = 0;
    while (*empty && (entry = readdir(stream)))
        *empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    int saved = *empty ? errno : 0;
    closedir(stream);
    errno = saved;
    return saved ? -1 : 0;
}

/* A directory that others have put something into is theirs as well: it stays. */
static int unmake(struct place *place, struct em_error *error)
{
    const int slots = place->exchange->slots;
    bool empty = false;

    if (!place->is_there || !is_new(place, &place->there))
        return EM_OK;
    if (is_empty(place->dir, place->name, &empty) < 0)
        return em_fail_errno(error, place->label, "cannot be read");
    if (!empty)
        return EM_OK;
    if (move_to_free(place->dir, place->name, slots, place->names.slot, true) < 0 ||
        is_empty(slots, place->names.slot, &empty) < 0)
        return em_fail_errno(error, place->label, "cannot be taken away");
    if (!empty && move_to_free(slots, place->names.slot, place->dir, place->name, true) < 0)
        return em_fail_errno(error, place->label, "cannot be put back");
    return EM_OK;
}

static int restore(struct place *place, struct em_error *error)
{
    const int slots = place->exchange->slots;

    if (place->is_there && is_old(place, &place->there)) {
        if (place->in_slot && is_old(place, &place->slot) && unlinkat(slots, place->names.slot, 0) < 0)
            return em_fail_errno(error, place->label, "keeps a second name");
        return EM_OK;
    }
    if (place->is_there || !place->in_slot)
        return changed(place, error);
    if (move_to_free(slots, place->names.slot, place->dir, place->name, false) < 0)
        return em_fail_errno(error, place->label, "cannot be put back");
    return EM_OK;
}

static int back(const struct em_exchange *exchange, const struct em_entry *entry, struct em_error *error)
{
    em_cleanup_place struct place place;
    int r = open_place(&place, exchange, entry, error);

    /* The directory is not there: not made yet, or gone again with all that was in it. Only a file that must come back needs it. */
    if (r == EM_NOT_FOUND && (entry->kind == EM_ENTRY_CREATE || entry->kind == EM_ENTRY_MKDIR))
        return EM_OK;
    if (r < 0)
        return r;
    switch (entry->kind) {
    case EM_ENTRY_REPLACE: return unreplace(&place, error);
    case EM_ENTRY_CREATE: return uncreate(&place, error);
    case EM_ENTRY_MKDIR: return unmake(&place, error);
    case EM_ENTRY_RESTORE: return restore(&place, error);
    }
    return EM_OK;
}

int em_exchange_standing(const struct em_exchange *exchange, const struct em_entry *entry, enum em_standing *standing,
                         struct stat *there, struct em_error *error)
{
    em_cleanup_place struct place place;
    int r = open_place(&place, exchange, entry, error);

    *there = place.there;
    *standing = EM_STANDING_MISSING;
    if (r == EM_NOT_FOUND)
        return EM_OK;
    if (r < 0)
        return r;
    if (entry->kind == EM_ENTRY_RESTORE && place.is_there && place.there.st_ino == entry->old.inode)
        *standing = EM_STANDING_NOT_DONE;
    else if (place.is_there && is_new(&place, &place.there))
        *standing = EM_STANDING_DONE;
    else if (place.in_slot && is_new(&place, &place.slot))
        *standing = EM_STANDING_NOT_DONE;
    else if (place.is_there)
        *standing = EM_STANDING_LOST;
    return EM_OK;
}

/* ---- directories: their times, and making all of it durable ---- */

static int set_time(int fd, struct timespec time, const char *label, struct em_error *error)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, time };
    struct stat st;

    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    /* Where nothing could be moved (chattr +a), no time can be set, and there is none to set. */
    if (em_same_time(st.st_mtim, time) || futimens(fd, times) == 0)
        return EM_OK;
    /* Who may write to a directory without owning it can't set its times: then they are lost, and nothing else. */
    if (errno == EPERM && st.st_uid != geteuid())
        return EM_OK;
    return em_fail_errno(error, label, "cannot be given its time");
}

/* The journal's own time says when the moving began; the epoch: it is not going on. */
static int mark_moving(const struct em_exchange *exchange, bool moving, struct em_error *error)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = moving ? UTIME_NOW : 0 } };

    if (utimensat(exchange->slots, EM_JOURNAL_NAME, times, 0) < 0)
        return em_fail_errno(error, EM_JOURNAL_NAME, "cannot be given its time");
    return EM_OK;
}

/* Whether the time that the directory has now is from us and not from somebody who changed it since. */
static bool time_is_ours(const struct em_exchange *exchange, const struct em_journal_directory *directory,
                         const struct stat *st, struct timespec began)
{
    const struct timespec now = st->st_mtim;

    if (em_same_time(now, directory->mtime) || em_same_time(now, exchange->journal->stamp))
        return true;
    if (began.tv_sec == 0)
        return false;
    return now.tv_sec > began.tv_sec ? now.tv_sec - began.tv_sec <= WINDOW_SECONDS
                                     : now.tv_sec == began.tv_sec && now.tv_nsec >= began.tv_nsec;
}

/* Syncs the directories that the steps are in, having given them the time wanted. ours: which of them may have it; NULL: all. */
static int finish_directories(const struct em_exchange *exchange, bool is_back, const bool *ours, struct em_error *error)
{
    const struct em_journal *journal = exchange->journal;
    int r;

    for (size_t i = 0; i < journal->directories.count; i++) {
        const struct em_journal_directory *directory = &journal->directories.items[i];
        const char *label = em_store_label(exchange->store, directory->path);
        em_cleanup_fd int fd = em_beneath_directory(exchange->store->root, directory->path, error);

        if (fd == EM_NOT_FOUND && is_back)
            continue;
        if (fd < 0)
            return fd;
        if (!ours || ours[i]) {
            r = set_time(fd, is_back ? directory->mtime : journal->stamp, label, error);
            if (r < 0)
                return r;
        }
        r = em_fsync(fd, label, error);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < journal->entries.count; i++) {
        const struct em_entry *entry = &journal->entries.items[i];
        em_cleanup_fd int fd = -1;

        if (entry->kind != EM_ENTRY_MKDIR)
            continue;
        fd = em_beneath_directory(exchange->store->root, entry->path, error);
        if (fd == EM_NOT_FOUND && is_back)
            continue;
        if (fd < 0)
            return fd;
        r = is_back ? EM_OK : set_time(fd, journal->stamp, em_store_label(exchange->store, entry->path), error);
        if (r == EM_OK)
            r = em_fsync(fd, em_store_label(exchange->store, entry->path), error);
        if (r < 0)
            return r;
    }
    return em_fsync(exchange->slots, em_store_label(exchange->store, EM_STORE_NAME), error);
}

int em_exchange_forward(const struct em_exchange *exchange, struct em_error *error)
{
    const struct em_journal *journal = exchange->journal;
    int r;

    for (size_t i = 0; i < journal->entries.count; i++) {
        const struct em_arena_mark mark = em_arena_mark(exchange->store->arena);

        r = forward(exchange, &journal->entries.items[i], error);
        em_arena_rewind(exchange->store->arena, mark);
        if (r < 0)
            return r == EM_NOT_FOUND ? EM_CHANGED : r;
    }
    r = finish_directories(exchange, false, NULL, error);
    return r < 0 ? r : mark_moving(exchange, false, error);
}

/* Which directories have a time from us, asked before anything moves. Those that a run that died has left with some time get the
 * stamp: whatever becomes of this run, the next will know them. */
static int find_ours(const struct em_exchange *exchange, bool *ours, struct em_error *error)
{
    const struct em_journal *journal = exchange->journal;
    struct stat st;
    int r;

    if (fstatat(exchange->slots, EM_JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return em_fail_errno(error, EM_JOURNAL_NAME, "cannot be examined");
    for (size_t i = 0; i < journal->directories.count; i++) {
        const struct em_journal_directory *directory = &journal->directories.items[i];
        em_cleanup_fd int fd = em_beneath_directory(exchange->store->root, directory->path, error);
        struct stat now;

        if (fd == EM_NOT_FOUND)
            continue;
        if (fd < 0)
            return fd;
        if (fstat(fd, &now) < 0)
            return em_fail_errno(error, directory->path, "cannot be examined");
        ours[i] = now.st_ino == directory->inode && time_is_ours(exchange, directory, &now, st.st_mtim);
        if (ours[i] && !em_same_time(now.st_mtim, directory->mtime) && !em_same_time(now.st_mtim, exchange->journal->stamp)) {
            r = set_time(fd, exchange->journal->stamp, directory->path, error);
            if (r < 0)
                return r;
        }
    }
    return EM_OK;
}

int em_exchange_back(const struct em_exchange *exchange, struct em_error *error)
{
    const struct em_journal *journal = exchange->journal;
    bool *ours = em_arena_array(exchange->store->arena, journal->directories.count + 1, sizeof *ours);
    int r;

    if (!ours)
        return EM_NO_MEMORY;
    r = find_ours(exchange, ours, error);
    if (r < 0)
        return r;
    r = mark_moving(exchange, true, error);
    for (size_t i = journal->entries.count; r == EM_OK && i-- > 0;) {
        const struct em_arena_mark mark = em_arena_mark(exchange->store->arena);

        r = back(exchange, &journal->entries.items[i], error);
        em_arena_rewind(exchange->store->arena, mark);
    }
    if (r < 0)
        return r == EM_NOT_FOUND ? EM_CHANGED : r;
    return finish_directories(exchange, true, ours, error);
}
