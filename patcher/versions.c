#include "patcher/versions.h"

/* Elf32 and Elf64 have the same layout for all four records. */
#define VERNEED_SIZE sizeof(Elf64_Verneed) /* 16 */
#define VERNAUX_SIZE sizeof(Elf64_Vernaux) /* 16 */
#define VERDEF_SIZE sizeof(Elf64_Verdef)   /* 20 */
#define VERDAUX_SIZE sizeof(Elf64_Verdaux) /* 8 */

static int note_end(struct em_vertable *table, struct em_image *image, uint64_t end, const char *what, struct em_error *error)
{
    if (table->records.count + table->aux.count > EM_MAX_VERSIONS)
        return em_fail_at(error, EM_LIMIT, image->name, table->offset, "has more than %u records in %s", EM_MAX_VERSIONS, what);
    if (end - table->offset > table->size)
        table->size = end - table->offset;
    return EM_OK;
}

/* Where a table starts, or nothing: a tag whose address is in no PT_LOAD is a contradiction. */
static int locate(struct em_vertable *table, struct em_image *image, uint64_t tag, size_t least, const char *what, bool *there,
                  struct em_error *error)
{
    const struct em_dyn *dyn = em_image_dyn(image, tag);

    *table = (struct em_vertable){ 0 };
    *there = dyn != NULL;
    if (!dyn)
        return EM_OK;
    if (!em_image_offset(image, dyn->value, least, &table->offset))
        return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic_offset,
                          "has %s at address 0x%llx, which no PT_LOAD holds", what, (unsigned long long)dyn->value);
    return EM_OK;
}

static int read_needed_versions(struct em_vertable *table, struct em_image *image, struct em_verrec *record,
                                struct em_error *error)
{
    uint64_t offset = record->offset + record->aux;

    record->aux_first = table->aux.count;
    for (uint32_t i = 0; i < record->count; i++) {
        struct em_vernaux aux = { .offset = offset };
        const uint8_t *at;
        int r = em_image_peek(image, offset, VERNAUX_SIZE, "a needed version", &at, error);

        if (r < 0)
            return r;
        aux.hash = em_get32(image, at);
        aux.flags = em_get16(image, at + 4);
        aux.other = em_get16(image, at + 6);
        aux.name = em_get32(image, at + 8);
        aux.next = em_get32(image, at + 12);
        r = em_vec_push(image->arena, &table->aux, aux);
        if (r == EM_OK)
            r = note_end(table, image, offset + VERNAUX_SIZE, "its needed versions (DT_VERNEED)", error);
        if (r < 0)
            return r;
        record->aux_count++;
        if (aux.next == 0)
            break;
        offset += aux.next;
    }
    return EM_OK;
}

int em_vertable_read_needs(struct em_vertable *table, struct em_image *image, struct em_error *error)
{
    bool there;
    int r = locate(table, image, DT_VERNEED, VERNEED_SIZE, "its needed versions (DT_VERNEED)", &there, error);
    uint64_t offset = table->offset;

    if (r < 0 || !there)
        return r;
    for (;;) {
        struct em_verrec record = { .offset = offset };
        const uint8_t *at;

        r = em_image_peek(image, offset, VERNEED_SIZE, "a file of its needed versions", &at, error);
        if (r < 0)
            return r;
        record.count = em_get16(image, at + 2);
        record.file = em_get32(image, at + 4);
        record.aux = em_get32(image, at + 8);
        record.next = em_get32(image, at + 12);
        r = read_needed_versions(table, image, &record, error);
        if (r == EM_OK)
            r = em_vec_push(image->arena, &table->records, record);
        if (r == EM_OK)
            r = note_end(table, image, offset + VERNEED_SIZE, "its needed versions (DT_VERNEED)", error);
        if (r < 0 || record.next == 0)
            return r;
        offset += record.next;
    }
}

static int read_defined_names(struct em_vertable *table, struct em_image *image, struct em_verrec *record,
                              struct em_error *error)
{
    uint64_t offset = record->offset + record->aux;

    record->aux_first = table->aux.count;
    for (uint32_t i = 0; i < record->count; i++) {
        struct em_vernaux aux = { .offset = offset };
        const uint8_t *at;
        int r = em_image_peek(image, offset, VERDAUX_SIZE, "a name of a defined version", &at, error);

        if (r < 0)
            return r;
        aux.name = em_get32(image, at);
        aux.next = em_get32(image, at + 4);
        r = em_vec_push(image->arena, &table->aux, aux);
        if (r == EM_OK)
            r = note_end(table, image, offset + VERDAUX_SIZE, "its defined versions (DT_VERDEF)", error);
        if (r < 0)
            return r;
        record->aux_count++;
        if (aux.next == 0)
            break;
        offset += aux.next;
    }
    return EM_OK;
}

int em_vertable_read_defines(struct em_vertable *table, struct em_image *image, struct em_error *error)
{
    bool there;
    int r = locate(table, image, DT_VERDEF, VERDEF_SIZE, "its defined versions (DT_VERDEF)", &there, error);
    uint64_t offset = table->offset;

    if (r < 0 || !there)
        return r;
    for (;;) {
        struct em_verrec record = { .offset = offset };
        const uint8_t *at;

        r = em_image_peek(image, offset, VERDEF_SIZE, "a defined version", &at, error);
        if (r < 0)
            return r;
        record.flags = em_get16(image, at + 2);
        record.index = em_get16(image, at + 4);
        record.count = em_get16(image, at + 6);
        record.hash = em_get32(image, at + 8);
        record.aux = em_get32(image, at + 12);
        record.next = em_get32(image, at + 16);
        r = read_defined_names(table, image, &record, error);
        if (r == EM_OK)
            r = em_vec_push(image->arena, &table->records, record);
        if (r == EM_OK)
            r = note_end(table, image, offset + VERDEF_SIZE, "its defined versions (DT_VERDEF)", error);
        if (r < 0 || record.next == 0)
            return r;
        offset += record.next;
    }
}
