/* beside.h: the same work over many things, in processes beside each other.
 *
 *     r = em_beside(jobs, count, work, done, context, error)
 *
 * work(context, index) runs in a process of its own, with standard output and standard error that nobody else writes to; what it
 * returns is an exit status. done(context, index, status, output) is called here, in the order of index: so the report does not depend
 * on timing. What went to standard error has been passed on by then; output is what went to standard output, and 0-terminated. A process that
 * is ended by a signal has the status EM_EXIT_FAILED, and a line on standard error says so: the others go on.
 *
 * At most jobs of them run at a time. Nothing that work changes in memory is seen here. No other children may be waited for meanwhile,
 * and no threads may run.
 *
 * Errors: EM_IO where no process can be made; then those that were begun have ended.
 */
#ifndef EM_CLI_BESIDE_H
#define EM_CLI_BESIDE_H

#include "cli/cli.h"

int em_beside(unsigned jobs, size_t count, int (*work)(void *context, size_t index),
              void (*done)(void *context, size_t index, int status, const struct em_text *output), void *context,
              struct em_error *error);

#endif
