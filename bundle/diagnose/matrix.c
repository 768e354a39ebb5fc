#include "bundle/diagnose/matrix.h"

#include "bundle/diagnose/numpy.h"

#include <ctype.h>
#include <string.h>

static struct em_framework *framework_of(struct em_frameworks *frameworks, const struct em_advisor *advisor,
                                         const struct em_distribution *owner)
{
    em_vec_each (struct em_framework, framework, frameworks)
        if (framework->distribution == owner)
            return framework;
    if (em_vec_push(advisor->arena, frameworks, (struct em_framework){ .distribution = owner }) < 0)
        return NULL;
    return &frameworks->items[frameworks->count - 1];
}

/* Components whose soname has CUDA's own major. */
static const char *cuda_major_of(const char *component, const char *major)
{
    static const char *const components[] = { "cublas", "cudart", "nvrtc", "cupti", "nvjitlink" };

    for (size_t i = 0; i < sizeof components / sizeof *components; i++)
        if (strcmp(components[i], component) == 0)
            return major;
    return NULL;
}

/* Who owns what answers, or where it lies; NULL: nothing does, or chance alone. */
static const char *answer_of(const struct em_advisor *advisor, const struct em_case *item)
{
    const struct em_env_object *object;

    if (em_case_is_missing(item) || !item->request->file)
        return NULL;
    /* What this machine alone has is not what the environment gets; where the user pointed the loader there, it is. */
    if (item->request->rule != EM_RULE_ENV && em_case_is_by_luck(item, advisor->loading, advisor->knowledge))
        return NULL;
    object = em_loading_object(advisor->loading, &item->request->file->node);
    if (object && object->owner)
        return object->owner->version;
    return em_path_dirname(advisor->arena, item->request->path);
}

/* What an import asks for says more than a plugin of the same package. Of builds for several CUDAs, of which a package opens the one that
 * fits, the one for the CUDA that is here counts; else the first. */
static bool tells_more(const struct em_advisor *advisor, const struct em_framework *framework, const struct em_case *item,
                       const char *cuda)
{
    const char *here = advisor->cuda ? advisor->cuda + strlen("cu") : NULL;

    if (!framework->cuda || item->by_import != framework->by_import)
        return !framework->cuda || item->by_import;
    return here && strcmp(cuda, here) == 0 && strcmp(framework->cuda, here) != 0;
}

static int note_case(struct em_frameworks *frameworks, const struct em_advisor *advisor, const struct em_case *item)
{
    const struct em_distribution *owner = item->object->owner;
    char major[16];
    const struct em_package *package = em_knowledge_package(advisor->knowledge, em_case_name(item), major);
    struct em_framework *framework;
    const char *cuda;

    if (!owner || !package || em_knowledge_is_vendor(advisor->knowledge, owner->normalized))
        return EM_OK;
    if (item->opening && item->opening->entry->without == EM_WITHOUT_OPTIONAL)
        return EM_OK;
    cuda = cuda_major_of(package->component, major);
    if (!cuda && strcmp(package->component, "cudnn") != 0)
        return EM_OK;
    framework = framework_of(frameworks, advisor, owner);
    if (!framework)
        return EM_NO_MEMORY;
    if (cuda && tells_more(advisor, framework, item, cuda)) {
        framework->cuda = em_arena_strdup(advisor->arena, cuda);
        framework->object = item->object->path;
        framework->by_import = item->by_import;
    } else if (!cuda && (!framework->cudnn_wanted || !framework->cudnn_loaded)) {
        framework->cudnn_wanted = em_arena_strdup(advisor->arena, major);
        framework->cudnn_loaded = answer_of(advisor, item);
    }
    if (!framework->object)
        framework->object = item->object->path;
    return EM_OK;
}

/* torch/version.py says `cuda = '12.8'`: the minor too. */
static void refine_cuda(struct em_framework *framework, const struct em_advisor *advisor)
{
    const struct em_distribution *distribution = framework->distribution;
    struct em_bytes bytes;
    char *path, *text, *at;
    size_t length;

    if (strcmp(distribution->normalized, "torch") != 0)
        return;
    path = em_path_join(advisor->arena, distribution->site, "torch/version.py");
    if (!path || em_tree_read(advisor->env->tree, advisor->arena, path, EM_MAX_METADATA, &bytes, NULL) < 0)
        return;
    text = em_arena_strndup(advisor->arena, (const char *)bytes.data, bytes.size);
    at = text ? strstr(text, "\ncuda") : NULL;
    at = at ? strpbrk(at, "'\"\r") : NULL;
    length = at ? strspn(at + 1, "0123456789.") : 0;
    if (length >= 4 && at[1 + length] == *at)
        framework->cuda = em_arena_strndup(advisor->arena, at + 1, length);
}

static int read_numpy(struct em_framework *framework, const struct em_advisor *advisor, uint64_t *bytes_read,
                      struct em_error *error)
{
    em_vec_each (struct em_env_object, object, &advisor->env->objects) {
        enum em_numpy_abi abi;
        int r;

        if (object->owner != framework->distribution)
            continue;
        r = em_numpy_abi_of(&abi, advisor->arena, advisor->env->tree, object->path, bytes_read, error);
        if (r < 0)
            return r;
        if (abi != EM_NUMPY_NONE && (!framework->numpy || abi == EM_NUMPY_1))
            framework->numpy = abi == EM_NUMPY_1 ? "1" : "2";
    }
    return EM_OK;
}

