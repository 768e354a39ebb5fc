/* Path lists, entry by entry, as the loader takes them. */
#include "tests/unit/arena.h"

#include "bundle/diagnose/path_entries.h"

static struct em_path_entries entries_of(const char *list)
{
    struct em_path_entries entries;

    assert_int_equal(em_path_entries(&entries, arena, list, "/v/x.libs"), EM_OK);
    return entries;
}

static void no_list_has_no_entries(void **state)
{
    (void)state;
    assert_int_equal(entries_of(NULL).count, 0);
}

static void an_empty_entry_is_the_current_directory(void **state)
{
    static const char *const lists[] = { "", ":", "$ORIGIN:", ":/usr/lib", "/a::/b", ".", "x.libs", "../lib", "ORIGIN" };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct em_path_entries entries = entries_of(lists[i]);
        size_t working = 0;

        em_vec_each (struct em_path_entry, entry, &entries)
            working += entry->kind == EM_ENTRY_WORKING;
        if (working == 0)
            fail_msg("\"%s\"", lists[i]);
    }
    assert_int_equal(entries_of("$ORIGIN:").count, 2);
    assert_int_equal(entries_of("").count, 1);
}

static void origin_is_the_directory_of_the_object(void **state)
{
    struct em_path_entries entries = entries_of("$ORIGIN:${ORIGIN}/../y:$ORIGIN/a/../b:/usr/lib/");

    (void)state;
    assert_int_equal(entries.count, 4);
    assert_string_equal(entries.items[0].directory, "/v/x.libs");
    assert_string_equal(entries.items[1].directory, "/v/y");
    assert_string_equal(entries.items[2].directory, "/v/x.libs/b");
    assert_string_equal(entries.items[3].directory, "/usr/lib");
    assert_true(entries.items[1].by_origin);
    assert_false(entries.items[3].by_origin);
    assert_string_equal(entries.items[1].written, "${ORIGIN}/../y");
}

static void other_tokens_are_left_to_the_process(void **state)
{
    (void)state;
    assert_int_equal(entries_of("/usr/$LIB").items[0].kind, EM_ENTRY_UNKNOWN);
    assert_int_equal(entries_of("$ORIGIN/$PLATFORM").items[0].kind, EM_ENTRY_UNKNOWN);
    assert_null(entries_of("/usr/$LIB").items[0].directory);
    /* "$ORIGINAL" is a name, and a relative one: the loader expands whole tokens alone. */
    assert_int_equal(entries_of("$ORIGINAL/x").items[0].kind, EM_ENTRY_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_list_has_no_entries),
        cmocka_unit_test(an_empty_entry_is_the_current_directory),
        cmocka_unit_test(origin_is_the_directory_of_the_object),
        cmocka_unit_test(other_tokens_are_left_to_the_process),
    };

    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
