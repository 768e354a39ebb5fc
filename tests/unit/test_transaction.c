/* A transaction is all or nothing, and undo is exact: inode, mode, owner, times and bytes, of files and directories. */
#include "tests/unit/snapshot.h"

#include "bundle/plan/trail.h"
#include "bundle/plan/transaction.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/xattr.h>

struct world {
    struct em_arena *arena;
    struct em_error error;
    char *before;
};

/* t/a and t/sub/b are ordinary, t/sub/linked has a second name outside. */
static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w)
        return -1;
    w->arena = em_arena_new();
    assert_int_equal(system("rm -rf t outside && mkdir -p t/sub outside && chmod 755 t t/sub"), 0);
    write_file("t/a", "old a");
    write_file("t/sub/b", "old b");
    write_file("t/sub/linked", "old linked");
    assert_int_equal(chmod("t/a", 0751), 0);
    assert_int_equal(link("t/sub/linked", "outside/linked"), 0);
    assert_int_equal(system("touch -d '2020-02-02 02:02:02.123456789' t/a t/sub/b t/sub t"), 0);
    w->before = snapshot(w->arena, "t");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    em_arena_free(w->arena);
    free(w);
    return 0;
}

static void show(const struct world *w)
{
    print_message("# %s: %s\n", w->error.path, w->error.sentence);
}

#define assert_ok(w, call)                                                                                                     \
    do {                                                                                                                       \
        int assert_ok_r = (call);                                                                                              \
        if (assert_ok_r < 0)                                                                                                   \
            show(w);                                                                                                           \
        assert_int_equal(assert_ok_r, 0);                                                                                      \
    } while (0)

static void assert_as_before(struct world *w)
{
    assert_string_equal(snapshot(w->arena, "t"), w->before);
}

static int fill_text(struct em_change *change, int old, int new, struct em_error *error)
{
    (void)old;
    return em_write_all(new, change->context, strlen(change->context), change->path, error);
}

static struct em_transaction *begin(struct world *w)
{
    struct em_transaction *txn = NULL;

    assert_ok(w, em_transaction_begin(&txn, w->arena, "t", &w->error));
    return txn;
}

static int try_stage(struct world *w, struct em_transaction *txn, const char *path, const char *text, bool create)
{
    struct em_change change = {
        .path = path,
        .create = create,
        .make_directories = create,
        .mode = 0644,
        .fill = fill_text,
        .context = em_arena_strdup(w->arena, text),
    };

    return em_transaction_stage(txn, &change, &w->error);
}

static void replace(struct world *w, struct em_transaction *txn, const char *path, const char *text)
{
    assert_ok(w, try_stage(w, txn, path, text, false));
}

static void create(struct world *w, struct em_transaction *txn, const char *path, const char *text)
{
    assert_ok(w, try_stage(w, txn, path, text, true));
}

static const char *commit(struct world *w, struct em_transaction *txn)
{
    const char *id = NULL;

    assert_ok(w, em_transaction_commit(txn, "a test\nwith two lines", true, &id, &w->error));
    em_transaction_end(txn);
    return id;
}

/* The change that most tests make: two replaced, one created in a new directory. */
static const char *change_three(struct world *w)
{
    struct em_transaction *txn = begin(w);

    replace(w, txn, "a", "new a");
    replace(w, txn, "sub/linked", "new linked");
    create(w, txn, "fresh/deep/c", "new c");
    return commit(w, txn);
}

static int undo(struct world *w, const struct em_undo_options *options, struct em_undo_result *result)
{
    struct em_undo_result unused;

    return em_undo(result ? result : &unused, w->arena, "t", options, &w->error);
}

/* "REPAIR added|changed PATH STATE" of each file. */
static const char *trail(struct world *w)
{
    struct em_trail found;
    const char *all = "";

    assert_ok(w, em_trail_read(&found, w->arena, "t", &w->error));
    em_vec_each (struct em_trail_step *, step, &found.steps) {
        all = em_arena_printf(w->arena, "%s%s %s %s %s\n", all, (*step)->id, (*step)->is_added ? "added" : "changed",
                              (*step)->path, em_trail_state_name((*step)->state));
        assert_ptr_equal(em_trail_find(&found, (*step)->path), *step);
    }
    return all;
}

static void assert_content(struct world *w, const char *path, const char *content)
{
    char *text = read_file(w->arena, path);

    assert_non_null(text);
    assert_string_equal(text, content);
}

