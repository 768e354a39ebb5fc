/* degraft.h: a private copy of a library given up for the public one. Private to plan.
 *
 * auditwheel puts a library that a wheel needs beside it, under a name that nobody else knows: libcudnn-74a4c495.so.9.1.0. Of a family
 * that is half a library: what it opens stays behind. Where the whole family is installed, the objects of the wheel can need
 * libcudnn.so.9 itself instead. Then one of them is in a process, and not two.
 *
 * The private copy stays where it is: RECORD lists it, and nothing loads it any more.
 */
#ifndef EM_BUNDLE_PLAN_DEGRAFT_H
#define EM_BUNDLE_PLAN_DEGRAFT_H

#include "bundle/diagnose/diagnose.h"

struct em_degraft {
    const char *from;                     /* as its consumers need the private copy */
    const char *to;                       /* the public soname */
    const struct em_env_object *provider; /* the object of that soname */
    struct {
        EM_VEC(const struct em_env_object *);
    } consumers;     /* of the private copy's own distribution */
    const char *why; /* it cannot be given up; NULL: it can */
};

/* graft: the private copy; member: what it asked for, as it is installed. The public library is the one of the member's distribution
 * that lies beside it. It must define each symbol that a consumer takes from the private copy, under the versions that the consumer
 * asks for: there is no other check that the loader would not make too late. */
int em_degraft_find(struct em_degraft *degraft, struct em_arena *arena, const struct em_env *env,
                    const struct em_env_object *graft, const struct em_env_object *member, struct em_error *error);

#endif
