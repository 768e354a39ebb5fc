#include "bundle/loader/cache.h"

#include <elf.h>
#include <string.h>

#define OLD_MAGIC "ld.so-1.7.0"
#define NEW_MAGIC "glibc-ld.so.cache1.1"
#define OLD_HEADER 16u
#define OLD_ENTRY 12u
#define NEW_HEADER 48u
#define NEW_ENTRY 24u
#define EXTENSION_MAGIC 0xeaa42174u

/* The hwcap field of a new entry (dl-cache.h): an index into the names of the extension, or bits of old. */
#define HWCAP_EXTENSION (UINT32_C(1) << 30)
#define HWCAP_ISA_MASK UINT32_C(0x3ff)
#define HWCAP_TLS (UINT64_C(1) << 63)
#define HWCAP_PLATFORMS (UINT64_C(0xf) << 48)

struct cache {
    struct em_world *world;
    struct em_arena *arena;
    struct em_bytes strings; /* what string offsets count from */
    struct em_bytes entries;
    uint32_t count;
    bool new_format;
    struct em_strings names; /* of the extension, by index: "x86-64-v3" */
};

struct entry {
    const char *key, *path;
    uint32_t flags;
    uint64_t hwcap;
};

int em_cache_compare(const char *a, const char *b)
{
    while (*a) {
        bool a_digit = *a >= '0' && *a <= '9', b_digit = *b >= '0' && *b <= '9';

        if (a_digit && b_digit) {
            /* glibc computes in int and lets it wrap; so do we, without the undefined behaviour. */
            uint32_t x = 0, y = 0;

            while (*a >= '0' && *a <= '9')
                x = x * 10 + (uint32_t)(*a++ - '0');
            while (*b >= '0' && *b <= '9')
                y = y * 10 + (uint32_t)(*b++ - '0');
            if (x != y)
                return (int32_t)x < (int32_t)y ? -1 : 1;
        } else if (a_digit || b_digit) {
            return a_digit ? 1 : -1;
        } else if (*a != *b) {
            return *a - *b;
        } else {
            a++;
            b++;
        }
    }
    return *a - *b;
}

/* Two names have the same key when they compare equal. */
static char *key_of(struct em_arena *arena, const char *name)
{
    char *key = em_arena_alloc(arena, strlen(name) * 2 + 12), *out = key;

    if (!key)
        return NULL;
    while (*name) {
        uint32_t value = 0, divisor = 1;

        if (*name < '0' || *name > '9') {
            *out++ = *name++;
            continue;
        }
        while (*name >= '0' && *name <= '9')
            value = value * 10 + (uint32_t)(*name++ - '0');
        while (value / divisor >= 10)
            divisor *= 10;
        for (; divisor > 0; divisor /= 10)
            *out++ = (char)('0' + value / divisor % 10);
    }
    return key;
}

const struct em_cache_entry *em_world_cached(const struct em_world *world, struct em_arena *arena, const char *name)
{
    const char *key;

    if (!world->has_cache)
        return NULL;
    /* Only a number with a zero in front, or one too large for an int, has another key. */
    key = strpbrk(name, "0123456789") ? key_of(arena, name) : name;
    return key ? em_map_get(&world->cache, key) : NULL;
}

/* _dl_cache_check_flags of each machine: which entries are for this loader at all. */
static bool usable_flags(const struct em_world *world, uint32_t flags)
{
    switch (world->machine) {
    case EM_X86_64: return flags == (world->is64 ? 0x303u : 0x803u);
    case EM_AARCH64: return flags == 0xa03;
    case EM_386: return flags == 1 || flags == 3;
    case EM_ARM: return flags == 0x903 || flags == 0xb03 || flags == 3;
    case EM_PPC64: return flags == 0x503;
    case EM_S390: return flags == (world->is64 ? 0x403u : 3u);
    case EM_RISCV: return flags == 0x1003 || flags == 0xf03;
    case EM_LOONGARCH: return flags == 0x1203 || flags == 0x1103;
    default: return (flags & 0xff) == 3;
    }
}

/* How well an entry with a name of the extension suits: its place in the list of subdirectories, 1 is best, 0 is unusable. */
static size_t name_priority(const struct cache *cache, uint32_t index)
{
    static const char prefix[] = "glibc-hwcaps/";

    if (index >= cache->names.count)
        return 0;
    for (size_t i = 0; i < cache->world->hwcaps.count; i++) {
        const char *known = cache->world->hwcaps.items[i];

        if (strncmp(known, prefix, sizeof prefix - 1) == 0 && strcmp(known + sizeof prefix - 1, cache->names.items[index]) == 0)
            return i + 1;
    }
    return 0;
}

