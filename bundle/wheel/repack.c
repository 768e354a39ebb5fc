#include "bundle/wheel/repack.h"

#include "bundle/plan/licences.h"
#include "bundle/wheel/aside.h"
#include "bundle/wheel/tags.h"

#include <stdio.h>
#include <string.h>

struct run {
    struct em_repack *result;
    struct em_arena *arena;
    const struct em_repack_wish *wish;
    struct em_error *error;
    struct em_record record;
    const char *new_dist_info;
    char *output; /* wish->output, absolute */
};

static char *absolute_path(struct em_arena *arena, const char *path)
{
    em_cleanup_free char *real = realpath(path, NULL);

    return real ? em_arena_strdup(arena, real) : NULL;
}

/* ---- what METADATA gains ---- */

static bool is_required(const struct run *run, const char *name)
{
    em_vec_each (const struct em_requirement, requirement, &run->result->study.distribution->requirements)
        if (!requirement->has_extra && strcmp(requirement->name, name) == 0)
            return true;
    return false;
}

static int require(struct run *run, const char *requirement)
{
    struct em_strings *requires = &run->result->plan.wheel->requires;

    em_vec_each (const char *, known, requires)
        if (strcmp(*known, requirement) == 0)
            return EM_OK;
    return em_vec_push(run->arena, requires, requirement);
}

/* A path that some step writes leads there. */
static bool is_used(const struct run *run, const char *file)
{
    const char *directory = em_path_dirname(run->arena, file);

    em_vec_each (const struct em_step, step, &run->result->plan.steps) {
        const char *at = step->value && directory ? strstr(step->value, directory) : NULL;

        if (at && (at[strlen(directory)] == ':' || at[strlen(directory)] == '\0'))
            return true;
    }
    return false;
}

/* A distribution that is installed beside the wheel, with a bound that keeps its major. */
static const char *requirement_of(struct run *run, const struct em_finding *finding)
{
    const struct em_distribution *owner = finding->provider->owner;
    char major[16];
    const struct em_package *package = em_knowledge_package(run->wish->knowledge, finding->request, major);
    size_t digits = strspn(owner->version, "0123456789");

    if (package)
        em_vec_each (const struct em_package_choice, choice, &package->choices) {
            size_t length = strlen(owner->normalized);

            if (strcmp(choice->major, major) == 0 && strncmp(choice->requirement, owner->normalized, length) == 0 &&
                (choice->requirement[length] == '\0' || strchr("<>=~!", choice->requirement[length])))
                return em_promise_requirement(run->arena, package, choice->requirement, major);
        }
    if (digits == 0)
        return owner->normalized;
    return em_arena_printf(run->arena, "%s>=%s,<%lu", owner->normalized, owner->version, strtoul(owner->version, NULL, 10) + 1);
}

