/* What the oracle (tests/oracle) does not reach: caches of every format, damaged ones included; the world as ld.so itself tells it;
 * asking and forking, which must leave a process alone; the words for stability. */
#include "bundle/loader/cache.h"
#include "bundle/loader/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void numbers_compare_as_numbers(void **state)
{
    (void)state;
    assert_int_equal(em_cache_compare("libx.so.1", "libx.so.01"), 0);
    assert_true(em_cache_compare("libx.so.10", "libx.so.9") > 0);
    assert_true(em_cache_compare("libx.so.1", "libx.so.1.2") < 0);
    assert_true(em_cache_compare("libx1", "libxa") > 0); /* a digit is greater than a letter */
    assert_true(em_cache_compare("libxa", "libx1") < 0);
    assert_int_equal(em_cache_compare("", ""), 0);
}

/* ---- caches ---- */

struct cached {
    uint32_t flags;
    const char *key, *path;
    uint64_t hwcap;
};

#define NAMED(index) ((UINT64_C(1) << 62) | (index))

static size_t add_string(uint8_t *file, size_t *end, const char *text)
{
    size_t at = *end;

    strcpy((char *)file + at, text);
    *end += strlen(text) + 1;
    return at;
}

/* The new format, as ldconfig of glibc 2.33 and later writes it, with the extension that names the hwcaps subdirectories. */
static size_t new_cache(uint8_t *file, const struct cached *entries, uint32_t count, const char *const *names,
                        uint32_t name_count)
{
    size_t end = 48 + count * 24u, extension, table;

    memcpy(file, "glibc-ld.so.cache1.1", 20);
    em_store_u32(file + 20, false, count);
    file[28] = 2;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = file + 48 + i * 24;

        em_store_u32(at, false, entries[i].flags);
        em_store_u32(at + 4, false, (uint32_t)add_string(file, &end, entries[i].key));
        em_store_u32(at + 8, false, (uint32_t)add_string(file, &end, entries[i].path));
        em_store_u64(at + 16, false, entries[i].hwcap);
    }
    if (name_count == 0)
        return end;
    table = (end + 3) & ~(size_t)3;
    end = table + name_count * 4;
    for (uint32_t i = 0; i < name_count; i++)
        em_store_u32(file + table + i * 4, false, (uint32_t)add_string(file, &end, names[i]));
    extension = (end + 3) & ~(size_t)3;
    em_store_u32(file + 32, false, (uint32_t)extension);
    em_store_u32(file + extension, false, 0xeaa42174);
    em_store_u32(file + extension + 4, false, 1);
    em_store_u32(file + extension + 8, false, 1);
    em_store_u32(file + extension + 16, false, (uint32_t)table);
    em_store_u32(file + extension + 20, false, name_count * 4);
    return extension + 24;
}

static struct em_world make_world(struct em_arena *arena, unsigned minor)
{
    struct em_world world = { .machine = EM_X86_64, .is64 = true, .libc_major = 2, .libc_minor = minor };

    assert_int_equal(em_vec_push(arena, &world.hwcaps, "glibc-hwcaps/x86-64-v3"), EM_OK);
    assert_int_equal(em_vec_push(arena, &world.hwcaps, "glibc-hwcaps/x86-64-v2"), EM_OK);
    return world;
}

static const char *cached(const struct em_world *world, struct em_arena *arena, const char *name)
{
    const struct em_cache_entry *entry = em_world_cached(world, arena, name);

    return entry ? entry->path : "none";
}

static const char *const level_names[] = { "x86-64-v2", "x86-64-v3", "x86-64-v4" };
static const struct cached level_entries[] = {
    { 0x303, "libz.so.1", "/v4/libz.so.1", NAMED(2) },
    { 0x303, "libz.so.1", "/v2/libz.so.1", NAMED(0) },
    { 0x303, "libz.so.1", "/v3/libz.so.1", NAMED(1) },
    { 0x303, "libz.so.1", "/plain/libz.so.1", 0 },
    { 0x303, "libv4only.so.1", "/v4/libv4only.so.1", NAMED(2) },
    { 0x303, "libold.so.1", "/old/libold.so.1", UINT64_C(1) << 1 },
    { 3, "lib32.so.1", "/i386/lib32.so.1", 0 },
    { 0x303, "liba.so.01", "/a/liba.so.01", 0 },
};
#define LEVEL_ENTRIES (sizeof level_entries / sizeof *level_entries)

