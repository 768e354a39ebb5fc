/* inside.h: what the files of this room share, and nobody else includes. */
#ifndef EM_BUNDLE_SOURCE_INSIDE_H
#define EM_BUNDLE_SOURCE_INSIDE_H

#include "base/cache.h"
#include "bundle/source/source.h"

/* The candidates in a directory or of one object. */
int em_source_read_directory(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *directory,
                             struct em_error *error);

/* One object of source->env as a candidate. An object that cannot be read is one, by its file name: whoever asks for it shall hear what
 * is wrong with it. */
int em_source_add_candidate(struct em_source *source, const struct em_env_object *object, struct em_error *error);

/* Those of the candidates that have that SONAME or that file name. EM_NO_MEMORY. */
int em_source_named(struct em_source *source, const char *name, const struct em_candidates **named);

/* container.c: a file that is an archive, which is looked into when somebody asks for a library. file: where it is; shown: what
 * messages call it. */
int em_container_open(struct em_source *source, const char *file, const char *shown, struct em_error *error);
/* The candidates that may answer to one of the names, NULL: to any; deep: whatever their files are called. */
int em_container_look(struct em_source *source, const struct em_strings *names, bool deep, struct em_error *error);

/* pip.c: one wheel by the package manager of the target, its libraries in a directory of the cache. place is "pip:REQUIREMENT". */
int em_source_fetch(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *place,
                    const struct em_env *target, struct em_error *error);

/* cache.c: source->cache is the one that is ours alone, or where there is none a directory that goes with the process, with
 * source->warning to say so. That is settled when a source is opened: who forks has it for all. A fresh directory in it. */
int em_cache_open(struct em_source *source, struct em_error *error);
int em_cache_scratch(struct em_arena *arena, const char *cache, const char **directory, struct em_error *error);

/* scratch becomes directory, unless another run was faster with the same and is_whole says that it can be used: then that stays, and
 * scratch is removed. What is not whole gives way: only for that is a directory ever taken from its name. Where that cannot be, scratch
 * stays what it is called. The path of what may be used now; NULL: no memory. */
typedef bool em_cache_judge(void *context, const char *directory);
const char *em_cache_put(struct em_arena *arena, const char *scratch, const char *directory, em_cache_judge *is_whole,
                         void *context);

/* It is there, and young again: nobody removes it as one that has not been used for long. */
bool em_cache_use(struct em_arena *arena, const char *directory);
void em_cache_remove_old(struct em_arena *arena, const char *cache);

/* Of the names and bytes of all files below, and of where links lead; EM_UNSUPPORTED for what is neither. */
int em_cache_hash(const char *directory, struct em_sha256 *digest, struct em_error *error);

/* What something has to be; of a release there may be several wheels. */
struct em_pin {
    struct em_sha256 sha256;
    const struct em_pin *next;
};

/* What is pinned for a file: by its absolute path, by a tail of it, by its base name. NULL: nothing. EM_REFUSED if only the base name
 * fits and the pin file has two digests for it. */
int em_pins_find(const struct em_pins *pins, const char *path, const struct em_pin **pin, struct em_error *error);
/* The same for a wheel, by its path or by the release that it says it is of. */
int em_pins_find_wheel(const struct em_pins *pins, struct em_arena *arena, const char *path, const struct em_pin **pin,
                       struct em_error *error);

/* What is pinned for a candidate, or for the archive that it is a member of. */
int em_candidate_pin(const struct em_candidate *candidate, const struct em_pins *pins, const struct em_pin **pin,
                     struct em_error *error);

/* What is pinned for the archive that a candidate is a member of; NULL: nothing, or it is in none. */
int em_container_pin(const struct em_container *container, const struct em_pins *pins, struct em_arena *arena,
                     const struct em_pin **pin, struct em_error *error);
/* EM_REFUSED if the archive, as it was unpacked, is not what is pinned. */
int em_container_check(struct em_container *container, const struct em_pins *pins, const struct em_pin *pin,
                       struct em_error *error);

#endif
