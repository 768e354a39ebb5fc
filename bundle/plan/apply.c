/* Executing a plan: one transaction.
 *
 * Files are staged on all cores, RECORDs after them, since they need the digests. The bytes that are checked are the bytes that
 * are used: a file to be edited is hashed through the fd that it is copied from, a file to be copied in is hashed while it is
 * written. Inputs that no action reads are checked before, under the lock.
 */
#include "bundle/plan/plan.h"

#include "bundle/env/record.h"
#include "bundle/plan/beneath.h"
#include "bundle/plan/transaction.h"

#include <pthread.h>
#include <string.h>

/* How one of several things that are done at once has ended. */
struct outcome {
    int r;
    struct em_error error;
};

struct run {
    const struct em_plan *plan;
    const struct em_apply_options *options;
    struct em_transaction *transaction;
    struct em_map targets; /* path -> input, of what lies in the target */
    struct item *items;    /* one for each file */
    size_t item_count;
    struct em_map by_path; /* path -> item */
    const struct em_input **loose;
    struct outcome *loose_outcomes;
    size_t loose_count;
    pthread_mutex_t lock; /* guards what is below */
    uint64_t done, total;
};

struct item {
    struct run *run;
    const struct em_step *step; /* the first for this file */
    struct em_edits edits;
    const struct em_input *input; /* of step->path; NULL if the plan does not rest on it */
    struct em_change change;
    struct outcome outcome;
    bool staged;
};

/* ---- inputs ---- */

static int hash_fd(int fd, const char *label, uint64_t *size, struct em_sha256 *sha256, struct em_xxh3 *xxh3,
                   struct em_error *error)
{
    struct em_reader reader;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_REFUSED, label, "is not a regular file");
    *size = (uint64_t)st.st_size;
    reader = em_reader_fd(fd, *size, label);
    return em_hash_reader(&reader, sha256, xxh3, error);
}

/* Sources may be reached through links, it is the user who names them; nothing in the target may. */
static int open_input(int dir, const char *path, bool is_source, struct em_error *error)
{
    em_cleanup_fd int parent = -1;
    const char *name;

    if (is_source || dir == AT_FDCWD)
        return em_open_at(dir, path, O_RDONLY, 0, error);
    parent = em_beneath_parent(dir, path, &name, error);
    if (parent < 0)
        return parent;
    return em_open_at(parent, name, O_RDONLY | O_NOFOLLOW, 0, error);
}

int em_input_of(struct em_input *input, int dir, const char *path, bool is_source, struct em_error *error)
{
    em_cleanup_fd int fd = open_input(dir, path, is_source, error);

    *input = (struct em_input){ .path = path, .is_source = is_source };
    if (fd < 0)
        return fd;
    return hash_fd(fd, path, &input->size, &input->sha256, &input->xxh3, error);
}

static int compare_input(const struct em_input *input, const struct em_input *now, struct em_error *error)
{
    if (input->size == now->size && em_xxh3_equal(&input->xxh3, &now->xxh3) && em_sha256_equal(&input->sha256, &now->sha256))
        return EM_OK;
    return em_fail(error, EM_CHANGED, input->path, "has changed since the plan was made; make a new plan");
}

static int check_input_fd(const struct em_input *input, int fd, struct em_error *error)
{
    struct em_input now = { 0 };
    int r = hash_fd(fd, input->path, &now.size, &now.sha256, &now.xxh3, error);

    return r < 0 ? r : compare_input(input, &now, error);
}

static int check_loose(void *context, size_t index)
{
    struct run *run = context;
    const struct em_input *input = run->loose[index];
    struct outcome *outcome = &run->loose_outcomes[index];
    struct em_input now;
    int r = em_input_of(&now, em_transaction_root(run->transaction), input->path, input->is_source, &outcome->error);

    if (r == EM_NOT_FOUND)
        r = em_fail(&outcome->error, EM_CHANGED, input->path, "is gone since the plan was made; make a new plan");
    else if (r == EM_OK)
        r = compare_input(input, &now, &outcome->error);
    outcome->r = r;
    return r;
}

/* ---- progress ---- */

static void advance(struct item *item, uint64_t bytes)
{
    struct run *run = item->run;

    if (!run->options->progress)
        return;
    pthread_mutex_lock(&run->lock);
    run->done += bytes;
    run->options->progress(run->options->context, item->step->path, run->done, run->total > run->done ? run->total : run->done);
    pthread_mutex_unlock(&run->lock);
}

/* ---- edits ---- */