static void the_best_level_of_the_processor_is_chosen(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    uint8_t file[4096] = { 0 };
    struct em_world world = make_world(arena, 38);
    size_t size = new_cache(file, level_entries, LEVEL_ENTRIES, level_names, 3);

    (void)state;
    assert_int_equal(em_cache_read(&world, arena, (struct em_bytes){ file, size }, NULL), EM_OK);
    assert_string_equal(cached(&world, arena, "libz.so.1"), "/v3/libz.so.1");
    assert_string_equal(cached(&world, arena, "libv4only.so.1"), "none");
    assert_string_equal(cached(&world, arena, "lib32.so.1"), "none");
    assert_string_equal(cached(&world, arena, "libold.so.1"), "none"); /* bits of old: gone with 2.37 */
    assert_string_equal(cached(&world, arena, "liba.so.1"), "/a/liba.so.01");
    assert_string_equal(cached(&world, arena, "liba.so.2"), "none");
    world = make_world(arena, 36);
    assert_int_equal(em_cache_read(&world, arena, (struct em_bytes){ file, size }, NULL), EM_OK);
    assert_string_equal(cached(&world, arena, "libold.so.1"), "/old/libold.so.1");
}

static void the_old_format_and_a_new_one_behind_it(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    uint8_t file[4096] = { 0 };
    struct em_world world = make_world(arena, 17);
    size_t end = 16 + 12, strings = end, size;

    (void)state;
    memcpy(file, "ld.so-1.7.0", 11);
    em_store_u32(file + 12, false, 1);
    em_store_u32(file + 16, false, 0x303);
    em_store_u32(file + 20, false, (uint32_t)(add_string(file, &end, "libz.so.1") - strings));
    em_store_u32(file + 24, false, (uint32_t)(add_string(file, &end, "/old/libz.so.1") - strings));
    assert_int_equal(em_cache_read(&world, arena, (struct em_bytes){ file, end }, NULL), EM_OK);
    assert_string_equal(cached(&world, arena, "libz.so.1"), "/old/libz.so.1");
    /* Aligned to 8 behind the entries of the old one; its strings stand in the new one. */
    memset(file + strings, 0, sizeof file - strings);
    size = 32 + new_cache(file + 32, &level_entries[3], 1, NULL, 0);
    world = make_world(arena, 17);
    assert_int_equal(em_cache_read(&world, arena, (struct em_bytes){ file, size }, NULL), EM_OK);
    assert_string_equal(cached(&world, arena, "libz.so.1"), "/plain/libz.so.1");
}

static void a_damaged_cache_is_an_error_or_less(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    uint8_t file[4096] = { 0 }, copy[4096];
    size_t size = new_cache(file, level_entries, LEVEL_ENTRIES, level_names, 3);

    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        struct em_world world = make_world(arena, 38);
        uint8_t *exact = malloc(cut ? cut : 1); /* so that the sanitizer sees a step beyond */

        assert_non_null(exact);
        memcpy(exact, file, cut);
        em_cache_read(&world, arena, (struct em_bytes){ exact, cut }, NULL);
        free(exact);
    }
    for (size_t i = 0; i < size; i++) {
        struct em_world world = make_world(arena, 38);

        memcpy(copy, file, size);
        copy[i] ^= 0xff;
        em_cache_read(&world, arena, (struct em_bytes){ copy, size }, NULL);
    }
    file[28] = 3; /* big endian */
    struct em_world world = make_world(arena, 38);
    assert_int_equal(em_cache_read(&world, arena, (struct em_bytes){ file, size }, NULL), EM_BAD_CACHE);
}

/* ---- this machine ---- */

static void the_world_is_what_the_loader_says(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_world_wish wish = { .libc = "glibc" };
    struct em_world world;
    char command[512], line[512];
    size_t dirs = 0;
    FILE *pipe;

    (void)state;
    assert_int_equal(em_tree_disk(&tree, NULL, NULL), EM_OK);
    assert_int_equal(em_world_read(&world, arena, tree, &wish, NULL), EM_OK);
    if (!world.interpreter || world.libc_minor < 33)
        skip();
    snprintf(command, sizeof command, "%s --list-diagnostics", world.interpreter);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof line, pipe)) {
        char *value = strchr(line, '"'), *end = value ? strrchr(line, '"') : NULL;

        if (!value || end == value)
            continue;
        *end = '\0';
        value++;
        if (strncmp(line, "path.system_dirs[", 17) == 0) {
            assert_true(dirs < world.system_dirs.count);
            assert_memory_equal(world.system_dirs.items[dirs], value, strlen(world.system_dirs.items[dirs]));
            assert_int_equal(strlen(world.system_dirs.items[dirs]) + 1, strlen(value));
            dirs++;
        } else if (strncmp(line, "dl_dst_lib=", 11) == 0) {
            assert_string_equal(world.lib_token, value);
        } else if (strncmp(line, "dl_platform=", 12) == 0) {
            assert_string_equal(world.platform_token, value);
        } else if (strncmp(line, "version.version=", 16) == 0) {
            assert_string_equal(em_arena_printf(arena, "%u.%u", world.libc_major, world.libc_minor), value);
        }
    }
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(dirs, world.system_dirs.count);
}

