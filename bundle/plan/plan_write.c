/* A plan as JSON. */
#include "bundle/plan/plan.h"

#include <jansson.h>
#include <stdio.h>

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
    if (r == EM_OK && step->purl)
        r = put(object, "purl", step->purl);
    if (r == EM_OK)
        r = put(object, "mode", mode);
    return r == EM_OK && step->value ? put_path_list(object, step) : r;
}

static int put_record(json_t *object, const struct em_step *step)
{
    int r = put(object, "site", step->site);

    return r < 0 ? r : put_strings(object, "files", &step->files);
}

static int put_sbom(json_t *object, const struct em_step *step)
{
    int r = put(object, "name", step->name);

    if (r == EM_OK)
        r = put(object, "version", step->version);
    return r < 0 ? r : put_record(object, step);
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
    case EM_STEP_SBOM: r = put_sbom(object, step); break;
    case EM_STEP_RECORD: r = put_record(object, step); break;
    case EM_STEP_CONDA: r = put_strings(object, "files", &step->files); break;
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

static int put_unpacked(json_t *object, const struct em_plan_unpacked *unpacked)
{
    int r = put(object, "directory", unpacked->directory);

    return r < 0 ? r : put(object, "wheel", unpacked->wheel);
}

static int put_wheel(json_t *document, const struct em_plan_wheel *wheel)
{
    json_t *object = json_object();
    const struct {
        const char *key, *value;
    } strings[] = {
        { "path", wheel->path },           { "output", wheel->output }, { "version", wheel->version },
        { "build", wheel->build },         { "tags", wheel->tags },     { "tags_reason", wheel->tags_reason },
        { "world", wheel->world },         { "libc", wheel->libc },     { "ld_library_path", wheel->ld_library_path },
        { "knowledge", wheel->knowledge },
    };
    int r = put_value(document, "wheel", object);

    for (size_t i = 0; r == EM_OK && i < sizeof strings / sizeof *strings; i++)
        r = put(object, strings[i].key, strings[i].value);
    if (r == EM_OK)
        r = put_strings(object, "requires", &wheel->requires);
    if (r == EM_OK)
        r = put_each(object, "unpacked", &wheel->unpacked, put_unpacked);
    if (r == EM_OK)
        r = put_value(object, "date", wheel->has_date ? json_integer((json_int_t)wheel->date) : json_null());
    return r < 0 ? r : put_strings(object, "with", &wheel->with);
}

static int put_plan(json_t *document, const struct em_plan *plan)
{
    int r = put(document, "schema", EM_PLAN_SCHEMA);

    if (r == EM_OK)
        r = put(document, "target", plan->target);
    if (r == EM_OK)
        r = put(document, "root", plan->root);
    if (r == EM_OK && plan->wheel)
        r = put_wheel(document, plan->wheel);
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
