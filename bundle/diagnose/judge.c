#include "bundle/diagnose/judge.h"

#include "bundle/diagnose/fold.h"

#include "bundle/diagnose/stacks.h"

#include <string.h>

static const char *where_from(const struct em_advisor *advisor, const struct em_case *item)
{
    const struct em_request *request = item->request;
    const char *rule = "already loaded";

    switch (request->rule) {
    case EM_RULE_CACHE: rule = "ld.so.cache"; break;
    case EM_RULE_DEFAULT: rule = "default directory"; break;
    case EM_RULE_ENV: rule = "LD_LIBRARY_PATH"; break;
    case EM_RULE_RPATH: rule = "DT_RPATH"; break;
    case EM_RULE_RUNPATH: rule = "DT_RUNPATH"; break;
    case EM_RULE_NONE:
    case EM_RULE_PATH:
    case EM_RULE_SONAME:
    case EM_RULE_RESERVED: break;
    }
    return em_arena_printf(advisor->arena, "%s   (%s)", request->path, rule);
}

static int explain(const struct em_advisor *advisor, const struct em_case *item, struct em_finding *finding,
                   const struct em_env_object *other)
{
    int r = em_advise_search(advisor, item->request, &finding->evidence);

    if (r == EM_OK && item->unreachable)
        r = em_evidence_add(&finding->evidence, advisor->arena, "opened by",
                            em_arena_printf(advisor->arena, "%s, which is not found either", item->opening->entry->through));
    if (r == EM_OK && finding->provider)
        r = em_evidence_add(&finding->evidence, advisor->arena, "it is in", em_advise_place(advisor, finding->provider));
    if (r == EM_OK && other)
        r = em_evidence_add(
            &finding->evidence, advisor->arena, "there is",
            em_arena_printf(advisor->arena, "%s in %s", em_path_basename(other->path), em_advise_place(advisor, other)));
    if (r == EM_OK && em_case_is_by_luck(item, advisor->loading, advisor->knowledge))
        r = em_evidence_add(&finding->evidence, advisor->arena, "here only", where_from(advisor, item));
    if (r == EM_OK && item->opening)
        r = em_evidence_add(&finding->evidence, advisor->arena, "without it", item->opening->entry->loses);
    return r;
}

/* The action first, then what would do as well. */
static const char *help_for(const struct em_advisor *advisor, const struct em_case *item, const struct em_finding *finding)
{
    const char *name = em_case_name(item);
    const char *package = em_advise_package(advisor, item->object, name);
    const char *cure = em_advise_cure(advisor, item->object, name);
    const char *first = NULL;

    /* A wheel comes to require what it cannot be without, and no more. */
    if (advisor->env->kind == EM_ENV_WHEEL && !finding->provider && package && finding->severity == EM_SEVERITY_NOTE)
        first = em_arena_printf(advisor->arena, "pip install '%s' where the wheel is installed, then elfmend fix there",
                                package);
    else if (advisor->env->kind == EM_ENV_WHEEL && (finding->provider || package))
        first = em_arena_printf(advisor->arena, "elfmend repack %s -o DIR", advisor->env->given);
    else if (finding->provider)
        first = em_arena_printf(advisor->arena, "elfmend fix %s", advisor->env->given);
    else if (package && advisor->env->kind != EM_ENV_OBJECT)
        first = em_arena_printf(advisor->arena, "pip install '%s', then elfmend fix %s", package, advisor->env->given);
    else if (package)
        first = em_arena_printf(advisor->arena, "the package is '%s'", package);
    if (!first)
        first = em_advise_system(advisor, name);
    if (first && cure)
        return em_arena_printf(advisor->arena, "%s     or: %s", first, cure);
    return first ? first : cure;
}

/* The object finds its companions from its own directory, and was found through a link from another one: no path mends that, since
 * what has to go is the link. NULL: it was not, or would not find them there either. */
static const char *link_of(const struct em_advisor *advisor, const struct em_case *item, const struct em_env_object *provider)
{
    const struct em_loaded *from = item->request->from;
    char *normal = from && provider ? em_path_normal(advisor->arena, from->name) : NULL;

    return normal && em_loading_is_link(advisor->arena, advisor->env->tree, normal, item->object) ? normal : NULL;
}

