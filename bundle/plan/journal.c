#include "bundle/plan/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "elfmend-journal "
#define HEADER FORMAT "1\n"
#define TEMPORARY EM_JOURNAL_NAME ".tmp"

struct em_identity em_identity_of(const struct stat *st)
{
    return (struct em_identity){ .inode = st->st_ino, .size = (uint64_t)st->st_size, .mtime = st->st_mtim };
}

bool em_identity_unchanged(const struct em_identity *identity, const struct stat *st)
{
    return identity->size == (uint64_t)st->st_size && em_same_time(identity->mtime, st->st_mtim);
}

/* ---- writing ---- */

static void add_escaped(struct em_text *text, const char *string)
{
    for (; *string; string++) {
        if (*string == '\\')
            em_text_add(text, "\\\\");
        else if (*string == '\n')
            em_text_add(text, "\\n");
        else
            em_text_add_bytes(text, string, 1);
    }
    em_text_add(text, "\n");
}

static void add_time(struct em_text *text, struct timespec time)
{
    em_text_printf(text, " %" PRId64 ".%09ld", (int64_t)time.tv_sec, time.tv_nsec);
}

static void add_identity(struct em_text *text, const struct em_identity *identity)
{
    em_text_printf(text, " %" PRIu64 " %" PRIu64, identity->inode, identity->size);
    add_time(text, identity->mtime);
}

static void add_digests(struct em_text *text, const struct em_entry *entry)
{
    char xxh3[EM_XXH3_HEX_SIZE], sha256[EM_SHA256_HEX_SIZE];

    em_xxh3_hex(&entry->xxh3, xxh3);
    em_sha256_hex(&entry->sha256, sha256);
    em_text_printf(text, " %s %s", xxh3, sha256);
}

static void add_entry(struct em_text *text, const struct em_entry *entry)
{
    switch (entry->kind) {
    case EM_ENTRY_MKDIR: em_text_printf(text, "mkdir %u %" PRIu64, entry->slot, entry->file.inode); break;
    case EM_ENTRY_CREATE:
        em_text_printf(text, "create %u", entry->slot);
        add_identity(text, &entry->file);
        add_digests(text, entry);
        break;
    case EM_ENTRY_REPLACE:
        em_text_printf(text, "replace %u", entry->slot);
        add_identity(text, &entry->old);
        add_identity(text, &entry->file);
        add_digests(text, entry);
        break;
    case EM_ENTRY_RESTORE:
        em_text_printf(text, "restore %u", entry->slot);
        add_identity(text, &entry->old);
        break;
    }
    em_text_add(text, " ");
    add_escaped(text, entry->path);
}

static int checksum(const char *data, size_t size, struct em_xxh3 *digest)
{
    const struct em_bytes bytes = { (const uint8_t *)data, size };
    struct em_reader reader = em_reader_memory(&bytes, NULL);

    return em_hash_reader(&reader, NULL, digest, NULL);
}

int em_journal_to_text(const struct em_journal *journal, struct em_text *text)
{
    char hex[EM_XXH3_HEX_SIZE];
    struct em_xxh3 digest;
    int r;

    em_text_add(text, HEADER "stamp");
    add_time(text, journal->stamp);
    em_text_add(text, "\nnote ");
    add_escaped(text, journal->note ? journal->note : "");
    for (size_t i = 0; i < journal->directories.count; i++) {
        const struct em_journal_directory *directory = &journal->directories.items[i];

        em_text_printf(text, "directory %" PRIu64, directory->inode);
        add_time(text, directory->mtime);
        em_text_add(text, " ");
        add_escaped(text, directory->path);
    }
    for (size_t i = 0; i < journal->entries.count; i++)
        add_entry(text, &journal->entries.items[i]);
    em_text_printf(text, "end %zu ", journal->entries.count);
    if (text->failed)
        return EM_NO_MEMORY;
    r = checksum(text->data, text->size, &digest);
    if (r < 0)
        return r;
    em_xxh3_hex(&digest, hex);
    em_text_printf(text, "%s\n", hex);
    return text->failed ? EM_NO_MEMORY : EM_OK;
}

/* The name appears by a rename after the bytes are on the disk, and the directory is synced after it: whoever finds a journal
 * finds all of it, and every slot that it names. */
int em_journal_write(const struct em_journal *journal, int dir, struct em_error *error)
{
    em_cleanup_text struct em_text text = { 0 };
    em_cleanup_fd int fd = -1;
    int r;

    r = em_journal_to_text(journal, &text);
    if (r < 0)
        return r;
    fd = em_open_at(dir, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, error);
    if (fd < 0)
        return fd;
    r = em_write_all(fd, text.data, text.size, "the journal", error);
    if (r < 0)
        return r;
    r = em_fsync(fd, "the journal", error);
    if (r < 0)
        return r;
    r = em_fsync(dir, "the transaction's directory", error);
    if (r < 0)
        return r;
    if (renameat(dir, TEMPORARY, dir, EM_JOURNAL_NAME) < 0)
        return em_fail_errno(error, EM_JOURNAL_NAME, "cannot be put in place");
    return em_fsync(dir, "the transaction's directory", error);
}

