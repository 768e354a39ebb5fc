#include "bundle/plan/sbom.h"
#include "bundle/wheel/compress.h"
#include "bundle/wheel/metadata.h"
#include "bundle/wheel/pack.h"
#include "bundle/wheel/parts.h"
#include "bundle/wheel/provider.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* From this size on a changed member is spliced; below, libdeflate has the whole done as fast. */
#define SPLICE_FROM ((uint64_t)4 << 20)

struct work {
    struct em_rewrite *rewrite;
    struct em_arena *arena; /* gone when the archive is written */
    struct em_error *error;
    struct em_pack pack;
    struct em_scratch scratch;
    struct em_parts parts;
    uint16_t dos_time, dos_date; /* for what is new */
};

/* Rows of a date that DOS can say: 1980 to 2107, even seconds (APPNOTE 4.4.6). */
static void dos_of(int64_t seconds, uint16_t *date, uint16_t *time)
{
    const int64_t first = INT64_C(315532800), last = INT64_C(4354819198);
    time_t at = (time_t)(seconds < first ? first : seconds > last ? last : seconds);
    struct tm tm;

    gmtime_r(&at, &tm);
    *date = (uint16_t)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday);
    *time = (uint16_t)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2);
}

/* ---- one member ---- */

static void describe(const struct work *work, const struct em_part *part, struct em_pack_member *described)
{
    const struct em_zip_member *member = part->member;
    bool executable = member ? member->mode & 0111 : part->step && part->step->mode & 0111;

    *described = (struct em_pack_member){ .name = part->name, .mode = S_IFREG | (executable ? 0755u : 0644u) };
    described->dos_time = member && !work->rewrite->plan->wheel->has_date ? member->dos_time : work->dos_time;
    described->dos_date = member && !work->rewrite->plan->wheel->has_date ? member->dos_date : work->dos_date;
}

/* The stream as it is. */
static int write_packed(struct work *work, struct em_part *part, const struct em_zip_place *old)
{
    struct em_pack_member described;

    describe(work, part, &described);
    described.method = old->member->method;
    described.crc = old->member->crc;
    described.size = old->member->size;
    described.packed = old->member->packed;
    part->learned = old->member->learned;
    return em_pack_copy(&work->pack, &described, em_zip_fd(old->zip), old->member->data, work->error);
}

static int compare_piece(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    return em_splice_compare(context, at, bytes, size);
}

/* A stream that is about to be packed, and what it has in common with that of a member; member NULL: nothing. */
struct stream {
    struct em_reader reader;
    struct em_zip_place old;
    uint64_t packed, plain; /* bytes of the stream, and of the file, that are the old one's */
};

/* Inflated once, which proves it, hashes it and teaches what the proof of the whole wheel wants to know of it: from where it is no
 * longer the old stream, bit for bit, which was verified. */
static int verify_stream(struct work *work, struct em_part *part, struct stream *stream, struct em_splice_check *check,
                         uint32_t *crc)
{
    struct em_zip *zip = stream->old.member ? stream->old.zip : work->rewrite->wheel->zip;
    struct em_zip_member made = { .name = part->name, .size = check->plain->size, .packed = stream->reader.size };
    int r = EM_OK;

    check->error = work->error;
    if (stream->old.member)
        r = em_zip_inherit(zip, &made, stream->old.member, stream->packed, stream->plain, &check->at);
    if (r == EM_OK)
        r = em_zip_learn(zip, &made, &stream->reader, compare_piece, check, &part->sha256, work->error);
    if (r == EM_OK)
        r = em_splice_end(check, em_zip_learned_crcs(&made));
    part->has_sha256 = true;
    part->learned = made.learned;
    *crc = made.crc;
    return r;
}

/* Into the archive, once it is proved. */
static int write_stream(struct work *work, struct em_part *part, struct stream *stream, struct em_splice_check *check)
{
    struct em_pack_member described;
    int r;

    describe(work, part, &described);
    described.method = EM_ZIP_DEFLATED;
    described.size = part->size = check->plain->size;
    described.packed = stream->reader.size;
    r = verify_stream(work, part, stream, check, &described.crc);
    return r < 0 ? r : em_pack_add(&work->pack, &described, &stream->reader, work->error);
}

static int write_whole(struct work *work, struct em_part *part, struct em_reader *plain)
{
    struct em_piece piece;
    struct em_pieces pieces = { .items = &piece, .count = 1 };
    struct em_pieced pieced = { .pieces = &pieces, .scratch = &work->scratch };
    struct stream stream = { 0 };
    int r = em_compress(&piece, plain, work->rewrite->jobs, &work->scratch, work->error);

    if (r < 0)
        return r;
    stream.reader = em_pieces_reader(&pieced, piece.size);
    return write_stream(work, part, &stream, &(struct em_splice_check){ .plain = plain });
}

