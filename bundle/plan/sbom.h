/* sbom.h: what a distribution has been given, for those who ask later. CycloneDX 1.6, JSON, as PEP 770 has it below .dist-info/sboms/.
 *
 * No serial number, and no time of the clock: the same libraries give the same bytes.
 */
#ifndef EM_BUNDLE_PLAN_SBOM_H
#define EM_BUNDLE_PLAN_SBOM_H

#include "bundle/env/env.h"

struct em_sbom_library {
    const char *path;               /* relative to the site, as in a wheel */
    const char *provenance;         /* "nvidia-cublas-cu12 12.8.4.1"; NULL: unknown */
    const char *purl;               /* the same as a package URL; NULL: unknown, or of a kind that has none without a vendor */
    const struct em_sha256 *sha256; /* as it is there */
};

struct em_sbom {
    const char *name, *version; /* of the distribution: normalized, and with its local label */
    const char *timestamp;      /* "2024-05-06T07:08:10Z"; NULL: none */
    struct {
        EM_VEC(struct em_sbom_library);
    } libraries;
};

/* text lives in arena. */
int em_sbom_write(struct em_bytes *text, struct em_arena *arena, const struct em_sbom *sbom);

/* The package URL of a distribution: of PyPI's, or of conda's by what its INSTALLER says. NULL in *purl: Debian's and rpm's would need
 * a vendor, which their packages do not name. EM_NO_MEMORY. */
int em_sbom_purl(const char **purl, struct em_arena *arena, const struct em_distribution *distribution);

/* Where the bill of that number lies, counted from 1: a distribution that was given libraries before keeps what was said of them then. */
const char *em_sbom_path(struct em_arena *arena, const char *dist_info, unsigned number);

/* The version of what was copied to path, as the latest bill of its owner has it; NULL: none tells. */
const char *em_sbom_version(const struct em_env *env, struct em_arena *arena, const struct em_distribution *owner,
                            const char *path);

#endif
