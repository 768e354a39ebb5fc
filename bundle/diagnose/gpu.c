#include "bundle/diagnose/gpu.h"

#include <ctype.h>
#include <string.h>

/* ---- which GPUs ---- */

/* "sm_120", "sm_90a", "compute_86", "86", "8.6". A GPU has no suffix: that is the code's affair. 0: none of these. */
static uint32_t arch_of(const char *word)
{
    const char *digits = word;
    unsigned long value;
    char *end;

    if (strncmp(word, "sm_", 3) == 0)
        digits += 3;
    else if (strncmp(word, "compute_", 8) == 0)
        digits += 8;
    if (!isdigit((unsigned char)*digits))
        return 0;
    value = strtoul(digits, &end, 10);
    if (*end == '.' && digits == word && isdigit((unsigned char)end[1]) && !isdigit((unsigned char)end[2])) {
        value = value * 10 + (unsigned long)(end[1] - '0');
        end += 2;
    } else if (digits != word && (*end == 'a' || *end == 'f')) {
        end++;
    }
    return *end == '\0' && value >= 10 && value <= 999 ? (uint32_t)value : 0;
}

int em_gpus_parse(struct em_gpus *gpus, struct em_arena *arena, const struct em_knowledge *knowledge, const char *list,
                  struct em_error *error)
{
    char *rest = em_arena_strdup(arena, list), *word;