static int tell_link(const struct em_advisor *advisor, struct em_finding *finding, const char *verb, const char *link)
{
    struct em_distribution *lister = em_env_owner(advisor->env, link);
    const char *row = lister ? em_env_row_spelling(advisor->env, lister, link) : NULL;

    /* Whose the file is that it leads to does not make the link theirs. */
    if (lister && (!row || !em_record_find(&lister->record, row)))
        lister = NULL;
    finding->id = "EM604";
    finding->message = em_arena_printf(advisor->arena, "%s %s and will not find it: $ORIGIN is the directory of the link %s",
                                       verb, finding->request, em_env_show(advisor->env, link));
    if (lister) {
        /* Who is mended is the object that should be there: if that is a private copy, it can be done without. */
        struct em_env_object *object = em_new(advisor->arena, struct em_env_object);

        if (!object)
            return EM_NO_MEMORY;
        *object = (struct em_env_object){ .path = link, .node = finding->requester->node, .owner = lister, .owners = 1 };
        finding->requester = object;
        finding->help = em_arena_printf(advisor->arena, "pip install --force-reinstall --no-deps '%s==%s', then elfmend fix %s",
                                        lister->name, lister->version, advisor->env->given);
    } else {
        finding->mend = EM_MEND_AWAY;
        finding->obstacle = link;
        finding->help = em_arena_printf(advisor->arena, "elfmend fix %s takes the link away", advisor->env->given);
    }
    return finding->message && finding->help ? EM_OK : EM_NO_MEMORY;
}

/* Where findings go: those that nobody misses anything by are told together. */
struct results {
    struct em_findings *findings;
    struct em_findings spare;
};

static int add_missing(struct results *results, const struct em_standing *standing, const struct em_case *item)
{
    const struct em_advisor *advisor = standing->advisor;
    const char *name = em_case_name(item);
    const char *verb = item->opening ? "opens" : "needs";
    const struct em_env_object *other = NULL, *stranger = NULL;
    const struct em_distribution *preloader;
    const struct em_package *package;
    const char *link, *foreign = NULL;
    struct em_finding finding = { .object = item->object->path,
                                  .owner = item->object->owner,
                                  .request = name,
                                  .requester = item->object,
                                  .inherited = item->inherited };
    int r;

    if (item->opening)
        finding.names = item->opening->names;
    else if (em_vec_push(advisor->arena, &finding.names, name) < 0)
        return EM_NO_MEMORY;
    finding.provider = em_advise_provider(advisor, item->object, &finding.names);
    finding.severity = em_standing_severity(standing, item, finding.provider);
    preloader = em_standing_preloader(standing, item, finding.provider);
    link = link_of(advisor, item, finding.provider);
    if (link) {
        if (tell_link(advisor, &finding, verb, link) < 0)
            return EM_NO_MEMORY;
    } else if (preloader) {
        finding.id = "EM202";
        finding.message = em_arena_printf(advisor->arena, "%s %s, which is there once %s has been imported", verb, name,
                                          preloader->name);
    } else if (finding.provider) {
        finding.id = item->opening ? "EM102" : "EM101";
        finding.message = em_arena_printf(advisor->arena, "%s %s and will not find it", verb, name);
    } else if ((other = em_advise_other_major(advisor, name)) != NULL) {
        finding.id = "EM104";
        finding.wants_copy = true;
        finding.message = em_arena_printf(advisor->arena, "%s %s, and only another major is here, which cannot stand in for it",
                                          verb, name);
    } else if ((stranger = em_advise_stranger(advisor, item->object, &finding.names)) != NULL &&
               (foreign = em_advise_foreign(advisor, stranger)) != NULL) {
        finding.id = "EM107";
        finding.wants_copy = true;
        finding.message = em_arena_printf(advisor->arena, "%s %s, and what is here of that name is for %s", verb, name,
                                          foreign);
    } else {
        finding.id = "EM103";
        finding.wants_copy = true;
        finding.message = em_arena_printf(advisor->arena,
                                          stranger ? "%s %s, which nothing that it belongs with brings"
                                          : advisor->env->kind == EM_ENV_OBJECT ? "%s %s and will not find it"
                                                                                : "%s %s, which is nowhere in this environment",
                                          verb, name);
    }
    if (!finding.message)
        return EM_NO_MEMORY;
    r = explain(advisor, item, &finding, other ? other : stranger);
    if (r < 0)
        return r;
    if (foreign && stranger->owner)
        finding.help = em_distribution_reinstall(advisor->arena, stranger->owner);
    else if (!link)
        finding.help = help_for(advisor, item, &finding);
    package = em_knowledge_package(advisor->knowledge, name, NULL);
    finding.systems = finding.wants_copy && !package;
    finding.gpus = strcmp(finding.id, "EM103") == 0 && package && !package->extra && !standing->cuda &&
                   finding.severity == EM_SEVERITY_NOTE;
    /* Its package sees to the order: nothing that a path would have to mend. */
    if (preloader && !link) {
        finding.requester = NULL;
        finding.provider = NULL;
        finding.help = NULL;
    }
    if (!item->opening && strcmp(finding.id, "EM103") == 0 &&
        (finding.severity == EM_SEVERITY_NOTE ||
         (!item->by_import && em_standing_is_one_of_many(standing, item->object) && finding.systems)))
        return em_vec_push(advisor->arena, &results->spare, finding);
    return em_vec_push(advisor->arena, results->findings, finding);
}

