#include "cli/abi.h"
#include "cli/show.h"

#include <string.h>

/* ---- words ---- */

struct word {
    uint64_t bit;
    const char *name;
};

/* gABI chapter 5, "Dynamic Section", and gnu-gabi: DT_FLAGS and DT_FLAGS_1, with readelf's words. */
static const struct word flag_words[] = {
    { DF_ORIGIN, "ORIGIN" },     { DF_SYMBOLIC, "SYMBOLIC" },     { DF_TEXTREL, "TEXTREL" },
    { DF_BIND_NOW, "BIND_NOW" }, { DF_STATIC_TLS, "STATIC_TLS" },
};
static const struct word flag_1_words[] = {
    { DF_1_NOW, "NOW" },           { DF_1_GLOBAL, "GLOBAL" },     { DF_1_GROUP, "GROUP" },
    { DF_1_NODELETE, "NODELETE" }, { DF_1_LOADFLTR, "LOADFLTR" }, { DF_1_INITFIRST, "INITFIRST" },
    { DF_1_NOOPEN, "NOOPEN" },     { DF_1_ORIGIN, "ORIGIN" },     { DF_1_INTERPOSE, "INTERPOSE" },
    { DF_1_NODEFLIB, "NODEFLIB" }, { DF_1_NODUMP, "NODUMP" },     { DF_1_SINGLETON, "SINGLETON" },
    { DF_1_PIE, "PIE" },
};

static const char *type_name(const struct em_object *object)
{
    switch (object->type) {
    case ET_REL: return "relocatable";
    case ET_EXEC: return "executable";
    case ET_CORE: return "core";
    case ET_DYN:
        return object->interpreter || object->dt_flags_1 & DF_1_PIE ? "executable, position-independent" : "shared object";
    default: return "unknown";
    }
}

static const char *stack_name(enum em_stack stack)
{
    switch (stack) {
    case EM_STACK_ABSENT: return "absent";
    case EM_STACK_PLAIN: return "plain";
    case EM_STACK_EXECUTABLE: return "executable";
    }
    return "";
}

static const char *stack_sentence(enum em_stack stack)
{
    switch (stack) {
    case EM_STACK_ABSENT: return "no PT_GNU_STACK: executable on most machines";
    case EM_STACK_PLAIN: return "not executable";
    case EM_STACK_EXECUTABLE: return "executable";
    }
    return "";
}

static void build_id(const struct em_object *object, char text[2 * 64 + 1])
{
    size_t size = object->build_id_size < 64 ? object->build_id_size : 64;

    text[0] = '\0';
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", object->build_id[i]);
}

/* ---- text ---- */

static void put_field(const char *label, const char *value)
{
    printf("  %-12s ", label);
    em_put_plain(value, stdout);
    putchar('\n');
}

static void put_list(const char *label, const struct em_strings *values)
{
    em_vec_each (const char *, value, values)
        put_field(value == values->items ? label : "", *value);
}

static void put_words(const char *label, const struct word *words, size_t count, uint64_t bits)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (!(bits & words[i].bit))
            continue;
        if (!any)
            printf("  %-12s", label);
        printf(" %s", words[i].name);
        any = true;
    }
    if (any)
        putchar('\n');
}

static void put_versions(const struct em_object *object)
{
    const char *label = "wants";

    em_vec_each (const struct em_verneed, need, &object->verneed) {
        em_vec_each (const struct em_version, version, &need->versions) {
            printf("  %-12s ", label);
            em_put_plain(version->name, stdout);
            printf(" of ");
            em_put_plain(need->file, stdout);
            printf("%s\n", version->weak ? " (weak)" : "");
            label = "";
        }
    }
    label = "defines";
    em_vec_each (const struct em_version, version, &object->verdef) {
        if (version->base)
            continue;
        put_field(label, version->name);
        label = "";
    }
}

/* By headers alone; the bytes are those in the file, most of them compressed. */
static void put_gpu(const struct em_gpu_listing *gpu, struct em_arena *arena)
{
    const char *label = "gpu code";

    em_vec_each (const struct em_gpu_code, code, &gpu->codes) {
        printf("  %-12s %s %s, %zu %s, %llu bytes\n", label, em_gpu_code_name(arena, code), em_gpu_kind_name(code->kind),
               code->count, code->count == 1 ? "entry" : "entries", (unsigned long long)code->bytes);
        label = "";
    }
    if (gpu->bare_cubins > 0)
        printf("  %-12s %zu bare %s, of no container\n", label, gpu->bare_cubins, gpu->bare_cubins == 1 ? "cubin" : "cubins");
    if (gpu->broken > 0)
        printf("  %-12s %zu broken %s\n", label, gpu->broken, gpu->broken == 1 ? "container" : "containers");
}

static bool is_same(const struct em_forecast *a, const struct em_forecast *b)
{
    if (!a->refused != !b->refused)
        return false;
    return a->refused ? strcmp(a->refused, b->refused) == 0
                      : a->rung == b->rung && a->growth == b->growth && !a->warning == !b->warning;
}

