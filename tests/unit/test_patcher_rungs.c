/* Each rung of the ladder alone, on objects that need it, and what the ladder promises over many edits. */
#include "tests/unit/patcher_fixture.h"

#include <sys/mman.h>

static const char *const layouts[] = {
    "-fuse-ld=bfd",
    "-fuse-ld=bfd -Wl,-z,noseparate-code",
    "-fuse-ld=bfd -Wl,-z,noseparate-code -fcf-protection=none",
    "-fuse-ld=bfd -fcf-protection=full",
    "-fuse-ld=gold",
    "-fuse-ld=lld",
    "-fuse-ld=lld -Wl,--no-rosegment -Wl,-z,nognustack",
    "-fuse-ld=mold",
    "-fuse-ld=mold -Wl,--spare-program-headers=2",
};

static const char *const aftermath[] = { "strip", "eu-strip", "llvm-strip", "objcopy" };

static void survives(const char *label)
{
    for (size_t i = 0; i < sizeof aftermath / sizeof *aftermath; i++) {
        if (!have(aftermath[i]))
            continue;
        copy_file("lib.so", "plain.so");
        copy_file("edited.so", "after.so");
        if (run("%s plain.so 2>tool.log", aftermath[i]) == 0 && loads("plain.so") &&
            (run("%s after.so 2>tool.log", aftermath[i]) != 0 || !loads("after.so")))
            fail_msg("%s breaks it: %s", aftermath[i], label);
    }
}

/* Allows one rung and nothing else, on every layout: where it fits, the result must be good; it must fit somewhere. */
static void climb(enum em_rung rung, size_t length)
{
    size_t fits = 0;

    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const struct em_edit one = { .kind = EM_EDIT_SET_RPATH, .value = long_path(length) };
        struct edited edited;
        char label[256];

        if (build_library("lib.so", layouts[i]) != 0 || !loads("lib.so"))
            continue;
        snprintf(label, sizeof label, "%s on %s", em_rung_name(rung), layouts[i]);
        copy_file("lib.so", "edited.so");
        edited = edit_list("edited.so", &one, 1, 1u << rung);
        if (edited.result == EM_REFUSED) {
            assert_int_equal(run("cmp -s lib.so edited.so"), 0);
            continue;
        }
        if (edited.result < 0)
            fail_msg("%s: %s", label, edited.error.sentence);
        fits++;
        assert_int_equal(edited.rung, rung);
        assert_string_equal(object_of("edited.so")->rpath, one.value);
        if (!loads("edited.so"))
            fail_msg("does not load: %s", label);
        if (!no_new_complaint("lib.so", "edited.so"))
            fail_msg("new complaint: %s", label);
        if (rung != EM_RUNG_MOVE_HEADERS)
            survives(label);
    }
    print_message("# %s fits %zu of %zu layouts\n", em_rung_name(rung), fits, sizeof layouts / sizeof *layouts);
    assert_true(fits > 0);
}

static void slide(void **state)
{
    (void)state;
    climb(EM_RUNG_SLIDE, 100);
}

static void evict(void **state)
{
    (void)state;
    climb(EM_RUNG_EVICT, 10);
}

static void copy_dynstr(void **state)
{
    (void)state;
    climb(EM_RUNG_COPY_DYNSTR, 300);
}

static void append_load(void **state)
{
    (void)state;
    climb(EM_RUNG_APPEND_LOAD, 300);
}

static void dynamic_slot(void **state)
{
    (void)state;
    climb(EM_RUNG_DYNAMIC_SLOT, 300);
}

static void grow_headers(void **state)
{
    (void)state;
    climb(EM_RUNG_GROW_HEADERS, 3000);
}

static void move_headers(void **state)
{
    (void)state;
    climb(EM_RUNG_MOVE_HEADERS, 3000);
}

static void a_string_that_is_there_is_used(void **state)
{
    struct edited edited;

    (void)state;
    assert_int_equal(build_library("lib.so", ""), 0);
    edited = edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = "dep.so.1" });
    assert_int_equal(edited.rung, EM_RUNG_REUSE);
    assert_int_equal(edited.growth, 0);
    assert_string_equal(object_of("lib.so")->rpath, "dep.so.1");
    assert_true(loads("lib.so"));
}