static int add_by_luck(struct em_findings *findings, const struct em_standing *standing, const struct em_case *item)
{
    const struct em_advisor *advisor = standing->advisor;
    const char *name = em_case_name(item);
    struct em_finding finding = {
        .id = "EM201",
        .object = item->object->path,
        .owner = item->object->owner,
        .request = name,
    };
    struct em_strings name_alone = { .items = &name, .count = 1 };
    int r;

    finding.message = em_arena_printf(advisor->arena, "finds %s only outside of the environment", name);
    if (!finding.message)
        return EM_NO_MEMORY;
    finding.provider = em_advise_provider(advisor, item->object, item->opening ? &item->opening->names : &name_alone);
    /* Luck is worth a warning where its end would be worth an error. */
    finding.severity = em_standing_severity(standing, item, finding.provider) == EM_SEVERITY_NOTE ? EM_SEVERITY_NOTE
                                                                                                  : EM_SEVERITY_WARNING;
    r = em_evidence_add(&finding.evidence, advisor->arena, "it takes", where_from(advisor, item));
    if (r < 0)
        return r;
    finding.help = help_for(advisor, item, &finding);
    return em_vec_push(advisor->arena, findings, finding);
}

static const char *refusal_id(const struct em_request *request)
{
    return request->refusal == EM_REFUSAL_STACK ? "EM106" : "EM107";
}

/* The library is there, and the loader chokes on it: no path would help. */
static int add_refused(struct em_findings *findings, const struct em_standing *standing, const struct em_case *item)
{
    const struct em_advisor *advisor = standing->advisor;
    const char *why = item->request->why ? item->request->why : "the loader does not say why";
    struct em_finding finding = { .id = refusal_id(item->request),
                                  .severity = em_standing_severity(standing, item, NULL),
                                  .object = item->object->path,
                                  .owner = item->object->owner,
                                  .request = em_case_name(item) };

    finding.message = em_arena_printf(advisor->arena, "%s %s, which is there and refused: %s",
                                      item->opening ? "opens" : "needs", finding.request, why);
    if (!finding.message)
        return EM_NO_MEMORY;
    if (item->request->path) {
        const char *path = em_path_normal(advisor->arena, item->request->path);

        if (!path || em_evidence_add(&finding.evidence, advisor->arena, "it is", em_env_show(advisor->env, path)) < 0)
            return EM_NO_MEMORY;
    }
    return em_vec_push(advisor->arena, findings, finding);
}

static int judge_case(struct results *results, const struct em_standing *standing, const struct em_case *item)
{
    const struct em_advisor *advisor = standing->advisor;
    int r = EM_OK;

    /* The driver comes with the machine that has the GPU, and with no package. */
    if (em_knowledge_is_driver(advisor->knowledge, em_case_name(item)))
        return EM_OK;
    if (em_case_is_by_luck(item, advisor->loading, advisor->knowledge)) {
        /* Where the user points the loader at it, it is found (variable.c). */
        if (item->request->rule == EM_RULE_ENV)
            return EM_OK;
        r = add_by_luck(results->findings, standing, item);
        /* What the machine answers is missing all the same in the environment. */
        if (r < 0)
            return r;
        return add_missing(results, standing, item);
    }
    if (!item->unreachable && em_is_stack_refusal(advisor->loading, item->request))
        return EM_OK;
    if (!item->unreachable && item->request->result == EM_RESULT_REFUSED)
        return add_refused(results->findings, standing, item);
    return em_case_is_missing(item) ? add_missing(results, standing, item) : EM_OK;
}

