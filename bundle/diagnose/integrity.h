/* integrity.h: RECORDs against the disk, by presence and size. Private to diagnose. */
#ifndef EM_BUNDLE_DIAGNOSE_INTEGRITY_H
#define EM_BUNDLE_DIAGNOSE_INTEGRITY_H

#include "bundle/diagnose/finding.h"

/* EM601 and EM602. Hashing is verify's: an audit reads headers, not gigabytes. */
int em_judge_integrity(struct em_findings *findings, struct em_arena *arena, struct em_env *env, struct em_error *error);

/* The finding that a deviation is; shared with the command that verifies. */
int em_finding_of_deviation(struct em_finding *finding, struct em_arena *arena, const struct em_deviation *deviation);

#endif