static void commit_changes_and_undo_is_exact(void **state)
{
    struct world *w = *state;
    struct em_undo_result result;
    struct stat st;

    assert_string_equal(change_three(w), "0001");
    assert_content(w, "t/a", "new a");
    assert_content(w, "t/sub/linked", "new linked");
    assert_content(w, "t/fresh/deep/c", "new c");
    assert_content(w, "t/sub/b", "old b");
    assert_int_equal(stat("t/a", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_int_equal(stat("t/.elfmend", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, &result));
    assert_int_equal(result.transactions, 1);
    assert_int_equal(result.restored, 2);
    assert_int_equal(result.removed, 1);
    assert_as_before(w);
}

static void another_link_keeps_the_old_bytes(void **state)
{
    struct world *w = *state;

    change_three(w);
    assert_content(w, "outside/linked", "old linked");
}

static void a_mapping_keeps_the_old_inode(void **state)
{
    struct world *w = *state;
    int fd = open("t/a", O_RDONLY);
    char *map = mmap(NULL, 5, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(map != MAP_FAILED);
    close(fd);
    change_three(w);
    assert_memory_equal(map, "old a", 5);
    munmap(map, 5);
}

static void what_is_not_committed_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn = begin(w);

    replace(w, txn, "a", "new a");
    create(w, txn, "fresh/deep/c", "new c");
    em_transaction_end(txn);
    assert_as_before(w);
    txn = begin(w);
    assert_ok(w, em_transaction_commit(txn, "nothing", true, NULL, &w->error));
    em_transaction_end(txn);
    assert_as_before(w);
}

static void without_undo_nothing_is_kept(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn = begin(w);
    const char *id = "";
    struct stat st;

    replace(w, txn, "a", "new a");
    assert_ok(w, em_transaction_commit(txn, "for good", false, &id, &w->error));
    em_transaction_end(txn);
    assert_null(id);
    assert_content(w, "t/a", "new a");
    assert_int_equal(stat("t/.elfmend", &st), -1);
    assert_int_equal(undo(w, &(struct em_undo_options){ 0 }, NULL), EM_NOT_FOUND);
}

static void undo_goes_back_step_by_step(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn;
    struct em_undo_entries entries;
    struct em_undo_result result;
    char *after_one;

    change_three(w);
    after_one = snapshot(w->arena, "t/a");
    txn = begin(w);
    replace(w, txn, "a", "newer a");
    replace(w, txn, "fresh/deep/c", "newer c");
    create(w, txn, "fresh/d", "new d");
    assert_string_equal(commit(w, txn), "0002");
    assert_ok(w, em_undo_list(&entries, w->arena, "t", &w->error));
    assert_int_equal(entries.count, 2);
    assert_string_equal(entries.items[0].id, "0001");
    assert_string_equal(entries.items[0].note, "a test\nwith two lines");
    assert_int_equal(entries.items[1].replaced, 2);
    assert_int_equal(entries.items[1].created, 1);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, NULL));
    assert_string_equal(snapshot(w->arena, "t/a"), after_one);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, NULL));
    assert_as_before(w);

    change_three(w);
    txn = begin(w);
    replace(w, txn, "a", "newer a");
    replace(w, txn, "fresh/deep/c", "newer c");
    commit(w, txn);
    assert_ok(w, undo(w, &(struct em_undo_options){ .to = "0001" }, &result));
    assert_int_equal(result.transactions, 2);
    assert_as_before(w);
    assert_int_equal(undo(w, &(struct em_undo_options){ .to = "7" }, NULL), EM_NOT_FOUND);
}

static void a_file_changed_since_stops_undo_before_it_begins(void **state)
{
    struct world *w = *state;
    char *seen;

    change_three(w);
    write_file("t/sub/linked", "theirs, and longer");
    seen = snapshot(w->arena, "t");
    assert_int_equal(undo(w, &(struct em_undo_options){ 0 }, NULL), EM_CHANGED);
    assert_string_equal(w->error.path, "t/sub/linked");
    assert_string_equal(snapshot(w->arena, "t"), seen);
    assert_ok(w, undo(w, &(struct em_undo_options){ .force = true }, NULL));
    assert_as_before(w);
}

/* Only the bytes decide: a touch or a copy of the same bytes is no change. */
static void a_touched_file_is_still_ours(void **state)
{
    struct world *w = *state;

    change_three(w);
    assert_int_equal(system("touch t/a && cp t/sub/linked x && mv x t/sub/linked"), 0);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, NULL));
    assert_content(w, "t/a", "old a");
    assert_content(w, "t/sub/linked", "old linked");
}

