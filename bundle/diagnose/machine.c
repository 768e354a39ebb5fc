#include "bundle/diagnose/machine.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/statvfs.h>

/* A small file as text; NULL if it is not there. Those of /proc say that they have no bytes, so the reader's size is not asked. */
static char *read_text(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    em_cleanup_file struct em_file *file = NULL;
    char buffer[16384];
    int64_t got;

    if (em_tree_open(tree, path, &file) < 0)
        return NULL;
    got = file->reader.read(file->reader.context, buffer, sizeof buffer, 0, NULL);
    return got < 0 ? NULL : em_arena_strndup(arena, buffer, (size_t)got);
}

static bool exists(struct em_tree *tree, const char *path)
{
    struct em_node node;

    return em_tree_stat(tree, path, &node) == 0;
}

/* The first word of digits and dots that has at least one dot: "565.57.01" of "NVRM version: NVIDIA UNIX x86_64 Kernel Module
 * 565.57.01  Thu ...". The open module writes "... Open Kernel Module for x86_64  565.57.01  Release Build". */
static const char *version_in(struct em_arena *arena, const char *text)
{
    for (const char *at = text; at && *at && *at != '\n'; at++) {
        size_t length = strspn(at, "0123456789.");

        if (length >= 5 && memchr(at, '.', length) && (at == text || isspace((unsigned char)at[-1])) &&
            (at[length] == '\0' || isspace((unsigned char)at[length])))
            return em_arena_strndup(arena, at, length);
        if (length > 0)
            at += length - 1;
    }
    return NULL;
}

const char *em_machine_module(struct em_arena *arena, struct em_tree *tree)
{
    char *text = read_text(arena, tree, "/proc/driver/nvidia/version");
    const char *line = text ? strstr(text, "NVRM version:") : NULL;

    return line ? version_in(arena, line) : NULL;
}

/* ---- device nodes ---- */

/* A real open: what mode bits say is not what the device cgroup allows. Below a root, links stay in it. */
static int try_open(struct em_tree *tree, struct em_arena *arena, const char *root, const char *path)
{
    em_cleanup_fd int base = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD, fd = -1;
    const int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
    char *real;
    int r;

    if (root && base < 0)
        return errno;
    r = root ? em_tree_real_path(tree, arena, path, &real) : 0;
    if (r < 0)
        return -r;
    fd = root ? openat(base, real + strspn(real, "/"), flags | O_NOFOLLOW) : openat(base, path, flags);
    return fd < 0 ? errno : 0;
}

/* No device opens in a file system that was mounted so, whoever asks: mount(2). */
static bool is_nodev(const char *path)
{
    struct statvfs file_system;

    return statvfs(path, &file_system) == 0 && (file_system.f_flag & ST_NODEV);
}

static int add_node(struct em_machine *machine, struct em_arena *arena, struct em_tree *tree, const char *path)
{
    struct em_device_node node = { .path = em_arena_strdup(arena, path) };

    if (!node.path)
        return EM_NO_MEMORY;
    node.error = try_open(tree, arena, machine->root, path);
    node.nodev = node.error == EACCES && !machine->root && is_nodev(path);
    return em_vec_push(arena, &machine->nodes, node);
}

/* /dev/nvidiactl, /dev/nvidia-uvm and one /dev/nvidiaN: what cuInit opens. */
static int read_nodes(struct em_machine *machine, struct em_arena *arena, struct em_tree *tree)
{
    struct em_strings names = { 0 };
    bool any = false;
    int r = EM_OK;

    if (em_tree_list(tree, arena, "/dev", &names) < 0)
        names.count = 0;
    for (size_t i = 0; r == EM_OK && i < names.count; i++) {
        const char *name = names.items[i];
        bool gpu = strncmp(name, "nvidia", 6) == 0 && isdigit((unsigned char)name[6]);

        any = any || gpu;
        machine->wsl = machine->wsl || strcmp(name, "dxg") == 0;
        if (gpu || strcmp(name, "nvidiactl") == 0 || strncmp(name, "nvidia-uvm", 10) == 0)
            r = add_node(machine, arena, tree, em_arena_printf(arena, "/dev/%s", name));
    }
    if (machine->wsl || (!machine->module && machine->nodes.count == 0))
        return r;
    for (size_t i = 0; r == EM_OK && i < 2; i++) {
        static const char *const needed[] = { "/dev/nvidiactl", "/dev/nvidia-uvm" };

        if (!exists(tree, needed[i]))
            r = add_node(machine, arena, tree, needed[i]);
    }
    return r == EM_OK && !any ? add_node(machine, arena, tree, "/dev/nvidia0") : r;
}

