/* A plan as JSON, schema elfmend.plan/1 (schemas/plan-1.json). What is read may come from anywhere, so everything in it is checked
 * before anything acts on it: a member that we do not know is an error, since it may be one that changes what a step means. */
#include "bundle/plan/plan.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA "elfmend.plan/1"

static const char *const step_names[] = {
    [EM_STEP_SET_PATH] = "set-path",
    [EM_STEP_REPLACE_NEEDED] = "replace-needed",
    [EM_STEP_CLEAR_STACK] = "clear-execstack",
    [EM_STEP_COPY] = "copy",
    [EM_STEP_REMOVE] = "remove",
    [EM_STEP_RECORD] = "record",
};

const char *em_step_kind_name(enum em_step_kind kind)
{
    return step_names[kind];
}

static bool edit_of(const struct em_step *step, struct em_edit *edit)
{
    *edit = (struct em_edit){ 0 };
    switch (step->kind) {
    case EM_STEP_SET_PATH:
    case EM_STEP_COPY:
        *edit = (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = step->value, .tag = step->tag };
        return step->value != NULL;
    case EM_STEP_REPLACE_NEEDED:
        *edit = (struct em_edit){ .kind = EM_EDIT_REPLACE_NEEDED, .value = step->needed, .replacement = step->by };
        return true;
    case EM_STEP_CLEAR_STACK: edit->kind = EM_EDIT_CLEAR_EXECSTACK; return true;
    case EM_STEP_REMOVE:
    case EM_STEP_RECORD: break;
    }
    return false;
}

