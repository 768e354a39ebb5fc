/* A plan from JSON. What is read may come from anywhere, so everything in it is checked before anything acts on it: a member that we do
 * not know is an error, since it may be one that changes what a step means. */
#include "bundle/plan/plan.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

struct reading {
    struct em_arena *arena;
    const char *label;
    struct em_error *error;
};

#define bad(reading, ...) em_fail((reading)->error, EM_BAD_JSON, (reading)->label, __VA_ARGS__)

/* Every member of object is one of the names, which end with NULL. */
static int check_members(const struct reading *in, json_t *object, const char *what, const char *const *names)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return bad(in, "%s is not an object", what);
    json_object_foreach(object, key, value)
    {
        size_t i = 0;

        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return bad(in, "%s has a member '%.100s' that this version of elfmend does not know", what, key);
    }
    return EM_OK;
}

/* or_null: null and an absent member give NULL. */
static int get(const struct reading *in, json_t *object, const char *what, const char *key, bool or_null, const char **value)
{
    json_t *member = json_object_get(object, key);

    *value = NULL;
    if (or_null && (!member || json_is_null(member)))
        return EM_OK;
    if (!json_is_string(member))
        return bad(in, "%s needs a string '%s'", what, key);
    *value = em_arena_strdup(in->arena, json_string_value(member));
    return *value ? EM_OK : EM_NO_MEMORY;
}

