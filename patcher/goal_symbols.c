/* goal_symbols.c: edits of dynamic symbols. */
#include "patcher/goal.h"

int em_goal_clear_version(struct em_goal *goal, const char *symbol, struct em_error *error)
{
    return em_fail(error, EM_NOT_BUILT, goal->image->name, "cannot clear the version of %s: this is not built yet", symbol);
}

int em_goal_rename_symbol(struct em_goal *goal, const char *symbol, const char *replacement, struct em_error *error)
{
    return em_fail(error, EM_NOT_BUILT, goal->image->name, "cannot rename %s to %s: this is not built yet", symbol,
                   replacement);
}
