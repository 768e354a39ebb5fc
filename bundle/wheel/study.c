#include "bundle/wheel/study.h"

/* Each round shows what stands behind the promises of the one before; families are three deep. */
#define MOST_ROUNDS 16

static int read_env(struct em_study *study, struct em_arena *arena, struct em_error *error)
{
    int r = em_env_read_wheel(&study->env, arena, study->installed.tree, study->installed.site, study->wheel->given, error);

    if (r < 0)
        return r;
    study->distribution = em_wheel_distribution(study->wheel, &study->env);
    return EM_OK;
}

int em_study_read(struct em_study *study, struct em_arena *arena, const struct em_wheel *wheel, struct em_tree *below,
                  const struct em_strings *with, struct em_error *error)
{
    int r;

    *study = (struct em_study){ .wheel = wheel };
    r = em_wheel_install(&study->installed, arena, wheel, below, with, error);
    return r < 0 ? r : read_env(study, arena, error);
}

/* What is wrong with the siblings is for whoever audits them. */
static void keep_own_findings(struct em_study *study)
{
    struct em_findings *findings = &study->diagnosis.findings;
    size_t kept = 0;

    em_vec_each (struct em_finding, finding, findings)
        if (!study->distribution || finding->owner == study->distribution)
            findings->items[kept++] = *finding;
    findings->count = kept;
}

/* One round; where only the promises count, what else it found out is gone with it. */
static int diagnose(struct em_study *study, struct em_arena *arena, const struct em_knowledge *knowledge,
                    const struct em_study_wish *wish, const struct em_diagnose_options *options, bool *news,
                    struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = wish->install_only ? em_arena_new() : NULL;
    int r = wish->install_only && !scratch ? EM_NO_MEMORY
                                           : em_diagnose(&study->diagnosis, scratch ? scratch : arena, &study->env,
                                                         &study->world, knowledge, options, error);

    if (r == EM_OK && study->distribution)
        r = em_wheel_promise(&study->installed, arena, &study->promises, &study->diagnosis, study->distribution,
                             wish->undeclared, wish->sources, news, error);
    if (wish->install_only)
        study->diagnosis = (struct em_diagnosis){ 0 };
    return r;
}

int em_study_run(struct em_study *study, struct em_arena *arena, const struct em_wheel *wheel, const struct em_world *world,
                 const struct em_knowledge *knowledge, const struct em_study_wish *wish, struct em_error *error)
{
    struct em_diagnose_cache cache = { .names = { .arena = arena }, .stacks = { .arena = arena } };
    struct em_diagnose_options options = wish->diagnose;
    int r = em_study_read(study, arena, wheel, world->tree, wish->with, error);

    if (!options.cache)
        options.cache = &cache;
    for (int round = 0; r == EM_OK && round < MOST_ROUNDS; round++) {
        bool news = false;

        study->world = *world;
        study->world.tree = study->installed.tree;
        r = diagnose(study, arena, knowledge, wish, &options, &news, error);
        if (r < 0 || !news)
            break;
        r = read_env(study, arena, error);
    }
    if (r == EM_OK)
        keep_own_findings(study);
    return r;
}

void em_study_free(struct em_study *study)
{
    em_wheel_uninstall(&study->installed);
}
