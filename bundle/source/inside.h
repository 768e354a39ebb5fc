/* inside.h: what the files of this room share, and nobody else includes. */
#ifndef EM_BUNDLE_SOURCE_INSIDE_H
#define EM_BUNDLE_SOURCE_INSIDE_H

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
 * messages call it.
 * is_fleeting: it will not be there any more when somebody asks whether it is what was pinned. */
int em_container_open(struct em_source *source, const char *file, const char *shown, bool is_fleeting, struct em_error *error);
/* The candidates that may answer to one of the names, NULL: to any; deep: whatever their files are called. */
int em_container_look(struct em_source *source, const struct em_strings *names, bool deep, struct em_error *error);

/* pip.c: one wheel by the package manager of the target, its libraries in a directory of the cache. place is "pip:REQUIREMENT". */
int em_source_fetch(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *place,
                    const struct em_env *target, struct em_error *error);

/* cache.c: a fresh directory in the cache; the same under a name that another run for the same thing finds and replaces; a whole
 * directory gone; one that is used, which keeps it young; those that nobody has used for long, gone. */
int em_cache_scratch(struct em_arena *arena, const char **directory, struct em_error *error);
int em_cache_keep(struct em_arena *arena, const char *scratch, const char *thing, const char **directory,
                  struct em_error *error);
void em_cache_remove(const char *directory);
void em_cache_note_use(const char *directory);
void em_cache_remove_old(struct em_arena *arena, const char *cache);

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
