/* Trees answer as system calls would: a directory, the same as a root (by the kernel and by hand), and files laid over it. */
#include "bundle/tree/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void shell(const char *command)
{
    assert_int_equal(system(command), 0);
}

static const char *content(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;

    if (em_tree_read(tree, arena, path, 1000, &bytes, &error) < 0)
        return em_arena_printf(arena, "error: %s", error.sentence);
    return em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
}

static const char *listing(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    struct em_strings names;
    const char *all = "";

    if (em_tree_list(tree, arena, path, &names) < 0)
        return "error";
    for (size_t i = 0; i < names.count; i++)
        all = em_arena_printf(arena, "%s%s ", all, names.items[i]);
    return all;
}

static const char *real(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    char *result;
    int r = em_tree_real_path(tree, arena, path, &result);

    return r < 0 ? em_arena_printf(arena, "error: %s", strerror(-r)) : result;
}

static int make_image(void **state)
{
    (void)state;
    shell("rm -rf img && mkdir -p img/usr/lib/deep img/etc img/d && cd img && echo one >usr/lib/one && ln -s usr/lib lib &&"
          "ln -s /lib/one etc/abs && ln -s ../../../../lib/one etc/up && ln -s loop2 loop && ln -s loop loop2 &&"
          "ln -s one usr/lib/rel && ln -s /nowhere dangling && ln usr/lib/one d/hard && ln -s /usr/lib/ d/slash &&"
          "mkfifo fifo && : >usr/lib/empty && ln -s ../usr d/dir");
    return 0;
}

static void a_root_keeps_links_inside(void **state)
{
    (void)state;
    for (int by_hand = 0; by_hand < 2; by_hand++) {
        em_cleanup_arena struct em_arena *arena = em_arena_new();
        em_cleanup_tree struct em_tree *tree = NULL;
        struct em_node node, other;
        struct em_file *file;
        char *target;

        assert_int_equal(em_tree_disk_root(&tree, "img", by_hand, NULL), EM_OK);
        assert_string_equal(content(arena, tree, "/etc/abs"), "one\n");
        assert_string_equal(content(arena, tree, "/etc/up"), "one\n");
        assert_string_equal(content(arena, tree, "/../../lib//./rel"), "one\n");
        assert_string_equal(content(arena, tree, "/lib/deep/../one"), "one\n");
        assert_string_equal(content(arena, tree, "/d/dir/lib/one"), "one\n");
        assert_string_equal(content(arena, tree, "/lib/empty"), "");
        assert_string_equal(content(arena, tree, "/lib"), "error: is not a regular file");
        assert_string_equal(real(arena, tree, "/etc/abs"), "/usr/lib/one");
        assert_string_equal(real(arena, tree, "/lib/deep/../../../.."), "/");
        assert_string_equal(real(arena, tree, "/d/slash/one"), "/usr/lib/one");
        assert_string_equal(real(arena, tree, "/dangling"), "error: No such file or directory");
        assert_string_equal(listing(arena, tree, "/lib"), "deep empty one rel ");
        assert_string_equal(listing(arena, tree, "/d"), "dir hard slash ");
        assert_int_equal(em_tree_stat(tree, "/loop", &node), -ELOOP);
        assert_int_equal(em_tree_stat(tree, "/dangling", &node), -ENOENT);
        assert_int_equal(em_tree_stat(tree, "/lib/one/x", &node), -ENOTDIR);
        assert_int_equal(em_tree_stat(tree, "/lib/one/..", &node), -ENOTDIR);
        assert_int_equal(em_tree_stat(tree, "/lib/one/", &node), -ENOTDIR);
        assert_int_equal(em_tree_stat(tree, "/lib/no/../one", &node), -ENOENT);
        assert_int_equal(em_tree_stat(tree, "/lib/", &node), 0);
        assert_int_equal(em_tree_stat_link(tree, "/lib", &node), 0);
        assert_int_equal(node.kind, EM_NODE_LINK);
        assert_int_equal(em_tree_stat_link(tree, "/lib/", &node), 0);
        assert_int_equal(node.kind, EM_NODE_DIRECTORY);
        assert_int_equal(em_tree_read_link(tree, arena, "/lib/rel", &target), 0);
        assert_string_equal(target, "one");
        assert_int_equal(em_tree_read_link(tree, arena, "/lib/one", &target), -EINVAL);
        assert_int_equal(em_tree_read_link(tree, arena, "/lib/two", &target), -ENOENT);
        assert_int_equal(em_tree_open(tree, "/fifo", &file), -EINVAL);
        assert_int_equal(em_tree_open(tree, "/lib", &file), -EISDIR);
        assert_int_equal(em_tree_stat(tree, "/lib/one", &node), 0);
        assert_int_equal(em_tree_stat(tree, "/d/hard", &other), 0);
        assert_int_equal(node.kind, EM_NODE_FILE);
        assert_int_equal(node.links, 2);
        assert_true(node.inode == other.inode && node.device == other.device);
    }
}

