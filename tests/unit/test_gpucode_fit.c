/* What runs where: NVIDIA's rules, on listings written by hand, and how GPUs are named. */
#include "tests/unit/tables.h"

#include "bundle/diagnose/gpu.h"

/* A listing with one set of all codes, in that many containers. */
static void add(struct em_gpu_listing *listing, enum em_gpu_kind kind, uint32_t arch, char suffix, size_t containers)
{
    struct em_gpu_code code = { .kind = kind, .arch = arch, .suffix = suffix, .count = containers };

    assert_int_equal(em_vec_push(arena, &listing->codes, code), EM_OK);
    assert_int_equal(
        em_vec_push(arena, &listing->sets, (struct em_gpu_set){ UINT64_C(1) << (listing->codes.count - 1), containers }),
        EM_OK);
}

static enum em_gpu_fit fit_of(enum em_gpu_kind kind, uint32_t code, char suffix, uint32_t gpu)
{
    struct em_gpu_listing listing = { 0 };

    add(&listing, kind, code, suffix, 1);
    return em_gpu_fit(&listing, gpu);
}

static void machine_code_runs_within_its_major(void **state)
{
    static const struct {
        uint32_t code;
        char suffix;
        uint32_t gpu;
        bool runs;
    } rules[] = {
        { 86, 0, 86, true },      { 80, 0, 89, true },      { 89, 0, 86, false },    { 75, 0, 80, false },
        { 90, 0, 100, false },    { 100, 0, 103, true },    { 120, 0, 121, true },   { 100, 0, 120, false },
        { 90, 'a', 90, true },    { 100, 'a', 103, false }, { 100, 'f', 103, true }, { 120, 'f', 121, true },
        { 121, 'f', 120, false }, { 100, 'f', 120, false }, { 87, 0, 89, false },    { 80, 0, 87, false },
        { 87, 0, 87, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if ((fit_of(EM_GPU_CUBIN, rules[i].code, rules[i].suffix, rules[i].gpu) == EM_GPU_NATIVE) != rules[i].runs)
            fail_msg("sm_%u%c on sm_%u", (unsigned)rules[i].code, rules[i].suffix ? rules[i].suffix : ' ',
                     (unsigned)rules[i].gpu);
}

static void ptx_goes_forward(void **state)
{
    (void)state;
    assert_int_equal(fit_of(EM_GPU_PTX, 50, 0, 120), EM_GPU_BY_PTX);
    assert_int_equal(fit_of(EM_GPU_PTX, 86, 0, 86), EM_GPU_BY_PTX);
    assert_int_equal(fit_of(EM_GPU_PTX, 90, 0, 86), EM_GPU_MISSING);
    assert_int_equal(fit_of(EM_GPU_PTX, 90, 'a', 100), EM_GPU_MISSING);
    assert_int_equal(fit_of(EM_GPU_PTX, 100, 'f', 103), EM_GPU_BY_PTX);
    assert_int_equal(fit_of(EM_GPU_PTX, 100, 'f', 120), EM_GPU_MISSING);
    assert_int_equal(fit_of(EM_GPU_LTO, 50, 0, 120), EM_GPU_MISSING);
}

/* torch 2.7.1 has 393 containers for 80 to 90, and one with sm_89: that one changes nothing for an sm_89, which runs what is there
 * for sm_86, and two for sm_120 would not make it a build for sm_120. */
static void a_few_kernels_are_no_build(void **state)
{
    struct em_gpu_listing listing = { 0 };

    (void)state;
    add(&listing, EM_GPU_CUBIN, 86, 0, 393);
    add(&listing, EM_GPU_CUBIN, 120, 0, 2);
    assert_int_equal(em_gpu_fit(&listing, 89), EM_GPU_NATIVE);
    assert_int_equal(em_gpu_fit(&listing, 120), EM_GPU_MISSING);
    assert_int_equal(em_gpu_cover(&listing, 120).native, 2);
    assert_int_equal(em_gpu_cover(&listing, 120).none, 393);
    /* Kernels that each are for one GPU: a third of them is support. */
    add(&listing, EM_GPU_CUBIN, 90, 'a', 130);
    assert_int_equal(em_gpu_fit(&listing, 90), EM_GPU_NATIVE);
    /* PTX for all of it is, too. */
    add(&listing, EM_GPU_PTX, 90, 0, 300);
    assert_int_equal(em_gpu_fit(&listing, 120), EM_GPU_BY_PTX);
}

static void no_code_is_no_verdict(void **state)
{
    struct em_gpu_listing listing = { 0 };

    (void)state;
    assert_int_equal(em_gpu_fit(&listing, 90), EM_GPU_NO_CODE);
}

static uint32_t parsed(const char *list, size_t index)
{
    struct em_gpus gpus = { 0 };
    struct em_error error = EM_ERROR_INIT;
    int r = em_gpus_parse(&gpus, arena, &knowledge, list, &error);

    return r == EM_OK && index < gpus.count ? gpus.items[index].arch : 0;
}

static void gpus_are_named_by_architecture_or_product(void **state)
{
    static const char *const none[] = {
        "", "sm_", "sm_9", "sm_90b", "sm_1000", "1", "12.", "12.00", "x", "RTX", "sm_90,", "-90"
    };

    (void)state;
    assert_int_equal(parsed("sm_120", 0), 120);
    assert_int_equal(parsed("sm_90a", 0), 90);
    assert_int_equal(parsed("compute_86", 0), 86);
    assert_int_equal(parsed("86", 0), 86);
    assert_int_equal(parsed("12.0", 0), 120);
    assert_int_equal(parsed("8.6, sm_75", 1), 75);
    assert_int_equal(parsed("sm_86,8.6,89", 1), 89);
    assert_int_equal(parsed("RTX 5070", 0), 120);
    assert_int_equal(parsed("NVIDIA GeForce RTX 5070 Ti", 0), 120);
    assert_int_equal(parsed("nvidia h100", 0), 90);
    assert_int_equal(parsed("H100 80GB HBM3", 0), 90);
    assert_int_equal(parsed("H20", 0), 90);
    assert_int_equal(parsed("Tesla T4", 0), 75);
    assert_int_equal(parsed("A10G", 0), 86);
    assert_int_equal(parsed("A100-SXM4-80GB", 0), 80);
    assert_int_equal(parsed("RTX 6000 Ada Generation", 0), 89);
    assert_int_equal(parsed("GB200", 0), 100);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(parsed(none[i], strchr(none[i], ',') ? 1 : 0), 0);
}

static void the_tables_say_what_a_runtime_asks_for(void **state)
{
    (void)state;
    assert_string_equal(em_knowledge_runtime(&knowledge, "12")->driver, "525.60.13");
    assert_null(em_knowledge_runtime(&knowledge, "99"));
    assert_string_equal(em_knowledge_cuda_error(&knowledge, 999)->name, "CUDA_ERROR_UNKNOWN");
    assert_null(em_knowledge_cuda_error(&knowledge, 12345));
    assert_string_equal(em_knowledge_gpu_build(&knowledge, "torch", 120)->cure, "torch>=2.8");
    assert_null(em_knowledge_gpu_build(&knowledge, "torch", 80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_code_runs_within_its_major),
        cmocka_unit_test(ptx_goes_forward),
        cmocka_unit_test(a_few_kernels_are_no_build),
        cmocka_unit_test(no_code_is_no_verdict),
        cmocka_unit_test(gpus_are_named_by_architecture_or_product),
        cmocka_unit_test(the_tables_say_what_a_runtime_asks_for),
    };

    return cmocka_run_group_tests(tests, load_tables, free_arena);
}
