#include "cli/doctor.h"

#include "bundle/diagnose/machine.h"
#include "bundle/loader/world_file.h"

#include <string.h>

const struct em_command em_doctor_command = {
    .name = "doctor",
    .arguments = "",
    .summary = "The machine: libc, driver, device nodes, container, cuInit; what no library can mend, and what it is",
    .example = "elfmend doctor",
    .details =
        "cuInit runs in a child process with a time limit. With --root nothing in DIR is run, unless --probe is given.\n"
        "--world FILE writes what the loader's answers depend on here to FILE, for --world FILE of other commands elsewhere.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_FILTER | EM_TAKES_KNOWLEDGE | EM_TAKES_PROBE,
    .run = em_cmd_doctor,
};

struct report {
    struct em_options options;
    struct em_tree *tree;
    struct em_world world;
    struct em_knowledge knowledge;
    struct em_machine machine;
    struct em_interpreter interpreter;
    struct em_doctor_environment environment;
    struct em_findings findings;
};

/* To a new file: who has one already may have it from another machine. */
static int write_world(struct report *report, const char *path, struct em_error *error)
{
    em_cleanup_fd int fd = -1;
    json_t *document;
    em_cleanup_free char *text = NULL;
    int r = em_world_to_json(&document, &report->world, report->options.arena, error);

    if (r < 0)
        return r;
    text = json_dumps(document, JSON_INDENT(1));
    json_decref(document);
    if (!text)
        return EM_NO_MEMORY;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return em_fail_errno(error, path, "a world is written to a new file, and this one cannot be made");
    r = em_write_all(fd, text, strlen(text), path, error);
    if (r == EM_OK)
        r = em_write_all(fd, "\n", 1, path, error);
    if (r < 0)
        unlink(path);
    return r;
}

static int examine(struct report *report, struct em_error *error)
{
    struct em_options *options = &report->options;
    const char *file = options->world && !em_world_is_word(options->world) ? options->world : NULL;
    struct em_machine_options how = { .root = options->root, .probe = !options->root || options->probe };
    int r;

    if (options->arguments.count > 0)
        return em_fail(error, EM_USAGE, NULL, "doctor takes no argument: `elfmend audit %s` looks at an environment",
                       options->arguments.items[0]);
    if (file)
        options->world = NULL;
    r = em_options_world(options, &report->tree, &report->world, NULL, error);
    if (r == EM_OK)
        r = em_knowledge_load(&report->knowledge, options->arena, options->knowledge, error);
    if (r == EM_OK)
        r = em_machine_read(&report->machine, options->arena, &report->world, &how, error);
    if (r == EM_OK)
        r = em_interpreter_read(&report->interpreter, options->arena, &report->world, options->root, error);
    if (r == EM_OK)
        r = em_judge_interpreter(&report->findings, options->arena, &report->interpreter);
    if (r == EM_OK)
        r = em_doctor_environment_read(&report->environment, options, &report->world, &report->knowledge, &report->interpreter,
                                       error);
    if (r == EM_OK)
        r = em_judge_machine(&report->findings, options->arena, &report->machine, &report->knowledge);
    if (r == EM_OK && file)
        r = write_world(report, file, error);
    return r;
}

/* ---- text ---- */

static const char *or_unset(const char *value)
{
    return value ? em_plain(value) : "(not set)";
}

static void print_libraries(const struct report *report)
{
    const struct em_world *world = &report->world;
    const struct em_machine *machine = &report->machine;

    printf("libc        %s %u.%u, %s\n", world->libc == EM_LIBC_MUSL ? "musl" : "glibc", world->libc_major, world->libc_minor,
           world->interpreter ? em_plain(world->interpreter) : "no loader");
    printf("cache       %s", world->has_cache ? "ld.so.cache" : "no ld.so.cache");
    if (machine->cached.count > 0)
        printf(": %zu CUDA libraries%s", machine->cached.count, report->options.verbose ? "" : " (--verbose lists them)");
    putchar('\n');
    for (size_t i = 0; report->options.verbose && i < machine->cached.count; i++)
        printf("            %s\n", em_plain(machine->cached.items[i]));
    for (size_t i = 0; i < machine->toolkits.count; i++)
        printf("%-11s %s%s\n", i == 0 ? "toolkits" : "", em_plain(machine->toolkits.items[i].path),
               i > 0 && i + 1 == machine->toolkits.count ? "   (an environment's packages use none of them)" : "");
    if (!machine->root) {
        printf("environment LD_LIBRARY_PATH=%s\n", or_unset(machine->ld_library_path));
        printf("            LD_PRELOAD=%s\n", or_unset(machine->ld_preload));
    }
}