/* Neighbours, a directory and back, a directory through a link, links, things that are not there: each as em_tree_stat says. */
static void a_near_question_has_the_same_answer(void **state)
{
    static const char *const paths[] = { "/usr/lib/one", "/usr/lib/rel", "/usr/lib/empty", "/usr/lib/two", "/d/hard",
                                         "/d/slash",     "/lib/one",     "/etc/abs",       "/etc/up",      "/dangling",
                                         "/lib/one/x",   "/no/one",      "/usr/lib/one",   "/lib/deep",    "/fifo",
                                         "/loop",        "/usr/li/one",  "/usr/lib/rel" };

    (void)state;
    for (int way = 0; way < 3; way++) {
        em_cleanup_tree struct em_tree *disk = NULL, *overlay = NULL;
        struct em_near near;

        assert_int_equal(em_tree_disk_root(&disk, "img", way == 1, NULL), EM_OK);
        assert_int_equal(em_tree_overlay(&overlay, disk), EM_OK);
        em_near_init(&near);
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            struct em_node node = { 0 }, same = { 0 };
            int r = em_tree_stat(disk, paths[i], &node);

            if (em_tree_stat_near(way == 2 ? overlay : disk, &near, paths[i], &same) != r)
                fail_msg("%s", paths[i]);
            assert_true(node.inode == same.inode && node.size == same.size && node.kind == same.kind);
        }
        em_near_close(&near);
    }
}

static void a_root_must_be_a_directory(void **state)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_tree *tree;

    (void)state;
    assert_int_equal(em_tree_disk(&tree, "img/etc/none", &error), EM_NOT_FOUND);
    assert_null(tree);
    assert_int_equal(em_tree_disk(&tree, "img/usr/lib/one", &error), EM_NOT_FOUND); /* ENOTDIR */
    assert_string_equal(error.path, "img/usr/lib/one");
}

static void without_a_root_it_is_this_machine(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    char here[4096];

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(em_tree_disk(&tree, NULL, NULL), EM_OK);
    assert_string_equal(real(arena, tree, em_path_join(arena, here, "img/lib/rel")),
                        em_path_join(arena, real(arena, tree, here), "img/usr/lib/one"));
    assert_string_equal(content(arena, tree, em_path_join(arena, here, "img/lib/rel")), "one\n");
    assert_string_equal(listing(arena, tree, em_path_join(arena, here, "img/d")), "dir hard slash ");
}

static int shout(const struct em_overlay_file *file, struct em_reader *below, struct em_reader **above, void **storage)
{
    static const struct em_bytes loud = { (const uint8_t *)"ONE!", 4 };
    struct em_reader *reader = malloc(sizeof *reader);

    assert_non_null(reader);
    assert_ptr_equal(file->context, &shout);
    assert_int_equal(below->size, 4);
    *reader = em_reader_memory(&loud, "loud");
    *above = reader;
    *storage = reader;
    return EM_OK;
}

