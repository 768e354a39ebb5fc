#include "bundle/env/inside.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Reads of this size cost little beside hashing them, and two of them fit beside each other in a core's cache. */
#define PIECE ((size_t)256 * 1024)

/* A batch is worked on by one thread with one buffer: many small files or one large one. */
#define BATCH_ITEMS 128u
#define BATCH_BYTES ((uint64_t)4 << 20)

enum item_state {
    ITEM_SAME,
    ITEM_MISSING,
    ITEM_OTHER_SIZE,
    ITEM_OTHER_HASH,
    ITEM_NO_PROOF, /* the RECORD has a hash that anybody can make a second file for, or of a kind that we do not know */
    ITEM_NO_HASH,  /* the RECORD has a SHA-256 that cannot be read */
    ITEM_NO_FILE,  /* something else is there: a directory, a device */
};

/* One row of one RECORD whose file lies in the target. Paths are not kept: they are made again where they are needed, which costs
 * less than the memory of tens of thousands of them. */
struct item {
    const struct em_distribution *distribution;
    const struct em_record_row *row;
    uint64_t path_hash;
    uint64_t actual_size;
    uint32_t next; /* the next item of the same path plus 1, 0 if there is none */
    bool is_first; /* of its path */
    bool is_moved; /* see em_env_moved_row */
    uint8_t state;
};

struct batch {
    size_t first, count;
    uint64_t bytes;
};

struct verify {
    struct em_env *env;
    const struct em_verify_options *options;
    struct em_arena *scratch;
    struct {
        EM_VEC(struct item);
    } items;
    uint32_t *by_hash; /* places in items, by path_hash and then by place */
    struct {
        EM_VEC(struct batch);
    } batches;
    atomic_uint_fast64_t bytes_read;
    pthread_mutex_t lock; /* guards the two below */
    size_t failed_batch;
    struct em_error failure;
};

static bool item_path(const struct verify *verify, const struct item *item, char path[PATH_MAX])
{
    if (item->is_moved) {
        const char *moved = em_env_moved_row(verify->env, item->distribution, item->row->path);

        return moved && em_env_row_path_into(item->distribution, moved, path, PATH_MAX);
    }
    return em_env_row_path_into(item->distribution, item->row->path, path, PATH_MAX);
}

/* ---- what is to be looked at ---- */

/* Rows that lead out of the target are nobody's business here: `pip install --target` leaves such in every RECORD. */
static int add_item(struct verify *verify, const struct em_distribution *distribution, const struct em_record_row *row)
{
    struct item item = { .distribution = distribution, .row = row };
    struct em_env *env = verify->env;
    char path[PATH_MAX];

    item.is_moved = em_env_moved_row(env, distribution, row->path) != NULL;
    if (!item_path(verify, &item, path) || !em_path_is_below(path, env->path))
        return EM_OK;
    if (item.is_moved) {
        struct em_node node;

        /* Whoever unpacked by another tool has none of these, and misses nothing. */
        if (em_tree_stat_link(env->tree, path, &node) < 0)
            return EM_OK;
    }
    item.path_hash = XXH3_64bits(path, strlen(path));
    return em_vec_push(verify->scratch, &verify->items, item);
}

static int by_path_hash(const void *a, const void *b, void *context)
{
    const struct item *items = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    if (items[left].path_hash != items[right].path_hash)
        return items[left].path_hash < items[right].path_hash ? -1 : 1;
    return left < right ? -1 : left > right;
}

/* Equal hashes of 64 bits that nobody chose are equal paths, but a RECORD may be chosen: the paths decide. */
static void link_equal_paths(struct verify *verify)
{
    struct item *items = verify->items.items;
    char path[PATH_MAX], other[PATH_MAX];

    for (size_t i = 0; i < verify->items.count; i++) {
        struct item *item = &items[verify->by_hash[i]];

        item->is_first = true;
        for (size_t j = i; j > 0 && items[verify->by_hash[j - 1]].path_hash == item->path_hash; j--) {
            struct item *before = &items[verify->by_hash[j - 1]];

            if (!item_path(verify, before, path) || !item_path(verify, item, other) || strcmp(path, other) != 0)
                continue;
            before->next = verify->by_hash[i] + 1;
            item->is_first = false;
            break;
        }
    }
}