/* Edits that meet the same are one entry, their options joined. */
static void put_edits(const struct em_forecasts *edits)
{
    const char *label = "edits";

    em_vec_each (const struct em_forecast, edit, edits) {
        bool told = false;

        for (const struct em_forecast *earlier = edits->items; !told && earlier < edit; earlier++)
            told = is_same(earlier, edit);
        if (told)
            continue;
        printf("  %-12s %s", label, edit->option);
        for (const struct em_forecast *later = edit + 1; later < edits->items + edits->count; later++)
            if (is_same(edit, later))
                printf(" %s", later->option);
        label = "";
        if (edit->refused) {
            printf(": refused: ");
            em_put_plain(edit->refused, stdout);
        } else {
            printf(": %s, %llu bytes more%s%s", em_rung_name(edit->rung), (unsigned long long)edit->growth,
                   edit->warning ? "; " : "", edit->warning ? edit->warning : "");
        }
        putchar('\n');
    }
}

static void show_text(const struct em_shown *shown, struct em_arena *arena)
{
    const struct em_object *object = &shown->object;
    const char *machine = em_machine_name(arena, object->machine);
    char id[2 * 64 + 1];

    em_put_plain(shown->path, stdout);
    putchar('\n');
    printf("  %-12s ELF%d, %s-endian\n", "class", object->is64 ? 64 : 32, object->big_endian ? "big" : "little");
    put_field("machine", machine ? machine : "");
    put_field("type", type_name(object));
    put_field("os abi", em_abi_name(arena, object->osabi));
    printf("  %-12s %llu bytes\n", "size", (unsigned long long)object->size);
    if (object->soname)
        put_field("soname", object->soname);
    put_list("needed", &object->needed);
    put_list("filter", &object->filters);
    put_list("auxiliary", &object->auxiliaries);
    if (object->rpath)
        put_field(object->runpath ? "rpath (dead)" : "rpath", *object->rpath ? object->rpath : "\"\"");
    if (object->runpath)
        put_field("runpath", *object->runpath ? object->runpath : "\"\": switches inherited RPATHs off");
    if (object->interpreter)
        put_field("interpreter", object->interpreter);
    put_words("flags", flag_words, sizeof flag_words / sizeof *flag_words, object->dt_flags);
    put_words("flags_1", flag_1_words, sizeof flag_1_words / sizeof *flag_1_words, object->dt_flags_1);
    put_field("stack", stack_sentence(object->stack));
    if (object->has_debug_tag)
        put_field("debug tag", "DT_DEBUG: a debugger finds the loader's list there");
    if (shown->symbols.defined + shown->symbols.undefined > 0)
        printf("  %-12s %llu defined, %llu undefined\n", "symbols", (unsigned long long)shown->symbols.defined,
               (unsigned long long)shown->symbols.undefined);
    build_id(object, id);
    if (*id)
        put_field("build id", id);
    put_versions(object);
    put_edits(&shown->edits);
    put_list("may open", &shown->names);
    put_gpu(&shown->gpu, arena);
    if (object->sections_beyond_end)
        put_field("truncated", "section headers are promised and lie beyond the end of the file");
}

static void show_wheel(const struct em_shown_wheel *wheel)
{
    em_put_plain(wheel->path, stdout);
    putchar('\n');
    if (wheel->name) {
        put_field("wheel", wheel->name);
        put_field("version", wheel->version);
        put_field("tags", wheel->tags);
    }
    printf("  %-12s %llu bytes; %llu members of %llu bytes unpacked\n", "size", (unsigned long long)wheel->size,
           (unsigned long long)wheel->members, (unsigned long long)wheel->unpacked);
    em_vec_each (const char *, object, &wheel->objects)
        put_field(object == wheel->objects.items ? "objects" : "", *object + strlen(wheel->path) + 1);
    if (wheel->objects.count == 0)
        put_field("objects", "none");
}

/* ---- JSON ---- */

static json_t *strings_json(const struct em_strings *strings)
{
    json_t *array = json_array();

    em_vec_each (const char *, string, strings)
        json_array_append_new(array, em_json_string(*string));
    return array;
}

static void append_words(json_t *array, const struct word *words, size_t count, uint64_t bits)
{
    for (size_t i = 0; i < count; i++)
        if (bits & words[i].bit)
            json_array_append_new(array, json_string(words[i].name));
}

static json_t *versions_json(const struct em_versions *versions)
{
    json_t *array = json_array();

    em_vec_each (const struct em_version, version, versions)
        if (!version->base)
            json_array_append_new(array, em_json_string(version->name));
    return array;
}

static json_t *gpu_json(const struct em_gpu_listing *gpu, struct em_arena *arena)
{
    json_t *codes = json_array();

    em_vec_each (const struct em_gpu_code, code, &gpu->codes)
        json_array_append_new(codes, json_pack("{s:s, s:s, s:I, s:I}", "arch", em_gpu_code_name(arena, code), "kind",
                                               em_gpu_kind_name(code->kind), "entries", (json_int_t)code->count, "bytes",
                                               (json_int_t)code->bytes));
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "codes", codes, "containers", (json_int_t)gpu->containers, "empty",
                     (json_int_t)gpu->empty, "broken", (json_int_t)gpu->broken, "bare_cubins", (json_int_t)gpu->bare_cubins);
}

