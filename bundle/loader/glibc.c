/* glibc.c: one request, as _dl_map_object answers it (elf/dl-load.c). Each rule here stands in facts that were tried on the real
 * loader by tests/oracle; the comments name the place in glibc where they come from. */
#include "bundle/loader/room.h"

#include <string.h>

/* A search under way: what is looked for, and what came of it so far. */
struct search {
    struct process *process;
    const struct question *question;
    struct em_request *request;
    struct loadable *file; /* taken, or fatal */
    const char *path;      /* where it is, as the loader spells it */
    bool over;             /* found, or no further search */
};

static struct em_loader *loader_of(const struct process *process)
{
    return process->base.loader;
}

/* ---- who is there already ---- */

static bool is_listed(const struct process *process, const struct loaded *object)
{
    return object->base.index < process->base.objects.count && em_process_at(process, object->base.index) == object;
}

/* The first in load order that has the name, or the SONAME. ld.so stands behind the program while that starts; it is listed from
 * the first need on. No path, version or scope is compared. */
static struct loaded *find_loaded(struct process *process, const char *name)
{
    struct loaded *interpreter = process->interpreter;

    if (process->main && em_loaded_answers(process->main, name))
        return process->main;
    if (interpreter && !is_listed(process, interpreter) && em_loaded_answers(interpreter, name))
        return interpreter;
    return em_present_answering(process, name);
}

static int reuse(struct process *process, const struct question *question, struct em_request *request, struct loaded *object,
                 const char *name)
{
    int r = EM_OK;

    request->result = EM_RESULT_REUSED;
    request->path = object->base.name;
    request->file = object->base.file;
    em_request_lead(request, object);
    if (question->asking)
        return EM_OK;
    if (object == process->interpreter && !is_listed(process, object)) {
        object->fresh = true;
        r = em_process_append(process, object);
    }
    return r < 0 ? r : em_loaded_add_name(process, object, name);
}

/* ---- searching ---- */

static int add_try(struct search *search, struct em_try try)
{
    int r = em_loader_step(loader_of(search->process), 1);

    return r < 0 ? r : em_vec_push(em_process_arena(search->process), &search->request->tried, try);
}

static void take(struct search *search, struct loadable *file, const char *path, enum em_rule rule)
{
    search->file = file;
    search->path = path;
    search->over = true;
    search->request->rule = rule;
}

/* A directory and its hwcaps subdirectories. error is that of the last open: the only one that open_path looks at. */
static int search_directory(struct search *search, struct directory *directory, enum em_rule rule, struct em_try *try,
                            int *error)
{
    struct em_loader *loader = loader_of(search->process);
    const char *name = search->question->name;

    *error = ENOENT;
    for (size_t i = 0; i < directory->spots.count; i++) {
        struct spot *spot = &directory->spots.items[i];
        struct found *found;
        const char *path;
        int r = em_loader_find_in(loader, spot, name, &found);

        if (r < 0)
            return r;
        *error = found->file ? ENOENT : found->error;
        if (!found->file)
            continue;
        if (found->file->verdict == VERDICT_SKIP) {
            try->skipped = found->file->why;
            continue;
        }
        path = em_arena_printf(em_process_arena(search->process), "%s%s", spot->prefix, name);
        path = em_loader_text(loader, path);
        if (!path)
            return EM_NO_MEMORY;
        take(search, found->file, path, rule);
        return EM_OK;
    }
    return EM_OK;
}

/* open_path. An error other than "not there" and "not allowed" ends this list, not the search. */
static int search_list(struct search *search, const struct path_list *list, enum em_rule rule, const struct loaded *owner)
{
    for (size_t i = 0; i < list->count && !search->over; i++) {
        const struct entry *entry = &list->items[i];
        struct em_try try = { .directory = entry->directory->shown,
                              .entry = entry->written,
                              .rule = rule,
                              .owner = owner ? &owner->base : NULL,
                              .absent = !entry->directory->exists,
                              .relative = entry->directory->relative };
        int error, r = search_directory(search, entry->directory, rule, &try, &error);

        if (r < 0)
            return r;
        if (search->over) {
            search->request->owner = owner ? &owner->base : NULL;
            search->request->entry = entry->written;
            return EM_OK;
        }
        try.ends = error != ENOENT && error != EACCES && (entry->directory->exists || entry->directory->relative);
        if (try.ends)
            try.skipped = em_loader_text(loader_of(search->process), strerror(error));
        r = add_try(search, try);
        if (r < 0 || try.ends)
            return r;
    }
    return EM_OK;
}

