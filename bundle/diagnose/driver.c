#include "bundle/diagnose/driver.h"

#include <dlfcn.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* CUDA driver API, cuda.h: CUresult is an int, CUdevice an int. */
typedef int (*init_function)(unsigned flags);
typedef int (*number_function)(int *value);
typedef int (*device_function)(int *device, int ordinal);
typedef int (*name_function)(char *name, int size, int device);
typedef int (*attribute_function)(int *value, int attribute, int device);

#define COMPUTE_CAPABILITY_MAJOR 75
#define COMPUTE_CAPABILITY_MINOR 76

/* ISO C has no conversion from an object pointer to a function; POSIX says that dlsym's may be copied. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof symbol);
}

static void ask_gpus(void *library, struct em_driver_probe *probe)
{
    number_function count;
    device_function get;
    name_function name;
    attribute_function attribute;

    find(library, "cuDeviceGetCount", &count);
    find(library, "cuDeviceGet", &get);
    find(library, "cuDeviceGetName", &name);
    find(library, "cuDeviceGetAttribute", &attribute);
    if (!count || count(&probe->count) != 0)
        return;
    for (int i = 0; i < probe->count && i < EM_DRIVER_GPUS; i++) {
        struct em_driver_gpu *gpu = &probe->gpus[i];
        int device = 0, major = 0, minor = 0;

        if (!get || get(&device, i) != 0)
            return;
        if (name)
            name(gpu->name, (int)sizeof gpu->name - 1, device);
        if (attribute && attribute(&major, COMPUTE_CAPABILITY_MAJOR, device) == 0 &&
            attribute(&minor, COMPUTE_CAPABILITY_MINOR, device) == 0 && major > 0 && minor >= 0)
            gpu->arch = (uint32_t)(major * 10 + minor);
    }
}

static void ask(struct em_driver_probe *probe, const char *path)
{
    void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    struct link_map *map = NULL;
    init_function init;
    number_function version;

    if (!library) {
        probe->outcome = EM_DRIVER_NOT_FOUND;
        snprintf(probe->reason, sizeof probe->reason, "%s", dlerror());
        return;
    }
    if (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map)
        snprintf(probe->library, sizeof probe->library, "%s", map->l_name);
    find(library, "cuInit", &init);
    find(library, "cuDriverGetVersion", &version);
    if (!init) {
        probe->outcome = EM_DRIVER_NO_SYMBOL;
        return;
    }
    probe->outcome = EM_DRIVER_ANSWERED;
    probe->code = init(0);
    if (version)
        version(&probe->cuda_version);
    if (probe->code == 0)
        ask_gpus(library, probe);
}

/* What the driver prints is not our output. */
static void be_quiet(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return;
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
}

static int left(const struct timespec *end)
{
    struct timespec now;
    long long ms;

    clock_gettime(CLOCK_MONOTONIC, &now);
    ms = (end->tv_sec - now.tv_sec) * 1000LL + (end->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

/* All of the probe, or less when the clock runs out or the child is gone. */
static size_t receive(int fd, struct em_driver_probe *probe, unsigned seconds)
{
    struct timespec end;
    size_t got = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    while (got < sizeof *probe) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        int wait = left(&end);
        ssize_t n;

        if (wait == 0 || (poll(&ready, 1, wait) < 0 && errno != EINTR))
            break;
        if (ready.revents == 0)
            continue;
        n = read(fd, (char *)probe + got, sizeof *probe - got);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    return got;
}

int em_driver_probe(struct em_driver_probe *probe, const char *library, unsigned seconds, struct em_error *error)
{
    em_cleanup_fd int in = -1, out = -1;
    int ends[2], status = 0;
    size_t got;
    pid_t child;

    memset(probe, 0, sizeof *probe);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return em_fail_errno(error, NULL, "a pipe cannot be made");
    in = ends[0];
    out = ends[1];
    child = fork();
    if (child < 0)
        return em_fail_errno(error, NULL, "a child process cannot be made");
    if (child == 0) {
        be_quiet();
        ask(probe, library);
        _exit(em_write_all(out, probe, sizeof *probe, "pipe", NULL) < 0);
    }
    close(em_steal_fd(&out));
    got = receive(in, probe, seconds);
    if (got == sizeof *probe) {
        kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        return EM_OK;
    }
    memset(probe, 0, sizeof *probe);
    /* A child that ended says how; one that did not is stuck in the driver, perhaps beyond SIGKILL: it is not waited for. */
    for (int i = 0; i < 20 && waitpid(child, &status, WNOHANG) == 0; i++) {
        struct timespec pause = { .tv_nsec = 5000000 };

        if (i == 9)
            kill(child, SIGKILL);
        nanosleep(&pause, NULL);
        probe->outcome = i < 9 ? EM_DRIVER_DIED : EM_DRIVER_TIMED_OUT;
    }
    if (probe->outcome != EM_DRIVER_TIMED_OUT) {
        probe->outcome = EM_DRIVER_DIED;
        probe->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    return EM_OK;
}
