/* world_file.h: the world as data, elfmend.world/1: written on the machine where a tree will run, read where it is looked at.
 *
 *     r = em_world_to_json(&document, &world, arena, error)       what is in the world, and which libraries its system has
 *     r = em_world_from_json(&world, arena, document, path, error)
 *     r = em_world_from_file(&world, arena, path, error)          strict: what is not understood is EM_BAD_JSON, with the sentence
 *
 * The file has names, not libraries. Those are looked for in the tree; one that the system there has and the tree lacks is promised
 * (em_request.promised), and one that the system there lacks is not found, whatever the tree has in its system directories.
 * schemas/world-1.json has the format.
 */
#ifndef EM_BUNDLE_LOADER_WORLD_FILE_H
#define EM_BUNDLE_LOADER_WORLD_FILE_H

#include "bundle/loader/world.h"

#include <jansson.h>

/* EM_UNSUPPORTED: a path in it is not UTF-8, which JSON cannot hold. */
int em_world_to_json(json_t **document, const struct em_world *world, struct em_arena *arena, struct em_error *error);

/* Fills all but tree, kind, cwd and what the wish has. path is for sentences. */
int em_world_from_json(struct em_world *world, struct em_arena *arena, const json_t *document, const char *path,
                       struct em_error *error);

int em_world_from_file(struct em_world *world, struct em_arena *arena, const char *path, struct em_error *error);

#endif
