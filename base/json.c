#include "base/json.h"

#include "base/limits.h"

/* At least as many as there are: each value but the first follows an opening bracket or a comma. */
static uint64_t count_values(struct em_bytes bytes)
{
    uint64_t values = 1;
    bool quoted = false;

    for (size_t i = 0; i < bytes.size; i++) {
        const uint8_t c = bytes.data[i];

        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else
            values += c == ',' || c == '[' || c == '{';
    }
    return values;
}

int em_json_read(json_t **document, struct em_bytes bytes, const char *label, struct em_error *error)
{
    json_error_t problem;

    *document = NULL;
    if (bytes.size > EM_MAX_JSON)
        return em_fail(error, EM_LIMIT, label, "is JSON of %zu bytes, more than the %llu that it may have", bytes.size,
                       (unsigned long long)EM_MAX_JSON);
    if (count_values(bytes) > EM_MAX_JSON_VALUES)
        return em_fail(error, EM_LIMIT, label, "is JSON of more than %u values", EM_MAX_JSON_VALUES);
    *document = json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &problem);
    if (*document)
        return EM_OK;
    if (json_error_code(&problem) == json_error_out_of_memory)
        return EM_NO_MEMORY;
    return em_fail_at(error, EM_BAD_JSON, label, (uint64_t)problem.position, "is not JSON: line %d: %s", problem.line,
                      problem.text);
}
