#include "bundle/diagnose/troubles.h"

#include <string.h>

#define SHOWN_LINES 5u
#define COUNTED_LINES 1000u /* different ones; who has more has "more than" */

struct em_trouble_told {
    struct em_trouble trouble;
    const char *last;          /* object */
    struct em_strings objects; /* the first one, and those that are shown beside it */
    struct em_strings details; /* those that are shown */
    size_t object_count, detail_count;
};

static struct em_trouble_told *told_of(struct em_troubles *troubles, const struct em_trouble *wanted)
{
    char *key = em_arena_printf(troubles->scratch, "T%s\n%d\n%p\n%s", wanted->id, (int)wanted->severity,
                                (const void *)wanted->owner, wanted->key);
    size_t number = key ? (size_t)(uintptr_t)em_map_get(&troubles->known, key) : 0;
    struct em_trouble_told told = { .trouble = *wanted };

    if (!key || number > 0)
        return key ? &troubles->items[number - 1] : NULL;
    key = em_arena_strdup(troubles->arena, key);
    told.trouble.key = NULL; /* it has done its work */
    told.trouble.message = em_arena_strdup(troubles->arena, wanted->message);
    told.trouble.help = wanted->help ? em_arena_strdup(troubles->arena, wanted->help) : NULL;
    if (!key || !told.trouble.message || (wanted->help && !told.trouble.help) ||
        em_vec_push(troubles->arena, troubles, told) < 0 ||
        em_map_put(&troubles->known, key, (void *)(uintptr_t)troubles->count) < 0)
        return NULL;
    return &troubles->items[troubles->count - 1];
}

static int add_detail(struct em_troubles *troubles, struct em_trouble_told *told, const char *head, const char *text)
{
    const char *detail = em_evidence_line(troubles->scratch, head, text);
    char *key;

    if (!detail || told->detail_count > COUNTED_LINES)
        return detail ? EM_OK : EM_NO_MEMORY;
    key = em_arena_printf(troubles->scratch, "L%zu\n%s", (size_t)(told - troubles->items), detail);
    if (key && em_map_get(&troubles->known, key))
        return EM_OK;
    key = key ? em_arena_strdup(troubles->arena, key) : NULL;
    if (!key || em_map_put(&troubles->known, key, told) < 0)
        return EM_NO_MEMORY;
    told->detail_count++;
    return told->detail_count <= SHOWN_LINES ? em_vec_push(troubles->arena, &told->details, strchr(key, '\n') + 1) : EM_OK;
}

int em_trouble_add(struct em_troubles *troubles, const struct em_trouble *trouble, const char *object, const char *head,
                   const char *text)
{
    struct em_trouble_told *told = told_of(troubles, trouble);

    if (!told)
        return EM_NO_MEMORY;
    if (!told->last || strcmp(told->last, object) != 0) {
        told->last = object;
        told->object_count++;
        if (told->object_count <= SHOWN_LINES + 1 && em_vec_push(troubles->arena, &told->objects, object) < 0)
            return EM_NO_MEMORY;
    }
    return head ? add_detail(troubles, told, head, text) : EM_OK;
}

static int add_objects(struct em_finding *finding, struct em_arena *arena, const struct em_trouble_told *told,
                       const struct em_env *env)
{
    for (size_t i = 1; i < told->objects.count; i++)
        if (em_evidence_add(&finding->evidence, arena, i == 1 ? "also" : "", em_env_show(env, told->objects.items[i])) < 0)
            return EM_NO_MEMORY;
    return em_evidence_add_more(&finding->evidence, arena, "", told->object_count - told->objects.count);
}

static int add_details(struct em_finding *finding, struct em_arena *arena, const struct em_trouble_told *told)
{
    const bool uncounted = told->detail_count > COUNTED_LINES;

    em_vec_each (const char *, detail, &told->details)
        if (em_vec_push(arena, &finding->evidence, *detail) < 0)
            return EM_NO_MEMORY;
    return em_evidence_add_more(&finding->evidence, arena, uncounted ? "more than " : "",
                                told->detail_count - told->details.count - (uncounted ? 1 : 0));
}

int em_troubles_tell(struct em_findings *findings, struct em_troubles *troubles, const struct em_env *env)
{
    em_vec_each (const struct em_trouble_told, told, troubles) {
        struct em_finding finding = { .id = told->trouble.id,
                                      .severity = told->trouble.severity,
                                      .object = told->objects.items[0],
                                      .owner = told->trouble.owner,
                                      .message = told->trouble.message,
                                      .help = told->trouble.help };

        if (add_details(&finding, troubles->arena, told) < 0 || add_objects(&finding, troubles->arena, told, env) < 0 ||
            em_vec_push(troubles->arena, findings, finding) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}
