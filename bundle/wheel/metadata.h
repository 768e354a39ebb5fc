/* metadata.h: the words of a wheel that a repair changes: its version, what it requires, its names.
 *
 * Headers are edited line by line and keep everything else as it was spelled (core metadata; binary distribution format): readers
 * compare, and the description behind the headers is not ours.
 * Results are made in the arena; NULL: no memory.
 * label is the wheel, for messages.
 * Errors: EM_BAD_RECORD where a file has no header to stand behind or no Version to change: what is asked for is done or refused.
 */
#ifndef EM_BUNDLE_WHEEL_METADATA_H
#define EM_BUNDLE_WHEEL_METADATA_H

#include "bundle/plan/plan.h"

/* "4.6.0" with "mend.1" is "4.6.0+mend.1"; "1+cu12" is "1+cu12.mend.1"; "1+mend.1", whose label is there already, "1+mend.2".
 * The label is spelled as PEP 440 wants it: small letters, no zeros before numbers. */
const char *em_metadata_local_version(struct em_arena *arena, const char *version, const char *label);
/* Letters, digits and single dots between (PEP 440, "Local version identifiers"). */
bool em_metadata_is_local(const char *label);

/* The first header of that name, without white space around it; NULL in *value: there is none. EM_NO_MEMORY. */
int em_metadata_header(const char **value, struct em_arena *arena, struct em_bytes bytes, const char *name);

/* METADATA as readers insist on having it: UTF-8, and with one Metadata-Version, Name and Version each (core metadata). */
int em_metadata_check(struct em_bytes metadata, const char *label, struct em_error *error);

/* Two spellings of one version: "1.0-RC1" and "1.0.0rc1" (PEP 440, "Normalization"). */
bool em_metadata_is_same_version(const char *a, const char *b);

/* Version and requirements of the change, and the licence files that the wheel gains: these go behind those there are; metadata older than
 * 2.4 has no word for licence files (PEP 639). */
int em_metadata_edit(struct em_bytes *edited, struct em_arena *arena, struct em_bytes metadata,
                     const struct em_plan_wheel *change, const struct em_strings *licences, const char *label,
                     struct em_error *error);

/* WHEEL with the Build of the file's name (NULL: none) and a Tag for each combination of its "cp311-abi3-linux_x86_64.linux_i686"; empty if
 * it says just that, in whatever order. */
int em_metadata_edit_wheel(struct em_bytes *edited, struct em_arena *arena, struct em_bytes wheel, const char *build,
                           const char *tags, const char *label, struct em_error *error);

/* A row of RECORD: quoted where it must be. */
void em_metadata_add_row(struct em_text *record, const char *path, const struct em_sha256 *sha256, uint64_t size);

#endif