static int get_strings(const struct reading *in, json_t *object, const char *what, const char *key, struct em_strings *strings)
{
    json_t *array = json_object_get(object, key), *item;
    size_t i;

    if (!json_is_array(array))
        return bad(in, "%s needs a list '%s'", what, key);
    json_array_foreach(array, i, item)
    {
        const char *copy;

        if (!json_is_string(item))
            return bad(in, "%s has something in '%s' that is not a string", what, key);
        copy = em_arena_strdup(in->arena, json_string_value(item));
        if (!copy || em_vec_push(in->arena, strings, copy) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static bool has_control(const char *string)
{
    for (; *string; string++)
        if ((unsigned char)*string < 0x20 || *string == 0x7f)
            return true;
    return false;
}

static int get_contained(const struct reading *in, json_t *object, const char *what, const char **path)
{
    int r = get(in, object, what, "path", false, path);

    if (r == EM_OK && !em_path_is_contained(*path))
        r = bad(in, "%s has the path '%.200s', which does not stay below the target", what, *path);
    return r;
}

static int get_sha256(const struct reading *in, json_t *object, const char *what, struct em_sha256 *digest)
{
    const char *hex;
    int r = get(in, object, what, "sha256", false, &hex);

    if (r == EM_OK && !em_sha256_from_hex(hex, digest))
        r = bad(in, "%s has an 'sha256' that is not 64 hexadecimal digits", what);
    return r;
}

static int read_input(const struct reading *in, json_t *object, const char *what, struct em_input *input)
{
    static const char *const names[] = { "path", "source", "size", "xxh3", "sha256", NULL };
    const char *hex;
    json_t *member;
    int r = check_members(in, object, what, names);

    if (r < 0)
        return r;
    member = json_object_get(object, "source");
    if (member && !json_is_boolean(member))
        return bad(in, "%s has a 'source' that is neither true nor false", what);
    input->is_source = json_is_true(member);
    r = input->is_source ? get(in, object, what, "path", false, &input->path) : get_contained(in, object, what, &input->path);
    if (r == EM_OK && input->is_source && input->path[0] != '/')
        r = bad(in, "%s is a source whose path is not absolute", what);
    if (r < 0)
        return r;
    member = json_object_get(object, "size");
    if (!json_is_integer(member) || json_integer_value(member) < 0)
        return bad(in, "%s needs a 'size'", what);
    input->size = (uint64_t)json_integer_value(member);
    input->has_digests = true;
    r = get(in, object, what, "xxh3", false, &hex);
    if (r == EM_OK && !em_xxh3_from_hex(hex, &input->xxh3))
        r = bad(in, "%s has an 'xxh3' that is not 32 hexadecimal digits", what);
    return r < 0 ? r : get_sha256(in, object, what, &input->sha256);
}

static int read_path_list(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    const char *tag;
    int r = get(in, object, what, "value", false, &step->value);

    if (r == EM_OK)
        r = get(in, object, what, "old_value", true, &step->old_value);
    if (r == EM_OK)
        r = get(in, object, what, "tag", false, &tag);
    if (r < 0)
        return r;
    if (strcmp(tag, "rpath") != 0 && strcmp(tag, "runpath") != 0)
        return bad(in, "%s has the tag '%.40s', which is neither rpath nor runpath", what, tag);
    step->tag = strcmp(tag, "rpath") == 0 ? EM_TAG_RPATH : EM_TAG_RUNPATH;
    if (strlen(step->value) > EM_MAX_PATH_LIST)
        return bad(in, "%s has a path list of more than %u bytes", what, EM_MAX_PATH_LIST);
    return EM_OK;
}

static int read_needed(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    int r = get(in, object, what, "needed", false, &step->needed);

    if (r == EM_OK)
        r = get(in, object, what, "by", false, &step->by);
    if (r == EM_OK && (*step->needed == '\0' || *step->by == '\0'))
        r = bad(in, "%s replaces a name by another, and one of them is empty", what);
    return r;
}

static int read_copy(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    const char *mode;
    char *end;
    int r = get(in, object, what, "from", false, &step->from);

    if (r == EM_OK && step->from[0] != '/')
        r = bad(in, "%s copies from '%.200s', which is not absolute", what, step->from);
    if (r == EM_OK)
        r = get_sha256(in, object, what, &step->sha256);
    if (r == EM_OK)
        r = get(in, object, what, "voucher", true, &step->voucher);
    if (r == EM_OK)
        r = get(in, object, what, "provenance", true, &step->provenance);
    if (r == EM_OK)
        r = get(in, object, what, "purl", true, &step->purl);
    if (r == EM_OK)
        r = get(in, object, what, "mode", false, &mode);
    if (r < 0)
        return r;
    step->mode = (uint32_t)strtoul(mode, &end, 8);
    if (mode[0] < '0' || mode[0] > '7' || *end != '\0' || step->mode > 0777)
        return bad(in, "%s has the mode '%.40s', which is not permission bits in octal", what, mode);
    return json_object_get(object, "value") ? read_path_list(in, object, what, step) : EM_OK;
}

static int read_record(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    int r = get(in, object, what, "site", false, &step->site);

    if (r == EM_OK && strcmp(step->site, ".") != 0 && !em_path_is_contained(step->site))
        r = bad(in, "%s has the site '%.200s', which does not stay below the target", what, step->site);
    return r < 0 ? r : get_strings(in, object, what, "files", &step->files);
}

static int read_sbom(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    int r = get(in, object, what, "name", false, &step->name);

    if (r == EM_OK)
        r = get(in, object, what, "version", false, &step->version);
    return r < 0 ? r : read_record(in, object, what, step);
}

static int read_conda(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    return get_strings(in, object, what, "files", &step->files);
}

/* Its kind and its path say all. */
static int read_bare(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    (void)in, (void)object, (void)what, (void)step;
    return EM_OK;
}

static int read_step(const struct reading *in, json_t *object, const char *what, struct em_step *step)
{
    static const char *const set_path[] = { "do", "path", "tag", "value", "old_value", "resolves", "reason", NULL };
    static const char *const needed[] = { "do", "path", "needed", "by", "resolves", "reason", NULL };
    static const char *const bare[] = { "do", "path", "resolves", "reason", NULL };
    static const char *const copy[] = { "do",   "path", "from",  "sha256",    "voucher",  "provenance", "purl",
                                        "mode", "tag",  "value", "old_value", "resolves", "reason",     NULL };
    static const char *const record[] = { "do", "path", "site", "files", "resolves", "reason", NULL };
    static const char *const conda[] = { "do", "path", "files", "resolves", "reason", NULL };
    static const char *const sbom[] = { "do", "path", "name", "version", "site", "files", "resolves", "reason", NULL };
    static const struct {
        const char *const *members;
        int (*read)(const struct reading *in, json_t *object, const char *what, struct em_step *step);
    } kinds[] = {
        [EM_STEP_SET_PATH] = { set_path, read_path_list },
        [EM_STEP_REPLACE_NEEDED] = { needed, read_needed },
        [EM_STEP_CLEAR_STACK] = { bare, read_bare },
        [EM_STEP_COPY] = { copy, read_copy },
        [EM_STEP_REMOVE] = { bare, read_bare },
        [EM_STEP_SBOM] = { sbom, read_sbom },
        [EM_STEP_RECORD] = { record, read_record },
        [EM_STEP_CONDA] = { conda, read_conda },
    };
    const char *kind;
    int r;

    if (!json_is_object(object))
        return bad(in, "%s is not an object", what);
    r = get(in, object, what, "do", false, &kind);
    if (r < 0)
        return r;
    if (!em_step_kind_named(kind, &step->kind))
        return bad(in, "%s is to do '%.40s', which this version of elfmend cannot", what, kind);
    r = check_members(in, object, what, kinds[step->kind].members);
    if (r == EM_OK)
        r = get_contained(in, object, what, &step->path);
    if (r == EM_OK)
        r = kinds[step->kind].read(in, object, what, step);
    if (r == EM_OK)
        r = get_strings(in, object, what, "resolves", &step->resolves);
    return r < 0 ? r : get(in, object, what, "reason", true, &step->reason);
}

static int read_refusal(const struct reading *in, json_t *object, const char *what, struct em_refusal *refusal)
{
    static const char *const names[] = { "finding", "why", NULL };
    int r = check_members(in, object, what, names);

    if (r == EM_OK)
        r = get(in, object, what, "finding", false, &refusal->finding);
    return r < 0 ? r : get(in, object, what, "why", false, &refusal->why);
}

static int read_not_taken(const struct reading *in, json_t *object, const char *what, struct em_not_taken *not_taken)
{
    static const char *const names[] = { "name", "candidate", "why", NULL };
    int r = check_members(in, object, what, names);

    if (r == EM_OK)
        r = get(in, object, what, "name", false, &not_taken->name);
    if (r == EM_OK)
        r = get(in, object, what, "candidate", false, &not_taken->candidate);
    return r < 0 ? r : get(in, object, what, "why", false, &not_taken->why);
}

/* ---- a wheel ---- */

static int read_unpacked(const struct reading *in, json_t *object, const char *what, struct em_plan_unpacked *unpacked)
{
    static const char *const names[] = { "directory", "wheel", NULL };
    int r = check_members(in, object, what, names);

    if (r == EM_OK)
        r = get(in, object, what, "directory", false, &unpacked->directory);
    if (r == EM_OK)
        r = get(in, object, what, "wheel", false, &unpacked->wheel);
    if (r == EM_OK && (unpacked->directory[0] != '/' || unpacked->wheel[0] != '/'))
        r = bad(in, "%s has a path that is not absolute", what);
    return r;
}

/* They become parts of a file name, between dashes, and lines of METADATA and WHEEL. */
static int check_name_part(const struct reading *in, const char *key, const char *value, const char *signs)
{
    static const char usual[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.";

    for (const char *at = value; at && (*at || at == value); at++)
        if (*at == '\0' || (!strchr(usual, *at) && !strchr(signs, *at)))
            return bad(in, "has the %s '%.100s', which no wheel's name can have", key, value);
    return EM_OK;
}

static int check_wheel(const struct reading *in, const struct em_plan_wheel *wheel)
{
    const char *dash = wheel->tags ? strchr(wheel->tags, '-') : NULL;
    int r = check_name_part(in, "version", wheel->version, "+!");

    if (r == EM_OK)
        r = check_name_part(in, "build", wheel->build, "");
    if (r == EM_OK && wheel->build && (wheel->build[0] < '0' || wheel->build[0] > '9'))
        r = bad(in, "has the build tag '%.100s', which does not begin with a digit", wheel->build);
    if (r == EM_OK)
        r = check_name_part(in, "tags", wheel->tags, "-");
    if (r == EM_OK && wheel->tags && (!dash || !strchr(dash + 1, '-') || strchr(strchr(dash + 1, '-') + 1, '-')))
        r = bad(in, "has the tags '%.100s', which are not PYTHON-ABI-PLATFORM", wheel->tags);
    em_vec_each (const char *, requirement, &wheel->requires)
        if (r == EM_OK && (**requirement == '\0' || has_control(*requirement)))
            r = bad(in, "requires something that is empty or has a control character in it");
    em_vec_each (const char *, place, &wheel->with)
        if (r == EM_OK && **place != '/')
            r = bad(in, "is proved with '%.200s', which is not absolute", *place);
    if (r == EM_OK && wheel->path[0] != '/')
        r = bad(in, "is for a wheel whose path is not absolute");
    if (r == EM_OK && wheel->output && wheel->output[0] != '/')
        r = bad(in, "has an 'output' that is not absolute");
    return r;
}

/* The list under key; each item is named "inputs[3]" in messages. */
#define read_each(in, document, key, vec, type, function)                                                                      \
    __extension__({                                                                                                            \
        json_t *read_array = json_object_get((document), (key));                                                               \
        int read_r = json_is_array(read_array) ? EM_OK : bad((in), "needs a list '%s'", (key));                                \
        for (size_t read_i = 0; read_r == EM_OK && read_i < json_array_size(read_array); read_i++) {                           \
            char read_what[48];                                                                                                \
            type read_item = { 0 };                                                                                            \
            snprintf(read_what, sizeof read_what, "%s[%zu]", (key), read_i);                                                   \
            read_r = function((in), json_array_get(read_array, read_i), read_what, &read_item);                                \
            if (read_r == EM_OK)                                                                                               \
                read_r = em_vec_push((in)->arena, (vec), read_item);                                                           \
        }                                                                                                                      \
        read_r;                                                                                                                \
    })

/* All that a wheel has is stated by the wheel itself. */
static int check_wheel_stated(const struct reading *in, const struct em_plan *plan)
{
    em_vec_each (const struct em_step, step, &plan->steps)
        if (step->kind == EM_STEP_REMOVE)
            return bad(in, "is to do '%s' to '%.200s', which is for environments and not for wheels",
                       em_step_kind_name(step->kind), step->path);
    em_vec_each (const struct em_input, input, &plan->inputs)
        if (input->is_source && strcmp(input->path, plan->wheel->path) == 0)
            return EM_OK;
    return bad(in, "changes '%.200s' without saying in 'inputs' what it was", plan->wheel->path);
}

/* A file that is changed must be the one that the plan was made for. What is made anew, its action says itself. */
static int check_stated(const struct reading *in, const struct em_plan *plan, const struct em_map *by_path)
{
    struct em_map stated = { .arena = in->arena };

    em_vec_each (struct em_input, input, &plan->inputs)
        if (!input->is_source && em_map_put(&stated, input->path, input) < 0)
            return EM_NO_MEMORY;
    em_vec_each (const struct em_step, step, &plan->steps) {
        const struct em_step *first = em_map_get(by_path, step->path);

        if (first->kind != EM_STEP_COPY && first->kind != EM_STEP_SBOM && !em_map_get(&stated, step->path))
            return bad(in, "changes '%.200s' without saying in 'inputs' what it was", step->path);
    }
    return EM_OK;
}

/* What may stand behind the first step for a file: an edit that says the same however often it is said. What a second copy or path list
 * would mean, nobody could say. */
static bool is_further_edit(const struct em_step *first, const struct em_step *step)
{
    return first->kind != EM_STEP_RECORD && first->kind != EM_STEP_CONDA && first->kind != EM_STEP_SBOM &&
           first->kind != EM_STEP_REMOVE && (step->kind == EM_STEP_CLEAR_STACK || step->kind == EM_STEP_REPLACE_NEEDED);
}

/* Whether a list of files can speak of what a step made: a RECORD of libraries, conda's of these and of RECORDs, and of what went. */
static bool can_list(const struct em_step *list, const struct em_step *file)
{
    if (list->kind == EM_STEP_CONDA)
        return file->kind != EM_STEP_CONDA;
    return file->kind != EM_STEP_RECORD && file->kind != EM_STEP_CONDA && file->kind != EM_STEP_REMOVE;
}

/* A file is made by one action and what edits it further, and a RECORD speaks of files that other steps of this plan make: their
 * digests come from there. */
static int check_steps(const struct reading *in, const struct em_plan *plan)
{
    struct em_map by_path = { .arena = in->arena };

    for (size_t i = 0; i < plan->steps.count; i++) {
        struct em_step *step = &plan->steps.items[i];
        const struct em_step *first = em_map_get(&by_path, step->path);

        if (first && !is_further_edit(first, step))
            return bad(in, "changes '%.200s' by two actions", step->path);
        if (!first && em_map_put(&by_path, step->path, step) < 0)
            return EM_NO_MEMORY;
    }
    for (size_t i = 0; i < plan->steps.count; i++) {
        const struct em_step *step = &plan->steps.items[i];

        for (size_t j = 0; j < step->files.count; j++) {
            const struct em_step *file = em_map_get(&by_path, step->files.items[j]);

            if (!file || !can_list(step, file))
                return bad(in, "actions[%zu] lists '%.200s', which no action changes", i, step->files.items[j]);
            if (step->kind == EM_STEP_SBOM && file->kind != EM_STEP_COPY)
                return bad(in, "actions[%zu] tells where '%.200s' comes from, which no action copies", i, step->files.items[j]);
        }
    }
    return plan->wheel ? check_wheel_stated(in, plan) : check_stated(in, plan, &by_path);
}

static int read_date(const struct reading *in, json_t *object, struct em_plan_wheel *wheel)
{
    json_t *date = json_object_get(object, "date");

    if (!date || json_is_null(date))
        return EM_OK;
    if (!json_is_integer(date) || json_integer_value(date) < 0)
        return bad(in, "the wheel has a 'date' that is no number of seconds");
    wheel->has_date = true;
    wheel->date = json_integer_value(date);
    return EM_OK;
}

static int read_wheel(const struct reading *in, json_t *object, struct em_plan_wheel *wheel)
{
    static const char *const names[] = { "path",        "output",   "version",         "build",     "tags",
                                         "tags_reason", "requires", "unpacked",        "date",      "with",
                                         "world",       "libc",     "ld_library_path", "knowledge", NULL };
    static const char what[] = "the wheel";
    const struct {
        const char *key, **value;
    } strings[] = {
        { "output", &wheel->output },
        { "version", &wheel->version },
        { "build", &wheel->build },
        { "tags", &wheel->tags },
        { "tags_reason", &wheel->tags_reason },
        { "world", &wheel->world },
        { "libc", &wheel->libc },
        { "ld_library_path", &wheel->ld_library_path },
        { "knowledge", &wheel->knowledge },
    };
    int r = check_members(in, object, what, names);

    if (r == EM_OK)
        r = get(in, object, what, "path", false, &wheel->path);
    for (size_t i = 0; r == EM_OK && i < sizeof strings / sizeof *strings; i++)
        r = get(in, object, what, strings[i].key, true, strings[i].value);
    if (r == EM_OK)
        r = get_strings(in, object, what, "requires", &wheel->requires);
    if (r == EM_OK)
        r = get_strings(in, object, what, "with", &wheel->with);
    if (r == EM_OK)
        r = read_each(in, object, "unpacked", &wheel->unpacked, struct em_plan_unpacked, read_unpacked);
    if (r == EM_OK)
        r = read_date(in, object, wheel);
    return r < 0 ? r : check_wheel(in, wheel);
}

static int read_plan(const struct reading *in, json_t *document, struct em_plan *plan)
{
    static const char *const names[] = { "schema",  "target",  "root",      "wheel", "inputs",
                                         "actions", "refused", "not_taken", "after", NULL };
    const char *schema;
    int r;

    if (!json_is_object(document))
        return bad(in, "is not a plan: not a JSON object");
    r = get(in, document, "the document", "schema", true, &schema);
    if (r < 0)
        return r;
    if (!schema || strcmp(schema, EM_PLAN_SCHEMA) != 0)
        return bad(in, "is not a plan of this version of elfmend: its schema is %.60s, not " EM_PLAN_SCHEMA,
                   schema ? schema : "not named");
    r = check_members(in, document, "the plan", names);
    if (r == EM_OK)
        r = get(in, document, "the plan", "target", false, &plan->target);
    if (r == EM_OK)
        r = get(in, document, "the plan", "root", false, &plan->root);
    if (r == EM_OK && plan->root[0] != '/')
        r = bad(in, "has a 'root' that is not absolute");
    if (r == EM_OK && json_object_get(document, "wheel")) {
        plan->wheel = em_new(in->arena, struct em_plan_wheel);
        r = plan->wheel ? read_wheel(in, json_object_get(document, "wheel"), plan->wheel) : EM_NO_MEMORY;
    }
    if (r == EM_OK)
        r = read_each(in, document, "inputs", &plan->inputs, struct em_input, read_input);
    if (r == EM_OK)
        r = read_each(in, document, "actions", &plan->steps, struct em_step, read_step);
    if (r == EM_OK)
        r = read_each(in, document, "refused", &plan->refused, struct em_refusal, read_refusal);
    /* Not in plans of earlier versions. */
    if (r == EM_OK && json_object_get(document, "not_taken"))
        r = read_each(in, document, "not_taken", &plan->not_taken, struct em_not_taken, read_not_taken);
    if (r == EM_OK)
        r = get_strings(in, document, "the plan", "after", &plan->after);
    return r < 0 ? r : check_steps(in, plan);
}

int em_plan_from_json(struct em_plan *plan, struct em_arena *arena, struct em_bytes bytes, const char *label,
                      struct em_error *error)
{
    const struct reading in = { arena, label, error };
    json_t *document;
    int r;

    *plan = (struct em_plan){ 0 };
    r = em_json_read(&document, bytes, label, error);
    if (r < 0)
        return r;
    r = read_plan(&in, document, plan);
    json_decref(document);
    if (r < 0)
        *plan = (struct em_plan){ 0 };
    return r;
}
