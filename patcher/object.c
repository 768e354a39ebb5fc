/* object.c: what can be known of an object by its segments alone. Section headers are not asked: a loader does not, and a file
 * may have none. */
#include "patcher/patcher.h"

#include "patcher/notes.h"
#include "patcher/versions.h"

#include <string.h>

#define NT_FDO_DLOPEN 0x407c0c0au /* UAPI.12, ELF dlopen() metadata: owner "FDO", a JSON array as text */

static int add_string(struct em_strings *list, struct em_image *image, uint64_t index, struct em_error *error)
{
    const char *string;
    int r = em_image_string(image, index, &string, error);

    return r < 0 ? r : em_vec_push(image->strings, list, string);
}

/* Of most objects thousands are read, and most have one or two. */
static int make_room(struct em_object *object, const struct em_image *image)
{
    size_t needed = 0;

    for (size_t i = 0; i < image->dyn_count; i++)
        needed += image->dyns[i].tag == DT_NEEDED;
    return needed > 0 ? em_vec_room(image->strings, &object->needed, needed) : EM_OK;
}

/* A tag that occurs twice: glibc keeps the last one in l_info[], so that is the one that counts. */
static int read_entry(struct em_object *object, struct em_image *image, const struct em_dyn *dyn, struct em_error *error)
{
    switch (dyn->tag) {
    case DT_NEEDED: return add_string(&object->needed, image, dyn->value, error);
    case DT_FILTER: return add_string(&object->filters, image, dyn->value, error);
    case DT_AUXILIARY: return add_string(&object->auxiliaries, image, dyn->value, error);
    case DT_SONAME: return em_image_string(image, dyn->value, &object->soname, error);
    case DT_RPATH: return em_image_string(image, dyn->value, &object->rpath, error);
    case DT_RUNPATH: return em_image_string(image, dyn->value, &object->runpath, error);
    case DT_FLAGS: object->dt_flags = dyn->value; break;
    case DT_FLAGS_1: object->dt_flags_1 = dyn->value; break;
    case DT_RELR: object->has_relr = true; break;
    case DT_DEBUG: object->has_debug_tag = true; break;
    case DT_HASH: object->has_hash = true; break;
    case DT_GNU_HASH: object->has_gnu_hash = true; break;
    }
    return EM_OK;
}

