/* record.h: the files that a distribution says it owns.
 *
 * RECORD is CSV with three fields a row: path, hash, size (packaging specifications, "Recording installed projects"; PEP 376, PEP
 * 627). A record keeps its rows in file order and every row as it was spelled, so that writing back an untouched record gives the
 * bytes that were read: package managers compare.
 *
 *     em_record_read(&record, arena, bytes, label, error)    rows live as long as the arena
 *     row = em_record_find(&record, path)                    NULL if it is not listed
 *     em_record_put(&record, path, &digest, size)            new or changed; a new row stands before RECORD's own. Rows may move
 *     em_record_write(&record, &text)
 *
 * A row that is put again keeps its place, its line end and its quotes; one that says the same already is not touched.
 *
 * Paths are relative to the directory that holds the .dist-info, with "/" between parts; they may lead out of it
 * ("../../../bin/ct2-transformers-converter") or be absolute. Nothing here touches the file system.
 *
 * Errors: EM_BAD_RECORD with the line number: not exactly three fields, an open quote, text behind a closing one, NUL, not UTF-8,
 * no path, a size that is no number, a path listed before. EM_LIMIT, EM_NO_MEMORY. On error the record is empty.
 */
#ifndef EM_BUNDLE_ENV_RECORD_H
#define EM_BUNDLE_ENV_RECORD_H

#include "base/base.h"

struct em_record_row {
    const char *path;
    const char *hash; /* as spelled: "sha256=...", "" if there is none */
    bool has_sha256;  /* and it could be read */
    struct em_sha256 sha256;
    bool has_size;
    uint64_t size;
    struct em_bytes raw; /* the row as it is written, line end and empty lines behind it included; NUL stands for a comma */
};

struct em_record {
    struct em_arena *arena;
    struct {
        EM_VEC(struct em_record_row);
    } rows;
    uint32_t *slots; /* by hash of the path: index into rows plus 1, 0 is free. em_record_find knows how */
    size_t slot_count;
    const char *line_end; /* "\n" or "\r\n", as the first row has it */
    bool repeats;         /* a path is listed twice; the first row counts */
    /* The first line that has another digest for a path than a line before it, 0: none. A wheel with one is refused; distributions of
     * Debian's have such rows for scripts. */
    unsigned contradiction;
    bool has_bom;
    bool quotes_all;      /* the first row has quotes around each field */
    struct em_bytes head; /* what stands before the first row: a byte order mark, empty lines */
};

/* bytes are not needed any more afterwards. */
int em_record_read(struct em_record *record, struct em_arena *arena, struct em_bytes bytes, const char *label,
                   struct em_error *error);
struct em_record_row *em_record_find(const struct em_record *record, const char *path);
int em_record_put(struct em_record *record, const char *path, const struct em_sha256 *sha256, uint64_t size);
void em_record_write(const struct em_record *record, struct em_text *text);

/* RECORD.jws and RECORD.p7s sign the list and are not in it (binary distribution format, "Signed wheel files"). path: as a row has it;
 * a file of that name that lies elsewhere than in a .dist-info is like any other. */
bool em_is_signature(const char *path);

#endif
