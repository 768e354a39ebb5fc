#include "cli/cli.h"

int em_json_print(json_t *document)
{
    /* No JSON_SORT_KEYS: the order of insertion is the stable order, and "schema" comes first. */
    int r = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));

    json_decref(document);
    if (r == 0)
        putchar('\n');
    return r == 0 ? EM_EXIT_OK : EM_EXIT_FAILED;
}
