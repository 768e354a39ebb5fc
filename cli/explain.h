/* explain.h: what `elfmend explain` found out, between the file that asks (explain.c) and the one that tells (explain_report.c). */
#ifndef EM_CLI_EXPLAIN_H
#define EM_CLI_EXPLAIN_H

#include "bundle/diagnose/attempts.h"
#include "bundle/diagnose/knowledge.h"
#include "bundle/wheel/study.h"
#include "cli/cli.h"
#include "cli/places.h"

/* One who asks, and what it gets: opened alone, and as the modules of the target lead to it. */
struct em_explain_edge {
    const struct em_env_object *object; /* who asks; NULL: nobody in the target, asked as the program */
    const char *name;                   /* as it asks */
    bool dlopens;
    struct em_strings names; /* with dlopens: by which it asks, most wanted first */
    struct {
        EM_VEC(const struct em_request *);
    } answers;                        /* of different processes; the first is what is shown */
    const struct em_env_object *root; /* what was opened in the first of them; NULL: nothing */
    size_t tried_in;                  /* the last root, counted from 1, in whose process it had its answer */
    const char *alone_why;            /* it cannot be opened alone */
    struct em_attempts attempts;
};

struct em_explain {
    struct em_options options;
    struct em_tree *tree; /* of the machine */
    struct em_wheel *wheel;
    struct em_study study; /* of the wheel */
    struct em_env env;
    struct em_world world;
    struct em_knowledge knowledge;
    struct em_loader *loader;
    struct em_process *base; /* the interpreter, started */
    const char *name;        /* what is asked for */
    const char *given;
    struct {
        EM_VEC(struct em_explain_edge);
    } edges;
    struct em_places edges_by_file, objects_by_file;
    struct em_map by_name; /* file name -> struct em_env_object, the first of that name */
    size_t roots;          /* that were opened so far */
    struct em_error *error;
};

/* Prints what was asked for and what each who asks gets; the exit status. */
int em_explain_report(const struct em_explain *explain);

#endif
