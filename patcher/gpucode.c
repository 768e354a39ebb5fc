/* gpucode.c: fatbin containers, wherever they lie in an object.
 *
 * A container: u32 magic 0xBA55ED50, u16 version 1, u16 header size 16, u64 bytes that follow. Entries stand back to back in it:
 * a header of at least 64 bytes whose size it tells itself, then the payload, both in multiples of 8.
 *      0 u16 kind: 1 PTX, 2 cubin, 8 LTO-IR      4 u32 header size      8 u64 payload size, padding included
 *     28 u32 architecture                       40 u64 flags: 0x100000 suffix 'a', 0x200000 suffix 'f'
 * Little endian on every host. They are in .nv_fatbin and in sections of the library's own choice (.ldata of
 * cuFFT, .cask_resource of cuBLASLt and cuDNN), so every section is searched that is loaded and not executed: where containers
 * follow each other by hopping from header to header, elsewhere in pieces. All but __nv_relfatbin: that is what nvlink made the
 * final code from (126 MB in NCCL), and nothing loads it any more.
 */
#include "patcher/gpucode.h"

#include "patcher/spans.h"

#include <string.h>

#define PIECE ((size_t)256 * 1024)
#define FIRST_PIECE ((size_t)1024) /* behind a container there is mostly another: why read more */
#define HEADER 16u
#define ENTRY 64u
#define SUFFIX_A UINT64_C(0x100000)
#define SUFFIX_F UINT64_C(0x200000)
#define MACHINE_CUDA 190 /* EM_CUDA */

static const uint8_t magic[8] = { 0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0 };

struct scan {
    struct em_gpu_listing *listing;
    struct em_arena *arena;
    struct em_image *image;
    struct em_error *error;
    uint8_t *buffer;
    uint64_t searched; /* bytes that were read to find containers */
};

const char *em_gpu_kind_name(enum em_gpu_kind kind)
{
    switch (kind) {
    case EM_GPU_CUBIN: return "cubin";
    case EM_GPU_PTX: return "ptx";
    case EM_GPU_LTO: return "lto";
    case EM_GPU_OTHER: return "other";
    }
    return NULL;
}

const char *em_gpu_code_name(struct em_arena *arena, const struct em_gpu_code *code)
{
    char suffix[2] = { code->suffix, '\0' };

    return em_arena_printf(arena, "%s_%u%s", code->kind == EM_GPU_CUBIN ? "sm" : "compute", (unsigned)code->arch, suffix);
}

/* Where entries of that sort are counted; EM_GPU_CODES: there are too many sorts, and this one is left out. */
static int find_code(struct scan *scan, struct em_gpu_code wanted, size_t *index)
{
    struct em_gpu_listing *listing = scan->listing;

    for (*index = 0; *index < listing->codes.count; ++*index) {
        const struct em_gpu_code *code = &listing->codes.items[*index];

        if (code->arch == wanted.arch && code->suffix == wanted.suffix && code->kind == wanted.kind)
            return EM_OK;
    }
    return *index < EM_GPU_CODES ? em_vec_push(scan->arena, &listing->codes, wanted) : EM_OK;
}

static int add_set(struct scan *scan, uint64_t codes)
{
    em_vec_each (struct em_gpu_set, set, &scan->listing->sets) {
        if (set->codes == codes) {
            set->containers++;
            return EM_OK;
        }
    }
    if (scan->listing->sets.count == EM_MAX_GPU_SETS)
        return em_fail(scan->error, EM_LIMIT, scan->image->name,
                       "has GPU code for more than %u different sets of architectures", EM_MAX_GPU_SETS);
    return em_vec_push(scan->arena, &scan->listing->sets, (struct em_gpu_set){ .codes = codes, .containers = 1 });
}

static struct em_gpu_code code_of(const uint8_t *header)
{
    struct em_bytes bytes = { header, ENTRY };
    struct em_gpu_code code = { .kind = EM_GPU_OTHER };
    uint64_t flags = 0;
    uint16_t kind = 0;

