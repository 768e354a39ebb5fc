/* survey.h: what audit and fix have in common: one target read, its world, and what is wrong with it.
 *
 *     struct em_survey survey;
 *     r = em_survey_run(&survey, &options, target, error);
 *     em_survey_free(&survey);
 *
 * survey.findings are those that the user wants (--only, --ignore, .elfmendignore); survey.diagnosis.findings has all of them, and
 * em_filter_wants tells which are which, to the planner too.
 */
#ifndef EM_CLI_SURVEY_H
#define EM_CLI_SURVEY_H

#include "bundle/diagnose/diagnose.h"
#include "bundle/plan/trail.h"
#include "bundle/wheel/study.h"
#include "cli/cli.h"

/* What the user wants to hear of and to have changed. */
struct em_filter {
    const struct em_env *env;
    struct em_strings only;   /* patterns of objects; empty: all */
    struct em_strings ignore; /* "EM103" or "EM103:GLOB" */
};

struct em_survey {
    const char *target; /* as given */
    struct em_tree *tree;
    struct em_env env;
    struct em_world world;
    struct em_knowledge knowledge;
    struct em_diagnosis diagnosis;
    struct em_filter filter;
    struct em_findings findings;
    struct em_wheel *wheel; /* the target is one; NULL: it is none */
    struct em_study study;
    double seconds;
};

int em_survey_run(struct em_survey *survey, struct em_options *options, const char *target, struct em_error *error);
void em_survey_free(struct em_survey *survey);

/* A repair that is under way, or was cut off: what is read now lies between two states, and the user is told so. Who only reads takes
 * nothing back: it may have no right to, and another may be at it. */
void em_survey_warn_unfinished(const struct em_env *env, const struct em_options *options);

/* What became of our repairs of a target. Where that cannot be read it is a word on stderr, and the trail is empty: what is wrong
 * with the target can be said without it. */
int em_survey_trail(struct em_trail *trail, const struct em_options *options, const struct em_env *env);

/* From --only, --ignore and the ignore files of the target and the working directory. env NULL: it is known later, before the filter is
 * asked, and is a wheel, which has no such file. */
int em_filter_init(struct em_filter *filter, const struct em_options *options, const struct em_env *env,
                   struct em_error *error);
bool em_filter_wants(const void *filter, const struct em_finding *finding);
/* Both at once, for a list that nobody else needs whole: what is not wanted is taken out of it. */
int em_filter_findings(struct em_findings *findings, const struct em_options *options, const struct em_env *env,
                       struct em_error *error);

/* How many findings are of that severity. */
size_t em_count_findings(const struct em_findings *findings, enum em_severity severity);
/* 1 if a finding is at or above --fail-on, else 0. */
int em_status_of(const struct em_findings *findings, const struct em_options *options);
/* Notes are shown when they are asked for. */
bool em_is_shown(const struct em_finding *finding, const struct em_options *options);

/* ---- report.c ---- */
/* All that are shown; those that differ in nothing but the name asked for are one. */
void em_print_findings(const struct em_findings *findings, const struct em_env *env, const struct em_options *options);
json_t *em_finding_json(const struct em_finding *finding, const struct em_env *env);
json_t *em_world_json(const struct em_world *world);
/* One line for each framework: what it was built for and what it gets. Nothing where there is none. */
void em_print_frameworks(const struct em_frameworks *frameworks);
json_t *em_frameworks_json(const struct em_frameworks *frameworks);
json_t *em_target_json(const struct em_env *env);

#endif
