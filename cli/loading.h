/* loading.h: how trace and explain show a request.
 */
#ifndef EM_CLI_LOADING_H
#define EM_CLI_LOADING_H

#include "bundle/loader/loader.h"
#include "cli/cli.h"

/* One of elfmend.trace/1's "requests". */
json_t *em_loading_request(const struct em_request *request);

/* "    libx.so.1 => PATH  (RPATH, $ORIGIN/..)", and for what is not found the directories tried. */
void em_loading_print(const struct em_request *request, bool color);
/* One directory a line, with the reason why it was looked at and what was wrong there. */
void em_loading_print_tries(const struct em_request *request, const char *indent);
/* "DT_RPATH of the object itself", ... */
const char *em_loading_rule(const struct em_request *request, enum em_rule rule, const struct em_loaded *owner);

#endif
