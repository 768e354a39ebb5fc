/* provider.h: wheels that libraries are copied from, and the streams in them. Private to this room.
 *
 *     r = em_provider_find(&providers, arena, plan, step, jobs, &stream)   stream.place.member NULL: there is none
 *     em_providers_close(&providers)                                       remembers what was learned, and closes
 *
 * A library of a source that is a wheel was unpacked for the planner to look at. It need not be packed again: its stream lies in the
 * wheel, and with it all that goes with the stream. So the wheel is held to the rules and to its RECORD as one that is repacked is
 * (em_wheel_check), once a run, and not at all if it was found sound before (zip_memory.c); then what RECORD says is the digest of what
 * the stream holds, and the unpacked file is not read again. A wheel that is not sound, or has gone, is no provider: the file is
 * hashed then, and packed.
 *
 * A stream is valid until the providers are closed, and so is what is learned of it. Errors: EM_NO_MEMORY.
 */
#ifndef EM_BUNDLE_WHEEL_PROVIDER_H
#define EM_BUNDLE_WHEEL_PROVIDER_H

#include "bundle/plan/plan.h"
#include "bundle/wheel/wheel.h"

struct em_provider {
    const char *path;
    struct em_wheel *wheel; /* NULL: not to be used */
    struct em_record record;
};

struct em_providers {
    EM_VEC(struct em_provider);
};

struct em_provided {
    struct em_zip_place place;
    const struct em_sha256 *sha256; /* of what it holds */
};

int em_provider_find(struct em_providers *providers, struct em_arena *arena, const struct em_plan *plan,
                     const struct em_step *step, unsigned jobs, struct em_provided *stream);
void em_providers_close(struct em_providers *providers);

#endif
