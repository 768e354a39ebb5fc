#include "bundle/tree/zip_room.h"

#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

static int damaged(struct em_zip *zip, const struct em_zip_member *member, struct em_error *error, const char *what)
{
    return em_fail_at(error, EM_BAD_ZIP, zip->path, member->data, "has a member %s: %s", what, member->name);
}

/* ---- the file of windows ---- */

/* An unlinked file where temporary files go; it goes with us, however we end. Under the lock. */
static int open_windows(struct em_zip *zip, struct em_error *error)
{
    const char *directory = getenv("TMPDIR");
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    char *name;

    if (zip->windows >= 0)
        return EM_OK;
    if (!scratch)
        return EM_NO_MEMORY;
    if (!directory || !*directory)
        directory = "/tmp";
    zip->windows = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (zip->windows >= 0)
        return EM_OK;
    name = em_random_name(scratch, "elfmend-");
    name = name ? em_path_join(scratch, directory, name) : NULL;
    if (!name)
        return EM_NO_MEMORY;
    zip->windows = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (zip->windows < 0)
        return em_fail_errno(error, directory, "has no room for a temporary file (TMPDIR names another place)");
    unlink(name);
    return EM_OK;
}

static int keep(struct em_zip *zip, const uint8_t *bytes, size_t size, uint64_t *at, struct em_error *error)
{
    int r;

    pthread_mutex_lock(&zip->lock);
    r = open_windows(zip, error);
    *at = zip->windows_end;
    zip->windows_end += size;
    pthread_mutex_unlock(&zip->lock);
    return r < 0 ? r : em_pwrite_all(zip->windows, bytes, size, *at, "temporary file", error);
}

int em_zip_keep_window(struct em_zip *zip, const uint8_t *window, uint64_t *at, struct em_error *error)
{
    return keep(zip, window, EM_INFLATE_WINDOW, at, error);
}

int em_zip_kept_window(const struct em_zip *zip, uint64_t at, uint8_t *window, struct em_error *error)
{
    struct em_reader windows = em_reader_fd(zip->windows, UINT64_MAX, "temporary file");

    return em_read_at(&windows, window, EM_INFLATE_WINDOW, at, error);
}

/* The archive that learned it is who keeps it: the proof of a new wheel asks for what the old one was asked for. */
void em_zip_put_by(struct em_zip_learned *learned, const struct em_zip_member *member, uint64_t chunk, const uint8_t *bytes,
                   size_t size)
{
    uint64_t at;

    if (learned->home->put_by > EM_ZIP_MOST_PUT_BY)
        return;
    if (!learned->put_by)
        learned->put_by = em_arena_array(learned->arena, (size_t)(member->size / EM_ZIP_CHUNK) + 1, sizeof *learned->put_by);
    if (!learned->put_by || keep(learned->home, bytes, size, &at, NULL) < 0)
        return;
    learned->home->put_by += size;
    learned->put_by[chunk] = at + 1;
}

bool em_zip_is_put_by(const struct em_zip_learned *learned, uint64_t chunk)
{
    return learned && learned->put_by && learned->put_by[chunk] > 0;
}

int em_zip_read_put_by(const struct em_zip_learned *learned, uint64_t offset, void *buffer, size_t size, struct em_error *error)
{
    struct em_reader windows = em_reader_fd(learned->home->windows, UINT64_MAX, "temporary file");

    return em_read_at(&windows, buffer, size, learned->put_by[offset / EM_ZIP_CHUNK] - 1 + offset % EM_ZIP_CHUNK, error);
}

/* Who goes through all of a member leaves a point each so many chunks, and who asks for a chunk those around it: windows cost more to
 * write than a megabyte costs to inflate. */
#define CHUNKS_A_POINT 4u

static bool is_worth_a_point(uint64_t chunk, uint64_t end)
{
    return chunk % CHUNKS_A_POINT == 0 || (chunk + CHUNKS_A_POINT) * EM_ZIP_CHUNK > end;
}

