#include "cli/survey.h"

#include "bundle/diagnose/gpu.h"
#include "bundle/plan/undone.h"

#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A wheel, as it would be installed. */
static int survey_wheel(struct em_survey *survey, struct em_options *options, const struct em_diagnose_options *diagnose,
                        struct em_error *error)
{
    struct em_study_wish wish = { .with = &options->with, .diagnose = *diagnose };
    int r = em_wheel_open(&survey->wheel, options->arena, survey->target, error);

    if (r == EM_OK)
        r = em_study_run(&survey->study, options->arena, survey->wheel, &survey->world, &survey->knowledge, &wish, error);
    survey->env = survey->study.env;
    survey->diagnosis = survey->study.diagnosis;
    return r;
}

void em_survey_warn_unfinished(const struct em_env *env, const struct em_options *options)
{
    const char *root = env->kind == EM_ENV_OBJECT ? em_path_dirname(options->arena, env->path) : env->path;
    const char *journal = root ? em_path_join(options->arena, root, ".elfmend/txn/journal") : NULL;
    struct em_node node;

    if (journal && !options->quiet && em_tree_stat_link(env->tree, journal, &node) == 0)
        em_warn("%s: a repair is under way here, or was cut off; the next `elfmend fix` or `undo` takes back what was begun",
                env->given);
}

int em_survey_trail(struct em_trail *trail, const struct em_options *options, const struct em_env *env)
{
    const char *place = env->kind == EM_ENV_OBJECT ? em_path_dirname(options->arena, env->path) : env->path;
    const char *root = place && options->root ? em_path_join(options->arena, options->root, place + 1) : place;
    struct em_error error = EM_ERROR_INIT;
    int r = root ? em_trail_read(trail, options->arena, root, &error) : EM_NO_MEMORY;

    if (r < 0 && r != EM_NO_MEMORY && !options->quiet)
        em_warn("%s: what elfmend itself has changed here cannot be told: %s%s%s", env->given, error.sentence,
                error.saved_errno ? ": " : "", error.saved_errno ? strerror(error.saved_errno) : "");
    return r == EM_NO_MEMORY ? r : EM_OK;
}

static int add_undone(struct em_survey *survey, const struct em_options *options)
{
    struct em_findings *findings = &survey->diagnosis.findings;
    struct em_trail trail;
    int r = em_survey_trail(&trail, options, &survey->env);

    if (r == EM_OK)
        r = em_undone_judge(findings, options->arena, &survey->env, &trail);
    em_findings_sort(findings);
    return r;
}

int em_survey_run(struct em_survey *survey, struct em_options *options, const char *target, struct em_error *error)
{
    struct em_gpus gpus = { 0 };
    struct em_diagnose_options diagnose = { .integrity = true };
    bool wheel = em_is_wheel_name(target) && !options->root;
    double start = now();
    int r;

    *survey = (struct em_survey){ .target = target };
    r = em_tree_disk(&survey->tree, options->root, error);
    if (r == EM_OK && !wheel)
        r = em_env_read(&survey->env, options->arena, survey->tree, target, error);
    if (r == EM_OK && !wheel)
        em_survey_warn_unfinished(&survey->env, options);
    if (r == EM_OK)
        r = wheel ? em_options_wheel_world(options, &survey->tree, &survey->world, target, error)
                  : em_options_world(options, &survey->tree, &survey->world, survey->env.python, error);
    if (r == EM_OK)
        r = em_knowledge_load(&survey->knowledge, options->arena, options->knowledge, error);
    for (size_t i = 0; r == EM_OK && i < options->gpus.count; i++)
        r = em_gpus_parse(&gpus, options->arena, &survey->knowledge, options->gpus.items[i], error);
    diagnose.gpus = gpus.count > 0 ? &gpus : NULL;
    /* Who says where a library may be copied from wants it. */
    diagnose.gpu_wanted = options->sources.count > 0;
    if (r == EM_OK && wheel)
        r = survey_wheel(survey, options, &diagnose, error);
    else if (r == EM_OK)
        r = em_diagnose(&survey->diagnosis, options->arena, &survey->env, &survey->world, &survey->knowledge, &diagnose, error);
    if (r == EM_OK && !wheel)
        r = add_undone(survey, options);
    if (r == EM_OK)
        r = em_filter_init(&survey->filter, options, &survey->env, error);
    for (size_t i = 0; r == EM_OK && i < survey->diagnosis.findings.count; i++)
        if (em_filter_wants(&survey->filter, &survey->diagnosis.findings.items[i]))
            r = em_vec_push(options->arena, &survey->findings, survey->diagnosis.findings.items[i]);
    survey->seconds = now() - start;
    return r;
}

void em_survey_free(struct em_survey *survey)
{
    em_study_free(&survey->study);
    em_wheel_close(survey->wheel);
    em_tree_close(survey->tree);
    survey->tree = NULL;
}
