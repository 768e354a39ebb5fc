/* plan.h: what is done about the findings, as data.
 *
 *     r = em_plan_make(&plan, arena, &diagnosis, &wish, error)     planner.c: decides, writes nothing
 *     r = em_plan_seal(&plan, arena, jobs, error)                  input.c: reads all it rests on; before it is shown or written
 *     em_plan_to_json(&plan, &text) / em_plan_from_json(&plan, arena, bytes, label, error)
 *     r = em_plan_apply(&plan, &options, &receipt, error)          apply.c: checks that no input changed, then one transaction
 *
 * A plan that is executed where it was made needs no seal: what it copies is held against what vouches for it while it is copied, and
 * the rest it knows by its stamps. So each byte is read once.
 *
 * There is one planner and one executor: a dry run prints the very plan that a run executes, and a plan file is executed by the
 * same function. A step says what the result is, not how to get there: the path list that the object shall have, the bytes that
 * the copy shall have. Nobody but the executor changes a target.
 *
 * Several steps may name one file: they are edits of one object, laid out together (em_plan_edits), and the first of them stands
 * for the file.
 *
 * Paths in steps are relative to plan->root and contained in it (em_path_is_contained): a plan that came from elsewhere is data
 * and cannot name a path outside of its target. Places to copy from are absolute. A plan for a wheel has for its root what is not on
 * any disk, the site-packages that the wheel would be installed into, and is executed by bundle/wheel/repack.h.
 */
#ifndef EM_BUNDLE_PLAN_PLAN_H
#define EM_BUNDLE_PLAN_PLAN_H

#include "base/base.h"
#include "patcher/patcher.h"

enum em_step_kind {
    EM_STEP_SET_PATH,       /* path gets the path list value under tag */
    EM_STEP_REPLACE_NEEDED, /* path needs by where it needed needed, and asks of it what it asked of that */
    EM_STEP_CLEAR_STACK,    /* path asks for an executable stack no longer */
    EM_STEP_COPY,   /* path is a new file: from, with the path list value if that is not NULL. Of the inputs it is one if it
                             * takes the place of what is there */
    EM_STEP_REMOVE, /* path, a file or a link, goes */
    EM_STEP_SBOM,   /* path is a new file: where the files come from that other steps copied, for name and version */
    EM_STEP_RECORD, /* path is a RECORD: its rows for files follow what the other steps made of them */
    EM_STEP_CONDA,  /* path is conda's list of a package's files: the same, of RECORDs too */
};
/* "set-path", "replace-needed", "clear-execstack", "copy", "remove", "sbom", "record", "conda-meta" */
const char *em_step_kind_name(enum em_step_kind kind);
bool em_step_kind_named(const char *name, enum em_step_kind *kind); /* false: no kind is called so */

/* Of most set-path steps: worth no line. */
#define EM_REASON_USUAL "the object that asks gets the path"

struct em_step {
    enum em_step_kind kind;
    const char *path;
    struct em_strings resolves; /* "EM102 libcudnn_cnn.so.9", for people */
    const char *reason;         /* why this and not another way, a sentence */

    /* set-path, and copy when value is not NULL */
    const char *value;     /* the whole path list */
    const char *old_value; /* NULL: had none */
    enum em_path_tag tag;  /* RPATH or RUNPATH: what the result has; KEEP is never in a plan */

    const char *needed, *by; /* replace-needed */

    /* copy */
    const char *from;        /* absolute */
    const char *shown;       /* what messages call it; NULL: from */
    struct em_sha256 sha256; /* of from, as the voucher says; of what nothing vouches for, as it was when the plan was made */
    const char *voucher;     /* "RECORD of nvidia-cudnn-cu12 9.10.2.21", "pins.txt", NULL: allowed unverified */
    const char *provenance;  /* distribution and version it comes from; NULL if unknown */
    const char *purl;        /* the same as a package URL, where its kind has one: sbom.h */
    uint32_t mode;           /* permission bits of the new file */

    /* record, sbom, conda-meta */
    struct em_strings files; /* relative to plan->root: changed, created or removed by earlier steps; of an sbom: copied */
    const char *site; /* not of conda-meta. Relative to plan->root: what rows of RECORD are relative to; "." for the root */
    const char *name, *version; /* sbom: of the distribution whose RECORD lists them */
};

/* A file that the plan rests on, as it was when the plan was made: by its digests, by its stamp, or by both. What a link of the target
 * holds is where it leads to. */
struct em_input {
    const char *path; /* relative to root if is_source is not set, else absolute */
    bool is_source;
    uint64_t size;
    bool has_stamp; /* in the process that made the plan */
    struct em_stamp stamp;
    bool has_digests; /* of a sealed plan; of what was written so lately that a stamp tells nothing */
    struct em_xxh3 xxh3;
    struct em_sha256 sha256;
};

