#include "bundle/loader/interpreter.h"
#include "bundle/loader/room.h"

#include <string.h>

struct em_arena *em_process_arena(const struct process *process)
{
    return process->base.arena;
}

static const struct em_world *world_of(const struct process *process)
{
    return process->base.loader->world;
}

/* ---- objects ---- */

/* What $ORIGIN stands for: the name as opened, without its last part; as text, whatever links it leads through. A relative one has
 * the working directory in front. After _dl_new_object. */
const char *em_origin_of(struct em_arena *arena, const char *cwd, const char *name)
{
    const char *slash;

    if (name[0] != '/')
        name = em_arena_printf(arena, "%s%s%s", cwd, cwd[strlen(cwd) - 1] == '/' ? "" : "/", name);
    if (!name)
        return NULL;
    slash = strrchr(name, '/');
    return slash == name ? "/" : em_arena_strndup(arena, name, (size_t)(slash - name));
}

int em_loaded_add_name(struct process *process, struct loaded *object, const char *name)
{
    for (size_t i = 0; i < object->base.names.count; i++) {
        if (strcmp(name, object->base.names.items[i]) == 0)
            return EM_OK;
    }
    if (em_vec_push(em_process_arena(process), &object->base.names, name) < 0)
        return EM_NO_MEMORY;
    return em_present_named(process, object, name);
}

static struct loaded *new_object(struct process *process, const char *name, struct loadable *file)
{
    struct em_arena *arena = em_process_arena(process);
    struct em_loader *loader = process->base.loader;
    struct loaded *object = em_new(arena, struct loaded);

    if (!object)
        return NULL;
    object->base.name = em_loader_text(loader, name);
    object->base.origin = em_loader_text(loader, em_origin_of(arena, world_of(process)->cwd, name));
    object->base.file = &file->base;
    return object->base.name && object->base.origin ? object : NULL;
}

int em_process_append(struct process *process, struct loaded *object)
{
    object->base.index = process->base.objects.count;
    if (em_vec_push(em_process_arena(process), &process->base.objects, &object->base) < 0)
        return EM_NO_MEMORY;
    return em_present_added(process, object);
}

struct loaded *em_process_add(struct process *process, const char *name, const char *requested, struct loadable *file,
                              struct loaded *loader)
{
    struct loaded *object = new_object(process, name, file);

    if (!object)
        return NULL;
    object->base.loader = loader ? &loader->base : NULL;
    object->fresh = true;
    if (requested && em_loaded_add_name(process, object, requested) < 0)
        return NULL;
    return em_process_append(process, object) < 0 ? NULL : object;
}

/* ---- requests ---- */

int em_request_new(struct process *process, const struct question *question, struct em_request **request)
{
    struct em_arena *arena = em_process_arena(process);
    int r = em_loader_step(process->base.loader, 1);

    if (r < 0)
        return r;
    *request = em_new(arena, struct em_request);
    if (!*request)
        return EM_NO_MEMORY;
    (*request)->from = question->from ? &question->from->base : NULL;
    (*request)->name = question->written;
    (*request)->via = question->via;
    (*request)->result = EM_RESULT_MISSING;
    return question->asking ? EM_OK : em_vec_push(arena, &process->base.requests, *request);
}

void em_request_lead(struct em_request *request, struct loaded *object)
{
    request->to = &object->base;
    request->to_system = object->base.is_system;
}

static int request(struct process *process, const struct question *question, struct em_request **answer)
{
    return world_of(process)->libc == EM_LIBC_MUSL ? em_musl_request(process, question, answer)
                                                   : em_glibc_request(process, question, answer);
}

static int load_deps(struct process *process, struct loaded *root, const struct em_loadeds *preloads, struct em_open *open,
                     struct em_loadeds *list)
{
    return world_of(process)->libc == EM_LIBC_MUSL ? em_musl_deps(process, root, open, list)
                                                   : em_glibc_deps(process, root, preloads, open, list);
}