static int write_pieces(struct work *work, struct em_part *part, const struct em_spliced *spliced,
                        const struct em_zip_place *old, struct em_splice_check *check)
{
    struct em_reader packed = em_zip_packed_reader(old);
    struct em_pieced pieced = { .pieces = &spliced->pieces, .packed = &packed, .scratch = &work->scratch };
    const struct em_piece *first = spliced->pieces.items;
    struct stream stream = { em_pieces_reader(&pieced, spliced->packed_size), *old, 0, 0 };

    if (first->packed && first->offset == 0)
        stream.packed = first->size;
    stream.plain = check->changes->count > 0 ? check->changes->items[0].begin : check->old_size;
    return write_stream(work, part, &stream, check);
}

/* old: where the file's stream as it was is, a member of this wheel or of the one that it is copied from. */
static int write_spliced(struct work *work, struct em_part *part, const struct em_zip_place *old, const struct em_patch *patch,
                         struct em_reader *plain)
{
    struct em_reader packed = em_zip_packed_reader(old);
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_changes changes = { 0 };
    struct em_splice_check check = { .plain = plain, .changes = &changes, .old_size = old->member->size };
    const struct em_zip_index *index;
    struct em_spliced spliced;
    int r;

    if (!scratch)
        return EM_NO_MEMORY;
    em_vec_each (const struct em_patch_range, range, &patch->ranges)
        if (em_vec_push(scratch, &changes, ((struct em_change){ range->offset, range->offset + range->bytes.size })) < 0)
            return EM_NO_MEMORY;
    r = em_zip_index(old->zip, old->member, &index, work->error);
    if (r == EM_OK)
        r = em_splice(&spliced, scratch, &index->blocks, &packed, &changes, plain, EM_SPLICE_WORTH_PERCENT, &work->scratch,
                      work->error);
    if (r < 0)
        return r;
    check.old = &index->crcs;
    return spliced.worth ? write_pieces(work, part, &spliced, old, &check) : write_whole(work, part, plain);
}

static bool is_spliced(const struct em_zip_member *member)
{
    return member && member->method == EM_ZIP_DEFLATED && member->size >= SPLICE_FROM;
}

/* The object as the plan wants it, over where its bytes are now. old: as a member of a wheel; member NULL: it is none. */
static int write_patched(struct work *work, struct em_part *part, const struct em_zip_place *old, struct em_reader *below)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_patch patch;
    struct em_patched patched;
    int r = !arena ? EM_NO_MEMORY
                   : em_patch_make(&patch, arena, below, part->edits.items, part->edits.count, NULL, work->error);

    if (r < 0)
        return r;
    em_patched_init(&patched, below, &patch);
    return is_spliced(old->member) ? write_spliced(work, part, old, &patch, &patched.reader)
                                   : write_whole(work, part, &patched.reader);
}

/* ---- copies ---- */

/* As it is packed in the wheel that it comes from. */
static int write_provided(struct work *work, struct em_part *part, const struct em_provided *stream)
{
    struct em_zip_place place = stream->place;
    struct em_reader below = em_zip_reader(&place);
    int r = em_step_check(part->step, stream->sha256, work->error);

    if (r < 0)
        return r;
    if (part->edits.count > 0)
        return write_patched(work, part, &place, &below);
    part->sha256 = *stream->sha256;
    part->has_sha256 = true;
    part->size = place.member->size;
    return write_packed(work, part, &place);
}

/* Held against what vouches for it before it is packed; as it is packed, where it stays as it is. */
static int write_copy(struct work *work, struct em_part *part)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, part->step->from, O_RDONLY, 0, work->error);
    struct em_reader reader;
    struct em_sha256 sha256;
    int r = fd < 0 ? fd : em_reader_whole(&reader, fd, part->step->from, work->error);

    if (r < 0)
        return r;
    r = part->edits.count > 0 ? em_hash_reader(&reader, &sha256, NULL, work->error) : write_whole(work, part, &reader);
    if (r == EM_OK)
        r = em_step_check(part->step, part->edits.count > 0 ? &sha256 : &part->sha256, work->error);
    return r < 0 || part->edits.count == 0 ? r : write_patched(work, part, &(struct em_zip_place){ 0 }, &reader);
}

static int write_part(struct work *work, struct em_part *part)
{
    const struct em_rewrite *rewrite = work->rewrite;
    struct em_provided stream;
    int r;

    if (part->text.data) {
        struct em_reader plain = em_reader_memory(&part->text, part->name);

        return write_whole(work, part, &plain);
    }
    if (part->member) {
        struct em_zip_place old = { rewrite->wheel->zip, part->member };
        struct em_reader below = em_zip_reader(&old);

        return part->step ? write_patched(work, part, &old, &below) : write_packed(work, part, &old);
    }
    r = em_provider_find(rewrite->providers, rewrite->arena, rewrite->plan, part->step, rewrite->jobs, &stream);
    if (r < 0)
        return r;
    return stream.place.member ? write_provided(work, part, &stream) : write_copy(work, part);
}