static void asking_and_forking_leave_the_process_alone(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_world_wish wish = { .libc = "glibc" };
    struct em_process *process, *copy;
    struct em_request *request;
    struct em_loader *loader;
    struct em_world world;
    struct em_open open;
    size_t objects, requests;

    (void)state;
    assert_int_equal(em_tree_disk(&tree, NULL, NULL), EM_OK);
    assert_int_equal(em_world_read(&world, arena, tree, &wish, NULL), EM_OK);
    if (!world.interpreter)
        skip();
    loader = em_loader_new(&world, arena);
    assert_int_equal(em_process_new(&process, loader, "/proc/self/exe", NULL), EM_OK);
    assert_true(process->start.ok);
    objects = process->objects.count;
    requests = process->requests.count;
    assert_int_equal(em_process_ask(process, "libutil.so.1", NULL, EM_VIA_DLOPEN, &request), EM_OK);
    assert_int_equal(request->result, EM_RESULT_LOADED);
    assert_null(request->to);
    assert_int_equal(em_process_ask(process, "libc.so.6", NULL, EM_VIA_DLOPEN, &request), EM_OK);
    assert_int_equal(request->result, EM_RESULT_REUSED);
    assert_int_equal(em_process_ask(process, "libnowhere.so.7", NULL, EM_VIA_DLOPEN, &request), EM_OK);
    assert_int_equal(request->result, EM_RESULT_MISSING);
    assert_int_equal(process->objects.count, objects);
    assert_int_equal(process->requests.count, requests);
    assert_int_equal(em_process_fork(&copy, process, arena), EM_OK);
    assert_int_equal(em_process_open(copy, "libutil.so.1", NULL, &open), EM_OK);
    assert_true(open.ok);
    assert_int_equal(copy->objects.count, objects + 1);
    assert_int_equal(process->objects.count, objects);
    assert_int_equal(em_process_open(process, "libnowhere.so.7", NULL, &open), EM_OK);
    assert_false(open.ok);
    assert_non_null(open.failure);
    assert_int_equal(process->objects.count, objects);
}

/* Objects that need each other make each process as large as all of them: there is an end to it, and the user is told which. */
static void steps_are_counted(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_world_wish wish = { .libc = "glibc" };
    struct em_error error = EM_ERROR_INIT;
    struct em_process *process;
    struct em_request *request;
    struct em_loader *loader;
    struct em_world world;
    char limit[32];

    (void)state;
    assert_int_equal(em_tree_disk(&tree, NULL, NULL), EM_OK);
    assert_int_equal(em_world_read(&world, arena, tree, &wish, NULL), EM_OK);
    loader = em_loader_new(&world, arena);
    assert_int_equal(em_process_new(&process, loader, NULL, NULL), EM_OK);
    loader->steps = EM_MAX_STEPS - 1;
    assert_int_equal(em_process_ask(process, "/nowhere/libx.so", NULL, EM_VIA_DLOPEN, &request), EM_OK);
    assert_int_equal(em_process_ask(process, "/nowhere/libx.so", NULL, EM_VIA_DLOPEN, &request), EM_LIMIT);
    assert_int_equal(em_loader_fail_limit(&error, ".venv"), EM_LIMIT);
    snprintf(limit, sizeof limit, "%u steps", EM_MAX_STEPS);
    assert_non_null(strstr(error.sentence, limit));
}

static void stability_is_computed(void **state)
{
    struct em_loadable one, other;
    struct em_request path = { .result = EM_RESULT_LOADED, .rule = EM_RULE_RPATH, .file = &one };
    struct em_request elsewhere = { .result = EM_RESULT_LOADED, .rule = EM_RULE_RPATH, .file = &other };
    struct em_request run = { .result = EM_RESULT_LOADED, .rule = EM_RULE_RUNPATH, .file = &one };
    struct em_request cache = { .result = EM_RESULT_LOADED, .rule = EM_RULE_CACHE, .file = &one };
    struct em_request missing = { .result = EM_RESULT_MISSING };
#define OF(...)                                                                                                                \
    em_stability_of((const struct em_request *[]){ __VA_ARGS__ },                                                              \
                    sizeof((const struct em_request *[]){ __VA_ARGS__ }) / sizeof(void *))

    (void)state;
    assert_int_equal(OF(&path), EM_STABLE);
    assert_int_equal(OF(&path, &path), EM_STABLE);
    assert_int_equal(OF(&path, &elsewhere), EM_ORDER_DEPENDENT);
    assert_int_equal(OF(&missing, &path), EM_ORDER_DEPENDENT);
    assert_int_equal(OF(&run), EM_ENVIRONMENT_DEPENDENT);
    assert_int_equal(OF(&cache), EM_SYSTEM_ONLY);
    assert_int_equal(OF(&missing), EM_MISSING);
    assert_string_equal(em_stability_name(EM_SYSTEM_ONLY), "system-only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_compare_as_numbers),
        cmocka_unit_test(the_best_level_of_the_processor_is_chosen),
        cmocka_unit_test(the_old_format_and_a_new_one_behind_it),
        cmocka_unit_test(a_damaged_cache_is_an_error_or_less),
        cmocka_unit_test(the_world_is_what_the_loader_says),
        cmocka_unit_test(asking_and_forking_leave_the_process_alone),
        cmocka_unit_test(steps_are_counted),
        cmocka_unit_test(stability_is_computed),
    };

    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