static const char *own_rpath(const struct loaded *object)
{
    /* DT_RUNPATH, an empty one too, erases DT_RPATH when the object is mapped (elf/get-dynamic-info.h). */
    return object->base.file->object.runpath ? NULL : object->base.file->object.rpath;
}

static int search_rpath_of(struct search *search, struct loaded *object)
{
    int r = EM_OK;

    if (!object->rpath.ready)
        r = em_tokens_split(loader_of(search->process), em_process_arena(search->process), &object->rpath, own_rpath(object),
                            ":", object->base.origin, object->base.is_main);
    return r < 0 ? r : search_list(search, &object->rpath, EM_RULE_RPATH, object);
}

/* RPATHs of the requester, of who loaded it, and so on up; a dlopened root has nobody above it. Objects with RUNPATH on the way add
 * nothing and stop nothing. Then the program's. All of this only for a requester without RUNPATH. */
static int search_rpaths(struct search *search)
{
    struct process *process = search->process;
    bool did_main = false;
    int r = EM_OK;

    if (search->question->from && search->question->from->base.file->object.runpath)
        return EM_OK;
    for (struct loaded *object = search->question->from; object && !search->over && r == EM_OK;
         object = (struct loaded *)object->base.loader) {
        r = search_rpath_of(search, object);
        did_main |= object == process->main;
    }
    if (r == EM_OK && !search->over && process->main && !did_main)
        r = search_rpath_of(search, process->main);
    return r;
}

static int search_runpath(struct search *search)
{
    struct loaded *object = search->question->from;
    int r = EM_OK;

    if (!object || !object->base.file->object.runpath)
        return EM_OK;
    if (!object->runpath.ready)
        r = em_tokens_split(loader_of(search->process), em_process_arena(search->process), &object->runpath,
                            object->base.file->object.runpath, ":", object->base.origin, object->base.is_main);
    return r < 0 ? r : search_list(search, &object->runpath, EM_RULE_RUNPATH, object);
}

/* DF_1_NODEFLIB of the requester, or of the program where nobody asks. */
static bool without_defaults(const struct search *search)
{
    const struct loaded *object = search->question->from ? search->question->from : search->process->main;

    return object && (object->base.file->object.dt_flags_1 & DF_1_NODEFLIB);
}

static bool is_in_system_dir(const struct em_world *world, const char *path)
{
    for (size_t i = 0; i < world->system_dirs.count; i++) {
        const char *directory = world->system_dirs.items[i];
        size_t length = strlen(directory);

        if (strncmp(path, directory, length) == 0 && path[length] == '/')
            return true;
    }
    return false;
}

/* The one entry of the cache for this name. If its file is gone or not for us there is no second one. */
static int search_cache(struct search *search)
{
    struct em_loader *loader = loader_of(search->process);
    const struct em_cache_entry *entry = em_world_cached(loader->world, em_process_arena(search->process),
                                                         search->question->name);
    struct em_try try = { .directory = "/etc/ld.so.cache", .rule = EM_RULE_CACHE };
    struct found *found;
    int r;

    if (!loader->world->has_cache)
        return EM_OK;
    if (entry && without_defaults(search) && is_in_system_dir(loader->world, entry->path)) {
        try.skipped = "DF_1_NODEFLIB forbids its entry";
        entry = NULL;
    }
    if (!entry)
        return add_try(search, try);
    r = em_loader_find(loader, entry->path, &found);
    if (r < 0)
        return r;
    if (found->file && found->file->verdict != VERDICT_SKIP) {
        take(search, found->file, entry->path, EM_RULE_CACHE);
        return EM_OK;
    }
    try.skipped = em_arena_printf(em_process_arena(search->process), "it names %s: %s", entry->path,
                                  found->file ? found->file->why : strerror(found->error));
    try.skipped = em_loader_text(loader, try.skipped);
    return try.skipped ? add_try(search, try) : EM_NO_MEMORY;
}

