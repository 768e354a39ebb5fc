#include "bundle/diagnose/diagnose.h"

#include "bundle/diagnose/families.h"
#include "bundle/diagnose/gpu.h"
#include "bundle/diagnose/integrity.h"
#include "bundle/diagnose/judge.h"
#include "bundle/diagnose/machine.h"
#include "bundle/diagnose/matrix.h"
#include "bundle/diagnose/paths.h"
#include "bundle/diagnose/pins.h"
#include "bundle/diagnose/numpy.h"
#include "bundle/diagnose/python.h"
#include "bundle/diagnose/stacks.h"
#include "bundle/diagnose/variable.h"

#include <string.h>

/* This machine's driver says nothing about another world. NULL: none. */
static const char *module_of(struct em_arena *arena, const struct em_world *world)
{
    return strcmp(world->kind, "system") == 0 ? em_machine_module(arena, world->tree) : NULL;
}

/* What no path or copy changes: a what-if of the planner's leaves it out. */
static int judge_files(struct em_diagnosis *diagnosis, const struct em_advisor *advisor, struct em_env *env,
                       const struct em_diagnose_options *options, uint64_t *bytes_read, struct em_error *error)
{
    struct em_findings *findings = &diagnosis->findings;
    struct em_arena *arena = advisor->arena;
    struct em_gpu_carriers carriers = { 0 };
    const struct em_world *world = advisor->world;
    const char *module = module_of(arena, world);
    int r = em_judge_integrity(findings, arena, env, error);

    if (r == EM_OK)
        r = em_judge_families(findings, advisor);
    if (r == EM_OK)
        r = em_judge_pins(findings, advisor);
    if (r == EM_OK)
        r = em_judge_python(findings, advisor);
    if (r == EM_OK)
        r = em_judge_numpy(findings, arena, env, bytes_read, error);
    if (r == EM_OK && options->gpus)
        r = em_gpu_carriers_read(&carriers, arena, env, bytes_read, error);
    if (r == EM_OK && options->gpus)
        r = em_judge_gpu(findings, arena, env, advisor->knowledge, options->gpus, &carriers);
    if (r == EM_OK)
        r = em_matrix_read(&diagnosis->frameworks, advisor, true, options->gpus, &carriers, bytes_read, error);
    return r == EM_OK ? em_judge_runtime(findings, advisor, &diagnosis->frameworks, options->gpus, module) : r;
}

/* A package that runs on CPUs too, in an environment without CUDA: no finding that anybody would want to see, and yet the first thing that
 * who wants a GPU has to know. */
static void tell_for_gpu(struct em_diagnosis *diagnosis)
{
    em_vec_each (struct em_framework, framework, &diagnosis->frameworks)
        em_vec_each (const struct em_finding, finding, &diagnosis->findings)
            if (finding->gpus && finding->owner == framework->distribution && !framework->for_gpu)
                framework->for_gpu = finding->help;
}

/* What is beside the target was asked what it finds, since it may be what the target's objects find; what is wrong with it is another
 * environment's business. */
static void drop_beside(struct em_diagnosis *diagnosis)
{
    struct em_findings *findings = &diagnosis->findings;
    size_t kept = 0;

    for (size_t i = 0; i < findings->count; i++)
        if (!em_env_is_beside(diagnosis->env, findings->items[i].object))
            findings->items[kept++] = findings->items[i];
    findings->count = kept;
}

/* Opens everything and judges what that showed. A few objects can need thousands of libraries each, all of them through long paths: what
 * is found out of so little could be gigabytes. */
static int judge_loading(struct em_diagnosis *diagnosis, struct em_loading *loading, struct em_advisor *advisor,
                         struct em_arena *arena, const struct em_diagnose_options *options, struct em_error *error)
{
    struct em_env *env = diagnosis->env;
    const struct em_world *world = diagnosis->world;
    const uint64_t most = EM_MAX_DIAGNOSIS + env->objects.count * EM_MAX_DIAGNOSIS_OBJECT;
    int r;

    em_arena_bound(arena, most);
    r = em_loading_run(loading, arena, env, world, diagnosis->knowledge, options->cache, error);
    if (r == EM_OK)
        r = em_advisor_init(advisor, arena, env, world, diagnosis->knowledge, loading);
    advisor->gpu_wanted = options->gpu_wanted || options->gpus || module_of(arena, world);
    if (r == EM_OK)
        r = em_judge(&diagnosis->findings, advisor);
    if (r == EM_OK)
        r = em_judge_variable(&diagnosis->findings, advisor, env, options->cache, error);
    if (r == EM_OK)
        r = em_judge_stacks(&diagnosis->findings, advisor, options->cache, &loading->bytes_read, error);
    if (r == EM_OK && options->integrity)
        r = em_judge_paths(&diagnosis->findings, arena, env, world, loading, error);
    if (em_arena_is_full(arena))
        r = em_loader_fail_memory(error, env->given, most);
    em_arena_bound(arena, EM_ARENA_UNBOUND);
    return r;
}

int em_diagnose(struct em_diagnosis *diagnosis, struct em_arena *arena, struct em_env *env, const struct em_world *world,
                const struct em_knowledge *knowledge, const struct em_diagnose_options *options, struct em_error *error)
{
    struct em_loading loading;
    struct em_advisor advisor;
    int r;

    *diagnosis = (struct em_diagnosis){
        .env = env, .world = world, .knowledge = knowledge, .objects = em_env_count_objects(env)
    };
    r = judge_loading(diagnosis, &loading, &advisor, arena, options, error);
    if (r == EM_OK && options->integrity)
        r = judge_files(diagnosis, &advisor, env, options, &loading.bytes_read, error);
    em_loader_free(loading.loader);
    if (r < 0)
        return r;
    tell_for_gpu(diagnosis);
    drop_beside(diagnosis);
    diagnosis->edges = loading.edges;
    diagnosis->bytes_read = loading.bytes_read;
    em_findings_sort(&diagnosis->findings);
    return EM_OK;
}