/* The largest first, so that no core is left with one at the end. */
static int larger_first(const void *a, const void *b)
{
    const struct batch *left = a, *right = b;

    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? 1 : -1;
    return left->first < right->first ? -1 : 1;
}

static int make_batches(struct verify *verify)
{
    struct batch batch = { 0 };
    int r = EM_OK;

    for (size_t i = 0; i < verify->items.count && r == EM_OK; i++) {
        uint64_t size = verify->items.items[i].row->size;

        batch.count++;
        batch.bytes += size < UINT64_MAX / 2 - batch.bytes ? size : 0;
        if (batch.count < BATCH_ITEMS && batch.bytes < BATCH_BYTES && i + 1 < verify->items.count)
            continue;
        r = em_vec_push(verify->scratch, &verify->batches, batch);
        batch = (struct batch){ .first = i + 1 };
    }
    if (r == EM_OK && verify->batches.count > 1)
        qsort(verify->batches.items, verify->batches.count, sizeof batch, larger_first);
    return r;
}

/* Room for all of them at once: a list that doubles would hold three times as much at its largest. */
static int make_room(struct verify *verify)
{
    size_t rows = 1;

    em_vec_each (struct em_distribution *, distribution, &verify->env->distributions)
        rows += (*distribution)->record.rows.count;
    verify->items.items = em_arena_array(verify->scratch, rows, sizeof *verify->items.items);
    verify->items.capacity = rows;
    return verify->items.items ? EM_OK : EM_NO_MEMORY;
}

static bool is_bytecode(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".pyc") == 0;
}

/* pip lists what it compiled without a hash or a size; Python writes such files anew as it likes, and may have nowhere to. */
static bool may_be_anything(const struct em_record_row *row)
{
    return !*row->hash && !row->has_size && is_bytecode(row->path);
}

/* Whether the row is to be held against the disk. Of a path that the RECORD lists twice one row counts. */
static bool counts(const struct verify *verify, const struct em_record *record, const struct em_record_row *row)
{
    return (verify->options->hash || !may_be_anything(row)) && (!record->repeats || em_record_find(record, row->path) == row);
}

static int collect(struct verify *verify)
{
    if (make_room(verify) < 0)
        return EM_NO_MEMORY;
    em_vec_each (struct em_distribution *, distribution, &verify->env->distributions) {
        em_vec_each (const struct em_record_row, row, &(*distribution)->record.rows) {
            int r = EM_OK;

            if (counts(verify, &(*distribution)->record, row))
                r = add_item(verify, *distribution, row);
            if (r < 0)
                return r;
        }
    }
    if (verify->items.count >= UINT32_MAX)
        return EM_NO_MEMORY;
    verify->by_hash = em_arena_array(verify->scratch, verify->items.count + 1, sizeof *verify->by_hash);
    if (!verify->by_hash)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < verify->items.count; i++)
        verify->by_hash[i] = i;
    if (verify->items.count > 1)
        qsort_r(verify->by_hash, verify->items.count, sizeof *verify->by_hash, by_path_hash, verify->items.items);
    link_equal_paths(verify);
    return make_batches(verify);
}

/* ---- looking at files, by several threads ---- */

struct worker {
    struct verify *verify;
    struct em_hasher *hasher; /* NULL unless files are hashed */
    uint8_t *piece;
    struct em_near near;
    uint64_t bytes_read;
    struct em_error error;
};

static struct item *next_of_path(const struct verify *verify, const struct item *item)
{
    return item->next ? &verify->items.items[item->next - 1] : NULL;
}