static void an_old_path_is_overwritten(void **state)
{
    struct edited edited;

    (void)state;
    assert_int_equal(build_library("lib.so", "-Wl,-rpath,/a/rather/long/path/that/was/here,--enable-new-dtags"), 0);
    edited = edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = "/shorter", .tag = EM_TAG_KEEP });
    assert_int_equal(edited.rung, EM_RUNG_OVERWRITE);
    assert_string_equal(object_of("lib.so")->runpath, "/shorter");
    assert_null(object_of("lib.so")->rpath);
    assert_true(loads("lib.so"));
}

/* The linker lets the path share the bytes of a symbol's name: they are not ours to overwrite. */
static void a_shared_path_is_not_overwritten(void **state)
{
    (void)state;
    write_text("shared.c", "int a_symbol_name(void) { return 42; }\nint answer(void) { return a_symbol_name(); }\n");
    assert_int_equal(run("gcc -shared -fPIC -Wl,-rpath,a_symbol_name shared.c -o shared.so"), 0);
    assert_true(edit("shared.so", (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = "short" }).result == 0);
    assert_int_equal(run("nm -D shared.so | grep -q ' a_symbol_name$'"), 0);
    assert_true(loads("shared.so"));
}

static void a_hundred_paths_do_not_grow_it_without_bound(void **state)
{
    static const char *const linkers[] = { "bfd", "lld", "mold", "gold" };
    uint32_t seed = 7;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char flags[64];
        uint64_t size;

        snprintf(flags, sizeof flags, "-fuse-ld=%s", linkers[i]);
        if (build_library("lib.so", flags) != 0)
            continue;
        size = size_of("lib.so");
        for (int j = 0; j < 100; j++) {
            static char path[1024];

            seed = seed * 1103515245u + 12345u;
            snprintf(path, sizeof path, "/%d/%.*s", j, (int)((seed >> 8) % 900), long_path(1000));
            assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = path }).result, 0);
            assert_string_equal(object_of("lib.so")->rpath, path);
        }
        print_message("# %s: %lld bytes after a hundred paths of up to 900\n", linkers[i],
                      (long long)(size_of("lib.so") - size));
        assert_true(size_of("lib.so") - size <= 4096);
        assert_true(loads("lib.so"));
    }
}

static void every_edit_once(void **state)
{
    (void)state;
    assert_int_equal(build_library("lib.so", "-Wl,-rpath,/x"), 0);
    copy_file("lib.so", "plain.so");
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_REMOVE_RPATH }).result, 0);
    assert_null(object_of("lib.so")->rpath);
    assert_null(object_of("lib.so")->runpath);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_RPATH, .value = "/a" }).result, 0);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_RPATH, .value = "/b" }).result, 0);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_RPATH, .value = "/a" }).ranges, 0);
    assert_string_equal(object_of("lib.so")->rpath, "/a:/b");
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_RPATH, .value = "/b:/c:/a:/d" }).result, 0);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_RPATH, .value = "/c:/d" }).ranges, 0);
    assert_string_equal(object_of("lib.so")->rpath, "/a:/b:/c:/d");
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_SONAME, .value = "libnew.so" }).result, 0);
    assert_string_equal(object_of("lib.so")->soname, "libnew.so");
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_EXECSTACK }).result, 0);
    assert_int_equal(object_of("lib.so")->stack, EM_STACK_EXECUTABLE);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_CLEAR_EXECSTACK }).result, 0);
    assert_int_equal(object_of("lib.so")->stack, EM_STACK_PLAIN);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_NO_DEFAULT_LIB }).result, 0);
    assert_true(object_of("lib.so")->dt_flags_1 & DF_1_NODEFLIB);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_DEBUG_TAG }).result, 0);
    assert_true(object_of("lib.so")->has_debug_tag);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_OS_ABI, .number = ELFOSABI_GNU }).result, 0);
    assert_int_equal(object_of("lib.so")->osabi, ELFOSABI_GNU);
    assert_true(loads("lib.so"));
    assert_true(no_new_complaint("plain.so", "lib.so"));
}

