#include "bundle/diagnose/numpy.h"

#include "bundle/diagnose/modules.h"
#include "patcher/patcher.h"

#include <stdio.h>
#include <string.h>

struct uses {
    bool old, new;
};

static bool starts(const uint8_t *at, const uint8_t *end, const char *text)
{
    size_t length = strlen(text);

    return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

/* NumPy's import_array() is compiled into the module: headers of NumPy 1 name numpy.core._multiarray_umath, those of NumPy 2 name
 * numpy._core first and the old module as a fallback. Rule and words: real objects on both sides, all told apart by it; numpy 1.26
 * and 2.0, numpy/core/code_generators/generate_numpy_api.py. */
static int look_for_names(void *context, const uint8_t *bytes, size_t size, bool is_last)
{
    const uint8_t *end = bytes + size;
    struct uses *uses = context;

    (void)is_last;
    for (const uint8_t *hit = bytes; (hit = em_find_pairs(hit, end, "y.", "y.")) != NULL;) {
        hit += 2;
        if (hit - bytes < 6 || memcmp(hit - 6, "numpy.", 6) != 0)
            continue;
        uses->new = uses->new || starts(hit, end, "_core");
        uses->old = uses->old || starts(hit, end, "core._multiarray_umath") || starts(hit, end, "core.multiarray failed");
    }
    return uses->new ? 1 : EM_OK;
}

int em_numpy_abi_of(enum em_numpy_abi *abi, struct em_arena *arena, struct em_tree *tree, const char *path,
                    uint64_t *bytes_read, struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    struct uses uses = { 0 };
    bool imports = false;
    int r;

    *abi = EM_NUMPY_NONE;
    if (em_tree_open(tree, path, &file) < 0)
        return EM_OK;
    /* import_array() takes the table of functions out of a capsule: who never opens one has no use for it. */
    r = em_object_imports(&imports, &file->reader, "PyCapsule_GetPointer", error);
    if (r == EM_OK && imports)
        r = em_constants_each(arena, &file->reader, look_for_names, &uses, error);
    *bytes_read += file->reader.bytes_read;
    if (r == EM_OK && (uses.new || uses.old))
        *abi = uses.new ? EM_NUMPY_2 : EM_NUMPY_1;
    return r == EM_NO_MEMORY || r == EM_IO ? r : EM_OK;
}

/* The line by which a distribution requires NumPy, the one without a marker first; NULL: none. */
static const char *numpy_requirement(const struct em_distribution *distribution)
{
    const char *marked = NULL;

    em_vec_each (struct em_requirement, requirement, &distribution->requirements) {
        if (strcmp(requirement->name, "numpy") != 0 || requirement->has_extra)
            continue;
        if (!strchr(requirement->spelled, ';'))
            return requirement->spelled;
        marked = requirement->spelled;
    }
    return marked;
}

/* Somebody else wants NumPy 2: going back to 1 would break that one. */
static const struct em_distribution *wants_numpy_2(const struct em_env *env)
{
    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        const char *spelled = numpy_requirement(*distribution);

        if (spelled && (strstr(spelled, ">=2") || strstr(spelled, ">= 2") || strstr(spelled, "==2") || strstr(spelled, "~=2")))
            return *distribution;
    }
    return NULL;
}

static int add_numpy(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                     const struct em_distribution *numpy, const struct em_module_group *group)
{
    const struct em_distribution *other = wants_numpy_2(env);
    const char *requirement = group->owner ? numpy_requirement(group->owner) : NULL;
    struct em_finding finding = {
        .id = "EM501", .severity = EM_SEVERITY_ERROR, .object = group->paths.items[0], .owner = group->owner
    };
    int r;

    finding.message = em_arena_printf(arena, "is built against NumPy 1, and NumPy %s is installed", numpy->version);
    if (!finding.message)
        return EM_NO_MEMORY;
    r = em_evidence_add(&finding.evidence, arena, "seen by", "numpy.core._multiarray_umath in it, and no numpy._core");
    if (r == EM_OK)
        r = em_module_group_show(arena, &finding, env, group);
    if (r == EM_OK && requirement)
        r = em_evidence_add(&finding.evidence, arena, "requires", requirement);
    if (r == EM_OK && other)
        r = em_evidence_add(&finding.evidence, arena, "against it",
                            em_arena_printf(arena, "%s %s requires %s", other->name, other->version, numpy_requirement(other)));
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, arena, "it fails",
                            "A module that was compiled using NumPy 1.x cannot be run in NumPy 2");
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, arena, "or with", "numpy.core.multiarray failed to import");
    if (r == EM_OK)
        r = em_evidence_add(
            &finding.evidence, arena, "or with",
            "numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from "
            "PyObject");
    if (group->owner && other)
        finding.help = em_arena_printf(arena, "pip install --upgrade %s: a release built against NumPy 2 works with both",
                                       group->owner->name);
    else if (group->owner)
        finding.help = em_arena_printf(
            arena, "pip install 'numpy<2'     or: pip install --upgrade %s, where a release is built against NumPy 2",
            group->owner->name);
    else
        finding.help = "pip install 'numpy<2', or build it again with NumPy 2: the result works with both";
    return r < 0 ? r : em_vec_push(arena, findings, finding);
}

int em_judge_numpy(struct em_findings *findings, struct em_arena *arena, const struct em_env *env, uint64_t *bytes_read,
                   struct em_error *error)
{
    const struct em_distribution *numpy = em_env_find(env, "numpy");
    struct em_module_groups groups = { 0 };

    if (!numpy || !numpy->version || em_version_compare(numpy->version, "2") < 0)
        return EM_OK;
    em_vec_each (struct em_env_object, object, &env->objects) {
        enum em_numpy_abi abi;
        int r;

        if (object->owner == numpy)
            continue;
        r = em_numpy_abi_of(&abi, arena, env->tree, object->path, bytes_read, error);
        if (r == EM_OK && abi == EM_NUMPY_1)
            r = em_module_groups_add(&groups, arena, object, "");
        if (r < 0)
            return r;
    }
    em_vec_each (struct em_module_group, group, &groups) {
        int r = add_numpy(findings, arena, env, numpy, group);

        if (r < 0)
            return r;
    }
    return EM_OK;
}
