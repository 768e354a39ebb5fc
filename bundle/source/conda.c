#include "bundle/source/unpack.h"

#include "base/json.h"

#include <string.h>

static json_t *read_json(struct em_arena *arena, int root, const char *name, const char *label, int *r, struct em_error *error)
{
    struct em_error missing = EM_ERROR_INIT;
    struct em_bytes bytes;
    json_t *json;

    *r = em_read_file_at(root, name, EM_MAX_JSON, arena, &bytes, &missing);
    if (*r == EM_NOT_FOUND) {
        *r = EM_OK;
        return NULL;
    }
    if (*r < 0) {
        *r = em_fail(error, *r, label, "has an %s that cannot be read", name);
        return NULL;
    }
    *r = em_json_read(&json, bytes, em_arena_printf(arena, "%s: %s", label, name), error);
    return json;
}

/* Names and versions of conda packages (CEP 26): no character of them needs care in a path. */
static bool is_plain(const char *string)
{
    return string && *string && *string != '.' && *string != '~' &&
           string[strspn(string, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+!-")] == '\0';
}

/* The rows of paths.json (conda's package specification, paths_version 1). What lacks a digest, a link say, is no row; nor is a path
 * that RECORD would have to quote, which no library has. */
static int make_record(const json_t *paths, const char *info, struct em_text *text)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(paths, "paths"), i, entry)
    {
        const char *path = json_string_value(json_object_get(entry, "_path"));
        const char *hex = json_string_value(json_object_get(entry, "sha256"));
        json_int_t size = json_integer_value(json_object_get(entry, "size_in_bytes"));
        char base64[EM_SHA256_BASE64_SIZE];
        struct em_sha256 digest;

        if (!path || strpbrk(path, ",\"\r\n") || !em_path_is_contained(path) || !hex || !em_sha256_from_hex(hex, &digest) ||
            size < 0)
            continue;
        em_sha256_base64(&digest, base64);
        em_text_printf(text, "%s,sha256=%s,%lld\n", path, base64, (long long)size);
    }
    em_text_printf(text, "%s/METADATA,,\n%s/RECORD,,\n", info, info);
    return text->failed ? EM_NO_MEMORY : EM_OK;
}

static int write_file(int root, const char *path, const struct em_text *text, const char *label, struct em_error *error)
{
    em_cleanup_fd int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return em_fail_errno(error, label, "cannot be unpacked: %s", path);
    return em_write_all(fd, text->data, text->size, path, error);
}

static int write_list(struct em_arena *arena, int root, const json_t *paths, const char *name, const char *version,
                      const char *label, struct em_error *error)
{
    const char *info = em_arena_printf(arena, "%s-%s.dist-info", name, version);
    const char *record_path = em_arena_printf(arena, "%s/RECORD", info),
               *metadata_path = em_arena_printf(arena, "%s/METADATA", info);
    em_cleanup_text struct em_text record = { 0 }, metadata = { 0 };
    int r;

    if (!info || !record_path || !metadata_path)
        return EM_NO_MEMORY;
    r = make_record(paths, info, &record);
    if (r < 0)
        return r;
    em_text_printf(&metadata, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version);
    if (metadata.failed)
        return EM_NO_MEMORY;
    if (mkdirat(root, info, 0700) < 0)
        return em_fail_errno(error, label, "cannot be unpacked: %s", info);
    r = write_file(root, record_path, &record, label, error);
    return r < 0 ? r : write_file(root, metadata_path, &metadata, label, error);
}

int em_unpack_conda(struct em_arena *arena, int root, const char *label, struct em_error *error)
{
    int r;
    json_t *paths = read_json(arena, root, "info/paths.json", label, &r, error), *index = NULL;

    if (paths)
        index = read_json(arena, root, "info/index.json", label, &r, error);
    if (index) {
        const char *name = json_string_value(json_object_get(index, "name"));
        const char *version = json_string_value(json_object_get(index, "version"));

        r = is_plain(name) && is_plain(version)
                ? write_list(arena, root, paths, name, version, label, error)
                : em_fail(error, EM_BAD_JSON, label, "has an info/index.json without a name and a version");
    }
    json_decref(paths);
    json_decref(index);
    return r;
}