/* ---- the library ---- */

static int add_driver(struct em_machine *machine, struct em_arena *arena, const struct em_world *world, const char *path,
                      const char *how)
{
    struct em_driver_file file = { .path = path, .how = how };
    const char *base;
    char *real;

    if (!path)
        return EM_NO_MEMORY;
    if (!exists(world->tree, path))
        return EM_OK;
    em_vec_each (struct em_driver_file, known, &machine->drivers)
        if (strcmp(known->path, path) == 0)
            return EM_OK;
    file.real = em_tree_real_path(world->tree, arena, path, &real) == 0 ? real : path;
    base = em_path_basename(file.real);
    if (strncmp(base, "libcuda.so.", 11) == 0 && strchr(base + 11, '.'))
        file.version = base + 11;
    file.stub = strstr(file.real, "/stubs/") != NULL || strstr(path, "/stubs/") != NULL;
    file.compat = strstr(file.real, "/compat/") != NULL || strstr(path, "/compat/") != NULL;
    return em_vec_push(arena, &machine->drivers, file);
}

/* In the loader's order for a program without a path of its own: ld.so(8). */
static int read_drivers(struct em_machine *machine, struct em_arena *arena, const struct em_world *world)
{
    char *list = em_arena_strdup(arena, world->ld_library_path ? world->ld_library_path : ""), *directory;
    const struct em_cache_entry *cached = em_world_cached(world, arena, "libcuda.so.1");
    int r = list ? EM_OK : EM_NO_MEMORY;

    while (r == EM_OK && world->ld_library_path && (directory = strsep(&list, ":;")) != NULL)
        if (*directory == '/')
            r = add_driver(machine, arena, world, em_path_join(arena, directory, "libcuda.so.1"), "LD_LIBRARY_PATH");
    if (r == EM_OK && cached)
        r = add_driver(machine, arena, world, cached->path, "ld.so.cache");
    for (size_t i = 0; r == EM_OK && i < world->system_dirs.count; i++)
        r = add_driver(machine, arena, world, em_path_join(arena, world->system_dirs.items[i], "libcuda.so.1"),
                       "default directory");
    return r;
}

const struct em_driver_file *em_machine_driver(const struct em_machine *machine)
{
    return machine->drivers.count > 0 ? &machine->drivers.items[0] : NULL;
}

static int read_cache(struct em_machine *machine, struct em_arena *arena, const struct em_world *world)
{
    static const char *const patterns[] = { "libcu*.so*",   "libnv*.so*",    "libnccl*.so*", "libnpp*.so*",
                                            "libcudnn*so*", "libnvidia*so*", "libnvinfer*" };

    for (size_t i = 0; i < world->cache.count; i++) {
        const struct em_cache_entry *entry = world->cache.entries[i].value;
        bool wanted = false;

        for (size_t j = 0; j < sizeof patterns / sizeof *patterns; j++)
            wanted = wanted || fnmatch(patterns[j], entry->name, 0) == 0;
        /* libcurl and the like begin the same. */
        if (strncmp(entry->name, "libcurl", 7) == 0 || strncmp(entry->name, "libcups", 7) == 0)
            wanted = false;
        if (wanted) {
            const char *line = em_arena_printf(arena, "%s => %s", entry->name, entry->path);

            if (!line || em_vec_push(arena, &machine->cached, line) < 0)
                return EM_NO_MEMORY;
        }
    }
    return EM_OK;
}

/* ---- container and toolkits ---- */

