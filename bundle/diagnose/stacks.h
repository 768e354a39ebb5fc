/* stacks.h: objects that ask for an executable stack. Private to diagnose.
 *
 * EM106, one for each such object, whoever loads it: glibc from 2.41 on refuses to dlopen it, and what dlopen brings along counts too
 * (glibc 2.41 NEWS). An error where this world's loader refuses it in a process that somebody needs, a warning elsewhere: it works
 * until the machine is upgraded. musl does not look at the flag.
 */
#ifndef EM_BUNDLE_DIAGNOSE_STACKS_H
#define EM_BUNDLE_DIAGNOSE_STACKS_H

#include "bundle/diagnose/advice.h"
#include "bundle/diagnose/diagnose.h"

/* bytes_read grows by what was read of such objects' code. */
int em_judge_stacks(struct em_findings *findings, const struct em_advisor *advisor, struct em_diagnose_cache *cache,
                    uint64_t *bytes_read, struct em_error *error);

/* The request is refused for the stack of an object of the environment: a finding of that object's, not of who asks for it. */
bool em_is_stack_refusal(const struct em_loading *loading, const struct em_request *request);

#endif
