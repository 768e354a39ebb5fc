/* health.c: what is wrong with a machine, cause by cause, in the order in which one hides the next. */
#include "bundle/diagnose/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct check {
    struct em_findings *findings;
    struct em_arena *arena;
    const struct em_machine *machine;
    const struct em_knowledge *knowledge;
    const char *cause;       /* the first that was found: what a failing cuInit comes from */
    struct em_strings sound; /* what was looked at and is as it should be */
    bool failed;             /* no memory */
};

static void line(struct check *check, struct em_finding *finding, const char *head, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void line(struct check *check, struct em_finding *finding, const char *head, const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check->failed |= em_evidence_add(&finding->evidence, check->arena, head, text) < 0;
}

static const char *say(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *say(struct check *check, const char *format, ...)
{
    char text[2048];
    char *made;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    made = em_arena_strdup(check->arena, text);
    check->failed = check->failed || !made;
    return made;
}

static void add(struct check *check, const struct em_finding *finding)
{
    if (em_vec_push(check->arena, check->findings, *finding) < 0)
        check->failed = true;
    if (!check->cause && finding->severity == EM_SEVERITY_ERROR)
        check->cause = say(check, "%s %s", finding->object, finding->message);
}

static void is_sound(struct check *check, const char *what)
{
    if (!what || em_vec_push(check->arena, &check->sound, what) < 0)
        check->failed = true;
}

static bool works(const struct em_machine *machine)
{
    return machine->probed && machine->probe.outcome == EM_DRIVER_ANSWERED && machine->probe.code == 0;
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

/* How a container gets its GPUs, in the three ways in which people start one. NVIDIA Container Toolkit, user guide; Compose
 * specification, deploy; Kubernetes, "Schedule GPUs". */
static void how_to_start(struct check *check, struct em_finding *finding)
{
    line(check, finding, "docker", "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility IMAGE");
    line(check, finding, "compose",
         "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}");
    line(check, finding, "kubernetes", "resources: {limits: {nvidia.com/gpu: 1}}     (and the device plugin on the node)");
}

/* ---- the container ---- */

static void check_capabilities(struct check *check)
{
    const struct em_machine *machine = check->machine;
    const char *visible = machine->visible_devices, *capabilities = machine->capabilities;
    bool host_has_driver = machine->module && machine->container;
    struct em_finding finding = { .id = "EM704", .severity = EM_SEVERITY_ERROR };

    if (works(machine))
        return;
    if (visible && (*visible == '\0' || strcmp(visible, "void") == 0)) {
        finding.object = "NVIDIA_VISIBLE_DEVICES";
        finding.message = "is empty or \"void\": the container runtime was told to give no GPU";
    } else if (visible && strcmp(visible, "none") == 0) {
        finding.object = "NVIDIA_VISIBLE_DEVICES";
        finding.message = "is \"none\": the driver's library is given, and no GPU";
    } else if (capabilities && *capabilities && !has_word(capabilities, "compute") && !has_word(capabilities, "all")) {
        finding.object = "NVIDIA_DRIVER_CAPABILITIES";
        finding.message = say(check, "is \"%s\", without compute: libcuda.so.1 is not given to the container", capabilities);
    } else if (machine->drivers.count == 0 && visible) {
        finding.object = "NVIDIA_VISIBLE_DEVICES";
        finding.message = say(check, "is \"%s\" and there is no driver library: the container was started without its GPUs",
                              visible);
    } else if (machine->drivers.count == 0 && host_has_driver) {
        finding.object = "/proc/driver/nvidia/version";
        finding.message = say(check, "the host has the driver %s, and the container was started without it", machine->module);
    } else {
        if (visible || capabilities)
            is_sound(check, "NVIDIA_VISIBLE_DEVICES and NVIDIA_DRIVER_CAPABILITIES ask for compute");
        return;
    }
    how_to_start(check, &finding);
    finding.help = "start the container again with its GPUs; nothing inside it needs to be changed";
    add(check, &finding);
}

/* ---- the library ---- */

static void check_library(struct check *check)
{
    const struct em_machine *machine = check->machine;
    const struct em_driver_file *driver = em_machine_driver(machine);
    struct em_finding finding = { .id = "EM304", .severity = EM_SEVERITY_ERROR };

    if (!driver) {
        finding.id = "EM701";
        finding.object = "libcuda.so.1";
        finding.message = "is not here: there is no driver library";
        /* An image has none, and gets the host's when it is started. */
        if (machine->root && !machine->has_gpu_expected)
            finding.severity = EM_SEVERITY_NOTE;
        if (machine->root)
            line(check, &finding, "usual", "an image has none: the container runtime adds the host's");
        else if (!machine->has_gpu_expected)
            line(check, &finding, "besides", "no kernel module, no device node: this machine has no NVIDIA GPU in use");
        finding.help = machine->container
                           ? "start the container with its GPUs (docker run --gpus all); never install a driver in it"
                           : "install the driver for the GPU; packages from PyPI never bring it";
        if (!check->cause)
            add(check, &finding);
        return;
    }
    finding.object = driver->path;
    if (driver->stub) {
        finding.message = say(check, "is the toolkit's stub for linking, found by %s before the driver", driver->how);
        finding.help = "take the stubs directory out of LD_LIBRARY_PATH and ld.so.conf: no program can run with it";
        add(check, &finding);
    } else if (driver->compat && !works(machine)) {
        bool older = machine->module && driver->version && em_version_compare(driver->version, machine->module) <= 0;

        finding.message = say(check, "is a compat library%s%s, found by %s before the driver's", driver->version ? " of " : "",
                              driver->version ? driver->version : "", driver->how);
        if (machine->module)
            line(check, &finding, "kernel", "%s%s", machine->module,
                 older ? ", which is as new: compat has nothing to add" : "");
        line(check, &finding, "supported", "on data centre GPUs alone, with a kernel module older than the library");
        finding.help = "take the compat directory out of LD_LIBRARY_PATH and ld.so.conf";
        add(check, &finding);
    } else if (driver->version && machine->module && strcmp(driver->version, machine->module) != 0 && !driver->compat &&
               !works(machine)) {
        finding.id = "EM702";
        finding.message = say(check, "is of driver %s, and the kernel module is %s", driver->version, machine->module);
        finding.help = machine->container ? "take the driver's packages out of the image (libnvidia-compute-*, libcuda1): the "
                                            "host's library is added to it"
                                          : "reboot, or reload the module: the driver was upgraded under a running kernel";
        add(check, &finding);
    } else if (driver->version && machine->module) {
        is_sound(check, say(check, "libcuda.so.1 and the kernel module are both %s", machine->module));
    }
}

/* ---- device nodes ---- */

static const char *why_not(int error)
{
    switch (error) {
    case ENOENT: return "is missing";
    case EPERM: return "may not be opened: the device cgroup forbids it";
    case EACCES: return "may not be opened by this user";
    case ENXIO:
    case ENODEV: return "has no driver behind it: the kernel module is not loaded, or the GPU is gone";
    case EIO: return "cannot be opened: the GPU does not answer";
    case EISDIR: return "is a directory: it was mounted from a host that has no such node";
    default: return NULL;
    }
}

static const char *how_to_open(const struct em_machine *machine, const struct em_device_node *node)
{
    if (node->error == EPERM)
        return "start the container again; a `systemctl daemon-reload` on the host takes the right away from running ones, "
               "unless "
               "the nodes are given with --device";
    if (node->nodev)
        return "give the node with --device, or mount that file system with dev";
    if (node->error == EACCES)
        return "chmod 666 the node (NVreg_DeviceFileMode), or add the user to its group";
    if (strncmp(node->path, "/dev/nvidia-uvm", 15) == 0)
        return machine->container ? "on the host: nvidia-modprobe -u -c=0; then start the container again with --gpus all"
                                  : "nvidia-modprobe -u -c=0   (or modprobe nvidia-uvm)";
    return machine->container ? "start the container again with --gpus all"
                              : "nvidia-modprobe, or nvidia-smi as root, makes it";
}

static void check_nodes(struct check *check)
{
    const struct em_machine *machine = check->machine;
    bool sound = machine->nodes.count > 0;

    em_vec_each (struct em_device_node, node, &machine->nodes) {
        struct em_finding finding = { .id = "EM703", .severity = EM_SEVERITY_ERROR, .object = node->path };

        /* Tools of the profiler open it, cuInit does not. */
        if (node->error == 0 || strcmp(node->path, "/dev/nvidia-uvm-tools") == 0)
            continue;
        sound = false;
        if (works(machine))
            finding.severity = EM_SEVERITY_NOTE;
        finding.message = node->nodev ? "may not be opened: its file system is mounted nodev" : why_not(node->error);
        if (!finding.message)
            finding.message = say(check, "cannot be opened: %s", strerror(node->error));
        if (node->error == EPERM && machine->cgroup2)
            line(check, &finding, "cgroup",
                 "version 2: its device rules are a program in the kernel, and this refusal is how it shows");
        if (machine->cgroup_devices && !strstr(machine->cgroup_devices, "c 195:") && !strstr(machine->cgroup_devices, "a *:*"))
            line(check, &finding, "cgroup", "the device cgroup has no line for c 195:* (NVIDIA)");
        finding.help = how_to_open(machine, node);
        add(check, &finding);
    }
    if (sound)
        is_sound(check, say(check, "all %zu device nodes can be opened", machine->nodes.count));
}

/* ---- cuInit ---- */

static void explain_code(struct check *check, struct em_finding *finding, const struct em_cuda_error *known)
{
    const struct em_machine *machine = check->machine;
    int code = machine->probe.code;

    finding->message = say(check, "cuInit returns %d, %s", code, known ? known->name : "a code that the tables do not have");
    if (known)
        line(check, finding, "it means", "%s", known->means);
    em_vec_each (const char *, sound, &check->sound)
        line(check, finding, sound == check->sound.items ? "checked" : "", "%s", *sound);
    if (check->cause) {
        line(check, finding, "it is", "%s", check->cause);
        finding->help = "mend that first, and ask again";
        return;
    }
    if ((code == 100 || code == 101) && machine->cuda_visible_devices) {
        line(check, finding, "it is", "CUDA_VISIBLE_DEVICES=\"%s\" hides the GPUs", machine->cuda_visible_devices);
        finding->help = "unset CUDA_VISIBLE_DEVICES";
    } else if (code == 802) {
        finding->help = "on the host: systemctl restart nvidia-fabricmanager, of exactly the driver's version";
    } else if (code == 34) {
        finding->help = "take the directory of this stub out of LD_LIBRARY_PATH and ld.so.conf";
    } else if (code == 804 || code == 803) {
        finding->help =
            "reboot after a driver upgrade; no compat directory before the driver; no driver's packages in the image";
    } else {
        line(check, finding, "left", "the driver's state on the host: its kernel log says more");
        finding->help = "on the host: dmesg | grep -i -e nvrm -e xid; nvidia-smi -q; reload nvidia_uvm, or reset or reboot";
    }
}

static void check_init(struct check *check)
{
    const struct em_machine *machine = check->machine;
    const struct em_driver_probe *probe = &machine->probe;
    const struct em_driver_file *driver = em_machine_driver(machine);
    struct em_finding finding = { .id = "EM702", .severity = EM_SEVERITY_ERROR };

    if (!machine->probed || works(machine))
        return;
    finding.object = driver ? driver->path : "libcuda.so.1";
    switch (probe->outcome) {
    case EM_DRIVER_ANSWERED: explain_code(check, &finding, em_knowledge_cuda_error(check->knowledge, probe->code)); break;
    case EM_DRIVER_NOT_FOUND:
        finding.message = "is there, and the loader refuses it";
        line(check, &finding, "it says", "%s", probe->reason);
        break;
    case EM_DRIVER_NO_SYMBOL: finding.message = "has no cuInit: it is not the driver's library"; break;
    case EM_DRIVER_TIMED_OUT:
        finding.message = "cuInit did not come back in time";
        finding.help = "a GPU hangs: on the host, dmesg | grep -i -e nvrm -e xid; nvidia-smi -r, or reboot";
        break;
    case EM_DRIVER_DIED:
        finding.message = say(check, "the process that called cuInit died%s%s", probe->signal ? ": " : "",
                              probe->signal ? strsignal(probe->signal) : "");
        break;
    }
    line(check, &finding, "not it", "the environment's libraries: no RPATH, link or LD_LIBRARY_PATH entry changes this");
    add(check, &finding);
}

int em_judge_machine(struct em_findings *findings, struct em_arena *arena, const struct em_machine *machine,
                     const struct em_knowledge *knowledge)
{
    struct check check = { .findings = findings, .arena = arena, .machine = machine, .knowledge = knowledge };

    check_capabilities(&check);
    check_library(&check);
    check_nodes(&check);
    check_init(&check);
    return check.failed ? EM_NO_MEMORY : EM_OK;
}
