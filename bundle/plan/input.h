/* input.h: the files that a plan rests on, and whether they are still what they were. Private to plan.
 *
 * Within the process that made the plan a file is known by its stamp, so that no byte is read merely to learn that nothing has
 * happened; a plan that comes from a file has digests, and all is read again. A file that was written a moment ago gets digests at
 * once, since a stamp would not tell it from the same file a moment later.
 */
#ifndef EM_BUNDLE_PLAN_INPUT_H
#define EM_BUNDLE_PLAN_INPUT_H

#include "bundle/plan/plan.h"

/* Of the file that is open as fd. EM_CHANGED if it is not what the input was. */
int em_input_check_fd(const struct em_input *input, int fd, struct em_error *error);
/* The same by its path; root: of the target. */
int em_input_check(const struct em_input *input, int root, struct em_error *error);

/* How one of several things that are done at once has ended. */
struct em_outcome {
    int r;
    struct em_error error;
};
/* The error of the lowest index is the one that is told: it does not depend on timing. false: this one has none. */
bool em_outcome_tell(const struct em_outcome *outcome, struct em_error *error);

#endif