/* ld.so ends the process over a needed version whose file nobody needs. With the last version DT_VERSYM must go, or glibc crashes;
 * where another library's versions are left, the table goes on without those. */
static void versions_follow_what_is_removed(void **state)
{
    (void)state;
    for (int with_libc = 0; with_libc <= 1; with_libc++) {
        assert_int_equal(build_library("lib.so", with_libc ? "-Wl,--no-as-needed -u puts" : ""), 0);
        copy_file("lib.so", "plain.so");
        assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_REMOVE_NEEDED, .value = "libdep.so.1" }).result, 0);
        assert_int_equal(run("readelf -VdW lib.so | grep -q libdep"), 1);
        assert_int_equal(object_of("lib.so")->verneed.count, with_libc);
        assert_true(loads("lib.so"));
        if (with_libc)
            assert_true(no_new_complaint("plain.so", "lib.so"));
        assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_ADD_NEEDED, .value = "./libdep.so.1" }).result, 0);
        assert_true(loads("lib.so"));
    }
}

static void a_cleared_version_is_not_asked_for(void **state)
{
    (void)state;
    assert_int_equal(build_library("lib.so", ""), 0);
    assert_int_equal(run("readelf -VW lib.so | grep -q DEP_1"), 0);
    assert_int_equal(edit("lib.so", (struct em_edit){ .kind = EM_EDIT_CLEAR_SYMBOL_VERSION, .value = "dep" }).result, 0);
    assert_int_equal(run("readelf -VW lib.so | grep -q DEP_1"), 1);
    assert_true(loads("lib.so"));
}

static void a_renamed_symbol_is_found_by_its_new_name(void **state)
{
    static const char *const styles[] = { "gnu", "sysv", "both" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct em_edit back = { .kind = EM_EDIT_RENAME_SYMBOL, .value = "other", .replacement = "answer" };
        char flags[64];

        snprintf(flags, sizeof flags, "-Wl,--hash-style=%s", styles[i]);
        assert_int_equal(build_library("lib.so", flags), 0);
        assert_int_equal(
            edit("lib.so", (struct em_edit){ .kind = EM_EDIT_RENAME_SYMBOL, .value = "answer", .replacement = "other" }).result,
            0);
        assert_false(loads("lib.so"));
        assert_int_equal(edit("lib.so", back).result, 0);
        assert_true(loads("lib.so"));
    }
}

static void programs_run_after_every_edit(void **state)
{
    static const char *const flags[] = {
        "-fuse-ld=bfd -pie",  "-fuse-ld=bfd -no-pie",  "-fuse-ld=lld -pie",  "-fuse-ld=lld -no-pie",
        "-fuse-ld=mold -pie", "-fuse-ld=mold -no-pie", "-fuse-ld=gold -pie", "-fuse-ld=gold -no-pie",
    };

    (void)state;
    assert_int_equal(build_library("libanswer.so", ""), 0);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        for (size_t length = 20; length <= 2500; length *= 5) {
            const struct em_edit edits[] = {
                { .kind = EM_EDIT_SET_RPATH, .value = long_path(length), .tag = EM_TAG_RUNPATH },
                { .kind = EM_EDIT_SET_INTERPRETER, .value = "/lib64/../lib64/../lib64/../lib64/ld-linux-x86-64.so.2" },
                { .kind = EM_EDIT_ADD_NEEDED, .value = "./libextra.so.1" },
            };
            struct edited edited;

            if (run("gcc %s main.c -o program -L. -l:libanswer.so -Wl,-rpath-link,. 2>build.log", flags[i]) != 0 ||
                !object_of("program")->interpreter || run("LD_LIBRARY_PATH=. ./program") != 0)
                continue;
            copy_file("program", "before");
            edited = edit_list("program", edits, 3, 0);
            if (edited.result < 0)
                fail_msg("%s: %s", flags[i], edited.error.sentence);
            if (run("LD_LIBRARY_PATH=. ./program") != 0)
                fail_msg("does not run after %s: %s, %zu", em_rung_name(edited.rung), flags[i], length);
            if (!no_new_complaint("before", "program"))
                fail_msg("new complaint after %s: %s, %zu", em_rung_name(edited.rung), flags[i], length);
            if (edited.rung < EM_RUNG_MOVE_HEADERS && (run("strip program") != 0 || run("LD_LIBRARY_PATH=. ./program") != 0))
                fail_msg("does not run after %s and strip: %s, %zu", em_rung_name(edited.rung), flags[i], length);
        }
}

