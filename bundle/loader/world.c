#include "bundle/loader/cache.h"
#include "bundle/loader/cpu.h"
#include "bundle/loader/interpreter.h"
#include "bundle/loader/world_file.h"
#include "patcher/patcher.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/auxv.h>

/* libc's own files, under the names that others ask for. */
static const char *const libc_names[] = {
    "ld-linux*.so.*",       "ld64.so.*",         "ld-musl-*.so.1",         "libc.so.6",        "libm.so.6",
    "libdl.so.2",           "librt.so.1",        "libpthread.so.0",        "libutil.so.1",     "libresolv.so.2",
    "libnsl.so.1",          "libanl.so.1",       "libmvec.so.1",           "libnss_*.so.2",    "libcrypt.so.1",
    "libBrokenLocale.so.1", "libthread_db.so.1", "libc_malloc_debug.so.0", "libc.musl-*.so.1", "libc.so",
};

/* What auxiliary policy files of PEP 599/600 (manylinux2014, manylinux_2_17) allow a wheel to lean on, beside libc. libcrypt.so.1
 * was in manylinux1 and is in none of them since; libc_names has it for the "empty" world. */
static const char *const manylinux_names[] = {
    "libgcc_s.so.1",    "libstdc++.so.6", "libX11.so.6",   "libXext.so.6",        "libXrender.so.1",
    "libICE.so.6",      "libSM.so.6",     "libGL.so.1",    "libgobject-2.0.so.0", "libgthread-2.0.so.0",
    "libglib-2.0.so.0", "libz.so.1",      "libexpat.so.1", "libatomic.so.1",
};

/* The driver comes with the kernel module and is never bundled: NVIDIA's README, "Installed components". */
static const char *const driver_names[] = {
    "libcuda.so*",    "libnvidia-*.so*",    "libcudadebugger.so.1", "libnvcuvid.so.1", "libnvoptix.so.1",
    "libnvcudla.so*", "libEGL_nvidia.so.0", "libGLX_nvidia.so.0",   "libdxcore.so",
};

static int add_names(struct em_world *world, struct em_arena *arena, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (em_vec_push(arena, &world->only_system, names[i]) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

bool em_world_is_word(const char *kind)
{
    return strcmp(kind, "system") == 0 || strcmp(kind, "manylinux") == 0 || strcmp(kind, "empty") == 0;
}

bool em_world_is_file(const char *kind)
{
    struct stat st;

    return kind && !em_world_is_word(kind) && (strchr(kind, '/') || stat(kind, &st) == 0);
}

bool em_world_is_narrow(const struct em_world *world)
{
    return world->has_libraries || world->only_system.count > 0;
}

bool em_world_promises(const struct em_world *world, const char *name)
{
    if (world->has_libraries && em_map_get(&world->libraries, name))
        return true;
    for (size_t i = 0; i < world->only_system.count; i++) {
        if (fnmatch(world->only_system.items[i], name, 0) == 0)
            return true;
    }
    return false;
}

/* ---- which loader ---- */

/* Class, byte order and machine of like, and its interpreter if it names one. */
static int look_at_like(struct em_world *world, struct em_arena *arena, const char *like, struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    struct em_object object;
    int r = em_tree_open(world->tree, like, &file);

    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, like, "cannot be opened: %s", strerror(-r));
    }
    r = em_object_read(&object, arena, &file->reader, error);
    if (r < 0)
        return r;
    world->machine = object.machine;
    world->is64 = object.is64;
    world->big_endian = object.big_endian;
    world->interpreter = object.interpreter;
    return EM_OK;
}