struct em_refusal {
    const char *finding; /* "EM103 ctranslate2.libs/libctranslate2...: libcublas.so.12" */
    const char *why;
};

/* A library of a source that was not taken. */
struct em_not_taken {
    const char *name, *candidate, *why;
};

/* A wheel whose members lie unpacked in a directory that is copied from: what is packed there already need not be packed again. */
struct em_plan_unpacked {
    const char *directory, *wheel; /* absolute */
};

/* What becomes of a wheel besides the files that the steps make. The wheel is an input, as a source. NULL, or empty: as it was. */
struct em_plan_wheel {
    const char *path;           /* absolute */
    const char *output;         /* absolute: the directory for the new wheel; NULL: who executes the plan names one */
    const char *version;        /* with its local label */
    const char *build;          /* tag */
    const char *tags;           /* "cp311-cp311-manylinux_2_28_x86_64" */
    const char *tags_reason;    /* "libcublas.so.12 needs glibc 2.28" */
    struct em_strings requires; /* further ones */
    struct {
        EM_VEC(struct em_plan_unpacked);
    } unpacked;
    bool has_date;
    int64_t date; /* SOURCE_DATE_EPOCH; without it the members keep their own times */

    /* Where the new wheel is proved, as the options of the same names have it; places are absolute. */
    struct em_strings with;
    const char *world, *libc, *ld_library_path, *knowledge;
};

struct em_plan {
    const char *target;          /* as the user gave it */
    const char *root;            /* absolute directory that the steps' paths are relative to */
    struct em_plan_wheel *wheel; /* NULL: for an environment */
    struct {
        EM_VEC(struct em_input);
    } inputs;
    struct {
        EM_VEC(struct em_step);
    } steps;
    struct {
        EM_VEC(struct em_refusal);
    } refused;
    struct {
        EM_VEC(struct em_not_taken);
    } not_taken;
    struct em_strings after; /* findings expected once applied: "EM103 error object: request" */
};

struct em_edits {
    EM_VEC(struct em_edit);
};

/* What the steps for the file at path make of it, in order; none: it stays, or is copied, as it is. */
int em_plan_edits(const struct em_plan *plan, const char *path, struct em_arena *arena, struct em_edits *edits);

/* ---- plan_write.c, plan_read.c: JSON, schemas/plan-1.json ---- */
#define EM_PLAN_SCHEMA "elfmend.plan/1"
int em_plan_to_json(const struct em_plan *plan, struct em_text *text);
/* Checks everything: schema, kinds, contained paths, digests. EM_BAD_JSON with what is wrong. */
int em_plan_from_json(struct em_plan *plan, struct em_arena *arena, struct em_bytes bytes, const char *label,
                      struct em_error *error);

/* ---- apply.c ---- */
struct em_apply_options {
    bool keep_undo; /* false: --no-undo; the transaction is forgotten once it is committed */
    unsigned jobs;
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total); /* bytes staged; NULL: silent */
    void *context;
};

/* A file that kept rights of its own. */
struct em_privileged {
    const char *path, *by; /* "its set-user-ID bit" */
};

struct em_receipt {
    const char *id; /* of the transaction, for undo --to; NULL if the plan was empty or undo was not kept */
    size_t replaced, created, removed;
    uint64_t bytes_written;
    struct {
        EM_VEC(struct em_privileged);
    } privileged;
};

/* For an environment. Refuses with EM_CHANGED if an input is not what it was, EM_REFUSED if a copy's bytes are not what vouches for them, EM_BUSY if
 * another elfmend holds the target; in all cases, and on every other error, nothing has changed. An empty plan touches nothing. */
int em_plan_apply(const struct em_plan *plan, const struct em_apply_options *options, struct em_arena *arena,
                  struct em_receipt *receipt, struct em_error *error);

/* ---- input.c ---- */
/* A file on disk as an input: by its stamp if that will do, or by its digests in any case. */
int em_input_note(struct em_input *input, const char *path, bool is_source, struct em_error *error);
int em_input_of(struct em_input *input, const char *path, bool is_source, struct em_error *error);
/* Reads, on all cores, each input that has no digests yet. EM_REFUSED if a copy's source is not what its voucher says, EM_CHANGED if an
 * input is not what it was. */
int em_plan_seal(struct em_plan *plan, struct em_arena *arena, unsigned jobs, struct em_error *error);
/* EM_CHANGED if a file of the plan's inputs that is a source is not what it was. */
int em_plan_check_sources(const struct em_plan *plan, struct em_error *error);
/* EM_REFUSED, with both digests, if what was found is not what a copy is to be. */
int em_step_check(const struct em_step *step, const struct em_sha256 *found, struct em_error *error);

#endif
