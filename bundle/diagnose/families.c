#include "bundle/diagnose/families.h"

#include <ctype.h>
#include <string.h>

/* An object of the environment that belongs to a family of the tables, or is one of those that a process should have once. */
struct member {
    const struct em_env_object *object;
    const struct em_object *elf;
    const char *library; /* as packages carry it: "libcudnn.so.9" for libcudnn-74a4c495.so.9.1.0 */
    const char *stem;    /* "libcudnn" */
    bool grafted;        /* its name has the hash that auditwheel gives: nobody else asks for it */
    bool reached;
    const struct em_package *package; /* NULL: of no family */
    char major[16];
    const char *version; /* NULL: unknown */
};

struct members {
    EM_VEC(struct member);
};

struct judging {
    struct em_findings *findings;
    const struct em_advisor *advisor;
    struct em_arena *arena;
    struct members members;
};

/* ---- names and versions ---- */

/* auditwheel and delocate put a dash and eight hex digits behind the stem: "libgomp-a34b3233.so.1.0.0". */
static size_t graft_of(const char *name, size_t length)
{
    size_t hash = 0;

    while (hash < length && isxdigit((unsigned char)name[length - 1 - hash]))
        hash++;
    return hash == 8 && length > 9 && name[length - 9] == '-' ? 9 : 0;
}

static int name_member(struct member *member, struct em_arena *arena, const char *name)
{
    const char *so = strstr(name, ".so"), *behind = so ? so + 3 : "";
    size_t length = so ? (size_t)(so - name) : strlen(name), graft = graft_of(name, length);

    member->grafted = graft > 0;
    member->stem = em_arena_strndup(arena, name, length - graft);
    if (!member->stem)
        return EM_NO_MEMORY;
    /* A graft keeps the number that its original had on disk, a SONAME mostly the major alone. */
    member->library = em_arena_printf(arena, "%s.so%.*s", member->stem,
                                      (int)(*behind == '.' ? 1 + strspn(behind + 1, "0123456789") : 0), behind);
    return member->library ? EM_OK : EM_NO_MEMORY;
}

static const char *version_of(const struct judging *judging, const struct member *member)
{
    const struct em_distribution *owner = member->object->owner;
    const char *so = strstr(em_path_basename(member->object->path), ".so.");

    if (owner && em_knowledge_is_vendor(judging->advisor->knowledge, owner->normalized))
        return owner->version;
    return owner && member->grafted && so && strchr(so + 4, '.') ? so + 4 : NULL;
}

/* "9.10.2" and "9.10.2.21" are one version: what both have is the same. */
static bool is_same_version(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (*a == '\0' && (*b == '\0' || *b == '.')) || (*b == '\0' && *a == '.');
}

static bool is_same_build(const struct member *a, const struct member *b)
{
    return a->elf->build_id_size > 0 && a->elf->build_id_size == b->elf->build_id_size &&
           memcmp(a->elf->build_id, b->elf->build_id, a->elf->build_id_size) == 0;
}

/* Copies of a file whose version is known are of that version. */
static void spread_versions(struct members *members)
{
    em_vec_each (struct member, member, members)
        em_vec_each (struct member, other, members)
            if (!member->version && other->version && is_same_build(member, other))
                member->version = other->version;
}

static int gather(struct judging *judging)
{
    const struct em_advisor *advisor = judging->advisor;

    for (size_t i = 0; i < advisor->env->objects.count; i++) {
        const struct em_loadable *file = advisor->loading->files[i];
        struct member member = { .object = &advisor->env->objects.items[i], .reached = advisor->loading->reached[i] };
        int r;

        if (!file || file->code != EM_OK)
            continue;
        member.elf = &file->object;
        r = name_member(&member, judging->arena,
                        file->object.soname ? file->object.soname : em_path_basename(member.object->path));
        if (r < 0)
            return r;
        member.package = em_knowledge_package(advisor->knowledge, member.library, member.major);
        if (!member.package && (!member.reached || !em_knowledge_copied(advisor->knowledge, member.stem)))
            continue;
        member.version = version_of(judging, &member);
        if (em_vec_push(judging->arena, &judging->members, member) < 0)
            return EM_NO_MEMORY;
    }
    spread_versions(&judging->members);
    return EM_OK;
}

/* ---- evidence ---- */

/* Who has it from there. NULL: an import does, by itself. */
static const struct em_env_object *asker_of(const struct judging *judging, const struct member *member)
{
    em_vec_each (struct em_case, item, &judging->advisor->loading->cases)
        if (!em_case_is_missing(item) && item->request->file && item->object != member->object &&
            em_loading_object(judging->advisor->loading, &item->request->file->node) == member->object)
            return item->object;
    return NULL;
}

static int add_member(const struct judging *judging, struct em_finding *finding, const struct member *member, const char *head)
{
    const struct em_env_object *asker = asker_of(judging, member);
    const char *place = em_advise_place(judging->advisor, member->object);
    const char *file = em_path_basename(member->object->path);

    if (!place)
        return EM_NO_MEMORY;
    return em_evidence_add(&finding->evidence, judging->arena, head,
                           em_arena_printf(judging->arena, "%s in %s%s%s", file, place, asker ? ", for " : "",
                                           asker ? em_path_basename(asker->path) : ""));
}