static int hash_file(struct worker *worker, struct em_file *file, struct em_sha256 *digest)
{
    for (uint64_t at = 0; at < file->reader.size; at += PIECE) {
        size_t length = file->reader.size - at < PIECE ? (size_t)(file->reader.size - at) : PIECE;
        int r = em_read_at(&file->reader, worker->piece, length, at, &worker->error);

        if (r < 0)
            return r;
        em_hasher_add(worker->hasher, worker->piece, length);
        worker->bytes_read += length;
    }
    em_hasher_end(worker->hasher, digest);
    return EM_OK;
}

static void set_state(struct verify *verify, struct item *item, enum item_state state)
{
    for (; item; item = next_of_path(verify, item))
        item->state = (uint8_t)state;
}

/* SHA-256 "or better" is what a RECORD is to have (packaging specifications, "Recording installed projects"). What is better is rare,
 * and has a pass over the file of its own. */
static int check_better_hash(struct worker *worker, struct em_file *file, struct item *item)
{
    static const char *const better[] = { "sha384", "sha512" };
    const char *spelled = item->row->hash, *value = spelled + strcspn(spelled, "=");

    item->state = ITEM_NO_PROOF;
    for (size_t i = 0; i < sizeof better / sizeof *better; i++) {
        char digest[EM_DIGEST_BASE64_SIZE];
        size_t length;
        int r;

        if (*value != '=' || strncmp(spelled, better[i], (size_t)(value - spelled)) != 0 || better[i][value - spelled] != '\0')
            continue;
        r = em_digest_reader(&file->reader, better[i], digest, &worker->error);
        if (r < 0)
            return r;
        worker->bytes_read += file->reader.size;
        length = strcspn(value + 1, "="); /* some writers pad */
        item->state = strlen(digest) == length && strncmp(value + 1, digest, length) == 0 ? ITEM_SAME : ITEM_OTHER_HASH;
    }
    return EM_OK;
}

/* Compares by size; true if a digest is needed to know more. */
static bool compare_sizes(struct verify *verify, struct item *item, uint64_t size)
{
    bool wants_digest = false;

    for (; item; item = next_of_path(verify, item)) {
        const struct em_record_row *row = item->row;

        item->actual_size = size;
        item->state = row->has_size && row->size != size                          ? ITEM_OTHER_SIZE
                      : !row->has_sha256 && strncmp(row->hash, "sha256=", 7) == 0 ? ITEM_NO_HASH
                                                                                  : ITEM_SAME;
        wants_digest = wants_digest || (item->state == ITEM_SAME && row->has_sha256);
    }
    return wants_digest;
}

static int look_at_item(struct worker *worker, struct item *first)
{
    em_cleanup_file struct em_file *file = NULL;
    struct verify *verify = worker->verify;
    struct em_sha256 digest;
    struct em_node node;
    char path[PATH_MAX];
    bool wants_sha256;
    int r;

    if (!item_path(verify, first, path))
        return EM_OK;
    if (worker->hasher) {
        r = em_tree_open(verify->env->tree, path, &file);
        node = file ? file->node : (struct em_node){ .kind = EM_NODE_OTHER };
    } else {
        r = em_tree_stat_near(verify->env->tree, &worker->near, path, &node);
    }
    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) {
        set_state(verify, first, ITEM_MISSING);
        return EM_OK;
    }
    if (r == -EISDIR || r == -EINVAL || r == -ENXIO || (r == 0 && node.kind != EM_NODE_FILE)) {
        set_state(verify, first, ITEM_NO_FILE);
        return EM_OK;
    }
    if (r < 0)
        return em_env_fail(&worker->error, verify->env, path, r, "cannot be read");
    wants_sha256 = compare_sizes(verify, first, node.size);
    if (!file)
        return EM_OK;
    r = wants_sha256 ? hash_file(worker, file, &digest) : EM_OK;
    for (struct item *item = first; r == EM_OK && item; item = next_of_path(verify, item)) {
        if (item->state == ITEM_SAME && !item->row->has_sha256 && *item->row->hash)
            r = check_better_hash(worker, file, item);
    }
    if (r < 0)
        return r;
    for (struct item *item = first; item; item = next_of_path(verify, item)) {
        if (item->state == ITEM_SAME && item->row->has_sha256 && !em_sha256_equal(&item->row->sha256, &digest))
            item->state = ITEM_OTHER_HASH;
    }
    return EM_OK;
}