/* The system as a whole may be narrowed to what it promises; what belongs to it already sees all of it. */
static bool is_narrowed_out(const struct search *search)
{
    const struct em_world *world = loader_of(search->process)->world;
    const struct loaded *from = search->question->from;

    return em_world_is_narrow(world) && !(from && from->base.is_system) && !em_world_promises(world, search->question->name);
}

static int search_defaults(struct search *search)
{
    struct em_loader *loader = loader_of(search->process);
    const struct em_world *world = loader->world;
    struct em_arena *arena = em_process_arena(search->process);
    struct path_list list = { .ready = true };

    if (without_defaults(search))
        return EM_OK;
    for (size_t i = 0; i < world->system_dirs.count; i++) {
        const char *text = em_arena_printf(arena, "%s%s", world->system_dirs.items[i],
                                           strcmp(world->system_dirs.items[i], "/") == 0 ? "" : "/");
        struct em_try try = { .directory = world->system_dirs.items[i], .rule = EM_RULE_DEFAULT };
        struct directory *directory;
        int r;

        if (!text)
            return EM_NO_MEMORY;
        if (is_narrowed_out(search)) {
            r = add_try(search, try);
        } else {
            r = em_loader_directory(loader, text, &directory);
            if (r == EM_OK)
                r = em_vec_push(arena, &list, (struct entry){ directory, NULL });
        }
        if (r < 0)
            return r;
    }
    return search_list(search, &list, EM_RULE_DEFAULT, NULL);
}

static int search_all(struct search *search)
{
    struct process *process = search->process;
    int r = search_rpaths(search);

    if (r == EM_OK && !search->over)
        r = search_list(search, &process->environment, EM_RULE_ENV, NULL);
    if (r == EM_OK && !search->over)
        r = search_runpath(search);
    if (r == EM_OK && !search->over)
        r = search_cache(search);
    if (r == EM_OK && !search->over)
        r = search_defaults(search);
    return r;
}

/* A name with a slash is a path: no search, no hwcaps, tokens of the requester. */
static int open_path_name(struct search *search)
{
    const struct question *question = search->question;
    struct em_loader *loader = loader_of(search->process);
    const struct loaded *from = question->from;
    const char *path = from ? em_tokens_expand(em_process_arena(search->process), loader->world, from->base.origin,
                                               from->base.is_main, question->name)
                            : question->name;
    struct found *found;
    int r;

    path = em_loader_text(loader, path);
    if (!path)
        return EM_NO_MEMORY;
    search->request->rule = EM_RULE_PATH;
    if (!*path) {
        search->request->why = "a token in it has no value";
        return EM_OK;
    }
    r = em_loader_find(loader, path, &found);
    if (r < 0)
        return r;
    if (found->file)
        take(search, found->file, path, EM_RULE_PATH);
    else
        search->request->why = em_loader_text(
            loader,
            em_arena_printf(em_process_arena(search->process), "cannot open shared object file: %s", strerror(found->error)));
    return found->file || search->request->why ? EM_OK : EM_NO_MEMORY;
}

/* ---- mapping ---- */

/* Where no PT_GNU_STACK says otherwise (stackinfo.h of each machine). */
static bool stack_by_default(uint16_t machine)
{
    return machine != EM_AARCH64 && machine != EM_LOONGARCH && machine != EM_PPC64;
}

bool em_loader_wants_stack(const struct em_world *world, const struct em_object *object)
{
    if (world->libc == EM_LIBC_MUSL)
        return false;
    return object->stack == EM_STACK_EXECUTABLE || (object->stack == EM_STACK_ABSENT && stack_by_default(world->machine));
}

/* Refused for how it is opened, not for what it is. NULL: welcome. */
static const char *objection(const struct process *process, const struct loadable *file, enum em_refused *refusal)
{
    const struct em_world *world = process->base.loader->world;
    const struct em_object *object = &file->base.object;
    bool current = world->libc_major == 0 || world->libc_major > 2 || world->libc_minor >= 41;

    if (!process->opening)
        return NULL;
    if (object->dt_flags_1 & DF_1_NOOPEN)
        return "shared object cannot be dlopen()ed";
    /* glibc 2.41, release notes: dlopen no longer makes the stack executable. */
    if (current && !process->stack_executable && em_loader_wants_stack(world, object)) {
        *refusal = EM_REFUSAL_STACK;
        return "cannot enable executable stack as shared object requires";
    }
    return NULL;
}