/* Before the chunk of that number, which begins within EM_INFLATE_LEAST bytes. */
static int keep_point(struct em_zip_learned *learned, uint64_t chunk, const struct em_inflater *inflater,
                      struct em_error *error)
{
    const struct em_zip_point gap = { .window = EM_ZIP_NO_WINDOW };
    em_cleanup_free uint8_t *window = NULL;
    struct em_zip_point point = { 0 };
    int r;

    if (!learned->arena)
        return EM_OK;
    while (learned->points.count < chunk)
        if (em_vec_push(learned->arena, &learned->points, gap) < 0)
            return EM_NO_MEMORY;
    if (learned->points.items[chunk - 1].window != EM_ZIP_NO_WINDOW)
        return EM_OK;
    window = malloc(EM_INFLATE_WINDOW);
    if (!window)
        return EM_NO_MEMORY;
    em_inflater_leave(inflater, &point.at, window);
    r = em_zip_keep_window(learned->home, window, &point.window, error);
    if (r == EM_OK)
        learned->points.items[chunk - 1] = point;
    return r;
}

static int enter(struct em_inflater *inflater, const struct em_zip_learned *learned, const struct em_zip_point *point,
                 struct em_error *error)
{
    em_cleanup_free uint8_t *window = malloc(EM_INFLATE_WINDOW);
    int r;

    if (!window)
        return EM_NO_MEMORY;
    r = em_zip_kept_window(learned->home, point->window, window, error);
    return r < 0 ? r : em_inflater_enter(inflater, &point->at, window, error);
}

/* ---- learning ---- */

/* A CRC of all and one of the chunk would be twice the work: they are joined (zlib, crc32_combine). */
static int end_chunk(struct em_zip_learned *learned)
{
    const uint64_t size = learned->have % EM_ZIP_CHUNK ? learned->have % EM_ZIP_CHUNK : EM_ZIP_CHUNK;
    const uint32_t crc = learned->chunk_crc;

    learned->crc = (uint32_t)crc32_combine(learned->crc, crc, (long)size);
    learned->chunk_crc = 0;
    return learned->arena ? em_vec_push(learned->arena, &learned->index.crcs, crc) : EM_OK;
}

