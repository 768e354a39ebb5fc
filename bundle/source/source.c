#include "bundle/source/inside.h"

#include <string.h>

bool em_is_licence_name(const char *path)
{
    static const char *const names[] = { "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS" };
    const char *info = strstr(path, ".dist-info/"), *base = em_path_basename(path);

    if (!info)
        return false;
    if (strncmp(info, ".dist-info/licenses/", 20) == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (info + strlen(".dist-info/") == base && strncasecmp(base, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* A file that is no object: what else it is, its content says. A directory, and what is not there, is for others to judge. */
static bool may_be_archive(const char *place)
{
    struct em_error error = EM_ERROR_INIT;
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, place, O_RDONLY, 0, &error);
    char magic[SELFMAG] = { 0 };
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           (pread(fd, magic, sizeof magic, 0) < SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0);
}

int em_source_open(struct em_source **source, struct em_arena *arena, struct em_tree *tree, const char *place,
                   struct em_error *error)
{
    return em_source_open_for(source, arena, tree, place, NULL, error);
}

int em_source_open_for(struct em_source **source, struct em_arena *arena, struct em_tree *tree, const char *place,
                       const struct em_env *target, struct em_error *error)
{
    struct em_source *opened = em_new(arena, struct em_source);
    const bool is_fetched = strncmp(place, "pip:", 4) == 0;
    int r = EM_OK;

    if (!opened)
        return EM_NO_MEMORY;
    opened->place = em_arena_strdup(arena, place);
    if (!opened->place)
        return EM_NO_MEMORY;
    opened->env = (struct em_env){ .given = opened->place, .path = opened->place, .tree = tree, .arena = arena };
    if (is_fetched || may_be_archive(place))
        r = em_cache_open(opened, error);
    if (r == EM_OK && is_fetched)
        r = em_source_fetch(opened, arena, tree, place, target, error);
    else if (r == EM_OK && opened->cache)
        r = em_container_open(opened, opened->place, opened->place, error);
    else if (r == EM_OK)
        r = em_source_read_directory(opened, arena, tree, place, error);
    if (r == EM_OK)
        *source = opened;
    return r;
}

int em_source_look(struct em_source *source, const struct em_strings *names, bool deep, struct em_error *error)
{
    return source->container ? em_container_look(source, names, deep, error) : EM_OK;
}

static int add_name(struct em_source *source, const char *name, struct em_candidate *candidate)
{
    struct em_candidates *named = em_map_get(&source->by_name, name);

    if (!named) {
        named = em_new(source->env.arena, struct em_candidates);
        if (!named || em_map_put(&source->by_name, name, named) < 0)
            return EM_NO_MEMORY;
    }
    return em_vec_push(source->env.arena, named, candidate);
}

/* Made anew when there are more: they are in order of paths. */
static int name_all(struct em_source *source)
{
    source->by_name = (struct em_map){ .arena = source->env.arena };
    em_vec_each (struct em_candidate *, candidate, &source->candidates) {
        const char *name = em_path_basename((*candidate)->path), *soname = (*candidate)->object.soname;

        if (add_name(source, name, *candidate) < 0 ||
            (soname && strcmp(soname, name) != 0 && add_name(source, soname, *candidate) < 0))
            return EM_NO_MEMORY;
    }
    source->named = source->candidates.count;
    return EM_OK;
}

int em_source_named(struct em_source *source, const char *name, const struct em_candidates **named)
{
    static const struct em_candidates none;
    int r = source->named == source->candidates.count ? EM_OK : name_all(source);

    *named = r == EM_OK && source->named > 0 ? em_map_get(&source->by_name, name) : NULL;
    if (!*named)
        *named = &none;
    return r;
}

bool em_source_has(struct em_source *source, const char *name)
{
    struct em_error unread = EM_ERROR_INIT;
    struct em_strings names = { .items = &name, .count = 1, .capacity = 1 };
    const struct em_candidates *named;

    return em_source_look(source, &names, false, &unread) < 0 || em_source_named(source, name, &named) < 0 || named->count > 0;
}

/* ---- what vouches for a candidate ---- */

/* Where what is made for a pin may live: as long as the pins. */
static struct em_arena *arena_of(const struct em_pins *pins)
{
    return pins->by_name.arena;
}

int em_candidate_pin(const struct em_candidate *candidate, const struct em_pins *pins, const struct em_pin **pin,
                     struct em_error *error)
{
    int r = em_pins_find(pins, candidate->path, pin, error);

    return r < 0 || *pin ? r : em_container_pin(candidate->container, pins, arena_of(pins), pin, error);
}

/* The archive is what was pinned: then a member is what its RECORD says, or what came out of the archive. */
static int find_in_pinned(struct em_candidate *candidate, const struct em_pins *pins, const struct em_pin *pin,
                          struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    int r = em_container_check(candidate->container, pins, pin, error);

    candidate->voucher = EM_VOUCHER_PIN;
    candidate->sha256 = candidate->expected;
    if (r < 0 || candidate->has_expected)
        return r;
    r = em_tree_open(candidate->tree, candidate->path, &file);
    errno = -r;
    return r < 0 ? em_fail_errno(error, candidate->shown, "cannot be opened")
                 : em_hash_reader(&file->reader, &candidate->sha256, NULL, error);
}

static int find_pin(struct em_candidate *candidate, const struct em_pins *pins, struct em_error *error)
{
    const struct em_pin *pin;
    int r = em_pins_find(pins, candidate->path, &pin, error);

    if (r == EM_OK && !pin) {
        r = em_container_pin(candidate->container, pins, arena_of(pins), &pin, error);
        if (r == EM_OK && pin)
            return find_in_pinned(candidate, pins, pin, error);
    }
    if (r < 0)
        return r;
    if (!pin)
        return em_fail(error, EM_REFUSED, candidate->shown, "is not in %s, and only what is may be copied", pins->path);
    candidate->sha256 = pin->sha256;
    candidate->voucher = EM_VOUCHER_PIN;
    return EM_OK;
}

static int find_record(struct em_candidate *candidate, bool allow_unverified, struct em_error *error)
{
    const struct em_distribution *distribution = candidate->distribution;

    if (!candidate->has_expected && allow_unverified)
        return EM_OK;
    if (!candidate->has_expected)
        return em_fail(error, EM_REFUSED, candidate->shown,
                       "has nothing that vouches for it, neither a RECORD nor a pin: --require-hashes FILE pins it, "
                       "--allow-unverified takes it as it is");
    if (candidate->has_expected_size && candidate->expected_size != candidate->node.size)
        return em_fail(error, EM_REFUSED, candidate->shown, "is not what the RECORD of %s %s says: %llu bytes instead of %llu",
                       distribution->name, distribution->version, (unsigned long long)candidate->node.size,
                       (unsigned long long)candidate->expected_size);
    candidate->sha256 = candidate->expected;
    candidate->voucher = EM_VOUCHER_RECORD;
    return EM_OK;
}

static int differs(struct em_candidate *candidate, const struct em_pins *pins, const struct em_sha256 *actual,
                   struct em_error *error)
{
    const bool is_pinned = candidate->voucher == EM_VOUCHER_PIN;
    char hex[EM_SHA256_HEX_SIZE];

    candidate->voucher = EM_VOUCHER_NONE;
    em_sha256_hex(actual, hex);
    if (is_pinned)
        return em_fail(error, EM_REFUSED, candidate->shown, "is not what %s asks for: its SHA-256 is %s", pins->path, hex);
    return em_fail(error, EM_REFUSED, candidate->shown, "is not what the RECORD of %s %s says: the SHA-256 differs, it is %s",
                   candidate->distribution->name, candidate->distribution->version, hex);
}

int em_candidate_verify(struct em_candidate *candidate, const struct em_pins *pins, bool allow_unverified,
                        struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    struct em_sha256 actual;
    int r = em_tree_open(candidate->tree, candidate->path, &file);

    candidate->voucher = EM_VOUCHER_NONE;
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, candidate->shown, "cannot be opened");
    }
    candidate->node = file->node;
    r = pins && pins->given ? find_pin(candidate, pins, error) : find_record(candidate, allow_unverified, error);
    if (r == EM_OK)
        r = em_hash_reader(&file->reader, &actual, NULL, error);
    if (r < 0)
        return r;
    if (candidate->voucher == EM_VOUCHER_NONE)
        candidate->sha256 = actual;
    if (!em_sha256_equal(&candidate->sha256, &actual))
        return differs(candidate, pins, &actual, error);
    if (candidate->problem)
        return em_fail(error, EM_REFUSED, candidate->shown, "cannot be used: it %s", candidate->problem);
    return EM_OK;
}

int em_candidate_vouch(struct em_candidate *candidate, const struct em_pins *pins, bool allow_unverified,
                       struct em_error *error)
{
    const bool is_pinned = pins && pins->given;

    if (candidate->problem || (!is_pinned && !candidate->has_expected))
        return em_candidate_verify(candidate, pins, allow_unverified, error);
    return is_pinned ? find_pin(candidate, pins, error) : find_record(candidate, allow_unverified, error);
}
