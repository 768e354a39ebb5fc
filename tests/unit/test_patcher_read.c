/* Reading: what is there, in any class and byte order; and that a broken file gives a sentence with a place, and nothing else. */
#include "tests/unit/patcher_elf.h"
#include "tests/unit/patcher_fixture.h"

static const struct {
    bool is64, big_endian, no_sections;
} kinds[] = {
    { true, false, false }, { true, true, false }, { false, false, false }, { false, true, false },
    { true, false, true },  { true, true, true },  { false, false, true },  { false, true, true },
};

static struct tiny *make(size_t kind, size_t spare)
{
    static struct tiny tiny;

    tiny = (struct tiny){
        .is64 = kinds[kind].is64, .big_endian = kinds[kind].big_endian, .no_sections = kinds[kind].no_sections, .spare = spare
    };
    tiny_build(&tiny);
    return &tiny;
}

struct reading {
    struct em_arena *arena;
    struct em_bytes bytes;
    struct em_reader reader;
    struct em_object object;
    struct em_error error;
    int result;
};

static void start(struct reading *reading, const uint8_t *data, size_t size)
{
    *reading = (struct reading){ .arena = em_arena_new(), .bytes = { data, size }, .error = EM_ERROR_INIT };
    reading->reader = em_reader_memory(&reading->bytes, "tiny.so");
    reading->result = em_object_read(&reading->object, reading->arena, &reading->reader, &reading->error);
}

static void reads_every_class_and_byte_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tiny *tiny = make(i, 2);
        struct reading reading;
        bool imports;

        start(&reading, tiny->bytes, tiny->size);
        if (reading.result < 0)
            fail_msg("kind %zu: %s", i, reading.error.sentence);
        assert_int_equal(reading.object.is64, kinds[i].is64);
        assert_int_equal(reading.object.big_endian, kinds[i].big_endian);
        assert_int_equal(reading.object.has_sections, !kinds[i].no_sections);
        assert_string_equal(reading.object.soname, "libtiny.so.2");
        assert_string_equal(reading.object.runpath, "$ORIGIN/old");
        assert_null(reading.object.rpath);
        assert_int_equal(reading.object.needed.count, 1);
        assert_string_equal(reading.object.needed.items[0], "libneeded.so.1");
        assert_int_equal(reading.object.verneed.count, 1);
        assert_string_equal(reading.object.verneed.items[0].file, "libneeded.so.1");
        assert_string_equal(reading.object.verneed.items[0].versions.items[0].name, "NEEDED_1");
        assert_int_equal(reading.object.stack, EM_STACK_PLAIN);
        assert_int_equal(em_object_imports(&imports, &reading.reader, "dlopen", NULL), 0);
        assert_true(imports);
        assert_int_equal(em_object_imports(&imports, &reading.reader, "open", NULL), 0);
        assert_false(imports);
        em_arena_free(reading.arena);
    }
}

static void edits_every_class_and_byte_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t spare = 0; spare <= 2; spare += 2) {
            struct tiny *tiny = make(i, spare);
            const struct em_edit edits[] = {
                { .kind = EM_EDIT_SET_RPATH, .value = long_path(300), .tag = EM_TAG_RPATH },
                { .kind = EM_EDIT_REPLACE_NEEDED,
                  .value = "libneeded.so.1",
                  .replacement = "libreplaced-by-a-longer-name.so.1" },
                { .kind = EM_EDIT_ADD_NEEDED, .value = "libfirst.so" },
            };
            struct em_patch patch, again;
            struct em_patched patched;
            struct reading reading;
            int r;

            start(&reading, tiny->bytes, tiny->size);
            r = em_patch_make(&patch, reading.arena, &reading.reader, edits, 3, NULL, &reading.error);
            if (r < 0)
                fail_msg("kind %zu, %zu spare: %s", i, spare, reading.error.sentence);
            em_patched_init(&patched, &reading.reader, &patch);
            assert_int_equal(em_object_read(&reading.object, reading.arena, &patched.reader, &reading.error), 0);
            assert_string_equal(reading.object.rpath, long_path(300));
            assert_null(reading.object.runpath);
            assert_int_equal(reading.object.needed.count, 2);
            assert_string_equal(reading.object.needed.items[0], "libfirst.so");
            assert_string_equal(reading.object.needed.items[1], "libreplaced-by-a-longer-name.so.1");
            assert_string_equal(reading.object.verneed.items[0].file, "libreplaced-by-a-longer-name.so.1");
            assert_string_equal(reading.object.soname, "libtiny.so.2");
            assert_int_equal(em_patch_make(&again, reading.arena, &patched.reader, edits, 3, NULL, NULL), 0);
            assert_true(em_patch_is_empty(&again));
            em_arena_free(reading.arena);
        }
}