static int work(void *context, size_t index)
{
    struct verify *verify = context;
    const struct batch *batch = &verify->batches.items[index];
    bool hash = verify->options->hash;
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    em_cleanup_free uint8_t *piece = hash ? malloc(PIECE) : NULL;
    struct worker worker = { .verify = verify, .piece = piece, .error = EM_ERROR_INIT };
    int r = hash ? em_hasher_new(&hasher, &worker.error) : EM_OK;

    if (r == EM_OK && hash && !piece)
        r = EM_NO_MEMORY;
    worker.hasher = hasher;
    em_near_init(&worker.near);
    for (size_t i = 0; i < batch->count && r == EM_OK; i++) {
        struct item *item = &verify->items.items[batch->first + i];

        if (item->is_first)
            r = look_at_item(&worker, item);
    }
    em_near_close(&worker.near);
    atomic_fetch_add(&verify->bytes_read, worker.bytes_read);
    if (r < 0) {
        /* The pool reports the lowest batch that failed; its sentence must be the one that is kept. */
        pthread_mutex_lock(&verify->lock);
        if (index < verify->failed_batch) {
            verify->failed_batch = index;
            verify->failure = worker.error;
        }
        pthread_mutex_unlock(&verify->lock);
    }
    return r;
}

static int look_at_all(struct verify *verify, struct em_error *error)
{
    int r;

    verify->failed_batch = SIZE_MAX;
    pthread_mutex_init(&verify->lock, NULL);
    r = em_pool_each(verify->options->jobs, verify->batches.count, work, verify);
    pthread_mutex_destroy(&verify->lock);
    if (r < 0 && error)
        *error = verify->failure;
    return r;
}

/* ---- what is wrong ---- */

static const char *full_name(struct em_arena *arena, const struct em_distribution *distribution)
{
    return em_arena_printf(arena, "%s %s", distribution->name, distribution->version);
}

static int add_deviation(struct verify *verify, struct em_deviations *deviations, const struct item *item,
                         struct em_deviation deviation)
{
    char path[PATH_MAX];

    if (!item_path(verify, item, path))
        return EM_OK;
    deviation.path = em_arena_strdup(verify->env->arena, path);
    deviation.row = item->row;
    return deviation.path ? em_vec_push(verify->env->arena, deviations, deviation) : EM_NO_MEMORY;
}

static int add_item_deviation(struct verify *verify, struct em_deviations *deviations, const struct item *item)
{
    struct em_deviation deviation = { .kind = EM_DEVIATION_CHANGED, .distribution = item->distribution };
    struct em_arena *arena = verify->env->arena;
    const int kind = (int)strcspn(item->row->hash, "=");

    switch ((enum item_state)item->state) {
    case ITEM_SAME: return EM_OK;
    case ITEM_MISSING:
        if (may_be_anything(item->row))
            return EM_OK;
        deviation.kind = EM_DEVIATION_MISSING;
        break;
    case ITEM_OTHER_SIZE:
        deviation.detail = em_arena_printf(arena, "size %llu instead of %llu", (unsigned long long)item->actual_size,
                                           (unsigned long long)item->row->size);
        break;
    case ITEM_OTHER_HASH: deviation.detail = em_arena_printf(arena, "%.*s differs", kind, item->row->hash); break;
    case ITEM_NO_PROOF:
        deviation.kind = EM_DEVIATION_UNCHECKED;
        deviation.detail = em_arena_printf(arena, "the hash in its RECORD is %.*s: only sha256, sha384 and sha512 are checked",
                                           kind, item->row->hash);
        break;
    case ITEM_NO_HASH:
        deviation.kind = EM_DEVIATION_UNCHECKED;
        deviation.detail = "the SHA-256 in its RECORD cannot be read";
        break;
    case ITEM_NO_FILE: deviation.detail = "is no regular file"; break;
    }
    return add_deviation(verify, deviations, item, deviation);
}

