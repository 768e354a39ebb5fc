/* splice.h: a deflate stream for a file that was changed in a few places, out of the stream of the file as it was.
 *
 * A patch changes some hundred bytes of a library of hundreds of megabytes. Deflate (RFC 1951) is a row of blocks, each of which
 * says what some tens of kilobytes are; those that still say the right thing are taken over as they are, bit for bit, and only the
 * others are encoded anew:
 *
 *     r = em_zip_index(zip, member, &old, error)       where its blocks are, known from when the member was checked
 *     r = em_splice(&spliced, arena, &old->blocks, &packed, &changes, &plain, percent, &scratch, error)
 *     if (!spliced.worth) ...                      too much is new: whoever calls compresses the whole
 *     spliced.pieces                               the new stream: ranges of packed, and of the scratch file
 *
 * packed reads the old stream, plain the new file. Bytes keep their place: what the new file has at an offset at which nothing
 * changed is what the old one had there. It may be longer or shorter.
 *
 * A block is kept if nothing changed in what it says and either nothing changed in the 32 KiB before it, or inflating the block
 * with the new 32 KiB as its dictionary gives the new bytes: matches that reach back over changed bytes are tried, never guessed.
 * Kept blocks are never shifted: seams are padded to the old phase with empty blocks (10 bits for a static one, 95 for a dynamic
 * one with complete codes, which strict inflaters want), so that what follows is copied as whole bytes and stored blocks inside
 * keep their alignment.
 *
 * The result is right by construction and by test; who writes it out inflates it once more all the same, from the last place before which
 * nothing in it is new (em_splice_compare).
 * Errors: EM_BAD_ZIP for a stream that is broken, those of the readers and of the scratch file. Memory does not grow with the file.
 */
#ifndef EM_BUNDLE_WHEEL_SPLICE_H
#define EM_BUNDLE_WHEEL_SPLICE_H

#include "bundle/tree/zip.h"

struct em_change {
    uint64_t begin, end;
};
/* Sorted, apart from each other, in bytes of the file. What lies behind the old end is new without being named. */
struct em_changes {
    EM_VEC(struct em_change);
};

struct em_piece {
    bool packed; /* of the old stream; else of the scratch file */
    uint64_t offset, size;
};

struct em_pieces {
    EM_VEC(struct em_piece);
};

/* A file of ours that grows; several streams may share it. */
struct em_scratch {
    int fd;
    uint64_t end;
};

struct em_spliced {
    bool worth;
    struct em_pieces pieces;
    uint64_t packed_size; /* of the new stream */
    uint64_t encoded;     /* bytes of the file that were encoded anew */
};

/* More than this part of the file encoded anew is no longer faster than libdeflate over the whole (measured, 117 MB). percent 100:
 * it is always worth it. */
#define EM_SPLICE_WORTH_PERCENT 30u

int em_splice(struct em_spliced *spliced, struct em_arena *arena, const struct em_blocks *blocks, struct em_reader *packed,
              const struct em_changes *changes, struct em_reader *plain, unsigned percent, struct em_scratch *scratch,
              struct em_error *error);

/* Reads the stream that pieces make; valid as long as all three are. */
struct em_pieced {
    const struct em_pieces *pieces;
    struct em_reader *packed;
    const struct em_scratch *scratch;
    size_t at; /* piece that was read last, and where it begins: reading goes forward */
    uint64_t at_begin;
};
struct em_reader em_pieces_reader(struct em_pieced *pieced, uint64_t size);

/* Holds what comes out of a new stream, piece by piece, against the file that it shall be: where nothing changed, by the CRCs of the
 * old one's chunks and of those that came; elsewhere, and where there is no old one (NULL), against plain byte for byte. EM_BAD_ZIP if
 * it is another: a fault of ours, and nothing that was written may stay. */
struct em_splice_check {
    struct em_reader *plain;
    const struct em_zip_chunk_crcs *old;
    const struct em_changes *changes;
    uint64_t old_size;
    struct em_error *error;
    uint64_t at; /* how far it came; at first, how far the new stream is the old one: to the beginning of a chunk */
};
int em_splice_compare(struct em_splice_check *check, uint64_t at, const uint8_t *bytes, size_t size);
/* All of it came. made: the CRCs of its chunks; NULL where there is no old one. */
int em_splice_end(const struct em_splice_check *check, const struct em_zip_chunk_crcs *made);

/* Some byte from begin to end changed. */
bool em_is_changed(const struct em_changes *changes, uint64_t begin, uint64_t end);

#endif
