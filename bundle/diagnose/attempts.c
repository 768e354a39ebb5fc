#include "bundle/diagnose/attempts.h"

#include <string.h>

/* The world with one thing changed. */
struct change {
    const char *ld_library_path; /* NULL: as it is */
    struct em_tree *tree;        /* NULL: as it is */
    const char *preload;         /* opened before the root; NULL: nothing */
};

/* What came of it. */
struct outcome {
    bool loaded;                      /* found, with all that it needs */
    const struct em_request *request; /* the answer to the first name that is found; NULL: none is */
    struct em_strings missing;        /* what it needs in turn and will not find */
};

static const struct em_loaded *find_loaded(struct em_process *process, const char *path)
{
    const struct em_loadable *file = em_loader_look(process->loader, path);

    em_vec_each (struct em_loaded *, loaded, &process->objects)
        if (file && (*loaded)->file == file)
            return *loaded;
    return NULL;
}

static int note_missing(struct outcome *outcome, struct em_arena *arena, const struct em_process *process,
                        const struct em_open *open)
{
    for (size_t i = open->first_request; i < process->requests.count; i++) {
        const struct em_request *request = process->requests.items[i];

        if (request->from && request->result == EM_RESULT_MISSING && em_vec_push(arena, &outcome->missing, request->name) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* The root in a fresh process, then the opening, as its object would do it. */
static int try_it(struct outcome *outcome, struct em_arena *arena, const struct em_attempt_wish *wish,
                  const struct change *change, struct em_error *error)
{
    struct em_world *world = em_new(arena, struct em_world);
    const struct em_loaded *caller;
    struct em_loader *loader;
    struct em_process *process;
    struct em_open open;
    int r;

    *outcome = (struct outcome){ 0 };
    if (!world)
        return EM_NO_MEMORY;
    *world = *wish->world;
    if (change->ld_library_path)
        world->ld_library_path = change->ld_library_path;
    if (change->tree)
        world->tree = change->tree;
    loader = em_loader_new(world, arena);
    if (!loader)
        return EM_NO_MEMORY;
    r = em_process_new(&process, loader, wish->env->python, error);
    if (r == EM_OK && change->preload)
        r = em_process_open(process, change->preload, NULL, &open);
    if (r == EM_OK) {
        process->keep_going = true;
        r = em_process_open(process, wish->root->path, NULL, &open);
    }
    caller = r == EM_OK ? find_loaded(process, wish->object->path) : NULL;
    for (size_t i = 0; r == EM_OK && caller && !outcome->request && i < wish->names.count; i++) {
        struct em_request *answer;

        r = em_process_ask(process, wish->names.items[i], caller, EM_VIA_DLOPEN, &answer);
        if (r < 0 || em_request_is_unanswered(answer))
            continue;
        outcome->request = answer;
        r = em_process_open(process, wish->names.items[i], caller, &open);
        outcome->loaded = r == EM_OK && open.ok;
        if (r == EM_OK)
            r = note_missing(outcome, arena, process, &open);
    }
    return r;
}

static int add(struct em_attempts *attempts, struct em_arena *arena, const char *what, bool helps, const char *why)
{
    if (!what || !why)
        return EM_NO_MEMORY;
    return em_vec_push(arena, attempts, ((struct em_attempt){ .what = what, .helps = helps, .why = why }));
}

static const char *list(struct em_arena *arena, const struct em_strings *names)
{
    const char *text = "";

    em_vec_each (const char *, name, names)
        text = text ? em_arena_printf(arena, "%s%s%s", text, *text ? ", " : "", *name) : NULL;
    return text;
}

/* ---- each of them ---- */

static int try_variable(struct em_attempts *attempts, struct em_arena *arena, const struct em_attempt_wish *wish,
                        struct em_error *error)
{
    char *directory = em_path_dirname(arena, wish->provider->path);
    const char *what = em_arena_printf(arena, "LD_LIBRARY_PATH=%s", directory ? directory : "");
    struct outcome outcome;
    int r = directory && what ? try_it(&outcome, arena, wish, &(struct change){ .ld_library_path = directory }, error)
                              : EM_NO_MEMORY;

    if (r < 0)
        return r;
    if (outcome.loaded && outcome.request->rule == EM_RULE_ENV)
        return add(
            attempts, arena, what, true,
            "helps if it is set before the process starts; set by the program itself it comes too late, since the loader "
            "reads it once; and it loses to a DT_RPATH that has a file of the name");
    if (outcome.loaded)
        return add(attempts, arena, what, true,
                   em_arena_printf(arena, "is not asked: %s is found before, by the object's own path", outcome.request->name));
    if (outcome.request && outcome.request->rule != EM_RULE_ENV)
        return add(
            attempts, arena, what, false,
            em_arena_printf(arena, "loses to the object's DT_RPATH, which comes before it and has %s", outcome.request->path));
    return add(attempts, arena, what, false,
               em_arena_printf(arena, "does not help: %s is still missing",
                               outcome.missing.count ? list(arena, &outcome.missing) : wish->names.items[0]));
}

static int try_copy(struct em_attempts *attempts, struct em_arena *arena, const struct em_attempt_wish *wish,
                    struct em_error *error)
{
    em_cleanup_tree struct em_tree *overlay = NULL;
    char *directory = em_path_dirname(arena, wish->object->path);
    const char *name = em_path_basename(wish->provider->path);
    struct em_overlay_file file = { .source = wish->world->tree, .from = wish->provider->path };
    struct outcome outcome;
    const char *what, *why;
    int r;

    file.path = directory ? em_path_join(arena, directory, name) : NULL;
    if (!file.path)
        return EM_NO_MEMORY;
    if (strcmp(file.path, wish->provider->path) == 0)
        return EM_OK;
    r = em_tree_overlay(&overlay, wish->world->tree);
    if (r == EM_OK && em_overlay_put(overlay, &file) < 0)
        r = EM_NO_MEMORY;
    if (r == EM_OK)
        r = try_it(&outcome, arena, wish, &(struct change){ .tree = overlay }, error);
    if (r < 0)
        return r;
    what = em_arena_printf(arena, "%s copied or linked to %s", name, em_env_show(wish->env, directory));
    if (outcome.loaded)
        return add(attempts, arena, what, true, "is found there; the next installation takes it away");
    why = outcome.request ? em_arena_printf(arena, "is found there, and its own %s not: $ORIGIN is the directory of the copy",
                                            list(arena, &outcome.missing))
                          : "is not looked for there";
    r = add(attempts, arena, what, false, why);
    return r < 0 || !outcome.request ? r
                                     : add(attempts, arena, "a link instead of a copy", false,
                                           "the same: $ORIGIN is the directory of the link, not of the file that it leads to");
}

static int try_preload(struct em_attempts *attempts, struct em_arena *arena, const struct em_attempt_wish *wish,
                       struct em_error *error)
{
    const char *what = em_arena_printf(arena, "ctypes.CDLL(\"%s\") before the import", wish->provider->path);
    struct outcome outcome;
    int r = try_it(&outcome, arena, wish, &(struct change){ .preload = wish->provider->path }, error);

    if (r < 0)
        return r;
    if (outcome.loaded && outcome.request->rule == EM_RULE_SONAME)
        return add(attempts, arena, what, true,
                   "works: its SONAME is in the process then, with RTLD_LOCAL too, for RTLD_GLOBAL has no part in it; but "
                   "every entry point has to do it, in time");
    return add(attempts, arena, what, outcome.loaded,
               outcome.loaded ? "is not needed" : "does not help: it is asked for by another name than its SONAME");
}

int em_attempts_make(struct em_attempts *attempts, struct em_arena *arena, const struct em_attempt_wish *wish,
                     struct em_error *error)
{
    const struct em_distribution *owner = wish->object->owner;
    const struct em_cure *cure = owner && owner->version ? em_knowledge_cure(wish->knowledge, owner->normalized, owner->version,
                                                                             em_path_basename(wish->provider->path))
                                                         : NULL;
    int r = EM_OK;

    *attempts = (struct em_attempts){ 0 };
    if (cure)
        r = add(attempts, arena, em_arena_printf(arena, "pip install '%s'", cure->cure), true,
                em_arena_printf(arena, "cures it: a release of %s, %s", owner->name, cure->why));
    if (r == EM_OK)
        r = try_variable(attempts, arena, wish, error);
    if (r == EM_OK)
        r = try_copy(attempts, arena, wish, error);
    return r == EM_OK ? try_preload(attempts, arena, wish, error) : r;
}
