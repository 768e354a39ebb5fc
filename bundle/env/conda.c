#include "bundle/env/conda.h"

#include "base/json.h"

#include "bundle/env/inside.h"

#include <string.h>

struct em_conda {
    json_t *document;
    const char *label;
    bool ends_line; /* the file ends with a line end; conda's do not */
};

static json_t *files_of(const struct em_conda *conda)
{
    return json_object_get(conda->document, "files");
}

/* NULL in what conda wrote before 2018. */
static json_t *paths_of(const struct em_conda *conda)
{
    return json_object_get(json_object_get(conda->document, "paths_data"), "paths");
}

static const char *string_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* ---- opening ---- */

/* Of each list that what is in it is of the right kind: the rest of this file relies on that. */
static bool holds_only(json_t *list, json_type type)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) if (json_typeof(item) != type) return false;
    return true;
}

static int check(const struct em_conda *conda, struct em_error *error)
{
    const char *wrong = NULL;

    if (!string_of(conda->document, "name") || !string_of(conda->document, "version"))
        wrong = "names no package and no version";
    else if (!json_is_array(files_of(conda)) || !holds_only(files_of(conda), JSON_STRING))
        wrong = "has no 'files' that is a list of names";
    else if (paths_of(conda) && (!json_is_array(paths_of(conda)) || !holds_only(paths_of(conda), JSON_OBJECT)))
        wrong = "has 'paths_data' that is no list of objects";
    return wrong ? em_fail(error, EM_BAD_JSON, conda->label, "%s", wrong) : EM_OK;
}

int em_conda_open(struct em_conda **conda, struct em_arena *arena, struct em_bytes bytes, const char *label,
                  struct em_error *error)
{
    int r;

    *conda = em_new(arena, struct em_conda);
    if (!*conda)
        return EM_NO_MEMORY;
    **conda = (struct em_conda){ .label = label, .ends_line = bytes.size > 0 && bytes.data[bytes.size - 1] == '\n' };
    r = em_json_read(&(*conda)->document, bytes, label, error);
    if (r < 0)
        return r;
    r = check(*conda, error);
    if (r < 0) {
        em_conda_close(*conda);
        *conda = NULL;
    }
    return r;
}

void em_conda_close(struct em_conda *conda)
{
    if (conda)
        json_decref(conda->document);
}

/* ---- as a distribution ---- */

/* The digest that the file in the prefix has to have; NULL: the list does not say. Where the prefix was written into the file, that of
 * the package is of other bytes; of a link it is that of what it leads to. */
static const char *digest_of(const json_t *entry)
{
    const char *type = string_of(entry, "path_type"), *digest = string_of(entry, "sha256_in_prefix");

    if (type && strcmp(type, "hardlink") != 0)
        return NULL;
    if (!digest && !json_is_string(json_object_get(entry, "prefix_placeholder")))
        digest = string_of(entry, "sha256");
    return digest;
}

