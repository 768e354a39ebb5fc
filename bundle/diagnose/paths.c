#include "bundle/diagnose/paths.h"

#include <fnmatch.h>
#include <string.h>

int em_path_entries(struct em_path_entries *entries, struct em_arena *arena, const char *list, const char *origin)
{
    *entries = (struct em_path_entries){ 0 };
    for (const char *at = list; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        size_t length = strcspn(at, ":"), token = 0;
        struct em_path_entry entry = { .written = em_arena_strndup(arena, at, length) };
        const char *path = entry.written;

        if (!path)
            return EM_NO_MEMORY;
        if (strncmp(path, "$ORIGIN", 7) == 0 && (path[7] == '/' || path[7] == '\0'))
            token = 7;
        else if (strncmp(path, "${ORIGIN}", 9) == 0)
            token = 9;
        entry.by_origin = token > 0;
        if (token > 0)
            path = em_arena_printf(arena, "%s%s", origin, path + token);
        if (!path)
            return EM_NO_MEMORY;
        if (strchr(path, '$')) {
            entry.kind = EM_ENTRY_UNKNOWN;
        } else if (*path != '/') {
            entry.kind = EM_ENTRY_WORKING;
        } else {
            entry.directory = em_path_normal(arena, path);
            if (!entry.directory)
                return EM_NO_MEMORY;
        }
        if (em_vec_push(arena, entries, entry) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* What objects of one distribution have in common: one finding. */
struct trouble {
    const char *id;
    enum em_severity severity;
    const struct em_distribution *owner;
    const char *key; /* those of one distribution with the same key are one */
    const char *message, *help;
    struct em_strings objects;
    struct em_strings details; /* lines of evidence, each once */
};

struct judging {
    struct em_findings *findings;
    struct em_arena *arena;
    const struct em_env *env;
    const struct em_world *world;
    const struct em_loading *loading;
    struct {
        EM_VEC(struct trouble);
    } troubles;
    struct em_map sought; /* "object\nentry" -> the name that an import makes the loader look for there */
    struct em_map nodes;  /* directory -> struct place * */
};

static int add_once(struct em_arena *arena, struct em_strings *list, const char *line)
{
    if (!line)
        return EM_NO_MEMORY;
    em_vec_each (const char *, known, list)
        if (strcmp(*known, line) == 0)
            return EM_OK;
    return em_vec_push(arena, list, line);
}

static int add_trouble(struct judging *judging, const struct trouble *wanted, const struct em_env_object *object,
                       const char *detail)
{
    struct trouble *found = NULL;

    em_vec_each (struct trouble, trouble, &judging->troubles)
        if (strcmp(trouble->id, wanted->id) == 0 && trouble->owner == wanted->owner && trouble->severity == wanted->severity &&
            strcmp(trouble->key, wanted->key) == 0)
            found = trouble;
    if (!found) {
        if (em_vec_push(judging->arena, &judging->troubles, *wanted) < 0)
            return EM_NO_MEMORY;
        found = &judging->troubles.items[judging->troubles.count - 1];
    }
    if (add_once(judging->arena, &found->objects, object->path) < 0)
        return EM_NO_MEMORY;
    return detail ? add_once(judging->arena, &found->details, detail) : EM_OK;
}

/* ---- what is sought where ---- */

/* libc's own: loaded with the interpreter, or answered by the system whatever is tried before. Nobody plants those without owning
 * the process already, and every object asks for them. */
static bool is_libc(const char *name)
{
    static const char *const patterns[] = { "ld-linux*.so.*", "libc.so.6",       "libm.so.6",    "libdl.so.2",
                                            "librt.so.1",     "libpthread.so.0", "libutil.so.1", "libgcc_s.so.1" };

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

static char *sought_key(struct em_arena *arena, const char *object, const char *entry)
{
    return em_arena_printf(arena, "%s\n%s", object, entry);
}

static int note_sought(struct judging *judging, const struct em_loaded *owner, const char *entry, const char *name)
{
    const struct em_env_object *object;
    char *key;

    if (!owner || !owner->file || !entry || is_libc(name))
        return EM_OK;
    object = em_loading_object(judging->loading, &owner->file->node);
    if (!object)
        return EM_OK;
    key = sought_key(judging->arena, object->path, entry);
    if (!key || em_map_put(&judging->sought, key, (void *)(uintptr_t)name) < 0)
        return EM_NO_MEMORY;
    return EM_OK;
}

/* Entries that some import searches, in vain or with success. */
static int gather_sought(struct judging *judging)
{
    em_vec_each (struct em_case, item, &judging->loading->cases) {
        const struct em_request *request = item->request;
        int r;

        if (!item->by_import || strchr(request->name, '/'))
            continue;
        em_vec_each (struct em_try, try, &request->tried) {
            r = note_sought(judging, try->owner, try->entry, request->name);
            if (r < 0)
                return r;
        }
        r = note_sought(judging, request->owner, request->entry, request->name);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static const char *sought_in(const struct judging *judging, const struct em_env_object *object,
                             const struct em_path_entry *entry)
{
    char *key = sought_key(judging->arena, object->path, entry->written);

    return key ? em_map_get(&judging->sought, key) : NULL;
}

/* ---- places ---- */

/* A directory that path lists name, asked once. */
struct place {
    bool exists;
    const char *writable; /* itself, or the nearest directory above that is there, if anyone may write it; NULL otherwise */
};

static struct place *look(struct judging *judging, const char *directory)
{
    struct place *place = em_map_get(&judging->nodes, directory);
    const char *at = directory;
    struct em_node node;

    if (place)
        return place;
    place = em_new(judging->arena, struct place);
    if (!place || em_map_put(&judging->nodes, directory, place) < 0)
        return NULL;
    place->exists = em_tree_stat(judging->env->tree, directory, &node) == 0 && node.kind == EM_NODE_DIRECTORY;
    while (em_tree_stat(judging->env->tree, at, &node) != 0 && strcmp(at, "/") != 0) {
        at = em_path_dirname(judging->arena, at);
        if (!at)
            return NULL;
    }
    /* The sticky bit keeps others from removing what is there, not from adding a library that is not. */
    if (node.kind == EM_NODE_DIRECTORY && (node.mode & S_IWOTH) != 0)
        place->writable = at;
    return place;
}

static const char *tag_of(const struct em_object *object)
{
    return object->runpath ? "DT_RUNPATH" : "DT_RPATH";
}

/* ---- the judgements ---- */

/* The list without entries that count from the current directory. */
static const char *without_working(struct em_arena *arena, const struct em_path_entries *entries)
{
    const char *list = "";

    em_vec_each (struct em_path_entry, entry, entries) {
        if (entry->kind == EM_ENTRY_WORKING)
            continue;
        list = em_arena_printf(arena, "%s%s%s", list, *list ? ":" : "", entry->written);
        if (!list)
            return NULL;
    }
    return list;
}

/* clean: the list without those entries. What lies in a wheel is edited before it goes in: repack changes paths for a library's sake
 * alone. */
static const char *help_for_working(const struct judging *judging, const struct em_env_object *object, const char *clean)
{
    const bool packed = judging->env->kind == EM_ENV_WHEEL;
    const char *file = packed ? em_path_basename(object->path) : object->path;
    const char *before = packed ? "before it is packed: " : "";

    if (!clean)
        return NULL;
    return *clean ? em_arena_printf(judging->arena, "%selfmend patch --set-rpath '%s' %s", before, clean, file)
                  : em_arena_printf(judging->arena, "%selfmend patch --remove-rpath %s", before, file);
}

static int judge_working(struct judging *judging, const struct em_env_object *object, const struct em_object *elf,
                         const struct em_path_entries *entries)
{
    const char *list = elf->runpath ? elf->runpath : elf->rpath;
    const char *clean = without_working(judging->arena, entries);
    const struct em_path_entry *first = NULL;
    const char *name = NULL, *detail = NULL;
    struct trouble trouble = { .id = "EM301", .owner = object->owner, .key = list };

    em_vec_each (struct em_path_entry, entry, entries) {
        if (entry->kind != EM_ENTRY_WORKING)
            continue;
        first = first ? first : entry;
        name = name ? name : sought_in(judging, object, entry);
    }
    if (!first)
        return EM_OK;
    trouble.severity = name ? EM_SEVERITY_WARNING : EM_SEVERITY_NOTE;
    trouble.message = *first->written
                          ? em_arena_printf(judging->arena, "searches %s below the current directory: its %s is \"%s\"",
                                            first->written, tag_of(elf), list)
                          : em_arena_printf(judging->arena,
                                            "searches the current directory: its %s is \"%s\", with an empty entry",
                                            tag_of(elf), list);
    trouble.help = help_for_working(judging, object, clean);
    if (!trouble.message || !trouble.help)
        return EM_NO_MEMORY;
    if (name) {
        detail = em_evidence_line(judging->arena, "sought",
                                  em_arena_printf(judging->arena, "%s: whoever may write there decides what is loaded", name));
        if (!detail)
            return EM_NO_MEMORY;
    }
    return add_trouble(judging, &trouble, object, detail);
}

static int judge_places(struct judging *judging, const struct em_env_object *object, const struct em_path_entries *entries)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < entries->count; i++) {
        const struct em_path_entry *entry = &entries->items[i];
        const struct place *place = entry->directory ? look(judging, entry->directory) : NULL;
        struct trouble trouble = { .owner = object->owner, .severity = EM_SEVERITY_NOTE };

        if (!entry->directory)
            continue;
        if (!place)
            return EM_NO_MEMORY;
        if (place->writable && !em_path_is_below(entry->directory, judging->env->path) &&
            !em_path_is_below(entry->directory, judging->env->real_path)) {
            const char *name = sought_in(judging, object, entry);

            trouble.id = "EM303";
            trouble.key = entry->directory;
            trouble.severity = name ? EM_SEVERITY_WARNING : EM_SEVERITY_NOTE;
            trouble.message = em_arena_printf(judging->arena, "searches %s, where anyone may %s", entry->directory,
                                              place->exists ? "put files" : "make that directory");
            trouble.help = "elfmend patch --shrink-rpath, or --set-rpath without it";
            if (!trouble.message)
                return EM_NO_MEMORY;
            r = add_trouble(judging, &trouble, object,
                            name ? em_evidence_line(judging->arena, "sought", name)
                                 : em_evidence_line(judging->arena, "writable", place->writable));
        } else if (!place->exists) {
            trouble.id = "EM302";
            trouble.key = "";
            trouble.message = "searches directories that are not there";
            r = add_trouble(judging, &trouble, object, em_evidence_line(judging->arena, "entry", entry->written));
        }
    }
    return r;
}

/* The driver's library under the name that everybody asks for, in a directory that is not the driver's. */
static const char *stand_in(const struct judging *judging, const char *directory)
{
    const char *kind = strstr(directory, "/stubs") ? "stub" : strstr(directory, "/compat") ? "compat" : NULL;
    char *path = kind ? em_path_join(judging->arena, directory, "libcuda.so.1") : NULL;
    struct em_node node;

    return path && em_tree_stat(judging->env->tree, path, &node) == 0 ? kind : NULL;
}

static struct trouble stand_in_trouble(const char *kind, const char *directory)
{
    bool stub = strcmp(kind, "stub") == 0;

    return (struct trouble){
        .id = "EM304",
        .key = directory,
        /* A compat libcuda is meant to come first, on the data centre GPUs that support it; the machine decides, not the path. */
        .severity = stub ? EM_SEVERITY_ERROR : EM_SEVERITY_WARNING,
        .help = stub ? "take the stubs directory out of the path: it is for linking alone"
                     : "take the compat directory out of the path where the driver is as new; `elfmend doctor` compares them",
    };
}

static int judge_stand_ins(struct judging *judging, const struct em_env_object *object, const struct em_object *elf,
                           const struct em_path_entries *entries)
{
    em_vec_each (struct em_path_entry, entry, entries) {
        const char *kind = entry->directory ? stand_in(judging, entry->directory) : NULL;
        struct trouble trouble;
        int r;

        if (!kind)
            continue;
        trouble = stand_in_trouble(kind, entry->directory);
        trouble.owner = object->owner;
        trouble.message = em_arena_printf(judging->arena, "finds the %s libcuda.so.1 of %s before the driver", kind,
                                          entry->directory);
        if (!trouble.message)
            return EM_NO_MEMORY;
        r = add_trouble(
            judging, &trouble, object,
            em_evidence_line(judging->arena, "by", em_arena_printf(judging->arena, "%s   (%s)", entry->written, tag_of(elf))));
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* LD_LIBRARY_PATH is every object's: one finding, about the directory. */
static int judge_environment(struct judging *judging)
{
    struct em_path_entries entries;
    int r = em_path_entries(&entries, judging->arena, judging->world->ld_library_path, "/");

    for (size_t i = 0; r == EM_OK && i < entries.count; i++) {
        const struct em_path_entry *entry = &entries.items[i];
        const char *kind = entry->directory ? stand_in(judging, entry->directory) : NULL;
        struct em_env_object object = { .path = entry->directory };
        struct trouble trouble;

        if (!kind)
            continue;
        trouble = stand_in_trouble(kind, entry->directory);
        trouble.message = em_arena_printf(judging->arena,
                                          "is in LD_LIBRARY_PATH: its %s libcuda.so.1 is found before the driver", kind);
        r = trouble.message ? add_trouble(judging, &trouble, &object, NULL) : EM_NO_MEMORY;
    }
    return r;
}

static int judge_object(struct judging *judging, const struct em_env_object *object, const struct em_object *elf)
{
    struct em_path_entries entries;
    char *origin = em_path_dirname(judging->arena, object->path);
    int r = origin ? em_path_entries(&entries, judging->arena, elf->runpath ? elf->runpath : elf->rpath, origin) : EM_NO_MEMORY;

    if (r == EM_OK)
        r = judge_working(judging, object, elf, &entries);
    if (r == EM_OK)
        r = judge_places(judging, object, &entries);
    if (r == EM_OK)
        r = judge_stand_ins(judging, object, elf, &entries);
    if (r == EM_OK && elf->rpath && elf->runpath) {
        struct trouble trouble = { .id = "EM305", .owner = object->owner, .key = "" };

        trouble.message = "has DT_RPATH and DT_RUNPATH: the loader does not look at the first";
        r = add_trouble(judging, &trouble, object, em_evidence_line(judging->arena, "dead", elf->rpath));
    }
    return r;
}

/* ---- findings ---- */

#define SHOWN_LINES 5u

static int add_objects(struct judging *judging, struct em_finding *finding, const struct trouble *trouble)
{
    int r = EM_OK;

    for (size_t i = 1; r == EM_OK && i < trouble->objects.count && i <= SHOWN_LINES; i++)
        r = em_evidence_add(&finding->evidence, judging->arena, i == 1 ? "also" : "",
                            em_env_show(judging->env, trouble->objects.items[i]));
    if (r == EM_OK && trouble->objects.count > SHOWN_LINES + 1)
        r = em_evidence_add(&finding->evidence, judging->arena, "",
                            em_arena_printf(judging->arena, "and %zu more", trouble->objects.count - SHOWN_LINES - 1));
    return r;
}

static int add_finding(struct judging *judging, const struct trouble *trouble)
{
    struct em_finding finding = { .id = trouble->id,
                                  .severity = trouble->severity,
                                  .object = trouble->objects.items[0],
                                  .owner = trouble->owner,
                                  .message = trouble->message,
                                  .help = trouble->help };

    for (size_t i = 0; i < trouble->details.count && i < SHOWN_LINES; i++)
        if (em_vec_push(judging->arena, &finding.evidence, trouble->details.items[i]) < 0)
            return EM_NO_MEMORY;
    if (trouble->details.count > SHOWN_LINES &&
        em_evidence_add(&finding.evidence, judging->arena, "",
                        em_arena_printf(judging->arena, "and %zu more", trouble->details.count - SHOWN_LINES)) < 0)
        return EM_NO_MEMORY;
    if (add_objects(judging, &finding, trouble) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(judging->arena, judging->findings, finding);
}

int em_judge_paths(struct em_findings *findings, struct em_arena *arena, const struct em_env *env, const struct em_world *world,
                   const struct em_loading *loading)
{
    struct judging judging = { .findings = findings,
                               .arena = arena,
                               .env = env,
                               .world = world,
                               .loading = loading,
                               .sought = { .arena = arena },
                               .nodes = { .arena = arena } };
    int r = gather_sought(&judging);

    for (size_t i = 0; r == EM_OK && i < env->objects.count; i++) {
        const struct em_loadable *file = loading->files[i];

        if (file && file->code == EM_OK && (file->object.rpath || file->object.runpath))
            r = judge_object(&judging, &env->objects.items[i], &file->object);
    }
    if (r == EM_OK)
        r = judge_environment(&judging);
    for (size_t i = 0; r == EM_OK && i < judging.troubles.count; i++)
        r = add_finding(&judging, &judging.troubles.items[i]);
    return r;
}
