#include "cli/explain.h"

#include "cli/loading.h"
#include "cli/survey.h"

#include <string.h>

/* ---- the one change ---- */

/* The path that would lead to the target's own; for an edge that finds nothing, or finds it outside. */
static const char *path_to_provider(const struct em_explain *explain, const struct em_explain_edge *edge,
                                    const struct em_env_object *provider)
{
    struct em_arena *arena = explain->options.arena;
    const struct em_loadable *file;
    char *from, *to, *relative;
    bool runpath;

    file = em_loader_look(explain->loader, edge->object->path);
    runpath = file && file->code == EM_OK && file->object.runpath;
    from = em_path_dirname(arena, edge->object->path);
    to = em_path_dirname(arena, provider->path);
    relative = from && to ? em_path_relative(arena, from, to) : NULL;
    if (!relative)
        return NULL;
    return em_arena_printf(arena, "$ORIGIN%s%s in the %s of %s would find it, in %s: `elfmend %s` does that",
                           strcmp(relative, ".") == 0 ? "" : "/", strcmp(relative, ".") == 0 ? "" : relative,
                           runpath ? "DT_RUNPATH" : "DT_RPATH", em_env_show(&explain->env, edge->object->path),
                           em_env_show(&explain->env, provider->path), explain->env.kind == EM_ENV_WHEEL ? "repack" : "fix");
}

static const char *change_if_missing(const struct em_explain *explain, const struct em_explain_edge *edge)
{
    struct em_arena *arena = explain->options.arena;
    const struct em_env_object *provider = em_map_get(&explain->by_name, edge->name);

    if (!provider)
        return em_arena_printf(arena, "%s is nowhere in the target: install what brings it (`elfmend audit` names the package)",
                               edge->name);
    if (!edge->object)
        return em_arena_printf(arena, "%s has it, for those whose path leads there",
                               em_env_show(&explain->env, provider->path));
    return path_to_provider(explain, edge, provider);
}

/* Whose path it was, as the target's own spelling has it: the loader's has the way it came by. */
static const char *name_owner(const struct em_explain *explain, const struct em_loaded *owner)
{
    const struct em_places *places = &explain->objects_by_file;
    size_t at = owner ? em_places_first(places, owner->file) : places->count;

    if (at < places->count)
        return em_env_show(&explain->env, explain->env.objects.items[places->items[at].index].path);
    return owner ? owner->name : NULL;
}

static const char *change(const struct em_explain *explain, const struct em_explain_edge *edge,
                          const struct em_request *request)
{
    struct em_arena *arena = explain->options.arena;
    const char *who = name_owner(explain, request->owner);
    const struct em_env_object *provider;

    if (request->result == EM_RESULT_MISSING)
        return change_if_missing(explain, edge);
    if (request->result == EM_RESULT_REFUSED)
        return em_arena_printf(arena,
                               "the file itself must go, or another directory come before it: the loader searches no further");
    switch (request->rule) {
    case EM_RULE_PATH: return "only another name in the object: a path is not searched";
    case EM_RULE_SONAME:
        return "another load order: whoever is loaded first under this name is taken, and paths are not looked at";
    case EM_RULE_RPATH:
        return em_arena_printf(
            arena, "another DT_RPATH of %s, or a library of this name that is loaded before; LD_LIBRARY_PATH comes after", who);
    case EM_RULE_RUNPATH:
        return em_arena_printf(
            arena, "LD_LIBRARY_PATH with another %s in it would win over the DT_RUNPATH of %s; a DT_RPATH would not let it",
            edge->name, who);
    case EM_RULE_ENV:
        return "without LD_LIBRARY_PATH the search would go on; a DT_RPATH of the object that asks comes before it";
    case EM_RULE_CACHE:
    case EM_RULE_DEFAULT:
        provider = edge->object ? em_map_get(&explain->by_name, edge->name) : NULL;
        if (provider)
            return path_to_provider(explain, edge, provider);
        return "any path of the object that asks, or LD_LIBRARY_PATH, comes before the system's own";
    case EM_RULE_RESERVED: return "nothing: musl takes itself for every library of this name";
    case EM_RULE_NONE: break;
    }
    return NULL;
}

/* ---- what is said ---- */

static bool is_bad(const struct em_explain_edge *edge)
{
    const struct em_request *first = edge->answers.count ? edge->answers.items[0] : NULL;

    return !first || em_request_is_unanswered(first);
}

static const char *stability(const struct em_explain_edge *edge)
{
    return em_stability_name(em_stability_of(edge->answers.items, edge->answers.count));
}

