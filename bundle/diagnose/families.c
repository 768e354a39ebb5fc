#include "bundle/diagnose/families.h"

#include "bundle/diagnose/members.h"

#include <string.h>

#define SHOWN_LINES 12u /* the rest is counted */

struct judging {
    struct em_findings *findings;
    const struct em_advisor *advisor;
    struct em_arena *arena;
    struct em_members members;
};

/* "9.10.2" and "9.10.2.21" are one version: what both have is the same. */
static bool is_same_version(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (*a == '\0' && (*b == '\0' || *b == '.')) || (*b == '\0' && *a == '.');
}

/* ---- evidence ---- */

static int add_member(const struct judging *judging, struct em_finding *finding, const struct em_member *member,
                      const char *head)
{
    const struct em_env_object *asker = em_members_use(&judging->members, member->object)->asker;
    const char *place = em_advise_place(judging->advisor, member->object);
    const char *file = em_path_basename(member->object->path);

    if (!place)
        return EM_NO_MEMORY;
    return em_evidence_add(&finding->evidence, judging->arena, head,
                           em_arena_printf(judging->arena, "%s in %s%s%s", file, place, asker ? ", for " : "",
                                           asker ? em_path_basename(asker->path) : ""));
}

static int add_more(const struct judging *judging, struct em_finding *finding, size_t all)
{
    return em_evidence_add_more(&finding->evidence, judging->arena, "", all > SHOWN_LINES ? all - SHOWN_LINES : 0);
}

/* ---- EM204 ---- */

static bool is_other_build(const struct em_member *a, const struct em_member *b)
{
    return strcmp(a->library, b->library) == 0 && a->elf->build_id_size > 0 && b->elf->build_id_size > 0 &&
           !em_member_is_same_build(a, b);
}

/* The environment has this library in that version too, reached or not, and its bytes are others. */
static bool is_not_of(const struct em_member *member, const char *version)
{
    em_vec_each (const struct em_member *, other, member->same)
        if ((*other)->version && is_same_version((*other)->version, version) && is_other_build(member, *other))
            return true;
    return false;
}

/* What a member is held against: one of its family that serves the same processes, of another version. */
static const struct em_member *rival_of(const struct em_member *member)
{
    em_vec_each (const struct em_member *, one, member->family) {
        const struct em_member *other = *one;

        if (other == member || other->grafted)
            continue;
        if (member->version && other->version ? !is_same_version(member->version, other->version)
            : other->version                  ? is_not_of(member, other->version)
            : member->version                 ? is_not_of(other, member->version)
                                              : is_other_build(member, other))
            return other;
    }
    return NULL;
}

static const char *tell_version(const struct em_member *member)
{
    return member->version ? member->version : "another version";
}

/* One finding a family: the first that is odd, and all others by version. */
static int add_mixed(struct judging *judging, const struct em_member *odd, const struct em_member *rival)
{
    struct em_finding finding = { .id = "EM204",
                                  .severity = odd->grafted ? EM_SEVERITY_NOTE : EM_SEVERITY_WARNING,
                                  .object = odd->object->path,
                                  .owner = odd->object->owner };
    size_t members = 0;
    int r = EM_OK;

    finding.message = em_arena_printf(judging->arena, "is %s of %s, and a process may have %s of it too",
                                      odd->package->component, tell_version(odd), tell_version(rival));
    if (!finding.message)
        return EM_NO_MEMORY;
    em_vec_each (const struct em_member *, member, odd->family)
        if (r == EM_OK && (!(*member)->grafted || *member == odd) && ++members <= SHOWN_LINES)
            r = add_member(judging, &finding, *member, (*member)->version ? (*member)->version : "unknown");
    if (r == EM_OK)
        r = add_more(judging, &finding, members);
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, judging->arena, "it works",
                            odd->grafted
                                ? "within a major: a shim passes on what it is asked"
                                : "by the order of imports: under each name the one that is loaded first serves all who ask");
    if (!odd->grafted && !odd->object->owner)
        finding.help = em_arena_printf(judging->arena, "rm %s, which nobody installed; then elfmend fix %s", odd->object->path,
                                       judging->advisor->env->given);
    else if (!odd->grafted)
        finding.help = em_arena_printf(
            judging->arena, "releases of %s and %s that are built for one version of %s: pip install --upgrade %s",
            odd->object->owner->name, rival->object->owner ? rival->object->owner->name : "the other", odd->package->component,
            odd->object->owner->name);
    return r < 0 ? r : em_vec_push(judging->arena, judging->findings, finding);
}

