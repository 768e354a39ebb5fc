#include "bundle/loader/loader.h"

#include <string.h>

const char *em_stability_name(enum em_stability stability)
{
    switch (stability) {
    case EM_STABLE: return "stable";
    case EM_ORDER_DEPENDENT: return "order-dependent";
    case EM_ENVIRONMENT_DEPENDENT: return "environment-dependent";
    case EM_SYSTEM_ONLY: return "system-only";
    case EM_MISSING: return "missing";
    }
    return NULL;
}

static bool is_found(const struct em_request *request)
{
    return request->result == EM_RESULT_LOADED || request->result == EM_RESULT_REUSED;
}

/* Whether LD_LIBRARY_PATH decided, or was asked before what decided. The system's own directories come last as well, but that a
 * library comes from there is the larger news. */
static bool environment_decides(const struct em_request *request)
{
    return request->rule == EM_RULE_ENV || request->rule == EM_RULE_RUNPATH;
}

enum em_stability em_stability_of(const struct em_request *const *requests, size_t count)
{
    const struct em_request *first = NULL;
    bool environment = false, outside = false;
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        const struct em_request *request = requests[i];

        if (!is_found(request))
            continue;
        found++;
        environment |= environment_decides(request);
        outside |= request->promised || request->rule == EM_RULE_CACHE || request->rule == EM_RULE_DEFAULT ||
                   request->to_system;
        if (!first)
            first = request;
        else if (first->file != request->file)
            return EM_ORDER_DEPENDENT;
    }
    if (found == 0)
        return EM_MISSING;
    if (found < count)
        return EM_ORDER_DEPENDENT;
    if (environment)
        return EM_ENVIRONMENT_DEPENDENT;
    return outside ? EM_SYSTEM_ONLY : EM_STABLE;
}