/* The libraries that a narrowed world promises need not be on this machine. */
static int promise(struct search *search)
{
    const struct em_cache_entry *cached;
    struct em_request *request = search->request;
    struct em_loader *loader = loader_of(search->process);
    const struct em_world *world = loader->world;
    struct em_arena *arena = em_process_arena(search->process);
    const char *name = search->question->name;

    if (!em_world_is_narrow(world) || strchr(name, '/') || !em_world_promises(world, name) || world->system_dirs.count == 0)
        return EM_OK;
    cached = em_world_cached(world, arena, name);
    search->file = em_loader_promised(loader, name);
    search->path = cached ? cached->path
                          : em_loader_text(loader, em_arena_printf(arena, "%s/%s", world->system_dirs.items[0], name));
    if (!search->file || !search->path)
        return EM_NO_MEMORY;
    request->rule = cached ? EM_RULE_CACHE : EM_RULE_DEFAULT;
    request->promised = true;
    return EM_OK;
}

static int map(struct search *search)
{
    struct process *process = search->process;
    const struct question *question = search->question;
    struct em_request *request = search->request;
    /* The same file under another path. The program itself has no identity: the kernel mapped it. */
    struct loaded *object = em_present_as_file(process, search->file);
    bool calls = question->via == EM_VIA_DLOPEN || question->via == EM_VIA_OPEN;
    int r;

    request->path = search->path;
    request->file = &search->file->base;
    if (search->file->verdict == VERDICT_TAKE && object) {
        r = reuse(process, question, request, object, question->name);
        request->path = search->path;
        return r;
    }
    request->refusal = EM_REFUSAL_FILE;
    if (search->file->verdict == VERDICT_SKIP && !strstr(search->file->why, "ELF class"))
        request->why = "cannot open shared object file: No such file or directory (it is for another machine)";
    else
        request->why = search->file->verdict == VERDICT_TAKE ? objection(process, search->file, &request->refusal)
                                                             : search->file->why;
    request->result = request->why ? EM_RESULT_REFUSED : EM_RESULT_LOADED;
    if (!request->why)
        request->refusal = EM_REFUSAL_NONE;
    if (request->why || question->asking)
        return EM_OK;
    r = em_loader_step(loader_of(process), EM_STEPS_TO_MAP);
    if (r < 0)
        return r;
    /* The caller of dlopen lends its path to find the root, and is not its loader (__RTLD_CALLMAP). */
    object = em_process_add(process, search->path, question->name, search->file, calls ? NULL : question->from);
    if (!object)
        return EM_NO_MEMORY;
    object->base.is_system = request->rule == EM_RULE_CACHE || request->rule == EM_RULE_DEFAULT;
    if (!process->opening && em_loader_wants_stack(process->base.loader->world, &search->file->base.object))
        process->stack_executable = true;
    em_request_lead(request, object);
    return EM_OK;
}

/* A library of the other class that was passed over on the way is what glibc names as the reason. */
static const char *miss(const struct em_request *request)
{
    em_vec_each (struct em_try, try, &request->tried) {
        const char *class = try->skipped ? strstr(try->skipped, "wrong ELF class") : NULL;

        if (class)
            return class;
    }
    return "cannot open shared object file: No such file or directory";
}

int em_glibc_request(struct process *process, const struct question *question, struct em_request **request)
{
    struct search search = { .process = process, .question = question };
    struct loaded *object;
    int r = em_request_new(process, question, request);

    if (r < 0)
        return r;
    object = find_loaded(process, question->name);
    if (object) {
        (*request)->rule = EM_RULE_SONAME;
        return reuse(process, question, *request, object, question->name);
    }
    search.request = *request;
    r = strchr(question->name, '/') ? open_path_name(&search) : search_all(&search);
    if (r == EM_OK && !search.file)
        r = promise(&search);
    if (r < 0)
        return r;
    if (search.file)
        return map(&search);
    if (!(*request)->why)
        (*request)->why = miss(*request);
    return EM_OK;
}
