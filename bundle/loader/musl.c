/* musl.c: musl's loader, after load_library and load_deps in ldso/dynlink.c. It is simpler than glibc's in all, and different in
 * most: LD_LIBRARY_PATH first, paths inherited whatever their tag, no SONAME, no caller of dlopen, no cache. */
#include "bundle/loader/room.h"

#include <string.h>

/* load_library builds candidates in a buffer of 2*NAME_MAX+2 bytes; one that does not fit is passed over. */
#define MAX_CANDIDATE 512u

struct search {
    struct process *process;
    const struct question *question;
    struct em_request *request;
    struct loadable *file;
    const char *path;
    int error;
    bool over;
};

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Names that libc itself stands for, whatever follows the dot: glibc's libm.so.6 is "found" by it. */
static bool is_reserved(const char *name)
{
    static const char *const reserved[] = { "libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet." };

    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (starts_with(name, reserved[i]))
            return true;
    }
    return false;
}

/* A file with both __libc_start_main and stdin is a libc, and musl itself is used instead. Which file that is, is told by its name:
 * reading all symbols of all files would cost more than it is worth. */
static bool is_libc(const struct process *process, const struct loadable *file)
{
    const char *soname = file->base.object.soname;

    if (process->interpreter && &file->base == process->interpreter->base.file)
        return true;
    return soname && (strcmp(soname, "libc.so.6") == 0 || starts_with(soname, "libc.musl-"));
}

/* ---- searching ---- */

static int add_try(struct search *search, const char *directory, const char *entry, enum em_rule rule,
                   const struct loaded *owner, const char *skipped, bool ends)
{
    struct em_try try = { .directory = directory,
                          .entry = entry,
                          .rule = rule,
                          .owner = owner ? &owner->base : NULL,
                          .skipped = skipped,
                          .relative = directory[0] != '/',
                          .ends = ends };
    int r = em_loader_step(search->process->base.loader, 1);

    return r < 0 ? r : em_vec_push(em_process_arena(search->process), &search->request->tried, try);
}

/* One entry of path_open: any file that can be opened is taken. */
static int try_entry(struct search *search, const char *directory, const char *entry, enum em_rule rule,
                     const struct loaded *owner)
{
    struct em_loader *loader = search->process->base.loader;
    const char *path;
    struct found *found;
    int r;

    if (strlen(directory) + 1 + strlen(search->question->name) >= MAX_CANDIDATE)
        return add_try(search, directory, entry, rule, owner, "a path of more than 511 bytes", false);
    path = em_loader_text(loader,
                          em_arena_printf(em_process_arena(search->process), "%s/%s", directory, search->question->name));
    if (!path)
        return EM_NO_MEMORY;
    r = em_loader_find(loader, path, &found);
    if (r < 0)
        return r;
    if (found->file) {
        search->file = found->file;
        search->path = path;
        search->over = true;
        search->request->rule = rule;
        search->request->owner = owner ? &owner->base : NULL;
        search->request->entry = entry;
        return EM_OK;
    }
    search->error = found->error;
    /* Any other error inhibits all further search, and not only that of this list. */
    search->over = found->error != ENOENT && found->error != ENOTDIR && found->error != EACCES && found->error != ENAMETOOLONG;
    return add_try(search, directory, entry, rule, owner, search->over ? em_loader_text(loader, strerror(found->error)) : NULL,
                   search->over);
}

static int search_list(struct search *search, const struct spelled_list *list, enum em_rule rule, const struct loaded *owner)
{
    int r = EM_OK;

    for (size_t i = 0; i < list->count && !search->over && r == EM_OK; i++)
        r = try_entry(search, list->items[i].directory, list->items[i].written, rule, owner);
    return r;
}

/* ---- lists ---- */

/* The next of the entries, which end at a colon or a newline; an empty one is no directory at all. *length is 0 at the end. */
static const char *next_entry(const char *at, size_t *length)
{
    at += strspn(at, ":\n");
    *length = strcspn(at, ":\n");
    return at;
}

/* One entry with its $ORIGINs replaced, in a variable no dollar means anything (origin.data is NULL): several, where the origin has a colon in it. An entry that no candidate can fit behind is passed
 * over whatever else it says. */
static int add_entry(struct process *process, struct spelled_list *list, const char *entry, size_t length,
                     struct em_bytes origin)
{
    struct em_loader *loader = process->base.loader;
    struct em_arena *arena = em_process_arena(process);
    const char *written = em_loader_text(loader, em_arena_strndup(arena, entry, length));
    em_cleanup_text struct em_text text = { 0 };