/* llvm-strip and llvm-objcopy lay out a PT_LOAD after the first header of the table that begins at its offset (send_table_along). */
static size_t count_heads_of_loads(const char *path)
{
    FILE *file = fopen(path, "r");
    Elf64_Phdr phdrs[64];
    Elf64_Ehdr header;
    size_t found = 0;

    assert_non_null(file);
    assert_int_equal(fread(&header, sizeof header, 1, file), 1);
    assert_true(header.e_phnum <= 64 && fseek(file, (long)header.e_phoff, SEEK_SET) == 0);
    assert_int_equal(fread(phdrs, sizeof *phdrs, header.e_phnum, file), header.e_phnum);
    fclose(file);
    for (size_t i = 0; i < header.e_phnum; i++)
        for (size_t j = i + 1; j < header.e_phnum; j++)
            found += (phdrs[i].p_type == PT_INTERP || phdrs[i].p_type == PT_NOTE) && phdrs[j].p_type == PT_LOAD &&
                     phdrs[i].p_offset == phdrs[j].p_offset;
    return found;
}

static void no_name_or_note_comes_first_in_a_new_segment(void **state)
{
    static const char *const linkers[] = { "bfd", "gold", "lld", "mold" };
    char interpreter[300] = "/lib64/";

    (void)state;
    for (size_t i = 0; i < 60; i++)
        strcat(interpreter, "./");
    strcat(interpreter, "ld-linux-x86-64.so.2");
    assert_int_equal(build_library("libanswer.so", ""), 0);
    for (size_t i = 0; i < sizeof linkers / sizeof *linkers; i++) {
        if (run("gcc -fuse-ld=%s main.c -o program -L. -l:libanswer.so -Wl,-rpath-link,. 2>build.log", linkers[i]) != 0) {
            print_message("# no %s here\n", linkers[i]);
            continue;
        }
        assert_int_equal(edit("program", (struct em_edit){ .kind = EM_EDIT_SET_INTERPRETER, .value = interpreter }).result, 0);
        assert_int_equal(count_heads_of_loads("program"), 0);
        assert_int_equal(run("LD_LIBRARY_PATH=. ./program"), 0);
        if (have("llvm-strip"))
            assert_int_equal(run("llvm-strip program && LD_LIBRARY_PATH=. ./program"), 0);
    }
}

/* Where its old name was, the program headers can grow again: without that room the third edit would have to move them. */
static void an_interpreter_that_leaves_leaves_room(void **state)
{
    const struct em_edit edits[] = {
        { .kind = EM_EDIT_REPLACE_NEEDED, .value = "libanswer.so", .replacement = "././././././././././libanswer.so" },
        { .kind = EM_EDIT_SET_INTERPRETER, .value = "/lib64/../lib64/../lib64/../lib64/ld-linux-x86-64.so.2" },
        { .kind = EM_EDIT_SET_RPATH, .value = long_path(966), .tag = EM_TAG_RPATH },
    };

    (void)state;
    if (!have_linker("lld")) {
        print_message("# no lld here\n");
        skip();
    }
    assert_int_equal(build_library("libanswer.so", ""), 0);
    assert_int_equal(run("gcc -fuse-ld=lld -no-pie main.c -o program -L. -l:libanswer.so -Wl,-rpath-link,."), 0);
    for (size_t i = 0; i < 3; i++) {
        struct edited edited = edit("program", edits[i]);

        assert_int_equal(edited.result, 0);
        assert_true(edited.rung < EM_RUNG_MOVE_HEADERS);
    }
    assert_int_equal(run("LD_LIBRARY_PATH=. ./program"), 0);
    assert_int_equal(run("objcopy program && LD_LIBRARY_PATH=. ./program"), 0);
}

