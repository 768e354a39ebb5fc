#include "bundle/diagnose/path_entries.h"

#include "base/error.h"
#include "base/path.h"

#include <string.h>

int em_path_entries(struct em_path_entries *entries, struct em_arena *arena, const char *list, const char *origin)
{
    *entries = (struct em_path_entries){ 0 };
    for (const char *at = list; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        size_t length = strcspn(at, ":"), token = 0;
        struct em_path_entry entry = { .written = em_arena_strndup(arena, at, length) };
        const char *path = entry.written;

        if (!path)
            return EM_NO_MEMORY;
        if (strncmp(path, "$ORIGIN", 7) == 0 && (path[7] == '/' || path[7] == '\0'))
            token = 7;
        else if (strncmp(path, "${ORIGIN}", 9) == 0)
            token = 9;
        entry.by_origin = token > 0;
        if (token > 0)
            path = em_arena_printf(arena, "%s%s", origin, path + token);
        if (!path)
            return EM_NO_MEMORY;
        if (strchr(path, '$')) {
            entry.kind = EM_ENTRY_UNKNOWN;
        } else if (*path != '/') {
            entry.kind = EM_ENTRY_WORKING;
        } else {
            entry.directory = em_path_normal(arena, path);
            if (!entry.directory)
                return EM_NO_MEMORY;
        }
        if (em_vec_push(arena, entries, entry) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}
