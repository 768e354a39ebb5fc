#include "bundle/diagnose/opens.h"

#include "patcher/patcher.h"

#include <ctype.h>
#include <fnmatch.h>
#include <jansson.h>
#include <string.h>

/* The digits and dots behind ".so." of a file name: "libcudnn-74a4c495.so.9.1.0" is 9.1.0. Empty if there are none. */
static const char *version_of(const char *name)
{
    const char *at = strstr(name, ".so.");

    return at && isdigit((unsigned char)at[4]) ? at + 4 : "";
}

/* The first count numbers of a dotted version; NULL if it has fewer. */
static char *version_prefix(struct em_arena *arena, const char *version, unsigned count)
{
    const char *at = version;

    while (isdigit((unsigned char)*at)) {
        at += strspn(at, "0123456789");
        if (--count == 0)
            return em_arena_strndup(arena, version, (size_t)(at - version));
        if (*at == '.')
            at++;
    }
    return NULL;
}

/* Fills in one template. NULL in *name: the version has not so many parts, so the object would not compose this name. */
static int compose(struct em_arena *arena, const char *template, const char *member, const char *version, const char **name)
{
    static const struct {
        const char *hole;
        unsigned parts;
    } holes[] = { { "{full}", 3 }, { "{minor}", 2 }, { "{major}", 1 } };
    const char *rest = strstr(template, "{member}");
    const char *text;

    *name = NULL;
    if (!rest)
        return EM_OK;
    text = em_arena_printf(arena, "%.*s%s%s", (int)(rest - template), template, member, rest + strlen("{member}"));
    if (!text)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
        const char *at = strstr(text, holes[i].hole);
        const char *value;

        if (!at)
            continue;
        value = version_prefix(arena, version, holes[i].parts);
        if (!value)
            return EM_OK;
        text = em_arena_printf(arena, "%.*s%s%s", (int)(at - text), text, value, at + strlen(holes[i].hole));
        if (!text)
            return EM_NO_MEMORY;
    }
    *name = text;
    return EM_OK;
}

static int add_member(struct em_openings *openings, struct em_arena *arena, const struct em_opens *rule,
                      const struct em_opens_entry *entry, const char *version)
{
    struct em_opening opening = { .rule = rule, .entry = entry };

    em_vec_each (const char *, template, &rule->names) {
        const char *name;
        int r = compose(arena, *template, entry->member, version, &name);

        if (r < 0)
            return r;
        if (!name)
            continue;
        if (em_vec_push(arena, &opening.names, name) < 0)
            return EM_NO_MEMORY;
        /* Packages carry libraries under their major alone. */
        const char *behind = version_of(name);
        if (*behind && !strchr(behind, '.'))
            opening.wanted = name;
    }
    if (opening.names.count == 0)
        return EM_OK;
    if (!opening.wanted)
        opening.wanted = opening.names.items[0];
    return em_vec_push(arena, openings, opening);
}

static int strings_of(struct em_strings **names, struct em_arena *arena, struct em_tree *tree, const char *path,
                      struct em_diagnose_cache *cache, uint64_t *bytes_read, struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    int r;

    *names = cache ? em_map_get(&cache->names, path) : NULL;
    if (*names)
        return EM_OK;
    if (cache)
        arena = cache->names.arena;
    *names = em_new(arena, struct em_strings);
    if (!*names)
        return EM_NO_MEMORY;
    r = em_tree_open(tree, path, &file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, path, "cannot be opened");
    }
    r = em_names_scan(*names, arena, &file->reader, error);
    *bytes_read += file->reader.bytes_read;
    if (r < 0)
        return r;
    if (!cache)
        return EM_OK;
    path = em_arena_strdup(arena, path);
    return path ? em_map_put(&cache->names, path, *names) : EM_NO_MEMORY;
}