static void assume_own_machine(struct em_world *world)
{
#if defined(__aarch64__)
    world->machine = EM_AARCH64;
#elif defined(__i386__)
    world->machine = EM_386;
#elif defined(__arm__)
    world->machine = EM_ARM;
#elif defined(__powerpc64__)
    world->machine = EM_PPC64;
#elif defined(__s390x__)
    world->machine = EM_S390;
#elif defined(__riscv)
    world->machine = EM_RISCV;
#elif defined(__loongarch__)
    world->machine = EM_LOONGARCH;
#else
    world->machine = EM_X86_64;
#endif
    world->is64 = sizeof(void *) == 8;
    world->big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

static bool is_there(struct em_tree *tree, const char *path)
{
    struct em_node node;

    return em_tree_stat(tree, path, &node) == 0 && node.kind == EM_NODE_FILE;
}

/* The loader of the wished libc, or of the one that is installed; glibc's where both are. */
static void choose_interpreter(struct em_world *world, const struct em_world_wish *wish)
{
    bool glibc = !wish->libc || strcmp(wish->libc, "glibc") == 0, musl = !wish->libc || strcmp(wish->libc, "musl") == 0;

    if (world->interpreter && (wish->libc == NULL || (em_interpreter_libc(world->interpreter) == EM_LIBC_MUSL) == musl)) {
        world->libc = em_interpreter_libc(world->interpreter);
        return;
    }
    world->interpreter = NULL;
    world->libc = glibc ? EM_LIBC_GLIBC : EM_LIBC_MUSL;
    for (int libc = EM_LIBC_GLIBC; libc <= EM_LIBC_MUSL; libc++) {
        const char *const *paths = em_interpreter_places(world->machine, world->is64, libc);

        if (libc == EM_LIBC_GLIBC ? !glibc : !musl)
            continue;
        for (; *paths; paths++) {
            if (is_there(world->tree, *paths)) {
                world->interpreter = *paths;
                world->libc = libc;
                return;
            }
        }
    }
}

/* An image for another machine has that machine's loader and not ours. */
static void try_other_machines(struct em_world *world, const struct em_world_wish *wish)
{
    static const struct {
        uint16_t machine;
        bool is64, big_endian;
    } others[] = {
        { EM_X86_64, true, false }, { EM_AARCH64, true, false }, { EM_386, false, false },      { EM_ARM, false, false },
        { EM_PPC64, true, false },  { EM_S390, true, true },     { EM_LOONGARCH, true, false }, { EM_RISCV, true, false },
    };
    struct em_world other = *world;

    for (size_t i = 0; !other.interpreter && i < sizeof others / sizeof *others; i++) {
        other.machine = others[i].machine;
        other.is64 = others[i].is64;
        other.big_endian = others[i].big_endian;
        choose_interpreter(&other, wish);
    }
    if (other.interpreter)
        *world = other;
}

/* ---- what it says ---- */

/* musl's own list of directories stands in /etc/ld-musl-ARCH.path, beside the "lib" that its loader is in: ldso/dynlink.c,
 * "Locate the path file". Separated by newlines or colons. A file that is there and empty means no directory at all. */
static int read_musl_path(struct em_world *world, struct em_arena *arena)
{
    const char *base = world->interpreter ? em_path_basename(world->interpreter) : "";
    const char *dot = strstr(base, ".so");
    struct em_bytes bytes;
    char *path, *text;

    if (strncmp(base, "ld-musl-", 8) != 0 || !dot)
        return EM_OK;
    path = em_arena_printf(arena, "/etc/%.*s.path", (int)(dot - base), base);
    if (!path)
        return EM_NO_MEMORY;
    if (em_tree_read(world->tree, arena, path, EM_MAX_METADATA, &bytes, NULL) < 0)
        return EM_OK;
    text = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    if (!text)
        return EM_NO_MEMORY;
    world->system_dirs = (struct em_strings){ 0 };
    for (char *save, *part = strtok_r(text, ":\n", &save); part; part = strtok_r(NULL, ":\n", &save)) {
        if (em_vec_push(arena, &world->system_dirs, part) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* libc.so.6 beside the loader, for a loader that does not tell its version (before 2.31). */
static void version_from_libc(struct em_world *world, struct em_arena *arena)
{
    char *real, *libc;
    const char *unused;
    struct em_world other = { .libc = EM_LIBC_GLIBC };
    struct em_bytes bytes;

    if (em_tree_real_path(world->tree, arena, world->interpreter, &real) < 0)
        return;
    libc = em_path_join(arena, em_path_dirname(arena, real), "libc.so.6");
    if (!libc || em_tree_read(world->tree, arena, libc, EM_MAX_INTERPRETER, &bytes, NULL) < 0)
        return;
    if (em_interpreter_scan(&other, arena, bytes, &unused) < 0)
        return;
    world->libc_major = other.libc_major;
    world->libc_minor = other.libc_minor;
}

static int read_interpreter(struct em_world *world, struct em_arena *arena, const char **cache, struct em_error *error)
{
    struct em_bytes bytes;
    int r = em_interpreter_default(world, arena);

    *cache = NULL;
    if (r < 0 || !world->interpreter || !is_there(world->tree, world->interpreter))
        return r;
    r = em_tree_read(world->tree, arena, world->interpreter, EM_MAX_INTERPRETER, &bytes, error);
    if (r < 0)
        return r;
    r = em_interpreter_scan(world, arena, bytes, cache);
    if (r < 0)
        return r;
    if (world->libc == EM_LIBC_GLIBC && world->libc_major == 0)
        version_from_libc(world, arena);
    return world->libc == EM_LIBC_MUSL ? read_musl_path(world, arena) : EM_OK;
}

static int read_glibc_files(struct em_world *world, struct em_arena *arena, const struct em_world_wish *wish, const char *cache)
{
    struct em_error ignored = EM_ERROR_INIT;
    struct em_bytes bytes;
    int r;

    if (em_tree_read(world->tree, arena, "/etc/ld.so.preload", EM_MAX_METADATA, &bytes, NULL) == EM_OK) {
        world->so_preload = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
        if (!world->so_preload)
            return EM_NO_MEMORY;
    }
    if (wish->inhibit_cache)
        return EM_OK;
    if (wish->cache_path)
        cache = wish->cache_path;
    if (!cache)
        cache = "/etc/ld.so.cache";
    if (em_tree_read(world->tree, arena, cache, EM_MAX_CACHE, &bytes, NULL) < 0)
        return EM_OK;
    r = em_cache_read(world, arena, bytes, &ignored);
    /* ld.so passes over a cache that it does not understand without a word, and so must its model. */
    if (r == EM_BAD_CACHE) {
        world->has_cache = false;
        return EM_OK;
    }
    return r;
}

/* ---- surroundings ---- */

/* In an image the modelled process starts at its root; on this machine where we are. The root's identity tells them apart. */
static int find_cwd(struct em_world *world, struct em_arena *arena)
{
    em_cleanup_free char *here = NULL;
    struct em_node node;
    struct stat st;

    world->cwd = "/";
    if (stat("/", &st) < 0 || em_tree_stat(world->tree, "/", &node) < 0 || node.device != st.st_dev || node.inode != st.st_ino)
        return EM_OK;
    here = getcwd(NULL, 0);
    if (!here)
        return EM_OK;
    world->cwd = em_arena_strdup(arena, here);
    return world->cwd ? EM_OK : EM_NO_MEMORY;
}

static int narrow(struct em_world *world, struct em_arena *arena, struct em_error *error)
{
    int r;

    if (strcmp(world->kind, "system") == 0)
        return EM_OK;
    if (!em_world_is_word(world->kind))
        return em_fail(error, EM_USAGE, NULL,
                       "\"%s\" is no world: system, manylinux, empty, or a file that doctor --world wrote", world->kind);
    world->has_cache = false;
    world->cache = (struct em_map){ .arena = arena };
    world->ld_preload = world->so_preload = NULL;
    r = add_names(world, arena, libc_names, sizeof libc_names / sizeof *libc_names);
    if (r < 0 || strcmp(world->kind, "empty") == 0)
        return r;
    r = add_names(world, arena, manylinux_names, sizeof manylinux_names / sizeof *manylinux_names);
    return r < 0 ? r : add_names(world, arena, driver_names, sizeof driver_names / sizeof *driver_names);
}

/* The file says all; a wish may only put in what a process has of its own. */
static int read_file(struct em_world *world, struct em_arena *arena, const struct em_world_wish *wish, struct em_error *error)
{
    int r = em_world_from_file(world, arena, world->kind, error);

    if (r < 0)
        return r;
    if (wish->libc && (strcmp(wish->libc, "musl") == 0) != (world->libc == EM_LIBC_MUSL))
        return em_fail(error, EM_USAGE, world->kind, "is a world with %s, not with %s",
                       world->libc == EM_LIBC_MUSL ? "musl" : "glibc", wish->libc);
    if (wish->ld_library_path)
        world->ld_library_path = wish->ld_library_path;
    world->ld_preload = wish->ld_preload;
    world->cwd = wish->cwd;
    if (wish->inhibit_cache)
        world->has_cache = false;
    return world->cwd ? EM_OK : find_cwd(world, arena);
}

int em_world_read(struct em_world *world, struct em_arena *arena, struct em_tree *tree, const struct em_world_wish *wish,
                  struct em_error *error)
{
    const char *cache;
    int r;

    *world = (struct em_world){ .tree = tree, .kind = wish->kind ? wish->kind : "system", .cache = { .arena = arena } };
    if (wish->libc && strcmp(wish->libc, "glibc") != 0 && strcmp(wish->libc, "musl") != 0)
        return em_fail(error, EM_USAGE, NULL, "\"%s\" is no libc that is modelled: glibc or musl", wish->libc);
    if (em_world_is_file(world->kind))
        return read_file(world, arena, wish, error);
    assume_own_machine(world);
    if (wish->like) {
        r = look_at_like(world, arena, wish->like, error);
        if (r < 0)
            return r;
    }
    choose_interpreter(world, wish);
    if (!wish->like && !world->interpreter)
        try_other_machines(world, wish);
    r = read_interpreter(world, arena, &cache, error);
    if (r < 0)
        return r;
    world->ld_library_path = wish->ld_library_path;
    world->ld_preload = wish->ld_preload;
    world->cwd = wish->cwd;
    if (!world->cwd && find_cwd(world, arena) < 0)
        return EM_NO_MEMORY;
    if (world->libc == EM_LIBC_GLIBC) {
        /* An unknown version is taken for a current one. */
        world->cpu_level = em_cpu_level();
        world->platform_token = em_cpu_platform(world->machine);
        r = em_cpu_hwcaps(arena, &world->hwcaps, world->machine, world->libc_major ? world->libc_minor : 99);
        if (r == EM_OK)
            r = read_glibc_files(world, arena, wish, cache);
        if (r < 0)
            return r;
    }
    return narrow(world, arena, error);
}
