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

/* What tells the two tables apart: both are chains of records, each with a chain of auxiliary entries behind it. */
struct table_kind {
    uint64_t tag;
    uint64_t record_size, aux_size;
    const char *what, *record_what, *aux_what; /* for messages */
    void (*record)(const struct em_image *image, const uint8_t *at, struct em_verrec *record);
    void (*aux)(const struct em_image *image, const uint8_t *at, struct em_vernaux *aux);
};

static void read_need(const struct em_image *image, const uint8_t *at, struct em_verrec *record)
{
    record->count = em_get16(image, at + 2);
    record->file = em_get32(image, at + 4);
    record->aux = em_get32(image, at + 8);
    record->next = em_get32(image, at + 12);
}

static void read_needed_version(const struct em_image *image, const uint8_t *at, struct em_vernaux *aux)
{
    aux->hash = em_get32(image, at);
    aux->flags = em_get16(image, at + 4);
    aux->other = em_get16(image, at + 6);
    aux->name = em_get32(image, at + 8);
    aux->next = em_get32(image, at + 12);
}

static void read_define(const struct em_image *image, const uint8_t *at, struct em_verrec *record)
{
    record->flags = em_get16(image, at + 2);
    record->index = em_get16(image, at + 4);
    record->count = em_get16(image, at + 6);
    record->hash = em_get32(image, at + 8);
    record->aux = em_get32(image, at + 12);
    record->next = em_get32(image, at + 16);
}

static void read_defined_name(const struct em_image *image, const uint8_t *at, struct em_vernaux *aux)
{
    aux->name = em_get32(image, at);
    aux->next = em_get32(image, at + 4);
}

static const struct table_kind needs = {
    DT_VERNEED,         VERNEED_SIZE, VERNAUX_SIZE,       "its needed versions (DT_VERNEED)", "a file of its needed versions",
    "a needed version", read_need,    read_needed_version
};
static const struct table_kind defines = { DT_VERDEF,           VERDEF_SIZE,
                                           VERDAUX_SIZE,        "its defined versions (DT_VERDEF)",
                                           "a defined version", "a name of a defined version",
                                           read_define,         read_defined_name };

static int read_aux(struct em_vertable *table, struct em_image *image, const struct table_kind *kind, struct em_verrec *record,
                    struct em_error *error)
{
    uint64_t offset = record->offset + record->aux;

    record->aux_first = table->aux.count;
    for (uint32_t i = 0; i < record->count; i++) {
        struct em_vernaux aux = { .offset = offset };
        const uint8_t *at;
        int r = em_image_peek(image, offset, kind->aux_size, kind->aux_what, &at, error);

        if (r < 0)
            return r;
        kind->aux(image, at, &aux);
        r = em_vec_push(image->arena, &table->aux, aux);
        if (r == EM_OK)
            r = note_end(table, image, offset + kind->aux_size, kind->what, error);
        if (r < 0)
            return r;
        record->aux_count++;
        if (aux.next == 0)
            break;
        offset += aux.next;
    }
    return EM_OK;
}

static int read_records(struct em_vertable *table, struct em_image *image, const struct table_kind *kind,
                        struct em_error *error)
{
    uint64_t offset = table->offset;

    for (;;) {
        struct em_verrec record = { .offset = offset };
        const uint8_t *at;
        int r = em_image_peek(image, offset, kind->record_size, kind->record_what, &at, error);
        if (r < 0)
            return r;
        kind->record(image, at, &record);
        r = read_aux(table, image, kind, &record, error);
        if (r == EM_OK)
            r = em_vec_push(image->arena, &table->records, record);
        if (r == EM_OK)
            r = note_end(table, image, offset + kind->record_size, kind->what, error);
        if (r < 0 || record.next == 0)
            return r;
        offset += record.next;
    }
}

static int read_table(struct em_vertable *table, struct em_image *image, const struct table_kind *kind, struct em_error *error)
{
    bool there;
    int r = locate(table, image, kind->tag, kind->record_size, kind->what, &there, error);

    return r < 0 || !there ? r : read_records(table, image, kind, error);
}

int em_vertable_read_needs(struct em_vertable *table, struct em_image *image, struct em_error *error)
{
    return read_table(table, image, &needs, error);
}

int em_vertable_read_defines(struct em_vertable *table, struct em_image *image, struct em_error *error)
{
    return read_table(table, image, &defines, error);
}

int em_vertable_read_section(struct em_vertable *table, struct em_image *image, const struct em_shdr *section,
                             struct em_error *error)
{
    *table = (struct em_vertable){ .offset = section->offset };
    if (section->info == 0 || section->size == 0)
        return EM_OK;
    return read_records(table, image, section->type == SHT_GNU_verneed ? &needs : &defines, error);
}
