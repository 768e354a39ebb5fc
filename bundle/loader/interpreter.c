#include "bundle/loader/interpreter.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

struct place {
    uint16_t machine;
    bool is64;
    enum em_libc libc;
    const char *paths[4];
    const char *triplet; /* Debian's multi-arch directory */
    const char *lib;     /* upstream's $LIB */
};

/* glibc: the names in "sysdeps/.../shlib-versions" and the ABI supplements; musl: /lib/ld-musl-ARCH.so.1. */
static const struct place places[] = {
    { EM_X86_64, true, EM_LIBC_GLIBC, { "/lib64/ld-linux-x86-64.so.2", NULL }, "x86_64-linux-gnu", "lib64" },
    { EM_AARCH64,
      true,
      EM_LIBC_GLIBC,
      { "/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-aarch64.so.1", NULL },
      "aarch64-linux-gnu",
      "lib64" },
    { EM_386, false, EM_LIBC_GLIBC, { "/lib/ld-linux.so.2", NULL }, "i386-linux-gnu", "lib" },
    { EM_ARM, false, EM_LIBC_GLIBC, { "/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3", NULL }, "arm-linux-gnueabihf", "lib" },
    { EM_PPC64, true, EM_LIBC_GLIBC, { "/lib64/ld64.so.2", NULL }, "powerpc64le-linux-gnu", "lib64" },
    { EM_S390, true, EM_LIBC_GLIBC, { "/lib/ld64.so.1", NULL }, "s390x-linux-gnu", "lib64" },
    { EM_RISCV, true, EM_LIBC_GLIBC, { "/lib/ld-linux-riscv64-lp64d.so.1", NULL }, "riscv64-linux-gnu", "lib64/lp64d" },
    { EM_LOONGARCH, true, EM_LIBC_GLIBC, { "/lib64/ld-linux-loongarch-lp64d.so.1", NULL }, "loongarch64-linux-gnu", "lib64" },
    { EM_X86_64, true, EM_LIBC_MUSL, { "/lib/ld-musl-x86_64.so.1", NULL }, "x86_64-linux-musl", "lib" },
    { EM_AARCH64, true, EM_LIBC_MUSL, { "/lib/ld-musl-aarch64.so.1", NULL }, "aarch64-linux-musl", "lib" },
    { EM_386, false, EM_LIBC_MUSL, { "/lib/ld-musl-i386.so.1", NULL }, "i386-linux-musl", "lib" },
    { EM_ARM,
      false,
      EM_LIBC_MUSL,
      { "/lib/ld-musl-armhf.so.1", "/lib/ld-musl-armv7.so.1", NULL },
      "arm-linux-musleabihf",
      "lib" },
    { EM_PPC64, true, EM_LIBC_MUSL, { "/lib/ld-musl-powerpc64le.so.1", NULL }, "powerpc64le-linux-musl", "lib" },
    { EM_S390, true, EM_LIBC_MUSL, { "/lib/ld-musl-s390x.so.1", NULL }, "s390x-linux-musl", "lib" },
    { EM_RISCV, true, EM_LIBC_MUSL, { "/lib/ld-musl-riscv64.so.1", NULL }, "riscv64-linux-musl", "lib" },
};

static const struct place *find_place(uint16_t machine, bool is64, enum em_libc libc)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].machine == machine && places[i].is64 == is64 && places[i].libc == libc)
            return &places[i];
    }
    return NULL;
}

const char *const *em_interpreter_places(uint16_t machine, bool is64, enum em_libc libc)
{
    static const char *const none[] = { NULL };
    const struct place *place = find_place(machine, is64, libc);

    return place ? place->paths : none;
}

enum em_libc em_interpreter_libc(const char *path)
{
    return strncmp(em_path_basename(path), "ld-musl-", 8) == 0 ? EM_LIBC_MUSL : EM_LIBC_GLIBC;
}

static int add_dir(struct em_world *world, struct em_arena *arena, const char *path, size_t length)
{
    char *copy;

    while (length > 1 && path[length - 1] == '/')
        length--;
    copy = em_arena_strndup(arena, path, length);
    return copy ? em_vec_push(arena, &world->system_dirs, copy) : EM_NO_MEMORY;
}