static bool is_named(const struct entry *entry)
{
    return ((uint32_t)(entry->hwcap >> 32) & ~HWCAP_ISA_MASK) == HWCAP_EXTENSION;
}

/* Bits of old: gone with glibc 2.37, which passes over any entry that has one. */
static bool usable_bits(const struct em_world *world, uint64_t hwcap)
{
    uint64_t platform = hwcap & HWCAP_PLATFORMS, bits = hwcap & ~(HWCAP_PLATFORMS | HWCAP_TLS);
    uint64_t ours = 0;

    if (hwcap == 0)
        return true;
    if (world->libc_major != 2 || world->libc_minor > 36)
        return false;
    if (world->machine == EM_X86_64)
        ours = UINT64_C(1) << 1; /* HWCAP_X86_64 */
    /* _dl_x86_platforms: "i586", "i686", "haswell", "xeon_phi" from bit 48 on. */
    if (platform && !(world->platform_token && platform == UINT64_C(1) << 50 && strcmp(world->platform_token, "haswell") == 0))
        return false;
    return (bits & ~ours) == 0;
}

static bool read_entry(const struct cache *cache, uint32_t index, struct entry *entry)
{
    bool big = cache->world->big_endian;
    uint64_t at = (uint64_t)index * (cache->new_format ? NEW_ENTRY : OLD_ENTRY);
    uint32_t key, value;

    *entry = (struct entry){ 0 };
    if (!em_bytes_u32(cache->entries, at, big, &entry->flags) || !em_bytes_u32(cache->entries, at + 4, big, &key) ||
        !em_bytes_u32(cache->entries, at + 8, big, &value))
        return false;
    if (cache->new_format && !em_bytes_u64(cache->entries, at + 16, big, &entry->hwcap))
        return false;
    entry->key = em_bytes_string(cache->strings, key);
    entry->path = em_bytes_string(cache->strings, value);
    return entry->key != NULL;
}

/* The best of the entries from first on that have the same key, as search_cache chooses; *next is the first one behind them. */
static const char *best_of(const struct cache *cache, uint32_t first, uint32_t *next)
{
    const char *best = NULL;
    size_t best_priority = 0;
    struct entry head, entry;
    bool chosen = false;

    *next = first + 1;
    if (!read_entry(cache, first, &head))
        return NULL;
    for (uint32_t i = first; i < cache->count; i++) {
        if (!read_entry(cache, i, &entry) || em_cache_compare(entry.key, head.key) != 0)
            break;
        *next = i + 1;
        if (chosen || !entry.path || !usable_flags(cache->world, entry.flags))
            continue;
        if (is_named(&entry)) {
            size_t priority = name_priority(cache, (uint32_t)entry.hwcap);

            if (priority && (!best || priority < best_priority)) {
                best = entry.path;
                best_priority = priority;
            }
            continue;
        }
        /* Those with a name stand before all others: the best of them has been seen. */
        if (best) {
            chosen = true;
            continue;
        }
        if (!usable_bits(cache->world, entry.hwcap))
            continue;
        best = entry.path;
        chosen = true;
    }
    return best;
}

int em_cache_add(struct em_world *world, struct em_arena *arena, const struct em_cache_entry *entry)
{
    char *key = key_of(arena, entry->name);

    if (!key)
        return EM_NO_MEMORY;
    /* A second run of the same key is out of order: the binary search would not meet it for sure, nor do we. */
    return em_map_get(&world->cache, key) ? EM_OK : em_map_put(&world->cache, key, entry);
}