static void add_row(struct em_text *text, const char *path, const json_t *entry)
{
    const char *digest = digest_of(entry);
    const json_t *size = json_object_get(entry, "size_in_bytes");
    char base64[EM_SHA256_BASE64_SIZE];
    struct em_sha256 sha256;

    em_text_add(text, "\"");
    for (const char *at = path; *at; at++)
        em_text_add_bytes(text, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
    em_text_add(text, "\",");
    if (digest && em_sha256_from_hex(digest, &sha256)) {
        em_sha256_base64(&sha256, base64);
        em_text_printf(text, "sha256=%s", base64);
    }
    em_text_add(text, ",");
    if (digest && json_is_integer(size) && json_integer_value(size) >= 0 &&
        !json_is_string(json_object_get(entry, "prefix_placeholder")))
        em_text_printf(text, "%lld", (long long)json_integer_value(size));
    em_text_add(text, "\n");
}

/* The record as a RECORD would have it: paths_data first, then what "files" has besides. */
static int write_rows(const struct em_conda *conda, struct em_arena *arena, struct em_text *text)
{
    struct em_map seen = { .arena = arena };
    json_t *entry, *file;
    size_t i;

    json_array_foreach(paths_of(conda), i, entry)
    {
        const char *path = string_of(entry, "_path");

        if (!path || !em_path_is_contained(path) || em_map_get(&seen, path))
            continue;
        if (em_map_put(&seen, path, entry) < 0)
            return EM_NO_MEMORY;
        add_row(text, path, entry);
    }
    json_array_foreach(files_of(conda), i, file)
    {
        const char *path = json_string_value(file);

        if (!em_path_is_contained(path) || em_map_get(&seen, path))
            continue;
        if (em_map_put(&seen, path, file) < 0)
            return EM_NO_MEMORY;
        add_row(text, path, NULL);
    }
    return text->failed ? EM_NO_MEMORY : EM_OK;
}

int em_conda_describe(const struct em_conda *conda, struct em_distribution *distribution, struct em_arena *arena,
                      struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    em_cleanup_text struct em_text rows = { 0 };
    int r = scratch ? write_rows(conda, scratch, &rows) : EM_NO_MEMORY;

    if (r < 0)
        return r;
    distribution->name = em_arena_strdup(arena, string_of(conda->document, "name"));
    distribution->version = em_arena_strdup(arena, string_of(conda->document, "version"));
    distribution->normalized = distribution->name ? em_normalize_name(arena, distribution->name) : NULL;
    distribution->installer = "conda";
    distribution->has_record = true;
    if (!distribution->version || !distribution->normalized)
        return EM_NO_MEMORY;
    return em_record_read(&distribution->record, arena, (struct em_bytes){ (const uint8_t *)rows.data, rows.size },
                          conda->label, error);
}

/* ---- the packages of a prefix ---- */

static int read_package(struct em_env *env, const char *directory, const char *name, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_distribution *package = em_new(env->arena, struct em_distribution);
    em_cleanup_conda struct em_conda *conda = NULL;
    struct em_bytes bytes;
    int r;

    if (!scratch || !package)
        return EM_NO_MEMORY;
    *package = (struct em_distribution){ .site = env->path, .dist_info = directory };
    package->conda_meta = em_path_join(env->arena, directory, name);
    if (!package->conda_meta)
        return EM_NO_MEMORY;
    /* What is wrong with it the reading says. */
    (void)em_tree_stat(env->tree, package->conda_meta, &package->record_node);
    r = em_tree_read(env->tree, scratch, package->conda_meta, EM_MAX_JSON, &bytes, error);
    if (r == EM_OK)
        r = em_conda_open(&conda, scratch, bytes, package->conda_meta, error);
    if (r == EM_OK)
        r = em_conda_describe(conda, package, env->arena, error);
    return r < 0 ? r : em_vec_push(env->arena, &env->conda, package);
}

static bool is_package(const struct em_entry *entry)
{
    size_t length = strlen(entry->name);

    return entry->kind == EM_NODE_FILE && entry->name[0] != '.' && length > 5 && strcmp(entry->name + length - 5, ".json") == 0;
}

int em_env_read_conda(struct em_env *env, struct em_error *error)
{
    const char *directory = em_path_join(env->arena, env->path, "conda-meta");
    struct em_entries entries;
    int r = directory ? em_tree_entries(env->tree, env->arena, directory, &entries) : -ENOMEM;

    if (r < 0)
        return em_env_fail(error, env, directory, r, "cannot be listed");
    em_vec_each (const struct em_entry, entry, &entries) {
        r = is_package(entry) ? read_package(env, directory, entry->name, error) : EM_OK;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- changing ---- */

static size_t find_file(const struct em_conda *conda, const char *path)
{
    json_t *files = files_of(conda), *file;
    size_t i;

    json_array_foreach(files, i, file) if (strcmp(json_string_value(file), path) == 0) return i;
    return json_array_size(files);
}

static size_t find_entry(const struct em_conda *conda, const char *path)
{
    json_t *paths = paths_of(conda), *entry;
    size_t i;

    json_array_foreach(paths, i, entry)
    {
        const char *known = string_of(entry, "_path");

        if (known && strcmp(known, path) == 0)
            return i;
    }
    return json_array_size(paths);
}

/* The digest of the package's bytes stays where the file had other ones already: it says what the package had. */
static int set_digests(json_t *entry, const char *hex)
{
    json_t *package = json_object_get(entry, "sha256"), *here = json_object_get(entry, "sha256_in_prefix");
    int r = 0;

    if (!here || !package || json_equal(package, here))
        r |= json_object_set_new(entry, "sha256", json_string(hex));
    if (here || !package)
        r |= json_object_set_new(entry, "sha256_in_prefix", json_string(hex));
    return r ? EM_NO_MEMORY : EM_OK;
}

/* The entry of a link has the digest of what it leads to: those that had the old one follow. */
static int follow_links(const struct em_conda *conda, const char *old, const char *hex)
{
    json_t *entry;
    size_t i;

    json_array_foreach(paths_of(conda), i, entry)
    {
        const char *type = string_of(entry, "path_type"), *digest = string_of(entry, "sha256_in_prefix");

        if (!digest)
            digest = string_of(entry, "sha256");
        if (type && strcmp(type, "softlink") == 0 && digest && strcmp(digest, old) == 0 && set_digests(entry, hex) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int change_entry(const struct em_conda *conda, json_t *entry, const char *hex, uint64_t size)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    const char *old = digest_of(entry);
    int r;

    old = scratch && old ? em_arena_strdup(scratch, old) : NULL;
    r = set_digests(entry, hex);
    if (r == EM_OK && json_object_set_new(entry, "size_in_bytes", json_integer((json_int_t)size)) < 0)
        r = EM_NO_MEMORY;
    return r == EM_OK && old ? follow_links(conda, old, hex) : r;
}

int em_conda_put(struct em_conda *conda, const char *path, const struct em_sha256 *sha256, uint64_t size)
{
    json_t *paths = paths_of(conda);
    size_t at = find_entry(conda, path);
    char hex[EM_SHA256_HEX_SIZE];

    em_sha256_hex(sha256, hex);
    if (find_file(conda, path) == json_array_size(files_of(conda)) &&
        json_array_append_new(files_of(conda), json_string(path)) < 0)
        return EM_NO_MEMORY;
    if (!paths)
        return EM_OK;
    if (at < json_array_size(paths))
        return change_entry(conda, json_array_get(paths, at), hex, size);
    return json_array_append_new(paths, json_pack("{s:s, s:s, s:s, s:s, s:I}", "_path", path, "path_type", "hardlink", "sha256",
                                                  hex, "sha256_in_prefix", hex, "size_in_bytes", (json_int_t)size)) < 0
               ? EM_NO_MEMORY
               : EM_OK;
}

void em_conda_drop(struct em_conda *conda, const char *path)
{
    size_t file = find_file(conda, path), entry = find_entry(conda, path);

    if (file < json_array_size(files_of(conda)))
        json_array_remove(files_of(conda), file);
    if (entry < json_array_size(paths_of(conda)))
        json_array_remove(paths_of(conda), entry);
}

static int add_dump(const char *buffer, size_t size, void *context)
{
    em_text_add_bytes(context, buffer, size);
    return 0;
}

int em_conda_write(const struct em_conda *conda, struct em_text *text)
{
    if (json_dump_callback(conda->document, add_dump, text, JSON_INDENT(2)) < 0)
        return EM_NO_MEMORY;
    if (conda->ends_line)
        em_text_add(text, "\n");
    return text->failed ? EM_NO_MEMORY : EM_OK;
}
