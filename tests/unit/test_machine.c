/* The machine's ailments that a test cannot have, on facts written by hand; and a driver that does not come back. */
#include "tests/unit/tables.h"

#include "bundle/diagnose/machine.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

/* A container with driver 565.57.01, one node that cannot be opened, and cuInit's code. */
static struct em_findings judge(const char *container, int error, int code)
{
    struct em_machine machine = { .container = container, .module = "565.57.01", .has_gpu_expected = true, .probed = true };
    struct em_driver_file driver = { .path = "/usr/lib/libcuda.so.1", .how = "default directory", .version = "565.57.01" };
    struct em_device_node nodes[] = { { .path = "/dev/nvidiactl" }, { .path = "/dev/nvidia-uvm", .error = error } };
    struct em_findings findings = { 0 };

    machine.probe.outcome = EM_DRIVER_ANSWERED;
    machine.probe.code = code;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(em_vec_push(arena, &machine.nodes, nodes[i]), EM_OK);
    assert_int_equal(em_vec_push(arena, &machine.drivers, driver), EM_OK);
    assert_int_equal(em_judge_machine(&findings, arena, &machine, &knowledge), EM_OK);
    return findings;
}

static void each_reason_has_its_own_advice(void **state)
{
    static const struct {
        const char *container;
        int error;
        const char *message, *help;
    } cases[] = {
        { "docker", EPERM, "device cgroup", "daemon-reload" },
        { "docker", ENOENT, "is missing", "then start the container again" },
        { NULL, ENOENT, "is missing", "modprobe nvidia-uvm" },
        { NULL, EACCES, "by this user", "group" },
        { NULL, ENODEV, "no driver behind it", "nvidia-modprobe" },
        { NULL, EIO, "does not answer", "nvidia-modprobe" },
        { NULL, EBUSY, "cannot be opened: ", "nvidia-modprobe" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct em_findings findings = judge(cases[i].container, cases[i].error, 999);

        assert_int_equal(findings.count, 2);
        assert_string_equal(findings.items[0].id, "EM703");
        assert_non_null(strstr(findings.items[0].message, cases[i].message));
        assert_non_null(strstr(findings.items[0].help, cases[i].help));
        assert_string_equal(findings.items[1].id, "EM702");
    }
}

static void a_driver_that_works_has_no_error(void **state)
{
    struct em_findings findings = judge(NULL, EACCES, 0);

    (void)state;
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.items[0].severity, EM_SEVERITY_NOTE);
    assert_int_equal(judge(NULL, 0, 0).count, 0);
}

static void hidden_gpus_are_told(void **state)
{
    struct em_machine machine = { .cuda_visible_devices = "", .probed = true };
    struct em_driver_file driver = { .path = "/usr/lib/libcuda.so.1", .how = "default directory" };
    struct em_findings findings = { 0 };
    bool told = false;

    (void)state;
    machine.probe.outcome = EM_DRIVER_ANSWERED;
    machine.probe.code = 100;
    assert_int_equal(em_vec_push(arena, &machine.drivers, driver), EM_OK);
    assert_int_equal(em_judge_machine(&findings, arena, &machine, &knowledge), EM_OK);
    assert_int_equal(findings.count, 1);
    for (size_t i = 0; i < findings.items[0].evidence.count; i++)
        told = told || strstr(findings.items[0].evidence.items[i], "CUDA_VISIBLE_DEVICES=\"\" hides");
    assert_true(told);
    assert_string_equal(findings.items[0].help, "unset CUDA_VISIBLE_DEVICES");
}

static bool build(const char *code)
{
    FILE *file = fopen("cuda.c", "w");

    if (!file)
        return false;
    fprintf(file, "#include <unistd.h>\n#include <stdlib.h>\n%s\n", code);
    return fclose(file) == 0 && system("cc -shared -fPIC -o ./libcuda.so.1 cuda.c") == 0;
}

static void a_driver_that_hangs_does_not_hang_us(void **state)
{
    struct em_driver_probe probe;
    time_t start = time(NULL);

    (void)state;
    if (!build("int cuInit(unsigned f) { for (;;) pause(); }"))
        skip();
    assert_int_equal(em_driver_probe(&probe, "./libcuda.so.1", 1, NULL), EM_OK);
    assert_int_equal(probe.outcome, EM_DRIVER_TIMED_OUT);
    assert_true(time(NULL) - start < 10);
}

static void a_driver_that_dies_or_is_none_is_told(void **state)
{
    struct em_driver_probe probe;

    (void)state;
    if (!build("int cuInit(unsigned f) { abort(); }"))
        skip();
    assert_int_equal(em_driver_probe(&probe, "./libcuda.so.1", 10, NULL), EM_OK);
    assert_int_equal(probe.outcome, EM_DRIVER_DIED);
    assert_int_equal(probe.signal, SIGABRT);
    assert_true(build("int cuInit(unsigned f) { _exit(0); }"));
    assert_int_equal(em_driver_probe(&probe, "./libcuda.so.1", 10, NULL), EM_OK);
    assert_int_equal(probe.outcome, EM_DRIVER_DIED);
    assert_int_equal(probe.signal, 0);
    assert_true(build("int other;"));
    assert_int_equal(em_driver_probe(&probe, "./libcuda.so.1", 10, NULL), EM_OK);
    assert_int_equal(probe.outcome, EM_DRIVER_NO_SYMBOL);
    assert_int_equal(em_driver_probe(&probe, "./nothing.so", 10, NULL), EM_OK);
    assert_int_equal(probe.outcome, EM_DRIVER_NOT_FOUND);
    assert_non_null(strstr(probe.reason, "nothing.so"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_its_own_advice),
        cmocka_unit_test(a_driver_that_works_has_no_error),
        cmocka_unit_test(hidden_gpus_are_told),
        cmocka_unit_test(a_driver_that_hangs_does_not_hang_us),
        cmocka_unit_test(a_driver_that_dies_or_is_none_is_told),
    };

    return cmocka_run_group_tests(tests, load_tables, free_arena);
}
