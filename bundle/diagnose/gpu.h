/* gpu.h: which GPUs an object has code for, and what follows for those that were named.
 *
 * The format is patcher/gpucode.h's; here are NVIDIA's rules of what runs where (CUDA C++ Programming Guide, "Compute
 * Capabilities"; nvcc manual, "GPU feature list"):
 *   - a cubin for sm_XY runs on GPUs of major X and a minor of at least Y, between desktop and Tegra on the very same alone;
 *   - with suffix 'a' on that architecture alone, with 'f' on its family: the same major, the minor at least as high;
 *   - PTX is compiled by the driver for any GPU as new or newer, with the same two exceptions.
 *
 *     r = em_gpus_parse(&gpus, arena, &knowledge, "sm_120,RTX 3090", error)    EM_USAGE for what is no GPU
 *     cover = em_gpu_cover(&listing, 120)                                       containers by what they have for it
 *     em_gpu_fit(&listing, 120)                                                 the verdict
 */
#ifndef EM_BUNDLE_DIAGNOSE_GPU_H
#define EM_BUNDLE_DIAGNOSE_GPU_H

#include "bundle/diagnose/diagnose.h"
#include "patcher/gpucode.h"

int em_gpus_parse(struct em_gpus *gpus, struct em_arena *arena, const struct em_knowledge *knowledge, const char *list,
                  struct em_error *error);

/* Containers that have machine code for a GPU, that have none but PTX, and those that have neither. */
struct em_gpu_cover {
    size_t native, ptx, none;
};
struct em_gpu_cover em_gpu_cover(const struct em_gpu_listing *listing, uint32_t arch);

enum em_gpu_fit {
    EM_GPU_NO_CODE, /* the object has no GPU code at all */
    EM_GPU_MISSING, /* it has, and next to none of it runs there */
    EM_GPU_BY_PTX,  /* compiled at first use */
    EM_GPU_NATIVE,
};
enum em_gpu_fit em_gpu_fit(const struct em_gpu_listing *listing, uint32_t arch);

/* "sm_70 sm_75 sm_80 compute_80 (PTX)": one word for each architecture. NULL: no memory. */
const char *em_gpu_summary(struct em_arena *arena, const struct em_gpu_listing *listing);

/* The objects of an environment that have GPU code, by path. What is no sound object has none. */
struct em_gpu_carrier {
    const struct em_env_object *object;
    struct em_gpu_listing listing;
};
struct em_gpu_carriers {
    EM_VEC(struct em_gpu_carrier);
};
int em_gpu_carriers_read(struct em_gpu_carriers *carriers, struct em_arena *arena, const struct em_env *env,
                         uint64_t *bytes_read, struct em_error *error);

/* EM401 and EM402, one for each distribution, GPU and set of architectures. */
int em_judge_gpu(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                 const struct em_knowledge *knowledge, const struct em_gpus *gpus, const struct em_gpu_carriers *carriers);

#endif
