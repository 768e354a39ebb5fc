/* attempts.h: what people do about a library that is opened and not found, each tried in the model.
 *
 * LD_LIBRARY_PATH, one file copied or linked beside who asks, a preload by ctypes: each helps sometimes, and why it does or does not is
 * the loader's rule, not luck. So each is laid over the world as it is, and the same process is opened again:
 *
 *     r = em_attempts_make(&attempts, arena, &wish, error)
 *     attempts.items[i]     "LD_LIBRARY_PATH=DIR", whether it helps, and why
 *
 * The release that does without the library comes first, where the tables know one. Nothing is written and nothing is run.
 * Errors: EM_NO_MEMORY, EM_IO.
 */
#ifndef EM_BUNDLE_DIAGNOSE_ATTEMPTS_H
#define EM_BUNDLE_DIAGNOSE_ATTEMPTS_H

#include "bundle/diagnose/diagnose.h"

struct em_attempt {
    const char *what;
    bool helps;
    const char *why;
};

struct em_attempts {
    EM_VEC(struct em_attempt);
};

struct em_attempt_wish {
    const struct em_env *env;
    const struct em_world *world;
    const struct em_knowledge *knowledge;
    const struct em_env_object *root;     /* what an import opens, by which the object is loaded */
    const struct em_env_object *object;   /* who asks */
    const struct em_env_object *provider; /* the file that it should find */
    struct em_strings names;              /* by which it asks, most wanted first */
};

int em_attempts_make(struct em_attempts *attempts, struct em_arena *arena, const struct em_attempt_wish *wish,
                     struct em_error *error);

#endif