static void read_container(struct em_machine *machine, struct em_arena *arena, struct em_tree *tree)
{
    char *cgroup = machine->root ? NULL : read_text(arena, tree, "/proc/1/cgroup");
    const char *kubernetes = machine->root ? NULL : getenv("KUBERNETES_SERVICE_HOST");

    if (kubernetes || (cgroup && strstr(cgroup, "kubepods"))) {
        machine->container = "kubernetes";
        machine->container_sign = kubernetes ? "KUBERNETES_SERVICE_HOST" : "/proc/1/cgroup";
    } else if (exists(tree, "/.dockerenv")) {
        machine->container = "docker";
        machine->container_sign = "/.dockerenv";
    } else if (exists(tree, "/run/.containerenv")) {
        machine->container = "podman";
        machine->container_sign = "/run/.containerenv";
    } else if (cgroup && (strstr(cgroup, "docker") || strstr(cgroup, "containerd") || strstr(cgroup, "lxc"))) {
        machine->container = strstr(cgroup, "lxc") ? "lxc" : "docker";
        machine->container_sign = "/proc/1/cgroup";
    }
    if (!machine->root) {
        machine->cgroup_devices = read_text(arena, tree, "/sys/fs/cgroup/devices/devices.list");
        machine->cgroup2 = exists(tree, "/sys/fs/cgroup/cgroup.controllers");
    }
}

static int read_toolkits(struct em_machine *machine, struct em_arena *arena, struct em_tree *tree)
{
    struct em_strings names = { 0 };

    if (em_tree_list(tree, arena, "/usr/local", &names) < 0)
        return EM_OK;
    em_vec_each (const char *, name, &names) {
        struct em_toolkit toolkit = { 0 };
        struct em_node node;

        if (strncmp(*name, "cuda-", 5) != 0)
            continue;
        toolkit.path = em_arena_printf(arena, "/usr/local/%s", *name);
        toolkit.version = strchr(*name + 5, '.') ? *name + 5 : NULL;
        if (!toolkit.path)
            return EM_NO_MEMORY;
        /* cuda-12 is the alternatives system's link to cuda-12.6. */
        if (em_tree_stat_link(tree, toolkit.path, &node) < 0 || node.kind != EM_NODE_DIRECTORY)
            continue;
        if (em_vec_push(arena, &machine->toolkits, toolkit) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

int em_machine_read(struct em_machine *machine, struct em_arena *arena, const struct em_world *world,
                    const struct em_machine_options *options, struct em_error *error)
{
    struct em_strings gpus = { 0 };
    const struct em_driver_file *driver;
    int r;

    *machine = (struct em_machine){ .root = options->root, .ld_library_path = world->ld_library_path };
    machine->module = em_machine_module(arena, world->tree);
    if (em_tree_list(world->tree, arena, "/proc/driver/nvidia/gpus", &gpus) == 0)
        machine->proc_gpus = gpus.count;
    if (!options->root) {
        machine->visible_devices = getenv("NVIDIA_VISIBLE_DEVICES");
        machine->capabilities = getenv("NVIDIA_DRIVER_CAPABILITIES");
        machine->cuda_visible_devices = getenv("CUDA_VISIBLE_DEVICES");
        machine->ld_preload = getenv("LD_PRELOAD");
    }
    read_container(machine, arena, world->tree);
    r = read_nodes(machine, arena, world->tree);
    if (r == EM_OK)
        r = read_drivers(machine, arena, world);
    if (r == EM_OK)
        r = read_cache(machine, arena, world);
    if (r == EM_OK)
        r = read_toolkits(machine, arena, world->tree);
    machine->has_gpu_expected = machine->module || machine->nodes.count > 0 || machine->wsl || machine->visible_devices;
    driver = em_machine_driver(machine);
    if (r == EM_OK && options->probe && driver) {
        char *path = options->root ? em_arena_printf(arena, "%s%s", options->root, driver->real) : NULL;

        if (options->root && !path)
            return EM_NO_MEMORY;
        machine->probed = true;
        r = em_driver_probe(&machine->probe, path, options->probe_seconds ? options->probe_seconds : 20, error);
    }
    return r;
}