    if (!rest)
        return EM_NO_MEMORY;
    while ((word = strsep(&rest, ",")) != NULL) {
        struct em_gpu gpu = { 0 };
        bool known = false;

        word += strspn(word, " ");
        gpu.arch = arch_of(word);
        if (gpu.arch == 0 && *word) {
            gpu.arch = em_knowledge_gpu(knowledge, word);
            gpu.name = word;
        }
        if (gpu.arch == 0)
            return em_fail(error, EM_USAGE, NULL, "--gpu %s: it is an architecture (sm_120, 12.0) or a product (RTX 5070)",
                           word);
        em_vec_each (struct em_gpu, other, gpus)
            known = known || other->arch == gpu.arch;
        if (!known && em_vec_push(arena, gpus, gpu) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* ---- what runs where ---- */

/* Embedded chips: "binary compatibility is supported for the desktop only". */
static bool is_tegra(uint32_t arch)
{
    static const uint32_t chips[] = { 53, 62, 72, 87, 88, 101, 110 };

    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++)
        if (chips[i] == arch)
            return true;
    return false;
}

static bool is_of_family(uint32_t code, uint32_t arch)
{
    return code / 10 == arch / 10 && code % 10 <= arch % 10;
}

static bool runs(const struct em_gpu_code *code, uint32_t arch)
{
    if (code->arch == arch)
        return true;
    if (code->suffix == 'a' || is_tegra(code->arch) || is_tegra(arch))
        return false;
    return is_of_family(code->arch, arch);
}

static bool compiles(const struct em_gpu_code *code, uint32_t arch)
{
    if (code->suffix == 'a')
        return code->arch == arch;
    if (code->suffix == 'f')
        return is_of_family(code->arch, arch);
    return code->arch <= arch;
}

struct em_gpu_cover em_gpu_cover(const struct em_gpu_listing *listing, uint32_t arch)
{
    struct em_gpu_cover cover = { 0 };
    uint64_t native = 0, ptx = 0;

    for (size_t i = 0; i < listing->codes.count; i++) {
        const struct em_gpu_code *code = &listing->codes.items[i];

        if (code->kind == EM_GPU_CUBIN && runs(code, arch))
            native |= UINT64_C(1) << i;
        if (code->kind == EM_GPU_PTX && compiles(code, arch))
            ptx |= UINT64_C(1) << i;
    }
    em_vec_each (struct em_gpu_set, set, &listing->sets) {
        if (set->codes & native)
            cover.native += set->containers;
        else if (set->codes & ptx)
            cover.ptx += set->containers;
        else
            cover.none += set->containers;
    }
    return cover;
}

/* A library for many GPUs has kernels that are for some of them only, so what counts is how much a GPU gets in comparison with the
 * best served one: cuBLASLt 12.8 has a third as many containers for sm_86 as for sm_120 and supports both; a build with two
 * kernels of 393 for sm_89 does not support sm_89. */
#define NEXT_TO_NOTHING 50

enum em_gpu_fit em_gpu_fit(const struct em_gpu_listing *listing, uint32_t arch)
{
    struct em_gpu_cover cover = em_gpu_cover(listing, arch);
    size_t best = 0;

    if (listing->sets.count == 0)
        return EM_GPU_NO_CODE;
    em_vec_each (struct em_gpu_code, code, &listing->codes) {
        size_t native = em_gpu_cover(listing, code->arch).native;

        best = native > best ? native : best;
    }
    if (cover.native > 0 && cover.native * NEXT_TO_NOTHING >= best)
        return EM_GPU_NATIVE;
    if (cover.ptx > 0 && (cover.native + cover.ptx) * NEXT_TO_NOTHING >= best)
        return EM_GPU_BY_PTX;
    return EM_GPU_MISSING;
}

const char *em_gpu_summary(struct em_arena *arena, const struct em_gpu_listing *listing)
{
    const char *line = "";

    em_vec_each (struct em_gpu_code, code, &listing->codes) {
        const char *name = em_gpu_code_name(arena, code);

        if (name && code->kind != EM_GPU_LTO && code->kind != EM_GPU_OTHER)
            line = em_arena_printf(arena, "%s%s%s%s", line, *line ? " " : "", name, code->kind == EM_GPU_PTX ? " (PTX)" : "");
        if (!name || !line)
            return NULL;
    }
    return line;
}

int em_gpu_carriers_read(struct em_gpu_carriers *carriers, struct em_arena *arena, const struct em_env *env,
                         uint64_t *bytes_read, struct em_error *error)
{
    em_vec_each (struct em_env_object, object, &env->objects) {
        em_cleanup_file struct em_file *file = NULL;
        struct em_gpu_carrier carrier = { .object = object };
        int r;

        if (em_tree_open(env->tree, object->path, &file) < 0)
            continue;
        r = em_gpu_code_scan(&carrier.listing, arena, &file->reader, error);
        *bytes_read += file->reader.bytes_read;
        if (r == EM_OK && carrier.listing.sets.count > 0)
            r = em_vec_push(arena, carriers, carrier);
        if (r == EM_NO_MEMORY || r == EM_IO)
            return r;
    }
    return EM_OK;
}

/* ---- findings ---- */

/* Objects of one distribution that have the same architectures and do not serve the same GPU: one finding. */
struct group {
    const struct em_distribution *owner;
    const struct em_gpu *gpu;
    enum em_gpu_fit fit;
    const char *summary;
    struct em_gpu_cover cover; /* of all of them */
    struct em_strings paths;
};

struct groups {
    EM_VEC(struct group);
};

static int add_to_group(struct groups *groups, struct em_arena *arena, const struct group *wanted, const char *path)
{
    struct group *found = NULL;

    em_vec_each (struct group, group, groups)
        if (group->owner == wanted->owner && group->gpu == wanted->gpu && group->fit == wanted->fit &&
            strcmp(group->summary, wanted->summary) == 0)
            found = group;
    if (!found) {
        if (em_vec_push(arena, groups, *wanted) < 0)
            return EM_NO_MEMORY;
        found = &groups->items[groups->count - 1];
    } else {
        found->cover.native += wanted->cover.native;
        found->cover.ptx += wanted->cover.ptx;
        found->cover.none += wanted->cover.none;
    }
    return em_vec_push(arena, &found->paths, path);
}

/* "lib/bnb_cuda118.so" and "lib/bnb_cuda124.so": builds of one library, of which the package opens the one that fits. */
static bool same_shape(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "0123456789");
        b += strspn(b, "0123456789");
        if (*a != *b)
            return false;
        if (*a == '\0')
            return true;
    }
}

static bool has_fitting_variant(const struct em_gpu_carriers *carriers, const struct em_gpu_carrier *carrier, uint32_t arch)
{
    em_vec_each (const struct em_gpu_carrier, other, carriers)
        if (other != carrier && same_shape(other->object->path, carrier->object->path) &&
            em_gpu_fit(&other->listing, arch) >= EM_GPU_BY_PTX)
            return true;
    return false;
}

