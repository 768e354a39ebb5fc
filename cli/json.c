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

void em_json_item_add(struct em_text *items, json_t *item)
{
    em_text_add(items, items->size > 0 ? ",\n    " : "\n    ");
    if (json_dump_callback(item, add_indented, items, STYLE) < 0)
        items->failed = true;
    json_decref(item);
}

/* A newline is never within a string of JSON, so that the empty list is where it is found first. */
int em_json_print_items(json_t *document, const char *name, const struct em_text *items)
{
    em_cleanup_text struct em_text empty = { 0 };
    char *whole = json_dumps(document, STYLE);
    const char *place;
    int r = EM_EXIT_FAILED;

    json_decref(document);
    em_text_printf(&empty, "\n  \"%s\": []", name);
    place = whole && !empty.failed ? strstr(whole, empty.data) : NULL;
    if (place && !items->failed) {
        const char *rest = place + empty.size;

        printf("%.*s%s%s]%s\n", (int)(rest - 1 - whole), whole, items->size > 0 ? items->data : "",
               items->size > 0 ? "\n  " : "", rest);
        r = EM_EXIT_OK;
    }
    free(whole);
    return r;
}
