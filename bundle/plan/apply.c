/* Executing a plan: one transaction.
 *
 * Files are staged on all cores, what tells of them (sbom, RECORD, conda's lists) after them, since it needs the digests. The bytes
 * that are checked are the bytes that are used: a file to be edited is known by the fd that it is copied from, a file to be copied
 * in is hashed while it is written. Inputs that no action reads are checked before, under the lock.
 */
#include "bundle/plan/plan.h"

#include "bundle/env/conda.h"
#include "bundle/env/record.h"
#include "bundle/plan/input.h"
#include "bundle/plan/pour.h"
#include "bundle/plan/sbom.h"
#include "bundle/plan/transaction.h"

#include <pthread.h>
#include <string.h>

struct run {
    const struct em_plan *plan;
    const struct em_apply_options *options;
    struct em_transaction *transaction;
    struct em_map targets; /* path -> input, of what lies in the target */
    struct item *items;    /* one for each file */
    struct item **by_size; /* the same, the largest first */
    size_t item_count;
    struct em_map by_path; /* path -> item */
    const struct em_input **loose;
    struct em_outcome *loose_outcomes;
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
    struct em_outcome outcome;
    uint64_t to_read;
    bool staged;
};

static int check_loose(void *context, size_t index)
{
    struct run *run = context;
    struct em_outcome *outcome = &run->loose_outcomes[index];

    outcome->r = em_input_check(run->loose[index], em_transaction_root(run->transaction), &outcome->error);
    return outcome->r;
}

/* ---- progress ---- */

static void advance(void *context, uint64_t bytes)
{
    struct item *item = context;
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
    int r = arena ? em_reader_whole(&reader, old, step->path, error) : EM_NO_MEMORY;

    if (r == EM_OK && item->input)
        r = em_input_check_fd(item->input, old, error);
    if (r == EM_OK)
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

static int fill_copy(struct em_change *change, int old, int new, struct em_error *error)
{
    struct item *item = change->context;

    const int r = item->input ? em_input_check_fd(item->input, old, error) : EM_OK;

    return r < 0 ? r : em_pour(item->step, &item->edits, new, change, advance, item, error);
}

/* ---- remove ---- */

/* What is noted first is what is looked at: the exchange takes nothing away that has changed since. */
static int stage_removal(struct item *item, struct em_error *error)
{
    struct em_transaction *transaction = item->run->transaction;
    int r = em_transaction_remove(transaction, item->step->path, error);

    return r == EM_OK && item->input ? em_input_check(item->input, em_transaction_root(transaction), error) : r;
}

/* ---- sbom ---- */

static int list_library(const struct run *run, const struct em_step *step, const char *path, struct em_arena *arena,
                        struct em_sbom *bill)
{
    const struct item *file = em_map_get(&run->by_path, path);
    struct em_sbom_library library = { .provenance = file ? file->step->provenance : NULL,
                                       .purl = file ? file->step->purl : NULL,
                                       .sha256 = file ? &file->change.sha256 : NULL };

    if (!file)
        return EM_USAGE;
    library.path = em_path_relative(arena, step->site, path);
    return library.path ? em_vec_push(arena, &bill->libraries, library) : EM_NO_MEMORY;
}

static int fill_sbom(struct em_change *change, int old, int new, struct em_error *error)
{
    const struct item *item = change->context;
    const struct em_step *step = item->step;
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_sbom bill = { .name = step->name, .version = step->version };
    struct em_bytes text;
    int r;

    (void)old;
    if (!arena)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < step->files.count; i++) {
        r = list_library(item->run, step, step->files.items[i], arena, &bill);
        if (r == EM_USAGE)
            return em_fail(error, r, step->path, "is to tell of '%s', which no action changes", step->files.items[i]);
        if (r < 0)
            return r;
    }
    r = em_sbom_write(&text, arena, &bill);
    return r < 0 ? r : em_write_all(new, text.data, text.size, change->path, error);
}

/* ---- record ---- */

/* What a plan's list of files is to follow; NULL: no action changes it. */
static const struct item *listed_item(const struct run *run, const struct em_step *step, size_t index, struct em_error *error)
{
    const struct item *file = em_map_get(&run->by_path, step->files.items[index]);

    if (!file)
        em_fail(error, EM_USAGE, step->path, "is to list '%s', which no action changes", step->files.items[index]);
    return file;
}

