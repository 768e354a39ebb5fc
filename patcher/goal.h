/* goal.h: what an object shall be after its edits, before anybody asks where the bytes go. For this room only.
 *
 * The edits are applied in order to a copy of the dynamic entries, to the version tables and to a few fields. Strings that .dynstr
 * may not have yet are named by number and get their place later (strings.c); whoever refers to them is remembered. A goal that
 * equals the object is nothing to do.
 *
 *     em_goal_start(&goal, &image, error)
 *     em_goal_apply(&goal, &edit, error)      for each edit
 *     em_goal_is_reached(&goal)               nothing to do?
 *
 * Errors: EM_REFUSED and EM_USAGE for an edit that this object cannot have, EM_BAD_ELF, EM_LIMIT, EM_IO, EM_NO_MEMORY.
 */
#ifndef EM_PATCHER_GOAL_H
#define EM_PATCHER_GOAL_H

#include "patcher/patcher.h"
#include "patcher/symbols.h"
#include "patcher/versions.h"

#define EM_NO_STRING SIZE_MAX

struct em_goal_string {
    const char *text;
    uint64_t offset; /* in .dynstr, once it is placed */
};

struct em_goal_dyn {
    uint64_t tag, value;
    size_t string; /* instead of value; EM_NO_STRING: value counts */
    size_t from;   /* its index before the edits, SIZE_MAX for a new one */
};

/* New bytes for old ones, wherever the table that holds them ends up. offset is that of the input. */
struct em_change {
    uint64_t offset;
    uint8_t *bytes;
    size_t size;
};

/* Four bytes at offset that are the place of a string: vn_file, vna_name, st_name. */
struct em_goal_ref {
    uint64_t offset;
    size_t string;
};

struct em_goal {
    struct em_image *image;
    struct em_arena *arena;
    struct {
        EM_VEC(struct em_goal_dyn);
    } dyns;
    struct {
        EM_VEC(struct em_goal_string);
    } strings;
    struct {
        EM_VEC(struct em_change);
    } changes;
    struct {
        EM_VEC(struct em_goal_ref);
    } refs;

    struct em_symbols symbols;
    struct em_vertable needs, defines; /* as they are in the file */
    bool *need_gone;                   /* by record of needs: it is dropped */
    bool *aux_gone;                    /* by needs.aux: this version is dropped */
    size_t *need_file;                 /* by record: the string that vn_file shall be, or EM_NO_STRING */
    bool needs_changed;
    uint8_t *versym; /* .gnu.version as it shall be, by symbol; NULL until an edit asks for it */
    uint64_t versym_offset;
    struct em_map renames; /* symbol names, old to new */
    struct em_map wanted;  /* text of strings to its number plus 1 */

    const char *interpreter; /* NULL: stays */
    int stack;               /* -1: stays; else PF_X or 0 */
    int osabi;               /* -1: stays */
    const char *warning;
    bool adopted; /* no PT_DYNAMIC: the dynamic section is that of the section headers */
};

int em_goal_start(struct em_goal *goal, struct em_image *image, struct em_error *error);
int em_goal_apply(struct em_goal *goal, const struct em_edit *edit, struct em_error *error);
/* After the last edit: tables that edits share are written once. */
int em_goal_finish(struct em_goal *goal, struct em_error *error);
bool em_goal_is_reached(const struct em_goal *goal);

/* The number of a string that the goal needs. */
int em_goal_want(struct em_goal *goal, const char *text, size_t *string);
int em_goal_change(struct em_goal *goal, uint64_t offset, const void *bytes, size_t size);
/* The text of a string entry, wherever it comes from. */
int em_goal_text(struct em_goal *goal, const struct em_goal_dyn *dyn, const char **text, struct em_error *error);
/* The first entry with a tag, or NULL. */
struct em_goal_dyn *em_goal_dyn(struct em_goal *goal, uint64_t tag);
void em_goal_remove_dyn(struct em_goal *goal, const struct em_goal_dyn *dyn);

/* goal_versions.c, goal_symbols.c, goal_cache.c: the edits of those tables. */
int em_goal_replace_file(struct em_goal *goal, const char *file, const char *replacement, struct em_error *error);
int em_goal_remove_file(struct em_goal *goal, const char *file, struct em_error *error);
int em_goal_finish_versions(struct em_goal *goal, struct em_error *error);
/* 0 and goal->versym, which is NULL if the object has no such table. */
int em_goal_load_versym(struct em_goal *goal, struct em_error *error);
int em_goal_clear_version(struct em_goal *goal, const char *symbol, struct em_error *error);
int em_goal_rename_symbol(struct em_goal *goal, const char *symbol, const char *replacement, struct em_error *error);
int em_goal_finish_symbols(struct em_goal *goal, struct em_error *error);
int em_goal_finish_cache(struct em_goal *goal, struct em_error *error);

#endif