static bool is_family(const struct member *a, const struct member *b)
{
    return a->package && a->package == b->package && strcmp(a->major, b->major) == 0;
}

/* ---- EM204 ---- */

static bool is_other_build(const struct member *a, const struct member *b)
{
    return strcmp(a->library, b->library) == 0 && a->elf->build_id_size > 0 && b->elf->build_id_size > 0 &&
           !is_same_build(a, b);
}

/* The environment has this library in that version too, reached or not, and its bytes are others. */
static bool is_not_of(const struct judging *judging, const struct member *member, const char *version)
{
    em_vec_each (const struct member, other, &judging->members)
        if (other->version && is_same_version(other->version, version) && is_other_build(member, other))
            return true;
    return false;
}

/* What a member is held against: one of its family that serves the same processes, of another version. */
static const struct member *rival_of(const struct judging *judging, const struct member *member)
{
    em_vec_each (const struct member, other, &judging->members) {
        if (other == member || !other->reached || other->grafted || !is_family(member, other))
            continue;
        if (member->version && other->version ? !is_same_version(member->version, other->version)
            : other->version                  ? is_not_of(judging, member, other->version)
            : member->version                 ? is_not_of(judging, other, member->version)
                                              : is_other_build(member, other))
            return other;
    }
    return NULL;
}

static const char *tell_version(const struct member *member)
{
    return member->version ? member->version : "another version";
}