/* ---- reading: strictly what is written above ---- */

struct cursor {
    char *at; /* NUL-terminated, the journal's own: what is taken stays where it is */
};

static bool take(struct cursor *cursor, const char *word)
{
    size_t size = strlen(word);

    if (strncmp(cursor->at, word, size) != 0)
        return false;
    cursor->at += size;
    return true;
}

static bool take_number(struct cursor *cursor, uint64_t *value)
{
    uint64_t number = 0;
    char *at = cursor->at;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return false;
    }
    if (at == cursor->at)
        return false;
    cursor->at = at;
    *value = number;
    return true;
}

static bool take_time(struct cursor *cursor, struct timespec *time)
{
    bool negative = take(cursor, "-");
    uint64_t seconds, nanoseconds;

    if (!take_number(cursor, &seconds) || seconds > INT64_MAX || !take(cursor, ".") || !take_number(cursor, &nanoseconds) ||
        nanoseconds > 999999999)
        return false;
    time->tv_sec = negative ? -(time_t)seconds : (time_t)seconds;
    time->tv_nsec = (long)nanoseconds;
    return true;
}

static bool take_identity(struct cursor *cursor, struct em_identity *identity)
{
    return take_number(cursor, &identity->inode) && take(cursor, " ") && take_number(cursor, &identity->size) &&
           take(cursor, " ") && take_time(cursor, &identity->mtime) && take(cursor, " ");
}

static bool take_word(struct cursor *cursor, char *word, size_t size)
{
    if (strnlen(cursor->at, size) < size)
        return false;
    memcpy(word, cursor->at, size);
    word[size] = '\0';
    cursor->at += size;
    return take(cursor, " ");
}

static bool take_digests(struct cursor *cursor, struct em_entry *entry)
{
    char xxh3[EM_XXH3_HEX_SIZE], sha256[EM_SHA256_HEX_SIZE];

    return take_word(cursor, xxh3, EM_XXH3_HEX_SIZE - 1) && em_xxh3_from_hex(xxh3, &entry->xxh3) &&
           take_word(cursor, sha256, EM_SHA256_HEX_SIZE - 1) && em_sha256_from_hex(sha256, &entry->sha256);
}

/* The rest of the line, unescaped, which makes no string longer. NULL: an escape that we never write. */
static const char *take_rest(struct cursor *cursor)
{
    char *start = cursor->at, *out = start;
    size_t size = strcspn(start, "\n");

    if (start[size] != '\n')
        return NULL;
    for (size_t i = 0; i < size; i++) {
        char c = start[i];

        if (c == '\\') {
            c = start[++i];
            if (c == 'n')
                c = '\n';
            else if (c != '\\')
                return NULL;
        }
        *out++ = c;
    }
    *out = '\0';
    cursor->at = start + size + 1;
    return start;
}

static bool take_slot(struct cursor *cursor, unsigned *slot)
{
    uint64_t number;

    if (!take_number(cursor, &number) || number > EM_MAX_JOURNAL_ENTRIES || !take(cursor, " "))
        return false;
    *slot = (unsigned)number;
    return true;
}

static bool take_fields(struct cursor *cursor, struct em_entry *entry)
{
    if (!take_slot(cursor, &entry->slot))
        return false;
    switch (entry->kind) {
    case EM_ENTRY_MKDIR: return take_number(cursor, &entry->file.inode) && take(cursor, " ");
    case EM_ENTRY_CREATE: return take_identity(cursor, &entry->file) && take_digests(cursor, entry);
    case EM_ENTRY_REPLACE:
        return take_identity(cursor, &entry->old) && take_identity(cursor, &entry->file) && take_digests(cursor, entry);
    case EM_ENTRY_RESTORE: return take_identity(cursor, &entry->old);
    }
    return false;
}

/* One step. 0 and *more false if the line is of another kind. No path is changed twice by one transaction: who looks at each in turn
 * would look at a file as often as somebody likes to write its name. */
static int take_entry(struct cursor *cursor, struct em_journal *journal, struct em_map *paths, bool *more)
{
    static const char *const words[] = {
        [EM_ENTRY_MKDIR] = "mkdir ",
        [EM_ENTRY_CREATE] = "create ",
        [EM_ENTRY_REPLACE] = "replace ",
        [EM_ENTRY_RESTORE] = "restore ",
    };
    struct em_entry entry = { 0 };
    size_t kind = 0;

    while (kind < sizeof words / sizeof *words && !take(cursor, words[kind]))
        kind++;
    *more = kind < sizeof words / sizeof *words;
    if (!*more)
        return EM_OK;
    entry.kind = (enum em_entry_kind)kind;
    if (!take_fields(cursor, &entry))
        return EM_BAD_JSON;
    entry.path = take_rest(cursor);
    if (!entry.path || !em_path_is_contained(entry.path) || em_map_get(paths, entry.path) ||
        journal->entries.count >= EM_MAX_JOURNAL_ENTRIES)
        return EM_BAD_JSON;
    return em_map_put(paths, entry.path, journal) < 0 ? EM_NO_MEMORY : em_vec_push(journal->arena, &journal->entries, entry);
}

