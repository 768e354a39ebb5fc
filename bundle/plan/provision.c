#include "bundle/plan/provision.h"

#include "bundle/plan/sbom.h"

#include <ctype.h>
#include <string.h>

void em_provision_init(struct em_provision *provision, struct em_arena *arena, const struct em_diagnosis *before,
                       const struct em_plan_wish *wish)
{
    *provision = (struct em_provision){ .arena = arena,
                                        .before = before,
                                        .wish = wish,
                                        .chosen = { .arena = arena },
                                        .versions = { .arena = arena },
                                        .families = { .arena = arena } };
}

/* "cudnn 9"; of a library that the tables do not know, its name alone: a family of one. */
static const char *family_of(struct em_provision *provision, const char *name)
{
    const char *family = em_map_get(&provision->families, name), *copy;
    const struct em_package *package;
    char major[16];

    if (family)
        return family;
    package = em_knowledge_package(provision->before->knowledge, name, major);
    copy = em_arena_strdup(provision->arena, name);
    family = package ? em_arena_printf(provision->arena, "%s %s", package->component, major) : copy;
    return family && copy && em_map_put(&provision->families, copy, family) == EM_OK ? family : NULL;
}

/* ---- what a round asks for ---- */

struct group {
    EM_VEC(const void *);
};

static int add_to_group(struct em_arena *arena, struct em_map *groups, const char *key, const void *item)
{
    struct group *group = em_map_get(groups, key);

    if (!group) {
        group = em_new(arena, struct group);
        if (!group || em_map_put(groups, key, group) < 0)
            return EM_NO_MEMORY;
    }
    return em_vec_push(arena, group, item);
}

static const struct group *group_of(const struct em_map *groups, const char *key)
{
    static const struct group none;
    const struct group *group = em_map_get(groups, key);

    return group ? group : &none;
}

static int parse(struct em_provision *provision, struct em_tree *tree, const char *path, const struct em_object **object,
                 struct em_error *error)
{
    struct em_object *parsed = em_map_get(&provision->round.parsed, path);
    em_cleanup_file struct em_file *file = NULL;
    int r;

    *object = parsed;
    if (parsed)
        return EM_OK;
    *object = parsed = em_new(provision->arena, struct em_object);
    r = parsed ? em_tree_open(tree, path, &file) : -ENOMEM;
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, path, "cannot be opened");
    }
    r = em_object_read(parsed, provision->arena, &file->reader, error);
    return r < 0 ? r : em_map_put(&provision->round.parsed, path, parsed);
}

