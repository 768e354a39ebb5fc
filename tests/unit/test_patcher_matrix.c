/* Linkers x their options x edits x what people do to a file afterwards. A cell is good if the object loads and computes what it
 * should; the judges are ld.so, readelf and eu-elflint, never our own reader. */
#include "tests/unit/patcher_fixture.h"

static const char *const layouts[] = {
    "",
    "-Wl,-z,noseparate-code",
    "-Wl,-z,separate-code",
    "-Wl,-z,now -Wl,-z,relro",
    "-Wl,-z,norelro",
    "-Wl,--hash-style=sysv",
    "-Wl,--hash-style=both",
    "-Wl,--build-id=none -fcf-protection=none",
    "-Wl,-z,max-page-size=0x200000",
    "-Wl,-z,max-page-size=0x10000 -Wl,-z,noseparate-code",
    "-Wl,-z,pack-relative-relocs",
    "-Wl,-rpath,/old/place:/another -Wl,--disable-new-dtags",
    "-Wl,-rpath,/old/place -Wl,--enable-new-dtags -Wl,-z,noexecstack",
};

static const char *const aftermath[] = {
    "strip", "strip -g", "eu-strip", "llvm-strip", "objcopy", "llvm-objcopy",
};

struct tally {
    size_t cells, refused, rungs[EM_RUNG_MOVE_HEADERS + 1];
    int64_t growth;
};

/* A tool that breaks the object as the linker left it has no say. */
static void check_aftermath(const char *original, const char *edited, const char *label)
{
    for (size_t i = 0; i < sizeof aftermath / sizeof *aftermath; i++) {
        char tool[32];

        snprintf(tool, sizeof tool, "%.*s", (int)strcspn(aftermath[i], " "), aftermath[i]);
        if (!have(tool))
            continue;
        copy_file(original, "plain.so");
        copy_file(edited, "after.so");
        if (run("%s plain.so 2>tool.log", aftermath[i]) != 0 || !loads("plain.so"))
            continue;
        if (run("%s after.so 2>tool.log", aftermath[i]) != 0 || !loads("after.so"))
            fail_msg("%s breaks it: %s", aftermath[i], label);
    }
}

static void check_cell(struct tally *tally, const struct em_edit *edits, size_t count, bool with_aftermath, const char *label)
{
    struct edited edited;

    copy_file("lib.so", "edited.so");
    edited = edit_list("edited.so", edits, count, 0);
    tally->cells++;
    if (edited.result < 0)
        fail_msg("%s: %s", label, edited.error.sentence);
    tally->rungs[edited.rung]++;
    tally->growth += edited.growth;
    if (!loads("edited.so"))
        fail_msg("does not load after %s: %s", em_rung_name(edited.rung), label);
    if (!no_new_complaint("lib.so", "edited.so"))
        fail_msg("new complaint after %s: %s", em_rung_name(edited.rung), label);
    if (with_aftermath && edited.rung < EM_RUNG_MOVE_HEADERS)
        check_aftermath("lib.so", "edited.so", label);
    /* Once more is nothing more. */
    assert_int_equal(edit_list("edited.so", edits, count, 0).ranges, 0);
}

static void check_layout(struct tally *tally, const char *linker, const char *layout)
{
    const struct em_edit paths[] = {
        { .kind = EM_EDIT_SET_RPATH, .value = "$ORIGIN" },
        { .kind = EM_EDIT_SET_RPATH, .value = long_path(128), .tag = EM_TAG_RPATH },
        { .kind = EM_EDIT_REMOVE_RPATH },
    };
    const struct em_edit all[] = {
        { .kind = EM_EDIT_SET_SONAME, .value = "libanother-name-0123456789abcdef.so.1" },
        { .kind = EM_EDIT_REPLACE_NEEDED, .value = "libdep.so.1", .replacement = "./libdep.so.1" },
        { .kind = EM_EDIT_ADD_NEEDED, .value = "./libextra.so.1" },
        { .kind = EM_EDIT_SET_RPATH, .value = "/a/path/that/is/not/there", .tag = EM_TAG_RUNPATH },
        { .kind = EM_EDIT_NO_DEFAULT_LIB },
        { .kind = EM_EDIT_ADD_DEBUG_TAG },
    };
    char label[512];

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(label, sizeof label, "%s %s, path edit %zu", linker, layout, i);
        check_cell(tally, &paths[i], 1, i == 1, label);
    }
    snprintf(label, sizeof label, "%s %s, RPATH of 1500", linker, layout);
    check_cell(tally, &(struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = long_path(1500) }, 1, true, label);
    snprintf(label, sizeof label, "%s %s, many edits", linker, layout);
    check_cell(tally, all, sizeof all / sizeof *all, true, label);
}

static void check_linker(const char *linker)
{
    struct tally tally = { 0 };

    if (!have_linker(linker)) {
        print_message("# no %s here: nothing to test\n", linker);
        skip();
    }
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        char flags[512];

        snprintf(flags, sizeof flags, "-fuse-ld=%s %s", linker, layouts[i]);
        if (build_library("lib.so", flags) != 0 || !loads("lib.so")) {
            print_message("# %s does not take %s\n", linker, layouts[i]);
            continue;
        }
        check_layout(&tally, linker, layouts[i]);
    }
    print_message("# %s: %zu cells, %lld bytes of growth on average;", linker, tally.cells,
                  (long long)(tally.growth / (int64_t)(tally.cells + !tally.cells)));
    for (int i = 0; i <= EM_RUNG_MOVE_HEADERS; i++)
        if (tally.rungs[i] > 0)
            print_message(" %s %zu", em_rung_name((enum em_rung)i), tally.rungs[i]);
    print_message("\n");
    assert_true(tally.cells > 0);
}

static void gnu_ld_objects_load_after_every_edit(void **state)
{
    (void)state;
    check_linker("bfd");
}

static void gold_objects_load_after_every_edit(void **state)
{
    (void)state;
    check_linker("gold");
}

static void lld_objects_load_after_every_edit(void **state)
{
    (void)state;
    check_linker("lld");
}

static void mold_objects_load_after_every_edit(void **state)
{
    (void)state;
    check_linker("mold");
}

static int setup(void **state)
{
    (void)state;
    write_sources();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gnu_ld_objects_load_after_every_edit),
        cmocka_unit_test(gold_objects_load_after_every_edit),
        cmocka_unit_test(lld_objects_load_after_every_edit),
        cmocka_unit_test(mold_objects_load_after_every_edit),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
