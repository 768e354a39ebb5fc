/* oracle.h: one case on both loaders, the real one and the model.
 *
 *     bench_open(&bench, arena, "glibc", directory)   builds the driver; false: this machine cannot (reason in bench.why)
 *     real_run(&bench, &recipe, &real)                lays the files out, runs the driver under the real loader
 *     model_run(&bench, &recipe, &model)              asks the model about the same files
 *     outcome_differs(&real, &model, stream)          says how, on stream if there is one
 */
#ifndef EM_TESTS_ORACLE_ORACLE_H
#define EM_TESTS_ORACLE_ORACLE_H

#include "bundle/loader/loader.h"
#include "tests/oracle/recipe.h"

struct step {
    char sign; /* '+' opened, '!' refused, '-' the caller is not there */
    const char *message;
};

struct outcome {
    bool started, ended;
    const char *end; /* why it did not start, or not end */
    struct {
        EM_VEC(struct step);
    } steps;
    struct em_strings list; /* what is mapped, in order, without the program */
    bool impossible;        /* this machine cannot run it (no mount namespace) */
};

struct bench {
    struct em_arena *arena;
    const char *directory; /* absolute; cases are laid out in "c" below it */
    const char *libc;
    const char *driver; /* as the compiler made it */
    struct em_tree *tree;
    struct em_world world; /* of the machine; cases vary it */
    const char *why;
    bool no_mounts;
};

bool bench_open(struct bench *bench, struct em_arena *arena, const char *libc, const char *directory);
bool case_build(struct bench *bench, const struct recipe *recipe);
bool real_run(struct bench *bench, const struct recipe *recipe, struct outcome *outcome);
bool model_run(struct bench *bench, const struct recipe *recipe, struct outcome *outcome);
/* What the recipe itself says of it, if it does. */
bool outcome_unexpected(const struct bench *bench, const struct recipe *recipe, const struct outcome *outcome, FILE *stream);
bool outcome_differs(const struct outcome *real, const struct outcome *model, FILE *stream);

/* A random case. */
void graph_make(struct recipe *recipe, struct em_arena *arena, uint64_t seed, const char *libc);

#endif