static void a_copied_tree_can_be_undone_too(void **state)
{
    struct world *w = *state;
    struct stat st;

    change_three(w);
    assert_int_equal(system("mv t original && cp -a original t"), 0);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, NULL));
    assert_content(w, "t/a", "old a");
    assert_content(w, "t/sub/linked", "old linked");
    assert_int_equal(stat("t/fresh", &st), -1);
    assert_content(w, "original/a", "new a");
    assert_int_equal(system("rm -r t && mv original t"), 0);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, NULL));
    assert_as_before(w);
}

static void a_removed_file_comes_back_by_force(void **state)
{
    struct world *w = *state;

    change_three(w);
    assert_int_equal(unlink("t/a"), 0);
    assert_int_equal(undo(w, &(struct em_undo_options){ 0 }, NULL), EM_CHANGED);
    assert_ok(w, undo(w, &(struct em_undo_options){ .force = true }, NULL));
    assert_content(w, "t/a", "old a");
    assert_content(w, "t/sub/linked", "old linked");
}

/* pip uninstall took a whole directory: there is nowhere to come back to, and the rest comes back. */
static void a_removed_directory_is_given_up_by_force(void **state)
{
    struct world *w = *state;
    struct stat st;

    change_three(w);
    assert_int_equal(system("rm -r t/sub"), 0);
    assert_int_equal(undo(w, &(struct em_undo_options){ 0 }, NULL), EM_CHANGED);
    assert_ok(w, undo(w, &(struct em_undo_options){ .force = true }, NULL));
    assert_content(w, "t/a", "old a");
    assert_int_equal(stat("t/sub", &st), -1);
    assert_int_equal(stat("t/.elfmend", &st), -1);
}

static void a_created_file_that_is_gone_stops_nobody(void **state)
{
    struct world *w = *state;
    struct em_undo_result result;

    change_three(w);
    assert_int_equal(system("rm -r t/fresh && touch -d '2020-02-02 02:02:02.123456789' t"), 0);
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, &result));
    assert_as_before(w);
}

static void a_directory_that_others_use_stays(void **state)
{
    struct world *w = *state;
    struct stat st;

    change_three(w);
    write_file("t/fresh/theirs", "keep me");
    assert_ok(w, undo(w, &(struct em_undo_options){ 0 }, NULL));
    assert_content(w, "t/fresh/theirs", "keep me");
    assert_int_equal(stat("t/fresh/deep", &st), -1);
    assert_content(w, "t/a", "old a");
}

static void forgetting_keeps_the_repair(void **state)
{
    struct world *w = *state;
    uint64_t freed = 0;
    struct stat st;

    change_three(w);
    assert_ok(w, em_undo_forget(w->arena, "t", &freed, &w->error));
    assert_true(freed > 0);
    assert_content(w, "t/a", "new a");
    assert_int_equal(stat("t/.elfmend", &st), -1);
    assert_string_equal(trail(w), "");
}

/* What became of each file, and the last repair of it counts. */
static void the_trail_of_the_repairs(void **state)
{
    struct em_transaction *txn;
    struct world *w = *state;

    assert_string_equal(trail(w), "");
    change_three(w);
    assert_string_equal(trail(w), "0001 added fresh/deep/c ours\n0001 changed a ours\n0001 changed sub/linked ours\n");
    assert_int_equal(system("rm t/fresh/deep/c && echo other > t/sub/linked && cp -p t/a t/copy && mv t/copy t/a"), 0);
    assert_string_equal(trail(w), "0001 added fresh/deep/c gone\n0001 changed a ours\n0001 changed sub/linked changed\n");
    txn = begin(w);
    replace(w, txn, "a", "newer a");
    assert_string_equal(commit(w, txn), "0002");
    assert_string_equal(trail(w), "0001 added fresh/deep/c gone\n0001 changed sub/linked changed\n0002 changed a ours\n");
    assert_int_equal(system("rm -r t/fresh t/sub && ln -s ../outside t/sub"), 0);
    assert_string_equal(trail(w), "0001 added fresh/deep/c gone\n0001 changed sub/linked gone\n0002 changed a ours\n");
}

static void a_change_meanwhile_stops_the_commit(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn = begin(w);
    const char *id;
    char *seen;

    replace(w, txn, "sub/b", "new b");
    replace(w, txn, "a", "new a");
    write_file("t/sub/b", "theirs");
    seen = snapshot(w->arena, "t/sub");
    assert_int_equal(em_transaction_commit(txn, "too late", true, &id, &w->error), EM_CHANGED);
    em_transaction_end(txn);
    assert_string_equal(w->error.path, "t/sub/b");
    assert_string_equal(snapshot(w->arena, "t/sub"), seen);
    assert_content(w, "t/a", "old a");

    txn = begin(w);
    create(w, txn, "z", "new z");
    write_file("t/z", "theirs");
    assert_int_equal(em_transaction_commit(txn, "too late", true, &id, &w->error), EM_CHANGED);
    em_transaction_end(txn);
    assert_content(w, "t/z", "theirs");
}

