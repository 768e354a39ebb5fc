/* stage.h: the tree that is repaired in the fault tests, and elfmend at work on it with the shim preloaded.
 *
 * With stage.environment the tree is a copy of that environment instead, and it is `fix` that is at work where the rest says apply.
 *
 * The tree is BASE/t: an object with a second name in BASE/outside, one without, a RECORD; the plan, plan.json, edits both, brings
 * in two copies (one edited, into directories that are not there yet), takes a file and a link away, and lets RECORD follow. Everything
 * else (the plan, the objects, what elfmend prints) lies in the current directory. Whatever goes wrong with the stage itself ends the
 * test.
 */
#ifndef EM_TESTS_FAULTS_STAGE_H
#define EM_TESTS_FAULTS_STAGE_H

#include "base/base.h"

struct stage {
    const char *elfmend, *shim, *lacks; /* lacks: FAULT_LACKS */
    const char *base;                   /* "." or a directory below the current one */
    const char *environment;            /* NULL: the tree and the plan described above */
    struct em_arena *kept;              /* as long as the test */
    struct em_arena *point;             /* as long as one point of it */
    char *old_state, *old_contents, *new_contents;
    unsigned long root_times; /* how often the time of the root was lost */
};
extern struct stage stage;

struct fault {
    unsigned long at;   /* 0: none */
    const char *how;    /* FAULT_HOW */
    const char *kind;   /* FAULT_KIND; NULL: a call that changes something */
    const char *count;  /* FAULT_COUNT */
    unsigned long sync; /* FAULT_SYNC; 0: none */
};

void die(const char *what) __attribute__((noreturn));

/* Compiles the objects, makes the tree, writes the plan, notes what the tree is. */
void stage_make(void);
/* Makes the tree anew; inodes and old_state change. */
void stage_make_tree(void);

/* elfmend with these arguments, up to a NULL. Exit status, or minus the signal. fault NULL: none, and no shim either. */
int stage_run(const struct fault *fault, const char *const *arguments);
/* The same for what repairs the tree, and takes that back. The shim is there in any case. */
int stage_apply(const struct fault *fault);
int stage_undo(const struct fault *fault);
/* How many calls of that kind the command makes; it must go through. */
unsigned long stage_count(int (*command)(const struct fault *), const char *kind);
/* A line of the table that tests/faults/run prints: POINTS of KIND ("killed", "power fails"), met by PART. */
void stage_tally(const char *part, const char *kind, unsigned long points);
/* Lines that the last run wrote to standard error. */
int stage_complaints(void);

/* What the tree is, .elfmend aside, as text: exact with inodes, owners, links and times. */
char *stage_tree(struct em_arena *arena, bool exact);
/* Each file has its old bytes or its new ones, and none of the old is missing. */
bool stage_is_whole(const char *contents);
/* Two exact trees are the same. The time of the root itself may differ: counted, and set right. */
bool stage_same(const char *now, const char *wanted);

#endif
