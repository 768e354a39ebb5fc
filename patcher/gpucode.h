/* gpucode.h: the GPU code that an object carries, by its headers alone.
 *
 * NVIDIA's compiler puts device code into *containers* ("fatbins"), one a translation unit or kernel, each with an *entry* for every
 * architecture that it was compiled for: a cubin (machine code for one sm_XX), PTX (text that the driver compiles for any later GPU)
 * or LTO-IR (for nvJitLink). A host object can hold tens of thousands of containers in several sections, and only the header of
 * each entry has to be read to list them:
 *
 *     struct em_gpu_listing listing;
 *     r = em_gpu_code_scan(&listing, arena, &reader, error);      EM_NOT_ELF, EM_BAD_ELF, EM_IO, EM_NO_MEMORY, EM_LIMIT
 *     listing.codes.items[i]        "sm_90a cubin, 12 entries, 3 MB"; by architecture, then kind
 *     listing.sets.items[i]         which of these stand together in one container, and in how many
 *
 * The sets are there because counting entries misleads: two kernels compiled for sm_89 do not make a library one for sm_89. How
 * many containers have code for a GPU does.
 *
 * The layout is NVIDIA's own and undocumented; it was measured on what nvcc 11 to 13 write, and the listing is held against
 * `cuobjdump --list-elf --list-ptx` on the wheels. AMD's .hip_fatbin is another format and is not read.
 * Threads: everything works on its arguments alone.
 */
#ifndef EM_PATCHER_GPUCODE_H
#define EM_PATCHER_GPUCODE_H

#include "base/base.h"

enum em_gpu_kind {
    EM_GPU_CUBIN, /* machine code */
    EM_GPU_PTX,   /* compiled by the driver at first use */
    EM_GPU_LTO,   /* linked by nvJitLink at run time */
    EM_GPU_OTHER, /* a kind that we have no word for */
};
const char *em_gpu_kind_name(enum em_gpu_kind kind); /* "cubin", "ptx", "lto", "other" */

/* All entries of one architecture and kind. */
struct em_gpu_code {
    uint32_t arch; /* 86 for sm_86, compute_86 */
    char suffix;   /* 'a': that architecture alone; 'f': its family; 0 */
    enum em_gpu_kind kind;
    size_t count;   /* entries */
    uint64_t bytes; /* as stored, compressed or not */
};

#define EM_GPU_CODES 64u /* different ones in one object [24, cuDNN's engines] */

/* Containers that hold the same codes: bit i stands for codes.items[i]. */
struct em_gpu_set {
    uint64_t codes;
    size_t containers;
};

struct em_gpu_listing {
    struct {
        EM_VEC(struct em_gpu_code);
    } codes; /* by arch, suffix, kind */
    struct {
        EM_VEC(struct em_gpu_set);
    } sets; /* of containers that have kernels */
    size_t containers;
    size_t empty;       /* of them, those whose cubins have no kernel */
    size_t broken;      /* containers that contradict themselves: cut off, or not containers at all */
    size_t bare_cubins; /* cubins outside of any container, not in codes */
};

int em_gpu_code_scan(struct em_gpu_listing *listing, struct em_arena *arena, struct em_reader *reader, struct em_error *error);

/* "sm_90a" for a cubin, "compute_90a" for the others; in the arena. NULL: no memory. */
const char *em_gpu_code_name(struct em_arena *arena, const struct em_gpu_code *code);

#endif