/* A root that the loader refuses itself. */
static int judge_root(struct em_findings *findings, const struct em_advisor *advisor, const struct em_refused_root *refused)
{
    const char *why = refused->request->why ? refused->request->why : "the loader does not say why";
    struct em_finding finding = { .id = refusal_id(refused->request),
                                  .severity = refused->by_import ? EM_SEVERITY_ERROR : EM_SEVERITY_WARNING,
                                  .object = refused->root->path,
                                  .owner = refused->root->owner };

    finding.message = em_arena_printf(advisor->arena, "cannot be loaded: %s", why);
    return finding.message ? em_vec_push(advisor->arena, findings, finding) : EM_NO_MEMORY;
}

/* What defines a version that is lacking. NULL: nothing that could be named. */
static const char *help_for_version(const struct em_advisor *advisor, const struct em_version_miss *miss)
{
    const struct em_distribution *owner = miss->object->owner;
    const char *name = owner ? owner->name : "it", *package;

    if (!miss->version)
        return NULL;
    if (strncmp(miss->version, "GLIBC_", 6) == 0)
        return em_arena_printf(advisor->arena, "a system with glibc %s or newer, or a build of %s for an older one",
                               miss->version + 6, name);
    if (strncmp(miss->version, "GLIBCXX_", 8) == 0 || strncmp(miss->version, "CXXABI_", 7) == 0)
        return em_arena_printf(
            advisor->arena,
            "a libstdc++ that defines %s: conda install -c conda-forge libstdcxx where conda's is loaded, else a "
            "newer system; or a build of %s for an older one",
            miss->version, name);
    package = em_advise_package(advisor, miss->object, miss->version);
    return package ? em_arena_printf(advisor->arena, "pip install '%s', and no link in its place; then elfmend fix %s", package,
                                     advisor->env->given)
                   : NULL;
}

static int judge_version(struct em_findings *findings, const struct em_advisor *advisor, const struct em_version_miss *miss)
{
    /* A vendor's library of another major under the name that is wanted: no other order or path makes it that one. */
    bool other_major = miss->version && em_knowledge_package(advisor->knowledge, miss->version, NULL);
    struct em_finding finding = { .id = "EM105",
                                  .severity = miss->by_import || other_major ? EM_SEVERITY_ERROR : EM_SEVERITY_WARNING,
                                  .object = miss->object->path,
                                  .owner = miss->object->owner,
                                  .request = miss->version };

    finding.message = em_arena_printf(advisor->arena, "cannot be loaded: %s", miss->why);
    finding.help = help_for_version(advisor, miss);
    return finding.message ? em_vec_push(advisor->arena, findings, finding) : EM_NO_MEMORY;
}

static int judge_unreadable(struct em_findings *findings, const struct em_advisor *advisor,
                            const struct em_unreadable *unreadable)
{
    struct em_finding finding = {
        .id = "EM107", .severity = EM_SEVERITY_ERROR, .object = unreadable->object->path, .owner = unreadable->object->owner
    };

    finding.message = em_arena_printf(advisor->arena, "is no object that can be loaded: it %s", unreadable->problem);
    if (finding.owner)
        finding.help = em_distribution_reinstall(advisor->arena, finding.owner);
    return finding.message ? em_vec_push(advisor->arena, findings, finding) : EM_NO_MEMORY;
}

int em_judge(struct em_findings *findings, const struct em_advisor *advisor)
{
    struct results results = { .findings = findings };
    struct em_standing standing;
    int r = em_standing_init(&standing, advisor);

    if (r < 0)
        return r;
    em_vec_each (struct em_case, item, &advisor->loading->cases) {
        r = judge_case(&results, &standing, item);
        if (r < 0)
            return r;
    }
    r = em_fold_notes(findings, advisor, &results.spare);
    if (r < 0)
        return r;
    em_vec_each (struct em_refused_root, refused, &advisor->loading->refused) {
        r = em_is_stack_refusal(advisor->loading, refused->request) ? EM_OK : judge_root(findings, advisor, refused);
        if (r < 0)
            return r;
    }
    em_vec_each (struct em_version_miss, miss, &advisor->loading->versions) {
        r = judge_version(findings, advisor, miss);
        if (r < 0)
            return r;
    }
    em_vec_each (struct em_unreadable, unreadable, &advisor->loading->unreadable) {
        r = judge_unreadable(findings, advisor, unreadable);
        if (r < 0)
            return r;
    }
    return EM_OK;
}