/* One path, several RECORDs. Where they disagree, all but one of the distributions have a file that is not theirs. */
static int add_shared(struct verify *verify, struct em_deviations *deviations, const struct item *first)
{
    struct em_deviation deviation = { .kind = EM_DEVIATION_SHARED, .same_bytes = true };
    struct em_arena *arena = verify->env->arena;
    const char *owners = NULL;
    size_t count = 0;

    for (const struct item *item = first; item; item = next_of_path(verify, item)) {
        const char *name = full_name(arena, item->distribution);

        if (!item->row->has_sha256)
            continue;
        owners = owners ? em_arena_printf(arena, "%s, %s", owners, name) : name;
        if (!owners)
            return EM_NO_MEMORY;
        count++;
        if (item->state == ITEM_SAME)
            deviation.distribution = item->distribution;
        deviation.same_bytes = deviation.same_bytes && first->row->has_sha256 &&
                               em_sha256_equal(&first->row->sha256, &item->row->sha256);
    }
    if (count < 2 || first->state == ITEM_MISSING)
        return EM_OK;
    deviation.detail = deviation.same_bytes     ? em_arena_printf(arena, "the same bytes in %s", owners)
                       : deviation.distribution ? em_arena_printf(arena, "listed by %s, with the bytes of %s", owners,
                                                                  full_name(arena, deviation.distribution))
                                                : em_arena_printf(arena, "listed by %s, with the bytes of neither", owners);
    return deviation.detail ? add_deviation(verify, deviations, first, deviation) : EM_NO_MEMORY;
}

/* Whether one of the RECORDs that list the path has these bytes: then it is shared, and not changed. */
static bool is_somebodys(const struct verify *verify, const struct item *first)
{
    for (const struct item *item = first; item; item = next_of_path(verify, item)) {
        if (item->state == ITEM_SAME && item->row->has_sha256)
            return true;
    }
    return false;
}