/* From here on names that survivors gain are only for the telling: the loader did not get that far. */
void em_open_fail(struct process *process, struct em_open *open, const struct em_request *failed, const char *why)
{
    if (process->failed)
        return;
    process->failed = true;
    open->failure = failed;
    open->why = why;
    for (size_t i = 0; i < process->base.objects.count; i++)
        em_process_at(process, i)->names_before = em_process_at(process, i)->base.names.count;
}

/* ---- opens ---- */

static void renumber(struct process *process)
{
    for (size_t i = 0; i < process->base.objects.count; i++)
        em_process_at(process, i)->base.index = i;
}

/* What this open mapped is gone; names that it gave to others before it failed stay. */
static void roll_back(struct process *process)
{
    size_t kept = 0;

    for (size_t i = 0; i < process->base.objects.count; i++) {
        struct loaded *object = em_process_at(process, i);

        if (object->fresh)
            continue;
        object->base.names.count = object->names_before;
        process->base.objects.items[kept++] = &object->base;
    }
    process->base.objects.count = kept;
    renumber(process);
    em_present_forget(process, PRESENT_FEW);
}

static void settle(struct process *process)
{
    for (size_t i = 0; i < process->base.objects.count; i++)
        em_process_at(process, i)->fresh = false;
    renumber(process);
}

static int map_needs(struct process *process, struct loaded *root, struct em_open *open)
{
    struct em_loadeds list = { 0 };
    int r = load_deps(process, root, NULL, open, &list);

    if (r == EM_OK && world_of(process)->libc == EM_LIBC_GLIBC)
        r = em_glibc_check(process, &list, open);
    return r;
}

int em_process_open(struct em_process *base, const char *name, const struct em_loaded *caller, struct em_open *open)
{
    struct process *process = (struct process *)base;
    struct question question = { .from = caller ? (struct loaded *)(uintptr_t)caller : process->main, .via = EM_VIA_DLOPEN };
    struct em_request *answer;
    struct loaded *root;
    int r;

    *open = (struct em_open){ .first_request = base->requests.count };
    question.name = question.written = em_loader_text(base->loader, name);
    if (!question.name)
        return EM_NO_MEMORY;
    process->opening = true;
    process->failed = false;
    r = request(process, &question, &answer);
    if (r < 0)
        return r;
    if (!caller) {
        answer->from = NULL;
        answer->via = EM_VIA_OPEN;
    }
    root = (struct loaded *)answer->to;
    if (!root) {
        em_open_fail(process, open, answer, answer->why);
        return EM_OK;
    }
    open->object = &root->base;
    if (!root->opened) {
        r = map_needs(process, root, open);
        if (r < 0)
            return r;
    }
    open->ok = !process->failed;
    root->opened |= open->ok;
    if (open->ok || base->keep_going)
        settle(process);
    else
        roll_back(process);
    return EM_OK;
}

int em_process_ask(struct em_process *base, const char *name, const struct em_loaded *caller, enum em_via via,
                   struct em_request **answer)
{
    struct process *process = (struct process *)base;
    const struct em_world *world = base->loader->world;
    struct question question = { .from = caller ? (struct loaded *)(uintptr_t)caller : process->main,
                                 .via = via,
                                 .asking = true };
    bool was_opening = process->opening;
    int r;

    question.name = question.written = em_loader_text(base->loader, name);
    if (!question.name)
        return EM_NO_MEMORY;
    /* glibc expands a NEEDED before it looks who is loaded, and the name of a dlopen after. */
    if (via == EM_VIA_NEEDED && question.from && world->libc == EM_LIBC_GLIBC)
        question.name = em_loader_text(base->loader, em_tokens_expand(base->arena, world, question.from->base.origin,
                                                                      question.from->base.is_main, question.name));
    if (!question.name)
        return EM_NO_MEMORY;
    process->opening = true;
    r = request(process, &question, answer);
    process->opening = was_opening;
    if (r == EM_OK && !caller)
        (*answer)->from = NULL;
    return r;
}

/* ---- processes ---- */

