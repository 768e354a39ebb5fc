/* knowledge_read.c: the tables out of their JSON. */
#include "bundle/diagnose/knowledge.h"

#include "base/json.h"

#include "bundle/diagnose/embedded.h"

#include <string.h>

#define SCHEMA "elfmend.knowledge/1"

/* While one document is read: where strings go, and what to call it in a sentence. */
struct reading {
    struct em_knowledge *knowledge;
    struct em_arena *arena;
    const char *label;
    struct em_error *error;
};

static int bad(struct reading *reading, const char *what)
{
    return em_fail(reading->error, EM_BAD_JSON, reading->label, "%s", what);
}

/* A string member, copied; NULL if it is absent. The copy can fail, so the status is apart. */
static int get_string(struct reading *reading, json_t *object, const char *key, const char **value)
{
    json_t *member = json_object_get(object, key);

    *value = NULL;
    if (!member)
        return EM_OK;
    if (!json_is_string(member))
        return em_fail(reading->error, EM_BAD_JSON, reading->label, "\"%s\" is not a string", key);
    *value = em_arena_strdup(reading->arena, json_string_value(member));
    return *value ? EM_OK : EM_NO_MEMORY;
}

static int get_strings(struct reading *reading, json_t *object, const char *key, struct em_strings *list)
{
    json_t *array = json_object_get(object, key), *item;
    size_t i;

    if (array && !json_is_array(array))
        return em_fail(reading->error, EM_BAD_JSON, reading->label, "\"%s\" is not a list", key);
    json_array_foreach(array, i, item)
    {
        const char *copy;

        if (!json_is_string(item))
            return em_fail(reading->error, EM_BAD_JSON, reading->label, "\"%s\" holds something that is not a string", key);
        copy = em_arena_strdup(reading->arena, json_string_value(item));
        if (!copy || em_vec_push(reading->arena, list, copy) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int read_without(struct reading *reading, json_t *object, enum em_without *without)
{
    const char *word = json_string_value(json_object_get(object, "without"));

    if (word && strcmp(word, "abort") == 0)
        *without = EM_WITHOUT_ABORT;
    else if (word && strcmp(word, "main") == 0)
        *without = EM_WITHOUT_MAIN;
    else if (word && strcmp(word, "optional") == 0)
        *without = EM_WITHOUT_OPTIONAL;
    else
        return bad(reading, "\"without\" is none of abort, main, optional");
    return EM_OK;
}

static int read_opens_entry(struct reading *reading, json_t *object, struct em_opens *opens)
{
    struct em_opens_entry entry = { 0 };
    int r;

    if ((r = get_string(reading, object, "member", &entry.member)) < 0 ||
        (r = get_string(reading, object, "string", &entry.string)) < 0 ||
        (r = get_string(reading, object, "name", &entry.name)) < 0 ||
        (r = get_string(reading, object, "through", &entry.through)) < 0 ||
        (r = get_string(reading, object, "loses", &entry.loses)) < 0 || (r = read_without(reading, object, &entry.without)) < 0)
        return r;
    if (!entry.member == !entry.string)
        return bad(reading, "an entry of \"opens\" needs either \"member\" or \"string\"");
    if (!entry.loses)
        return bad(reading, "an entry of \"opens\" does not say what is lost (\"loses\")");
    return em_vec_push(reading->arena, &opens->entries, entry);
}

static int read_opens(struct reading *reading, json_t *object)
{
    struct em_opens opens = { 0 };
    json_t *item;
    size_t i;
    int r;

    if ((r = get_strings(reading, object, "object", &opens.objects)) < 0 ||
        (r = get_string(reading, object, "what", &opens.what)) < 0 ||
        (r = get_strings(reading, object, "names", &opens.names)) < 0)
        return r;
    json_array_foreach(json_object_get(object, "opens"), i, item)
    {
        r = read_opens_entry(reading, item, &opens);
        if (r < 0)
            return r;
        if (opens.entries.items[opens.entries.count - 1].member && opens.names.count == 0)
            return bad(reading, "a rule with members has no \"names\" to compose them by");
    }
    return em_vec_push(reading->arena, &reading->knowledge->opens, opens);
}

static int read_choices(struct reading *reading, json_t *by_major, struct em_package *package)
{
    const char *major, *cuda;
    json_t *by_cuda, *value;

    json_object_foreach(by_major, major, by_cuda)
    {
        json_object_foreach(by_cuda, cuda, value)
        {
            struct em_package_choice choice = { 0 };

            if (!json_is_string(value))
                return bad(reading, "a requirement in \"by_major\" is not a string");
            choice.major = em_arena_strdup(reading->arena, major);
            choice.cuda = em_arena_strdup(reading->arena, cuda);
            choice.requirement = em_arena_strdup(reading->arena, json_string_value(value));
            if (!choice.major || !choice.cuda || !choice.requirement ||
                em_vec_push(reading->arena, &package->choices, choice) < 0)
                return EM_NO_MEMORY;
        }
    }
    return EM_OK;
}

static int read_package(struct reading *reading, json_t *object)
{
    struct em_package package = { 0 };
    const char *versions = NULL;
    int r;

    if ((r = get_string(reading, object, "component", &package.component)) < 0 ||
        (r = get_strings(reading, object, "sonames", &package.sonames)) < 0 ||
        (r = get_string(reading, object, "dir", &package.dir)) < 0 ||
        (r = get_string(reading, object, "cu13_dir", &package.cu13_dir)) < 0 ||
        (r = get_string(reading, object, "versions", &versions)) < 0 ||
        (r = read_choices(reading, json_object_get(object, "by_major"), &package)) < 0)
        return r;
    if (!package.component)
        return bad(reading, "a package has no \"component\"");
    if ((package.dir && !em_path_is_contained(package.dir)) || (package.cu13_dir && !em_path_is_contained(package.cu13_dir)))
        return bad(reading, "a package's \"dir\" does not stay below site-packages");
    package.own_versions = versions != NULL;
    package.extra = json_is_true(json_object_get(object, "extra"));
    return em_vec_push(reading->arena, &reading->knowledge->packages, package);
}

static int read_cure(struct reading *reading, json_t *object)
{
    struct em_cure cure = { 0 };
    int r;

    if ((r = get_string(reading, object, "package", &cure.package)) < 0 ||
        (r = get_string(reading, object, "from", &cure.from)) < 0 ||
        (r = get_string(reading, object, "below", &cure.below)) < 0 ||
        (r = get_string(reading, object, "request", &cure.request)) < 0 ||
        (r = get_string(reading, object, "cure", &cure.cure)) < 0 || (r = get_string(reading, object, "why", &cure.why)) < 0)
        return r;
    if (!cure.package || !cure.from || !cure.below || !cure.request || !cure.cure || !cure.why)
        return bad(reading, "a cure lacks one of package, from, below, request, cure, why");
    return em_vec_push(reading->arena, &reading->knowledge->cures, cure);
}

static int read_preload(struct reading *reading, json_t *object)
{
    struct em_preload preload = { 0 };
    int r;

    if ((r = get_string(reading, object, "package", &preload.package)) < 0 ||
        (r = get_strings(reading, object, "libraries", &preload.libraries)) < 0 ||
        (r = get_strings(reading, object, "optional", &preload.optional)) < 0)
        return r;
    if (!preload.package || preload.libraries.count == 0)
        return bad(reading, "an entry of \"preloads\" lacks one of package, libraries");
    return em_vec_push(reading->arena, &reading->knowledge->preloads, preload);
}

static int read_system(struct reading *reading, json_t *object)
{
    struct em_system_library library = { 0 };
    int r;

    if ((r = get_string(reading, object, "soname", &library.soname)) < 0 ||
        (r = get_string(reading, object, "apt", &library.apt)) < 0 ||
        (r = get_string(reading, object, "dnf", &library.dnf)) < 0)
        return r;
    if (!library.soname || !library.apt || !library.dnf)
        return bad(reading, "an entry of \"system\" lacks one of soname, apt, dnf");
    return em_vec_push(reading->arena, &reading->knowledge->system, library);
}

static int read_copied(struct reading *reading, json_t *object)
{
    struct em_copied copied = { 0 };
    int r;

    if ((r = get_string(reading, object, "what", &copied.what)) < 0 ||
        (r = get_string(reading, object, "costs", &copied.costs)) < 0 ||
        (r = get_strings(reading, object, "libraries", &copied.libraries)) < 0)
        return r;
    if (!copied.what || !copied.costs || copied.libraries.count == 0)
        return bad(reading, "an entry of \"copies\" lacks one of what, costs, libraries");
    return em_vec_push(reading->arena, &reading->knowledge->copies, copied);
}

/* A number that has to be there. */
static int get_number(struct reading *reading, json_t *object, const char *key, json_int_t *value)
{
    json_t *member = json_object_get(object, key);

    if (!json_is_integer(member) || json_integer_value(member) < 0 || json_integer_value(member) > 9999)
        return em_fail(reading->error, EM_BAD_JSON, reading->label, "\"%s\" is not a number from 0 to 9999", key);
    *value = json_integer_value(member);
    return EM_OK;
}

static int read_gpu(struct reading *reading, json_t *object)
{
    struct em_gpu_model model = { 0 };
    json_int_t arch = 0;
    int r;

    if ((r = get_number(reading, object, "arch", &arch)) < 0 ||
        (r = get_string(reading, object, "driver", &model.driver)) < 0 ||
        (r = get_strings(reading, object, "names", &model.names)) < 0)
        return r;
    model.arch = (uint32_t)arch;
    return em_vec_push(reading->arena, &reading->knowledge->gpus, model);
}

static int read_build(struct reading *reading, json_t *object)
{
    struct em_gpu_build build = { 0 };
    json_int_t arch = 0;
    int r;

    if ((r = get_string(reading, object, "package", &build.package)) < 0 ||
        (r = get_number(reading, object, "arch", &arch)) < 0 || (r = get_string(reading, object, "cure", &build.cure)) < 0 ||
        (r = get_string(reading, object, "why", &build.why)) < 0)
        return r;
    if (!build.package || !build.cure || !build.why)
        return bad(reading, "a build lacks one of package, cure, why");
    build.arch = (uint32_t)arch;
    return em_vec_push(reading->arena, &reading->knowledge->builds, build);
}

static int read_runtime(struct reading *reading, json_t *object)
{
    struct em_cuda_runtime runtime = { 0 };
    int r;

    if ((r = get_string(reading, object, "cuda", &runtime.cuda)) < 0 ||
        (r = get_string(reading, object, "driver", &runtime.driver)) < 0 ||
        (r = get_string(reading, object, "needs", &runtime.needs)) < 0)
        return r;
    if (!runtime.cuda || !runtime.driver || !runtime.needs)
        return bad(reading, "a runtime lacks one of cuda, driver, needs");
    return em_vec_push(reading->arena, &reading->knowledge->runtimes, runtime);
}

static int read_cuda_error(struct reading *reading, json_t *object)
{
    struct em_cuda_error entry = { 0 };
    json_int_t code = 0;
    int r;

    if ((r = get_number(reading, object, "code", &code)) < 0 || (r = get_string(reading, object, "name", &entry.name)) < 0 ||
        (r = get_string(reading, object, "means", &entry.means)) < 0)
        return r;
    if (!entry.name || !entry.means)
        return bad(reading, "an error code lacks name or means");
    entry.code = (int)code;
    return em_vec_push(reading->arena, &reading->knowledge->cuda_errors, entry);
}

static int read_each(struct reading *reading, json_t *root, const char *key, int (*read)(struct reading *, json_t *))
{
    json_t *array = json_object_get(root, key), *item;
    size_t i;

    if (array && !json_is_array(array))
        return em_fail(reading->error, EM_BAD_JSON, reading->label, "\"%s\" is not a list", key);
    json_array_foreach(array, i, item)
    {
        int r = read(reading, item);

        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int read_document(struct reading *reading, const void *bytes, size_t size)
{
    json_t *root;
    int r = em_json_read(&root, (struct em_bytes){ bytes, size }, reading->label, reading->error);
    const char *schema = json_string_value(json_object_get(root, "schema"));

    if (r < 0)
        return r;
    if (!schema || strcmp(schema, SCHEMA) != 0) {
        r = bad(reading, "is not a knowledge table: its \"schema\" is not \"" SCHEMA "\"");
        goto done;
    }
    if ((r = read_each(reading, root, "opens", read_opens)) < 0 ||
        (r = read_each(reading, root, "packages", read_package)) < 0 ||
        (r = read_each(reading, root, "cures", read_cure)) < 0 || (r = read_each(reading, root, "system", read_system)) < 0 ||
        (r = read_each(reading, root, "preloads", read_preload)) < 0 ||
        (r = read_each(reading, root, "copies", read_copied)) < 0 || (r = read_each(reading, root, "gpus", read_gpu)) < 0 ||
        (r = read_each(reading, root, "builds", read_build)) < 0 ||
        (r = read_each(reading, root, "runtimes", read_runtime)) < 0 ||
        (r = read_each(reading, root, "cuda_errors", read_cuda_error)) < 0 ||
        (r = get_strings(reading, root, "vendors", &reading->knowledge->vendors)) < 0)
        goto done;
    r = get_strings(reading, root, "driver", &reading->knowledge->driver);
done:
    json_decref(root);
    return r;
}

int em_knowledge_load(struct em_knowledge *knowledge, struct em_arena *arena, const char *extra, struct em_error *error)
{
    struct reading reading = { .knowledge = knowledge, .arena = arena, .error = error };
    struct em_bytes bytes;
    int r;

    *knowledge = (struct em_knowledge){ 0 };
    /* The user's tables first: the first rule that fits an object is the one that counts. */
    if (extra) {
        reading.label = extra;
        r = em_read_file_at(AT_FDCWD, extra, EM_MAX_JSON, arena, &bytes, error);
        if (r == EM_OK)
            r = read_document(&reading, bytes.data, bytes.size);
        if (r < 0)
            return r;
    }
    for (const struct em_embedded *file = em_knowledge; file->name; file++) {
        reading.label = file->name;
        r = read_document(&reading, file->bytes, file->size);
        if (r < 0)
            return r;
    }
    return EM_OK;
}
