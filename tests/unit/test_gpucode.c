/* GPU code by its headers, on objects made of containers whose every byte is known here. */
#include "tests/unit/arena.h"

#include "patcher/gpucode.h"

#include <elf.h>

#define ROOM (2u << 20)

/* Bytes of one section while it is filled. */
struct section {
    uint8_t *data;
    size_t size;
    size_t container; /* where the open container begins */
    uint64_t flags;
};

static struct section section(uint64_t flags)
{
    struct section made = { .data = em_arena_alloc(arena, ROOM), .flags = flags };

    assert_non_null(made.data);
    return made;
}

static void begin(struct section *to)
{
    to->container = to->size;
    em_store_u32(to->data + to->size, false, 0xba55ed50);
    em_store_u16(to->data + to->size + 4, false, 1);
    em_store_u16(to->data + to->size + 6, false, 16);
    to->size += 16;
}

static void entry(struct section *to, uint16_t kind, uint32_t arch, uint64_t flags, uint32_t header, uint64_t payload)
{
    uint8_t *at = to->data + to->size;

    em_store_u16(at, false, kind);
    em_store_u16(at + 2, false, 0x101);
    em_store_u32(at + 4, false, header);
    em_store_u64(at + 8, false, payload);
    em_store_u32(at + 28, false, arch);
    em_store_u64(at + 40, false, flags);
    to->size += header + payload;
}

static void end(struct section *to)
{
    em_store_u64(to->data + to->container + 8, false, to->size - to->container - 16);
}

/* An ELF64 object with these sections behind each other; without a section table where that is asked for. */
static struct em_bytes object(const struct section *sections, size_t count, bool table)
{
    size_t size = 4096, at = 4096;
    uint8_t *data;
    Elf64_Ehdr header = { .e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = 1, .e_ehsize = sizeof header };
    Elf64_Phdr load = { .p_type = PT_LOAD, .p_flags = PF_R, .p_align = 4096 };

    for (size_t i = 0; i < count; i++)
        size += sections[i].size;
    load.p_filesz = load.p_memsz = size;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof load;
    header.e_phnum = 1;
    data = em_arena_alloc(arena, size + (count + 1) * sizeof(Elf64_Shdr));
    assert_non_null(data);
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = 1;
    if (table) {
        header.e_shoff = size;
        header.e_shentsize = sizeof(Elf64_Shdr);
        header.e_shnum = (uint16_t)(count + 1);
    }
    memcpy(data, &header, sizeof header);
    memcpy(data + sizeof header, &load, sizeof load);
    for (size_t i = 0; i < count; i++) {
        Elf64_Shdr made = { .sh_type = SHT_PROGBITS, .sh_flags = sections[i].flags, .sh_addr = at, .sh_offset = at };

        made.sh_size = sections[i].size;
        memcpy(data + at, sections[i].data, sections[i].size);
        if (table)
            memcpy(data + size + (i + 1) * sizeof made, &made, sizeof made);
        at += sections[i].size;
    }
    return (struct em_bytes){ data, table ? size + (count + 1) * sizeof(Elf64_Shdr) : size };
}

static struct em_gpu_listing scan(struct em_bytes bytes)
{
    struct em_reader reader = em_reader_memory(&bytes, "object");
    struct em_gpu_listing listing;
    struct em_error error = EM_ERROR_INIT;

    assert_int_equal(em_gpu_code_scan(&listing, arena, &reader, &error), EM_OK);
    return listing;
}

static void assert_code(const struct em_gpu_listing *listing, size_t index, const char *name, enum em_gpu_kind kind,
                        size_t count, uint64_t bytes)
{
    assert_true(index < listing->codes.count);
    assert_string_equal(em_gpu_code_name(arena, &listing->codes.items[index]), name);
    assert_int_equal(listing->codes.items[index].kind, kind);
    assert_int_equal(listing->codes.items[index].count, count);
    assert_int_equal(listing->codes.items[index].bytes, bytes);
}