static int read_versions(struct em_object *object, struct em_image *image, struct em_error *error)
{
    struct em_vertable needs, defines = { 0 };
    int r = em_vertable_read_needs(&needs, image, error);

    if (r == EM_OK)
        r = em_vertable_read_defines(&defines, image, error);
    if (r == EM_OK && needs.records.count > 0)
        r = em_vec_room(image->strings, &object->verneed, needs.records.count);
    if (r == EM_OK && defines.records.count > 0)
        r = em_vec_room(image->strings, &object->verdef, defines.records.count);
    if (r < 0)
        return r;
    em_vec_each (struct em_verrec, record, &needs.records) {
        struct em_verneed need = { 0 };

        r = em_image_string(image, record->file, &need.file, error);
        if (r == EM_OK && record->aux_count > 0)
            r = em_vec_room(image->strings, &need.versions, record->aux_count);
        for (size_t i = 0; r == EM_OK && i < record->aux_count; i++) {
            const struct em_vernaux *aux = &needs.aux.items[record->aux_first + i];
            struct em_version version = { .hash = aux->hash, .weak = (aux->flags & VER_FLG_WEAK) != 0 };

            r = em_image_string(image, aux->name, &version.name, error);
            if (r == EM_OK)
                r = em_vec_push(image->strings, &need.versions, version);
        }
        if (r == EM_OK)
            r = em_vec_push(image->strings, &object->verneed, need);
        if (r < 0)
            return r;
    }
    em_vec_each (struct em_verrec, record, &defines.records) {
        struct em_version version = { .hash = record->hash,
                                      .weak = (record->flags & VER_FLG_WEAK) != 0,
                                      .base = (record->flags & VER_FLG_BASE) != 0 };

        if (record->aux_count == 0)
            continue;
        r = em_image_string(image, defines.aux.items[record->aux_first].name, &version.name, error);
        if (r == EM_OK)
            r = em_vec_push(image->strings, &object->verdef, version);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* NT_GNU_PROPERTY_TYPE_0 (gnu-gabi, "Program Property"): type, size, data padded to the word of the class. */
static void read_properties(struct em_object *object, const struct em_image *image, struct em_bytes desc)
{
    uint64_t at = 0, word = em_word_size(image);
    uint32_t type, size, value;

    while (em_bytes_u32(desc, at, image->big_endian, &type) && em_bytes_u32(desc, at + 4, image->big_endian, &size)) {
        if (type == GNU_PROPERTY_X86_ISA_1_NEEDED && size >= 4 && (image->machine == EM_X86_64 || image->machine == EM_386) &&
            em_bytes_u32(desc, at + 8, image->big_endian, &value))
            object->x86_isa_needed |= value;
        at += 8 + ((size + word - 1) & ~(word - 1));
    }
}

static const uint8_t *keep(const struct em_image *image, struct em_bytes bytes)
{
    return (const uint8_t *)em_arena_strndup(image->strings, (const char *)bytes.data, bytes.size);
}

static int read_notes(struct em_object *object, struct em_image *image, const struct em_phdr *phdr, uint64_t *left,
                      struct em_error *error)
{
    struct em_bytes notes;
    struct em_note note;
    uint64_t at = 0;
    int r = em_notes_read(&notes, image, phdr, left, error);

    while (r == EM_OK && em_note_next(&note, image, phdr, notes, &at)) {
        if (em_note_is(&note, "GNU", NT_GNU_PROPERTY_TYPE_0))
            read_properties(object, image, note.desc);
        if (em_note_is(&note, "GNU", NT_GNU_BUILD_ID) && note.desc.size > 0 && !object->build_id) {
            object->build_id = keep(image, note.desc);
            object->build_id_size = note.desc.size;
            r = object->build_id ? EM_OK : EM_NO_MEMORY;
        }
        if (em_note_is(&note, "FDO", NT_FDO_DLOPEN) && memchr(note.desc.data, '\0', note.desc.size)) {
            const char *text = (const char *)keep(image, note.desc);

            r = text ? em_vec_push(image->strings, &object->dlopen_notes, text) : EM_NO_MEMORY;
        }
    }
    return r;
}

static int read_interpreter(struct em_object *object, struct em_image *image, const struct em_phdr *phdr,
                            struct em_error *error)
{
    const uint8_t *at;
    int r;

    object->interpreter_away = phdr->filesz == 0;
    if (phdr->filesz == 0)
        return EM_OK;
    if (phdr->filesz > 4096)
        return em_fail_at(error, EM_BAD_ELF, image->name, phdr->offset, "has an interpreter name of %llu bytes",
                          (unsigned long long)phdr->filesz);
    r = em_image_peek(image, phdr->offset, (size_t)phdr->filesz, "its interpreter's name", &at, error);
    if (r < 0)
        return r;
    object->interpreter = em_arena_strndup(image->strings, (const char *)at, strnlen((const char *)at, (size_t)phdr->filesz));
    return object->interpreter ? EM_OK : EM_NO_MEMORY;
}

static int read_segments(struct em_object *object, struct em_image *image, struct em_error *error)
{
    uint64_t notes_left = EM_MAX_NOTES;

    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];
        int r = EM_OK;

        switch (phdr->type) {
        case PT_LOAD:
            object->has_load = true;
            if (phdr->align > object->max_align)
                object->max_align = phdr->align;
            if ((phdr->vaddr - phdr->offset) % 4096 != 0)
                object->page_incongruent = true;
            break;
        case PT_INTERP: r = read_interpreter(object, image, phdr, error); break;
        case PT_GNU_STACK: object->stack = phdr->flags & PF_X ? EM_STACK_EXECUTABLE : EM_STACK_PLAIN; break;
        case PT_DYNAMIC: object->dynamic_away = !object->has_dynamic; break;
        case PT_NOTE:
        case PT_GNU_PROPERTY: r = read_notes(object, image, phdr, &notes_left, error); break;
        }
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* The headers and tables are gone when it has been read: what is kept of a hundred thousand small objects would be mostly these. */
int em_object_read(struct em_object *object, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_image image;
    int r = scratch ? em_image_open(&image, scratch, reader, error) : EM_NO_MEMORY;

    *object = (struct em_object){ .size = reader->size };
    if (r < 0)
        return r;
    image.strings = arena;
    object->is64 = image.is64;
    object->big_endian = image.big_endian;
    object->type = image.type;
    object->machine = image.machine;
    object->osabi = image.osabi;
    object->abi_version = image.abi_version;
    object->flags = image.flags;
    object->has_dynamic = image.dynamic != NULL;
    object->has_sections = image.shoff != 0 && image.shnum != 0 && !image.sections_beyond_end;
    object->sections_beyond_end = image.sections_beyond_end;
    r = read_segments(object, &image, error);
    if (r == EM_OK)
        r = make_room(object, &image);
    for (size_t i = 0; r == EM_OK && i < image.dyn_count; i++)
        r = read_entry(object, &image, &image.dyns[i], error);
    if (r == EM_OK)
        r = read_versions(object, &image, error);
    return r;
}

static const struct {
    uint16_t machine;
    const char *name;
} machines[] = {
    { EM_X86_64, "x86-64" },
    { EM_386, "i386" },
    { EM_AARCH64, "aarch64" },
    { EM_ARM, "arm" },
    { EM_PPC64, "ppc64" },
    { EM_PPC, "ppc" },
    { EM_S390, "s390" },
    { EM_RISCV, "riscv" },
    { EM_MIPS, "mips" },
    { EM_LOONGARCH, "loongarch" },
    { EM_IA_64, "ia64" },
    { EM_SPARC, "sparc" },
    { EM_SPARC32PLUS, "sparc32plus" },
    { EM_SPARCV9, "sparc64" },
    { EM_ALPHA, "alpha" },
    { EM_PARISC, "hppa" },
    { EM_68K, "m68k" },
    { EM_SH, "sh" },
    { EM_BPF, "bpf" },
    { EM_CUDA, "cuda" },
    { EM_AMDGPU, "amdgpu" },
};

const char *em_machine_name(struct em_arena *arena, uint16_t machine)
{
    const char *made;

    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (machines[i].machine == machine)
            return machines[i].name;
    made = em_arena_printf(arena, "machine %u", machine);
    return made ? made : "machine";
}
