#include "bundle/diagnose/pins.h"

#include <string.h>

/* "9.10.2.21" of "nvidia-cudnn-cu12 (==9.10.2.21) ; platform_system == 'Linux'"; NULL: it names no one release. */
static const char *pinned(struct em_arena *arena, const struct em_requirement *requirement)
{
    size_t end = strcspn(requirement->spelled, ";");
    const char *at = memmem(requirement->spelled, end, "==", 2);
    size_t length = at ? strspn(at + 2, "0123456789.") : 0;

    if (!at || length == 0 || at[2 + length] == '*' || at[2 + length] == '=')
        return NULL;
    return em_arena_strndup(arena, at + 2, length);
}

/* A library of the package, for the finding to be about. */
static const struct em_env_object *library_of(const struct em_env *env, const struct em_distribution *package)
{
    em_vec_each (struct em_env_object, object, &env->objects)
        if (object->owner == package)
            return object;
    return NULL;
}

static int add_older(struct em_findings *findings, const struct em_advisor *advisor, const struct em_distribution *who,
                     const struct em_distribution *package, const char *wanted)
{
    const struct em_env_object *library = library_of(advisor->env, package);
    struct em_finding finding = { .id = "EM204", .severity = EM_SEVERITY_WARNING, .owner = package };
    int r;

    /* A package without libraries is no family of any. */
    if (!library)
        return EM_OK;
    finding.object = library->path;
    finding.message = em_arena_printf(advisor->arena, "is %s %s, older than the %s that %s %s is built with", package->name,
                                      package->version, wanted, who->name, who->version);
    r = em_evidence_add(&finding.evidence, advisor->arena, "requires",
                        em_arena_printf(advisor->arena, "%s==%s", package->name, wanted));
    if (r == EM_OK && strncmp(package->normalized, "nvidia-cudnn-", 13) == 0)
        r = em_evidence_add(&finding.evidence, advisor->arena, "it fails",
                            "cuDNN version incompatibility: PyTorch was compiled against a newer one than it found");
    else if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, advisor->arena, "it fails", "undefined symbol, where something was added since");
    finding.help = em_arena_printf(advisor->arena, "pip install '%s==%s'", package->name, wanted);
    if (!finding.message || !finding.help)
        return EM_NO_MEMORY;
    return r < 0 ? r : em_vec_push(advisor->arena, findings, finding);
}

int em_judge_pins(struct em_findings *findings, const struct em_advisor *advisor)
{
    const struct em_env *env = advisor->env;

    em_vec_each (struct em_distribution *, who, &env->distributions)
        em_vec_each (const struct em_requirement, requirement, &(*who)->requirements) {
            const struct em_distribution *package = em_env_find(env, requirement->name);
            const char *wanted;
            int r;

            if (requirement->has_extra || !package || !package->version ||
                !em_knowledge_is_vendor(advisor->knowledge, requirement->name))
                continue;
            wanted = pinned(advisor->arena, requirement);
            if (!wanted || em_version_compare(package->version, wanted) >= 0)
                continue;
            r = add_older(findings, advisor, *who, package, wanted);
            if (r < 0)
                return r;
        }
    return EM_OK;
}
