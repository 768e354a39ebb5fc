#include "bundle/plan/steps.h"

#include "bundle/plan/sbom.h"

#include <string.h>

const char *em_draft_finding_name(struct em_arena *arena, const struct em_env *env, const struct em_finding *finding)
{
    return em_arena_printf(arena, "%s %s: %s", finding->id, em_env_show(env, finding->object),
                           finding->request ? finding->request : finding->message);
}

const char *em_steps_in_root(const struct em_steps_writer *writer, const char *path)
{
    return em_path_after(path, writer->root);
}

int em_steps_add_input(struct em_steps_writer *writer, const char *path, bool is_source)
{
    struct em_input input;
    const char *on_disk = is_source ? path : em_path_join(writer->arena, writer->plan->root, path);
    int r;

    em_vec_each (struct em_input, known, &writer->plan->inputs)
        if (strcmp(known->path, path) == 0 && known->is_source == is_source)
            return EM_OK;
    if (!is_source && writer->wish->only)
        return EM_OK;
    if (!on_disk)
        return EM_NO_MEMORY;
    r = em_input_note(&input, on_disk, is_source, writer->error);
    if (r < 0)
        return r;
    input.path = path;
    return em_vec_push(writer->arena, &writer->plan->inputs, input);
}

static bool is_same(const struct em_node *node, const struct em_stamp *stamp)
{
    return node->device == stamp->device && node->inode == stamp->inode && node->size == stamp->size &&
           node->mtime_ns == (int64_t)stamp->modified.tv_sec * 1000000000 + stamp->modified.tv_nsec;
}

/* A file of the target that was read for the diagnosis, node as it was then: what was found wrong is no longer so if a package manager
 * or another elfmend has been there meanwhile. */
static int add_read_input(struct em_steps_writer *writer, const char *path, const struct em_node *node)
{
    const size_t known = writer->plan->inputs.count;
    const char *full = em_path_join(writer->arena, writer->root, path);
    struct em_node link;
    int r = full ? em_steps_add_input(writer, path, false) : EM_NO_MEMORY;

    /* It was read through the link, and the input is the link itself. */
    if (r == EM_OK && em_tree_stat_link(writer->draft->env->tree, full, &link) == 0 && link.kind == EM_NODE_LINK)
        return em_fail(writer->error, EM_REFUSED, path, "is a link; nothing is changed through links");
    if (r < 0 || writer->plan->inputs.count == known || is_same(node, &writer->plan->inputs.items[known].stamp))
        return r;
    return em_fail(writer->error, EM_CHANGED, path, "has changed while the target was looked at; run the command again");
}

/* What a change replaces: an object that was read, or another file in the place of one that is copied. */
static int add_changed_input(struct em_steps_writer *writer, const struct em_draft_change *change)
{
    const struct em_draft *draft = writer->draft;
    const size_t position = (size_t)(uintptr_t)em_map_get(&draft->positions, change->path);
    const char *path = em_steps_in_root(writer, change->path);

    return position ? add_read_input(writer, path, &draft->env->objects.items[position - 1].node)
                    : em_steps_add_input(writer, path, false);
}

static const char *voucher_of(struct em_steps_writer *writer, const struct em_candidate *candidate)
{
    switch (candidate->voucher) {
    case EM_VOUCHER_RECORD:
        return em_arena_printf(writer->arena, "%s of %s %s", candidate->distribution->conda_meta ? "conda-meta" : "RECORD",
                               candidate->distribution->name, candidate->distribution->version);
    case EM_VOUCHER_PIN: return writer->wish->pins->path;
    case EM_VOUCHER_NONE: break;
    }
    return NULL;
}