    em_bytes_u16(bytes, 0, false, &kind);
    em_bytes_u32(bytes, 28, false, &code.arch);
    em_bytes_u64(bytes, 40, false, &flags);
    if (kind == 1)
        code.kind = EM_GPU_PTX;
    else if (kind == 2)
        code.kind = EM_GPU_CUBIN;
    else if (kind == 8)
        code.kind = EM_GPU_LTO;
    if (flags & SUFFIX_A)
        code.suffix = 'a';
    else if (flags & SUFFIX_F)
        code.suffix = 'f';
    return code;
}

/* What a container was found to hold. */
struct contents {
    uint64_t codes; /* as in em_gpu_set */
    bool has_cubins, has_kernels;
};

/* Whether a cubin has kernels. The toolkit links one without any into every library that uses its runtime, for the compiler's
 * default architecture; it is small and never compressed. */
static int look_for_kernels(struct scan *scan, uint64_t offset, uint64_t size, bool *has_kernels)
{
    const uint8_t *cubin;
    struct em_bytes bytes;
    uint64_t table = 0;
    uint16_t entry_size = 0, count = 0;
    int r;

    *has_kernels = true;
    if (size < sizeof(Elf64_Ehdr) || size > EM_WINDOW)
        return EM_OK;
    r = em_image_peek(scan->image, offset, (size_t)size, "GPU code", &cubin, scan->error);
    if (r < 0 || memcmp(cubin, ELFMAG, SELFMAG) != 0)
        return r;
    bytes = (struct em_bytes){ cubin, (size_t)size };
    em_bytes_u64(bytes, offsetof(Elf64_Ehdr, e_shoff), false, &table);
    em_bytes_u16(bytes, offsetof(Elf64_Ehdr, e_shentsize), false, &entry_size);
    em_bytes_u16(bytes, offsetof(Elf64_Ehdr, e_shnum), false, &count);
    if (table > size)
        return EM_OK;
    *has_kernels = false;
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = table + (uint64_t)i * entry_size, flags = 0, length = 0;

        if (!em_bytes_u64(bytes, at + offsetof(Elf64_Shdr, sh_flags), false, &flags) ||
            !em_bytes_u64(bytes, at + offsetof(Elf64_Shdr, sh_size), false, &length))
            break;
        *has_kernels = *has_kernels || ((flags & SHF_EXECINSTR) != 0 && length > 0);
    }
    return EM_OK;
}

/* The entry at *at of a container that ends at end. Moves *at behind it; *sound is false if it leads out of the container. */
static int read_entry(struct scan *scan, uint64_t *at, uint64_t end, struct contents *contents, bool *sound)
{
    const uint8_t *header;
    struct em_bytes bytes;
    struct em_gpu_code code;
    uint32_t header_size = 0;
    uint64_t payload = 0;
    size_t index;
    int r;

    *sound = false;
    if (end - *at < ENTRY)
        return EM_OK;
    r = em_image_peek(scan->image, *at, ENTRY, "GPU code", &header, scan->error);
    if (r < 0)
        return r;
    bytes = (struct em_bytes){ header, ENTRY };
    em_bytes_u32(bytes, 4, false, &header_size);
    em_bytes_u64(bytes, 8, false, &payload);
    if (header_size < ENTRY || header_size > end - *at || payload > end - *at - header_size)
        return EM_OK;
    *sound = true;
    code = code_of(header);
    r = find_code(scan, code, &index);
    if (r < 0)
        return r;
    if (index < EM_GPU_CODES) {
        scan->listing->codes.items[index].count++;
        scan->listing->codes.items[index].bytes += payload;
        contents->codes |= UINT64_C(1) << index;
    }
    if (code.kind == EM_GPU_CUBIN) {
        bool has_kernels;

        r = look_for_kernels(scan, *at + header_size, payload, &has_kernels);
        contents->has_cubins = true;
        contents->has_kernels = contents->has_kernels || has_kernels;
    }
    *at += header_size + payload;
    return r;
}