static void print_interpreter(const struct em_interpreter *interpreter)
{
    if (!interpreter->path) {
        printf("Python      none\n");
        return;
    }
    printf("Python      %s", em_plain(interpreter->path));
    if (strcmp(interpreter->path, interpreter->real) != 0)
        printf(" -> %s", em_plain(interpreter->real));
    putchar('\n');
    em_vec_each (const struct em_interpreter_library, library, &interpreter->libraries)
        printf("            %s => %s   (%s%s%s)\n", em_plain(library->name),
               library->path ? em_plain(library->path) : "nothing", library->how, library->version ? ", to " : "",
               library->version ? em_plain(library->version) : "");
}

static void print_probe(const struct em_machine *machine)
{
    const struct em_driver_probe *probe = &machine->probe;

    if (!machine->probed) {
        printf("cuInit      not tried\n");
        return;
    }
    switch (probe->outcome) {
    case EM_DRIVER_ANSWERED: printf("cuInit      %d", probe->code); break;
    case EM_DRIVER_NOT_FOUND: printf("cuInit      %s", em_plain(probe->reason)); break;
    case EM_DRIVER_NO_SYMBOL: printf("cuInit      not in the library"); break;
    case EM_DRIVER_TIMED_OUT: printf("cuInit      did not come back"); break;
    case EM_DRIVER_DIED: printf("cuInit      the process died"); break;
    }
    if (probe->cuda_version > 0)
        printf(", CUDA up to %d.%d", probe->cuda_version / 1000, probe->cuda_version % 1000 / 10);
    putchar('\n');
    for (int i = 0; i < probe->count && i < EM_DRIVER_GPUS; i++)
        printf("%-11s %s, sm_%u\n", i == 0 ? "GPUs" : "", probe->gpus[i].name, (unsigned)probe->gpus[i].arch);
}

static void print_driver(const struct report *report)
{
    const struct em_machine *machine = &report->machine;
    size_t open = 0;

    printf("kernel      %s%s\n", machine->module ? "NVIDIA driver " : "no NVIDIA driver",
           machine->module ? em_plain(machine->module) : "");
    if (machine->wsl)
        printf("            WSL: the driver is Windows'\n");
    for (size_t i = 0; i < machine->drivers.count; i++) {
        const struct em_driver_file *file = &machine->drivers.items[i];

        printf("%-11s %s   (%s%s%s%s%s)\n", i == 0 ? "driver" : "  behind it", em_plain(file->path), file->how,
               file->version ? ", " : "", file->version ? em_plain(file->version) : "", file->stub ? ", a stub" : "",
               file->compat ? ", compat" : "");
    }
    if (machine->drivers.count == 0)
        printf("driver      no libcuda.so.1\n");
    em_vec_each (struct em_device_node, node, &machine->nodes)
        open += node->error == 0;
    printf("nodes       %zu of %zu can be opened\n", open, machine->nodes.count);
    for (size_t i = 0; i < machine->nodes.count; i++)
        if (report->options.verbose || machine->nodes.items[i].error != 0)
            printf("            %s: %s\n", em_plain(machine->nodes.items[i].path),
                   machine->nodes.items[i].error ? strerror(machine->nodes.items[i].error) : "opens");
    print_probe(machine);
}

static void print_container(const struct em_machine *machine)
{
    printf("container   %s%s%s%s\n", machine->container ? machine->container : "none that shows",
           machine->container ? " (" : "", machine->container ? machine->container_sign : "", machine->container ? ")" : "");
    if (machine->root)
        return;
    printf("            NVIDIA_VISIBLE_DEVICES=%s\n", or_unset(machine->visible_devices));
    printf("            NVIDIA_DRIVER_CAPABILITIES=%s\n", or_unset(machine->capabilities));
    printf("            CUDA_VISIBLE_DEVICES=%s\n", or_unset(machine->cuda_visible_devices));
}

/* Errors, and none of them about a library that an interpreter cannot load. */
static bool is_drivers_alone(const struct em_findings *findings)
{
    bool any = false;

    em_vec_each (const struct em_finding, finding, findings) {
        if (finding->severity != EM_SEVERITY_ERROR)
            continue;
        if (strncmp(finding->id, "EM1", 3) == 0)
            return false;
        any = true;
    }
    return any;
}

static void print_text(const struct report *report, const struct em_env *nowhere)
{
    const struct em_machine *machine = &report->machine;

    print_libraries(report);
    print_interpreter(&report->interpreter);
    print_driver(report);
    print_container(machine);
    em_doctor_environment_print(&report->environment);
    if (report->findings.count > 0)
        putchar('\n');
    em_print_findings(&report->findings, nowhere, &report->options);
    if (report->options.quiet)
        return;
    if (machine->probed && machine->probe.outcome == EM_DRIVER_ANSWERED && machine->probe.code == 0)
        printf("\nThe driver works: %d GPU%s.\n", machine->probe.count, machine->probe.count == 1 ? "" : "s");
    else if (is_drivers_alone(&report->findings))
        puts("\nNone of this is mended by patching libraries; `elfmend audit` says whether those of an environment are whole.");
}

/* ---- JSON ---- */

static json_t *string_or_null(const char *string)
{
    return string ? json_string(string) : json_null();
}

