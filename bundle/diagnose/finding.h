/* finding.h: something wrong or risky, with a stable id (INTERFACE.md lists them: ids are for ever).
 *
 * A finding is about one object and, mostly, one request of it. The sentence says what; the evidence, line by line, why; help what
 * to do. What the planner needs stands beside the words: who asked, by which names, and who could answer.
 */
#ifndef EM_BUNDLE_DIAGNOSE_FINDING_H
#define EM_BUNDLE_DIAGNOSE_FINDING_H

#include "bundle/env/env.h"
#include "bundle/loader/loader.h"

enum em_severity {
    EM_SEVERITY_NOTE,
    EM_SEVERITY_WARNING,
    EM_SEVERITY_ERROR,
};
const char *em_severity_name(enum em_severity severity); /* "note", "warning", "error" */

/* What a change of the requester would be about. */
enum em_mend {
    EM_MEND_REACH, /* that it finds what it asks for: a path or a copy */
    EM_MEND_STACK, /* that it asks for an executable stack no longer */
    EM_MEND_AWAY,  /* that nothing nobody installed answers it: obstacle goes */
};

struct em_finding {
    const char *id;
    enum em_severity severity;
    const char *object;                  /* absolute */
    const struct em_distribution *owner; /* of the object; NULL: nobody's */
    const char *request;                 /* the name asked for, most telling one; NULL: the finding is not about one */
    const char *message;                 /* "opens libcudnn_cnn.so.9 and will not find it" */
    struct em_strings evidence;
    const char *help; /* NULL: nothing to advise */
    bool systems;     /* what is missing comes with the operating system: one command mends it for all who lack it */
    bool gpus;        /* a note for the one reason that nothing here speaks of a GPU: who has one misses it */

    /* For a file that elfmend has changed or added itself; NULL: not by us, or nobody looked. */
    const char *repair;       /* "0001", as undo --list has it */
    const char *repair_state; /* "ours", "changed" or "gone": what became of it since */

    /* For the planner; requester NULL: nothing that a change would mend. */
    const struct em_env_object *requester;
    enum em_mend mend;
    const char *obstacle;                 /* AWAY: the file or link, absolute */
    struct em_strings names;              /* by which it can be satisfied, most wanted first */
    const struct em_env_object *provider; /* in the requester's world; NULL: none in the environment */
    bool wants_copy;                      /* a source may help: present nowhere, whatever else of its family is */
    bool inherited;                       /* the requester resolves something by an RPATH that it inherits: no RUNPATH for it */
};

struct em_findings {
    EM_VEC(struct em_finding);
};

/* A line of evidence: a word or two, in a column of their own, and what there is to say. NULL: no memory, or text is NULL. */
const char *em_evidence_line(struct em_arena *arena, const char *head, const char *text);
int em_evidence_add(struct em_strings *evidence, struct em_arena *arena, const char *head, const char *text);
/* What was left out: "and more than 12 more", where least is "more than "; nothing for 0. */
int em_evidence_add_more(struct em_strings *evidence, struct em_arena *arena, const char *least, size_t more);

/* Errors first, then by object and request. */
void em_findings_sort(struct em_findings *findings);

#endif
