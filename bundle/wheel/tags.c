#include "bundle/wheel/tags.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

unsigned em_tags_glibc(const struct em_object *object)
{
    unsigned newest = 0;

    em_vec_each (const struct em_verneed, need, &object->verneed)
        em_vec_each (const struct em_version, version, &need->versions) {
            unsigned minor = 0;

            /* What packs relative relocations is bound to the loader that knows them (glibc 2.36 NEWS). */
            if (strcmp(version->name, "GLIBC_ABI_DT_RELR") == 0)
                minor = 36;
            else if (strncmp(version->name, "GLIBC_2.", 8) == 0)
                minor = (unsigned)strtoul(version->name + 8, NULL, 10);
            newest = minor > newest ? minor : newest;
        }
    return newest;
}

/* The glibc 2.minor that a platform promises, and its machine; -1: it promises none. */
static int promised(const char *platform, const char **machine)
{
    static const struct {
        const char *prefix;
        int minor;
    } old[] = { { "manylinux1_", 5 }, { "manylinux2010_", 12 }, { "manylinux2014_", 17 } };
    unsigned minor;
    int length = 0;

    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (strncmp(platform, old[i].prefix, strlen(old[i].prefix)) == 0) {
            *machine = platform + strlen(old[i].prefix);
            return old[i].minor;
        }
    if (sscanf(platform, "manylinux_2_%3u_%n", &minor, &length) < 1 || length == 0)
        return -1;
    *machine = platform + length;
    return (int)minor;
}

const char *em_tags_hold(struct em_arena *arena, const char *tags, unsigned minor)
{
    const char *platforms = strrchr(tags, '-') + 1, *machine = NULL, *kept = "";
    char *rest = em_arena_strdup(arena, platforms), *platform;
    bool changed = false;

    if (!rest)
        return NULL;
    while ((platform = strsep(&rest, ".")) != NULL) {
        const char *its = NULL;
        int has = promised(platform, &its);

        if (has >= 0 && (unsigned)has < minor) {
            changed = true;
            machine = its;
            continue;
        }
        kept = em_arena_printf(arena, "%s%s%s", kept, *kept ? "." : "", platform);
        if (!kept)
            return NULL;
    }
    if (!changed)
        return tags;
    if (!*kept)
        kept = em_arena_printf(arena, "manylinux_2_%u_%s", minor, machine);
    return kept ? em_arena_printf(arena, "%.*s%s", (int)(platforms - tags), tags, kept) : NULL;
}
