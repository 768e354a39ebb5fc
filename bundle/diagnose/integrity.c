#include "bundle/diagnose/integrity.h"

#include <string.h>

static bool is_library(const char *path)
{
    const char *so = strstr(em_path_basename(path), ".so");

    return so && (so[3] == '\0' || so[3] == '.');
}

int em_finding_of_deviation(struct em_finding *finding, struct em_arena *arena, const struct em_deviation *deviation)
{
    const struct em_distribution *owner = deviation->distribution;
    const bool conda = owner && owner->conda_meta;

    *finding = (struct em_finding){ .object = deviation->path, .owner = owner };
    switch (deviation->kind) {
    case EM_DEVIATION_CHANGED:
        finding->id = "EM601";
        finding->severity = EM_SEVERITY_WARNING;
        finding->message = conda ? "is not what conda-meta says" : "is not what its RECORD says";
        break;
    case EM_DEVIATION_UNCHECKED:
        finding->id = "EM601";
        finding->severity = EM_SEVERITY_WARNING;
        finding->message = "cannot be held against its RECORD";
        break;
    case EM_DEVIATION_MISSING:
        finding->id = "EM602";
        finding->severity = is_library(deviation->path) ? EM_SEVERITY_ERROR : EM_SEVERITY_WARNING;
        finding->message = conda ? "is listed in conda-meta and is not there" : "is listed in a RECORD and is not there";
        break;
    case EM_DEVIATION_UNLISTED:
        finding->id = "EM603";
        finding->severity = EM_SEVERITY_NOTE;
        finding->message = "is listed in no RECORD";
        break;
    case EM_DEVIATION_SHARED:
        finding->id = "EM206";
        finding->severity = EM_SEVERITY_WARNING;
        finding->message = "is owned by several distributions";
        break;
    }
    if (owner && deviation->kind != EM_DEVIATION_UNLISTED && deviation->kind != EM_DEVIATION_SHARED)
        finding->help = em_distribution_reinstall(arena, owner);
    return deviation->detail ? em_evidence_add(&finding->evidence, arena, "found", deviation->detail) : EM_OK;
}

/* Two packages that own the same libraries, with bytes of their own: cuDNN for CUDA 12 and for 13. One finding for all that one of
 * them wrote over, or that nobody's bytes are in; where others own a file, its line names them. */
struct shared {
    const struct em_distribution *winner; /* NULL: nobody */
    const char *owners;
    size_t finding;
};

struct shareds {
    EM_VEC(struct shared);
};

static int add_also(struct em_finding *finding, struct em_arena *arena, const struct em_env *env,
                    const struct em_deviation *deviation, bool same_owners)
{
    const char *path = em_env_show(env, deviation->path);

    if (!same_owners)
        path = em_arena_printf(arena, "%s, %s", path, deviation->detail);
    return em_evidence_add(&finding->evidence, arena, "also", path);
}

static int add_shared(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                      const struct em_deviation *deviation, struct shareds *shareds)
{
    const char *owners = deviation->detail ? deviation->detail : "";
    struct em_finding finding;
    int r;

    em_vec_each (struct shared, shared, shareds) {
        bool same = strcmp(shared->owners, owners) == 0;

        if (same || (shared->winner && shared->winner == deviation->distribution))
            return add_also(&findings->items[shared->finding], arena, env, deviation, same);
    }
    r = em_finding_of_deviation(&finding, arena, deviation);
    finding.help = "uninstall all of them but one, and install that one again: the last to be installed wrote over the others";
    if (r == EM_OK)
        r = em_vec_push(arena, shareds, ((struct shared){ deviation->distribution, owners, findings->count }));
    return r == EM_OK ? em_vec_push(arena, findings, finding) : r;
}

/* A file that several list and that went with one of them: nvidia/__init__.py, when one of NVIDIA's packages is uninstalled. One finding
 * for it; a note where it was empty, since Python takes the directory for a package without it too (PEP 420). */
static int add_missing(struct em_findings *findings, struct em_arena *arena, const struct em_deviation *deviation,
                       struct em_map *missing)
{
    const struct em_distribution *distribution = deviation->distribution;
    uintptr_t known = (uintptr_t)em_map_get(missing, deviation->path);
    struct em_finding finding;
    int r;

    if (known > 0 && distribution)
        return em_evidence_add(&findings->items[known - 1].evidence, arena, "also",
                               em_arena_printf(arena, "%s %s", distribution->name, distribution->version));
    r = em_finding_of_deviation(&finding, arena, deviation);
    if (deviation->row && deviation->row->has_size && deviation->row->size == 0)
        finding.severity = EM_SEVERITY_NOTE;
    if (r == EM_OK)
        r = em_vec_push(arena, findings, finding);
    return r < 0 || known > 0 ? r : em_map_put(missing, deviation->path, (void *)(uintptr_t)findings->count);
}

/* Files that are somebody else's too, mostly of a package manager's cache. What writes into them in place changes both. */
static int judge_links(struct em_findings *findings, struct em_arena *arena, const struct em_env *env)
{
    struct em_finding finding = { .id = "EM604", .severity = EM_SEVERITY_NOTE };
    size_t linked = 0;

    em_vec_each (struct em_env_object, object, &env->objects) {
        if (object->node.links < 2 || em_env_is_beside(env, object->path))
            continue;
        linked++;
        if (!finding.object)
            finding.object = object->path;
    }
    if (linked == 0)
        return EM_OK;
    finding.message = "is a hard link: the same file has another name, as a rule in a package manager's cache";
    finding.help = "nothing, for elfmend never writes into a file that is there; a tool that does changes the cache with it";
    if (em_evidence_add(&finding.evidence, arena, "so are",
                        em_arena_printf(arena, "%zu of %zu objects", linked, em_env_count_objects(env))) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(arena, findings, finding);
}

int em_judge_integrity(struct em_findings *findings, struct em_arena *arena, struct em_env *env, struct em_error *error)
{
    static const struct em_verify_options presence = { .jobs = 1 };
    struct em_deviations deviations = { 0 };
    struct shareds shareds = { 0 };
    struct em_map missing = { .arena = arena }; /* path to the place of its finding, and one */
    int r = em_env_verify(&deviations, env, &presence, NULL, error);

    if (r < 0)
        return r;
    em_vec_each (struct em_deviation, deviation, &deviations) {
        struct em_finding finding;

        if (deviation->kind == EM_DEVIATION_SHARED && is_library(deviation->path) && !deviation->same_bytes) {
            r = add_shared(findings, arena, env, deviation, &shareds);
            if (r < 0)
                return r;
        }
        if (deviation->kind == EM_DEVIATION_MISSING)
            r = add_missing(findings, arena, deviation, &missing);
        if (deviation->kind == EM_DEVIATION_CHANGED) {
            r = em_finding_of_deviation(&finding, arena, deviation);
            if (r == EM_OK)
                r = em_vec_push(arena, findings, finding);
        }
        if (r < 0)
            return r;
    }
    return judge_links(findings, arena, env);
}
