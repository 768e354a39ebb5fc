#include "bundle/tree/zip_room.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define MAGIC UINT64_C(0x33776f6e6b6d6c65) /* "elmknow3": another form gets another number */
#define LEAST_BYTES ((uint64_t)4 << 20)    /* an archive below that is gone through sooner than its memory is looked up */
#define KEPT_DAYS 30
#define NO_MEMBER UINT64_MAX

/* ---- which file it is ---- */

#define IDENTITY 7u

/* As it stands in the memory of the file. */
static void spell(const struct em_stamp *stamp, uint64_t identity[IDENTITY])
{
    identity[0] = stamp->device;
    identity[1] = stamp->inode;
    identity[2] = stamp->size;
    identity[3] = (uint64_t)stamp->modified.tv_sec;
    identity[4] = (uint64_t)stamp->modified.tv_nsec;
    identity[5] = (uint64_t)stamp->changed.tv_sec;
    identity[6] = (uint64_t)stamp->changed.tv_nsec;
}

static int digest_of(const void *data, size_t size, struct em_xxh3 *digest)
{
    const struct em_bytes bytes = { data, size };
    struct em_reader reader = em_reader_memory(&bytes, "what is known");

    return em_hash_reader(&reader, NULL, digest, NULL);
}

/* NULL: there is nothing worth it, or no place to remember, and that is no error. */
static char *memory_path(const struct em_zip *zip, struct em_arena *arena, const uint64_t identity[IDENTITY],
                         const char **directory)
{
    char key[EM_XXH3_HEX_SIZE];
    struct em_xxh3 digest;

    if (zip->size < LEAST_BYTES || em_cache_directory(arena, "known", directory, NULL) < 0 ||
        digest_of(identity, IDENTITY * sizeof *identity, &digest) < 0)
        return NULL;
    em_xxh3_hex(&digest, key);
    return em_path_join(arena, *directory, key);
}

/* ---- reading ---- */

struct cursor {
    struct em_bytes bytes;
    uint64_t at;
    bool bad;
};

static uint64_t take(struct cursor *cursor)
{
    uint64_t value = 0;

    cursor->bad = cursor->bad || !em_bytes_u64(cursor->bytes, cursor->at, false, &value);
    cursor->at += 8;
    return value;
}

/* How many follow, of at least so many bytes each. */
static uint64_t take_count(struct cursor *cursor, uint64_t size)
{
    uint64_t count = take(cursor);

    if (!cursor->bad && count > (cursor->bytes.size - cursor->at) / size)
        cursor->bad = true;
    return cursor->bad ? 0 : count;
}

