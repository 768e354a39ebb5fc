#include "bundle/source/inside.h"

#include <string.h>

/* Two digests for one base name: only the whole path tells them apart. */
static struct em_sha256 ambiguous;

/* "HEX  path" or "HEX *path", as sha256sum prints it. A line that begins with "\" has its path escaped: "\n" and "\\". */
static bool parse_line(struct em_arena *arena, const char *line, size_t length, struct em_sha256 *digest, char **path)
{
    bool escaped = length > 0 && line[0] == '\\';
    char hex[EM_SHA256_HEX_SIZE], *to;

    line += escaped;
    length -= escaped;
    if (length < sizeof hex + 2 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*'))
        return false;
    memcpy(hex, line, sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    if (!em_sha256_from_hex(hex, digest))
        return false;
    *path = em_arena_strndup(arena, line + 66, length - 66);
    if (!*path || !escaped)
        return true;
    to = *path;
    for (const char *from = *path; *from; from++) {
        if (*from == '\\' && from[1] == 'n')
            *to++ = '\n', from++;
        else if (*from == '\\' && from[1] == '\\')
            *to++ = '\\', from++;
        else
            *to++ = *from;
    }
    *to = '\0';
    return true;
}

static int add_pin(struct em_pins *pins, struct em_arena *arena, const char *path, const struct em_sha256 *digest)
{
    struct em_sha256 *kept = em_new(arena, struct em_sha256);
    const char *normal = em_path_normal(arena, path), *name = em_path_basename(path);
    const struct em_sha256 *known = em_map_get(&pins->by_name, name);
    int r;

    if (!kept || !normal)
        return EM_NO_MEMORY;
    *kept = *digest;
    if (known && !em_sha256_equal(known, digest))
        kept = &ambiguous;
    r = em_map_put(&pins->by_name, name, kept);
    if (r < 0 || !strchr(normal, '/'))
        return r;
    kept = em_new(arena, struct em_sha256);
    if (!kept)
        return EM_NO_MEMORY;
    *kept = *digest;
    return em_map_put(&pins->by_name, normal, kept);
}

int em_pins_read(struct em_pins *pins, struct em_arena *arena, const char *path, struct em_error *error)
{
    struct em_bytes bytes;
    const char *at, *end;
    int r = em_read_file_at(AT_FDCWD, path, EM_MAX_RECORD, arena, &bytes, error);

    *pins = (struct em_pins){ .by_name = { .arena = arena } };
    if (r < 0)
        return r;
    pins->path = em_arena_strdup(arena, path);
    if (!pins->path)
        return EM_NO_MEMORY;
    at = (const char *)bytes.data;
    end = at + bytes.size;
    for (unsigned line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at)), *next = stop ? stop + 1 : end;
        struct em_sha256 digest;
        char *name;

        stop = stop ? stop : end;
        if (stop > at && stop[-1] == '\r')
            stop--;
        if (stop > at && *at != '#') {
            if (memchr(at, '\0', (size_t)(stop - at)) || !parse_line(arena, at, (size_t)(stop - at), &digest, &name))
                return em_fail(error, EM_BAD_RECORD, path, "line %u is not as sha256sum prints it: 64 hexadecimal digits, path",
                               line);
            r = name ? add_pin(pins, arena, name, &digest) : EM_NO_MEMORY;
            if (r < 0)
                return r;
        }
        at = next;
    }
    pins->given = true;
    return EM_OK;
}

int em_pins_find(const struct em_pins *pins, const char *path, const struct em_sha256 **pin, struct em_error *error)
{
    const char *name = em_path_basename(path);

    *pin = em_map_get(&pins->by_name, path);
    /* From the whole path downwards, each tail of it: a pin file is made in the source, or beside it. */
    for (const char *tail = path; !*pin && (tail = strchr(tail, '/')); tail++)
        *pin = tail[1] ? em_map_get(&pins->by_name, tail + 1) : NULL;
    if (*pin == &ambiguous)
        return em_fail(error, EM_REFUSED, path, "has two digests under the name %s in %s, and none under its path", name,
                       pins->path);
    return EM_OK;
}