static int judge_versions(struct judging *judging)
{
    struct em_map told = { .arena = judging->arena }; /* families, by their first member */

    /* The worse first: what serves others by its name, before a shim that serves its own package alone. */
    for (int pass = 0; pass < 2; pass++) {
        em_vec_each (const struct em_member, member, &judging->members) {
            const char *first = member->family ? member->family->items[0]->object->path : NULL;
            const struct em_member *rival;
            int r;

            if (!first || em_map_get(&told, first) || member->grafted != (pass == 1))
                continue;
            if (member->grafted && !em_knowledge_opens(judging->advisor->knowledge, em_path_basename(member->object->path)))
                continue;
            rival = rival_of(member);
            if (!rival)
                continue;
            /* The vendor's own is what the other one is odd beside. */
            r = em_member_is_vendors(&judging->members, member) && !em_member_is_vendors(&judging->members, rival)
                    ? add_mixed(judging, rival, member)
                    : add_mixed(judging, member, rival);
            if (r == EM_OK)
                r = em_map_put(&told, first, member);
            if (r < 0)
                return r;
        }
    }
    return EM_OK;
}

/* ---- EM205 ---- */

static const char *asked_name(const struct em_member *member)
{
    return member->elf->soname ? member->elf->soname : em_path_basename(member->object->path);
}

