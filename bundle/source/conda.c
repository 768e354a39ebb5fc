#include "bundle/source/lists.h"

#include "base/json.h"

#include <string.h>

static json_t *read_json(const struct em_unpack *unpack, const char *name, int *r)
{
    struct em_error missing = EM_ERROR_INIT;
    struct em_bytes bytes;
    json_t *json;

    *r = em_read_file_at(unpack->root, name, EM_MAX_JSON, unpack->arena, &bytes, &missing);
    if (*r == EM_NOT_FOUND) {
        *r = EM_OK;
        return NULL;
    }
    if (*r < 0) {
        *r = em_fail(unpack->error, *r, unpack->label, "has an %s that cannot be read", name);
        return NULL;
    }
    *r = em_json_read(&json, bytes, em_arena_printf(unpack->arena, "%s: %s", unpack->label, name), unpack->error);
    return json;
}

/* Names and versions of conda packages (CEP 26): no character of them needs care in a path. */
static bool is_plain(const char *string)
{
    return string && *string && *string != '.' && *string != '~' &&
           string[strspn(string, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+!-")] == '\0';
}

/* The rows of paths.json (conda's package specification, paths_version 1). What lacks a digest, a link say, is no row. */
static int add_rows(struct em_list *list, const struct em_unpack *unpack, const json_t *paths)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(paths, "paths"), i, entry)
    {
        const char *path = json_string_value(json_object_get(entry, "_path"));
        const char *hex = json_string_value(json_object_get(entry, "sha256"));
        json_int_t size = json_integer_value(json_object_get(entry, "size_in_bytes"));
        struct em_sha256 *digest = em_new(unpack->arena, struct em_sha256);

        if (!digest)
            return EM_NO_MEMORY;
        if (!path || !em_path_is_contained(path) || !hex || !em_sha256_from_hex(hex, digest) || size < 0)
            continue;
        if (em_vec_push(unpack->arena, &list->rows, ((struct em_list_row){ path, digest, true, (uint64_t)size })) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

int em_lists_of_conda(struct em_unpack *unpack)
{
    int r;
    json_t *paths = read_json(unpack, "info/paths.json", &r), *index = NULL;

    if (paths)
        index = read_json(unpack, "info/index.json", &r);
    if (index) {
        struct em_list list = { .name = json_string_value(json_object_get(index, "name")),
                                .version = json_string_value(json_object_get(index, "version")),
                                .installer = "conda" };

        r = is_plain(list.name) && is_plain(list.version)
                ? add_rows(&list, unpack, paths)
                : em_fail(unpack->error, EM_BAD_JSON, unpack->label, "has an info/index.json without a name and a version");
        if (r == EM_OK)
            r = em_list_write(&list, unpack);
    }
    json_decref(paths);
    json_decref(index);
    return r;
}
