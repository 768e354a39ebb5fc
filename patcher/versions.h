/* versions.h: the symbol version tables, DT_VERNEED and DT_VERDEF (gABI's GNU addition, "Symbol Versioning" by Ulrich Drepper).
 * For this room only.
 *
 * Both tables are chains by relative offsets, so a record is known by where it lies in the file. The chains only lead forward,
 * which ends every walk; a loader goes by the chain and not by the count, and so do we.
 */
#ifndef EM_PATCHER_VERSIONS_H
#define EM_PATCHER_VERSIONS_H

#include "patcher/image.h"

struct em_vernaux {  /* one version wanted, or one name of a version defined */
    uint64_t offset; /* of the record, in the file */
    uint32_t hash, name, next;
    uint16_t flags, other; /* other: the number that .gnu.version uses */
};

struct em_verrec { /* Elf*_Verneed or Elf*_Verdef: the same in both classes */
    uint64_t offset;
    uint32_t file; /* needs: string index of vn_file */
    uint32_t hash; /* defines: vd_hash */
    uint32_t aux, next;
    uint16_t flags, index;       /* defines: vd_flags, vd_ndx */
    uint16_t count;              /* vn_cnt, vd_cnt */
    size_t aux_first, aux_count; /* into aux.items below */
};

struct em_vertable {
    struct {
        EM_VEC(struct em_verrec);
    } records;
    struct {
        EM_VEC(struct em_vernaux);
    } aux;
    uint64_t offset, size; /* in the file; size up to the end of the last record. 0 if the object has no such table */
};

int em_vertable_read_needs(struct em_vertable *table, struct em_image *image, struct em_error *error);
int em_vertable_read_defines(struct em_vertable *table, struct em_image *image, struct em_error *error);
/* The table that a section header describes (SHT_GNU_verneed, SHT_GNU_verdef), whether or not a tag leads to it. */
int em_vertable_read_section(struct em_vertable *table, struct em_image *image, const struct em_shdr *section,
                             struct em_error *error);

#endif