static int put_rows(const struct run *run, const struct em_step *step, struct em_arena *arena, struct em_record *record,
                    bool *changed, struct em_error *error)
{
    for (size_t i = 0; i < step->files.count; i++) {
        const struct item *file = listed_item(run, step, i, error);
        const char *row;
        int r;

        if (!file)
            return EM_USAGE;
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

/* A list of files as it is, which is what the plan rests on. */
static int read_list(const struct item *item, int old, uint64_t most, struct em_arena *arena, struct em_bytes *bytes,
                     struct em_error *error)
{
    const char *path = item->step->path;
    struct em_reader reader;
    int r = arena ? em_reader_whole(&reader, old, path, error) : EM_NO_MEMORY;

    if (r == EM_OK && item->input)
        r = em_input_check_fd(item->input, old, error);
    if (r < 0)
        return r;
    if (reader.size > most)
        return em_fail(error, EM_LIMIT, path, "has %llu bytes, more than the %llu that it may have",
                       (unsigned long long)reader.size, (unsigned long long)most);
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
    int r = read_list(item, old, EM_MAX_RECORD, arena, &bytes, error);

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

/* ---- conda-meta ---- */

static int put_files(const struct run *run, const struct em_step *step, struct em_conda *conda, bool *changed,
                     struct em_error *error)
{
    for (size_t i = 0; i < step->files.count; i++) {
        const struct item *file = listed_item(run, step, i, error);
        int r = EM_OK;

        if (!file)
            return EM_USAGE;
        if (!file->staged)
            continue;
        if (file->step->kind == EM_STEP_REMOVE)
            em_conda_drop(conda, file->step->path);
        else
            r = em_conda_put(conda, file->step->path, &file->change.sha256, file->change.size);
        if (r < 0)
            return r;
        *changed = true;
    }
    return EM_OK;
}

static int fill_conda(struct em_change *change, int old, int new, struct em_error *error)
{
    struct item *item = change->context;
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text text = { 0 };
    em_cleanup_conda struct em_conda *conda = NULL;
    struct em_bytes bytes;
    bool changed = false;
    int r = read_list(item, old, EM_MAX_JSON, arena, &bytes, error);

    if (r == EM_OK)
        r = em_conda_open(&conda, arena, bytes, change->path, error);
    if (r == EM_OK)
        r = put_files(item->run, item->step, conda, &changed, error);
    if (r == EM_OK)
        r = em_conda_write(conda, &text);
    if (r < 0)
        return r;
    change->unchanged = !changed;
    return changed ? em_write_all(new, text.data, text.size, change->path, error) : EM_OK;
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
        item->change.create = !item->input; /* what is stated is there, and gives way */
        item->change.make_directories = true;
        item->change.mode = step->mode;
        break;
    case EM_STEP_REMOVE: break;
    case EM_STEP_SBOM:
        item->change.fill = fill_sbom;
        item->change.create = true;
        item->change.make_directories = true;
        item->change.mode = 0644;
        break;
    case EM_STEP_RECORD:
        item->change.fill = fill_record;
        item->change.last = true;
        break;
    case EM_STEP_CONDA:
        item->change.fill = fill_conda;
        item->change.last = true;
        break;
    }
    r = step->kind == EM_STEP_REMOVE ? stage_removal(item, &item->outcome.error)
                                     : em_transaction_stage(run->transaction, &item->change, &item->outcome.error);
    item->outcome.r = r;
    item->staged = r == EM_OK && !item->change.unchanged;
    return r;
}

/* What says of other files what they came to be. */
static bool is_about_others(const struct item *item)
{
    return item->step->kind == EM_STEP_SBOM || item->step->kind == EM_STEP_RECORD || item->step->kind == EM_STEP_CONDA;
}

static int stage_file(void *context, size_t index)
{
    struct run *run = context;
    struct item *item = run->by_size[index];

    return is_about_others(item) ? EM_OK : stage(run, item);
}

/* The largest first, so that no core is left with one at the end. */
static int larger_first(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

    if (x->to_read != y->to_read)
        return x->to_read < y->to_read ? 1 : -1;
    return x < y ? -1 : x > y;
}

/* Which inputs no action will check by itself, and how much there is to write. */
static int prepare(struct run *run, struct em_arena *arena)
{
    const struct em_plan *plan = run->plan;
    struct em_map readers = { .arena = arena };

    run->targets.arena = arena;
    run->by_path.arena = arena;
    run->items = em_arena_array(arena, plan->steps.count, sizeof *run->items);
    run->by_size = em_arena_array(arena, plan->steps.count, sizeof *run->by_size);
    run->loose = em_arena_array(arena, plan->inputs.count + 1, sizeof *run->loose);
    run->loose_outcomes = em_arena_array(arena, plan->inputs.count + 1, sizeof *run->loose_outcomes);
    if (!run->items || !run->by_size || !run->loose || !run->loose_outcomes)
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
        run->by_size[run->item_count++] = item;
        *item = (struct item){ .run = run, .step = step, .outcome.error = EM_ERROR_INIT };
        item->input = em_map_get(&run->targets, step->path);
        if (em_plan_edits(plan, step->path, arena, &item->edits) < 0 || em_map_put(&readers, reads, item) < 0 ||
            em_map_put(&run->by_path, step->path, item) < 0)
            return EM_NO_MEMORY;
    }
    for (size_t i = 0; i < plan->inputs.count; i++) {
        const struct em_input *input = &plan->inputs.items[i];
        struct item *reader = em_map_get(&readers, input->path);

        if (!reader) {
            run->loose_outcomes[run->loose_count] = (struct em_outcome){ .error = EM_ERROR_INIT };
            run->loose[run->loose_count++] = input;
            continue;
        }
        reader->to_read = input->size;
        if (!is_about_others(reader))
            run->total += input->size;
    }
    qsort(run->by_size, run->item_count, sizeof *run->by_size, larger_first);
    return EM_OK;
}

static int check_inputs(struct run *run, struct em_error *error)
{
    int r = em_pool_each(run->options->jobs, run->loose_count, check_loose, run);

    for (size_t i = 0; r < 0 && i < run->loose_count && !em_outcome_tell(&run->loose_outcomes[i], error); i++)
        ;
    return r;
}

static int stage_all(struct run *run, struct em_error *error)
{
    const size_t count = run->item_count;
    int r = em_pool_each(run->options->jobs, count, stage_file, run);

    /* In the order of the plan: a RECORD lists the bill, conda the RECORD. */
    for (size_t i = 0; r == EM_OK && i < count; i++)
        if (is_about_others(&run->items[i]))
            r = stage(run, &run->items[i]);
    for (size_t i = 0; r < 0 && i < count && !em_outcome_tell(&run->by_size[i]->outcome, error); i++)
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
        if (item->step->kind == EM_STEP_REMOVE)
            done.removed++;
        else if (item->change.create)
            done.created++;
        else
            done.replaced++;
        done.bytes_written += item->change.size;
        if (item->change.privilege &&
            em_vec_push(arena, &done.privileged, ((struct em_privileged){ item->step->path, item->change.privilege })) < 0)
            return EM_NO_MEMORY;
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