static void entries_are_counted_by_architecture_and_kind(void **state)
{
    struct section s = section(SHF_ALLOC);
    struct em_gpu_listing listing;

    (void)state;
    begin(&s);
    entry(&s, 2, 90, 0x100000, 64, 32);
    entry(&s, 2, 80, 0, 120, 16);
    entry(&s, 1, 80, 0x8000, 72, 8);
    end(&s);
    begin(&s);
    entry(&s, 2, 80, 0, 64, 40);
    entry(&s, 2, 100, 0x200000, 64, 8);
    entry(&s, 8, 80, 0x10000, 64, 24);
    entry(&s, 0x40, 80, 0, 64, 8);
    end(&s);
    listing = scan(object(&s, 1, true));
    assert_int_equal(listing.containers, 2);
    assert_int_equal(listing.broken, 0);
    assert_int_equal(listing.codes.count, 6);
    assert_code(&listing, 0, "sm_80", EM_GPU_CUBIN, 2, 56);
    assert_code(&listing, 1, "compute_80", EM_GPU_PTX, 1, 8);
    assert_code(&listing, 2, "compute_80", EM_GPU_LTO, 1, 24);
    assert_code(&listing, 3, "compute_80", EM_GPU_OTHER, 1, 8);
    assert_code(&listing, 4, "sm_90a", EM_GPU_CUBIN, 1, 32);
    assert_code(&listing, 5, "sm_100f", EM_GPU_CUBIN, 1, 8);
    /* Which stand together: bits are indices into the sorted list. */
    assert_int_equal(listing.sets.count, 2);
    assert_int_equal(listing.sets.items[0].codes, 1u << 0 | 1u << 1 | 1u << 4);
    assert_int_equal(listing.sets.items[1].codes, 1u << 0 | 1u << 2 | 1u << 3 | 1u << 5);
}

static void equal_containers_are_one_set(void **state)
{
    struct section s = section(SHF_ALLOC);
    struct em_gpu_listing listing;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        begin(&s);
        entry(&s, 2, 75, 0, 64, 8);
        if (i == 500)
            entry(&s, 2, 89, 0, 64, 8);
        end(&s);
    }
    listing = scan(object(&s, 1, true));
    assert_int_equal(listing.containers, 1000);
    assert_int_equal(listing.sets.count, 2);
    assert_int_equal(listing.sets.items[0].containers, 999);
    assert_int_equal(listing.sets.items[1].containers, 1);
}

/* Sections of any name count, with anything before and between the containers, over the seams of the pieces; code does not. */
static void containers_are_found_wherever_they_lie(void **state)
{
    static const size_t gaps[] = { 0, 8, 1009, 1017, 1024, 4080, 262136, 262144, 300000 };
    struct section s[3] = { section(SHF_ALLOC), section(SHF_ALLOC | SHF_WRITE), section(SHF_ALLOC | SHF_EXECINSTR) };
    size_t expected = 0;
    struct em_gpu_listing listing;

    (void)state;
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        for (size_t j = 0; j < 3; j++) {
            s[j].size += gaps[i];
            begin(&s[j]);
            entry(&s[j], 2, 86, 0, 64, 64);
            end(&s[j]);
        }
        expected += 2;
    }
    listing = scan(object(s, 3, true));
    assert_int_equal(listing.containers, expected);
    assert_int_equal(listing.codes.count, 1);
    /* Without a section table the segments are searched: this one is not executable. */
    listing = scan(object(s, 3, false));
    assert_int_equal(listing.containers, expected / 2 * 3);
}

static void cubins_outside_of_containers_are_counted(void **state)
{
    struct section s = section(SHF_ALLOC);
    Elf64_Ehdr cubin = { .e_machine = 190 };
    struct em_gpu_listing listing;

    (void)state;
    memcpy(cubin.e_ident, ELFMAG "\2\1\1", 7);
    for (size_t at = 1000; at < 900000; at += 1021) {
        memcpy(s.data + at, &cubin, sizeof cubin);
        s.size = at + sizeof cubin;
    }
    listing = scan(object(&s, 1, true));
    assert_int_equal(listing.bare_cubins, (s.size - sizeof cubin - 1000) / 1021 + 1);
    assert_int_equal(listing.containers, 0);
    /* In a container it is the container's entry. */
    s = section(SHF_ALLOC);
    begin(&s);
    entry(&s, 2, 86, 0, 64, 128);
    memcpy(s.data + s.size - 128, &cubin, sizeof cubin);
    end(&s);
    listing = scan(object(&s, 1, true));
    assert_int_equal(listing.bare_cubins, 0);
    assert_int_equal(listing.containers, 1);
}

