#include "cli/cli.h"

#include <string.h>

json_t *em_json_string(const char *string)
{
    em_cleanup_text struct em_text text = { 0 };
    json_t *json = string ? json_string(string) : json_null();

    if (json)
        return json;
    for (const char *at = string; *at;) {
        size_t size = em_utf8_size(at, strlen(at));

        if (size > 0)
            em_text_add_bytes(&text, at, size);
        else
            em_text_printf(&text, "\\x%02x", (unsigned char)*at);
        at += size ? size : 1;
    }
    return text.failed ? NULL : json_string(text.data);
}

/* No JSON_SORT_KEYS: the order of insertion is the stable order, and "schema" comes first. */
#define STYLE (JSON_INDENT(2) | JSON_REAL_PRECISION(6))

int em_json_print(json_t *document)
{
    int r = json_dumpf(document, stdout, STYLE);

    json_decref(document);
    if (r == 0)
        putchar('\n');
    return r == 0 ? EM_EXIT_OK : EM_EXIT_FAILED;
}

static int add_indented(const char *bytes, size_t size, void *context)
{
    struct em_text *text = context;

    for (const char *end = bytes + size, *line = bytes; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));

        next = next ? next + 1 : end;
        em_text_add_bytes(text, line, (size_t)(next - line));
        if (next[-1] == '\n')
            em_text_add(text, "    ");
        line = next;
    }
    return text->failed ? -1 : 0;
}

static void add_item(struct em_text *items, bool first, json_t *item)
{
    em_text_add(items, first ? "\n    " : ",\n    ");
    if (json_dump_callback(item, add_indented, items, STYLE) < 0)
        items->failed = true;
    json_decref(item);
}

void em_json_item_add(struct em_text *items, json_t *item)
{
    add_item(items, items->size == 0, item);
}

/* A newline is never within a string of JSON, so that the empty list is where it is found first. */
void em_json_print_head(struct em_json_list *list, json_t *document, const char *name)
{
    em_cleanup_text struct em_text empty = { 0 };
    char *place;

    *list = (struct em_json_list){ .whole = json_dumps(document, STYLE) };
    json_decref(document);
    em_text_printf(&empty, "\n  \"%s\": []", name);
    place = list->whole && !empty.failed ? strstr(list->whole, empty.data) : NULL;
    list->failed = !place;
    if (place) {
        list->rest = place + empty.size;
        printf("%.*s", (int)(list->rest - 1 - list->whole), list->whole);
    }
}

void em_json_print_item(struct em_json_list *list, json_t *item)
{
    em_cleanup_text struct em_text text = { 0 };

    add_item(&text, !list->begun, item);
    list->begun = true;
    list->failed = list->failed || text.failed;
    if (!list->failed)
        fputs(text.data, stdout);
}

int em_json_print_tail(struct em_json_list *list)
{
    if (!list->failed)
        printf("%s]%s\n", list->begun ? "\n  " : "", list->rest);
    free(list->whole);
    return list->failed ? EM_EXIT_FAILED : EM_EXIT_OK;
}

int em_json_print_items(json_t *document, const char *name, const struct em_text *items)
{
    struct em_json_list list;

    if (items->failed) {
        json_decref(document);
        return EM_EXIT_FAILED;
    }
    em_json_print_head(&list, document, name);
    if (!list.failed && items->size > 0)
        fputs(items->data, stdout);
    list.begun = items->size > 0;
    return em_json_print_tail(&list);
}
