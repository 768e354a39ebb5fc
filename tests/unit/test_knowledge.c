/* The tables as they are built in, and the questions that are asked of them. */
#include "tests/unit/tables.h"

#include <stdio.h>

static const char *package_of(const char *soname, const char *cuda)
{
    char major[16];
    const struct em_package *package = em_knowledge_package(&knowledge, soname, major);

    return package ? em_package_requirement(package, major, cuda) : NULL;
}

static void a_soname_names_its_package(void **state)
{
    (void)state;
    assert_string_equal(package_of("libcublas.so.12", "cu13"), "nvidia-cublas-cu12");
    assert_string_equal(package_of("libcublasLt.so.13", "cu12"), "nvidia-cublas");
    assert_string_equal(package_of("libcudnn_cnn.so.9", "cu12"), "nvidia-cudnn-cu12>=9,<10");
    assert_string_equal(package_of("libcudnn.so.9", "cu13"), "nvidia-cudnn-cu13>=9,<10");
    assert_string_equal(package_of("libcudnn_ops_infer.so.8", "cu12"), "nvidia-cudnn-cu12>=8,<9");
    assert_string_equal(package_of("libnvrtc-builtins.so.12.8", NULL), "nvidia-cuda-nvrtc-cu12");
    assert_null(package_of("libz.so.1", "cu12"));
    assert_null(package_of("libcudnn.so", "cu12"));
    /* The same soname in two CUDA majors: the environment decides. */
    assert_string_equal(package_of("libcurand.so.10", "cu12"), "nvidia-curand-cu12");
    assert_string_equal(package_of("libcurand.so.10", "cu13"), "nvidia-curand");
}

static void a_grafted_shim_is_recognised(void **state)
{
    (void)state;
    assert_non_null(em_knowledge_opens(&knowledge, "libcudnn-74a4c495.so.9.1.0"));
    assert_non_null(em_knowledge_opens(&knowledge, "libcudnn.so.9"));
    assert_non_null(em_knowledge_opens(&knowledge, "libcudnn-463fd6d5.so.8.9.7"));
    assert_ptr_not_equal(em_knowledge_opens(&knowledge, "libcudnn.so.9"), em_knowledge_opens(&knowledge, "libcudnn.so.8"));
    assert_null(em_knowledge_opens(&knowledge, "libcudnn_ops.so.9"));
    assert_null(em_knowledge_opens(&knowledge, "libgomp.so.1"));
}

static void the_driver_comes_with_no_package(void **state)
{
    (void)state;
    assert_true(em_knowledge_is_driver(&knowledge, "libcuda.so.1"));
    assert_true(em_knowledge_is_driver(&knowledge, "libnvidia-ml.so.1"));
    assert_false(em_knowledge_is_driver(&knowledge, "libcudart.so.12"));
    assert_true(em_knowledge_is_vendor(&knowledge, "nvidia-cublas-cu12"));
    assert_false(em_knowledge_is_vendor(&knowledge, "pyside6"));
}

static void versions_compare_by_their_numbers(void **state)
{
    (void)state;
    assert_true(em_version_compare("4.10", "4.9") > 0);
    assert_true(em_version_compare("4.6.2", "4.6.3") < 0);
    assert_true(em_version_compare("4.6", "4.6.3") < 0);
    assert_int_equal(em_version_compare("4.6.3", "4.6.3"), 0);
    assert_true(em_version_compare("10.0", "9.9") > 0);
}

static void a_cure_is_for_the_versions_that_need_it(void **state)
{
    (void)state;
    assert_non_null(em_knowledge_cure(&knowledge, "ctranslate2", "4.6.0", "libcudnn_cnn.so.9"));
    assert_null(em_knowledge_cure(&knowledge, "ctranslate2", "4.6.3", "libcudnn_cnn.so.9"));
    assert_null(em_knowledge_cure(&knowledge, "ctranslate2", "4.6.0", "libcublas.so.12"));
    assert_null(em_knowledge_cure(&knowledge, "torch", "4.6.0", "libcudnn_cnn.so.9"));
}

static int load_text(const char *text, struct em_error *error)
{
    struct em_knowledge other;
    FILE *file = fopen("table.json", "w");

    fputs(text, file);
    fclose(file);
    return em_knowledge_load(&other, arena, "table.json", error);
}

/* A table of the user's is refused with a reason, and counts before the built-in ones. */
static void a_table_of_the_users_is_checked(void **state)
{
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    assert_int_equal(load_text("{", &error), EM_BAD_JSON);
    assert_int_equal(load_text("[]", &error), EM_BAD_JSON);
    assert_int_equal(load_text("{\"schema\":\"x\"}", &error), EM_BAD_JSON);
    assert_int_equal(load_text("{\"schema\":\"elfmend.knowledge/1\",\"opens\":[{\"opens\":[{\"member\":\"a\"}]}]}", &error),
                     EM_BAD_JSON);
    assert_int_equal(load_text("{\"schema\":\"elfmend.knowledge/1\",\"vendors\":[1]}", &error), EM_BAD_JSON);
    assert_int_equal(load_text("{\"schema\":\"elfmend.knowledge/1\",\"driver\":[\"libmine.so*\"]}", &error), EM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_soname_names_its_package),
        cmocka_unit_test(a_grafted_shim_is_recognised),
        cmocka_unit_test(the_driver_comes_with_no_package),
        cmocka_unit_test(versions_compare_by_their_numbers),
        cmocka_unit_test(a_cure_is_for_the_versions_that_need_it),
        cmocka_unit_test(a_table_of_the_users_is_checked),
    };

    return cmocka_run_group_tests(tests, load_tables, free_arena);
}