int em_plan_edits(const struct em_plan *plan, const char *path, struct em_arena *arena, struct em_edits *edits)
{
    struct em_edit edit;

    *edits = (struct em_edits){ 0 };
    em_vec_each (const struct em_step, step, &plan->steps)
        if (strcmp(step->path, path) == 0 && edit_of(step, &edit) && em_vec_push(arena, edits, edit) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

/* ---- writing ---- */

/* A name that is no UTF-8 has no spelling in JSON. */
static int put(json_t *object, const char *key, const char *value)
{
    json_t *string = value ? json_string(value) : json_null();

    if (!string)
        return EM_UNSUPPORTED;
    return json_object_set_new(object, key, string) < 0 ? EM_NO_MEMORY : EM_OK;
}

static int put_value(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) < 0 ? EM_NO_MEMORY : EM_OK;
}

static int put_strings(json_t *object, const char *key, const struct em_strings *strings)
{
    json_t *array = json_array();

    if (put_value(object, key, array) < 0)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < strings->count; i++) {
        json_t *string = json_string(strings->items[i]);

        if (!string)
            return EM_UNSUPPORTED;
        if (json_array_append_new(array, string) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int put_sha256(json_t *object, const struct em_sha256 *digest)
{
    char hex[EM_SHA256_HEX_SIZE];

    em_sha256_hex(digest, hex);
    return put(object, "sha256", hex);
}

static int put_input(json_t *object, const struct em_input *input)
{
    char hex[EM_XXH3_HEX_SIZE];
    int r = put(object, "path", input->path);

    em_xxh3_hex(&input->xxh3, hex);
    if (r == EM_OK && input->is_source)
        r = put_value(object, "source", json_true());
    if (r == EM_OK)
        r = put_value(object, "size", json_integer((json_int_t)input->size));
    if (r == EM_OK)
        r = put(object, "xxh3", hex);
    return r < 0 ? r : put_sha256(object, &input->sha256);
}

static int put_path_list(json_t *object, const struct em_step *step)
{
    int r = put(object, "tag", step->tag == EM_TAG_RUNPATH ? "runpath" : "rpath");

    if (r == EM_OK)
        r = put(object, "value", step->value);
    return r < 0 ? r : put(object, "old_value", step->old_value);
}

static int put_needed(json_t *object, const struct em_step *step)
{
    int r = put(object, "needed", step->needed);

    return r < 0 ? r : put(object, "by", step->by);
}

static int put_copy(json_t *object, const struct em_step *step)
{
    char mode[16];
    int r;

    snprintf(mode, sizeof mode, "%04o", (unsigned)step->mode);
    r = put(object, "from", step->from);
    if (r == EM_OK)
        r = put_sha256(object, &step->sha256);
    if (r == EM_OK)
        r = put(object, "voucher", step->voucher);
    if (r == EM_OK)
        r = put(object, "provenance", step->provenance);
    if (r == EM_OK)
        r = put(object, "mode", mode);
    return r == EM_OK && step->value ? put_path_list(object, step) : r;
}

static int put_record(json_t *object, const struct em_step *step)
{
    int r = put(object, "site", step->site);

    return r < 0 ? r : put_strings(object, "files", &step->files);
}

static int put_step(json_t *object, const struct em_step *step)
{
    int r = put(object, "do", em_step_kind_name(step->kind));

    if (r == EM_OK)
        r = put(object, "path", step->path);
    if (r < 0)
        return r;
    switch (step->kind) {
    case EM_STEP_SET_PATH: r = put_path_list(object, step); break;
    case EM_STEP_REPLACE_NEEDED: r = put_needed(object, step); break;
    case EM_STEP_CLEAR_STACK:
    case EM_STEP_REMOVE: break;
    case EM_STEP_COPY: r = put_copy(object, step); break;
    case EM_STEP_RECORD: r = put_record(object, step); break;
    }
    if (r == EM_OK)
        r = put_strings(object, "resolves", &step->resolves);
    return r < 0 ? r : put(object, "reason", step->reason);
}

static int put_refusal(json_t *object, const struct em_refusal *refusal)
{
    int r = put(object, "finding", refusal->finding);

    return r < 0 ? r : put(object, "why", refusal->why);
}

static int put_not_taken(json_t *object, const struct em_not_taken *not_taken)
{
    int r = put(object, "name", not_taken->name);

    if (r == EM_OK)
        r = put(object, "candidate", not_taken->candidate);
    return r < 0 ? r : put(object, "why", not_taken->why);
}

/* A list of objects under key, each by the function for its type. */
#define put_each(object, key, vec, function)                                                                                   \
    __extension__({                                                                                                            \
        json_t *put_array = json_array();                                                                                      \
        int put_r = put_value((object), (key), put_array);                                                                     \
        for (size_t put_i = 0; put_r == EM_OK && put_i < (vec)->count; put_i++) {                                              \
            json_t *put_item = json_object();                                                                                  \
            put_r = json_array_append_new(put_array, put_item) < 0 ? EM_NO_MEMORY : function(put_item, &(vec)->items[put_i]);  \
        }                                                                                                                      \
        put_r;                                                                                                                 \
    })

static int put_plan(json_t *document, const struct em_plan *plan)
{
    int r = put(document, "schema", SCHEMA);

    if (r == EM_OK)
        r = put(document, "target", plan->target);
    if (r == EM_OK)
        r = put(document, "root", plan->root);
    if (r == EM_OK)
        r = put_each(document, "inputs", &plan->inputs, put_input);
    if (r == EM_OK)
        r = put_each(document, "actions", &plan->steps, put_step);
    if (r == EM_OK)
        r = put_each(document, "refused", &plan->refused, put_refusal);
    if (r == EM_OK)
        r = put_each(document, "not_taken", &plan->not_taken, put_not_taken);
    return r < 0 ? r : put_strings(document, "after", &plan->after);
}

static int add_dump(const char *buffer, size_t size, void *context)
{
    em_text_add_bytes(context, buffer, size);
    return 0;
}

int em_plan_to_json(const struct em_plan *plan, struct em_text *text)
{
    json_t *document = json_object();
    int r = document ? put_plan(document, plan) : EM_NO_MEMORY;

    if (r == EM_OK && json_dump_callback(document, add_dump, text, JSON_INDENT(2)) < 0)
        r = EM_NO_MEMORY;
    json_decref(document);
    em_text_add(text, "\n");
    return r == EM_OK && text->failed ? EM_NO_MEMORY : r;
}

/* ---- reading ---- */

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
    static const char *const copy[] = { "do",  "path",  "from",      "sha256",   "voucher", "provenance", "mode",
                                        "tag", "value", "old_value", "resolves", "reason",  NULL };
    static const char *const record[] = { "do", "path", "site", "files", "resolves", "reason", NULL };
    static const char *const *const members[] = { set_path, needed, bare, copy, bare, record };
    static int (*const readers[])(const struct reading *, json_t *, const char *,
                                  struct em_step *) = { read_path_list, read_needed, read_bare,
                                                        read_copy,      read_bare,   read_record };
    const char *kind;
    size_t i = 0;
    int r;

    if (!json_is_object(object))
        return bad(in, "%s is not an object", what);
    r = get(in, object, what, "do", false, &kind);
    if (r < 0)
        return r;
    while (i < sizeof step_names / sizeof *step_names && strcmp(step_names[i], kind) != 0)
        i++;
    if (i == sizeof step_names / sizeof *step_names)
        return bad(in, "%s is to do '%.40s', which this version of elfmend cannot", what, kind);
    step->kind = (enum em_step_kind)i;
    r = check_members(in, object, what, members[i]);
    if (r == EM_OK)
        r = get_contained(in, object, what, &step->path);
    if (r == EM_OK)
        r = readers[i](in, object, what, step);
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

/* A file that is changed must be the one that the plan was made for. What a copy is of, its action says itself. */
static int check_stated(const struct reading *in, const struct em_plan *plan, const struct em_map *by_path)
{
    struct em_map stated = { .arena = in->arena };

    em_vec_each (struct em_input, input, &plan->inputs)
        if (!input->is_source && em_map_put(&stated, input->path, input) < 0)
            return EM_NO_MEMORY;
    em_vec_each (const struct em_step, step, &plan->steps) {
        const struct em_step *first = em_map_get(by_path, step->path);

        if (first->kind != EM_STEP_COPY && !em_map_get(&stated, step->path))
            return bad(in, "changes '%.200s' without saying in 'inputs' what it was", step->path);
    }
    return EM_OK;
}

/* What may stand behind the first step for a file: an edit that says the same however often it is said. What a second copy or path list
 * would mean, nobody could say. */
static bool is_further_edit(const struct em_step *first, const struct em_step *step)
{
    return first->kind != EM_STEP_RECORD && first->kind != EM_STEP_REMOVE &&
           (step->kind == EM_STEP_CLEAR_STACK || step->kind == EM_STEP_REPLACE_NEEDED);
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

            if (!file || file->kind == EM_STEP_RECORD || file->kind == EM_STEP_REMOVE)
                return bad(in, "actions[%zu] lists '%.200s', which no action changes", i, step->files.items[j]);
        }
    }
    return check_stated(in, plan, &by_path);
}

static int read_plan(const struct reading *in, json_t *document, struct em_plan *plan)
{
    static const char *const names[] = {
        "schema", "target", "root", "inputs", "actions", "refused", "not_taken", "after", NULL
    };
    const char *schema;
    int r;

    if (!json_is_object(document))
        return bad(in, "is not a plan: not a JSON object");
    r = get(in, document, "the document", "schema", true, &schema);
    if (r < 0)
        return r;
    if (!schema || strcmp(schema, SCHEMA) != 0)
        return bad(in, "is not a plan of this version of elfmend: its schema is %.60s, not " SCHEMA,
                   schema ? schema : "not named");
    r = check_members(in, document, "the plan", names);
    if (r == EM_OK)
        r = get(in, document, "the plan", "target", false, &plan->target);
    if (r == EM_OK)
        r = get(in, document, "the plan", "root", false, &plan->root);
    if (r == EM_OK && plan->root[0] != '/')
        r = bad(in, "has a 'root' that is not absolute");
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
    json_error_t problem;
    json_t *document;
    int r;

    *plan = (struct em_plan){ 0 };
    if (bytes.size > EM_MAX_JSON)
        return em_fail(error, EM_LIMIT, label, "is larger than a plan may be");
    document = json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &problem);
    if (!document)
        return em_fail_at(error, EM_BAD_JSON, label, (uint64_t)problem.position, "is not JSON: line %d: %s", problem.line,
                          problem.text);
    r = read_plan(&in, document, plan);
    json_decref(document);
    if (r < 0)
        *plan = (struct em_plan){ 0 };
    return r;
}