static int fill_edited(struct em_change *change, int old, int new, struct em_error *error)
{
    struct item *item = change->context;
    const struct em_step *step = item->step;
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_reader reader;
    struct em_patch patch;
    struct stat st;
    int r;

    if (!arena)
        return EM_NO_MEMORY;
    if (fstat(old, &st) < 0)
        return em_fail_errno(error, step->path, "cannot be examined");
    if (item->input) {
        r = check_input_fd(item->input, old, error);
        if (r < 0)
            return r;
    }
    reader = em_reader_fd(old, (uint64_t)st.st_size, step->path);
    r = em_patch_make(&patch, arena, &reader, item->edits.items, item->edits.count, NULL, error);
    if (r < 0)
        return r;
    if (em_patch_is_empty(&patch)) {
        change->unchanged = true;
        return EM_OK;
    }
    r = em_patch_copy(&patch, old, new, step->path, error);
    if (r == EM_OK)
        advance(item, patch.new_size);
    return r;
}

/* ---- copy ---- */

/* A reader that writes what passes through it: the source's bytes are hashed, the patch is laid over them, the result is written
 * and handed on to whoever hashes that. Read once from the beginning to the end. */
struct pour {
    struct em_reader *source;
    const struct em_patch *patch; /* NULL: the result is the source */
    struct em_hasher *hasher;     /* of the source's bytes */
    struct item *item;
    int out;
};