static int group_up(struct groups *groups, struct em_arena *arena, const struct em_gpu_carriers *carriers,
                    const struct em_gpu *gpu)
{
    em_vec_each (struct em_gpu_carrier, carrier, carriers) {
        struct group group = { .owner = carrier->object->owner, .gpu = gpu };
        int r;

        group.fit = em_gpu_fit(&carrier->listing, gpu->arch);
        if (group.fit == EM_GPU_NATIVE || has_fitting_variant(carriers, carrier, gpu->arch))
            continue;
        group.cover = em_gpu_cover(&carrier->listing, gpu->arch);
        group.summary = em_gpu_summary(arena, &carrier->listing);
        r = group.summary ? add_to_group(groups, arena, &group, carrier->object->path) : EM_NO_MEMORY;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static const char *help_for(struct em_arena *arena, const struct em_knowledge *knowledge, const struct group *group)
{
    const struct em_gpu_build *build = group->owner
                                           ? em_knowledge_gpu_build(knowledge, group->owner->normalized, group->gpu->arch)
                                           : NULL;

    if (build)
        return em_arena_printf(arena, "pip install '%s', %s", build->cure, build->why);
    if (group->owner)
        return em_arena_printf(arena, "pip install --upgrade %s, or a build of it for this GPU from its own index",
                               group->owner->name);
    return "compile it for this GPU too: nvcc -gencode arch=compute_NN,code=sm_NN";
}

static int add_finding(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                       const struct em_knowledge *knowledge, const struct group *group)
{
    bool by_ptx = group->fit == EM_GPU_BY_PTX;
    size_t all = group->cover.native + group->cover.ptx + group->cover.none;
    struct em_finding finding = { .id = by_ptx ? "EM402" : "EM401",
                                  .severity = by_ptx ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR,
                                  .object = group->paths.items[0],
                                  .owner = group->owner };
    const char *whose = group->gpu->name ? em_arena_printf(arena, " (%s)", group->gpu->name) : "";
    int r;

    if (!whose)
        return EM_NO_MEMORY;
    finding.request = em_arena_printf(arena, "sm_%u", (unsigned)group->gpu->arch);
    finding.message = by_ptx ? em_arena_printf(arena, "has only PTX for sm_%u%s: compiled at first use",
                                               (unsigned)group->gpu->arch, whose)
                             : em_arena_printf(arena, "has no code for sm_%u%s", (unsigned)group->gpu->arch, whose);
    if (!finding.request || !finding.message)
        return EM_NO_MEMORY;
    r = em_evidence_add(&finding.evidence, arena, "it has", group->summary);
    if (r == EM_OK && !by_ptx && group->cover.native + group->cover.ptx > 0)
        r = em_evidence_add(&finding.evidence, arena, "of it",
                            em_arena_printf(arena, "%zu in %zu containers have something for this GPU",
                                            group->cover.native + group->cover.ptx, all));
    for (size_t i = 1; r == EM_OK && i < group->paths.count; i++)
        r = em_evidence_add(&finding.evidence, arena, i == 1 ? "also" : "", em_env_show(env, group->paths.items[i]));
    if (r == EM_OK && by_ptx)
        r = em_evidence_add(&finding.evidence, arena, "costs",
                            "minutes at the first run, once for each driver (~/.nv/ComputeCache keeps the result)");
    if (r == EM_OK && !by_ptx) {
        r = em_evidence_add(&finding.evidence, arena, "without it",
                            "the first kernel fails: no kernel image is available for execution on the device");
        finding.help = help_for(arena, knowledge, group);
    }
    return r < 0 ? r : em_vec_push(arena, findings, finding);
}

int em_judge_gpu(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                 const struct em_knowledge *knowledge, const struct em_gpus *gpus, const struct em_gpu_carriers *carriers)
{
    struct groups groups = { 0 };

    em_vec_each (struct em_gpu, gpu, gpus) {
        int r = group_up(&groups, arena, carriers, gpu);

        if (r < 0)
            return r;
    }
    em_vec_each (struct group, group, &groups) {
        int r = add_finding(findings, arena, env, knowledge, group);

        if (r < 0)
            return r;
    }
    return EM_OK;
}
