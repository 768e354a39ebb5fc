#include "bundle/diagnose/variable.h"

#include <string.h>

struct telling {
    struct em_findings *findings;
    const struct em_advisor *advisor;
    struct em_arena *arena; /* of plain and answers; findings have the advisor's */
    struct em_standing standing;
    struct em_loading plain; /* the same environment, opened without the variable */
    struct em_map answers;   /* "object\nname" -> its case in plain */
    struct em_map told;      /* name of what was taken instead -> index into findings plus 1 */
};

static char *key_of(const struct telling *telling, const struct em_case *item)
{
    return em_arena_printf(telling->arena, "%s\n%s", item->object->path, em_case_name(item));
}

static int index_plain(struct telling *telling)
{
    em_vec_each (struct em_case, item, &telling->plain.cases) {
        char *key = key_of(telling, item);

        if (!key || em_map_put(&telling->answers, key, item) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static const char *where(const struct telling *telling, const struct em_request *request, const char *how)
{
    const char *normal = em_path_normal(telling->advisor->arena, request->path);

    return normal ? em_arena_printf(telling->advisor->arena, "%s   (%s)", em_env_show(telling->advisor->env, normal), how)
                  : NULL;
}

static int add_only(struct telling *telling, const struct em_case *item)
{
    const struct em_advisor *advisor = telling->advisor;
    const char *name = em_case_name(item), *package;
    struct em_strings alone = { .items = &name, .count = 1 };
    struct em_finding finding = { .id = "EM203",
                                  .object = item->object->path,
                                  .owner = item->object->owner,
                                  .request = name,
                                  .requester = item->object,
                                  .inherited = item->inherited };

    if (item->opening)
        finding.names = item->opening->names;
    else if (em_vec_push(advisor->arena, &finding.names, name) < 0)
        return EM_NO_MEMORY;
    finding.provider = em_advise_provider(advisor, item->object, item->opening ? &item->opening->names : &alone);
    finding.severity = em_standing_severity(&telling->standing, item, finding.provider) == EM_SEVERITY_NOTE
                           ? EM_SEVERITY_NOTE
                           : EM_SEVERITY_WARNING;
    finding.message = em_arena_printf(advisor->arena, "finds %s through LD_LIBRARY_PATH only", name);
    package = em_advise_package(advisor, item->object, name);
    if (finding.provider)
        finding.help = em_arena_printf(advisor->arena, "elfmend fix %s; then LD_LIBRARY_PATH can go", advisor->env->given);
    else if (package)
        finding.help = em_arena_printf(advisor->arena, "pip install '%s', then elfmend fix %s", package, advisor->env->given);
    if (!finding.provider)
        finding.requester = NULL;
    if (!finding.message || em_evidence_add(&finding.evidence, telling->advisor->arena, "it takes",
                                            where(telling, item->request, "LD_LIBRARY_PATH")) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(advisor->arena, telling->findings, finding);
}

static const char *other_way(const struct em_request *request)
{
    switch (request->rule) {
    case EM_RULE_RUNPATH: return "its DT_RUNPATH";
    case EM_RULE_RPATH: return "DT_RPATH";
    case EM_RULE_CACHE: return "ld.so.cache";
    case EM_RULE_DEFAULT: return "a default directory";
    case EM_RULE_SONAME: return "what is loaded before it";
    case EM_RULE_NONE:
    case EM_RULE_PATH:
    case EM_RULE_ENV:
    case EM_RULE_RESERVED: break;
    }
    return "another place";
}

/* One finding for a library, however many ask for it: the variable is every object's. */
static int add_instead(struct telling *telling, const struct em_case *item, const struct em_request *plain)
{
    const struct em_advisor *advisor = telling->advisor;
    struct em_finding finding = { .id = "EM203",
                                  .severity = EM_SEVERITY_WARNING,
                                  .object = item->object->path,
                                  .owner = item->object->owner,
                                  .request = em_case_name(item) };

    if (em_map_get(&telling->told, finding.request))
        return EM_OK;
    finding.message = em_arena_printf(advisor->arena, "takes %s from LD_LIBRARY_PATH, which wins over %s", finding.request,
                                      other_way(plain));
    finding.help = "unset LD_LIBRARY_PATH, or take that directory out of it";
    if (!finding.message || em_map_put(&telling->told, finding.request, telling) < 0 ||
        em_evidence_add(&finding.evidence, telling->advisor->arena, "it takes",
                        where(telling, item->request, "LD_LIBRARY_PATH")) < 0 ||
        em_evidence_add(&finding.evidence, telling->advisor->arena, "without it", where(telling, plain, other_way(plain))) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(advisor->arena, telling->findings, finding);
}

static bool is_same_file(const struct em_request *a, const struct em_request *b)
{
    return a->file && b->file && a->file->node.device == b->file->node.device && a->file->node.inode == b->file->node.inode;
}

static int tell(struct telling *telling, const struct em_case *item)
{
    const struct em_case *plain;
    char *key;

    if (em_case_is_missing(item) || item->request->rule != EM_RULE_ENV || !item->request->path)
        return EM_OK;
    key = key_of(telling, item);
    if (!key)
        return EM_NO_MEMORY;
    plain = em_map_get(&telling->answers, key);
    if (!plain)
        return EM_OK;
    /* What this machine alone has instead is not there elsewhere. */
    if (em_case_is_missing(plain) || em_case_is_by_luck(plain, &telling->plain, telling->advisor->knowledge))
        return add_only(telling, item);
    return is_same_file(item->request, plain->request) ? EM_OK : add_instead(telling, item, plain->request);
}

int em_judge_variable(struct em_findings *findings, const struct em_advisor *advisor, struct em_env *env,
                      struct em_diagnose_cache *cache, struct em_error *error)
{
    /* What it would be without the variable is gone when that is told. */
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct telling telling = { .findings = findings,
                               .advisor = advisor,
                               .arena = arena,
                               .answers = { .arena = arena },
                               .told = { .arena = advisor->arena } };
    struct em_world without = *advisor->world;
    int r;

    if (!without.ld_library_path || !*without.ld_library_path)
        return EM_OK;
    if (!arena)
        return EM_NO_MEMORY;
    without.ld_library_path = NULL;
    r = em_standing_init(&telling.standing, advisor);
    if (r == EM_OK)
        r = em_loading_run(&telling.plain, arena, env, &without, advisor->knowledge, cache, error);
    if (r == EM_OK)
        r = index_plain(&telling);
    em_vec_each (struct em_case, item, &advisor->loading->cases)
        if (r == EM_OK)
            r = tell(&telling, item);
    em_loader_free(telling.plain.loader);
    return r;
}