static json_t *probe_json(const struct em_machine *machine)
{
    static const char *const outcomes[] = { "answered", "not-found", "no-symbol", "timed-out", "died" };
    const struct em_driver_probe *probe = &machine->probe;
    json_t *gpus = json_array();

    if (!machine->probed) {
        json_decref(gpus);
        return json_null();
    }
    for (int i = 0; i < probe->count && i < EM_DRIVER_GPUS; i++)
        json_array_append_new(gpus, json_pack("{s:s, s:i}", "name", probe->gpus[i].name, "arch", (int)probe->gpus[i].arch));
    return json_pack("{s:s, s:i, s:i, s:s, s:i, s:i, s:o}", "outcome", outcomes[probe->outcome], "code", probe->code, "signal",
                     probe->signal, "library", probe->library, "cuda_version", probe->cuda_version, "count", probe->count,
                     "gpus", gpus);
}

static json_t *machine_json(const struct em_machine *machine)
{
    json_t *object = json_object(), *drivers = json_array(), *nodes = json_array(), *toolkits = json_array(),
           *cached = json_array();

    em_vec_each (struct em_driver_file, file, &machine->drivers)
        json_array_append_new(drivers, json_pack("{s:s, s:s, s:s?, s:b, s:b}", "path", file->path, "how", file->how, "version",
                                                 file->version, "stub", file->stub, "compat", file->compat));
    em_vec_each (struct em_device_node, node, &machine->nodes)
        json_array_append_new(
            nodes, json_pack("{s:s, s:s?}", "path", node->path, "error", node->error ? strerror(node->error) : NULL));
    em_vec_each (struct em_toolkit, toolkit, &machine->toolkits)
        json_array_append_new(toolkits, json_string(toolkit->path));
    em_vec_each (const char *, line, &machine->cached)
        json_array_append_new(cached, json_string(*line));
    json_object_set_new(object, "root", string_or_null(machine->root));
    json_object_set_new(object, "module", string_or_null(machine->module));
    json_object_set_new(object, "drivers", drivers);
    json_object_set_new(object, "nodes", nodes);
    json_object_set_new(object, "probe", probe_json(machine));
    json_object_set_new(object, "container", string_or_null(machine->container));
    json_object_set_new(object, "visible_devices", string_or_null(machine->visible_devices));
    json_object_set_new(object, "capabilities", string_or_null(machine->capabilities));
    json_object_set_new(object, "cuda_visible_devices", string_or_null(machine->cuda_visible_devices));
    json_object_set_new(object, "ld_library_path", string_or_null(machine->ld_library_path));
    json_object_set_new(object, "ld_preload", string_or_null(machine->ld_preload));
    json_object_set_new(object, "toolkits", toolkits);
    json_object_set_new(object, "cached", cached);
    return object;
}

static json_t *interpreter_json(const struct em_interpreter *interpreter)
{
    json_t *libraries = json_array();

    em_vec_each (const struct em_interpreter_library, library, &interpreter->libraries)
        json_array_append_new(libraries, json_pack("{s:s, s:s?, s:s, s:s?}", "name", library->name, "path", library->path,
                                                   "how", library->how, "version", library->version));
    if (interpreter->path)
        return json_pack("{s:s, s:s, s:o}", "path", interpreter->path, "real", interpreter->real, "libraries", libraries);
    json_decref(libraries);
    return json_null();
}

static int print_json(const struct report *report, const struct em_env *nowhere)
{
    json_t *findings = json_array();

    em_vec_each (struct em_finding, finding, &report->findings)
        if (em_is_shown(finding, &report->options))
            json_array_append_new(findings, em_finding_json(finding, nowhere));
    return em_json_print(json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "schema", "elfmend.doctor/1", "world",
                                   em_world_json(&report->world), "interpreter", interpreter_json(&report->interpreter),
                                   "environment", em_doctor_environment_json(&report->environment), "machine",
                                   machine_json(&report->machine), "findings", findings));
}

int em_cmd_doctor(int argc, char **argv)
{
    struct report report = { 0 };
    struct em_error error = EM_ERROR_INIT;
    /* Findings here are about the machine's own paths: there is no environment to show them in. */
    struct em_env nowhere = { .path = "/nonexistent", .real_path = "/nonexistent", .given = "" };
    int status = em_options_parse(&report.options, argc, argv, &em_doctor_command);
    int r;

    if (status >= 0)
        goto done;
    r = examine(&report, &error);
    if (r == EM_OK)
        r = em_filter_findings(&report.findings, &report.options, &nowhere, &error);
    if (r < 0) {
        if (r == EM_NO_MEMORY)
            em_fail(&error, r, NULL, "out of memory");
        status = em_report_error(&error);
        goto done;
    }
    if (report.options.json)
        status = print_json(&report, &nowhere);
    else
        print_text(&report, &nowhere);
    if (status <= EM_EXIT_OK)
        status = em_status_of(&report.findings, &report.options);
done:
    em_tree_close(report.tree);
    em_options_free(&report.options);
    return status;
}