static void links_and_strangers_are_refused(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn;

    assert_int_equal(symlink("../outside", "t/way"), 0);
    assert_int_equal(symlink("a", "t/alias"), 0);
    assert_int_equal(symlink("a", "t/alias-too"), 0);
    txn = begin(w);
    assert_int_equal(try_stage(w, txn, "way/linked", "x", false), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, "way/new", "x", true), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, "alias", "x", false), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, "alias-too", "x", true), EM_CHANGED);
    assert_int_equal(try_stage(w, txn, "../outside/linked", "x", false), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, "/etc/hostname", "x", false), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, ".elfmend/lock", "x", false), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, "sub", "x", false), EM_REFUSED);
    assert_int_equal(try_stage(w, txn, "absent", "x", false), EM_CHANGED);
    assert_int_equal(try_stage(w, txn, "a/b", "x", true), EM_REFUSED);
    /* After a refusal there is no commit, whatever else was staged. */
    assert_int_equal(em_transaction_commit(txn, "no", true, NULL, &w->error), EM_USAGE);
    em_transaction_end(txn);
    txn = begin(w);
    replace(w, txn, "a", "new a");
    assert_int_equal(try_stage(w, txn, "a", "again", false), EM_REFUSED);
    em_transaction_end(txn);
    assert_content(w, "t/a", "old a");
    assert_content(w, "outside/linked", "old linked");
}

static void a_store_that_is_not_ours_is_refused(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn;

    assert_int_equal(symlink("../outside", "t/.elfmend"), 0);
    assert_int_equal(em_transaction_begin(&txn, w->arena, "t", &w->error), EM_REFUSED);
    assert_int_equal(unlink("t/.elfmend"), 0);
    assert_int_equal(mkdir("t/.elfmend", 0777), 0);
    assert_int_equal(chmod("t/.elfmend", 0777), 0);
    assert_int_equal(em_transaction_begin(&txn, w->arena, "t", &w->error), EM_REFUSED);
    assert_int_equal(rmdir("t/.elfmend"), 0);
}

static void a_second_one_is_told_to_wait(void **state)
{
    struct world *w = *state;
    struct em_transaction *txn = begin(w), *second;
    int status;
    pid_t child;

    replace(w, txn, "a", "new a");
    child = fork();
    if (child == 0)
        _exit(em_transaction_begin(&second, w->arena, "t", &w->error) == EM_BUSY &&
                      undo(w, &(struct em_undo_options){ 0 }, NULL) == EM_BUSY
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    commit(w, txn);
    assert_content(w, "t/a", "new a");
}

static void attributes_and_odd_modes_go_along(void **state)
{
    struct world *w = *state;
    char value[8] = "";
    struct stat st;

    if (setxattr("t/a", "user.note", "hello", 5, 0) < 0)
        skip();
    assert_int_equal(chmod("t/a", 06755), 0);
    change_three(w);
    assert_int_equal(getxattr("t/a", "user.note", value, sizeof value), 5);
    assert_memory_equal(value, "hello", 5);
    assert_int_equal(stat("t/a", &st), 0);
    assert_int_equal(st.st_mode & 07777, 06755);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(commit_changes_and_undo_is_exact),
        TEST(another_link_keeps_the_old_bytes),
        TEST(a_mapping_keeps_the_old_inode),
        TEST(what_is_not_committed_leaves_no_trace),
        TEST(without_undo_nothing_is_kept),
        TEST(undo_goes_back_step_by_step),
        TEST(a_file_changed_since_stops_undo_before_it_begins),
        TEST(a_touched_file_is_still_ours),
        TEST(a_copied_tree_can_be_undone_too),
        TEST(a_removed_file_comes_back_by_force),
        TEST(a_removed_directory_is_given_up_by_force),
        TEST(a_created_file_that_is_gone_stops_nobody),
        TEST(a_directory_that_others_use_stays),
        TEST(forgetting_keeps_the_repair),
        TEST(the_trail_of_the_repairs),
        TEST(a_change_meanwhile_stops_the_commit),
        TEST(links_and_strangers_are_refused),
        TEST(a_store_that_is_not_ours_is_refused),
        TEST(a_second_one_is_told_to_wait),
        TEST(attributes_and_odd_modes_go_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