    if (!written)
        return EM_NO_MEMORY;
    for (const char *at = written, *dollar; *at; at = dollar + (dollar[1] == '{' ? 9 : 7)) {
        dollar = origin.data ? strchrnul(at, '$') : at + strlen(at);
        em_text_add_bytes(&text, at, (size_t)(dollar - at));
        if (!*dollar)
            break;
        if (text.size < MAX_CANDIDATE)
            em_text_add_bytes(&text, origin.data, origin.size);
    }
    if (text.failed)
        return EM_NO_MEMORY;
    for (const char *at = next_entry(text.data ? text.data : "", &length); length > 0; at = next_entry(at + length, &length)) {
        const char *directory = em_loader_text(loader, em_arena_strndup(arena, at, length));

        if (!directory || em_vec_push(arena, list, (struct spelled){ directory, written }) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int split(struct process *process, struct spelled_list *list, const char *text, struct em_bytes origin)
{
    size_t length;
    int r = EM_OK;

    list->ready = true;
    if (!text)
        return EM_OK;
    for (const char *at = next_entry(text, &length); length > 0 && r == EM_OK; at = next_entry(at + length, &length))
        r = add_entry(process, list, at, length, origin);
    return r;
}

/* fixup_rpath: $ORIGIN and ${ORIGIN} as prefixes, whatever follows; any other dollar, and the object has no path at all. The origin of
 * a library is the name it was opened by, which may be relative. */
static int split_path(struct process *process, struct loaded *object)
{
    const struct em_object *file = &object->base.file->object;
    const struct em_world *world = process->base.loader->world;
    const char *path = file->runpath ? file->runpath : file->rpath;
    const char *origin = object->base.is_main ? object->base.origin : object->base.name, *slash;
    size_t length = strlen(origin);

    object->path.ready = true;
    for (const char *at = path ? strchr(path, '$') : NULL; at; at = strchr(at + 1, '$')) {
        if (!starts_with(at, "$ORIGIN") && !starts_with(at, "${ORIGIN}"))
            return EM_OK;
        if (world->secure && (object->base.is_main || origin[0] != '/'))
            return EM_OK;
    }
    if (!object->base.is_main) {
        slash = strrchr(origin, '/');
        length = slash ? (size_t)(slash - origin) : 0;
    }
    return split(process, &object->path, path, (struct em_bytes){ (const uint8_t *)origin, length });
}

/* The paths of the requester, of who needed it, and so on up to the program; a dlopened root was needed by the program. */
static int search_chain(struct search *search, struct loaded *from)
{
    int r = EM_OK;

    for (struct loaded *object = from; object && !search->over && r == EM_OK; object = (struct loaded *)object->base.loader) {
        r = object->path.ready ? EM_OK : split_path(search->process, object);
        if (r == EM_OK)
            r = search_list(search, &object->path, object->base.file->object.runpath ? EM_RULE_RUNPATH : EM_RULE_RPATH, object);
    }
    return r;
}

static bool is_narrowed_out(const struct search *search, const struct loaded *from)
{
    const struct em_world *world = search->process->base.loader->world;

    return em_world_is_narrow(world) && !(from && from->base.is_system) && !em_world_promises(world, search->question->name);
}

static int search_all(struct search *search, struct loaded *from)
{
    const struct em_world *world = search->process->base.loader->world;
    int r = EM_OK;

    search->error = ENOENT;
    if (strlen(search->question->name) > 255)
        return EM_OK;
    if (!world->secure && !search->process->variable.ready)
        r = split(search->process, &search->process->variable, world->ld_library_path, (struct em_bytes){ 0 });
    if (r == EM_OK)
        r = search_list(search, &search->process->variable, EM_RULE_ENV, NULL);
    if (r == EM_OK && !search->over)
        r = search_chain(search, from);
    for (size_t i = 0; r == EM_OK && !search->over && i < world->system_dirs.count; i++) {
        if (is_narrowed_out(search, from))
            r = add_try(search, world->system_dirs.items[i], NULL, EM_RULE_DEFAULT, NULL, NULL, false);
        else
            r = try_entry(search, world->system_dirs.items[i], NULL, EM_RULE_DEFAULT, NULL);
    }
    return r;
}

/* ---- who is there already ---- */

static int reuse(struct process *process, const struct question *question, struct em_request *request, struct loaded *object)
{
    bool listed = object->base.index < process->base.objects.count && em_process_at(process, object->base.index) == object;

    request->result = EM_RESULT_REUSED;
    request->path = object->base.name;
    request->file = object->base.file;
    em_request_lead(request, object);
    if (question->asking || listed)
        return EM_OK;
    /* libc enters the list when it is first asked for. */
    object->fresh = true;
    return em_process_append(process, object);
}

/* By the short name, which a library has only if it was found by a search. The program is not looked at. */
static struct loaded *find_loaded(struct process *process, const char *name)
{
    for (size_t i = 0; i < process->base.objects.count; i++) {
        struct loaded *object = em_process_at(process, i);

        if (!object->base.is_main && object->short_name && strcmp(object->short_name, name) == 0)
            return object;
    }
    return NULL;
}

static struct loaded *find_file(struct process *process, const struct loadable *file)
{
    for (size_t i = 0; i < process->base.objects.count; i++) {
        struct loaded *object = em_process_at(process, i);

        if (object->base.file == &file->base && !object->base.is_main && !object->base.is_interpreter)
            return object;
    }
    return NULL;
}

static int refuse(struct search *search, const char *reason)
{
    const char *why = em_arena_printf(em_process_arena(search->process), "Error loading shared library %s: %s",
                                      search->question->name, reason);

    search->request->why = em_loader_text(search->process->base.loader, why);
    return search->request->why ? EM_OK : EM_NO_MEMORY;
}

static int map(struct search *search, struct loaded *from)
{
    struct process *process = search->process;
    const struct question *question = search->question;
    struct em_request *request = search->request;
    struct loaded *object = find_file(process, search->file);
    bool searched = search->path != question->name;
    int r;

    request->path = search->path;
    request->file = &search->file->base;
    if (object) {
        r = reuse(process, question, request, object);
        /* Found by a search now: from here on it has a short name, its own and not that of the request. */
        if (!object->short_name && searched && !question->asking && !process->failed)
            object->short_name = em_path_basename(object->base.name);
        return r;
    }
    if (search->file->verdict != VERDICT_TAKE) {
        request->result = EM_RESULT_REFUSED;
        return refuse(search, search->file->why);
    }
    if (process->interpreter && is_libc(process, search->file)) {
        request->rule = EM_RULE_RESERVED;
        return reuse(process, question, request, process->interpreter);
    }
    request->result = EM_RESULT_LOADED;
    if (question->asking)
        return EM_OK;
    r = em_loader_step(process->base.loader, EM_STEPS_TO_MAP);
    if (r < 0)
        return r;
    object = em_process_add(process, search->path, NULL, search->file, from);
    if (!object)
        return EM_NO_MEMORY;
    object->short_name = searched ? em_path_basename(object->base.name) : NULL;
    object->base.is_system = request->rule == EM_RULE_DEFAULT;
    if (searched && em_loaded_add_name(process, object, object->short_name) < 0)
        return EM_NO_MEMORY;
    em_request_lead(request, object);
    return EM_OK;
}

static int open_path_name(struct search *search)
{
    struct found *found;
    int r = em_loader_find(search->process->base.loader, search->question->name, &found);

    search->request->rule = EM_RULE_PATH;
    if (r < 0)
        return r;
    search->file = found->file;
    search->path = search->question->name;
    search->error = found->error;
    return EM_OK;
}

int em_musl_request(struct process *process, const struct question *question, struct em_request **request)
{
    struct search search = { .process = process, .question = question };
    /* Who calls dlopen does not matter: the program is taken for it. A preload is asked for by nobody. */
    struct loaded *from = question->via == EM_VIA_NEEDED    ? question->from
                          : question->via == EM_VIA_PRELOAD ? NULL
                                                            : process->main;
    const char *name = question->name;
    struct loaded *object;
    int r = em_request_new(process, question, request);

    if (r < 0)
        return r;
    search.request = *request;
    if (!*name)
        return refuse(&search, "Invalid argument");
    if (process->interpreter && (is_reserved(name) || strcmp(name, process->interpreter->base.name) == 0)) {
        (*request)->rule = EM_RULE_RESERVED;
        return reuse(process, question, *request, process->interpreter);
    }
    if (strchr(name, '/')) {
        r = open_path_name(&search);
    } else {
        object = find_loaded(process, name);
        if (object) {
            (*request)->rule = EM_RULE_SONAME;
            return reuse(process, question, *request, object);
        }
        r = search_all(&search, from);
    }
    if (r < 0)
        return r;
    return search.file ? map(&search, from) : refuse(&search, strerror(search.error));
}

/* load_deps: from root on, all that was mapped and has not had its needs looked at, in the order of the list, which grows. */
int em_musl_deps(struct process *process, struct loaded *root, struct em_open *open, struct em_loadeds *list)
{
    int r = EM_OK;

    (void)list;
    for (size_t i = root->base.index; r == EM_OK && i < process->base.objects.count; i++) {
        struct loaded *object = em_process_at(process, i);
        const struct em_strings *needed = &object->base.file->object.needed;

        if (object->opened || object->base.is_interpreter)
            continue;
        object->opened = true;
        for (size_t j = 0; r == EM_OK && j < needed->count; j++) {
            struct question question = {
                .from = object, .name = needed->items[j], .written = needed->items[j], .via = EM_VIA_NEEDED
            };
            struct em_request *answer;

            r = em_musl_request(process, &question, &answer);
            if (r == EM_OK && !answer->to)
                em_open_fail(process, open, answer, answer->why);
        }
    }
    return r;
}
