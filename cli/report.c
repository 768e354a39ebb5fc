#include "cli/survey.h"

#include <string.h>

static const char *paint_of(enum em_severity severity)
{
    switch (severity) {
    case EM_SEVERITY_ERROR: return "red";
    case EM_SEVERITY_WARNING: return "yellow";
    case EM_SEVERITY_NOTE: return "dim";
    }
    return "reset";
}

/* Many objects of one distribution lack the same library of the system's: one command mends them all, so that is told once. */
#define SHOWN_ALIKE 3u
struct alike {
    const struct em_finding *told, *shown[SHOWN_ALIKE];
    size_t others;
};

/* NULL: it stands for itself. */
static struct alike *alike_of(const struct em_map *alikes, const struct em_finding *finding, char **key)
{
    *key = finding->systems && finding->owner
               ? em_arena_printf(alikes->arena, "%d\n%zx\n%s", (int)finding->severity, (size_t)finding->owner, finding->request)
               : NULL;
    return *key ? em_map_get(alikes, *key) : NULL;
}

/* Without memory some are told more than once. */
static void gather_alikes(struct em_map *alikes, const struct em_findings *findings)
{
    em_vec_each (const struct em_finding, finding, findings) {
        char *key;
        struct alike *alike = alike_of(alikes, finding, &key);

        if (alike && alike->others < SHOWN_ALIKE)
            alike->shown[alike->others] = finding;
        if (alike) {
            alike->others++;
        } else if (key && (alike = em_new(alikes->arena, struct alike))) {
            alike->told = finding;
            (void)em_map_put(alikes, key, alike);
        }
    }
}

static void print_others(const struct alike *alike, const struct em_env *env)
{
    for (size_t i = 0; i < alike->others && i < SHOWN_ALIKE; i++)
        printf("  %-10s %s\n", i == 0 ? "so lacks" : "", em_plain(em_env_show(env, alike->shown[i]->object)));
    if (alike->others > SHOWN_ALIKE)
        printf("  %-10s and %zu more of %s\n", "", alike->others - SHOWN_ALIKE, em_plain(alike->told->owner->name));
}

static void print_head(const struct em_finding *finding, const struct em_env *env, bool on)
{
    printf("%s%s%s[%s]%s: %s: %s\n", em_paint(on, "bold"), em_paint(on, paint_of(finding->severity)),
           em_severity_name(finding->severity), finding->id, em_paint(on, "reset"), em_plain(em_env_show(env, finding->object)),
           em_plain(finding->message));
}

static void print_finding(const struct em_finding *finding, const struct alike *alike, const struct em_env *env,
                          const struct em_options *options)
{
    bool on = em_color_on(options, stdout);

    print_head(finding, env, on);
    if (finding->owner)
        printf("  %-10s %s %s\n", "owner", em_plain(finding->owner->name),
               finding->owner->version ? em_plain(finding->owner->version) : "");
    em_vec_each (const char *, line, &finding->evidence)
        printf("  %s\n", em_plain(*line));
    if (alike)
        print_others(alike, env);
    if (finding->help)
        printf("%shelp%s: %s\n", em_paint(on, "green"), em_paint(on, "reset"), em_plain(finding->help));
}

static bool same_strings(const struct em_strings *a, const struct em_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

/* One library of a family after the other is missing for the same reason: the second time only the name is news. */
static bool is_news(const struct em_finding *finding, const struct em_finding *before)
{
    return !before || strcmp(finding->object, before->object) != 0 || strcmp(finding->id, before->id) != 0 || !finding->help ||
           !before->help || strcmp(finding->help, before->help) != 0;
}

void em_print_findings(const struct em_findings *findings, const struct em_env *env, const struct em_options *options)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_map alikes = { .arena = arena };
    const struct em_finding *before = NULL;
    bool on = em_color_on(options, stdout);

    if (!arena)
        return;
    gather_alikes(&alikes, findings);
    em_vec_each (struct em_finding, finding, findings) {
        char *key;
        const struct alike *alike = alike_of(&alikes, finding, &key);

        if (!em_is_shown(finding, options) || (alike && alike->told != finding))
            continue;
        if (is_news(finding, before)) {
            if (before)
                putchar('\n');
            print_finding(finding, alike, env, options);
        } else {
            print_head(finding, env, on);
            if (!same_strings(&finding->evidence, &before->evidence) && finding->evidence.count > 0)
                printf("  %s\n", em_plain(finding->evidence.items[finding->evidence.count - 1]));
        }
        before = finding;
    }
}

json_t *em_finding_json(const struct em_finding *finding, const struct em_env *env)
{
    json_t *object = json_object(), *evidence = json_array();

    em_vec_each (const char *, line, &finding->evidence)
        json_array_append_new(evidence, em_json_string(*line));
    json_object_set_new(object, "id", json_string(finding->id));
    json_object_set_new(object, "severity", json_string(em_severity_name(finding->severity)));
    json_object_set_new(object, "object", em_json_string(em_env_show(env, finding->object)));
    json_object_set_new(object, "owner",
                        finding->owner
                            ? json_pack("{s:s, s:s}", "name", finding->owner->name, "version", finding->owner->version)
                            : json_null());
    json_object_set_new(object, "request", em_json_string(finding->request));
    json_object_set_new(object, "message", em_json_string(finding->message));
    json_object_set_new(object, "evidence", evidence);
    json_object_set_new(object, "help", em_json_string(finding->help));
    json_object_set_new(object, "repair",
                        finding->repair ? json_pack("{s:s, s:s}", "id", finding->repair, "state", finding->repair_state)
                                        : json_null());
    json_object_set_new(object, "action",
                        finding->provider                ? json_string("set-path")
                        : finding->wants_copy            ? json_string("copy")
                        : finding->mend == EM_MEND_STACK ? json_string("clear-execstack")
                                                         : json_null());
    return object;
}

json_t *em_world_json(const struct em_world *world)
{
    json_t *object = json_object(), *directories = json_array();

    for (size_t i = 0; i < world->system_dirs.count; i++)
        json_array_append_new(directories, json_string(world->system_dirs.items[i]));
    json_object_set_new(object, "kind", json_string(world->kind));
    json_object_set_new(object, "libc", json_string(world->libc == EM_LIBC_MUSL ? "musl" : "glibc"));
    json_object_set_new(object, "version", json_sprintf("%u.%u", world->libc_major, world->libc_minor));
    json_object_set_new(object, "interpreter", em_json_string(world->interpreter));
    json_object_set_new(object, "system_dirs", directories);
    json_object_set_new(object, "cache", json_boolean(world->has_cache));
    json_object_set_new(object, "ld_library_path", em_json_string(world->ld_library_path));
    return object;
}

json_t *em_target_json(const struct em_env *env)
{
    json_t *distributions = json_array();

    em_vec_each (struct em_distribution *, distribution, &env->distributions)
        if (!em_env_is_beside(env, (*distribution)->site))
            json_array_append_new(distributions,
                                  json_pack("{s:s, s:s?}", "name", (*distribution)->name, "version", (*distribution)->version));
    return json_pack("{s:o, s:s, s:o, s:I}", "path", em_json_string(env->given), "kind", em_env_kind_name(env->kind),
                     "distributions", distributions, "objects", (json_int_t)em_env_count_objects(env));
}