static int judge(struct verify *verify, struct em_deviations *deviations)
{
    em_vec_each (const struct item, first, &verify->items) {
        bool shared = first->next != 0;
        int r = EM_OK;

        if (!first->is_first)
            continue;
        deviations->files++;
        if (shared)
            r = add_shared(verify, deviations, first);
        if (r == EM_OK && shared && is_somebodys(verify, first))
            continue;
        for (const struct item *item = first; item && r == EM_OK; item = next_of_path(verify, item))
            r = add_item_deviation(verify, deviations, item);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- what is there and listed nowhere ---- */

static bool is_listed(const struct verify *verify, const char *path)
{
    uint64_t hash = XXH3_64bits(path, strlen(path));
    size_t low = 0, high = verify->items.count;
    char listed[PATH_MAX];

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (verify->items.items[verify->by_hash[middle]].path_hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < verify->items.count && verify->items.items[verify->by_hash[low]].path_hash == hash; low++) {
        if (item_path(verify, &verify->items.items[verify->by_hash[low]], listed) && strcmp(path, listed) == 0)
            return true;
    }
    return false;
}

struct unlisted {
    struct verify *verify;
    struct em_deviations *deviations;
};

static int look_for_unlisted(struct em_walk *walk, const char *directory, const struct em_entry *entry)
{
    struct unlisted *unlisted = walk->context;
    struct em_deviation deviation = { .kind = EM_DEVIATION_UNLISTED };
    char path[PATH_MAX];
    int length;

    if (entry->kind == EM_NODE_DIRECTORY)
        return em_is_never_entered(entry->name) || strcmp(entry->name, "__pycache__") == 0 ? EM_WALK_SKIP : EM_OK;
    length = snprintf(path, sizeof path, "%s/%s", directory, entry->name);
    if (length < 0 || (size_t)length >= sizeof path || is_bytecode(path) || is_listed(unlisted->verify, path))
        return EM_OK;
    deviation.path = em_arena_strdup(walk->env->arena, path);
    return deviation.path ? em_vec_push(walk->env->arena, unlisted->deviations, deviation) : EM_NO_MEMORY;
}

/* The directories of a site that some RECORD has files in: what else lies there (a package without RECORD, pip's leftovers) is not
 * judged. A list of absolute paths, each once. */
static int owned_directories(struct verify *verify, struct em_strings *directories)
{
    struct em_map seen = { .arena = verify->scratch };
    struct em_env *env = verify->env;

    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        const char *last = "";

        if (!em_path_is_below((*distribution)->site, env->path))
            continue;
        em_vec_each (const struct em_record_row, row, &(*distribution)->record.rows) {
            size_t size = strcspn(row->path, "/");
            const char *path;

            /* Rows are mostly sorted: the directory is mostly that of the row before. */
            if (row->path[size] == '\0' || size == 0 || row->path[0] == '.' ||
                (strncmp(last, row->path, size) == 0 && last[size] == '/'))
                continue;
            last = row->path;
            path = em_arena_printf(verify->scratch, "%s/%.*s", (*distribution)->site, (int)size, row->path);
            if (!path)
                return EM_NO_MEMORY;
            if (em_map_get(&seen, path))
                continue;
            if (em_map_put(&seen, path, verify) < 0 || em_vec_push(verify->scratch, directories, path) < 0)
                return EM_NO_MEMORY;
        }
    }
    /* Part of a site: the distributions are those that have files in it. */
    if (directories->count == 0 && env->kind == EM_ENV_DIRECTORY && env->distributions.count > 0)
        return em_vec_push(verify->scratch, directories, env->path);
    return EM_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct em_deviation *)a)->path, ((const struct em_deviation *)b)->path);
}

static int find_unlisted(struct verify *verify, struct em_deviations *deviations, struct em_error *error)
{
    struct unlisted unlisted = { verify, deviations };
    struct em_walk walk = {
        .env = verify->env,
        .scratch = verify->scratch,
        .error = error,
        .context = &unlisted,
        .visit = look_for_unlisted,
    };
    struct em_strings directories = { 0 };
    size_t listed = deviations->count;
    int r = owned_directories(verify, &directories);

    em_vec_each (const char *, directory, &directories) {
        struct em_node node;

        if (r == EM_OK && em_tree_stat_link(verify->env->tree, *directory, &node) == 0 && node.kind == EM_NODE_DIRECTORY)
            r = em_walk_directory(&walk, *directory);
    }
    if (r == EM_OK && deviations->count - listed > 1)
        qsort(deviations->items + listed, deviations->count - listed, sizeof *deviations->items, by_path);
    return r;
}

int em_env_verify(struct em_deviations *deviations, struct em_env *env, const struct em_verify_options *options,
                  uint64_t *bytes_read, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct verify verify = { .env = env, .options = options, .scratch = scratch, .failure = EM_ERROR_INIT };
    int r;

    *deviations = (struct em_deviations){ 0 };
    if (!scratch)
        return EM_NO_MEMORY;
    atomic_init(&verify.bytes_read, 0);
    r = collect(&verify);
    if (r == EM_OK)
        r = look_at_all(&verify, error);
    if (r == EM_OK)
        r = judge(&verify, deviations);
    if (r == EM_OK && options->unlisted)
        r = find_unlisted(&verify, deviations, error);
    if (bytes_read)
        *bytes_read = atomic_load(&verify.bytes_read);
    return r;
}