/* The container at offset, in a section that ends at end. *next is where to go on: behind it, or behind its magic if it is none. */
static int read_container(struct scan *scan, uint64_t offset, uint64_t end, uint64_t *next)
{
    const uint8_t *header;
    uint64_t size = 0, at = offset + HEADER;
    struct contents contents = { 0 };
    bool sound = true;
    int r;

    *next = offset + sizeof magic;
    if (end - offset < HEADER)
        return EM_OK;
    r = em_image_peek(scan->image, offset, HEADER, "GPU code", &header, scan->error);
    if (r < 0)
        return r;
    em_bytes_u64((struct em_bytes){ header, HEADER }, 8, false, &size);
    if (size > end - at) {
        scan->listing->broken++;
        return EM_OK;
    }
    *next = end = at + size;
    /* What is left behind the last entry is padding. */
    while (sound && end - at >= 8) {
        r = read_entry(scan, &at, end, &contents, &sound);
        if (r < 0)
            return r;
    }
    if (!sound)
        scan->listing->broken++;
    if (contents.codes == 0)
        return EM_OK;
    scan->listing->containers++;
    if (contents.has_cubins && !contents.has_kernels) {
        scan->listing->empty++;
        return EM_OK;
    }
    return add_set(scan, contents.codes);
}

/* A cubin that stands in no container. Some libraries keep a few as they are. */
static int count_bare_cubin(struct scan *scan, uint64_t at, uint64_t end)
{
    const uint8_t *header;
    uint16_t machine = 0;
    int r;

    if (end - at < sizeof(Elf64_Ehdr))
        return EM_OK;
    r = em_image_peek(scan->image, at, sizeof(Elf64_Ehdr), "GPU code", &header, scan->error);
    if (r < 0)
        return r;
    em_bytes_u16((struct em_bytes){ header, sizeof(Elf64_Ehdr) }, offsetof(Elf64_Ehdr, e_machine), false, &machine);
    scan->listing->bare_cubins += header[EI_CLASS] == ELFCLASS64 && machine == MACHINE_CUDA;
    return EM_OK;
}

/* The first container in the buffer's held bytes, which were read from offset; NULL: none. Bare cubins before it are counted, but for
 * those that begin in the last seam bytes: these are read again. */
