/* json.h: JSON from elsewhere: a plan, a world, a table, what a conda package says of itself.
 *
 *     r = em_json_read(&document, bytes, path, error)      EM_LIMIT, EM_BAD_JSON, EM_NO_MEMORY
 *     json_decref(document)
 *
 * A parsed value takes some hundred times the two bytes that it may be written in, so the values are counted before any is made. A
 * member that is there twice is an error: readers differ in which one they take (RFC 8259, 4). The library ends at 2,048 levels.
 */
#ifndef EM_BASE_JSON_H
#define EM_BASE_JSON_H

#include "base/bytes.h"
#include "base/error.h"

#include <jansson.h>

int em_json_read(json_t **document, struct em_bytes bytes, const char *label, struct em_error *error);

#endif
