/* Each file that a RECORD lists is opened once and held against the rows for it, on all cores.
 *
 * A core hashes two files at a time: one stream of SHA-256 leaves half of a processor idle (base/sha256.h). So each worker has two lanes; each
 * lane takes a batch, goes through its files one after the other, and takes the next batch. Hashed is as much as both lanes have
 * there, from both at once.
 */
#include "bundle/env/verify.h"

#include <pthread.h>
#include <string.h>

/* Reads of this size cost little beside hashing them, and two of them fit beside each other in a core's cache. */
#define PIECE ((size_t)256 * 1024)

/* What all workers share. */
struct looking {
    struct verify *verify;
    atomic_size_t next_batch;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards what is below */
    size_t failed_batch;
    int failed;
    struct em_error failure;
};

/* One file of several that a worker has under way. */
struct lane {
    size_t batch, next, end; /* of the items of its batch, the next to look at and where they end */
    struct item *item;       /* whose file is being hashed; NULL: none */
    struct em_file *file;
    uint64_t at; /* how much of it has been read */
    uint8_t *piece;
    size_t from, left; /* what of piece is not hashed yet */
    struct em_hasher *hasher;
};

struct worker {
    struct verify *verify;
    struct looking *looking;
    struct lane lanes[2];
    struct em_near near;
    uint64_t bytes_read;
    struct em_error error;
};

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

/* What is known of a file once its digest is, or when none was asked for. */
static int end_file(struct worker *worker, struct lane *lane, const struct em_sha256 *digest)
{
    struct verify *verify = worker->verify;
    int r = EM_OK;

    for (struct item *item = lane->item; r == EM_OK && item; item = next_of_path(verify, item)) {
        if (item->state == ITEM_SAME && !item->row->has_sha256 && *item->row->hash)
            r = check_better_hash(worker, lane->file, item);
        else if (item->state == ITEM_SAME && item->row->has_sha256 && !em_sha256_equal(&item->row->sha256, digest))
            item->state = ITEM_OTHER_HASH;
    }
    em_file_close(lane->file);
    lane->file = NULL;
    lane->item = NULL;
    return r;
}

/* Afterwards the lane has a file to hash, or nothing under way. */
static int begin_file(struct worker *worker, struct lane *lane, struct item *first)
{
    struct verify *verify = worker->verify;
    struct em_node node;
    char path[PATH_MAX];
    int r;

    if (!em_verify_path(verify, first, path))
        return EM_OK;
    if (verify->options->hash) {
        r = em_tree_open(verify->env->tree, path, &lane->file);
        node = lane->file ? lane->file->node : (struct em_node){ .kind = EM_NODE_OTHER };
    } else {
        r = em_tree_stat_near(verify->env->tree, &worker->near, path, &node);
    }
    lane->item = first;
    lane->at = 0;
    if (r == 0 && node.kind == EM_NODE_FILE) {
        if (compare_sizes(verify, first, node.size) && lane->file)
            return em_reader_check_holes(&lane->file->reader, &worker->error);
        return lane->file ? end_file(worker, lane, NULL) : EM_OK;
    }
    em_file_close(lane->file);
    lane->file = NULL;
    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
        set_state(verify, first, ITEM_MISSING);
    else if (r == 0 || r == -EISDIR || r == -EINVAL || r == -ENXIO)
        set_state(verify, first, ITEM_NO_FILE);
    else
        return em_env_fail(&worker->error, verify->env, path, r, "cannot be read");
    return EM_OK;
}

/* The next file that has to be hashed, of this batch or of the next. Without one the lane has no file. */
static int next_file(struct worker *worker, struct lane *lane)
{
    struct verify *verify = worker->verify;
    int r = EM_OK;

    while (r == EM_OK && !lane->file) {
        struct item *item;

        if (lane->next == lane->end) {
            const struct batch *batch;

            lane->batch = atomic_load(&worker->looking->stop) ? SIZE_MAX : atomic_fetch_add(&worker->looking->next_batch, 1);
            if (lane->batch >= verify->batches.count)
                return EM_OK;
            batch = &verify->batches.items[lane->batch];
            lane->next = batch->first;
            lane->end = batch->first + batch->count;
        }
        item = &verify->items.items[lane->next++];
        if (item->is_first)
            r = begin_file(worker, lane, item);
    }
    return r;
}

