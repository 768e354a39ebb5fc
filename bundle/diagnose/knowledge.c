#include "bundle/diagnose/knowledge.h"

#include "bundle/diagnose/embedded.h"

#include <ctype.h>
#include <fnmatch.h>
#include <jansson.h>
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
    json_error_t where;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &where);
    const char *schema = json_string_value(json_object_get(root, "schema"));
    int r;

    if (!root)
        return em_fail(reading->error, EM_BAD_JSON, reading->label, "line %d: %s", where.line, where.text);
    if (!schema || strcmp(schema, SCHEMA) != 0) {
        r = bad(reading, "is not a knowledge table: its \"schema\" is not \"" SCHEMA "\"");
        goto done;
    }
    if ((r = read_each(reading, root, "opens", read_opens)) < 0 ||
        (r = read_each(reading, root, "packages", read_package)) < 0 ||
        (r = read_each(reading, root, "cures", read_cure)) < 0 || (r = read_each(reading, root, "copies", read_copied)) < 0 ||
        (r = read_each(reading, root, "gpus", read_gpu)) < 0 || (r = read_each(reading, root, "builds", read_build)) < 0 ||
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

static bool matches_any(const struct em_strings *patterns, const char *name)
{
    em_vec_each (const char *, pattern, patterns)
        if (fnmatch(*pattern, name, 0) == 0)
            return true;
    return false;
}

const struct em_opens *em_knowledge_opens(const struct em_knowledge *knowledge, const char *soname)
{
    em_vec_each (struct em_opens, opens, &knowledge->opens)
        if (matches_any(&opens->objects, soname))
            return opens;
    return NULL;
}

/* The digits behind ".so.": "libnvrtc-builtins.so.12.8" has major 12. Empty if there are none. */
static void soname_major(const char *soname, char major[16])
{
    const char *at = strstr(soname, ".so.");
    size_t length = 0;

    if (at)
        for (at += 4; length < 15 && isdigit((unsigned char)at[length]); length++)
            major[length] = at[length];
    major[length] = '\0';
}

/* The pattern's {major} takes the soname's own digits, whatever follows them: "libnvrtc-builtins.so.{major}" fits ".so.12.8". */
static bool fits_soname(const char *pattern, const char *soname)
{
    const char *hole = strstr(pattern, "{major}");
    const char *so = strstr(soname, ".so.");
    char stem[256], name[256];

    if (!hole || !so || (size_t)(hole - pattern) >= sizeof stem || (size_t)(so - soname) + 4 >= sizeof name)
        return false;
    snprintf(stem, sizeof stem, "%.*s", (int)(hole - pattern), pattern);
    snprintf(name, sizeof name, "%.*s", (int)(so - soname) + 4, soname);
    return isdigit((unsigned char)so[4]) && fnmatch(stem, name, 0) == 0;
}

const struct em_package *em_knowledge_package(const struct em_knowledge *knowledge, const char *soname, char major[16])
{
    char digits[16];

    soname_major(soname, major ? major : digits);
    em_vec_each (struct em_package, package, &knowledge->packages)
        em_vec_each (const char *, pattern, &package->sonames)
            if (fits_soname(*pattern, soname))
                return package;
    return NULL;
}

const char *em_package_requirement(const struct em_package *package, const char *major, const char *cuda)
{
    const char *first = NULL;

    em_vec_each (struct em_package_choice, choice, &package->choices) {
        if (strcmp(choice->major, major) != 0)
            continue;
        if (strcmp(choice->cuda, "*") == 0 || (cuda && strcmp(choice->cuda, cuda) == 0))
            return choice->requirement;
        if (!first)
            first = choice->requirement;
    }
    return first;
}

const char *em_package_directory(const struct em_package *package, const char *requirement)
{
    bool older = strstr(requirement, "-cu11") || strstr(requirement, "-cu12");

    return !older && package->cu13_dir ? package->cu13_dir : package->dir;
}

bool em_knowledge_is_vendor(const struct em_knowledge *knowledge, const char *normalized_name)
{
    return matches_any(&knowledge->vendors, normalized_name);
}

bool em_knowledge_is_driver(const struct em_knowledge *knowledge, const char *soname)
{
    return matches_any(&knowledge->driver, soname);
}

const struct em_cure *em_knowledge_cure(const struct em_knowledge *knowledge, const char *package, const char *version,
                                        const char *request)
{
    em_vec_each (struct em_cure, cure, &knowledge->cures)
        if (strcmp(cure->package, package) == 0 && fnmatch(cure->request, request, 0) == 0 &&
            em_version_compare(version, cure->from) >= 0 && em_version_compare(version, cure->below) < 0)
            return cure;
    return NULL;
}

const struct em_copied *em_knowledge_copied(const struct em_knowledge *knowledge, const char *stem)
{
    em_vec_each (struct em_copied, copied, &knowledge->copies)
        if (matches_any(&copied->libraries, stem))
            return copied;
    return NULL;
}

uint32_t em_knowledge_gpu(const struct em_knowledge *knowledge, const char *name)
{
    char bare[128], full[160];

    /* "NVIDIA GeForce RTX 5070" as nvidia-smi says, "RTX 5070" as people do. */
    snprintf(bare, sizeof bare, "%s", strncasecmp(name, "NVIDIA ", 7) == 0 ? name + 7 : name);
    snprintf(full, sizeof full, "GeForce %s", bare);
    em_vec_each (struct em_gpu_model, model, &knowledge->gpus)
        em_vec_each (const char *, pattern, &model->names)
            if (fnmatch(*pattern, bare, FNM_CASEFOLD) == 0 || fnmatch(*pattern, full, FNM_CASEFOLD) == 0)
                return model->arch;
    return 0;
}

const struct em_gpu_model *em_knowledge_gpu_model(const struct em_knowledge *knowledge, uint32_t arch)
{
    em_vec_each (struct em_gpu_model, model, &knowledge->gpus)
        if (model->arch == arch)
            return model;
    return NULL;
}

const struct em_gpu_build *em_knowledge_gpu_build(const struct em_knowledge *knowledge, const char *package, uint32_t arch)
{
    em_vec_each (struct em_gpu_build, build, &knowledge->builds)
        if (build->arch == arch && strcmp(build->package, package) == 0)
            return build;
    return NULL;
}

const struct em_cuda_runtime *em_knowledge_runtime(const struct em_knowledge *knowledge, const char *cuda)
{
    em_vec_each (struct em_cuda_runtime, runtime, &knowledge->runtimes)
        if (strcmp(runtime->cuda, cuda) == 0)
            return runtime;
    return NULL;
}

const struct em_cuda_error *em_knowledge_cuda_error(const struct em_knowledge *knowledge, int code)
{
    em_vec_each (struct em_cuda_error, entry, &knowledge->cuda_errors)
        if (entry->code == code)
            return entry;
    return NULL;
}
