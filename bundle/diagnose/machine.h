/* machine.h: the machine as far as it decides whether a GPU can be used: driver, device nodes, container, toolkits.
 *
 *     r = em_machine_read(&machine, arena, &world, &options, error)      facts; nothing is judged
 *     r = em_judge_machine(&findings, arena, &machine, &world, &knowledge)   EM304, EM701 to EM704
 *
 * With a root (an unpacked image, or a machine made for a test) everything is read below it, the environment variables are not
 * known, and nothing in it is executed unless options.probe says so.
 *
 * Facts: NVIDIA's driver README (device nodes, /proc/driver/nvidia/version), the container toolkit's documentation (its
 * environment variables), the CUDA compatibility guide (compat libcuda).
 */
#ifndef EM_BUNDLE_DIAGNOSE_MACHINE_H
#define EM_BUNDLE_DIAGNOSE_MACHINE_H

#include "bundle/diagnose/driver.h"
#include "bundle/diagnose/finding.h"
#include "bundle/diagnose/knowledge.h"

/* One libcuda.so.1 that the loader could find, in the order in which it would. */
struct em_driver_file {
    const char *path;
    const char *how;     /* "LD_LIBRARY_PATH", "ld.so.cache", "default directory" */
    const char *real;    /* without links */
    const char *version; /* "565.57.01", from its real name; NULL: it does not say */
    bool stub, compat;
};

struct em_device_node {
    const char *path;
    int error;  /* errno of opening it; 0: it can be opened */
    bool nodev; /* EACCES, because its file system gives no access to devices */
};

struct em_toolkit {
    const char *path;    /* "/usr/local/cuda-12.6" */
    const char *version; /* "12.6"; NULL: unknown */
};

struct em_machine {
    const char *root; /* NULL: this machine */
    /* The kernel's side */
    const char *module;    /* version of the kernel module; NULL: none is loaded */
    size_t proc_gpus;      /* below /proc/driver/nvidia/gpus */
    bool wsl;              /* /dev/dxg: the driver is Windows' */
    bool has_gpu_expected; /* something says that a GPU should be here */
    struct {
        EM_VEC(struct em_device_node);
    } nodes; /* those that are there, and those that have to be and are not */
    /* The library */
    struct {
        EM_VEC(struct em_driver_file);
    } drivers;
    bool probed;
    struct em_driver_probe probe;
    /* The container */
    const char *container;      /* "docker", "podman", "kubernetes", "lxc"; NULL: none that shows */
    const char *container_sign; /* by what it shows */
    const char *cgroup_devices; /* what the device cgroup allows; NULL: unknown */
    bool cgroup2; /* whose device rules are a program in the kernel: an open that is refused is all that shows of them */
    const char *visible_devices, *capabilities, *cuda_visible_devices; /* NULL: not set, or not known */
    const char *ld_library_path, *ld_preload;
    /* What is installed */
    struct {
        EM_VEC(struct em_toolkit);
    } toolkits;
    struct em_strings cached; /* "libcudart.so.12 => /usr/local/..." of ld.so.cache */
};

struct em_machine_options {
    const char *root;       /* NULL: this machine */
    bool probe;             /* run cuInit */
    unsigned probe_seconds; /* 0: 20 */
};

int em_machine_read(struct em_machine *machine, struct em_arena *arena, const struct em_world *world,
                    const struct em_machine_options *options, struct em_error *error);

/* The kernel module's version alone: what an audit asks. NULL: none, or no memory. */
const char *em_machine_module(struct em_arena *arena, struct em_tree *tree);

/* The libcuda.so.1 that the loader takes; NULL: there is none. */
const struct em_driver_file *em_machine_driver(const struct em_machine *machine);

int em_judge_machine(struct em_findings *findings, struct em_arena *arena, const struct em_machine *machine,
                     const struct em_knowledge *knowledge);

#endif