/* Each breaks one thing; all must be EM_BAD_ELF (or EM_LIMIT where a count is absurd) with a sentence. */
static void break_phoff(struct tiny *tiny)
{
    tiny_put(tiny, 24 + tiny_word(tiny), 1u << 30);
}
static void break_phentsize(struct tiny *tiny)
{
    tiny_16(tiny, 24 + 3 * tiny_word(tiny) + 6, 7);
}
static void break_load_end(struct tiny *tiny)
{
    tiny_put(tiny, tiny->phdrs + (tiny->is64 ? 32 : 16), 1u << 20);
}
static void break_load_wrap(struct tiny *tiny)
{
    tiny_put(tiny, tiny->phdrs + (tiny->is64 ? 16 : 8), UINT64_MAX - 15);
    if (!tiny->is64)
        tiny_put(tiny, tiny->phdrs + 8, UINT32_MAX - 15);
}
static void break_dynamic_place(struct tiny *tiny)
{
    tiny_put(tiny, tiny->phdrs + 2 * (tiny->is64 ? 56 : 32) + (tiny->is64 ? 16 : 8), 0x5000);
}
static void break_dynamic_end(struct tiny *tiny)
{
    for (size_t at = tiny->dynamic; at < tiny->dynamic + 40 * 2 * tiny_word(tiny) && at + 16 < TINY_SIZE;
         at += 2 * tiny_word(tiny))
        tiny_put(tiny, at, DT_DEBUG);
}
static void break_strtab(struct tiny *tiny)
{
    tiny_put(tiny, tiny->dynamic + 9 * tiny_word(tiny), 0x7000);
}
static void break_strsz(struct tiny *tiny)
{
    tiny_put(tiny, tiny->dynamic + 11 * tiny_word(tiny), 0x7000);
}
static void break_strsz_huge(struct tiny *tiny)
{
    tiny_put(tiny, tiny->dynamic + 11 * tiny_word(tiny), UINT32_MAX);
}
static void break_needed(struct tiny *tiny)
{
    tiny_put(tiny, tiny->dynamic + tiny_word(tiny), 0x6fff);
}
static void break_verneed_place(struct tiny *tiny)
{
    tiny_put(tiny, tiny->dynamic + 19 * tiny_word(tiny), 0x6fff);
}
static void break_verneed_next(struct tiny *tiny)
{
    tiny_32(tiny, tiny->verneed + 12, 0x7fffffff);
}
static void break_verneed_file(struct tiny *tiny)
{
    tiny_32(tiny, tiny->verneed + 4, 0x7fffffff);
}
static void break_aux_next(struct tiny *tiny)
{
    tiny_16(tiny, tiny->verneed + 2, 2);
    tiny_32(tiny, tiny->verneed + 28, 0x7ffffff0);
}
static void break_unended_string(struct tiny *tiny)
{
    memset(tiny->bytes + tiny->dynstr, 'x', tiny->dynstr_size);
}

static void a_broken_file_gives_a_sentence(void **state)
{
    static void (*const breaks[])(struct tiny *) = {
        break_phoff,         break_phentsize,    break_load_end,     break_load_wrap,  break_dynamic_place,
        break_dynamic_end,   break_strtab,       break_strsz,        break_strsz_huge, break_needed,
        break_verneed_place, break_verneed_next, break_verneed_file, break_aux_next,   break_unended_string,
    };

    (void)state;
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++)
        for (size_t kind = 0; kind < 4; kind++) {
            struct tiny *tiny = make(kind, 0);
            struct reading reading;

            breaks[i](tiny);
            start(&reading, tiny->bytes, tiny->size);
            if (reading.result != EM_BAD_ELF && reading.result != EM_LIMIT)
                fail_msg("break %zu of kind %zu gives %d: %s", i, kind, reading.result, reading.error.sentence);
            assert_string_equal(reading.error.path, "tiny.so");
            assert_true(strlen(reading.error.sentence) > 10);
            em_arena_free(reading.arena);
        }
}