int em_interpreter_default(struct em_world *world, struct em_arena *arena)
{
    const struct place *place = find_place(world->machine, world->is64, world->libc);
    /* What Debian and what upstream compile in; without a loader to ask, both. */
    const char *triplet = place ? place->triplet : NULL, *lib = place ? place->lib : "lib";
    const char *dirs[6];
    size_t count = 0;

    world->system_dirs = (struct em_strings){ 0 };
    world->lib_token = lib;
    if (world->libc == EM_LIBC_MUSL) {
        dirs[count++] = "/lib";
        dirs[count++] = "/usr/local/lib";
        dirs[count++] = "/usr/lib";
    } else {
        if (triplet) {
            dirs[count++] = em_arena_printf(arena, "/lib/%s", triplet);
            dirs[count++] = em_arena_printf(arena, "/usr/lib/%s", triplet);
        }
        dirs[count++] = em_arena_printf(arena, "/%s", lib);
        dirs[count++] = em_arena_printf(arena, "/usr/%s", lib);
        if (strcmp(lib, "lib") != 0) {
            dirs[count++] = "/lib";
            dirs[count++] = "/usr/lib";
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!dirs[i] || add_dir(world, arena, dirs[i], strlen(dirs[i])) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* ---- strings in a loader's file ---- */

static bool is_directory_text(const char *text, size_t length)
{
    if (length < 2 || text[0] != '/' || text[length - 1] != '/')
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c != '/' && c != '.' && c != '_' && c != '-' && c != '+' && !(c >= '0' && c <= '9') &&
            !((c | 32) >= 'a' && (c | 32) <= 'z'))
            return false;
    }
    return true;
}

/* glibc compiles its system directories in as strings one behind the other, each with a slash at its end (elf/dl-load.c,
 * system_dirs; gen-trusted-dirs.awk). Of all such runs the longest is it: "/proc/self/" and the like stand alone, and a
 * directory of libraries has "lib" in its name. */
static int scan_system_dirs(struct em_world *world, struct em_arena *arena, struct em_bytes bytes)
{
    size_t best = 0, best_end = 0, best_count = 0, run = 0, count = 0;
    int r;

    for (size_t at = 0; at < bytes.size;) {
        const char *text = (const char *)bytes.data + at;
        size_t length = strnlen(text, bytes.size - at);

        if (is_directory_text(text, length) && memmem(text, length, "lib", 3)) {
            if (count++ == 0)
                run = at;
            if (count > best_count) {
                best = run;
                best_end = at + length + 1;
                best_count = count;
            }
        } else {
            count = 0;
        }
        at += length + 1;
    }
    if (best_count == 0)
        return EM_OK;
    world->system_dirs = (struct em_strings){ 0 };
    while (best < best_end) {
        const char *text = (const char *)bytes.data + best;

        /* The last string of a cut file has no end. */
        const size_t length = strnlen(text, bytes.size - best);

        r = add_dir(world, arena, text, length);
        if (r < 0)
            return r;
        best += length + 1;
    }
    return EM_OK;
}

/* $LIB is the first system directory without its prefix: both come from slibdir (Makeconfig; dl-load.c, DL_DST_LIB). */
static int derive_lib_token(struct em_world *world, struct em_arena *arena)
{
    const char *first = world->system_dirs.count ? world->system_dirs.items[0] : "/lib";
    const char *lib;

    if (strncmp(first, "/usr/", 5) == 0)
        first += 4;
    lib = strstr(first, "/lib");
    lib = em_arena_strdup(arena, lib ? lib + 1 : "lib");
    if (!lib)
        return EM_NO_MEMORY;
    world->lib_token = lib;
    return EM_OK;
}

static bool parse_version(struct em_world *world, const char *text)
{
    unsigned major, minor;

    if (sscanf(text, "%3u.%4u", &major, &minor) != 2)
        return false;
    world->libc_major = major;
    world->libc_minor = minor;
    return true;
}

/* "ld.so (Debian GLIBC 2.36-9) stable release version 2.36." or, in libc.so.6, "GNU C Library ... release version 2.17". */
static void scan_glibc_version(struct em_world *world, struct em_bytes bytes)
{
    static const char phrase[] = " release version ";
    const uint8_t *found = memmem(bytes.data, bytes.size, phrase, sizeof phrase - 1);
    char text[16] = "";
    size_t left;

    if (!found)
        return;
    found += sizeof phrase - 1;
    left = bytes.size - (size_t)(found - bytes.data);
    memcpy(text, found, left < sizeof text - 1 ? left : sizeof text - 1);
    parse_version(world, text);
}

/* musl keeps its version as a string of its own, "1.2.3" (version.h, __libc_version). */
static void scan_musl_version(struct em_world *world, struct em_bytes bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        const char *text = (const char *)bytes.data + at;
        size_t length = strnlen(text, bytes.size - at);
        unsigned a, b, c;
        int end = 0;

        if (length >= 5 && length < 12 && text[0] >= '0' && text[0] <= '9' && at + length < bytes.size &&
            sscanf(text, "%3u.%3u.%3u%n", &a, &b, &c, &end) == 3 && (text[end] == '\0' || text[end] == '-') && a == 1) {
            parse_version(world, text);
            return;
        }
        at += length + 1;
    }
}

static const char *scan_cache_path(struct em_arena *arena, struct em_bytes bytes)
{
    static const char name[] = "/ld.so.cache";
    const uint8_t *found = memmem(bytes.data, bytes.size, name, sizeof name);
    const uint8_t *start = found;

    if (!found)
        return NULL;
    while (start > bytes.data && start[-1] != '\0')
        start--;
    return *start == '/' ? em_arena_strdup(arena, (const char *)start) : NULL;
}

int em_interpreter_scan(struct em_world *world, struct em_arena *arena, struct em_bytes bytes, const char **cache)
{
    int r;

    *cache = NULL;
    if (world->libc == EM_LIBC_MUSL) {
        scan_musl_version(world, bytes);
        return EM_OK;
    }
    scan_glibc_version(world, bytes);
    *cache = scan_cache_path(arena, bytes);
    r = scan_system_dirs(world, arena, bytes);
    return r < 0 ? r : derive_lib_token(world, arena);
}
