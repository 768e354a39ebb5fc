#include "bundle/tree/tree.h"
#include "bundle/wheel/wheel.h"
#include "cli/show.h"

#include <string.h>

const struct em_command em_show_command = {
    .name = "show",
    .arguments = "FILE...",
    .summary = "One object or wheel: class, machine, soname, NEEDED, paths, flags, versions, what it may dlopen, GPU code",
    .example = "elfmend show .venv/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
    .details =
        "Of a wheel, each object in it.\n\n"
        "\"may open\" lists the library names in the object's read-only data: what it hands to dlopen is among them.\n"
        "\"edits\" tells what each option of elfmend patch would meet, with a name that is 256 bytes longer: the way that it\n"
        "would take and what that costs, or what stands in its way.\n"
        "\"gpu code\" lists NVIDIA's cubins (sm_XX: for that GPU) and PTX (compute_XX: for that and later ones).\n",
    .accepts = 0,
    .run = em_cmd_show,
};

static int read_object(struct em_show_report *report, struct em_reader *reader, const char *path, struct em_error *error)
{
    struct em_shown shown = { .path = path };
    int r = em_object_read(&shown.object, report->arena, reader, error);

    if (r == EM_OK)
        r = em_names_scan(&shown.names, report->arena, reader, error);
    if (r == EM_OK)
        r = em_gpu_code_scan(&shown.gpu, report->arena, reader, error);
    if (r == EM_OK)
        r = em_symbols_count(&shown.symbols, report->arena, reader, error);
    if (r == EM_OK)
        r = em_forecasts_make(&shown.edits, report->arena, reader, &shown.object, error);
    return r < 0 ? r : em_vec_push(report->arena, &report->objects, shown);
}

static int read_file(struct em_show_report *report, struct em_tree *tree, const char *path, struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    int r = em_tree_open(tree, path, &file);

    if (r == -EISDIR)
        return em_fail(error, EM_USAGE, path, "is a directory: `elfmend audit` looks at all that is in it");
    if (r == -EINVAL)
        return em_fail(error, EM_NOT_ELF, path, "is no regular file");
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, path, "cannot be opened");
    }
    return read_object(report, &file->reader, path, error);
}

/* Bytes of memory for what there is to say of so many objects. */
static uint64_t most_for(size_t objects)
{
    const uint64_t most = EM_MAX_SHOWN + objects * EM_MAX_SHOWN_OBJECT;

    return most < EM_MAX_SHOWN_WHEEL ? most : EM_MAX_SHOWN_WHEEL;
}

/* What is no object, however it is called, is no matter of this command. */
static int read_member(struct em_show_report *report, struct em_shown_wheel *shown, struct em_wheel *wheel,
                       struct em_zip_member *member, struct em_error *error)
{
    struct em_zip_place place = { wheel->zip, member };
    struct em_reader reader = em_zip_reader(&place);
    char magic[SELFMAG];
    const char *path;
    int r;

    shown->members++;
    shown->unpacked += member->size;
    if (member->directory || member->size < sizeof magic)
        return EM_OK;
    r = em_read_at(&reader, magic, sizeof magic, 0, error);
    if (r < 0 || memcmp(magic, ELFMAG, SELFMAG) != 0)
        return r;
    path = em_path_join(report->arena, shown->path, member->name);
    if (!path || em_vec_push(report->arena, &shown->objects, path) < 0)
        return EM_NO_MEMORY;
    em_arena_allow(report->arena, most_for(shown->objects.count) - most_for(shown->objects.count - 1));
    return read_object(report, &reader, path, error);
}

static int read_wheel(struct em_show_report *report, const char *path, struct em_error *error)
{
    struct em_shown_wheel shown = { .path = path };
    struct em_wheel *wheel = NULL;
    int r = em_wheel_open(&wheel, report->arena, path, error);

    if (r == EM_OK) {
        shown.name = wheel->name;
        shown.version = wheel->version;
        shown.tags = wheel->tags;
        shown.size = em_zip_size(wheel->zip);
        em_vec_each (struct em_zip_member, member, em_zip_members(wheel->zip))
            r = r < 0 ? r : read_member(report, &shown, wheel, member, error);
    }
    em_wheel_close(wheel);
    return r < 0 ? r : em_vec_push(report->arena, &report->wheels, shown);
}

static int read_argument(struct em_show_report *report, struct em_tree *tree, const char *path, struct em_error *error)
{
    const size_t before = report->objects.count;
    int r;

    em_arena_bound(report->arena, EM_MAX_SHOWN);
    r = em_is_wheel_name(path) ? read_wheel(report, path, error) : read_file(report, tree, path, error);
    if (em_arena_is_full(report->arena))
        r = em_fail(error, EM_LIMIT, path, "has more to show than fits into %llu MB of memory",
                    (unsigned long long)(most_for(report->objects.count - before) >> 20));
    em_arena_bound(report->arena, EM_ARENA_UNBOUND);
    return r;
}

/* All are read before anything is printed: a report is whole, or there is none. */
static int show(const struct em_options *options, struct em_error *error)
{
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_show_report report = { .arena = options->arena };
    int r = em_tree_disk(&tree, NULL, error);

    if (r == EM_OK && options->arguments.count == 0)
        return em_fail(error, EM_USAGE, NULL, "show needs a FILE; `elfmend show --help` has an example");
    em_vec_each (const char *, path, &options->arguments)
        r = r < 0 ? r : read_argument(&report, tree, *path, error);
    if (r == EM_OK && options->json)
        return em_show_print_json(&report, error);
    if (r == EM_OK)
        em_show_print_text(&report);
    return r;
}

int em_cmd_show(int argc, char **argv)
{
    struct em_options options = { 0 };
    struct em_error error = EM_ERROR_INIT;
    int status = em_options_parse(&options, argc, argv, &em_show_command);

    if (status < 0) {
        int r = show(&options, &error);

        if (r == EM_NO_MEMORY)
            r = em_fail(&error, r, NULL, "out of memory");
        status = r == EM_OK ? EM_EXIT_OK : em_report_error(&error);
    }
    em_options_free(&options);
    return status;
}