static int lay_over(struct em_reader *source, const struct em_patch *patch, uint8_t *piece, uint64_t offset, size_t length,
                    struct em_error *error)
{
    for (size_t i = 0; i < patch->ranges.count; i++) {
        const struct em_patch_range *range = &patch->ranges.items[i];
        uint64_t from = range->offset > offset ? range->offset : offset;
        uint64_t to = range->offset + range->bytes.size;
        int r;

        if (to > offset + length)
            to = offset + length;
        if (from >= to)
            continue;
        if (range->bytes.data) {
            memcpy(piece + (from - offset), range->bytes.data + (from - range->offset), (size_t)(to - from));
            continue;
        }
        r = em_read_at(source, piece + (from - offset), (size_t)(to - from), range->from + (from - range->offset), error);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int64_t pour_read(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    struct pour *pour = context;
    const uint64_t left = offset < pour->source->size ? pour->source->size - offset : 0;
    const size_t from_source = left < length ? (size_t)left : length;
    int r;

    if (from_source > 0) {
        r = em_read_at(pour->source, buffer, from_source, offset, error);
        if (r < 0)
            return r;
        em_hasher_add(pour->hasher, buffer, from_source);
    }
    memset((uint8_t *)buffer + from_source, 0, length - from_source);
    r = pour->patch ? lay_over(pour->source, pour->patch, buffer, offset, length, error) : EM_OK;
    if (r == EM_OK)
        r = em_write_all(pour->out, buffer, length, pour->item->step->path, error);
    if (r < 0)
        return r;
    advance(pour->item, length);
    return (int64_t)length;
}

/* A patch may cut an object shorter only where it replaces its end: the source is hashed to its own end in any case. */
static int finish_source(struct pour *pour, uint64_t from, struct em_error *error)
{
    uint8_t piece[4096];

    while (from < pour->source->size) {
        const uint64_t left = pour->source->size - from;
        const size_t length = left < sizeof piece ? (size_t)left : sizeof piece;
        int r = em_read_at(pour->source, piece, length, from, error);

        if (r < 0)
            return r;
        em_hasher_add(pour->hasher, piece, length);
        from += length;
    }
    return EM_OK;
}

static int pour_out(struct pour *pour, struct em_change *change, struct em_error *error)
{
    const struct em_step *step = pour->item->step;
    const uint64_t size = pour->patch ? pour->patch->new_size : pour->source->size;
    struct em_reader reader = { .read = pour_read, .context = pour, .size = size, .name = step->from };
    struct em_sha256 sha256;
    int r = em_hash_reader(&reader, pour->patch ? &change->sha256 : NULL, &change->xxh3, error);

    if (r == EM_OK)
        r = finish_source(pour, size, error);
    if (r < 0)
        return r;
    em_hasher_end(pour->hasher, &sha256);
    if (!em_sha256_equal(&sha256, &step->sha256))
        return em_fail(error, EM_REFUSED, step->from, "does not have the sha256 that %s says it has; it is not copied",
                       step->voucher ? step->voucher : "the plan");
    if (!pour->patch)
        change->sha256 = sha256;
    change->has_sha256 = true;
    return EM_OK;
}

static int fill_copy(struct em_change *change, int old, int new, struct em_error *error)
{
    struct item *item = change->context;
    const struct em_step *step = item->step;
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    em_cleanup_fd int in = em_open_at(AT_FDCWD, step->from, O_RDONLY, 0, error);
    struct pour pour = { .item = item, .out = new };
    struct em_reader source;
    struct em_patch patch;
    struct stat st;
    int r;

    (void)old;
    if (in < 0)
        return in;
    if (!arena)
        return EM_NO_MEMORY;
    r = em_hasher_new(&hasher, error);
    if (r < 0)
        return r;
    if (fstat(in, &st) < 0)
        return em_fail_errno(error, step->from, "cannot be examined");
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_REFUSED, step->from, "is not a regular file");
    pour.hasher = hasher;
    source = em_reader_fd(in, (uint64_t)st.st_size, step->from);
    pour.source = &source;
    if (item->edits.count > 0) {
        r = em_patch_make(&patch, arena, &source, item->edits.items, item->edits.count, NULL, error);
        if (r < 0)
            return r;
        pour.patch = em_patch_is_empty(&patch) ? NULL : &patch;
    }
    return pour_out(&pour, change, error);
}

/* ---- record ---- */

static int put_rows(const struct run *run, const struct em_step *step, struct em_arena *arena, struct em_record *record,
                    bool *changed, struct em_error *error)
{
    for (size_t i = 0; i < step->files.count; i++) {
        const struct item *file = em_map_get(&run->by_path, step->files.items[i]);
        const char *row;
        int r;

        if (!file)
            return em_fail(error, EM_USAGE, step->path, "is to list '%s', which no action changes", step->files.items[i]);
        if (!file->staged) /* it was already as the plan wants it */
            continue;
        row = em_path_relative(arena, step->site, file->step->path);
        if (!row)
            return EM_NO_MEMORY;
        r = em_record_put(record, row, &file->change.sha256, file->change.size);
        if (r < 0)
            return r;
        *changed = true;
    }
    return EM_OK;
}

static int read_old(int old, const char *label, struct em_arena *arena, struct em_bytes *bytes, struct em_error *error)
{
    struct em_reader reader;
    struct stat st;

    if (fstat(old, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if ((uint64_t)st.st_size > EM_MAX_RECORD)
        return em_fail(error, EM_LIMIT, label, "has %lld bytes, more than the %llu that a RECORD may have",
                       (long long)st.st_size, (unsigned long long)EM_MAX_RECORD);
    reader = em_reader_fd(old, (uint64_t)st.st_size, label);
    return em_read_bytes(&reader, arena, 0, reader.size, bytes, error);
}

static int fill_record(struct em_change *change, int old, int new, struct em_error *error)
{
    struct item *item = change->context;
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text text = { 0 };
    struct em_record record;
    struct em_bytes bytes;
    bool changed = false;
    int r;

    if (!arena)
        return EM_NO_MEMORY;
    r = item->input ? check_input_fd(item->input, old, error) : EM_OK;
    if (r == EM_OK)
        r = read_old(old, change->path, arena, &bytes, error);
    if (r == EM_OK)
        r = em_record_read(&record, arena, bytes, change->path, error);
    if (r == EM_OK)
        r = put_rows(item->run, item->step, arena, &record, &changed, error);
    if (r < 0)
        return r;
    em_record_write(&record, &text);
    if (text.failed)
        return EM_NO_MEMORY;
    change->unchanged = !changed || (text.size == bytes.size && memcmp(text.data, bytes.data, text.size) == 0);
    return change->unchanged ? EM_OK : em_write_all(new, text.data, text.size, change->path, error);
}

/* ---- the run ---- */

static int stage(struct run *run, struct item *item)
{
    const struct em_step *step = item->step;
    int r;

    item->change = (struct em_change){ .path = step->path, .context = item };
    switch (step->kind) {
    case EM_STEP_SET_PATH:
    case EM_STEP_REPLACE_NEEDED:
    case EM_STEP_CLEAR_STACK: item->change.fill = fill_edited; break;
    case EM_STEP_COPY:
        item->change.fill = fill_copy;
        item->change.create = true;
        item->change.make_directories = true;
        item->change.mode = step->mode;
        break;
    case EM_STEP_RECORD:
        item->change.fill = fill_record;
        item->change.last = true;
        break;
    }
    r = em_transaction_stage(run->transaction, &item->change, &item->outcome.error);
    item->outcome.r = r;
    item->staged = r == EM_OK && !item->change.unchanged;
    return r;
}

static int stage_file(void *context, size_t index)
{
    struct run *run = context;
    struct item *item = &run->items[index];

    return item->step->kind == EM_STEP_RECORD ? EM_OK : stage(run, item);
}

/* Which inputs no action will check by itself, and how much there is to write. */
static int prepare(struct run *run, struct em_arena *arena)
{
    const struct em_plan *plan = run->plan;
    struct em_map read_by_steps = { .arena = arena };

    run->targets.arena = arena;
    run->by_path.arena = arena;
    run->items = em_arena_array(arena, plan->steps.count, sizeof *run->items);
    run->loose = em_arena_array(arena, plan->inputs.count + 1, sizeof *run->loose);
    run->loose_outcomes = em_arena_array(arena, plan->inputs.count + 1, sizeof *run->loose_outcomes);
    if (!run->items || !run->loose || !run->loose_outcomes)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < plan->inputs.count; i++) {
        if (!plan->inputs.items[i].is_source &&
            em_map_put(&run->targets, plan->inputs.items[i].path, &plan->inputs.items[i]) < 0)
            return EM_NO_MEMORY;
    }
    for (size_t i = 0; i < plan->steps.count; i++) {
        struct em_step *step = &plan->steps.items[i];
        const char *reads = step->kind == EM_STEP_COPY ? step->from : step->path;
        struct item *item = &run->items[run->item_count];

        if (em_map_get(&run->by_path, step->path))
            continue;
        run->item_count++;
        *item = (struct item){ .run = run, .step = step, .outcome.error = EM_ERROR_INIT };
        if (step->kind != EM_STEP_COPY)
            item->input = em_map_get(&run->targets, step->path);
        if (em_plan_edits(plan, step->path, arena, &item->edits) < 0 || em_map_put(&read_by_steps, reads, step) < 0 ||
            em_map_put(&run->by_path, step->path, item) < 0)
            return EM_NO_MEMORY;
    }
    for (size_t i = 0; i < plan->inputs.count; i++) {
        const struct em_input *input = &plan->inputs.items[i];
        const struct em_step *step = em_map_get(&read_by_steps, input->path);

        if (!step)
            run->loose[run->loose_count++] = input;
        else if (step->kind != EM_STEP_RECORD)
            run->total += input->size;
    }
    return EM_OK;
}

/* The error of the lowest index is the one that is told: it does not depend on timing. false: this one has none. */
static bool tell(struct em_error *error, const struct outcome *outcome)
{
    if (outcome->r == EM_OK)
        return false;
    if (error)
        *error = outcome->error;
    return true;
}

static int check_inputs(struct run *run, struct em_error *error)
{
    int r = em_pool_each(run->options->jobs, run->loose_count, check_loose, run);

    for (size_t i = 0; r < 0 && i < run->loose_count && !tell(error, &run->loose_outcomes[i]); i++)
        ;
    return r;
}

static int stage_all(struct run *run, struct em_error *error)
{
    const size_t count = run->item_count;
    int r = em_pool_each(run->options->jobs, count, stage_file, run);

    for (size_t i = 0; r == EM_OK && i < count; i++) {
        if (run->items[i].step->kind == EM_STEP_RECORD)
            r = stage(run, &run->items[i]);
    }
    for (size_t i = 0; r < 0 && i < count && !tell(error, &run->items[i].outcome); i++)
        ;
    return r;
}

/* One line for undo --list: what the first action was for, and how many others there were. */
static const char *note_of(const struct em_plan *plan, struct em_arena *arena)
{
    const char *first = NULL;
    size_t others = 0;

    for (size_t i = 0; i < plan->steps.count; i++) {
        const struct em_strings *resolves = &plan->steps.items[i].resolves;

        if (!first && resolves->count > 0)
            first = resolves->items[0];
        others += resolves->count;
    }
    if (!first)
        return plan->target;
    if (others == 1)
        return first;
    return em_arena_printf(arena, "%s and %zu more", first, others - 1);
}

static int run_plan(struct run *run, struct em_arena *arena, struct em_receipt *receipt, struct em_error *error)
{
    struct em_receipt done = { 0 };
    const char *note = note_of(run->plan, arena);
    int r = prepare(run, arena);

    if (r < 0 || !note)
        return EM_NO_MEMORY;
    r = check_inputs(run, error);
    if (r == EM_OK)
        r = stage_all(run, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < run->item_count; i++) {
        const struct item *item = &run->items[i];

        if (!item->staged)
            continue;
        done.created += item->change.create;
        done.replaced += !item->change.create;
        done.bytes_written += item->change.size;
    }
    r = em_transaction_commit(run->transaction, note, run->options->keep_undo, &done.id, error);
    if (r == EM_OK)
        *receipt = done;
    return r;
}

int em_plan_apply(const struct em_plan *plan, const struct em_apply_options *options, struct em_arena *arena,
                  struct em_receipt *receipt, struct em_error *error)
{
    struct run run = { .plan = plan, .options = options };
    int r;

    *receipt = (struct em_receipt){ 0 };
    if (plan->steps.count == 0)
        return EM_OK;
    r = em_transaction_begin(&run.transaction, arena, plan->root, error);
    if (r < 0)
        return r;
    pthread_mutex_init(&run.lock, NULL);
    r = run_plan(&run, arena, receipt, error);
    em_transaction_end(run.transaction);
    pthread_mutex_destroy(&run.lock);
    return r;
}
