/* steps.h: what a plan does, in words; fix and repack print it. */
#ifndef EM_CLI_STEPS_H
#define EM_CLI_STEPS_H

#include "bundle/plan/planner.h"
#include "cli/cli.h"

#include <jansson.h>

/* A few lines, indented. A wheel has a new RECORD in any case: where in_wheel is set nothing is said of it. */
void em_print_step(const struct em_step *step, bool in_wheel);

/* As JSON: what it rests on has to be read first (em_plan_seal). EM_UNSUPPORTED for names that JSON cannot hold. */
int em_spell_plan(const struct em_plan *plan, struct em_text *json, struct em_error *error);
int em_write_plan(const char *path, const struct em_text *json, struct em_error *error);

/* "3 files replaced, 0 added; elfmend undo takes it back, as 0001"; where: in front of it; NULL: an empty line above. */
void em_print_receipt(const char *where, const struct em_receipt *receipt);
/* Its "privileged" in JSON. */
json_t *em_privileged_json(const struct em_receipt *receipt);

/* The places that --source names and the pins of --require-hashes, into the wish. target: what is to be repaired, if it is an environment.
 * What the user should hear of where they are unpacked is said, once. */
int em_open_sources(const struct em_options *options, struct em_tree *here, const struct em_env *target, struct em_pins *pins,
                    struct em_plan_wish *wish, struct em_error *error);

/* What --strategy says; NULL: the planner decides. */
enum em_strategy em_strategy_named(const char *name);

#endif