static int add_copy_step(struct em_steps_writer *writer, const struct em_draft_change *change)
{
    const struct em_candidate *candidate = change->candidate;
    const struct em_distribution *distribution = candidate->distribution;
    struct em_step step = { .kind = EM_STEP_COPY,
                            .path = em_steps_in_root(writer, change->path),
                            .resolves = change->resolves,
                            .reason = "beside the object that asks for it",
                            .value = change->value,
                            .old_value = change->old_value,
                            .tag = change->tag,
                            .from = candidate->path,
                            .shown = candidate->shown,
                            .sha256 = candidate->sha256,
                            .voucher = voucher_of(writer, candidate),
                            .mode = candidate->node.mode };
    struct em_node node;
    int r = em_steps_add_input(writer, candidate->path, true);

    if (r == EM_OK && em_tree_stat_link(writer->draft->env->tree, change->path, &node) == 0)
        r = add_changed_input(writer, change);
    if (r < 0)
        return r;
    if (distribution)
        step.provenance = em_arena_printf(writer->arena, "%s %s", distribution->name, distribution->version);
    if (distribution && em_sbom_purl(&step.purl, writer->arena, distribution) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(writer->arena, &writer->plan->steps, step);
}

static int add_path_step(struct em_steps_writer *writer, const struct em_draft_change *change)
{
    struct em_step step = { .kind = EM_STEP_SET_PATH,
                            .path = em_steps_in_root(writer, change->path),
                            .resolves = change->resolves,
                            .reason = change->reason ? change->reason : EM_REASON_USUAL,
                            .value = change->value,
                            .old_value = change->old_value,
                            .tag = change->tag };
    int r = add_changed_input(writer, change);

    return r < 0 ? r : em_vec_push(writer->arena, &writer->plan->steps, step);
}

static int add_needed_step(struct em_steps_writer *writer, const struct em_draft_change *change, const struct em_rename *rename)
{
    struct em_step step = { .kind = EM_STEP_REPLACE_NEEDED,
                            .path = em_steps_in_root(writer, change->path),
                            .resolves = change->resolves,
                            .reason = rename->reason,
                            .needed = rename->from,
                            .by = rename->to };
    int r = add_changed_input(writer, change);

    return r < 0 ? r : em_vec_push(writer->arena, &writer->plan->steps, step);
}

static int add_remove_step(struct em_steps_writer *writer, const struct em_draft_change *change)
{
    struct em_step step = { .kind = EM_STEP_REMOVE,
                            .path = em_steps_in_root(writer, change->path),
                            .resolves = change->resolves,
                            .reason = change->reason };
    int r = add_changed_input(writer, change);

    return r < 0 ? r : em_vec_push(writer->arena, &writer->plan->steps, step);
}

static int add_stack_step(struct em_steps_writer *writer, const struct em_draft_change *change)
{
    struct em_step step = { .kind = EM_STEP_CLEAR_STACK,
                            .path = em_steps_in_root(writer, change->path),
                            .reason = "glibc from 2.41 on refuses it, and nothing in its code needs it" };
    int r = em_vec_push(writer->arena, &step.resolves, "EM106");

    if (r == EM_OK && !change->candidate)
        r = add_changed_input(writer, change);
    return r < 0 ? r : em_vec_push(writer->arena, &writer->plan->steps, step);
}

/* The files of the plan that a distribution's RECORD lists or shall list. */
static int files_of(struct em_steps_writer *writer, struct em_distribution *distribution, struct em_strings *files)
{
    em_vec_each (struct em_draft_change *, change, &writer->draft->changes) {
        const char *row = em_env_row_spelling(writer->draft->env, distribution, (*change)->path);
        bool listed;

        if (!row)
            return EM_NO_MEMORY;
        if ((*change)->remove)
            continue;
        listed = (*change)->candidate ? (*change)->owner == distribution : em_record_find(&distribution->record, row) != NULL;
        if (listed && em_vec_push(writer->arena, files, em_steps_in_root(writer, (*change)->path)) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* A signature of the RECORD that was (binary distribution format, "Signed wheel files": no RECORD lists it). */
static int add_signature_steps(struct em_steps_writer *writer, const struct em_distribution *distribution)
{
    static const char *const names[] = { "RECORD.jws", "RECORD.p7s" };

    for (size_t i = 0; !writer->wish->only && i < sizeof names / sizeof *names; i++) {
        struct em_step step = { .kind = EM_STEP_REMOVE, .reason = "it signs a RECORD that is no longer so" };
        const char *path = em_path_join(writer->arena, distribution->dist_info, names[i]);
        const char *row = path ? em_env_row_spelling(writer->draft->env, distribution, path) : NULL;
        struct em_node node;
        int r;

        if (!row)
            return EM_NO_MEMORY;
        if (em_tree_stat_link(writer->draft->env->tree, path, &node) < 0 || node.kind != EM_NODE_FILE ||
            em_record_find(&distribution->record, row))
            continue;
        step.path = em_steps_in_root(writer, path);
        r = em_steps_add_input(writer, step.path, false);
        if (r == EM_OK)
            r = em_vec_push(writer->arena, &writer->plan->steps, step);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int add_record_steps(struct em_steps_writer *writer)
{
    const struct em_env *env = writer->draft->env;

    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        struct em_step step = { .kind = EM_STEP_RECORD, .reason = "package managers compare and remove by it" };
        const char *path = em_path_join(writer->arena, (*distribution)->dist_info, "RECORD");
        int r;

        if (!path)
            return EM_NO_MEMORY;
        if (!(*distribution)->has_record || !em_path_is_below(path, writer->root))
            continue;
        r = files_of(writer, *distribution, &step.files);
        if (r == EM_OK)
            r = em_papers_add(writer, *distribution, &step.files);
        if (r < 0)
            return r;
        if (step.files.count == 0)
            continue;
        step.path = em_steps_in_root(writer, path);
        step.site = em_steps_in_root(writer, (*distribution)->site);
        r = add_read_input(writer, step.path, &(*distribution)->record_node);
        if (r == EM_OK)
            r = em_vec_push(writer->arena, &writer->plan->steps, step);
        if (r == EM_OK)
            r = add_signature_steps(writer, *distribution);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int add_once(struct em_steps_writer *writer, struct em_strings *files, const char *path)
{
    em_vec_each (const char *, known, files)
        if (strcmp(*known, path) == 0)
            return EM_OK;
    return em_vec_push(writer->arena, files, path);
}

/* What conda's package lists already; what the RECORD that it lists has; copies for a library that is nobody's but conda's. */
static int files_of_condas(struct em_steps_writer *writer, const struct em_distribution *package, struct em_strings *files)
{
    int r = EM_OK;

    em_vec_each (const struct em_step, step, &writer->plan->steps) {
        if (step->kind == EM_STEP_CONDA || !em_record_find(&package->record, step->path))
            continue;
        r = add_once(writer, files, step->path);
        em_vec_each (const char *, file, &step->files)
            if (r == EM_OK)
                r = add_once(writer, files, *file);
        if (r < 0)
            return r;
    }
    em_vec_each (struct em_draft_change *, change, &writer->draft->changes)
        if (r == EM_OK && (*change)->candidate && (*change)->owner == package)
            r = add_once(writer, files, em_steps_in_root(writer, (*change)->path));
    return r;
}

/* Its packages list files by paths that are relative to the prefix, which is the plan's root. */
static int add_conda_steps(struct em_steps_writer *writer)
{
    em_vec_each (struct em_distribution *, package, &writer->draft->env->conda) {
        struct em_step step = { .kind = EM_STEP_CONDA,
                                .path = em_steps_in_root(writer, (*package)->conda_meta),
                                .reason = "conda compares and removes by it" };
        int r = files_of_condas(writer, *package, &step.files);

        if (r == EM_OK && step.files.count > 0)
            r = add_read_input(writer, step.path, &(*package)->record_node);
        if (r == EM_OK && step.files.count > 0)
            r = em_vec_push(writer->arena, &writer->plan->steps, step);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int write_files(struct em_steps_writer *writer)
{
    int r = EM_OK;

    em_vec_each (struct em_draft_change *, change, &writer->draft->changes) {
        if ((*change)->remove)
            r = add_remove_step(writer, *change);
        else if ((*change)->candidate)
            r = add_copy_step(writer, *change);
        else if ((*change)->value)
            r = add_path_step(writer, *change);
        em_vec_each (const struct em_rename, rename, &(*change)->renames)
            if (r == EM_OK)
                r = add_needed_step(writer, *change, rename);
        if (r == EM_OK && (*change)->clear_stack)
            r = add_stack_step(writer, *change);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int write_steps(struct em_steps_writer *writer)
{
    int r = write_files(writer);

    if (r < 0 || writer->plan->steps.count == 0)
        return r;
    r = add_record_steps(writer);
    return r == EM_OK ? add_conda_steps(writer) : r;
}

/* What is wrong with what is installed beside a wheel is not for its plan to say. */
static bool is_told(const struct em_steps_writer *writer, const struct em_finding *finding)
{
    return finding->severity != EM_SEVERITY_NOTE &&
           (!writer->wish->only || !finding->owner || finding->owner == writer->wish->only);
}

/* What will still be found, and why nothing was done about it. */
static int write_rest(struct em_steps_writer *writer)
{
    em_vec_each (struct em_finding, finding, &writer->after->findings) {
        const char *name = em_draft_finding_name(writer->arena, writer->draft->env, finding);
        struct em_refusal refusal = { .finding = name };
        const char *after;

        if (!name)
            return EM_NO_MEMORY;
        if (!is_told(writer, finding))
            continue;
        after = em_arena_printf(writer->arena, "%s %s %s: %s", finding->id, em_severity_name(finding->severity),
                                em_env_show(writer->draft->env, finding->object),
                                finding->request ? finding->request : finding->message);
        if (!after || em_vec_push(writer->arena, &writer->plan->after, after) < 0)
            return EM_NO_MEMORY;
        refusal.why = em_map_get(writer->gave_up, name);
        if (refusal.why && em_vec_push(writer->arena, &writer->plan->refused, refusal) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int find_root(struct em_steps_writer *writer)
{
    const struct em_env *env = writer->draft->env;
    char *real;
    int r = em_tree_real_path(env->tree, writer->arena, writer->root, &real);

    if (r < 0) {
        errno = -r;
        return em_fail_errno(writer->error, env->given, "cannot be resolved");
    }
    writer->plan->root = writer->wish->prefix ? em_arena_printf(writer->arena, "%s%s", writer->wish->prefix, real) : real;
    return writer->plan->root ? EM_OK : EM_NO_MEMORY;
}

int em_draft_to_plan(struct em_plan *plan, const struct em_draft *draft, const struct em_diagnosis *after,
                     const struct em_map *gave_up, const struct em_plan_wish *wish, struct em_error *error)
{
    struct em_steps_writer writer = {
        .arena = draft->arena, .plan = plan, .draft = draft, .after = after, .gave_up = gave_up, .wish = wish, .error = error
    };
    int r;

    writer.root = em_draft_root(draft->arena, draft->env);
    r = writer.root ? find_root(&writer) : EM_NO_MEMORY;

    if (r == EM_OK)
        r = write_steps(&writer);
    if (r == EM_OK)
        r = write_rest(&writer);
    return r;
}
