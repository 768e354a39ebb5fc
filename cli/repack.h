/* repack.h: a wheel's plan that was written to a file, carried out. For cli/apply.c. */
#ifndef EM_CLI_REPACK_H
#define EM_CLI_REPACK_H

#include "bundle/plan/plan.h"
#include "cli/cli.h"

/* Prints what came of it. The exit status. */
int em_repack_plan(struct em_options *options, const struct em_plan *plan);

#endif