static void print_edge(const struct em_explain *explain, const struct em_explain_edge *edge)
{
    bool on = em_color_on(&explain->options, stdout);
    const struct em_request *request = edge->answers.count ? edge->answers.items[0] : NULL;
    const char *advice = request ? change(explain, edge, request) : NULL;

    fputs(em_paint(on, "bold"), stdout);
    em_put_plain(edge->object ? em_env_show(&explain->env, edge->object->path) : "nobody in the target asks; the program would",
                 stdout);
    printf("%s %s ", em_paint(on, "reset"), edge->object ? (edge->dlopens ? "opens" : "needs") : "get for");
    em_put_plain(edge->name, stdout);
    putchar('\n');
    if (!request) {
        printf("    it does not get that far: %s\n", edge->alone_why ? em_plain(edge->alone_why) : "it is not loaded");
        return;
    }
    em_loading_print(request, on);
    if (!is_bad(edge) && request->tried.count > 0) {
        puts("      tried before, in this order:");
        em_loading_print_tries(request, "        ");
    }
    printf("      %s in %zu process%s tried\n", stability(edge), edge->answers.count, edge->answers.count == 1 ? "" : "es");
    if (advice) {
        printf("      what would change it: ");
        em_put_plain(advice, stdout);
        putchar('\n');
    }
    if (edge->attempts.count > 0)
        puts("      what people try:");
    em_vec_each (struct em_attempt, attempt, &edge->attempts)
        printf("        %-5s %s: %s\n", attempt->helps ? "yes" : "no", em_plain(attempt->what), em_plain(attempt->why));
}

static json_t *edge_json(const struct em_explain *explain, const struct em_explain_edge *edge)
{
    const struct em_request *request = edge->answers.count ? edge->answers.items[0] : NULL;
    json_t *item = json_object(), *steps = json_array(), *attempts = json_array();

    em_vec_each (struct em_attempt, attempt, &edge->attempts)
        json_array_append_new(attempts, json_pack("{s:o, s:b, s:o}", "what", em_json_string(attempt->what), "helps",
                                                  attempt->helps, "why", em_json_string(attempt->why)));
    for (size_t i = 0; request && i < request->tried.count; i++) {
        const struct em_try *try = &request->tried.items[i];
        json_t *step = json_object();

        json_object_set_new(step, "directory", em_json_string(try->directory));
        json_object_set_new(step, "entry", em_json_string(try->entry));
        json_object_set_new(step, "rule", em_json_string(em_rule_name(try->rule)));
        json_object_set_new(step, "owner", em_json_string(try->owner ? try->owner->name : NULL));
        json_object_set_new(step, "absent", json_boolean(try->absent));
        json_object_set_new(step, "skipped", em_json_string(try->skipped));
        json_array_append_new(steps, step);
    }
    json_object_set_new(item, "object", em_json_string(edge->object ? em_env_show(&explain->env, edge->object->path) : NULL));
    json_object_set_new(item, "owner", em_json_string(edge->object && edge->object->owner ? edge->object->owner->name : NULL));
    json_object_set_new(item, "request", request ? em_loading_request(request) : json_null());
    json_object_set_new(item, "steps", steps);
    json_object_set_new(item, "stability", em_json_string(stability(edge)));
    json_object_set_new(item, "processes", json_integer((json_int_t)edge->answers.count));
    json_object_set_new(item, "change", em_json_string(request ? change(explain, edge, request) : NULL));
    json_object_set_new(item, "attempts", attempts);
    json_object_set_new(item, "why", em_json_string(request ? request->why : edge->alone_why));
    return item;
}

/* What is said of one who asks is forgotten with it: there may be a hundred thousand. */
int em_explain_report(const struct em_explain *explain)
{
    struct em_arena *arena = explain->options.arena;
    const bool json = explain->options.json;
    struct em_json_list list;
    int status = EM_EXIT_OK;

    if (json)
        em_json_print_head(&list,
                           json_pack("{s:s, s:o, s:o, s:[]}", "schema", "elfmend.explain/1", "target",
                                     em_json_string(explain->env.given), "name", em_json_string(explain->name), "edges"),
                           "edges");
    for (size_t i = 0; i < explain->edges.count; i++) {
        const struct em_explain_edge *edge = &explain->edges.items[i];
        const struct em_arena_mark mark = em_arena_mark(arena);

        if (is_bad(edge))
            status = EM_EXIT_FINDINGS;
        if (json)
            em_json_print_item(&list, edge_json(explain, edge));
        else
            print_edge(explain, edge);
        em_arena_rewind(arena, mark);
    }
    return json && em_json_print_tail(&list) != EM_EXIT_OK ? EM_EXIT_FAILED : status;
}