static int read_gpu(struct em_framework *framework, const struct em_advisor *advisor, const struct em_gpus *gpus,
                    const struct em_gpu_carriers *carriers)
{
    static const char *const words[] = { "-", "no code", "PTX", "yes" };
    enum em_gpu_fit *worst = em_arena_array(advisor->arena, gpus->count, sizeof *worst);
    const char *line = "";

    if (!worst)
        return EM_NO_MEMORY;
    em_vec_each (struct em_gpu_carrier, carrier, carriers) {
        if (carrier->object->owner != framework->distribution)
            continue;
        for (size_t i = 0; i < gpus->count; i++) {
            enum em_gpu_fit fit = em_gpu_fit(&carrier->listing, gpus->items[i].arch);

            if (fit != EM_GPU_NO_CODE && (worst[i] == EM_GPU_NO_CODE || fit < worst[i]))
                worst[i] = fit;
        }
    }
    for (size_t i = 0; i < gpus->count; i++) {
        line = em_arena_printf(advisor->arena, "%s%ssm_%u: %s", line, *line ? ", " : "", (unsigned)gpus->items[i].arch,
                               words[worst[i]]);
        if (!line)
            return EM_NO_MEMORY;
    }
    framework->gpu = line;
    return EM_OK;
}

int em_matrix_read(struct em_frameworks *frameworks, const struct em_advisor *advisor, bool numpy, const struct em_gpus *gpus,
                   const struct em_gpu_carriers *carriers, uint64_t *bytes_read, struct em_error *error)
{
    *frameworks = (struct em_frameworks){ 0 };
    em_vec_each (struct em_case, item, &advisor->loading->cases) {
        int r = note_case(frameworks, advisor, item);

        if (r < 0)
            return r;
    }
    em_vec_each (struct em_framework, framework, frameworks) {
        const struct em_cuda_runtime *runtime;
        char major[16] = "";
        int r = EM_OK;

        for (size_t i = 0; framework->cuda && i < 15 && isdigit((unsigned char)framework->cuda[i]); i++)
            major[i] = framework->cuda[i];
        runtime = em_knowledge_runtime(advisor->knowledge, major);
        framework->driver = runtime ? runtime->driver : NULL;
        refine_cuda(framework, advisor);
        if (numpy && em_env_find(advisor->env, "numpy"))
            r = read_numpy(framework, advisor, bytes_read, error);
        if (r == EM_OK && gpus)
            r = read_gpu(framework, advisor, gpus, carriers);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- the driver ---- */

static int add_runtime(struct em_findings *findings, const struct em_advisor *advisor, const struct em_framework *framework,
                       const char *module)
{
    struct em_finding finding = {
        .id = "EM403", .severity = EM_SEVERITY_ERROR, .object = framework->object, .owner = framework->distribution
    };

    finding.message = em_arena_printf(advisor->arena, "is built for CUDA %s, and the driver %s is too old for it",
                                      framework->cuda, module);
    finding.help = em_arena_printf(advisor->arena, "a driver of %s or newer on the host, or a build of %s for an older CUDA",
                                   framework->driver, framework->distribution->name);
    if (!finding.message || !finding.help ||
        em_evidence_add(&finding.evidence, advisor->arena, "it needs",
                        em_arena_printf(advisor->arena, "driver %s or newer", framework->driver)) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(advisor->arena, findings, finding);
}

static int add_model(struct em_findings *findings, const struct em_advisor *advisor, const struct em_gpu *gpu,
                     const char *needed, const char *module)
{
    struct em_finding finding = { .id = "EM403", .severity = EM_SEVERITY_ERROR, .object = "/proc/driver/nvidia/version" };

    finding.message = em_arena_printf(advisor->arena, "the driver %s does not know sm_%u: the first that does is %s", module,
                                      (unsigned)gpu->arch, needed);
    finding.help = em_arena_printf(advisor->arena, "a driver of %s or newer on the host", needed);
    return finding.message && finding.help ? em_vec_push(advisor->arena, findings, finding) : EM_NO_MEMORY;
}

int em_judge_runtime(struct em_findings *findings, const struct em_advisor *advisor, const struct em_frameworks *frameworks,
                     const struct em_gpus *gpus, const char *module)
{
    int r = EM_OK;

    if (!module)
        return EM_OK;
    for (size_t i = 0; r == EM_OK && i < frameworks->count; i++)
        if (frameworks->items[i].driver && em_version_compare(module, frameworks->items[i].driver) < 0)
            r = add_runtime(findings, advisor, &frameworks->items[i], module);
    for (size_t i = 0; r == EM_OK && gpus && i < gpus->count; i++) {
        const struct em_gpu_model *model = em_knowledge_gpu_model(advisor->knowledge, gpus->items[i].arch);

        if (model && model->driver && em_version_compare(module, model->driver) < 0)
            r = add_model(findings, advisor, &gpus->items[i], model->driver, module);
    }
    return r;
}