/* A program whose interpreter's name lies behind .dynstr: what moves over its old bytes has them, and nothing else may. */
static void an_interpreter_behind_the_strings_gives_its_bytes_once(void **state)
{
    const struct em_edit edits[] = {
        { .kind = EM_EDIT_SET_INTERPRETER, .value = "/lib64/../lib64/../lib64/../lib64/ld-linux-x86-64.so.2" },
        { .kind = EM_EDIT_SET_RPATH, .value = long_path(100) },
    };
    struct edited edited;

    (void)state;
    assert_int_equal(build_library("libanswer.so", ""), 0);
    assert_int_equal(run("ld --verbose | sed '1,/^=====/d; /^=====/,$d' | "
                         "sed '/^ *\\.interp /d; /^ *\\.dynstr /a .interp : { *(.interp) }' >script && "
                         "gcc -fuse-ld=bfd -no-pie -Wl,-T,script main.c -o program -L. -l:libanswer.so -Wl,-rpath-link,."),
                     0);
    copy_file("program", "before");
    edited = edit_list("program", edits, 2, 0);
    if (edited.result < 0)
        fail_msg("%s", edited.error.sentence);
    assert_true(edited.rung < EM_RUNG_MOVE_HEADERS);
    assert_int_equal(run("LD_LIBRARY_PATH=. ./program"), 0);
    assert_true(no_new_complaint("before", "program"));
}

/* A file of this machine as it lies in memory, to be changed, and its first section of a type. */
static uint8_t *map_object(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *file;

    assert_true(fd >= 0);
    file = mmap(NULL, size_of(path), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(file != MAP_FAILED);
    close(fd);
    return file;
}

static Elf64_Shdr *section_of(uint8_t *file, uint32_t type)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    Elf64_Shdr *sections = (Elf64_Shdr *)(file + header->e_shoff);

    for (size_t i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_type == type)
            return &sections[i];
    fail_msg("no section of type %u", type);
    return NULL;
}

/* GNU ld has _DYNAMIC absolute on s390x: it goes with its section all the same. */
static void the_absolute_symbol_of_the_dynamic_section_follows_it(void **state)
{
    struct edited edited;
    Elf64_Shdr *table;
    Elf64_Sym *symbol;
    uint8_t *file;

    (void)state;
    if (build_library("lib.so", "-fuse-ld=lld -Wl,--pack-dyn-relocs=relr") != 0) {
        print_message("# no lld here\n");
        skip();
    }
    file = map_object("lib.so");
    table = section_of(file, SHT_SYMTAB);
    symbol = (Elf64_Sym *)(file + table->sh_offset);
    while (symbol->st_value != section_of(file, SHT_DYNAMIC)->sh_addr)
        symbol++;
    symbol->st_shndx = SHN_ABS;
    munmap(file, size_of("lib.so"));
    edited = edit("lib.so", (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = "/x" });
    assert_int_equal(edited.result, 0);
    assert_int_equal(edited.rung, EM_RUNG_DYNAMIC_SLOT);
    assert_int_equal(run("at=$(readelf -SW lib.so | sed -n 's/.* \\.dynamic *DYNAMIC *\\([0-9a-f]*\\) .*/\\1/p') && "
                         "readelf -sW lib.so | grep -q \": $at .* ABS _DYNAMIC\""),
                     0);
}

/* GNU strip lets PT_GNU_RELRO begin with its first section and keeps its size (trim_relro). */
static void a_dynamic_section_that_leaves_takes_its_part_of_relro_along(void **state)
{
    (void)state;
    if (build_library("lib.so", "-fuse-ld=mold -Wl,--spare-dynamic-tags=1") != 0) {
        print_message("# no mold here\n");
        skip();
    }
    copy_file("lib.so", "edited.so");
    assert_int_equal(edit_list("edited.so",
                               (const struct em_edit[]){ { .kind = EM_EDIT_SET_RPATH, .value = "/x" },
                                                         { .kind = EM_EDIT_ADD_DEBUG_TAG },
                                                         { .kind = EM_EDIT_ADD_NEEDED, .value = "./libextra.so.1" } },
                               3, 0)
                         .rung,
                     EM_RUNG_DYNAMIC_SLOT);
    assert_true(loads("edited.so"));
    assert_true(no_new_complaint("lib.so", "edited.so"));
    assert_int_equal(run("strip lib.so edited.so"), 0);
    assert_true(loads("edited.so"));
    assert_true(no_new_complaint("lib.so", "edited.so"));
}