static int learn(struct em_zip_learned *learned, const struct em_zip_member *member, uint64_t at, const uint8_t *bytes,
                 size_t size)
{
    size_t known = at < learned->have ? (size_t)(learned->have - at) : 0;

    if (known >= size)
        return EM_OK;
    bytes += known;
    size -= known;
    while (size > 0) {
        uint64_t room = EM_ZIP_CHUNK - learned->have % EM_ZIP_CHUNK;
        size_t part = size < room ? size : (size_t)room;
        int r;

        learned->chunk_crc = libdeflate_crc32(learned->chunk_crc, bytes, part);
        learned->have += part;
        bytes += part;
        size -= part;
        if (learned->have % EM_ZIP_CHUNK != 0 && learned->have != member->size)
            continue;
        r = end_chunk(learned);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int judge_end(struct em_zip *zip, struct em_zip_member *member, struct em_zip_learned *learned,
                     const struct em_inflater *inflater, struct em_error *error)
{
    if (learned->have < member->size)
        return damaged(zip, member, error, "that is shorter than the directory says");
    if (em_inflater_end(inflater) < member->packed)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, member->data, "has bytes behind the compressed data of a member: %s",
                          member->name);
    if (learned->made)
        member->crc = learned->crc;
    if (learned->crc != member->crc)
        return damaged(zip, member, error, "whose CRC is not that of its data");
    learned->news = learned->news || !learned->complete;
    learned->complete = true;
    return EM_OK;
}

static int judge_failure(struct em_zip *zip, struct em_zip_member *member, const struct em_inflater *inflater, int r,
                         struct em_error *error)
{
    const char *problem = em_inflater_problem(inflater);

    if (!problem)
        return r;
    return em_fail_at(error, EM_BAD_ZIP, zip->path, member->data, "has a member whose compressed data %s: %s", problem,
                      member->name);
}

/* Pieces from where the inflater stands. They end just before each chunk, so that it can be entered there, and not far behind end. */
static int walk_on(struct em_zip *zip, struct em_zip_member *member, struct em_zip_learned *learned,
                   struct em_inflater *inflater, uint64_t at, uint64_t end, em_zip_piece *piece, void *context,
                   struct em_error *error)
{
    while (at < end || at == member->size) {
        uint64_t chunk = (at + EM_ZIP_CHUNK - 1) / EM_ZIP_CHUNK, most = chunk * EM_ZIP_CHUNK - at;
        const uint8_t *bytes;
        size_t size;
        int r;

        if (most < EM_INFLATE_LEAST) {
            r = chunk > 0 && is_worth_a_point(chunk, end) ? keep_point(learned, chunk, inflater, error) : EM_OK;
            if (r < 0)
                return r;
            most += EM_ZIP_CHUNK;
        }
        if (end < member->size && most > end - at)
            most = end - at > EM_INFLATE_LEAST ? end - at : EM_INFLATE_LEAST;
        r = em_inflater_next(inflater, most, &bytes, &size, error);
        if (r < 0)
            return judge_failure(zip, member, inflater, r, error);
        if (size == 0)
            return judge_end(zip, member, learned, inflater, error);
        if (size > member->size - at)
            return damaged(zip, member, error, "that is longer than the directory says");
        r = learn(learned, member, at, bytes, size);
        if (r == EM_OK)
            r = piece(context, at, bytes, size);
        if (r < 0)
            return r;
        at += size;
    }
    return EM_OK;
}

/* How many chunks may be left out: there is a point before the next one. */
static uint64_t chunks_before(const struct em_zip_learned *learned, uint64_t from)
{
    uint64_t chunk = from / EM_ZIP_CHUNK < learned->points.count ? from / EM_ZIP_CHUNK : learned->points.count;

    while (chunk > 0 && learned->points.items[chunk - 1].window == EM_ZIP_NO_WINDOW)
        chunk--;
    return chunk;
}

static int walk_learning(struct em_zip *zip, struct em_zip_member *member, struct em_zip_learned *learned,
                         struct em_reader *packed, uint64_t from, uint64_t end, em_zip_piece *piece, void *context,
                         struct em_error *error)
{
    em_cleanup_inflater struct em_inflater *inflater = em_inflater_new(packed);
    uint64_t chunk = chunks_before(learned, from), asked = from / EM_ZIP_CHUNK;
    const struct em_zip_point *point = chunk > 0 ? &learned->points.items[chunk - 1] : NULL;
    uint64_t at = point ? point->at.out : 0;
    int r = EM_OK;

    if (!inflater)
        return EM_NO_MEMORY;
    if (learned->arena && !learned->complete)
        em_inflater_tell(inflater, &learned->index.blocks, learned->arena);
    if (point)
        r = enter(inflater, learned, point, error);
    r = r < 0 ? judge_failure(zip, member, inflater, r, error)
              : walk_on(zip, member, learned, inflater, at, end, piece, context, error);
    if (r == EM_OK && asked > 0 && asked <= learned->points.count && !learned->points.items[asked - 1].asked)
        learned->points.items[asked - 1].asked = learned->news = true;
    return r;
}

/* ---- who may learn ---- */

struct em_zip_learned *em_zip_learned_new(struct em_zip *zip)
{
    struct em_zip_learned *learned = calloc(1, sizeof *learned);

    if (!learned)
        return NULL;
    learned->arena = em_arena_new();
    if (!learned->arena) {
        free(learned);
        return NULL;
    }
    learned->home = zip;
    learned->next = zip->learned;
    zip->learned = learned;
    return learned;
}

void em_zip_keep_digest(struct em_zip *zip, const struct em_zip_member *member, const struct em_sha256 *sha256)
{
    struct em_zip_learned *learned = member->learned;

    if (!learned)
        return;
    pthread_mutex_lock(&zip->lock);
    learned->news = learned->news || !learned->hashed;
    learned->sha256 = *sha256;
    learned->hashed = true;
    pthread_mutex_unlock(&zip->lock);
}

bool em_zip_kept_digest(struct em_zip *zip, const struct em_zip_member *member, struct em_sha256 *sha256)
{
    const struct em_zip_learned *learned;
    bool hashed;

    pthread_mutex_lock(&zip->lock);
    learned = member->learned;
    hashed = learned && learned->hashed;
    if (hashed)
        *sha256 = learned->sha256;
    pthread_mutex_unlock(&zip->lock);
    return hashed;
}

int em_zip_keep_state(struct em_zip_member *member, uint64_t chunks, const struct em_hasher *hasher)
{
    struct em_zip_learned *learned = member->learned;
    struct em_sha256_state state;

    if (!learned || learned->states.count + 1 != chunks || !em_hasher_leave(hasher, &state))
        return EM_OK;
    return em_vec_push(learned->arena, &learned->states, state);
}

/* What is known of a member, ours until it is let go; NULL: no memory. */
static struct em_zip_learned *take_learned(struct em_zip *zip, struct em_zip_member *member)
{
    struct em_zip_learned *learned;

    pthread_mutex_lock(&zip->lock);
    while (member->learned && member->learned->busy)
        pthread_cond_wait(&zip->idle, &zip->lock);
    if (!member->learned)
        member->learned = em_zip_learned_new(zip);
    learned = member->learned;
    if (learned)
        learned->busy = true;
    pthread_mutex_unlock(&zip->lock);
    return learned;
}

static void let_go(struct em_zip *zip, struct em_zip_learned *learned, int r, const struct em_error *error)
{
    pthread_mutex_lock(&zip->lock);
    if (r == EM_BAD_ZIP && error) {
        learned->failed = r;
        memcpy(learned->why, error->sentence, sizeof learned->why - 1);
    }
    learned->busy = false;
    pthread_cond_broadcast(&zip->idle);
    pthread_mutex_unlock(&zip->lock);
}

int em_zip_walk(struct em_zip *zip, struct em_zip_member *member, uint64_t from, uint64_t end, em_zip_piece *piece,
                void *context, struct em_error *error)
{
    struct em_zip_place place = { zip, member };
    struct em_reader packed = em_zip_packed_reader(&place);
    struct em_zip_learned once = { 0 }, *learned;
    struct em_error own = EM_ERROR_INIT;
    int r;

    if (member->size <= EM_ZIP_CHUNK)
        return walk_learning(zip, member, &once, &packed, 0, member->size, piece, context, error);
    learned = take_learned(zip, member);
    if (!learned)
        return EM_NO_MEMORY;
    if (learned->failed)
        r = em_fail_at(&own, learned->failed, zip->path, member->data, "%s", learned->why);
    else
        r = walk_learning(zip, member, learned, &packed, from, end, piece, context, &own);
    let_go(zip, learned, r, &own);
    if (r < 0 && error)
        *error = own;
    return r;
}

static int pass_over(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    (void)context, (void)at, (void)bytes, (void)size;
    return EM_OK;
}

int em_zip_index(struct em_zip *zip, struct em_zip_member *member, const struct em_zip_index **index, struct em_error *error)
{
    int r;

    *index = NULL;
    if (member->method != EM_ZIP_DEFLATED || member->size <= EM_ZIP_CHUNK)
        return EM_OK;
    if (!member->learned || !member->learned->complete) {
        r = em_zip_walk(zip, member, member->learned ? member->learned->have : 0, member->size, pass_over, NULL, error);
        if (r < 0)
            return r;
    }
    *index = &member->learned->index;
    return EM_OK;
}

/* ---- streams of ours ---- */

/* What the blocks say that lie in so many bytes of the stream, whole. Bytes behind them are said by a block that may be another one. */
static uint64_t said_by(const struct em_blocks *blocks, uint64_t packed)
{
    size_t low = 0, high = blocks->count;

    if (blocks->end_bit <= packed * 8)
        return blocks->size;
    /* The first block that begins behind it: the one before that one has an end there. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (blocks->items[middle].bit <= packed * 8)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? blocks->items[low - 1].out : 0;
}

/* How many chunks of it are known by those of the other, the inflater before the next one and the digest included. */
static uint64_t chunks_alike(const struct em_zip_learned *of, uint64_t packed, uint64_t plain)
{
    uint64_t said, chunks;

    if (!of || !of->complete || !em_hasher_can_leave())
        return 0;
    said = said_by(&of->index.blocks, packed);
    chunks = (said < plain ? said : plain) / EM_ZIP_CHUNK;
    chunks = chunks < of->points.count ? chunks : of->points.count;
    chunks = chunks < of->states.count ? chunks : of->states.count;
    while (chunks > 0 && of->points.items[chunks - 1].window == EM_ZIP_NO_WINDOW)
        chunks--;
    return chunks;
}

/* The windows are in the file of whoever learned them, so they have one home. */
static int take_over(struct em_zip_learned *learned, const struct em_zip_learned *of, uint64_t chunks)
{
    for (uint64_t i = 0; i < chunks; i++) {
        struct em_zip_point point = of->points.items[i];

        point.asked = false;
        learned->have += EM_ZIP_CHUNK;
        learned->chunk_crc = of->index.crcs.items[i];
        if (em_vec_push(learned->arena, &learned->points, point) < 0 ||
            em_vec_push(learned->arena, &learned->states, of->states.items[i]) < 0 || end_chunk(learned) < 0)
            return EM_NO_MEMORY;
    }
    /* The inflater tells those that begin behind the point, or at it. */
    em_vec_each (const struct em_block, block, &of->index.blocks)
        if (block->bit < learned->points.items[chunks - 1].at.bit &&
            em_vec_push(learned->arena, &learned->index.blocks, *block) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

int em_zip_inherit(struct em_zip *zip, struct em_zip_member *member, const struct em_zip_member *of, uint64_t packed,
                   uint64_t plain, uint64_t *from)
{
    const uint64_t chunks = chunks_alike(of->learned, packed, plain);

    *from = chunks * EM_ZIP_CHUNK;
    if (chunks == 0)
        return EM_OK;
    pthread_mutex_lock(&zip->lock);
    member->learned = em_zip_learned_new(zip);
    pthread_mutex_unlock(&zip->lock);
    return member->learned ? take_over(member->learned, of->learned, chunks) : EM_NO_MEMORY;
}

struct made {
    em_zip_piece *piece;
    void *context;
    struct em_hasher *hasher;
    uint64_t from; /* what comes before is known */
};

static int pass_made(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    const struct made *made = context;
    size_t known = at < made->from ? (size_t)(made->from - at) : 0;

    if (known >= size)
        return EM_OK;
    em_hasher_add(made->hasher, bytes + known, size - known);
    return made->piece(made->context, at + known, bytes + known, size - known);
}

int em_zip_learn(struct em_zip *zip, struct em_zip_member *member, struct em_reader *packed, em_zip_piece *piece, void *context,
                 struct em_sha256 *sha256, struct em_error *error)
{
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    struct em_zip_learned once = { 0 }, *learned = &once;
    struct made made = { piece, context, NULL, 0 };
    int r = em_hasher_new(&hasher, error);

    if (r < 0)
        return r;
    if (member->size > EM_ZIP_CHUNK) {
        learned = take_learned(zip, member);
        if (!learned)
            return EM_NO_MEMORY;
        learned->busy = false; /* nobody else knows of it yet */
    }
    learned->made = true;
    made.hasher = hasher;
    made.from = learned->have;
    if (made.from > 0)
        em_hasher_enter(hasher, &learned->states.items[learned->states.count - 1], made.from);
    r = walk_learning(zip, member, learned, packed, made.from, member->size, pass_made, &made, error);
    if (r == EM_OK)
        em_hasher_end(hasher, sha256);
    return r;
}

const struct em_zip_chunk_crcs *em_zip_learned_crcs(const struct em_zip_member *member)
{
    return member->learned ? &member->learned->index.crcs : NULL;
}

void em_zip_same(struct em_zip_member *member, struct em_zip_learned *learned)
{
    member->learned = learned;
}

void em_zip_forget(struct em_zip *zip)
{
    for (struct em_zip_learned *learned = zip->learned, *next; learned; learned = next) {
        next = learned->next;
        em_arena_free(learned->arena);
        free(learned);
    }
    for (size_t i = 0; i < EM_ZIP_KEPT; i++)
        free(zip->kept[i].bytes);
}
