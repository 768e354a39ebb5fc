#include "bundle/diagnose/modules.h"

#include <stdio.h>
#include <string.h>

int em_module_groups_add(struct em_module_groups *groups, struct em_arena *arena, const struct em_env_object *object,
                         const char *fault)
{
    struct em_module_group added = { .owner = object->owner };

    em_vec_each (struct em_module_group, group, groups)
        if (group->owner == object->owner && strcmp(group->fault, fault) == 0)
            return em_vec_push(arena, &group->paths, object->path);
    snprintf(added.fault, sizeof added.fault, "%s", fault);
    if (em_vec_push(arena, &added.paths, object->path) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(arena, groups, added);
}

#define SHOWN_SIBLINGS 3u

int em_module_group_show(struct em_arena *arena, struct em_finding *finding, const struct em_env *env,
                         const struct em_module_group *group)
{
    int r = EM_OK;

    for (size_t i = 1; r == EM_OK && i < group->paths.count && i <= SHOWN_SIBLINGS; i++)
        r = em_evidence_add(&finding->evidence, arena, i == 1 ? "also" : "", em_env_show(env, group->paths.items[i]));
    if (r == EM_OK && group->paths.count > SHOWN_SIBLINGS + 1)
        r = em_evidence_add(&finding->evidence, arena, "",
                            em_arena_printf(arena, "and %zu more of %s", group->paths.count - SHOWN_SIBLINGS - 1,
                                            group->owner ? group->owner->name : "nobody's"));
    return r;
}
