/* repack_report.h: what became of a wheel, in words and as JSON; repack and apply say it. */
#ifndef EM_CLI_REPACK_REPORT_H
#define EM_CLI_REPACK_REPORT_H

#include "bundle/wheel/index.h"
#include "bundle/wheel/repack.h"
#include "cli/survey.h"

/* Where a new wheel is proved, and where it goes, into its plan: places are named by absolute paths there. */
int em_repack_describe(struct em_plan_wheel *wheel, const struct em_options *options, struct em_error *error);

/* Of a wheel that was done: prints it, or appends it to wheels if that is not NULL. *status: what it makes the exit status. */
int em_repack_report(struct em_repack *result, const struct em_options *options, json_t *wheels, int *status,
                     struct em_error *error);
/* Of a wheel that the index has: the two lines that pin it in a file of requirements. */
void em_repack_report_indexed(const struct em_indexed *indexed, const struct em_options *options);
/* Of one that was not, for r; the exit status. */
int em_repack_report_failure(const char *path, json_t *wheels, struct em_error *error, int r);

#endif
