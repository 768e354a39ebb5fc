#include "patcher/check.h"

#include "patcher/tags.h"

#include <string.h>

#define COMPARED ((uint64_t)8 << 20) /* of each moved table, so much is compared byte for byte */

static int wrong(struct em_error *error, const struct em_image *image, const char *sentence)
{
    return em_fail(error, EM_REFUSED, image->name, "%s", sentence);
}

/* Every entry that the goal has, in its order, and none besides. */
static int check_dynamic(const struct em_layout *layout, struct em_image *after, struct em_error *error)
{
    struct em_goal *goal = layout->goal;
    size_t index = 0;
    bool dropped = false;

    em_vec_each (const struct em_goal_dyn, dyn, &goal->dyns) {
        const char *wanted, *is;
        int r;

        if (layout->candidate.drop_count && !dropped && (dyn->tag == DT_RELACOUNT || dyn->tag == DT_RELCOUNT)) {
            dropped = true;
            continue;
        }
        if (index >= after->dyn_count || after->dyns[index].tag != dyn->tag)
            return wrong(error, after, "would have other dynamic entries than it should");
        if (em_tag_kind(after->machine, dyn->tag) == EM_TAG_IS_STRING) {
            r = em_goal_text(goal, dyn, &wanted, error);
            if (r == EM_OK)
                r = em_image_string(after, after->dyns[index].value, &is, error);
            if (r < 0)
                return r;
            if (strcmp(wanted, is) != 0)
                return wrong(error, after, "would have another string than it should");
        }
        index++;
    }
    return index == after->dyn_count ? EM_OK : wrong(error, after, "would have a dynamic entry too many");
}

static const struct em_shdr *section_of_type(const struct em_image *image, uint32_t type)
{
    for (uint32_t i = 1; image->shdrs && i < image->shnum; i++)
        if (image->shdrs[i].type == type && (image->shdrs[i].flags & SHF_ALLOC))
            return &image->shdrs[i];
    return NULL;
}

/* The tables as sections and as tags name them: true if they are the same. */
static bool views_agree(const struct em_image *image, uint32_t type, uint64_t tag)
{
    const struct em_shdr *section = section_of_type(image, type);
    const struct em_dyn *dyn = em_image_dyn(image, tag);
    uint64_t offset;

    return section && dyn && section->addr == dyn->value && em_image_offset(image, dyn->value, 1, &offset) &&
           offset == section->offset;
}

static bool dynamic_agrees(const struct em_image *image)
{
    const struct em_shdr *section = section_of_type(image, SHT_DYNAMIC), *strings;

    if (!section || !image->dynamic || section->addr != image->dynamic->vaddr || section->offset != image->dynamic_offset ||
        section->link >= image->shnum)
        return false;
    strings = &image->shdrs[section->link];
    return strings->addr == image->strtab_addr && strings->offset == image->strtab_offset &&
           strings->size == image->strtab_size;
}

static int check_views(struct em_image *before, struct em_image *after, struct em_error *error)
{
    static const struct {
        uint32_t type;
        uint64_t tag;
    } tables[] = {
        { SHT_DYNSYM, DT_SYMTAB },         { SHT_HASH, DT_HASH },
        { SHT_GNU_HASH, DT_GNU_HASH },     { SHT_GNU_versym, DT_VERSYM },
        { SHT_GNU_verneed, DT_VERNEED },   { SHT_GNU_verdef, DT_VERDEF },
        { SHT_INIT_ARRAY, DT_INIT_ARRAY }, { SHT_FINI_ARRAY, DT_FINI_ARRAY },
    };

    if (!before->shdrs)
        return EM_OK;
    if (dynamic_agrees(before) && !dynamic_agrees(after))
        return wrong(error, after,
                     "would have a dynamic section, or its strings, in one place by segments and in another by sections");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (views_agree(before, tables[i].type, tables[i].tag) && em_image_dyn(after, tables[i].tag) &&
            !views_agree(after, tables[i].type, tables[i].tag))
            return wrong(error, after, "would have a table in one place by segments and in another by sections");
    return EM_OK;
}

/* Bytes that the goal changes on purpose are not compared. */
static bool is_changed(const struct em_layout *layout, uint64_t offset)
{
    const struct em_goal *goal = layout->goal;

    em_vec_each (const struct em_change, change, &goal->changes)
        if (offset >= change->offset && offset < change->offset + change->size)
            return true;
    em_vec_each (const struct em_change, change, &layout->placement->overwrites)
        if (offset >= change->offset && offset < change->offset + change->size)
            return true;
    em_vec_each (const struct em_goal_ref, ref, &goal->refs)
        if (offset >= ref->offset && offset < ref->offset + 4)
            return true;
    return false;
}

static int check_arrival(const struct em_layout *layout, const struct em_piece *piece, struct em_reader *after,
                         struct em_error *error)
{
    uint8_t old[4096], new[4096];
    uint64_t size = piece->size;

