#include "bundle/diagnose/members.h"

#include "base/limits.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- names and versions ---- */

/* auditwheel and delocate put a dash and eight hex digits behind the stem: "libgomp-a34b3233.so.1.0.0". */
static size_t graft_of(const char *name, size_t length)
{
    size_t hash = 0;

    while (hash < length && isxdigit((unsigned char)name[length - 1 - hash]))
        hash++;
    return hash == 8 && length > 9 && name[length - 9] == '-' ? 9 : 0;
}

static int name_member(struct em_member *member, struct em_arena *arena, const char *name)
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

bool em_member_is_vendors(const struct em_members *members, const struct em_member *member)
{
    const struct em_distribution *owner = member->object->owner;

    return owner && em_knowledge_is_vendor(members->advisor->knowledge, owner->normalized);
}

static const char *version_of(const struct em_members *members, const struct em_member *member)
{
    const struct em_distribution *owner = member->object->owner;
    const char *so = strstr(em_path_basename(member->object->path), ".so.");

    if (em_member_is_vendors(members, member))
        return owner->version;
    return owner && member->grafted && so && strchr(so + 4, '.') ? so + 4 : NULL;
}

bool em_member_is_same_build(const struct em_member *a, const struct em_member *b)
{
    return a->elf->build_id_size > 0 && a->elf->build_id_size == b->elf->build_id_size &&
           memcmp(a->elf->build_id, b->elf->build_id, a->elf->build_id_size) == 0;
}

/* ---- who there is ---- */

static int gather(struct em_members *members)
{
    const struct em_advisor *advisor = members->advisor;

    for (size_t i = 0; i < advisor->env->objects.count; i++) {
        const struct em_loadable *file = advisor->loading->files[i];
        struct em_member member = { .object = &advisor->env->objects.items[i], .reached = advisor->loading->reached[i] };
        int r;

        if (!file || file->code != EM_OK)
            continue;
        member.elf = &file->object;
        r = name_member(&member, advisor->arena,
                        file->object.soname ? file->object.soname : em_path_basename(member.object->path));
        if (r < 0)
            return r;
        member.package = em_knowledge_package(advisor->knowledge, member.library, member.major);
        member.copied = member.reached ? em_knowledge_copied(advisor->knowledge, member.stem) : NULL;
        if (!member.package && !member.copied)
            continue;
        member.version = version_of(members, &member);
        if (em_vec_push(advisor->arena, members, member) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static char *build_of(struct em_arena *arena, const struct em_member *member)
{
    char *text = em_arena_alloc(arena, 2 * (size_t)member->elf->build_id_size + 1);

    for (size_t i = 0; text && i < member->elf->build_id_size; i++)
        snprintf(text + 2 * i, 3, "%02x", member->elf->build_id[i]);
    return text;
}

/* Copies of a file whose version is known are of that version. */
static int spread_versions(struct em_members *members)
{
    struct em_arena *arena = members->advisor->arena;
    struct em_map versions = { .arena = arena };

    for (int pass = 0; pass < 2; pass++)
        em_vec_each (struct em_member, member, members) {
            char *build = member->elf->build_id_size > 0 ? build_of(arena, member) : NULL;

            if (member->elf->build_id_size == 0)
                continue;
            if (!build)
                return EM_NO_MEMORY;
            if (pass == 1 && !member->version)
                member->version = em_map_get(&versions, build);
            else if (pass == 0 && member->version && !em_map_get(&versions, build) &&
                     em_map_put(&versions, build, member->version) < 0)
                return EM_NO_MEMORY;
        }
    return EM_OK;
}

/* ---- who is whose like ---- */

/* The list of that key, with the member if there is room; NULL: no memory. */
static const struct em_member_list *enlist(struct em_map *lists, const char *key, const struct em_member *member, size_t most)
{
    struct em_member_list *list = key ? em_map_get(lists, key) : NULL;

    if (key && !list) {
        list = em_new(lists->arena, struct em_member_list);
        if (!list || em_map_put(lists, key, list) < 0)
            return NULL;
    }
    return list && (list->count == most || em_vec_push(lists->arena, list, member) == EM_OK) ? list : NULL;
}

/* The members stay where they are from here on. */
static int enlist_all(struct em_members *members)
{
    struct em_arena *arena = members->advisor->arena;
    struct em_map families = { .arena = arena }, libraries = { .arena = arena };

    em_vec_each (struct em_member, member, members) {
        const char *kind = member->package ? member->library : em_arena_printf(arena, "%p", (const void *)member->copied);

        members->uses[member->object - members->advisor->env->objects.items].member = member;
        member->same = enlist(&libraries, member->library, member, EM_MAX_FAMILY);
        if (!member->same || (member->reached && !enlist(&members->kinds, kind, member, SIZE_MAX)))
            return EM_NO_MEMORY;
        if (!member->reached || !member->package)
            continue;
        member->family = enlist(&families, em_arena_printf(arena, "%p\n%s", (const void *)member->package, member->major),
                                member, EM_MAX_FAMILY);
        if (!member->family)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int note_uses(struct em_members *members)
{
    const struct em_loading *loading = members->advisor->loading;

    em_vec_each (struct em_case, item, &loading->cases) {
        const bool missing = em_case_is_missing(item);
        const struct em_env_object *found = !missing && item->request->file
                                                ? em_loading_object(loading, &item->request->file->node)
                                                : NULL;
        struct em_use *own = &members->uses[item->object - members->advisor->env->objects.items];
        struct em_use *use = found ? &members->uses[found - members->advisor->env->objects.items] : NULL;

        if (missing && item->opening && em_vec_push(members->advisor->arena, &own->misses, item) < 0)
            return EM_NO_MEMORY;
        if (use && !use->asker && item->object != found)
            use->asker = item->object;
        if (use && !use->opened && item->opening)
            use->opened = item;
    }
    return EM_OK;
}

int em_members_gather(struct em_members *members, const struct em_advisor *advisor)
{
    int r;

    *members = (struct em_members){ .advisor = advisor, .kinds = { .arena = advisor->arena } };
    members->uses = em_arena_array(advisor->arena, advisor->env->objects.count, sizeof *members->uses);
    if (!members->uses)
        return EM_NO_MEMORY;
    r = gather(members);
    if (r == EM_OK)
        r = spread_versions(members);
    if (r == EM_OK)
        r = enlist_all(members);
    return r == EM_OK ? note_uses(members) : r;
}

const struct em_use *em_members_use(const struct em_members *members, const struct em_env_object *object)
{
    return &members->uses[object - members->advisor->env->objects.items];
}
