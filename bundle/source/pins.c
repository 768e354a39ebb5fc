#include "bundle/source/inside.h"

#include <string.h>

/* Two digests for one base name: only the whole path tells them apart. */
static struct em_pin ambiguous;

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
    const char *normal = em_path_normal(arena, path), *name = em_path_basename(path);
    const struct em_pin *known = em_map_get(&pins->by_name, name);
    struct em_pin *pin = em_new(arena, struct em_pin);
    int r;

    if (!pin || !normal)
        return EM_NO_MEMORY;
    pin->sha256 = *digest;
    r = em_map_put(&pins->by_name, name, known && !em_sha256_equal(&known->sha256, digest) ? &ambiguous : pin);
    return r < 0 || !strchr(normal, '/') ? r : em_map_put(&pins->by_name, normal, pin);
}

/* ---- a lock, as pip reads it (pip, "Secure installs") ---- */

/* "NVIDIA_cudnn.cu12[extra]==9.10.2.21" as "nvidia-cudnn-cu12 9.10.2.21"; NULL: it names no release. */
static const char *release_of(struct em_arena *arena, const char *requirement)
{
    const size_t length = strcspn(requirement, " \t[=<>!~;@");
    const char *name = em_arena_strndup(arena, requirement, length), *at = requirement + length, *normal;
    size_t version;

    if (*at == '[')
        at += strcspn(at, "]") + (strchr(at, ']') != NULL);
    at += strspn(at, " \t");
    if (length == 0 || strncmp(at, "==", 2) != 0)
        return NULL;
    at += strspn(at, "= \t");
    version = strcspn(at, " \t\r;,\\");
    normal = name && version > 0 ? em_normalize_name(arena, name) : NULL;
    return normal ? em_arena_printf(arena, "%s %.*s", normal, (int)version, at) : NULL;
}

/* A requirement begins with a release and goes on over the lines that end in "\". */
struct lock {
    const char *release; /* of the requirement that is being read; NULL: none is */
    bool has_hash;
};

/* false in *is_one: a digest that is none, or a requirement without one. */
static int add_hashes(struct em_pins *pins, struct em_arena *arena, struct lock *lock, const char *line, bool *is_one)
{
    static const char option[] = "--hash=sha256:";
    const char *last = line + strlen(line);

    *is_one = false;
    for (const char *at = line; (at = strstr(at, option));) {
        struct em_pin *pin = em_new(arena, struct em_pin);
        const char *hex = em_arena_strndup(arena, at + strlen(option), strcspn(at + strlen(option), " \t\r\\"));

        if (!pin || !hex)
            return EM_NO_MEMORY;
        if (!em_sha256_from_hex(hex, &pin->sha256))
            return EM_OK;
        pin->next = em_map_get(&pins->by_release, lock->release);
        if (em_map_put(&pins->by_release, lock->release, pin) < 0)
            return EM_NO_MEMORY;
        lock->has_hash = true;
        at += strlen(option);
    }
    while (last > line && strchr(" \t\r", last[-1]))
        last--;
    *is_one = lock->has_hash;
    if (last > line && last[-1] == '\\')
        *is_one = true;
    else
        *lock = (struct lock){ 0 };
    return EM_OK;
}

/* Nothing that is pinned: an option of pip's, a remark, nothing at all. */
static bool is_idle(const char *line)
{
    line += strspn(line, " \t\r");
    return *line == '\0' || *line == '#' || *line == '-';
}

static int add_line(struct em_pins *pins, struct em_arena *arena, struct lock *lock, const char *line, bool *is_one)
{
    const size_t size = strlen(line), length = size > 0 && line[size - 1] == '\r' ? size - 1 : size;
    struct em_sha256 digest;
    char *name = NULL;

    *is_one = true;
    if (!lock->release) {
        if (is_idle(line))
            return EM_OK;
        if (parse_line(arena, line, length, &digest, &name))
            return name ? add_pin(pins, arena, name, &digest) : EM_NO_MEMORY;
        lock->release = release_of(arena, line);
        *is_one = lock->release != NULL;
    }
    return *is_one ? add_hashes(pins, arena, lock, line, is_one) : EM_OK;
}

int em_pins_read(struct em_pins *pins, struct em_arena *arena, const char *path, struct em_error *error)
{
    struct lock lock = { 0 };
    struct em_bytes bytes;
    const char *at, *end;
    int r = em_read_file_at(AT_FDCWD, path, EM_MAX_RECORD, arena, &bytes, error);

    *pins = (struct em_pins){ .by_name = { .arena = arena }, .by_release = { .arena = arena } };
    if (r < 0)
        return r;
    pins->path = em_arena_strdup(arena, path);
    if (!pins->path)
        return EM_NO_MEMORY;
    at = (const char *)bytes.data;
    end = at + bytes.size;
    for (unsigned number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t size = (size_t)((stop ? stop : end) - at);
        const char *line = em_arena_strndup(arena, at, size);
        bool is_one = false;

        if (!line)
            return EM_NO_MEMORY;
        r = strlen(line) < size ? EM_OK : add_line(pins, arena, &lock, line, &is_one);
        if (r == EM_OK && !is_one)
            r = em_fail(error, EM_BAD_RECORD, path,
                        "line %u is neither as sha256sum prints it (64 hexadecimal digits, path) nor as pip reads a lock "
                        "(name==version --hash=sha256:DIGITS)",
                        number);
        if (r < 0)
            return r;
        at += size + (stop != NULL);
    }
    pins->given = true;
    return EM_OK;
}

int em_pins_find(const struct em_pins *pins, const char *path, const struct em_pin **pin, struct em_error *error)
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

int em_pins_find_wheel(const struct em_pins *pins, struct em_arena *arena, const char *path, const struct em_pin **pin,
                       struct em_error *error)
{
    const char *name = em_path_basename(path), *dash = strchr(name, '-');
    const char *requirement = dash ? em_arena_printf(arena, "%.*s==%.*s", (int)(dash - name), name, (int)strcspn(dash + 1, "-"),
                                                     dash + 1)
                                   : NULL;
    const char *release = requirement ? release_of(arena, requirement) : NULL;
    int r = em_pins_find(pins, path, pin, error);

    if (r == EM_OK && !*pin && release)
        *pin = em_map_get(&pins->by_release, release);
    return r;
}