static struct process *new_process(struct em_loader *loader, struct em_arena *arena)
{
    struct process *process = em_new(arena, struct process);

    if (!process)
        return NULL;
    process->base.loader = loader;
    process->base.arena = arena;
    process->base.start.ok = true;
    return process;
}

/* ld.so is in every process under the name that the program gives it and under its SONAME. musl's is libc too: a world that promises
 * libc promises it, on a machine that has none. */
static int add_interpreter(struct process *process, const char *path)
{
    struct em_loader *loader = process->base.loader;
    const struct em_world *world = loader->world;
    const bool promised = !path && world->libc == EM_LIBC_MUSL && em_world_is_narrow(world);
    struct loadable *file;
    struct loaded *object;
    int r;

    if (promised)
        path = em_interpreter_places(world->machine, world->is64, world->libc)[0];
    if (!path)
        return EM_OK;
    file = promised ? em_loader_promised(loader, path) : (struct loadable *)em_loader_look(loader, path);
    if (!file)
        return EM_NO_MEMORY;
    if (file->base.code != EM_OK)
        return EM_OK;
    object = new_object(process, path, file);
    if (!object)
        return EM_NO_MEMORY;
    object->base.is_interpreter = object->base.is_system = true;
    object->versions_checked = false;
    r = em_loaded_add_name(process, object, object->base.name);
    if (r == EM_OK && file->base.object.soname)
        r = em_loaded_add_name(process, object, file->base.object.soname);
    object->short_name = "libc.so"; /* to musl, which is its own loader */
    process->interpreter = object;
    return r;
}

/* The program, at its real path: /proc/self/exe has no link in it, and $ORIGIN comes from there. */
static int add_program(struct process *process, const char *program, struct em_error *error)
{
    struct em_loader *loader = process->base.loader;
    struct loadable *file = (struct loadable *)em_loader_look(loader, program);
    const char *path = em_loader_absolute(loader, program);
    struct loaded *object;
    char *real;

    if (!file || !path)
        return EM_NO_MEMORY;
    if (file->base.code != EM_OK)
        return em_fail(error, file->base.code, program, "%s", file->base.problem);
    if (em_tree_real_path(loader->world->tree, loader->arena, path, &real) < 0)
        real = em_arena_strdup(loader->arena, path);
    object = real ? new_object(process, program, file) : NULL;
    if (!object)
        return EM_NO_MEMORY;
    object->base.origin = em_loader_text(loader, em_origin_of(loader->arena, "/", real));
    object->base.is_main = true;
    object->fresh = true;
    object->short_name = NULL;
    process->main = object;
    process->stack_executable = file->base.object.stack != EM_STACK_PLAIN;
    return object->base.origin ? em_process_append(process, object) : EM_NO_MEMORY;
}

/* LD_PRELOAD is split at spaces and colons, ld.so.preload also at other white space and "#" comments. What is missing is
 * announced and ignored. */
static int add_preloads(struct process *process, const char *list, const char *separators, struct em_loadeds *preloads)
{
    struct em_arena *arena = em_process_arena(process);

    while (list && *list) {
        size_t length = strcspn(list, separators);
        struct question question = { .from = process->main, .via = EM_VIA_PRELOAD };
        struct em_request *answer;
        bool known = false;
        int r;

        if (length > 0) {
            question.name = question.written = em_loader_text(process->base.loader, em_arena_strndup(arena, list, length));
            if (!question.name)
                return EM_NO_MEMORY;
            r = request(process, &question, &answer);
            if (r < 0)
                return r;
            answer->optional = true;
            for (size_t i = 0; i < preloads->count; i++)
                known |= preloads->items[i] == answer->to;
            if (answer->to && !known && em_vec_push(arena, preloads, answer->to) < 0)
                return EM_NO_MEMORY;
        }
        list += length;
        list += *list != '\0';
    }
    return EM_OK;
}