static int add_wants(struct em_provision *provision, struct em_tree *tree, const char *key, struct em_family *family,
                     struct em_map *wanted, struct em_error *error)
{
    em_vec_each (const void *, of_family, group_of(&provision->round.by_family, key)) {
        const struct em_finding *finding = *of_family;
        struct em_want want = { 0 };
        int r;

        if (em_map_get(wanted, finding->request))
            continue;
        /* What is told of it outlives the round that the finding is of. */
        want.name = em_arena_strdup(provision->arena, finding->request);
        if (!want.name || em_map_put(wanted, want.name, family) < 0)
            return EM_NO_MEMORY;
        r = parse(provision, tree, finding->requester->path, &want.requester, error);
        if (r == EM_OK)
            r = em_vec_push(provision->arena, &family->wants, want);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* What is in archives is looked for once for all that is asked for now, and not by each name. */
static int begin_round(struct em_provision *provision, const struct em_findings *findings, struct em_error *error)
{
    struct em_strings names = { 0 };

    if (provision->round.findings == findings->items)
        return EM_OK;
    provision->round = (struct em_provision_round){ .findings = findings->items,
                                                    .by_family = { .arena = provision->arena },
                                                    .parsed = { .arena = provision->arena } };
    em_vec_each (const struct em_finding, finding, findings) {
        const char *family = family_of(provision, finding->request);

        if (!family || add_to_group(provision->arena, &provision->round.by_family, family, finding) < 0)
            return EM_NO_MEMORY;
    }
    em_vec_each (struct em_finding, finding, findings)
        if (em_vec_push(provision->arena, &names, finding->request) < 0)
            return EM_NO_MEMORY;
    em_vec_each (struct em_source *, source, &provision->wish->sources) {
        int r = em_source_look(*source, &names, false, error);

        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* Under no file name that tells: then each library that a source holds is asked what it calls itself. */
static int look_deeper(struct em_provision *provision, const struct em_family *family, bool *news, struct em_error *error)
{
    struct em_strings names = { 0 };

    *news = false;
    em_vec_each (struct em_want, want, &family->wants)
        if (em_vec_push(provision->arena, &names, want->name) < 0)
            return EM_NO_MEMORY;
    em_vec_each (struct em_source *, source, &provision->wish->sources) {
        const size_t before = (*source)->candidates.count;
        int r = em_source_look(*source, &names, true, error);

        if (r < 0)
            return r;
        *news = *news || (*source)->candidates.count > before;
    }
    return EM_OK;
}

static int choose(struct em_provision *provision, const struct em_family *family, struct em_selection *selection,
                  struct em_error *error)
{
    return em_source_select(selection, provision->arena, &provision->wish->sources, family, provision->before->world,
                            provision->wish->pins, error);
}

/* What the environment has of the families that the tables know. */
static int gather_installed(struct em_provision *provision)
{
    if (provision->installed.arena)
        return EM_OK;
    provision->installed.arena = provision->arena;
    em_vec_each (const struct em_env_object, object, &provision->before->env->objects) {
        const char *name = em_path_basename(object->path), *family;

        if (!object->owner || !em_knowledge_package(provision->before->knowledge, name, NULL))
            continue;
        family = family_of(provision, name);
        if (!family || add_to_group(provision->arena, &provision->installed, family, object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* Of the others that the environment has of the family, a copy that we made once included; NULL: it has none that could be told. */
static const char *installed_version(struct em_provision *provision, const char *key, const struct em_map *wanted)
{
    em_vec_each (const void *, of_family, group_of(&provision->installed, key)) {
        const struct em_env_object *object = *of_family;
        const char *version;

        if (em_map_get(wanted, em_path_basename(object->path)))
            continue;
        version = em_knowledge_is_vendor(provision->before->knowledge, object->owner->normalized)
                      ? object->owner->version
                      : em_sbom_version(provision->before->env, provision->arena, object->owner, object->path);
        if (version)
            return version;
    }
    return NULL;
}

/* The shim that asks was split off from a family of that version: libcudnn-74a4c495.so.9.1.0 for libcudnn_cnn.so.9. */
static const char *own_version(const struct em_finding *finding)
{
    const char *own = strstr(em_path_basename(finding->requester->path), ".so."), *asked = strstr(finding->request, ".so.");

    if (!own || !asked || !isdigit((unsigned char)own[4]) || !strchr(own + 4, '.') ||
        strtoul(own + 4, NULL, 10) != strtoul(asked + 4, NULL, 10))
        return NULL;
    return own + 4;
}

/* A family is chosen once for each of its members that is asked for, out of the same files. */
static bool is_told(const struct em_provision *provision, const struct em_passed_over *passed)
{
    em_vec_each (const struct em_passed_over, told, &provision->passed_over)
        if (strcmp(told->name, passed->name) == 0 && strcmp(told->candidate, passed->candidate) == 0 &&
            strcmp(told->why, passed->why) == 0)
            return true;
    return false;
}

static int keep(struct em_provision *provision, const char *key, const struct em_family *family,
                const struct em_selection *selection)
{
    for (size_t i = 0; i < family->wants.count; i++) {
        const char *name = em_arena_printf(provision->arena, "%s\n%s", key, family->wants.items[i].name);

        if (!name || em_map_put(&provision->chosen, name, selection->taken.items[i]) < 0)
            return EM_NO_MEMORY;
    }
    em_vec_each (const struct em_passed_over, passed, &selection->passed_over)
        if (!is_told(provision, passed) && em_vec_push(provision->arena, &provision->passed_over, *passed) < 0)
            return EM_NO_MEMORY;
    return selection->version ? em_map_put(&provision->versions, key, selection->version) : EM_OK;
}

int em_provide(struct em_provision *provision, struct em_tree *tree, const struct em_findings *findings,
               const struct em_finding *finding, struct em_candidate **candidate, struct em_error *error)
{
    const char *key = family_of(provision, finding->request);
    const char *name = key ? em_arena_printf(provision->arena, "%s\n%s", key, finding->request) : NULL;
    struct em_family family = { .requester = em_path_basename(finding->requester->path) };
    struct em_map wanted = { .arena = provision->arena };
    struct em_selection selection;
    const char *installed;
    bool news = false;
    int r;

    if (!name)
        return EM_NO_MEMORY;
    *candidate = em_map_get(&provision->chosen, name);
    if (*candidate)
        return EM_OK;
    r = begin_round(provision, findings, error);
    if (r == EM_OK)
        r = gather_installed(provision);
    if (r == EM_OK)
        r = add_wants(provision, tree, key, &family, &wanted, error);
    if (r < 0)
        return r;
    installed = installed_version(provision, key, &wanted);
    family.exactly = em_map_get(&provision->versions, key);
    if (!family.exactly && !finding->provider)
        family.exactly = installed;
    family.near = installed ? installed : own_version(finding);
    r = choose(provision, &family, &selection, error);
    if (r == EM_OK && !selection.taken.items[0] && selection.passed_over.count == 0)
        r = look_deeper(provision, &family, &news, error);
    if (r == EM_OK && news)
        r = choose(provision, &family, &selection, error);
    if (r == EM_OK)
        r = keep(provision, key, &family, &selection);
    if (r == EM_OK)
        *candidate = em_map_get(&provision->chosen, name);
    return r;
}

int em_provision_tell(const struct em_provision *provision, struct em_plan *plan)
{
    em_vec_each (const struct em_passed_over, passed, &provision->passed_over)
        if (em_vec_push(provision->arena, &plan->not_taken,
                        ((struct em_not_taken){ passed->name, passed->candidate, passed->why })) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}
