/* repack.h: a wheel in, a repaired wheel out.
 *
 *     r = em_repack(&result, arena, "x.whl", &wish, error)
 *     r = em_repack_apply(&result, arena, &plan, &wish, error)      what em_repack planned for a dry run, and was written to a file
 *
 * The line is that of `fix` with a wheel at both ends: the wheel is held to the rules and to its own RECORD, diagnosed as it would be
 * installed, planned for by the one planner, and written anew into a hidden directory in wish.output; what was written is diagnosed
 * as installed again, and only then gets its name. Members that the plan leaves alone are copied as they are packed. The input is
 * never written to. On every error the output directory is as it was.
 *
 * What the path strategy leans on is promised by the tables (wheel.h) or installed beside the wheel, and becomes a requirement in
 * METADATA unless it is one.
 *
 * A wheel that an index will name is on the disk before it takes its name. Another is not waited for, as no compiler waits for what it
 * writes and cp does not: a power cut can take it, but never the input, of which it is made again. Waiting would cost a fifth of the copy.
 *
 * The same input gives the same bytes: nothing of the clock, the umask, the locale, the number of threads or the file system goes in.
 * Times are the members' own, or SOURCE_DATE_EPOCH's.
 *
 * Errors: those of em_zip_open, EM_BAD_RECORD, EM_CHANGED for a member that is not what RECORD says, EM_REFUSED for a result that
 * would not pass, EM_IO.
 */
#ifndef EM_BUNDLE_WHEEL_REPACK_H
#define EM_BUNDLE_WHEEL_REPACK_H

#include "bundle/plan/planner.h"
#include "bundle/wheel/metadata.h"
#include "bundle/wheel/provider.h"
#include "bundle/wheel/study.h"

struct em_repack_wish {
    const char *output; /* a directory that is there, unless this is a dry run */
    const char *local;  /* label; NULL: none */
    const char *build;  /* build tag; NULL: none */
    const struct em_strings *with;
    const struct em_strings *made; /* names of wheels in output that must not be replaced: made just now, of others */
    const struct em_world *world;  /* over this machine */
    const struct em_knowledge *knowledge;
    struct em_plan_wish plan; /* strategy, tag, sources, pins */
    unsigned jobs;
    int64_t epoch;       /* SOURCE_DATE_EPOCH; below 0: the members' own times */
    bool dry_run;        /* stop behind the plan */
    bool copy_unchanged; /* what has nothing to mend is put into output too, as it is */
    bool digest;         /* of the result: as long as copying it once more */
    bool sync;           /* on the disk before it takes its name */
};

struct em_repack {
    struct em_wheel *wheel;
    struct em_study study; /* as it was; not valid if written, or if the plan was made before */
    struct em_plan plan;
    struct em_strings dropped; /* members that the new wheel must not have: signatures */
    struct em_strings tidied;  /* what was odd and harmless, and is so no more: a sentence each */

    bool written;          /* false: nothing to do, or a dry run */
    bool copied;           /* nothing to do, and put into output as it is */
    const char *file_name; /* of the result */
    const char *path;
    uint64_t size;
    struct em_sha256 sha256; /* if it was wished for */
    struct em_wheel *proof_wheel;
    struct em_study proof; /* as it is; valid if written */
    struct em_providers providers;
};

int em_repack(struct em_repack *result, struct em_arena *arena, const char *path, const struct em_repack_wish *wish,
              struct em_error *error);
/* The wheel of a plan that was made before, here or elsewhere. Of the wish count output, with, world, knowledge, jobs and digest. EM_CHANGED
 * if the wheel is not what it was; EM_REFUSED if the plan changes what the wheel does not have. */
int em_repack_apply(struct em_repack *result, struct em_arena *arena, const struct em_plan *plan,
                    const struct em_repack_wish *wish, struct em_error *error);
void em_repack_free(struct em_repack *result); /* after errors too */

/* ---- check.c: what a wheel must be before it is rewritten ---- */

/* Names, .dist-info, RECORD, METADATA, WHEEL, headers; and every byte against RECORD. record lives in arena. */
int em_wheel_check(struct em_wheel *wheel, struct em_arena *arena, unsigned jobs, struct em_record *record,
                   struct em_error *error);
/* "x-1.data", by its first length bytes: what pip takes for one, whatever stands before the ".data". */
bool em_is_data_directory(const char *name, size_t length);

/* ---- tidy.c: what a rewrite sets right without being asked, private to the room ---- */

int em_repack_tidied(struct em_repack *result, struct em_arena *arena, const struct em_record *record,
                     const char *new_dist_info);

/* ---- rewrite.c: the new archive, private to the room ---- */

/* What is known of a member of the new wheel before anyone has read it: its stream was gone through here. */
struct em_wheel_known {
    EM_VEC(struct em_wheel_knowledge {
        const char *name;
        struct em_zip_learned *learned;
    });
};

struct em_rewrite {
    struct em_arena *arena;
    const struct em_wheel *wheel;
    const struct em_record *record;
    const struct em_plan *plan;
    struct em_providers *providers;
    unsigned jobs;
    const char *new_dist_info; /* as the file is called */
    struct em_strings *tidied;
    struct em_wheel_known known; /* of the new wheel, by writing it */
};
int em_rewrite(struct em_rewrite *rewrite, int fd, const char *label, struct em_error *error);

#endif