static int find_container(struct scan *scan, uint64_t offset, size_t held, size_t seam, uint64_t end, const uint8_t **container)
{
    const uint8_t *bytes = scan->buffer, *behind = bytes + held;

    *container = NULL;
    for (const uint8_t *at = bytes; (at = em_find_pairs(at, behind, (const char *)magic, ELFMAG)) != NULL; at++) {
        size_t rest = (size_t)(behind - at);
        int r;

        if (rest >= sizeof magic && memcmp(at, magic, sizeof magic) == 0) {
            *container = at;
            return EM_OK;
        }
        if (rest <= seam || rest < SELFMAG || memcmp(at, ELFMAG, SELFMAG) != 0)
            continue;
        r = count_bare_cubin(scan, offset + (uint64_t)(at - bytes), end);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int scan_span(struct scan *scan, struct em_span span)
{
    uint64_t offset = span.start, end = span.end;
    size_t piece = FIRST_PIECE;

    while (end - offset >= HEADER) {
        size_t held = end - offset < piece ? (size_t)(end - offset) : piece;
        size_t seam = held == end - offset ? 0 : sizeof magic - 1;
        const uint8_t *hit;
        int r = em_read_at(scan->image->reader, scan->buffer, held, offset, scan->error);

        scan->searched += held;
        if (r == EM_OK && scan->searched > EM_MAX_SEARCHED)
            r = em_fail(scan->error, EM_LIMIT, scan->image->name,
                        "has more than %llu bytes that have to be searched for GPU code", (unsigned long long)EM_MAX_SEARCHED);
        if (r < 0)
            return r;
        r = find_container(scan, offset, held, seam, end, &hit);
        if (r < 0)
            return r;
        if (hit) {
            r = read_container(scan, offset + (uint64_t)(hit - scan->buffer), end, &offset);
            if (r < 0)
                return r;
            piece = FIRST_PIECE;
        } else {
            if (seam == 0)
                return EM_OK;
            offset += held - seam;
            piece = piece < PIECE ? piece * 4 : PIECE;
        }
    }
    return EM_OK;
}

/* Tables of the unwinder, and what nvlink has used up: no container of use lies in them. */
static bool is_barren(const char *section)
{
    static const char *const names[] = { "__nv_relfatbin", ".eh_frame", ".eh_frame_hdr", ".gcc_except_table" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(section, names[i]) == 0)
            return true;
    return false;
}

static int find_sections(struct em_spans *spans, struct scan *scan)
{
    for (uint32_t i = 0; i < scan->image->shnum; i++) {
        const struct em_shdr *section = &scan->image->shdrs[i];
        const char *name;
        int r;

        if (section->type != SHT_PROGBITS || (section->flags & SHF_ALLOC) == 0 ||
            (section->flags & (SHF_EXECINSTR | SHF_COMPRESSED)) != 0)
            continue;
        r = em_image_section_name(scan->image, section, &name, scan->error);
        if (r == EM_OK && !is_barren(name))
            r = em_spans_add(spans, scan->image, section->offset, section->size);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int find_segments(struct em_spans *spans, const struct em_image *image)
{
    int r = EM_OK;

    for (uint32_t i = 0; r == EM_OK && i < image->phnum; i++)
        if (image->phdrs[i].type == PT_LOAD && (image->phdrs[i].flags & PF_X) == 0)
            r = em_spans_add(spans, image, image->phdrs[i].offset, image->phdrs[i].filesz);
    return r;
}

static int by_arch(const void *left, const void *right)
{
    const struct em_gpu_code *a = left, *b = right;

    if (a->arch != b->arch)
        return a->arch < b->arch ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->suffix - b->suffix;
}

/* Codes were met in the order of the file; the sets follow when they are put into theirs. */
static int sort_codes(struct em_gpu_listing *listing, struct em_arena *arena)
{
    size_t count = listing->codes.count;
    struct em_gpu_code *met;

    if (count < 2)
        return EM_OK;
    met = em_arena_array(arena, count, sizeof *met);
    if (!met)
        return EM_NO_MEMORY;
    memcpy(met, listing->codes.items, count * sizeof *met);
    qsort(listing->codes.items, count, sizeof *listing->codes.items, by_arch);
    em_vec_each (struct em_gpu_set, set, &listing->sets) {
        uint64_t codes = 0;

        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++)
                if ((set->codes >> i & 1) && by_arch(&met[i], &listing->codes.items[j]) == 0)
                    codes |= UINT64_C(1) << j;
        set->codes = codes;
    }
    return EM_OK;
}

int em_gpu_code_scan(struct em_gpu_listing *listing, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    em_cleanup_free uint8_t *buffer = malloc(PIECE);
    struct em_image image;
    struct scan scan = { .listing = listing, .arena = arena, .image = &image, .error = error, .buffer = buffer };
    struct em_spans spans = { 0 };
    int r;

    *listing = (struct em_gpu_listing){ 0 };
    if (!buffer)
        return EM_NO_MEMORY;
    r = em_image_open(&image, arena, reader, error);
    if (r < 0)
        return r;
    /* Broken section headers are no reason to give up: the segments are there. */
    if (image.sections_beyond_end || em_image_read_sections(&image, NULL) < 0 || !image.shdrs)
        r = find_segments(&spans, &image);
    else
        r = find_sections(&spans, &scan);
    em_spans_settle(&spans);
    for (size_t i = 0; r == EM_OK && i < spans.count; i++)
        r = scan_span(&scan, spans.items[i]);
    return r < 0 ? r : sort_codes(listing, arena);
}