static void what_is_no_object_is_told_from_a_broken_one(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        int result;
    } inputs[] = {
        { "", 0, EM_NOT_ELF },
        { "\x7f", 1, EM_NOT_ELF },
        { "#!/bin/sh\n", 10, EM_NOT_ELF },
        { ELFMAG, 4, EM_BAD_ELF },
        { ELFMAG "\x03\x01\x01\0\0\0\0\0\0\0\0\0", 16, EM_BAD_ELF },
        { ELFMAG "\x02\x03\x01\0\0\0\0\0\0\0\0\0", 16, EM_BAD_ELF },
        { ELFMAG "\x02\x01\x01\0\0\0\0\0\0\0\0\0", 16, EM_BAD_ELF },
    };

    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct reading reading;

        start(&reading, (const uint8_t *)inputs[i].bytes, inputs[i].size);
        assert_int_equal(reading.result, inputs[i].result);
        assert_true(strlen(reading.error.sentence) > 10);
        em_arena_free(reading.arena);
    }
}

/* Cut anywhere, or with any few bytes wrong: an answer, never a crash, and never a patch that the check would not stand behind. */
static void no_file_is_too_broken(void **state)
{
    uint32_t seed = 12345;

    (void)state;
    for (size_t round = 0; round < 6000; round++) {
        struct tiny *tiny = make(round % (sizeof kinds / sizeof *kinds), round % 3);
        const struct em_edit edits[] = {
            { .kind = EM_EDIT_SET_RPATH, .value = long_path(round % 200) },
            { .kind = EM_EDIT_REMOVE_NEEDED, .value = "libneeded.so.1" },
            { .kind = EM_EDIT_RENAME_SYMBOL, .value = "dlopen", .replacement = "dlclose" },
            { .kind = EM_EDIT_CLEAR_SYMBOL_VERSION, .value = "dlopen" },
        };
        struct em_strings names;
        struct reading reading;
        struct em_patch patch;
        size_t size = tiny->size;
        bool imports;

        for (size_t i = 0; i <= round % 4; i++) {
            seed = seed * 1103515245u + 12345u;
            tiny->bytes[(seed >> 8) % (round % 2 ? tiny->size : 0x400)] = (uint8_t)(seed >> 24);
        }
        if (round % 5 == 0)
            size = (seed >> 4) % tiny->size;
        start(&reading, tiny->bytes, size);
        em_names_scan(&names, reading.arena, &reading.reader, NULL);
        em_object_imports(&imports, &reading.reader, "dlopen", NULL);
        if (em_patch_make(&patch, reading.arena, &reading.reader, edits + round % 4, 1, NULL, &reading.error) == EM_OK) {
            struct em_patched patched;

            em_patched_init(&patched, &reading.reader, &patch);
            if (!em_patch_is_empty(&patch) && reading.result == EM_OK &&
                em_object_read(&reading.object, reading.arena, &patched.reader, &reading.error) < 0)
                fail_msg("round %zu: %s by %s: %s", round, reading.reader.name, em_rung_name(patch.rung),
                         reading.error.sentence);
        }
        em_arena_free(reading.arena);
    }
}

static void names_are_found_by_their_shape(void **state)
{
    static const char *const wanted[] = { "libfoo.so", "libbar.so.1.2", "/usr/lib/libq.so.3", "libGLX_%s.so.0",
                                          "libnvrtc.so." };
    struct em_arena *arena = em_arena_new();
    struct em_strings names;
    struct em_reader reader;
    int fd;

    (void)state;
    write_text("names.c", "const char *const names[] = { \"libfoo.so\", \"open libbar.so.1.2 now\", \"/usr/lib/libq.so.3\","
                          " \"libGLX_%s.so.0\", \"libnvrtc.so.\", \"lib.so\", \"libx.sox\", \"foo.so\", \"libfoo.so\","
                          " \"libsoname\" };\nint used(void) { return names[0][0]; }\n");
    assert_int_equal(run("gcc -O1 -shared -fPIC -Wl,-soname,libnotme.so.9 names.c -o names.so"), 0);
    fd = open("names.so", O_RDONLY | O_CLOEXEC);
    reader = em_reader_fd(fd, size_of("names.so"), "names.so");
    assert_int_equal(em_names_scan(&names, arena, &reader, NULL), 0);
    for (size_t i = 0; i < names.count; i++)
        print_message("# found %s\n", names.items[i]);
    assert_int_equal(names.count, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < names.count; i++) {
        bool found = false;

        for (size_t j = 0; j < names.count; j++)
            found = found || strcmp(names.items[i], wanted[j]) == 0;
        assert_true(found);
    }
    close(fd);
    em_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_class_and_byte_order),
        cmocka_unit_test(edits_every_class_and_byte_order),
        cmocka_unit_test(a_broken_file_gives_a_sentence),
        cmocka_unit_test(what_is_no_object_is_told_from_a_broken_one),
        cmocka_unit_test(no_file_is_too_broken),
        cmocka_unit_test(names_are_found_by_their_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