    if (piece->kind == EM_PIECE_DYNSTR && layout->placement->appended_size > 0)
        size = layout->placement->appended_at;
    if (size > COMPARED)
        size = COMPARED;
    for (uint64_t at = 0; at < size; at += sizeof old) {
        size_t length = size - at < sizeof old ? (size_t)(size - at) : sizeof old;
        int r = em_read_at(layout->image->reader, old, length, piece->offset + at, error);

        if (r == EM_OK)
            r = em_read_at(after, new, length, piece->new_offset + at, error);
        if (r < 0)
            return r;
        for (size_t i = 0; i < length; i++)
            if (old[i] != new[i] && !is_changed(layout, piece->offset + at + i))
                return wrong(error, layout->image, "would have lost a part of a table on the way");
    }
    return EM_OK;
}

/* verneed files that were NEEDED are so still (glibc: _dl_check_map_versions). */
static int count_strays(struct em_image *image, size_t *strays, struct em_error *error)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_map needed = { .arena = arena };
    struct em_vertable needs;
    const char *name;
    int r = arena ? em_vertable_read_needs(&needs, image, error) : EM_NO_MEMORY;

    *strays = 0;
    for (size_t i = 0; r == EM_OK && i < image->dyn_count; i++) {
        if (image->dyns[i].tag != DT_NEEDED)
            continue;
        r = em_image_string(image, image->dyns[i].value, &name, error);
        if (r == EM_OK)
            r = em_map_put(&needed, name, image);
    }
    for (size_t i = 0; r == EM_OK && i < needs.records.count; i++) {
        r = em_image_string(image, needs.records.items[i].file, &name, error);
        *strays += r == EM_OK && !em_map_get(&needed, name);
    }
    return r;
}

static int check_lint(struct em_image *before, struct em_image *after, struct em_error *error)
{
    size_t old[EM_LINT_KINDS], new[EM_LINT_KINDS];
    uint64_t old_align = 0, new_align = 0;
    int r = em_lint(before, old, error);

    if (r == EM_OK)
        r = em_lint(after, new, error);
    if (r < 0)
        return r;
    for (int i = 0; i < EM_LINT_KINDS; i++)
        if (new[i] > old[i])
            return wrong(error, after, em_complaint_text((enum em_complaint)i));
    for (uint32_t i = 0; i < before->phnum; i++)
        if (before->phdrs[i].type == PT_LOAD && before->phdrs[i].align > old_align)
            old_align = before->phdrs[i].align;
    for (uint32_t i = 0; i < after->phnum; i++)
        if (after->phdrs[i].type == PT_LOAD && after->phdrs[i].align > new_align)
            new_align = after->phdrs[i].align;
    if (new_align < old_align || (after->load && before->load && after->load->vaddr < before->load->vaddr))
        return wrong(error, after, "would have a lower page size or base address");
    return EM_OK;
}

static int check_interpreter(const struct em_layout *layout, struct em_image *after, struct em_error *error)
{
    const char *wanted = layout->goal->interpreter;

    for (uint32_t i = 0; wanted && i < after->phnum; i++) {
        const uint8_t *at;
        uint64_t size;
        int r;

        if (after->phdrs[i].type != PT_INTERP)
            continue;
        size = after->phdrs[i].filesz;
        if (size <= strlen(wanted))
            return wrong(error, after, "would have an interpreter name of the wrong length");
        r = em_image_peek(after, after->phdrs[i].offset, (size_t)size, "its interpreter's name", &at, error);
        if (r < 0)
            return r;
        /* Zeros behind it: the kernel looks at the last byte. */
        if (memcmp(at, wanted, strlen(wanted)) == 0 && strnlen((const char *)at, (size_t)size) == strlen(wanted) &&
            at[size - 1] == '\0')
            return EM_OK;
        return wrong(error, after, "would have another interpreter than it should");
    }
    return EM_OK;
}

int em_check(const struct em_patch *patch, const struct em_layout *layout, struct em_error *error)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_image *before = layout->image, *after = arena ? em_new(arena, struct em_image) : NULL;
    struct em_patched patched;
    struct em_object object;
    size_t strays_before = 0, strays_after = 0;
    int r;

    if (!after)
        return EM_NO_MEMORY;
    em_patched_init(&patched, before->reader, patch);
    r = em_image_open(after, arena, &patched.reader, error);
    if (r == EM_OK)
        r = em_image_read_sections(after, error);
    if (r == EM_OK && layout->goal->adopted)
        r = em_image_adopt_dynamic(after, error);
    if (r == EM_OK)
        r = check_dynamic(layout, after, error);
    if (r == EM_OK)
        r = check_views(before, after, error);
    em_vec_each (const struct em_piece, piece, &layout->pieces)
        if (r == EM_OK && piece->moved && piece->kind != EM_PIECE_DYNAMIC &&
            !(piece->kind == EM_PIECE_INTERP && layout->goal->interpreter))
            r = check_arrival(layout, piece, &patched.reader, error);
    if (r == EM_OK)
        r = check_interpreter(layout, after, error);
    if (r == EM_OK)
        r = count_strays(before, &strays_before, error);
    if (r == EM_OK)
        r = count_strays(after, &strays_after, error);
    if (r == EM_OK && strays_after > strays_before)
        r = wrong(error, after, "would need versions of a library that it does not need");
    if (r == EM_OK)
        r = check_lint(before, after, error);
    /* The input could be read, versions and notes and all. */
    if (r == EM_OK)
        r = em_object_read(&object, arena, &patched.reader, error);
    return r;
}
