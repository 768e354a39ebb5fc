#include "cli/loading.h"

#include <string.h>

/* ---- JSON ---- */

json_t *em_loading_request(const struct em_request *request)
{
    json_t *item = json_object(), *tried = json_array();

    for (size_t i = 0; i < request->tried.count; i++)
        json_array_append_new(tried, em_json_string(request->tried.items[i].directory));
    json_object_set_new(item, "from", em_json_string(request->from ? request->from->name : NULL));
    json_object_set_new(item, "name", em_json_string(request->name));
    json_object_set_new(item, "via", json_string(em_via_name(request->via)));
    json_object_set_new(item, "result", json_string(em_result_name(request->result)));
    json_object_set_new(item, "path", em_json_string(request->path));
    json_object_set_new(item, "rule", em_json_string(em_rule_name(request->rule)));
    json_object_set_new(item, "tried", tried);
    json_object_set_new(item, "why", em_json_string(request->why));
    return item;
}

/* ---- text ---- */

const char *em_loading_rule(const struct em_request *request, enum em_rule rule, const struct em_loaded *owner)
{
    switch (rule) {
    case EM_RULE_NONE: return "";
    case EM_RULE_PATH: return "the name is a path";
    case EM_RULE_SONAME: return "already loaded under that name";
    case EM_RULE_RPATH:
        if (owner == request->from)
            return "DT_RPATH of the object itself";
        return owner && owner->is_main ? "DT_RPATH of the program" : "DT_RPATH inherited from who loaded it";
    case EM_RULE_RUNPATH: return "DT_RUNPATH of the object itself";
    case EM_RULE_ENV: return "LD_LIBRARY_PATH";
    case EM_RULE_CACHE: return "ld.so.cache";
    case EM_RULE_DEFAULT: return "default directories";
    case EM_RULE_RESERVED: return "a name that stands for libc itself";
    }
    return "";
}

void em_loading_print_tries(const struct em_request *request, const char *indent)
{
    em_vec_each (struct em_try, try, &request->tried) {
        printf("%s", indent);
        if (try->entry && strcmp(try->entry, try->directory) != 0 && *try->entry) {
            em_put_plain(try->entry, stdout);
            printf(" = ");
        }
        em_put_plain(try->directory, stdout);
        printf("   (%s%s", em_loading_rule(request, try->rule, try->owner), try->absent ? "; no such directory" : "");
        if (try->relative)
            printf("; counts from the working directory");
        printf(")");
        if (try->skipped) {
            printf("  passed over: ");
            em_put_plain(try->skipped, stdout);
        }
        putchar('\n');
    }
}

void em_loading_print(const struct em_request *request, bool color)
{
    bool bad = em_request_is_unanswered(request);

    printf("    ");
    em_put_plain(request->name, stdout);
    if (!bad) {
        printf(" => ");
        em_put_plain(request->path, stdout);
        printf("  %s(%s", em_paint(color, "dim"), em_loading_rule(request, request->rule, request->owner));
        if (request->entry && *request->entry) {
            printf(", ");
            em_put_plain(request->entry, stdout);
        }
        printf("%s)%s\n", request->promised ? "; promised by this world, not on this machine" : "", em_paint(color, "reset"));
        return;
    }
    printf(" => %s%s%s", em_paint(color, request->optional ? "yellow" : "red"),
           request->result == EM_RESULT_MISSING ? "not found" : "refused", em_paint(color, "reset"));
    if (request->result == EM_RESULT_REFUSED && request->path) {
        printf(": ");
        em_put_plain(request->path, stdout);
        printf(": %s", em_plain(request->why));
    }
    putchar('\n');
    em_loading_print_tries(request, "        ");
}