static json_t *edits_json(const struct em_forecasts *edits)
{
    json_t *array = json_array();

    em_vec_each (const struct em_forecast, edit, edits)
        json_array_append_new(array,
                              json_pack("{s:s, s:b, s:s?, s:I, s:s?, s:s?}", "option", edit->option, "possible", !edit->refused,
                                        "rung", edit->refused ? NULL : em_rung_name(edit->rung), "growth",
                                        (json_int_t)edit->growth, "warning", edit->warning, "refused", edit->refused));
    return array;
}

static json_t *object_json(const struct em_shown *shown, struct em_arena *arena)
{
    const struct em_object *object = &shown->object;
    json_t *json = json_object(), *flags = json_array(), *flags_1 = json_array(), *needs = json_array();
    char id[2 * 64 + 1];

    append_words(flags, flag_words, sizeof flag_words / sizeof *flag_words, object->dt_flags);
    append_words(flags_1, flag_1_words, sizeof flag_1_words / sizeof *flag_1_words, object->dt_flags_1);
    em_vec_each (const struct em_verneed, need, &object->verneed)
        json_array_append_new(
            needs, json_pack("{s:o, s:o}", "file", em_json_string(need->file), "versions", versions_json(&need->versions)));
    build_id(object, id);
    json_object_set_new(json, "path", em_json_string(shown->path));
    json_object_set_new(json, "class", json_integer(object->is64 ? 64 : 32));
    json_object_set_new(json, "byte_order", json_string(object->big_endian ? "big" : "little"));
    json_object_set_new(json, "machine", em_json_string(em_machine_name(arena, object->machine)));
    json_object_set_new(json, "type", json_string(type_name(object)));
    json_object_set_new(json, "os_abi", json_string(em_abi_name(arena, object->osabi)));
    json_object_set_new(json, "size", json_integer((json_int_t)object->size));
    json_object_set_new(json, "soname", em_json_string(object->soname));
    json_object_set_new(json, "needed", strings_json(&object->needed));
    json_object_set_new(json, "filters", strings_json(&object->filters));
    json_object_set_new(json, "auxiliaries", strings_json(&object->auxiliaries));
    json_object_set_new(json, "rpath", em_json_string(object->rpath));
    json_object_set_new(json, "runpath", em_json_string(object->runpath));
    json_object_set_new(json, "interpreter", em_json_string(object->interpreter));
    json_object_set_new(json, "flags", flags);
    json_object_set_new(json, "flags_1", flags_1);
    json_object_set_new(json, "stack", json_string(stack_name(object->stack)));
    json_object_set_new(json, "debug_tag", json_boolean(object->has_debug_tag));
    json_object_set_new(json, "symbols",
                        json_pack("{s:I, s:I}", "defined", (json_int_t)shown->symbols.defined, "undefined",
                                  (json_int_t)shown->symbols.undefined));
    json_object_set_new(json, "build_id", *id ? json_string(id) : json_null());
    json_object_set_new(json, "version_needs", needs);
    json_object_set_new(json, "version_defines", versions_json(&object->verdef));
    json_object_set_new(json, "may_open", strings_json(&shown->names));
    json_object_set_new(json, "gpu", gpu_json(&shown->gpu, arena));
    json_object_set_new(json, "edits", edits_json(&shown->edits));
    json_object_set_new(json, "truncated", json_boolean(object->sections_beyond_end));
    return json;
}

static json_t *wheel_json(const struct em_shown_wheel *wheel)
{
    return json_pack("{s:o, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:o}", "path", em_json_string(wheel->path), "name", wheel->name,
                     "version", wheel->version, "tags", wheel->tags, "size", (json_int_t)wheel->size, "unpacked",
                     (json_int_t)wheel->unpacked, "members", (json_int_t)wheel->members, "objects",
                     strings_json(&wheel->objects));
}

int em_show_print_json(const struct em_show_report *report, struct em_error *error)
{
    em_cleanup_text struct em_text objects = { 0 };
    json_t *wheels = json_array();

    em_vec_each (const struct em_shown_wheel, wheel, &report->wheels)
        json_array_append_new(wheels, wheel_json(wheel));
    em_vec_each (const struct em_shown, shown, &report->objects)
        em_json_item_add(&objects, object_json(shown, report->arena));
    if (em_json_print_items(json_pack("{s:s, s:o, s:[]}", "schema", "elfmend.show/1", "wheels", wheels, "objects"), "objects",
                            &objects) == EM_EXIT_OK)
        return EM_OK;
    return em_fail(error, EM_IO, NULL, "the report cannot be written");
}

void em_show_print_text(const struct em_show_report *report)
{
    size_t printed = 0;

    em_vec_each (const struct em_shown_wheel, wheel, &report->wheels) {
        if (printed++ > 0)
            putchar('\n');
        show_wheel(wheel);
    }
    em_vec_each (const struct em_shown, shown, &report->objects) {
        if (printed++ > 0)
            putchar('\n');
        show_text(shown, report->arena);
    }
}
