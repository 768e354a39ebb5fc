#include "cli/cli.h"

/* How many bytes of well-formed UTF-8 stand at the start: 0 if none do (RFC 3629, section 4, without the overlong forms' details:
 * what jansson refuses all the same is replaced byte by byte by the caller). */
static size_t utf8_length(const char *at)
{
    unsigned char first = (unsigned char)*at;
    size_t length = first < 0x80                    ? 1
                    : first >= 0xc2 && first < 0xe0 ? 2
                    : first >= 0xe0 && first < 0xf0 ? 3
                    : first >= 0xf0 && first < 0xf5 ? 4
                                                    : 0;

    for (size_t i = 1; i < length; i++)
        if (((unsigned char)at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

json_t *em_json_string(const char *string)
{
    em_cleanup_text struct em_text text = { 0 };
    json_t *json = string ? json_string(string) : json_null();

    if (json)
        return json;
    for (const char *at = string; *at;) {
        size_t length = utf8_length(at);

        if (length > 0)
            em_text_add_bytes(&text, at, length);
        else
            em_text_add(&text, "\xef\xbf\xbd");
        at += length ? length : 1;
    }
    return text.failed ? NULL : json_string(text.data);
}

int em_json_print(json_t *document)
{
    /* No JSON_SORT_KEYS: the order of insertion is the stable order, and "schema" comes first. */
    int r = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));

    json_decref(document);
    if (r == 0)
        putchar('\n');
    return r == 0 ? EM_EXIT_OK : EM_EXIT_FAILED;
}
