/* matrix.h: the frameworks of an environment, each with what it was built for and what it gets.
 *
 * A framework is a distribution whose objects ask for a vendor's libraries and that is not the vendor's own: told by what it asks
 * for, not by a list of names. So a table stands where people otherwise piece versions together from six places.
 *
 * EM403 rests on it: a driver on this machine that is older than the CUDA of a framework asks for.
 */
#ifndef EM_BUNDLE_DIAGNOSE_MATRIX_H
#define EM_BUNDLE_DIAGNOSE_MATRIX_H

#include "bundle/diagnose/advice.h"
#include "bundle/diagnose/gpu.h"

/* numpy: look into modules for the NumPy that they were built against. carriers: read where gpus are named. */
int em_matrix_read(struct em_frameworks *frameworks, const struct em_advisor *advisor, bool numpy, const struct em_gpus *gpus,
                   const struct em_gpu_carriers *carriers, uint64_t *bytes_read, struct em_error *error);

/* EM403. module: the kernel module's version; NULL: no driver is here, and nothing is said. */
int em_judge_runtime(struct em_findings *findings, const struct em_advisor *advisor, const struct em_frameworks *frameworks,
                     const struct em_gpus *gpus, const char *module);

#endif
