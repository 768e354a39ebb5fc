/* Path lists: an entry once, order kept, and the same directories after a move. */
#include "tests/unit/arena.h"

#include "bundle/plan/pathlist.h"

static void an_entry_names_a_directory_from_the_object(void **state)
{
    (void)state;
    assert_string_equal(em_pathlist_entry(arena, "/v/x.libs", "/v/nvidia/cudnn/lib"), "$ORIGIN/../nvidia/cudnn/lib");
    assert_string_equal(em_pathlist_entry(arena, "/v/x.libs", "/v/x.libs"), "$ORIGIN");
    assert_string_equal(em_pathlist_entry(arena, "/v", "/v/x"), "$ORIGIN/x");
}

static void an_entry_is_appended_once(void **state)
{
    (void)state;
    assert_string_equal(em_pathlist_append(arena, NULL, "$ORIGIN"), "$ORIGIN");
    assert_string_equal(em_pathlist_append(arena, "", "$ORIGIN"), "$ORIGIN");
    assert_string_equal(em_pathlist_append(arena, "$ORIGIN", "a"), "$ORIGIN:a");
    assert_string_equal(em_pathlist_append(arena, "$ORIGIN:a", "a"), "$ORIGIN:a");
    assert_string_equal(em_pathlist_append(arena, "$ORIGIN/a", "$ORIGIN"), "$ORIGIN/a:$ORIGIN");
}

/* "$ORIGIN:" of NVRTC searches the current directory last: what we add comes before that, and no second empty entry appears. */
static void an_entry_goes_before_a_trailing_empty_one(void **state)
{
    (void)state;
    assert_string_equal(em_pathlist_append(arena, "$ORIGIN:", "a"), "$ORIGIN:a:");
}

/* cuDNN's own list, from nvidia/cudnn/lib of an unpacked wheel to x.libs of an environment that has cuBLAS and no "nvrtc". */
static void a_moved_list_leads_to_the_same_directories(void **state)
{
    struct em_tree *tree;
    char site[4096], libs[8192];
    const char *moved;

    (void)state;
    assert_non_null(getcwd(site, sizeof site));
    assert_int_equal(system("mkdir -p nvidia/cublas/lib x.libs"), 0);
    assert_int_equal(em_tree_disk(&tree, NULL, NULL), EM_OK);
    strcpy(libs, site);
    strcat(libs, "/x.libs");
    moved = em_pathlist_move(arena, "$ORIGIN:$ORIGIN/../../cublas/lib:$ORIGIN/../../nvrtc/lib:/opt/lib", "/w/nvidia/cudnn/lib",
                             "/w", libs, site, tree);
    assert_string_equal(moved, "$ORIGIN:$ORIGIN/../nvidia/cublas/lib:/opt/lib");
    moved = em_pathlist_move(arena, "${ORIGIN}/../../../../etc", "/w/nvidia/cudnn/lib", "/w", libs, site, tree);
    assert_string_equal(moved, "$ORIGIN");
    em_tree_close(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_names_a_directory_from_the_object),
        cmocka_unit_test(an_entry_is_appended_once),
        cmocka_unit_test(an_entry_goes_before_a_trailing_empty_one),
        cmocka_unit_test(a_moved_list_leads_to_the_same_directories),
    };

    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