/* Every library that uses CUDA's runtime gets a cubin without a kernel, for the compiler's default architecture: it is listed, and
 * says nothing about what the library is for. */
static void a_cubin_without_kernels_is_no_code(void **state)
{
    Elf64_Ehdr cubin = { .e_machine = 190, .e_shoff = 64, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 2 };
    Elf64_Shdr code[2] = { { 0 }, { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC } };
    struct em_gpu_listing listing;

    (void)state;
    memcpy(cubin.e_ident, ELFMAG "\2\1\1", 7);
    for (int kernels = 0; kernels < 2; kernels++) {
        struct section s = section(SHF_ALLOC);

        begin(&s);
        entry(&s, 2, 52, 0, 64, 256);
        code[1].sh_flags |= kernels ? SHF_EXECINSTR : 0;
        code[1].sh_size = 8;
        memcpy(s.data + s.size - 256, &cubin, sizeof cubin);
        memcpy(s.data + s.size - 256 + 64, code, sizeof code);
        end(&s);
        listing = scan(object(&s, 1, true));
        assert_code(&listing, 0, "sm_52", EM_GPU_CUBIN, 1, 256);
        assert_int_equal(listing.containers, 1);
        assert_int_equal(listing.empty, !kernels);
        assert_int_equal(listing.sets.count, kernels);
    }
}

/* No size in the file is believed: what leads out of its container or section ends the reading of that container. */
static void sizes_that_lie_are_not_followed(void **state)
{
    static const uint64_t payloads[] = { UINT64_MAX, UINT64_MAX - 63, 1u << 30, 9 };
    struct em_gpu_listing listing;

    (void)state;
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        struct section s = section(SHF_ALLOC);

        begin(&s);
        entry(&s, 2, 86, 0, 64, 8);
        em_store_u64(s.data + 16 + 8, false, payloads[i]);
        end(&s);
        begin(&s);
        entry(&s, 2, 90, 0, 64, 8);
        end(&s);
        listing = scan(object(&s, 1, true));
        assert_int_equal(listing.broken, 1);
        assert_int_equal(listing.containers, 1);
        assert_code(&listing, 0, "sm_90", EM_GPU_CUBIN, 1, 8);
    }
    for (uint32_t header = 0; header < 64; header += 7) {
        struct section s = section(SHF_ALLOC);

        begin(&s);
        entry(&s, 2, 86, 0, 64, 8);
        em_store_u32(s.data + 16 + 4, false, header);
        end(&s);
        listing = scan(object(&s, 1, true));
        assert_int_equal(listing.broken, 1);
        assert_int_equal(listing.codes.count, 0);
    }
}

/* A section that ends anywhere in its last container. */
static void a_cut_section_is_read_up_to_the_cut(void **state)
{
    struct section s = section(SHF_ALLOC);
    size_t whole;

    (void)state;
    begin(&s);
    entry(&s, 2, 86, 0, 64, 8);
    end(&s);
    whole = s.size;
    begin(&s);
    entry(&s, 2, 90, 0, 64, 16);
    end(&s);
    for (size_t size = whole; size < s.size; size++) {
        struct section cut = s;
        struct em_gpu_listing listing;

        cut.size = size;
        listing = scan(object(&cut, 1, true));
        assert_int_equal(listing.containers, 1);
        assert_code(&listing, 0, "sm_86", EM_GPU_CUBIN, 1, 8);
    }
}

static void more_sorts_than_there_is_room_for(void **state)
{
    struct section s = section(SHF_ALLOC);
    struct em_gpu_listing listing;

    (void)state;
    begin(&s);
    for (uint32_t arch = 0; arch < 2 * EM_GPU_CODES; arch++)
        entry(&s, 2, arch, 0, 64, 8);
    end(&s);
    listing = scan(object(&s, 1, true));
    assert_int_equal(listing.codes.count, EM_GPU_CODES);
    assert_int_equal(listing.sets.items[0].codes, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_counted_by_architecture_and_kind, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(equal_containers_are_one_set, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(containers_are_found_wherever_they_lie, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(cubins_outside_of_containers_are_counted, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(a_cubin_without_kernels_is_no_code, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(sizes_that_lie_are_not_followed, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(a_cut_section_is_read_up_to_the_cut, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(more_sorts_than_there_is_room_for, make_arena, free_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