/* One finding a family: the first that is odd, and all others by version. */
static int add_mixed(struct judging *judging, const struct member *odd, const struct member *rival)
{
    struct em_finding finding = { .id = "EM204",
                                  .severity = odd->grafted ? EM_SEVERITY_NOTE : EM_SEVERITY_WARNING,
                                  .object = odd->object->path,
                                  .owner = odd->object->owner };
    int r = EM_OK;

    finding.message = em_arena_printf(judging->arena, "is %s of %s, and a process may have %s of it too",
                                      odd->package->component, tell_version(odd), tell_version(rival));
    if (!finding.message)
        return EM_NO_MEMORY;
    em_vec_each (const struct member, member, &judging->members)
        if (r == EM_OK && member->reached && is_family(member, odd) && (!member->grafted || member == odd))
            r = add_member(judging, &finding, member, member->version ? member->version : "unknown");
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

static bool is_vendors(const struct judging *judging, const struct member *member)
{
    const struct em_distribution *owner = member->object->owner;

    return owner && em_knowledge_is_vendor(judging->advisor->knowledge, owner->normalized);
}

static int judge_versions(struct judging *judging)
{
    struct members told = { 0 };

    /* The worse first: what serves others by its name, before a shim that serves its own package alone. */
    for (int pass = 0; pass < 2; pass++) {
        em_vec_each (const struct member, member, &judging->members) {
            const struct member *rival;
            bool known = false;
            int r;

            em_vec_each (const struct member, other, &told)
                known = known || is_family(member, other);
            if (known || !member->reached || !member->package || member->grafted != (pass == 1))
                continue;
            if (member->grafted && !em_knowledge_opens(judging->advisor->knowledge, em_path_basename(member->object->path)))
                continue;
            rival = rival_of(judging, member);
            if (!rival)
                continue;
            /* The vendor's own is what the other one is odd beside. */
            r = is_vendors(judging, member) && !is_vendors(judging, rival) ? add_mixed(judging, rival, member)
                                                                           : add_mixed(judging, member, rival);
            if (r == EM_OK)
                r = em_vec_push(judging->arena, &told, *member);
            if (r < 0)
                return r;
        }
    }
    return EM_OK;
}

/* ---- EM205 ---- */

static const char *asked_name(const struct member *member)
{
    return member->elf->soname ? member->elf->soname : em_path_basename(member->object->path);
}

/* Both are one library, or do the same. */
static bool is_kind(const struct judging *judging, const struct member *a, const struct member *b)
{
    const struct em_copied *copied = em_knowledge_copied(judging->advisor->knowledge, a->stem);

    if (!a->reached || !b->reached)
        return false;
    return a->package || b->package ? strcmp(a->library, b->library) == 0
                                    : copied && copied == em_knowledge_copied(judging->advisor->knowledge, b->stem);
}

/* Those of one kind that a process can have beside each other: under one SONAME the first of them serves all. */
static int copies_of(const struct judging *judging, struct members *copies, const struct member *first)
{
    em_vec_each (const struct member, member, &judging->members) {
        bool known = !is_kind(judging, first, member);

        em_vec_each (const struct member, other, copies)
            known = known || strcmp(asked_name(other), asked_name(member)) == 0;
        if (!known && em_vec_push(judging->arena, copies, *member) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int add_copies(struct judging *judging, const struct members *copies)
{
    const struct member *first = &copies->items[0];
    const struct em_copied *copied = em_knowledge_copied(judging->advisor->knowledge, first->stem);
    struct em_finding finding = {
        .id = "EM205", .severity = EM_SEVERITY_NOTE, .object = first->object->path, .owner = first->object->owner
    };
    int r = EM_OK;

    for (size_t i = 1; r == EM_OK && i < copies->count; i++)
        r = add_member(judging, &finding, &copies->items[i], i == 1 ? "also" : "");
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
    em_vec_each (const struct member, member, &judging->members) {
        struct members copies = { 0 };
        int r = copies_of(judging, &copies, member);

        /* Told once, by the first of them. */
        if (r == EM_OK && copies.count > 1 && copies.items[0].object == member->object)
            r = add_copies(judging, &copies);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- EM603 ---- */

/* The opening that the object answers; NULL: none. */
static const struct em_case *opened_as(const struct judging *judging, const struct em_env_object *object)
{
    em_vec_each (struct em_case, item, &judging->advisor->loading->cases)
        if (item->opening && !em_case_is_missing(item) && item->request->file &&
            em_loading_object(judging->advisor->loading, &item->request->file->node) == object)
            return item;
    return NULL;
}

static const char *tell_build(const struct judging *judging, const struct member *stray)
{
    if (stray->version)
        return stray->version;
    em_vec_each (const struct member, member, &judging->members)
        if (member->version && strcmp(member->library, stray->library) == 0 && stray->elf->build_id_size > 0 &&
            member->elf->build_id_size > 0)
            return em_arena_printf(judging->arena, "unknown: another build than that of %s %s", member->object->owner->name,
                                   member->version);
    return "unknown";
}

/* What the same object opens and the stray's directory does not have. */
static const char *missing_beside(const struct judging *judging, const struct em_case *opened)
{
    const char *list = "";

    em_vec_each (struct em_case, item, &judging->advisor->loading->cases)
        if (list && item->opening && item->opening->rule == opened->opening->rule && item->object == opened->object &&
            item->opening->entry->without != EM_WITHOUT_OPTIONAL && em_case_is_missing(item))
            list = em_arena_printf(judging->arena, "%s%s%s", list, *list ? ", " : "", em_case_name(item));
    return list;
}

/* The same library as a package of the vendor's has it; NULL: none is installed. */
static const struct em_env_object *installed_as(const struct judging *judging, const struct member *stray)
{
    em_vec_each (const struct member, member, &judging->members)
        if (!member->grafted && strcmp(member->library, stray->library) == 0 && is_vendors(judging, member))
            return member->object;
    return NULL;
}

static int add_stray(struct judging *judging, const struct member *stray, const struct em_case *opened)
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
    const char *missing = missing_beside(judging, opened), *shim = NULL;
    int r;

    em_vec_each (const struct member, member, &judging->members)
        if (member->object == opened->object)
            shim = member->version;
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

static const struct member *member_of(const struct judging *judging, const struct em_env_object *object)
{
    em_vec_each (const struct member, member, &judging->members)
        if (member->object == object)
            return member;
    return NULL;
}

/* Libraries that nobody installed, between those that somebody did. */
static int judge_strays(struct judging *judging)
{
    const struct em_env *env = judging->advisor->env;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_map owned = { .arena = scratch };
    struct em_finding note = { .id = "EM603", .severity = EM_SEVERITY_NOTE, .message = "is listed in no RECORD" };
    int r = EM_OK;

    if (!scratch)
        return EM_NO_MEMORY;
    em_vec_each (struct em_env_object, object, &env->objects) {
        char *directory = object->owner ? em_path_dirname(scratch, object->path) : NULL;

        if (object->owner && (!directory || em_map_put(&owned, directory, object->owner) < 0))
            return EM_NO_MEMORY;
    }
    em_vec_each (struct em_env_object, object, &env->objects) {
        const struct member *member = object->owner ? NULL : member_of(judging, object);
        const struct em_case *opened = member && member->package ? opened_as(judging, object) : NULL;
        char *directory = object->owner ? NULL : em_path_dirname(scratch, object->path);

        if (object->owner || !directory || !em_map_get(&owned, directory))
            continue;
        if (opened)
            r = add_stray(judging, member, opened);
        else if (!note.object)
            note.object = object->path;
        else
            r = em_evidence_add(&note.evidence, judging->arena, note.evidence.count == 0 ? "also" : "",
                                em_env_show(env, object->path));
        if (r < 0)
            return r;
    }
    return note.object ? em_vec_push(judging->arena, judging->findings, note) : EM_OK;
}

int em_judge_families(struct em_findings *findings, const struct em_advisor *advisor)
{
    struct judging judging = { .findings = findings, .advisor = advisor, .arena = advisor->arena };
    int r = gather(&judging);

    if (r == EM_OK)
        r = judge_versions(&judging);
    if (r == EM_OK)
        r = judge_copies(&judging);
    return r == EM_OK ? judge_strays(&judging) : r;
}