static int collect_requirements(struct run *run)
{
    const struct em_study *study = &run->result->study;

    em_vec_each (struct em_promise *, promise, &study->promises) {
        if ((*promise)->declared || (*promise)->files.count == 0 || !is_used(run, (*promise)->files.items[0]))
            continue;
        if (require(run, (*promise)->requirement) < 0)
            return EM_NO_MEMORY;
    }
    em_vec_each (const struct em_finding, finding, &study->diagnosis.findings) {
        const struct em_distribution *owner = finding->provider ? finding->provider->owner : NULL;
        const char *requirement;

        if (!owner || owner == study->distribution || is_required(run, owner->normalized) || !finding->request ||
            em_is_promised(owner))
            continue;
        if (!is_used(run, em_path_after(finding->provider->path, study->installed.site)))
            continue;
        requirement = requirement_of(run, finding);
        if (!requirement || require(run, requirement) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* ---- what comes along with copies ---- */

/* Wheels that were unpacked to be copied from. */
static int collect_unpacked(struct run *run)
{
    struct em_plan *plan = &run->result->plan;

    em_vec_each (struct em_source *, source, &run->wish->plan.sources) {
        struct em_plan_unpacked unpacked = { .directory = (*source)->env.path };
        bool used = false;

        em_vec_each (const struct em_step, step, &plan->steps)
            used = used || (step->kind == EM_STEP_COPY && em_path_is_below(step->from, unpacked.directory));
        if (!used || !em_is_wheel_name((*source)->place))
            continue;
        unpacked.wheel = absolute_path(run->arena, (*source)->place);
        if (!unpacked.wheel || em_vec_push(run->arena, &plan->wheel->unpacked, unpacked) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* The promise of the file's name, held against each library that comes in. */
static int lower_tags(struct run *run)
{
    struct em_repack *result = run->result;
    struct em_plan_wheel *wheel = result->plan.wheel;
    unsigned newest = 0;
    const char *tags;

    em_vec_each (const struct em_step, step, &result->plan.steps) {
        em_cleanup_fd int fd = -1;
        struct em_object object;
        struct em_reader reader;
        unsigned minor;
        int r;

        if (step->kind != EM_STEP_COPY || em_step_licence(step))
            continue;
        fd = em_open_at(AT_FDCWD, step->from, O_RDONLY, 0, run->error);
        r = fd < 0 ? fd : em_reader_whole(&reader, fd, step->from, run->error);
        if (r == EM_OK)
            r = em_object_read(&object, run->arena, &reader, run->error);
        if (r < 0)
            return r;
        minor = em_tags_glibc(&object);
        if (minor <= newest)
            continue;
        newest = minor;
        wheel->tags_reason = em_arena_printf(run->arena, "%s needs glibc 2.%u", em_path_basename(step->path), minor);
    }
    tags = em_tags_hold(run->arena, result->wheel->tags, newest);
    if (!tags || (newest && !wheel->tags_reason))
        return EM_NO_MEMORY;
    wheel->tags = tags == result->wheel->tags ? NULL : tags;
    return EM_OK;
}

/* ---- names ---- */

static int choose_names(struct run *run)
{
    const struct em_wheel *wheel = run->result->wheel;
    const struct em_plan_wheel *change = run->result->plan.wheel;
    const char *version = change->version ? change->version : wheel->version;
    const char *build = change->build ? change->build : wheel->build;

    /* PyPI wants the directory spelled as the file is. */
    run->new_dist_info = em_arena_printf(run->arena, "%s-%s.dist-info", wheel->name, version);
    run->result->file_name = em_arena_printf(run->arena, "%s-%s%s%s-%s.whl", wheel->name, version, build ? "-" : "",
                                             build ? build : "", change->tags ? change->tags : wheel->tags);
    if (run->result->plan.steps.count == 0)
        run->result->file_name = wheel->file_name;
    if (!run->new_dist_info || !run->result->file_name)
        return EM_NO_MEMORY;
    run->result->path = em_path_join(run->arena, run->wish->output ? run->wish->output : ".", run->result->file_name);
    return run->result->path ? EM_OK : EM_NO_MEMORY;
}

/* What signs a RECORD that is about to change. */
static int note_dropped(struct run *run)
{
    em_vec_each (const struct em_zip_member, member, em_zip_members(run->result->wheel->zip))
        if (em_is_signature(member->name) && em_vec_push(run->arena, &run->result->dropped, member->name) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static int choose(struct run *run)
{
    int r = choose_names(run);

    return r == EM_OK && run->result->plan.steps.count > 0 ? note_dropped(run) : r;
}

/* ---- the plan ---- */

static int look(struct run *run)
{
    struct em_repack *result = run->result;
    struct em_study_wish wish = { .with = run->wish->with, .undeclared = true };

    /* What a source has is copied; what none has will be required. */
    if (run->wish->plan.strategy != EM_STRATEGY_PATH)
        wish.sources = &run->wish->plan;

    return em_study_run(&result->study, run->arena, result->wheel, run->wish->world, run->wish->knowledge, &wish, run->error);
}

/* What the plan says of the wheel itself, and that it rests on it. */
static int plan_wheel(struct run *run)
{
    const struct em_repack_wish *wish = run->wish;
    struct em_plan *plan = &run->result->plan;
    struct em_plan_wheel *wheel = plan->wheel;
    const char *directory = em_path_dirname(run->arena, run->result->wheel->given);
    struct em_input input;
    int r;

    /* Under the name that was given: a link to it may be all that has a wheel's name. */
    wheel->path = directory ? absolute_path(run->arena, directory) : NULL;
    wheel->path = wheel->path ? em_path_join(run->arena, wheel->path, run->result->wheel->file_name) : NULL;
    if (!wheel->path)
        return EM_NO_MEMORY;
    wheel->build = wish->build;
    wheel->has_date = wish->epoch >= 0;
    wheel->date = wheel->has_date ? wish->epoch : 0;
    if (wish->local) {
        wheel->version = em_metadata_local_version(run->arena, run->result->wheel->version, wish->local);
        if (!wheel->version)
            return EM_NO_MEMORY;
    }
    r = em_input_note(&input, wheel->path, true, run->error);
    return r < 0 ? r : em_vec_push(run->arena, &plan->inputs, input);
}

static int decide(struct run *run)
{
    struct em_repack *result = run->result;
    struct em_plan_wish wish = run->wish->plan;
    int r;

    if (!result->study.distribution)
        return em_fail(run->error, EM_BAD_RECORD, result->wheel->given, "has a .dist-info that is no distribution's");
    wish.only = result->study.distribution;
    /* Only what no source has was promised: there a path is meant, whatever else is copied. */
    if (wish.strategy == EM_STRATEGY_COPY && run->wish->with->count == 0)
        wish.strategy = EM_STRATEGY_AUTO;
    r = em_plan_make(&result->plan, run->arena, &result->study.diagnosis, &wish, run->error);
    if (r < 0)
        return r;
    result->plan.wheel = em_new(run->arena, struct em_plan_wheel);
    r = result->plan.wheel ? plan_wheel(run) : EM_NO_MEMORY;
    if (r == EM_OK)
        r = collect_requirements(run);
    if (r == EM_OK)
        r = collect_unpacked(run);
    if (r == EM_OK)
        r = lower_tags(run);
    return r < 0 ? r : choose(run);
}

/* ---- writing ---- */

static int prove(struct run *run, const char *path, const struct em_wheel_known *known)
{
    struct em_repack *result = run->result;
    struct em_study_wish wish = { .with = run->wish->with };
    size_t wanted = 0, errors = 0;
    int r = em_wheel_open(&result->proof_wheel, run->arena, path, run->error);

    if (r < 0)
        return r;
    em_vec_each (const struct em_wheel_knowledge, of, known)
        em_zip_same(em_zip_find(result->proof_wheel->zip, of->name), of->learned);
    /* Shown, and laid out, under the name that it gets. */
    result->proof_wheel->given = result->path;
    result->proof_wheel->absolute = em_path_join(run->arena, run->output, result->file_name);
    if (!result->proof_wheel->absolute)
        return EM_NO_MEMORY;
    r = em_study_run(&result->proof, run->arena, result->proof_wheel, run->wish->world, run->wish->knowledge, &wish,
                     run->error);
    if (r < 0)
        return r;
    em_vec_each (const char *, line, &result->plan.after)
        wanted += strstr(*line, " error ") != NULL;
    em_vec_each (const struct em_finding, finding, &result->proof.diagnosis.findings)
        errors += finding->severity == EM_SEVERITY_ERROR;
    if (errors > wanted)
        return em_fail(run->error, EM_REFUSED, result->wheel->given,
                       "would have %zu errors once repacked where the plan expects %zu: nothing was written", errors, wanted);
    return EM_OK;
}

static int digest(struct run *run, int fd)
{
    struct em_reader whole = em_reader_fd(fd, run->result->size, run->result->path);

    return run->wish->digest ? em_hash_reader(&whole, &run->result->sha256, NULL, run->error) : EM_OK;
}

static int write_wheel(struct run *run, int fd, const char *path)
{
    struct em_rewrite rewrite = { .arena = run->arena,
                                  .wheel = run->result->wheel,
                                  .record = &run->record,
                                  .plan = &run->result->plan,
                                  .providers = &run->result->providers,
                                  .jobs = run->wish->jobs,
                                  .new_dist_info = run->new_dist_info,
                                  .tidied = &run->result->tidied };
    struct stat st;
    int r = em_rewrite(&rewrite, fd, run->result->path, run->error);

    /* One study at a time: a wheel of 10,000 members is 10 MB of it. What the plan says of the first one has its own memory. */
    em_study_free(&run->result->study);
    if (r == EM_OK && run->wish->sync)
        r = em_fsync(fd, run->result->path, run->error);
    if (r == EM_OK)
        r = prove(run, path, &rewrite.known);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(run->error, run->result->path, "cannot be examined");
    run->result->size = (uint64_t)st.st_size;
    return digest(run, fd);
}

/* Byte for byte. */
static int copy_wheel(struct run *run, int fd)
{
    struct em_repack *result = run->result;
    int r = em_copy_fd(em_zip_fd(result->wheel->zip), fd, em_zip_size(result->wheel->zip), result->path, run->error);

    result->size = em_zip_size(result->wheel->zip);
    if (r == EM_OK && run->wish->sync)
        r = em_fsync(fd, result->path, run->error);
    return r < 0 ? r : digest(run, fd);
}

/* The input is never touched, whatever it and the result are called. */
static int spare_input(struct run *run, int output)
{
    struct stat in, out;

    if (fstat(em_zip_fd(run->result->wheel->zip), &in) < 0)
        return em_fail_errno(run->error, run->result->wheel->given, "cannot be examined");
    em_vec_each (const char *, name, run->wish->made)
        if (strcmp(*name, run->result->file_name) == 0)
            return em_fail(run->error, EM_REFUSED, run->result->path,
                           "is what another wheel of this name has just become: name another directory");
    if (fstatat(output, run->result->file_name, &out, 0) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
        return em_fail(run->error, EM_REFUSED, run->result->path,
                       "is the wheel itself: name another directory, or another version");
    return EM_OK;
}

static int place_wheel(struct run *run)
{
    em_cleanup_aside struct em_aside aside = EM_ASIDE_INIT;
    const char *base = run->result->file_name, *path;
    const bool anew = run->result->plan.steps.count > 0;
    em_cleanup_fd int fd = -1;
    int r = em_aside_open(&aside, run->arena, run->wish->output, run->error);

    if (r < 0)
        return r;
    path = em_arena_printf(run->arena, "%s/%s/%s", run->wish->output, aside.name, base);
    run->output = absolute_path(run->arena, run->wish->output);
    if (!path || !run->output)
        return EM_NO_MEMORY;
    r = spare_input(run, aside.directory);
    if (r == EM_OK)
        r = fd = em_aside_file(&aside, base, run->error);
    if (r >= 0)
        r = anew ? write_wheel(run, fd, path) : copy_wheel(run, fd);
    if (r == EM_OK)
        r = em_aside_place(&aside, base, aside.directory, run->error);
    if (r == EM_OK && run->wish->sync)
        r = em_fsync(aside.directory, run->wish->output, run->error);
    if (r == EM_OK && anew)
        r = em_repack_tidied(run->result, run->arena, &run->record, run->new_dist_info);
    run->result->written = r == EM_OK && anew;
    run->result->copied = r == EM_OK && !anew;
    return r;
}

int em_repack(struct em_repack *result, struct em_arena *arena, const char *path, const struct em_repack_wish *wish,
              struct em_error *error)
{
    struct run run = { .result = result, .arena = arena, .wish = wish, .error = error };
    int r;

    *result = (struct em_repack){ 0 };
    r = em_wheel_open(&result->wheel, arena, path, error);
    if (r == EM_OK)
        r = em_wheel_check(result->wheel, arena, wish->jobs, &run.record, error);
    if (r < 0)
        return r;
    r = look(&run);
    if (r == EM_OK)
        r = decide(&run);
    if (r == EM_OK && (result->plan.steps.count > 0 || wish->copy_unchanged) && !wish->dry_run)
        r = place_wheel(&run);
    em_zip_remember(result->wheel->zip);
    return r;
}

/* A plan from elsewhere may speak of members that the wheel does not have: nothing would come of such a step. */
static int check_targets(struct run *run)
{
    const struct em_wheel *wheel = run->result->wheel;
    struct em_map places = { .arena = run->arena };

    em_vec_each (struct em_zip_member, member, em_zip_members(wheel->zip)) {
        const char *place = em_site_member_path(run->arena, member->name, wheel->python);

        if (!place || em_map_put(&places, place, member) < 0)
            return EM_NO_MEMORY;
    }
    em_vec_each (struct em_step, step, &run->result->plan.steps) {
        if ((step->kind == EM_STEP_COPY || step->kind == EM_STEP_SBOM) && em_map_put(&places, step->path, step) < 0)
            return EM_NO_MEMORY;
        if (!em_map_get(&places, step->path))
            return em_fail(run->error, EM_REFUSED, wheel->given, "has no member that the plan changes: %s", step->path);
    }
    return EM_OK;
}

int em_repack_apply(struct em_repack *result, struct em_arena *arena, const struct em_plan *plan,
                    const struct em_repack_wish *wish, struct em_error *error)
{
    struct run run = { .result = result, .arena = arena, .wish = wish, .error = error };
    int r = em_plan_check_sources(plan, error);

    *result = (struct em_repack){ .plan = *plan };
    if (r == EM_OK)
        r = em_wheel_open(&result->wheel, arena, plan->wheel->path, error);
    if (r == EM_OK)
        r = em_wheel_check(result->wheel, arena, wish->jobs, &run.record, error);
    if (r == EM_OK)
        r = check_targets(&run);
    if (r == EM_OK)
        r = choose(&run);
    if (r == EM_OK && plan->steps.count > 0)
        r = place_wheel(&run);
    if (result->wheel)
        em_zip_remember(result->wheel->zip);
    return r;
}

void em_repack_free(struct em_repack *result)
{
    em_study_free(&result->proof);
    em_wheel_close(result->proof_wheel);
    em_providers_close(&result->providers);
    em_study_free(&result->study);
    em_wheel_close(result->wheel);
}