/* ld.so.preload without its comments. */
static char *without_comments(struct em_arena *arena, const char *text)
{
    char *copy = em_arena_strdup(arena, text);

    for (char *hash = copy ? strchr(copy, '#') : NULL; hash; hash = strchr(hash, '#'))
        memset(hash, ' ', strcspn(hash, "\n"));
    return copy;
}

static int start_program(struct process *process)
{
    const struct em_world *world = world_of(process);
    struct em_loadeds preloads = { 0 }, list = { 0 };
    struct em_open *start = &process->base.start;
    int r = add_preloads(process, world->ld_preload, " :", &preloads);

    if (r == EM_OK && world->so_preload) {
        char *text = without_comments(em_process_arena(process), world->so_preload);

        r = text ? add_preloads(process, text, ": \t\n", &preloads) : EM_NO_MEMORY;
    }
    if (r == EM_OK)
        r = load_deps(process, process->main, &preloads, start, &list);
    if (r == EM_OK && world->libc == EM_LIBC_GLIBC)
        r = em_glibc_check(process, &list, start);
    start->ok = !process->failed;
    start->object = &process->main->base;
    process->main->opened = true;
    process->failed = false;
    settle(process);
    return r;
}

int em_process_new(struct em_process **result, struct em_loader *loader, const char *program, struct em_error *error)
{
    struct process *process = new_process(loader, loader->arena);
    const struct em_world *world = loader->world;
    const char *interpreter = world->interpreter;
    int r;

    *result = process ? &process->base : NULL;
    if (!process)
        return EM_NO_MEMORY;
    if (program) {
        r = add_program(process, program, error);
        if (r < 0)
            return r;
        if (process->main->base.file->object.interpreter)
            interpreter = process->main->base.file->object.interpreter;
    }
    r = add_interpreter(process, interpreter);
    if (r < 0)
        return r;
    if (world->libc == EM_LIBC_GLIBC)
        r = em_tokens_split(loader, loader->arena, &process->environment, world->secure ? NULL : world->ld_library_path, ":;",
                            process->main ? process->main->base.origin : NULL, true);
    if (r < 0 || !program)
        return r;
    return start_program(process);
}

/* ---- forks ---- */

static struct loaded *twin(struct process *copy, const struct process *process, const struct em_loaded *object)
{
    if (!object)
        return NULL;
    if (process->interpreter && object == &process->interpreter->base)
        return copy->interpreter;
    return em_process_at(copy, object->index);
}

static int copy_object(struct em_arena *arena, struct loaded **result, const struct loaded *object)
{
    struct em_strings names = { 0 };
    struct loaded *copy = em_new(arena, struct loaded);

    if (!copy)
        return EM_NO_MEMORY;
    *copy = *object;
    for (size_t i = 0; i < object->base.names.count; i++) {
        if (em_vec_push(arena, &names, object->base.names.items[i]) < 0)
            return EM_NO_MEMORY;
    }
    copy->base.names = names;
    *result = copy;
    return EM_OK;
}

/* Requests stay those of the old process: their objects are the old ones, which live as long. */
int em_process_fork(struct em_process **result, const struct em_process *base, struct em_arena *arena)
{
    const struct process *process = (const struct process *)base;
    struct process *copy = new_process(base->loader, arena);
    int r;

    *result = copy ? &copy->base : NULL;
    if (!copy)
        return EM_NO_MEMORY;
    *copy = *process;
    copy->base.arena = arena;
    em_present_forget(copy, PRESENT_FEW);
    copy->base.objects = (struct em_loadeds){ 0 };
    copy->base.requests = (struct em_requests){ 0 };
    copy->interpreter = NULL;
    for (size_t i = 0; i < base->objects.count; i++) {
        struct loaded *object;

        r = copy_object(arena, &object, em_process_at(process, i));
        if (r == EM_OK)
            r = em_process_append(copy, object);
        if (r < 0)
            return r;
        if (process->interpreter == em_process_at(process, i))
            copy->interpreter = object;
    }
    if (process->interpreter && !copy->interpreter) {
        r = copy_object(arena, &copy->interpreter, process->interpreter);
        if (r < 0)
            return r;
    }
    copy->main = process->main ? twin(copy, process, &process->main->base) : NULL;
    for (size_t i = 0; i < copy->base.objects.count; i++) {
        struct loaded *loader = twin(copy, process, copy->base.objects.items[i]->loader);

        copy->base.objects.items[i]->loader = loader ? &loader->base : NULL;
    }
    return EM_OK;
}