/* Something to hash, unless there is nothing left to do for this lane. */
static int refill(struct worker *worker, struct lane *lane)
{
    struct em_sha256 digest;
    int r = EM_OK;

    while (lane->left == 0) {
        uint64_t rest;

        if (lane->file && lane->at == lane->file->reader.size) {
            em_hasher_end(lane->hasher, &digest);
            r = end_file(worker, lane, &digest);
        }
        if (r == EM_OK && !lane->file)
            r = next_file(worker, lane);
        if (r < 0 || !lane->file)
            return r;
        rest = lane->file->reader.size - lane->at;
        lane->from = 0;
        lane->left = rest < PIECE ? (size_t)rest : PIECE;
        r = em_read_at(&lane->file->reader, lane->piece, lane->left, lane->at, &worker->error);
        if (r < 0)
            return r;
        lane->at += lane->left;
        worker->bytes_read += lane->left;
    }
    return EM_OK;
}

static void hash_lanes(struct lane *a, struct lane *b)
{
    const size_t both = a->left < b->left ? a->left : b->left;
    struct lane *one = a->left > 0 ? a : b;

    if (both == 0) {
        em_hasher_add(one->hasher, one->piece + one->from, one->left);
        one->left = 0;
        return;
    }
    em_hasher_add_two(a->hasher, a->piece + a->from, b->hasher, b->piece + b->from, both);
    a->from += both;
    b->from += both;
    a->left -= both;
    b->left -= both;
}

/* Until no batch is left. *batch: which one failed. */
static int go(struct worker *worker, size_t *batch)
{
    for (;;) {
        size_t left = 0;

        for (unsigned i = 0; i < 2; i++) {
            int r = refill(worker, &worker->lanes[i]);

            *batch = worker->lanes[i].batch;
            if (r < 0)
                return r;
            left += worker->lanes[i].left;
        }
        if (left == 0)
            return EM_OK;
        hash_lanes(&worker->lanes[0], &worker->lanes[1]);
    }
}

/* The error of the lowest batch is the one that is told: it does not depend on timing. */
static void fail(struct looking *looking, size_t batch, int r, const struct em_error *error)
{
    atomic_store(&looking->stop, true);
    pthread_mutex_lock(&looking->lock);
    if (batch < looking->failed_batch) {
        looking->failed_batch = batch;
        looking->failed = r;
        looking->failure = *error;
    }
    pthread_mutex_unlock(&looking->lock);
}

static int work(void *context, size_t index)
{
    struct looking *looking = context;
    struct worker worker = { .verify = looking->verify, .looking = looking, .error = EM_ERROR_INIT };
    const bool hash = looking->verify->options->hash;
    size_t batch = 0;
    int r = EM_OK;

    (void)index; /* a worker takes batches as long as there are any; whoever comes later finds none */
    if (atomic_load(&looking->next_batch) >= looking->verify->batches.count)
        return EM_OK;
    em_near_init(&worker.near);
    for (unsigned i = 0; hash && r == EM_OK && i < 2; i++) {
        worker.lanes[i].piece = malloc(PIECE);
        r = worker.lanes[i].piece ? em_hasher_new(&worker.lanes[i].hasher, &worker.error) : EM_NO_MEMORY;
    }
    if (r == EM_OK)
        r = go(&worker, &batch);
    if (r < 0)
        fail(looking, batch, r, &worker.error);
    for (unsigned i = 0; i < 2; i++) {
        em_file_close(worker.lanes[i].file);
        em_hasher_free(worker.lanes[i].hasher);
        free(worker.lanes[i].piece);
    }
    em_near_close(&worker.near);
    atomic_fetch_add(&looking->verify->bytes_read, worker.bytes_read);
    return EM_OK;
}

int em_verify_look(struct verify *verify, struct em_error *error)
{
    struct looking looking = { .verify = verify, .failed_batch = SIZE_MAX, .failure = EM_ERROR_INIT };
    int r;

    atomic_init(&looking.next_batch, 0);
    atomic_init(&looking.stop, false);
    pthread_mutex_init(&looking.lock, NULL);
    r = em_pool_each(verify->options->jobs, verify->batches.count, work, &looking);
    pthread_mutex_destroy(&looking.lock);
    if (r == EM_OK && looking.failed < 0) {
        r = looking.failed;
        if (error)
            *error = looking.failure;
    }
    return r;
}
