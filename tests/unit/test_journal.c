/* A journal says the same after a trip through its text, and nothing that is not whole and ours is taken for one. */
#include "tests/unit/snapshot.h"

#include "tests/unit/arena.h"

#include "bundle/plan/journal.h"

static struct em_journal sample(void)
{
    const struct em_identity old = { .inode = UINT64_MAX, .size = 547000000000, .mtime = { -1, 999999999 } };
    const struct em_identity new = { .inode = 7, .size = 0, .mtime = { 1760000000, 1 } };
    const struct em_entry entries[] = {
        { .kind = EM_ENTRY_MKDIR, .slot = 0, .path = "a", .file.inode = 3 },
        { .kind = EM_ENTRY_CREATE, .slot = 1, .path = "a/with space\nand \\n line", .file = new, .sha256.bytes = { 1 } },
        { .kind = EM_ENTRY_REPLACE, .slot = 22, .path = "\xff\xfe/not utf-8", .file = new, .old = old, .xxh3.bytes = { 2 } },
        { .kind = EM_ENTRY_RESTORE, .slot = 3, .path = "end 4 ", .old = old },
    };
    struct em_journal journal = { .arena = arena, .note = "two\nlines\\", .stamp = { 5, 6 } };

    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        assert_int_equal(em_vec_push(arena, &journal.entries, entries[i]), 0);
    assert_int_equal(
        em_vec_push(arena, &journal.directories, ((struct em_journal_directory){ .path = ".", .inode = 2, .mtime = { 9, 8 } })),
        0);
    return journal;
}

static char *text_of(const struct em_journal *journal)
{
    struct em_text text = { 0 };
    char *copy;

    assert_int_equal(em_journal_to_text(journal, &text), 0);
    copy = em_arena_strdup(arena, text.data);
    em_text_free(&text);
    return copy;
}

static int read_text(const char *text, size_t size, struct em_journal *journal)
{
    return em_journal_from_text(journal, arena, (struct em_bytes){ (const uint8_t *)text, size }, "journal", NULL);
}

/* The text with a checksum that fits, whatever it says: what only the reader's own strictness can stop. */
static char *signed_text(const char *body)
{
    const struct em_bytes bytes = { (const uint8_t *)body, strlen(body) };
    struct em_reader reader = em_reader_memory(&bytes, NULL);
    char hex[EM_XXH3_HEX_SIZE];
    struct em_xxh3 digest;

    assert_int_equal(em_hash_reader(&reader, NULL, &digest, NULL), 0);
    em_xxh3_hex(&digest, hex);
    return em_arena_printf(arena, "%s%s\n", body, hex);
}

static void text_keeps_everything(void **state)
{
    const struct em_journal journal = sample();
    const char *text = text_of(&journal);
    struct em_journal again;

    (void)state;
    assert_int_equal(read_text(text, strlen(text), &again), 0);
    assert_string_equal(text_of(&again), text);
    assert_string_equal(again.note, journal.note);
    assert_string_equal(again.entries.items[1].path, journal.entries.items[1].path);
    assert_true(again.entries.items[2].old.inode == UINT64_MAX);
    assert_true(em_same_time(again.entries.items[2].old.mtime, journal.entries.items[2].old.mtime));
}

static void what_is_not_whole_is_none(void **state)
{
    const struct em_journal journal = sample();
    char *text = text_of(&journal);
    const size_t size = strlen(text);
    struct em_journal again;

    (void)state;
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(read_text(text, cut, &again), EM_BAD_JSON);
    for (size_t at = 0; at < size; at++) {
        text[at] ^= 0x11;
        assert_int_equal(read_text(text, size, &again), EM_BAD_JSON);
        text[at] ^= 0x11;
    }
}

static void what_we_never_write_is_refused(void **state)
{
    static const char head[] = "elfmend-journal 1\nstamp 1.000000002\nnote x\n";
    static const char *const lines[] = {
        "mkdir 0 1 ../a\nend 1 ",
        "mkdir 0 1 /a\nend 1 ",
        "mkdir 0 1 \nend 1 ",
        "mkdir 0 1 a\\x\nend 1 ",
        "mkdir -1 1 a\nend 1 ",
        "mkdir 99999999999 1 a\nend 1 ",
        "mkdir 0 99999999999999999999 a\nend 1 ",
        "mkdir 0 1 a\nend 2 ",
        "mkdir 0 1 a\n",
        "remove 0 1 a\nend 1 ",
        "restore 0 1 2 3.4000000000 a\nend 1 ",
        "create 0 1 2 3.4 00 11 a\nend 1 ",
        "directory 1 2.3 ../..\nend 0 ",
        "end 0 \n",
        "mkdir 0 1 a\nmkdir 1 1 a\nend 2 ",
    };
    struct em_journal journal;

    (void)state;
    const char *fine = signed_text(em_arena_printf(arena, "%smkdir 0 1 a\nend 1 ", head));

    assert_int_equal(read_text(fine, strlen(fine), &journal), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *text = signed_text(em_arena_printf(arena, "%s%s", head, lines[i]));

        if (read_text(text, strlen(text), &journal) != EM_BAD_JSON)
            fail_msg("taken: %s", lines[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_arena, free_arena)
    const struct CMUnitTest tests[] = {
        TEST(text_keeps_everything),
        TEST(what_is_not_whole_is_none),
        TEST(what_we_never_write_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