/* Those of one kind that a process can have beside each other: under one SONAME the first of them serves all. */
static int copies_of(const struct judging *judging, struct em_member_list *copies, const struct em_member_list *kind)
{
    struct em_map names = { .arena = judging->arena };

    em_vec_each (const struct em_member *, member, kind) {
        const char *name = asked_name(*member);

        if (!em_map_get(&names, name) &&
            (em_map_put(&names, name, *member) < 0 || em_vec_push(judging->arena, copies, *member) < 0))
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int add_copies(struct judging *judging, const struct em_member_list *copies)
{
    const struct em_member *first = copies->items[0];
    const struct em_copied *copied = first->copied;
    struct em_finding finding = {
        .id = "EM205", .severity = EM_SEVERITY_NOTE, .object = first->object->path, .owner = first->object->owner
    };
    int r = EM_OK;

    for (size_t i = 1; r == EM_OK && i < copies->count && i <= SHOWN_LINES; i++)
        r = add_member(judging, &finding, copies->items[i], i == 1 ? "also" : "");
    if (r == EM_OK)
        r = add_more(judging, &finding, copies->count - 1);
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, judging->arena, "it costs",
                            copied ? copied->costs : "each has a state of its own: a handle of one is nothing to the other");
    finding.message = em_arena_printf(judging->arena, "is one of %zu copies of %s that a process may have", copies->count,
                                      copied ? copied->what : first->library);
    if (!finding.message)
        return EM_NO_MEMORY;
    return r < 0 ? r : em_vec_push(judging->arena, judging->findings, finding);
}

static int judge_copies(struct judging *judging)
{
    for (size_t i = 0; i < judging->members.kinds.count; i++) {
        struct em_member_list copies = { 0 };
        int r = copies_of(judging, &copies, judging->members.kinds.entries[i].value);

        if (r == EM_OK && copies.count > 1)
            r = add_copies(judging, &copies);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- EM603 ---- */

static const char *tell_build(const struct judging *judging, const struct em_member *stray)
{
    if (stray->version)
        return stray->version;
    em_vec_each (const struct em_member *, member, stray->same)
        if ((*member)->version && stray->elf->build_id_size > 0 && (*member)->elf->build_id_size > 0)
            return em_arena_printf(judging->arena, "unknown: another build than that of %s %s", (*member)->object->owner->name,
                                   (*member)->version);
    return "unknown";
}

/* What the same object opens and the stray's directory does not have. */
static const char *missing_beside(const struct judging *judging, const struct em_case *opened)
{
    const char *list = "";

    em_vec_each (const struct em_case *, item, &em_members_use(&judging->members, opened->object)->misses)
        if (list && (*item)->opening->rule == opened->opening->rule && (*item)->opening->entry->without != EM_WITHOUT_OPTIONAL)
            list = em_arena_printf(judging->arena, "%s%s%s", list, *list ? ", " : "", em_case_name(*item));
    return list;
}

/* The same library as a package of the vendor's has it; NULL: none is installed. */
static const struct em_env_object *installed_as(const struct judging *judging, const struct em_member *stray)
{
    em_vec_each (const struct em_member *, member, stray->same)
        if (!(*member)->grafted && em_member_is_vendors(&judging->members, *member))
            return (*member)->object;
    return NULL;
}

static int add_stray(struct judging *judging, const struct em_member *stray, const struct em_case *opened)
{
    const struct em_advisor *advisor = judging->advisor;
    struct em_finding finding = { .id = "EM603",
                                  .severity = EM_SEVERITY_WARNING,
                                  .object = stray->object->path,
                                  .request = em_case_name(opened),
                                  .requester = opened->object,
                                  .names = opened->opening->names,
                                  .mend = EM_MEND_AWAY,
                                  .obstacle = stray->object->path };
    const struct em_member *opener = em_members_use(&judging->members, opened->object)->member;
    const char *missing = missing_beside(judging, opened), *shim = opener ? opener->version : NULL;
    int r;

    finding.message = em_arena_printf(judging->arena, "is listed in no RECORD: somebody put it there, for %s",
                                      em_path_basename(opened->object->path));
    finding.provider = installed_as(judging, stray);
    finding.help = finding.provider
                       ? em_arena_printf(judging->arena, "elfmend fix %s takes it away, and leads to %s %s",
                                         advisor->env->given, finding.provider->owner->name, finding.provider->owner->version)
                       : em_arena_printf(judging->arena, "pip install '%s', then elfmend fix %s takes it away",
                                         em_advise_package(advisor, opened->object, finding.request), advisor->env->given);
    if (!missing || !finding.message || !finding.help)
        return EM_NO_MEMORY;
    r = em_evidence_add(&finding.evidence, judging->arena, "opened as", opened->request->name);
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, judging->arena, "version", tell_build(judging, stray));
    if (r == EM_OK && shim)
        r = em_evidence_add(&finding.evidence, judging->arena, "shim", shim);
    if (r == EM_OK && *missing)
        r = em_evidence_add(&finding.evidence, judging->arena, "without", missing);
    return r < 0 ? r : em_vec_push(judging->arena, judging->findings, finding);
}

/* Libraries that nobody installed, between those that somebody did. */
static int judge_strays(struct judging *judging)
{
    const struct em_env *env = judging->advisor->env;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_map owned = { .arena = scratch };
    struct em_finding note = { .id = "EM603", .severity = EM_SEVERITY_NOTE, .message = "is listed in no RECORD" };
    size_t others = 0;
    int r = EM_OK;

    if (!scratch)
        return EM_NO_MEMORY;
    em_vec_each (struct em_env_object, object, &env->objects) {
        char *directory = object->owner ? em_path_dirname(scratch, object->path) : NULL;

        if (object->owner && (!directory || em_map_put(&owned, directory, object->owner) < 0))
            return EM_NO_MEMORY;
    }
    em_vec_each (struct em_env_object, object, &env->objects) {
        const struct em_use *use = em_members_use(&judging->members, object);
        const struct em_case *opened = use->member && use->member->package ? use->opened : NULL;
        char *directory = object->owner ? NULL : em_path_dirname(scratch, object->path);

        if (object->owner || !directory || !em_map_get(&owned, directory))
            continue;
        if (opened)
            r = add_stray(judging, use->member, opened);
        else if (!note.object)
            note.object = object->path;
        else if (++others <= SHOWN_LINES)
            r = em_evidence_add(&note.evidence, judging->arena, others == 1 ? "also" : "", em_env_show(env, object->path));
        if (r < 0)
            return r;
    }
    if (!note.object)
        return EM_OK;
    r = add_more(judging, &note, others);
    return r < 0 ? r : em_vec_push(judging->arena, judging->findings, note);
}

int em_judge_families(struct em_findings *findings, const struct em_advisor *advisor)
{
    struct judging judging = { .findings = findings, .advisor = advisor, .arena = advisor->arena };
    int r = em_members_gather(&judging.members, advisor);

    if (r == EM_OK)
        r = judge_versions(&judging);
    if (r == EM_OK)
        r = judge_copies(&judging);
    return r == EM_OK ? judge_strays(&judging) : r;
}