static void an_overlay_adds_replaces_and_removes(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *below = NULL, *tree = NULL;
    struct em_node node, other;
    struct em_file *file;

    (void)state;
    assert_int_equal(em_tree_disk(&below, "img", NULL), EM_OK);
    assert_int_equal(em_tree_overlay(&tree, below), EM_OK);
    /* Put by a path through a link, and into directories that are nowhere yet. */
    assert_int_equal(em_overlay_put(tree, &(struct em_overlay_file){ "/lib/new", below, "/usr/lib/one", NULL, NULL, 0 }), 0);
    assert_int_equal(em_overlay_put(tree, &(struct em_overlay_file){ "/d/x.libs/a/b", below, "/lib/one", NULL, NULL, 0 }), 0);
    assert_int_equal(
        em_overlay_put(tree, &(struct em_overlay_file){ "/usr/lib/one", below, "/usr/lib/one", shout, (void *)&shout, 4 }), 0);
    assert_int_equal(em_overlay_remove(tree, "/usr/lib/empty"), 0);

    assert_string_equal(content(arena, tree, "/lib/new"), "one\n");
    assert_string_equal(content(arena, tree, "/d/x.libs/a/b"), "one\n");
    assert_string_equal(content(arena, tree, "/d/x.libs/a/../../../lib/new"), "one\n");
    assert_string_equal(content(arena, tree, "/lib/one"), "ONE!");
    assert_string_equal(content(arena, tree, "/etc/abs"), "ONE!");
    assert_string_equal(content(arena, tree, "/d/hard"), "one\n"); /* the other hard link keeps the old file */
    assert_string_equal(content(arena, below, "/lib/one"), "one\n");
    assert_int_equal(em_tree_stat(tree, "/lib/empty", &node), -ENOENT);
    assert_int_equal(em_tree_stat(tree, "/d/x.libs/a/b/c", &node), -ENOTDIR);
    assert_int_equal(em_tree_stat(tree, "/d/x.libs/c", &node), -ENOENT);
    assert_int_equal(em_tree_stat(tree, "/nowhere/c", &node), -ENOENT);
    assert_int_equal(em_tree_stat(tree, "/loop", &node), -ELOOP);
    assert_int_equal(em_tree_open(tree, "/d/x.libs", &file), -EISDIR);
    assert_int_equal(em_tree_stat(tree, "/d/x.libs/a", &node), 0);
    assert_int_equal(node.kind, EM_NODE_DIRECTORY);
    assert_int_equal(em_tree_stat_link(tree, "/lib", &node), 0);
    assert_int_equal(node.kind, EM_NODE_LINK);
    assert_string_equal(listing(arena, tree, "/lib"), "deep new one rel ");
    assert_string_equal(listing(arena, tree, "/d"), "dir hard slash x.libs ");
    assert_string_equal(listing(arena, tree, "/d/x.libs"), "a ");
    assert_string_equal(real(arena, tree, "/d/dir/lib/new"), "/usr/lib/new");
    assert_string_equal(real(arena, tree, "/lib/deep/.."), "/usr/lib");
    assert_int_equal(em_tree_stat(tree, "/lib/one", &node), 0);
    assert_int_equal(em_tree_stat(below, "/lib/one", &other), 0);
    assert_int_not_equal(node.device, other.device);
    assert_int_equal(node.links, 1);
    assert_int_equal(em_tree_stat(tree, "/lib/new", &other), 0);
    assert_int_not_equal(node.inode, other.inode);
    assert_int_equal(em_tree_stat(tree, "/etc", &node), 0);
    assert_int_equal(em_tree_stat(below, "/etc", &other), 0);
    assert_int_equal(node.inode, other.inode);
}

static void a_limit_is_kept(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;

    (void)state;
    assert_int_equal(em_tree_disk(&tree, "img", NULL), EM_OK);
    assert_int_equal(em_tree_read(tree, arena, "/lib/one", 3, &bytes, &error), EM_LIMIT);
    assert_int_equal(em_tree_read(tree, arena, "/lib/none", 3, &bytes, &error), EM_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_keeps_links_inside),
        cmocka_unit_test(a_near_question_has_the_same_answer),
        cmocka_unit_test(a_root_must_be_a_directory),
        cmocka_unit_test(without_a_root_it_is_this_machine),
        cmocka_unit_test(an_overlay_adds_replaces_and_removes),
        cmocka_unit_test(a_limit_is_kept),
    };

    return cmocka_run_group_tests_name("tree", tests, make_image, NULL);
}