static int take_blocks(struct cursor *cursor, struct em_zip_learned *learned)
{
    struct em_blocks *blocks = &learned->index.blocks;
    uint64_t count;

    blocks->last_bit = take(cursor);
    blocks->end_bit = take(cursor);
    blocks->size = take(cursor);
    count = take_count(cursor, 16);
    for (uint64_t i = 0; i < count; i++) {
        struct em_block block = { .bit = take(cursor) };

        block.out = take(cursor);
        if (em_vec_push(learned->arena, blocks, block) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int take_crcs(struct cursor *cursor, struct em_zip_learned *learned)
{
    uint64_t count = take_count(cursor, 8);

    for (uint64_t i = 0; i < count; i++)
        if (em_vec_push(learned->arena, &learned->index.crcs, (uint32_t)take(cursor)) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static int take_states(struct cursor *cursor, struct em_zip_learned *learned)
{
    uint64_t count = take_count(cursor, sizeof(struct em_sha256_state));

    for (uint64_t i = 0; i < count; i++) {
        struct em_sha256_state state;

        for (size_t j = 0; j < 8; j += 2) {
            const uint64_t pair = take(cursor);

            state.words[j] = (uint32_t)pair;
            state.words[j + 1] = (uint32_t)(pair >> 32);
        }
        if (em_vec_push(learned->arena, &learned->states, state) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* Gaps stand where nobody had asked. */
static int take_points(struct cursor *cursor, struct em_zip_learned *learned, const struct em_zip_member *member)
{
    const struct em_zip_point gap = { .window = EM_ZIP_NO_WINDOW };
    uint64_t count = take_count(cursor, EM_INFLATE_WINDOW), chunks = member->size / EM_ZIP_CHUNK;

    while (learned->points.count < chunks)
        if (em_vec_push(learned->arena, &learned->points, gap) < 0)
            return EM_NO_MEMORY;
    for (uint64_t i = 0; i < count && !cursor->bad; i++) {
        uint64_t chunk = take(cursor);
        struct em_zip_point point = { .asked = true };
        struct em_bytes window;

        point.at.out = take(cursor);
        point.at.bit = take(cursor);
        point.at.block_bit = take(cursor);
        point.at.stored_left = (uint32_t)take(cursor);
        point.at.ended = take(cursor) != 0;
        if (chunk == 0 || chunk > chunks || point.at.out > chunk * EM_ZIP_CHUNK ||
            !em_bytes_slice(cursor->bytes, cursor->at, EM_INFLATE_WINDOW, &window)) {
            cursor->bad = true;
            break;
        }
        cursor->at += EM_INFLATE_WINDOW;
        if (em_zip_keep_window(learned->home, window.data, &point.window, NULL) < 0)
            return EM_IO;
        learned->points.items[chunk - 1] = point;
    }
    return EM_OK;
}

static void take_digest(struct cursor *cursor, struct em_zip_learned *learned)
{
    struct em_bytes digest;

    learned->hashed = take(cursor) != 0;
    if (!em_bytes_slice(cursor->bytes, cursor->at, sizeof learned->sha256.bytes, &digest)) {
        cursor->bad = true;
        return;
    }
    memcpy(learned->sha256.bytes, digest.data, digest.size);
    cursor->at += digest.size;
}

static int take_member(struct em_zip *zip, struct cursor *cursor, struct em_zip_member *member)
{
    struct em_zip_learned *learned = em_zip_learned_new(zip);
    int r;

    if (!learned)
        return EM_NO_MEMORY;
    take_digest(cursor, learned);
    r = take_blocks(cursor, learned);
    if (r == EM_OK)
        r = take_crcs(cursor, learned);
    if (r == EM_OK)
        r = take_states(cursor, learned);
    if (r == EM_OK)
        r = take_points(cursor, learned, member);
    if (r < 0 || cursor->bad || learned->index.blocks.size != member->size ||
        learned->states.count > member->size / EM_ZIP_CHUNK ||
        learned->index.crcs.count != (member->size + EM_ZIP_CHUNK - 1) / EM_ZIP_CHUNK)
        return r < 0 ? r : EM_BAD_ZIP;
    learned->have = member->size;
    learned->crc = member->crc;
    learned->complete = learned->recalled = true;
    member->learned = learned;
    return EM_OK;
}

static bool take_all(struct em_zip *zip, struct cursor *cursor, const uint64_t identity[IDENTITY])
{
    uint64_t index;
    bool sound;

    if (take(cursor) != MAGIC)
        return false;
    for (unsigned i = 0; i < IDENTITY; i++)
        if (take(cursor) != identity[i])
            return false;
    sound = take(cursor) != 0;
    while ((index = take(cursor)) != NO_MEMBER)
        if (cursor->bad || index >= zip->members.count || take_member(zip, cursor, &zip->members.items[index]) < 0)
            return false;
    if (cursor->bad || cursor->at != cursor->bytes.size)
        return false;
    zip->sound = sound;
    return true;
}

static bool is_whole(struct em_bytes *bytes)
{
    struct em_xxh3 digest, wanted;

    if (bytes->size < sizeof wanted.bytes)
        return false;
    bytes->size -= sizeof wanted.bytes;
    memcpy(wanted.bytes, bytes->data + bytes->size, sizeof wanted.bytes);
    return digest_of(bytes->data, bytes->size, &digest) == EM_OK && em_xxh3_equal(&digest, &wanted);
}

bool em_zip_recall(struct em_zip *zip)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    uint64_t identity[IDENTITY];
    const char *directory, *path;
    struct cursor cursor = { 0 };

    spell(&zip->stamp, identity);
    path = scratch ? memory_path(zip, scratch, identity, &directory) : NULL;
    if (!path || em_read_file_at(AT_FDCWD, path, EM_MAX_ZIP_MEMORY, scratch, &cursor.bytes, NULL) < 0 ||
        !is_whole(&cursor.bytes))
        return false;
    if (take_all(zip, &cursor, identity))
        utimensat(AT_FDCWD, path, NULL, 0);
    else
        em_vec_each (struct em_zip_member, member, &zip->members)
            member->learned = NULL;
    return zip->sound;
}

/* ---- writing ---- */

static void put(struct em_text *text, uint64_t value)
{
    uint8_t bytes[8];

    em_store_u64(bytes, false, value);
    em_text_add_bytes(text, bytes, sizeof bytes);
}

static void put_points(struct em_text *text, const struct em_zip_learned *learned)
{
    uint8_t window[EM_INFLATE_WINDOW];
    uint64_t count = 0, chunk = 0;

    em_vec_each (const struct em_zip_point, point, &learned->points)
        count += point->asked && point->window != EM_ZIP_NO_WINDOW;
    put(text, count);
    em_vec_each (const struct em_zip_point, point, &learned->points) {
        chunk++;
        if (!point->asked || point->window == EM_ZIP_NO_WINDOW)
            continue;
        put(text, chunk);
        put(text, point->at.out);
        put(text, point->at.bit);
        put(text, point->at.block_bit);
        put(text, point->at.stored_left);
        put(text, point->at.ended);
        if (em_zip_kept_window(learned->home, point->window, window, NULL) < 0)
            text->failed = true;
        em_text_add_bytes(text, window, sizeof window);
    }
}

static void put_member(struct em_text *text, uint64_t index, const struct em_zip_learned *learned)
{
    const struct em_blocks *blocks = &learned->index.blocks;

    put(text, index);
    put(text, learned->hashed);
    em_text_add_bytes(text, learned->sha256.bytes, sizeof learned->sha256.bytes);
    put(text, blocks->last_bit);
    put(text, blocks->end_bit);
    put(text, blocks->size);
    put(text, blocks->count);
    em_vec_each (const struct em_block, block, blocks) {
        put(text, block->bit);
        put(text, block->out);
    }
    put(text, learned->index.crcs.count);
    em_vec_each (const uint32_t, crc, &learned->index.crcs)
        put(text, *crc);
    put(text, learned->states.count);
    em_vec_each (const struct em_sha256_state, state, &learned->states)
        for (size_t i = 0; i < 8; i += 2)
            put(text, state->words[i] | (uint64_t)state->words[i + 1] << 32);
    put_points(text, learned);
}

/* Under its name when it is whole. */
static void write_file(struct em_arena *arena, const char *path, const struct em_text *text)
{
    char *name = em_random_name(arena, ".new-"), *made = name ? em_path_join(arena, em_path_dirname(arena, path), name) : NULL;
    em_cleanup_fd int fd = made ? em_open_at(AT_FDCWD, made, O_WRONLY | O_CREAT | O_EXCL, 0600, NULL) : -1;

    if (fd < 0)
        return;
    if (em_write_all(fd, text->data, text->size, made, NULL) < 0 || rename(made, path) < 0)
        unlink(made);
}

/* What nobody has asked for in a while. */
static void forget_old(const char *directory)
{
    DIR *stream = opendir(directory);
    time_t before = time(NULL) - (time_t)KEPT_DAYS * 24 * 3600;
    struct dirent *entry;
    struct stat st;

    if (!stream)
        return;
    while ((entry = readdir(stream)) != NULL)
        if (fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_mtime < before)
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}

void em_zip_vouch(struct em_zip *zip)
{
    zip->news = zip->news || !zip->sound;
    zip->sound = true;
}

static bool has_news(const struct em_zip *zip)
{
    bool news = zip->news;

    em_vec_each (const struct em_zip_member, member, &zip->members)
        news = news || (member->learned && member->learned->complete && member->learned->news);
    return news;
}

void em_zip_remember(const struct em_zip *zip)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    em_cleanup_text struct em_text text = { 0 };
    uint64_t identity[IDENTITY], index = 0;
    const char *directory, *path;
    struct em_xxh3 digest;
    struct em_stamp now;
    struct stat st;

    if (!scratch || zip->is_fresh || !has_news(zip) || fstat(zip->fd, &st) < 0)
        return;
    now = em_stamp_of(&st);
    if (!em_stamp_equal(&zip->stamp, &now))
        return;
    spell(&zip->stamp, identity);
    path = memory_path(zip, scratch, identity, &directory);
    if (!path)
        return;
    put(&text, MAGIC);
    for (unsigned i = 0; i < IDENTITY; i++)
        put(&text, identity[i]);
    put(&text, zip->sound);
    em_vec_each (const struct em_zip_member, member, &zip->members) {
        if (member->learned && member->learned->complete)
            put_member(&text, index, member->learned);
        index++;
    }
    put(&text, NO_MEMBER);
    if (text.failed || text.size > EM_MAX_ZIP_MEMORY || digest_of(text.data, text.size, &digest) < 0)
        return;
    em_text_add_bytes(&text, digest.bytes, sizeof digest.bytes);
    if (text.failed)
        return;
    write_file(scratch, path, &text);
    forget_old(directory);
}