/* ---- SBOM ---- */

/* That of all that is new in the wheel. */
static const char *timestamp(struct work *work)
{
    const unsigned date = work->dos_date, time = work->dos_time;

    return em_arena_printf(work->arena, "%04u-%02u-%02uT%02u:%02u:%02uZ", 1980 + (date >> 9), date >> 5 & 15, date & 31,
                           time >> 11, time >> 5 & 63, 2 * (time & 31));
}

static int list_library(struct work *work, const char *path, struct em_sbom *bill)
{
    em_vec_each (const struct em_part, part, &work->parts)
        if (part->step && part->step->kind == EM_STEP_COPY && strcmp(part->step->path, path) == 0)
            return em_vec_push(
                work->arena, &bill->libraries,
                ((struct em_sbom_library){ part->name, part->step->provenance, part->step->purl, &part->sha256 }));
    return em_fail(work->error, EM_USAGE, work->rewrite->wheel->given,
                   "is to get a bill that tells of '%s', which is not copied", path);
}

/* Behind the copies, whose hashes are known by then. */
static int write_sbom(struct work *work, struct em_part *sbom)
{
    const struct em_rewrite *rewrite = work->rewrite;
    const struct em_plan_wheel *change = rewrite->plan->wheel;
    struct em_sbom bill = { .name = em_normalize_name(work->arena, rewrite->wheel->name),
                            .version = change->version ? change->version : rewrite->wheel->version,
                            .timestamp = timestamp(work) };
    struct em_reader plain;
    int r;

    if (!bill.name || !bill.timestamp)
        return EM_NO_MEMORY;
    em_vec_each (const char *, file, &sbom->step->files) {
        r = list_library(work, *file, &bill);
        if (r < 0)
            return r;
    }
    r = em_sbom_write(&sbom->text, work->arena, &bill);
    if (r < 0)
        return r;
    plain = em_reader_memory(&sbom->text, sbom->name);
    return write_whole(work, sbom, &plain);
}

/* ---- RECORD ---- */

static int write_record(struct work *work, struct em_part *record)
{
    em_cleanup_text struct em_text text = { 0 };
    struct em_reader plain;

    em_vec_each (const struct em_part, part, &work->parts) {
        const struct em_record_row *row = part->member ? em_record_find(work->rewrite->record, part->member->name) : NULL;

        if (part->is_record)
            em_metadata_add_row(&text, part->name, NULL, 0);
        else
            em_metadata_add_row(&text, part->name, part->has_sha256 ? &part->sha256 : &row->sha256, part->size);
    }
    if (text.failed)
        return EM_NO_MEMORY;
    record->text = (struct em_bytes){ (const uint8_t *)text.data, text.size };
    plain = em_reader_memory(&record->text, record->name);
    return write_whole(work, record, &plain);
}

static int open_scratch(struct work *work)
{
    FILE *file = tmpfile();

    if (!file)
        return em_fail_errno(work->error, "temporary file", "cannot be made");
    work->scratch.fd = dup(fileno(file));
    fclose(file);
    return work->scratch.fd < 0 ? em_fail_errno(work->error, "temporary file", "cannot be made") : EM_OK;
}

/* For the proof, when nothing else of the work is left. */
static int remember(struct em_rewrite *rewrite, const struct em_part *part)
{
    const char *name = em_arena_strdup(rewrite->arena, part->name);

    return name ? em_vec_push(rewrite->arena, &rewrite->known, ((struct em_wheel_knowledge){ name, part->learned }))
                : EM_NO_MEMORY;
}

static int write_all(struct work *work)
{
    struct em_rewrite *rewrite = work->rewrite;
    struct em_zip_member *metadata = em_wheel_part(rewrite->wheel, work->arena, "METADATA");
    int r;

    work->dos_date = metadata->dos_date;
    work->dos_time = metadata->dos_time;
    if (rewrite->plan->wheel->has_date)
        dos_of(rewrite->plan->wheel->date, &work->dos_date, &work->dos_time);
    r = em_parts_collect(&work->parts, work->arena, rewrite, work->error);
    if (r == EM_OK)
        r = open_scratch(work);
    em_vec_each (struct em_part, part, &work->parts) {
        if (r == EM_OK)
            r = part->is_record ? write_record(work, part) : part->is_sbom ? write_sbom(work, part) : write_part(work, part);
        if (r == EM_OK && part->learned)
            r = remember(rewrite, part);
    }
    return r < 0 ? r : em_pack_finish(&work->pack, work->error);
}

int em_rewrite(struct em_rewrite *rewrite, int fd, const char *label, struct em_error *error)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct work work = { .rewrite = rewrite,
                         .arena = arena,
                         .error = error,
                         .pack = { .fd = fd, .arena = arena, .label = label },
                         .scratch = { .fd = -1 } };
    int r = arena ? write_all(&work) : EM_NO_MEMORY;

    em_closep(&work.scratch.fd);
    return r;
}
