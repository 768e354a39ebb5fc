/* journal.h: what a transaction does, written down before it does it.
 *
 * A journal is text, one line a step, so that a person can read it in an emergency. It is written once, under another name,
 * synced and renamed; the last line has the XXH3 of all before it, so a journal is whole or it is none.
 *
 *     elfmend-journal 1
 *     stamp 1760000000.000000001                the times that touched directories get: by it undo knows them again
 *     note fix /home/me/.venv
 *     directory INODE MTIME PATH                existed before; one that holds a step's path
 *     mkdir SLOT INODE PATH
 *     create SLOT INODE SIZE MTIME XXH3 SHA256 PATH
 *     replace SLOT OLD-INODE OLD-SIZE OLD-MTIME INODE SIZE MTIME XXH3 SHA256 PATH
 *     restore SLOT OLD-INODE OLD-SIZE OLD-MTIME PATH      nothing is at PATH: we took it away, or undo --force found it gone
 *     end STEPS XXH3
 *
 * No two steps have one path. In notes and paths a backslash is "\\" and a line feed "\n". Inode numbers are compared, device
 * numbers are not kept: they change from mount to mount, and staging has seen to it that all lies on one file system.
 *
 *     em_journal_write(&journal, dir, error)          dir/journal, durable when this returns 0
 *     em_journal_read(&journal, arena, dir, error)    EM_NOT_FOUND: there is none; EM_BAD_JSON: not what we wrote;
 *                                                    EM_UNSUPPORTED: what another version wrote
 */
#ifndef EM_BUNDLE_PLAN_JOURNAL_H
#define EM_BUNDLE_PLAN_JOURNAL_H

#include "base/base.h"

#include <time.h>

#define EM_JOURNAL_NAME "journal"

/* Everything by which we know a file again. */
struct em_identity {
    uint64_t inode, size;
    struct timespec mtime;
};

enum em_entry_kind {
    EM_ENTRY_MKDIR,
    EM_ENTRY_CREATE,
    EM_ENTRY_REPLACE,
    EM_ENTRY_RESTORE,
};

struct em_entry {
    enum em_entry_kind kind;
    unsigned slot;           /* its name in the transaction's directory, a decimal number */
    const char *path;        /* relative to the root, contained */
    struct em_identity old;  /* REPLACE, RESTORE: the file that undo brings back */
    struct em_identity file; /* what we put there; MKDIR: inode only */
    struct em_xxh3 xxh3;
    struct em_sha256 sha256;
};

struct em_journal_directory {
    const char *path; /* "." for the root */
    uint64_t inode;
    struct timespec mtime; /* before the transaction */
};

struct em_journal {
    struct em_arena *arena;
    const char *note;
    struct timespec stamp;
    struct {
        EM_VEC(struct em_journal_directory);
    } directories;
    struct {
        EM_VEC(struct em_entry);
    } entries;
};

int em_journal_to_text(const struct em_journal *journal, struct em_text *text);
int em_journal_from_text(struct em_journal *journal, struct em_arena *arena, struct em_bytes bytes, const char *label,
                         struct em_error *error);

int em_journal_write(const struct em_journal *journal, int dir, struct em_error *error);
int em_journal_read(struct em_journal *journal, struct em_arena *arena, int dir, struct em_error *error);

struct em_identity em_identity_of(const struct stat *st);
/* Size and time of change: what any writer would have changed. */
bool em_identity_unchanged(const struct em_identity *identity, const struct stat *st);
static inline bool em_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

#endif
