/* modules.h: modules of one distribution that share a fault are one finding. Private to diagnose. */
#ifndef EM_BUNDLE_DIAGNOSE_MODULES_H
#define EM_BUNDLE_DIAGNOSE_MODULES_H

#include "bundle/diagnose/diagnose.h"

struct em_module_group {
    const struct em_distribution *owner;
    char fault[64]; /* what they are built for, or why they cannot be loaded */
    struct em_strings paths;
};

struct em_module_groups {
    EM_VEC(struct em_module_group);
};

int em_module_groups_add(struct em_module_groups *groups, struct em_arena *arena, const struct em_env_object *object,
                         const char *fault);

/* Evidence: the first few of the modules besides the one that the finding is about, and how many more there are. */
int em_module_group_show(struct em_arena *arena, struct em_finding *finding, const struct em_env *env,
                         const struct em_module_group *group);

#endif