static int fill_map(struct cache *cache)
{
    for (uint32_t first = 0, next; first < cache->count; first = next) {
        const char *best = best_of(cache, first, &next);
        struct em_cache_entry *value;
        struct entry head;

        if (!best || !read_entry(cache, first, &head))
            continue;
        value = em_new(cache->arena, struct em_cache_entry);
        if (!value)
            return EM_NO_MEMORY;
        *value = (struct em_cache_entry){ .name = head.key, .path = best };
        if (em_cache_add(cache->world, cache->arena, value) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* The extension lists the names of the hwcaps subdirectories that entries refer to by index. A damaged one counts as none. */
static int read_extension(struct cache *cache, struct em_bytes file, uint32_t offset)
{
    bool big = cache->world->big_endian;
    uint32_t magic, count, tag, at, size;

    if (offset == 0 || offset % 4 != 0 || !em_bytes_u32(file, offset, big, &magic) || magic != EXTENSION_MAGIC ||
        !em_bytes_u32(file, offset + 4, big, &count) || count > file.size / 16)
        return EM_OK;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t section = (uint64_t)offset + 8 + (uint64_t)i * 16;

        if (!em_bytes_u32(file, section, big, &tag) || !em_bytes_u32(file, section + 8, big, &at) ||
            !em_bytes_u32(file, section + 12, big, &size))
            return EM_OK;
        if (tag != 1 || size % 4 != 0 || size > file.size)
            continue;
        for (uint32_t j = 0; j < size / 4; j++) {
            uint32_t string;
            const char *name;

            if (!em_bytes_u32(file, (uint64_t)at + (uint64_t)j * 4, big, &string))
                return EM_OK;
            name = em_bytes_string(file, string);
            if (em_vec_push(cache->arena, &cache->names, name ? name : "") < 0)
                return EM_NO_MEMORY;
        }
    }
    return EM_OK;
}

/* The new format at the start of file; its strings count from there. */
static int read_new(struct cache *cache, struct em_bytes file, struct em_error *error)
{
    bool big = cache->world->big_endian;
    uint32_t count, extension;
    uint8_t flags;
    int r;

    if (!em_bytes_u32(file, 20, big, &count) || !em_bytes_u8(file, 28, &flags) || !em_bytes_u32(file, 32, big, &extension) ||
        !em_bytes_slice(file, NEW_HEADER, (uint64_t)count * NEW_ENTRY, &cache->entries))
        return em_fail(error, EM_BAD_CACHE, NULL, "has a header that promises more entries than there are");
    /* The byte order, since 2.33; 0 in older files. */
    if ((flags & 3) != 0 && (flags & 3) != (big ? 3 : 2))
        return em_fail(error, EM_BAD_CACHE, NULL, "is in another byte order");
    cache->strings = file;
    cache->count = count;
    cache->new_format = true;
    r = read_extension(cache, file, extension);
    return r < 0 ? r : fill_map(cache);
}

int em_cache_read(struct em_world *world, struct em_arena *arena, struct em_bytes bytes, struct em_error *error)
{
    struct cache cache = { .world = world, .arena = arena };
    struct em_bytes rest;
    uint64_t behind;
    uint32_t count;

    world->cache = (struct em_map){ .arena = arena };
    world->has_cache = true;
    if (bytes.size > NEW_HEADER && memcmp(bytes.data, NEW_MAGIC, sizeof NEW_MAGIC - 1) == 0)
        return read_new(&cache, bytes, error);
    if (bytes.size <= OLD_HEADER || memcmp(bytes.data, OLD_MAGIC, sizeof OLD_MAGIC - 1) != 0)
        return em_fail(error, EM_BAD_CACHE, NULL, "starts with neither magic of ld.so.cache");
    if (!em_bytes_u32(bytes, 12, world->big_endian, &count) ||
        !em_bytes_slice(bytes, OLD_HEADER, (uint64_t)count * OLD_ENTRY, &cache.entries))
        return em_fail(error, EM_BAD_CACHE, NULL, "has a header that promises more entries than there are");
    /* A new one may follow, aligned to 8; it is preferred. */
    behind = (OLD_HEADER + (uint64_t)count * OLD_ENTRY + 7) & ~UINT64_C(7);
    if (em_bytes_slice(bytes, behind, bytes.size > behind ? bytes.size - behind : 0, &rest) && rest.size >= NEW_HEADER &&
        memcmp(rest.data, NEW_MAGIC, sizeof NEW_MAGIC - 1) == 0)
        return read_new(&cache, rest, error);
    if (!em_bytes_slice(bytes, OLD_HEADER + (uint64_t)count * OLD_ENTRY, bytes.size - OLD_HEADER - (uint64_t)count * OLD_ENTRY,
                        &cache.strings))
        return em_fail(error, EM_BAD_CACHE, NULL, "has no strings");
    cache.count = count;
    return fill_map(&cache);
}
