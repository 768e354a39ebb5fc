/* inside.h: what the files of this room share, and nobody else includes.
 *
 * em_env_read (env.c) goes through them in this order: roots.c says what the target is and where its sites are, distribution.c
 * reads what is installed there, walk.c goes through the directories, and owner.c finds out whose a file is.
 */
#ifndef EM_BUNDLE_ENV_INSIDE_H
#define EM_BUNDLE_ENV_INSIDE_H

#include "bundle/env/env.h"

/* A negative errno of a tree's answer as our error, with the path as the user can find it. */
int em_env_fail(struct em_error *error, const struct em_env *env, const char *path, int answer, const char *what);

/* ---- roots.c ---- */

/* given, path, real_path, kind; for a directory also sites, beside, python, python_version. */
int em_env_find_roots(struct em_env *env, const char *target, struct em_error *error);

/* ---- distribution.c ---- */

bool em_is_dist_info(const char *name); /* "NAME-VERSION.dist-info"; not pip's leftovers, which begin with "~" */

/* Those installed in a site: METADATA, INSTALLER, RECORD of each. site lives as long as the environment. */
int em_env_read_site(struct em_env *env, const char *site, struct em_error *error);
void em_env_sort_distributions(struct em_env *env);

/* ---- conda.c ---- */

/* The packages of a conda prefix. */
int em_env_read_conda(struct em_env *env, struct em_error *error);

/* ---- walk.c ---- */

#define EM_WALK_SKIP 1 /* from visit: this directory is not entered */

struct em_walk {
    struct em_env *env;
    struct em_arena *scratch; /* of the walk: names, directories */
    struct em_error *error;
    void *context;
    /* Called for each entry, by byte value within a directory, a directory before what is in it. */
    int (*visit)(struct em_walk *walk, const char *directory, const struct em_entry *entry);
};

/* Links are entries and are not followed. A directory that vanishes meanwhile is empty. */
int em_walk_directory(struct em_walk *walk, const char *directory);

/* What the walk looks at in no target: our own directory, version control. */
bool em_is_never_entered(const char *name);

/* The objects of the target and of what is beside it into env->objects, and the sites of a plain directory into env->sites. */
int em_env_find_objects(struct em_env *env, struct em_error *error);

/* Whether a file is one that a loader could be asked to load: magic, class, byte order, a whole header, ET_EXEC or ET_DYN. false,
 * too, if it cannot be opened because it is gone. node is filled where it is true. */
int em_env_is_object(struct em_env *env, const char *path, bool *is_object, struct em_node *node, struct em_error *error);

/* ---- owner.c ---- */

/* Rows that are spelled otherwise than em_env_row_spelling would go into env->odd_rows. */
int em_env_note_odd_rows(struct em_env *env, struct em_distribution *distribution);

/* pip writes the RECORD of `pip install --target DIR` in a scratch directory, DIR/lib/python, and moves that to DIR and its ../../bin
 * to DIR/bin: such rows lead out of DIR and mean what lies in it. The row as it should be spelled, into row_path; NULL for others. */
const char *em_env_moved_row(const struct em_env *env, const struct em_distribution *distribution, const char *row_path);

/* All of those that list an absolute normal path; the last of them, or NULL. */
struct em_distribution *em_env_owners(const struct em_env *env, const char *path, size_t *count);

/* Writes the absolute normal path of a row; false if it does not fit. */
bool em_env_row_path_into(const struct em_distribution *distribution, const char *row_path, char *buffer, size_t size);

#endif
