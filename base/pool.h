/* pool.h: the same work over many items, on as many threads as there are cores.
 *
 *     r = em_pool_each(jobs, count, work, context);
 *
 * work(context, index) is called once for each index below count, in any order, by several threads; it returns 0 or a negative
 * enum em_err. The result is the error of the lowest failing index, so that it does not depend on timing; items after a failure
 * may or may not have been worked on. jobs 0 means the number of cores available. Results belong in slots by index.
 */
#ifndef EM_BASE_POOL_H
#define EM_BASE_POOL_H

#include <stddef.h>

unsigned em_pool_cores(void); /* that this process may use */

int em_pool_each(unsigned jobs, size_t count, int (*work)(void *context, size_t index), void *context);

#endif