/* Linkers leave local symbols out of the hash table, and a name of one may be another's. */
static void a_local_symbol_is_in_no_hash_table(void **state)
{
    const uint32_t *hash, *chains;
    const Elf64_Sym *symbols;
    uint32_t found = 0;
    Elf64_Sym *symbol;
    uint8_t *file;

    (void)state;
    assert_int_equal(build_library("lib.so", "-Wl,--hash-style=sysv"), 0);
    file = map_object("lib.so");
    symbol = (Elf64_Sym *)(file + section_of(file, SHT_DYNSYM)->sh_offset) + 1;
    symbol->st_info = ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE);
    munmap(file, size_of("lib.so"));
    assert_int_equal(
        edit("lib.so", (struct em_edit){ .kind = EM_EDIT_RENAME_SYMBOL, .value = "answer", .replacement = "other" }).result, 0);
    file = map_object("lib.so");
    symbols = (const Elf64_Sym *)(file + section_of(file, SHT_DYNSYM)->sh_offset);
    hash = (const uint32_t *)(file + section_of(file, SHT_HASH)->sh_offset);
    chains = hash + 2 + hash[0];
    for (uint32_t bucket = 0; bucket < hash[0]; bucket++)
        for (uint32_t i = hash[2 + bucket]; i != 0; i = chains[i], found++)
            assert_int_not_equal(ELF64_ST_BIND(symbols[i].st_info), STB_LOCAL);
    assert_int_equal(found, hash[1] - 2); /* all but the null symbol and the local one */
    munmap(file, size_of("lib.so"));
}

static void what_has_no_dynamic_section_is_refused(void **state)
{
    struct edited edited;

    (void)state;
    assert_int_equal(run("gcc -c lib.c -o lib.o"), 0);
    edited = edit("lib.o", (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = "/x" });
    assert_int_equal(edited.result, EM_REFUSED);
    assert_string_equal(edited.error.path, "lib.o");
    assert_non_null(strstr(edited.error.sentence, "no dynamic section"));
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
        cmocka_unit_test(slide),
        cmocka_unit_test(evict),
        cmocka_unit_test(copy_dynstr),
        cmocka_unit_test(append_load),
        cmocka_unit_test(dynamic_slot),
        cmocka_unit_test(grow_headers),
        cmocka_unit_test(move_headers),
        cmocka_unit_test(a_string_that_is_there_is_used),
        cmocka_unit_test(an_old_path_is_overwritten),
        cmocka_unit_test(a_shared_path_is_not_overwritten),
        cmocka_unit_test(a_hundred_paths_do_not_grow_it_without_bound),
        cmocka_unit_test(every_edit_once),
        cmocka_unit_test(versions_follow_what_is_removed),
        cmocka_unit_test(a_cleared_version_is_not_asked_for),
        cmocka_unit_test(a_renamed_symbol_is_found_by_its_new_name),
        cmocka_unit_test(programs_run_after_every_edit),
        cmocka_unit_test(no_name_or_note_comes_first_in_a_new_segment),
        cmocka_unit_test(an_interpreter_that_leaves_leaves_room),
        cmocka_unit_test(an_interpreter_behind_the_strings_gives_its_bytes_once),
        cmocka_unit_test(the_absolute_symbol_of_the_dynamic_section_follows_it),
        cmocka_unit_test(a_dynamic_section_that_leaves_takes_its_part_of_relro_along),
        cmocka_unit_test(a_local_symbol_is_in_no_hash_table),
        cmocka_unit_test(what_has_no_dynamic_section_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