/* ---- what outlives a process ---- */

/* NULL for NULL, and without memory. */
static struct em_loaded *keep_loaded(struct em_arena *arena, const struct em_loaded *loaded)
{
    struct em_loaded *copy = loaded ? em_new(arena, struct em_loaded) : NULL;

    if (!copy)
        return NULL;
    *copy = *loaded;
    copy->loader = NULL;
    copy->names = (struct em_strings){ 0 };
    return copy;
}

/* Who asked is most often who owns the paths that were tried, and the entries of one path stand in a row. */
static const struct em_loaded *keep_owner(struct em_arena *arena, const struct em_request *request,
                                          const struct em_request *copy, size_t i)
{
    const struct em_try *tries = request->tried.items;
    const struct em_loaded *owner = tries[i].owner;

    if (owner == request->from)
        return copy->from;
    if (owner == request->owner)
        return copy->owner;
    if (i > 0 && owner == tries[i - 1].owner)
        return copy->tried.items[i - 1].owner;
    return keep_loaded(arena, owner);
}

static bool is_kept(const struct em_loaded *loaded, const struct em_loaded *copy)
{
    return !loaded || copy;
}

bool em_request_is_unanswered(const struct em_request *request)
{
    return request->result == EM_RESULT_MISSING || request->result == EM_RESULT_REFUSED;
}

struct em_request *em_request_keep(struct em_arena *arena, const struct em_request *request)
{
    struct em_request *copy = em_new(arena, struct em_request);
    const size_t count = request->tried.count;
    bool kept = copy;

    if (!copy)
        return NULL;
    *copy = *request;
    copy->from = keep_loaded(arena, request->from);
    copy->owner = request->owner == request->from ? copy->from : keep_loaded(arena, request->owner);
    copy->to = NULL;
    copy->tried = (struct em_tries){ .count = count, .capacity = count };
    if (count > 0 && !(copy->tried.items = em_arena_array(arena, count, sizeof *copy->tried.items)))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        copy->tried.items[i] = request->tried.items[i];
        copy->tried.items[i].owner = keep_owner(arena, request, copy, i);
        kept = kept && is_kept(request->tried.items[i].owner, copy->tried.items[i].owner);
    }
    return kept && is_kept(request->from, copy->from) && is_kept(request->owner, copy->owner) ? copy : NULL;
}

/* ---- words ---- */

const char *em_rule_name(enum em_rule rule)
{
    switch (rule) {
    case EM_RULE_NONE: return NULL;
    case EM_RULE_PATH: return "path";
    case EM_RULE_SONAME: return "soname";
    case EM_RULE_RPATH: return "rpath";
    case EM_RULE_RUNPATH: return "runpath";
    case EM_RULE_ENV: return "env";
    case EM_RULE_CACHE: return "cache";
    case EM_RULE_DEFAULT: return "default";
    case EM_RULE_RESERVED: return "reserved";
    }
    return NULL;
}

const char *em_via_name(enum em_via via)
{
    switch (via) {
    case EM_VIA_NEEDED: return "needed";
    case EM_VIA_DLOPEN: return "dlopen";
    case EM_VIA_OPEN: return "open";
    case EM_VIA_PRELOAD: return "preload";
    case EM_VIA_FILTER: return "filter";
    }
    return NULL;
}

const char *em_result_name(enum em_result result)
{
    switch (result) {
    case EM_RESULT_LOADED: return "loaded";
    case EM_RESULT_REUSED: return "reused";
    case EM_RESULT_MISSING: return "missing";
    case EM_RESULT_REFUSED: return "refused";
    }
    return NULL;
}
