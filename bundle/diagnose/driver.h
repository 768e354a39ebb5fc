/* driver.h: what the driver's library says when it is started, asked in a child process. Private to diagnose and cli/doctor.c.
 *
 * cuInit can hang (a wedged GPU), crash, or take a context's worth of memory with it: so a child does it, a clock runs, and what it
 * found comes through a pipe. The child opens libcuda.so.1 by name, as every program does, or by the path that is given.
 *
 *     r = em_driver_probe(&probe, NULL, 10, error)        EM_IO if there is no child or no pipe; all else is an answer
 */
#ifndef EM_BUNDLE_DIAGNOSE_DRIVER_H
#define EM_BUNDLE_DIAGNOSE_DRIVER_H

#include "base/base.h"

#define EM_DRIVER_GPUS 64

struct em_driver_gpu {
    char name[96];
    uint32_t arch; /* 120 */
};

enum em_driver_outcome {
    EM_DRIVER_ANSWERED,  /* code says what */
    EM_DRIVER_NOT_FOUND, /* no library; reason is the loader's */
    EM_DRIVER_NO_SYMBOL, /* the library has no cuInit */
    EM_DRIVER_TIMED_OUT,
    EM_DRIVER_DIED, /* by signal */
};

struct em_driver_probe {
    enum em_driver_outcome outcome;
    int signal;
    int code;           /* of cuInit: 0 works */
    int cuda_version;   /* cuDriverGetVersion: 12080; 0: not told */
    int count;          /* of GPUs */
    char reason[512];   /* of EM_DRIVER_NOT_FOUND */
    char library[1024]; /* that answered, as the loader spells it */
    struct em_driver_gpu gpus[EM_DRIVER_GPUS];
};

/* library NULL: libcuda.so.1 as the loader finds it. */
int em_driver_probe(struct em_driver_probe *probe, const char *library, unsigned seconds, struct em_error *error);

#endif
