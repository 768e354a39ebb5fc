/* sbom.h: what a wheel has been given, for those who ask later. CycloneDX 1.6, JSON, as PEP 770 has it below .dist-info/sboms/.
 *
 * No serial number and no time: the same wheel gives the same bytes.
 */
#ifndef EM_BUNDLE_WHEEL_SBOM_H
#define EM_BUNDLE_WHEEL_SBOM_H

#include "base/base.h"

struct em_sbom_library {
    const char *path;               /* in the wheel */
    const char *provenance;         /* "nvidia-cublas-cu12 12.8.4.1"; NULL: unknown */
    const struct em_sha256 *sha256; /* as it is in the wheel */
};

struct em_sbom {
    const char *name, *version; /* of the wheel: normalized, and with its local label */
    struct {
        EM_VEC(struct em_sbom_library);
    } libraries;
};

/* text lives in arena. */
int em_sbom_write(struct em_bytes *text, struct em_arena *arena, const struct em_sbom *sbom);

#endif