static int take_directory(struct cursor *cursor, struct em_journal *journal, bool *more)
{
    struct em_journal_directory directory = { 0 };

    *more = take(cursor, "directory ");
    if (!*more)
        return EM_OK;
    if (!take_number(cursor, &directory.inode) || !take(cursor, " ") || !take_time(cursor, &directory.mtime) ||
        !take(cursor, " "))
        return EM_BAD_JSON;
    directory.path = take_rest(cursor);
    if (!directory.path || (strcmp(directory.path, ".") != 0 && !em_path_is_contained(directory.path)) ||
        journal->directories.count >= EM_MAX_JOURNAL_ENTRIES)
        return EM_BAD_JSON;
    return em_vec_push(journal->arena, &journal->directories, directory);
}

static int take_all(struct cursor *cursor, struct em_journal *journal)
{
    struct em_map paths = { .arena = journal->arena };
    uint64_t count;
    bool more = true;
    int r = EM_OK;

    if (!take(cursor, HEADER "stamp ") || !take_time(cursor, &journal->stamp) || !take(cursor, "\nnote "))
        return EM_BAD_JSON;
    journal->note = take_rest(cursor);
    if (!journal->note)
        return EM_BAD_JSON;
    while (more && r == EM_OK)
        r = take_directory(cursor, journal, &more);
    more = true;
    while (more && r == EM_OK)
        r = take_entry(cursor, journal, &paths, &more);
    if (r < 0)
        return r;
    if (!take(cursor, "end ") || !take_number(cursor, &count) || count != journal->entries.count || !take(cursor, " ") ||
        strlen(cursor->at) != EM_XXH3_HEX_SIZE)
        return EM_BAD_JSON;
    return EM_OK;
}

int em_journal_from_text(struct em_journal *journal, struct em_arena *arena, struct em_bytes bytes, const char *label,
                         struct em_error *error)
{
    const size_t tail = EM_XXH3_HEX_SIZE; /* the digits and the line feed */
    const char *start = (const char *)bytes.data;
    char hex[EM_XXH3_HEX_SIZE];
    struct em_xxh3 said, digest;
    struct cursor cursor;
    int r;

    *journal = (struct em_journal){ .arena = arena };
    if (bytes.size < tail || start[bytes.size - 1] != '\n' || memchr(start, '\0', bytes.size))
        return em_fail(error, EM_BAD_JSON, label, "is not a whole journal");
    memcpy(hex, start + bytes.size - tail, tail - 1);
    hex[tail - 1] = '\0';
    r = checksum(start, bytes.size - tail, &digest);
    if (r < 0)
        return r;
    if (!em_xxh3_from_hex(hex, &said) || !em_xxh3_equal(&said, &digest))
        return em_fail(error, EM_BAD_JSON, label, "is damaged: its checksum does not fit");
    cursor.at = em_arena_strndup(arena, start, bytes.size);
    if (!cursor.at)
        return EM_NO_MEMORY;
    r = take_all(&cursor, journal);
    if (r == EM_BAD_JSON)
        return em_fail(error, r, label, "is not a journal of this version of elfmend");
    return r;
}

static bool is_of_another_version(struct em_bytes bytes)
{
    const size_t size = strlen(FORMAT);

    return bytes.size > strlen(HEADER) && memcmp(bytes.data, FORMAT, size) == 0 &&
           memcmp(bytes.data, HEADER, strlen(HEADER)) != 0;
}

int em_journal_read(struct em_journal *journal, struct em_arena *arena, int dir, struct em_error *error)
{
    struct em_bytes bytes;
    struct stat st;
    int r;

    /* The kernel's word for a missing journal decides over taking everything back or throwing everything away, so nothing but
     * ENOENT may be read as that. */
    if (fstatat(dir, EM_JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return EM_NOT_FOUND;
        em_fail_errno(error, EM_JOURNAL_NAME, "cannot be examined");
        return EM_IO;
    }
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_BAD_JSON, EM_JOURNAL_NAME, "is not a regular file");
    r = em_read_file_at(dir, EM_JOURNAL_NAME, EM_MAX_JOURNAL, arena, &bytes, error);
    if (r == EM_NOT_FOUND)
        return em_fail(error, EM_CHANGED, EM_JOURNAL_NAME, "went away while it was read");
    if (r < 0)
        return r;
    r = em_journal_from_text(journal, arena, bytes, EM_JOURNAL_NAME, error);
    if (r == EM_BAD_JSON && is_of_another_version(bytes))
        r = em_fail(error, EM_UNSUPPORTED, ".elfmend/" EM_JOURNAL_NAME,
                    "was written by another version of elfmend, which alone can take back what it did");
    em_arena_release(arena, (void *)(uintptr_t)bytes.data, bytes.size + 1);
    if (r == EM_BAD_JSON && error)
        em_fail(error, r, ".elfmend/" EM_JOURNAL_NAME,
                "is damaged, so what was begun cannot be taken back by itself: the original files lie beside it under numbers; "
                "put back what you need, then move .elfmend away");
    return r;
}
