#include "bundle/diagnose/stacks.h"

#include "bundle/diagnose/standing.h"

/* The least that the worst of its refusals is worth; not refused: EM_SEVERITY_NOTE. by: who asked for it then. */
struct refusal {
    enum em_severity severity;
    const struct em_request *request;
    const struct em_env_object *by;
};

bool em_is_stack_refusal(const struct em_loading *loading, const struct em_request *request)
{
    return request->result == EM_RESULT_REFUSED && request->refusal == EM_REFUSAL_STACK && request->file &&
           em_loading_object(loading, &request->file->node);
}

static void weigh(struct refusal *worst, enum em_severity severity, const struct em_request *request,
                  const struct em_env_object *by)
{
    /* That it is refused is worth a warning, whoever misses it. */
    if (severity == EM_SEVERITY_NOTE)
        severity = EM_SEVERITY_WARNING;
    if (!worst->request || severity > worst->severity)
        *worst = (struct refusal){ severity, request, by };
}

static struct refusal refusal_of(const struct em_standing *standing, const struct em_env_object *object)
{
    const struct em_loading *loading = standing->advisor->loading;
    struct refusal worst = { 0 };

    em_vec_each (const struct em_case, item, &loading->cases)
        if (em_is_stack_refusal(loading, item->request) && em_loading_object(loading, &item->request->file->node) == object)
            weigh(&worst, em_standing_severity(standing, item, NULL), item->request, item->object);
    em_vec_each (const struct em_refused_root, refused, &loading->refused)
        if (em_is_stack_refusal(loading, refused->request) && refused->root == object)
            weigh(&worst, refused->by_import ? EM_SEVERITY_ERROR : EM_SEVERITY_WARNING, refused->request, NULL);
    return worst;
}

/* The whole of an object's code, once in a run. */
static int use_of(const struct em_advisor *advisor, const struct em_env_object *object, struct em_diagnose_cache *cache,
                  enum em_stack_use *use, uint64_t *bytes_read, struct em_error *error)
{
    uintptr_t known = cache ? (uintptr_t)em_map_get(&cache->stacks, object->path) : 0;
    em_cleanup_file struct em_file *file = NULL;
    const char *path;
    int r;

    *use = (enum em_stack_use)(known - 1);
    if (known)
        return EM_OK;
    r = em_tree_open(advisor->env->tree, object->path, &file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, object->path, "cannot be opened");
    }
    r = em_object_stack_use(use, advisor->arena, &file->reader, error);
    *bytes_read += file->reader.bytes_read;
    if (r < 0 || !cache)
        return r;
    path = em_arena_strdup(cache->stacks.arena, object->path);
    return path ? em_map_put(&cache->stacks, path, (void *)(uintptr_t)(*use + 1)) : EM_NO_MEMORY;
}

static const char *help_for(const struct em_advisor *advisor, const struct em_finding *finding, enum em_stack_use use)
{
    const struct em_env *env = advisor->env;

    switch (use) {
    case EM_STACK_USE_CODE:
        return "GLIBC_TUNABLES=glibc.rtld.execstack=2 in the environment of the process, set before it starts";
    case EM_STACK_USE_UNKNOWN:
        return em_arena_printf(advisor->arena, "elfmend patch --clear-execstack %s, and try whether it works without",
                               em_env_show(env, finding->object));
    case EM_STACK_USE_NONE: break;
    }
    return em_arena_printf(advisor->arena, env->kind == EM_ENV_WHEEL ? "elfmend repack %s -o DIR" : "elfmend fix %s",
                           env->given);
}

static int add_finding(struct em_findings *findings, const struct em_advisor *advisor, const struct em_env_object *object,
                       const struct refusal *refusal, bool absent, enum em_stack_use use)
{
    static const char *const uses[] = {
        [EM_STACK_USE_NONE] = "builds no function on the stack: nothing in it would miss the right",
        [EM_STACK_USE_CODE] = "builds functions on the stack (GCC's trampolines), and dies without the right",
        [EM_STACK_USE_UNKNOWN] = "is for a machine of which we cannot tell whether it needs the right",
    };
    struct em_finding finding = { .id = "EM106",
                                  .severity = refusal->request ? refusal->severity : EM_SEVERITY_WARNING,
                                  .object = object->path,
                                  .owner = object->owner };
    int r;

    finding.message = em_arena_printf(advisor->arena, "%s an executable stack, which %s",
                                      absent ? "has no PT_GNU_STACK and so asks for" : "asks for",
                                      refusal->request ? "this glibc refuses" : "glibc refuses from 2.41 on");
    finding.help = help_for(advisor, &finding, use);
    if (!finding.message || !finding.help)
        return EM_NO_MEMORY;
    r = refusal->request ? em_evidence_add(&finding.evidence, advisor->arena, "the loader", refusal->request->why) : EM_OK;
    if (r == EM_OK && refusal->by)
        r = em_evidence_add(&finding.evidence, advisor->arena, "asked for",
                            em_arena_printf(advisor->arena, "by %s", em_env_show(advisor->env, refusal->by->path)));
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, advisor->arena, "its code", uses[use]);
    if (use == EM_STACK_USE_NONE) {
        finding.mend = EM_MEND_STACK;
        finding.requester = object;
    }
    return r < 0 ? r : em_vec_push(advisor->arena, findings, finding);
}

int em_judge_stacks(struct em_findings *findings, const struct em_advisor *advisor, struct em_diagnose_cache *cache,
                    uint64_t *bytes_read, struct em_error *error)
{
    struct em_standing standing = { 0 };

    for (size_t i = 0; i < advisor->env->objects.count; i++) {
        const struct em_env_object *object = &advisor->env->objects.items[i];
        const struct em_loadable *file = advisor->loading->files[i];
        struct refusal refusal;
        enum em_stack_use use;
        int r;

        if (!em_loading_is_library(advisor->world, file) || !em_loader_wants_stack(advisor->world, &file->object))
            continue;
        r = standing.advisor ? EM_OK : em_standing_init(&standing, advisor);
        if (r == EM_OK)
            r = use_of(advisor, object, cache, &use, bytes_read, error);
        if (r < 0)
            return r;
        refusal = refusal_of(&standing, object);
        r = add_finding(findings, advisor, object, &refusal, file->object.stack == EM_STACK_ABSENT, use);
        if (r < 0)
            return r;
    }
    return EM_OK;
}