static int add_strings(struct em_openings *openings, struct em_arena *arena, const struct em_opens *rule,
                       const struct em_opens_entry *entry, const struct em_strings *strings)
{
    em_vec_each (const char *, string, strings) {
        struct em_opening opening = { .rule = rule, .entry = entry };

        if (fnmatch(entry->string, *string, 0) != 0)
            continue;
        opening.wanted = entry->name ? entry->name : *string;
        if (em_vec_push(arena, &opening.names, opening.wanted) < 0 || em_vec_push(arena, openings, opening) < 0)
            return EM_NO_MEMORY;
        if (entry->name)
            break;
    }
    return EM_OK;
}

/* ---- notes ---- */

static const struct em_opens by_note = { .what = "by the object's own note" };

/* UAPI.12 allows no control characters; a terminal is not to be steered by an object. */
static bool is_plain(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return *text != '\0';
}

/* One object of a note's array: {"soname": ["liba.so.2", "liba.so.1"], "feature": "...", "description": "...", "priority": "..."}; of
 * its sonames the first that is there is taken. */
static int add_noted(struct em_openings *openings, struct em_arena *arena, json_t *item)
{
    const char *priority = json_string_value(json_object_get(item, "priority"));
    const char *feature = json_string_value(json_object_get(item, "feature"));
    const char *description = json_string_value(json_object_get(item, "description"));
    struct em_opens_entry *entry = em_new(arena, struct em_opens_entry);
    struct em_opening opening = { .rule = &by_note, .entry = entry };
    json_t *name;
    size_t i;

    if (!entry)
        return EM_NO_MEMORY;
    json_array_foreach(json_object_get(item, "soname"), i, name)
    {
        const char *text = json_string_value(name), *copy = text ? em_arena_strdup(arena, text) : "";

        if (!copy || (is_plain(copy) && em_vec_push(arena, &opening.names, copy) < 0))
            return EM_NO_MEMORY;
    }
    if (opening.names.count == 0)
        return EM_OK;
    opening.wanted = entry->string = opening.names.items[0];
    entry->without = priority && strcmp(priority, "required") == 0 ? EM_WITHOUT_MAIN : EM_WITHOUT_OPTIONAL;
    entry->loses = em_arena_strdup(arena, description && is_plain(description) ? description
                                          : feature && is_plain(feature)       ? feature
                                                                               : "what it is opened for");
    return entry->loses ? em_vec_push(arena, openings, opening) : EM_NO_MEMORY;
}

static int add_notes(struct em_openings *openings, struct em_arena *arena, const struct em_strings *notes)
{
    em_vec_each (const char *, note, notes) {
        json_t *array = json_loads(*note, 0, NULL), *item;
        int r = EM_OK;
        size_t i;

        json_array_foreach(array, i, item)
        {
            if (r == EM_OK)
                r = add_noted(openings, arena, item);
        }
        json_decref(array);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* The version of the CUDA runtime that an object needs: what composes names without a version of its own composes them by that. */
static const char *runtime_of(const struct em_object *object)
{
    em_vec_each (const char *, name, &object->needed)
        if (strncmp(*name, "libcudart.so.", 13) == 0)
            return version_of(*name);
    return "";
}

int em_openings_of(struct em_openings *openings, struct em_arena *arena, const struct em_knowledge *knowledge,
                   struct em_tree *tree, const char *path, const struct em_object *object, struct em_diagnose_cache *cache,
                   uint64_t *bytes_read, struct em_error *error)
{
    const char *base = em_path_basename(path);
    const char *soname = object->soname;
    const struct em_opens *rule = em_knowledge_opens(knowledge, soname ? soname : base);
    const char *version = version_of(base);
    struct em_strings *strings = NULL;
    int r;

    *openings = (struct em_openings){ 0 };
    r = add_notes(openings, arena, &object->dlopen_notes);
    if (r < 0 || !rule)
        return r;
    if (!*version && soname)
        version = version_of(soname);
    if (!*version)
        version = runtime_of(object);
    em_vec_each (struct em_opens_entry, entry, &rule->entries) {
        if (entry->member) {
            r = add_member(openings, arena, rule, entry, version);
        } else {
            r = strings ? EM_OK : strings_of(&strings, arena, tree, path, cache, bytes_read, error);
            if (r == EM_OK)
                r = add_strings(openings, arena, rule, entry, strings);
        }
        if (r < 0)
            return r;
    }
    return EM_OK;
}
