/* graph.c: random cases. A handful of names in a handful of directories, so that everything collides with everything: that is where
 * the rules differ. A case is a pure function of its seed. */
#include "tests/oracle/oracle.h"

#include <stdarg.h>
#include <string.h>

#define NAMES 6
#define DIRS 4

struct graph {
    struct recipe *recipe;
    struct em_arena *arena;
    uint64_t state;
    bool musl, junk, versions, hwcaps, filters, cache; /* what this case has of the rarer things */
};

static uint32_t roll(struct graph *g, uint32_t sides)
{
    g->state ^= g->state << 13;
    g->state ^= g->state >> 7;
    g->state ^= g->state << 17;
    return (uint32_t)((g->state >> 16) % sides);
}

static bool chance(struct graph *g, uint32_t percent)
{
    return roll(g, 100) < percent;
}

__attribute__((format(printf, 2, 3))) static const char *text(struct graph *g, const char *format, ...)
{
    char buffer[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    return em_arena_strdup(g->arena, buffer);
}

static struct line *add(struct graph *g, const char *verb, const char *argument, const char *second)
{
    em_vec_push(g->arena, &g->recipe->lines, (struct line){ .verb = verb, .argument = argument, .second = second });
    return &g->recipe->lines.items[g->recipe->lines.count - 1];
}

static void field(struct graph *g, struct line *line, const char *name, const char *value)
{
    em_vec_push(g->arena, &line->fields, (struct field){ name, value });
}

static const char *directory(struct graph *g)
{
    uint32_t d = roll(g, DIRS + 1);

    return d == DIRS ? "." : text(g, "d%u", d);
}

static const char *library(struct graph *g)
{
    return text(g, "lib%u.so", roll(g, NAMES));
}

static const char *place(struct graph *g)
{
    const char *dir = directory(g);

    return strcmp(dir, ".") == 0 ? library(g) : text(g, "%s/%s", dir, library(g));
}

/* One entry of a path list. */
static const char *entry(struct graph *g)
{
    switch (roll(g, 24)) {
    case 0:
    case 1:
    case 2: return "$ORIGIN";
    case 3: return "${ORIGIN}";
    case 4:
    case 5:
    case 6:
    case 7: return text(g, "$ORIGIN/../d%u", roll(g, DIRS));
    case 8:
    case 9:
    case 10:
    case 11:
    case 12: return text(g, "@/d%u", roll(g, DIRS));
    case 13: return text(g, "@/d%u%s", roll(g, DIRS), chance(g, 50) ? "/" : "///");
    case 14:
    case 15: return text(g, "d%u", roll(g, DIRS));
    case 16: return "";
    case 17: return ".";
    case 18: return text(g, "@/ln/../d%u", roll(g, DIRS));
    case 19: return "@/ln";
    case 20: return chance(g, 50) ? "@/none" : "none";
    case 21: return chance(g, 50) ? "$ORIGINx" : chance(g, 50) ? "${ORIGIN" : "$ORIGIN/../$PLATFORM";
    case 22: return chance(g, 30) ? "@/loop" : chance(g, 50) ? "@/d0/lib0.so" : "d1/lib1.so";
    default: return chance(g, 30) ? "$ORIGIN/../$LIB" : chance(g, 50) ? "$NOTHING/d0" : "$ORIGIN/.";
    }
}

static const char *path_list(struct graph *g, char separator)
{
    const char *list = chance(g, 4) ? "" : entry(g);

    for (uint32_t i = roll(g, 3); i > 0; i--)
        list = text(g, "%s%c%s", list, separator, entry(g));
    return list;
}

static const char *need(struct graph *g)
{
    if (chance(g, 88))
        return library(g);
    switch (roll(g, 6)) {
    case 0: return text(g, "$ORIGIN/../d%u/%s", roll(g, DIRS), library(g));
    case 1: return text(g, "@/%s", place(g));
    case 2: return text(g, "d%u/%s", roll(g, DIRS), library(g));
    case 3: return chance(g, 30) ? (g->musl ? "libmissing.so" : "libz.so.1") : library(g);
    case 4: return text(g, "soname%u", roll(g, 3));
    default: return chance(g, 20) ? "$ORIGIN/libnone.so" : text(g, "./%s", library(g));
    }
}

static const char *needs(struct graph *g)
{
    uint32_t count = roll(g, 10) < 4 ? 0 : 1 + roll(g, chance(g, 30) ? 3 : 2);
    const char *list = "";

    for (uint32_t i = 0; i < count; i++)
        list = text(g, "%s%s%s", list, i ? "," : "", need(g));
    return list;
}

static void add_search_path(struct graph *g, struct line *line)
{
    uint32_t kind = roll(g, 10);

    if (kind < 5 || kind == 9)
        field(g, line, "rpath", path_list(g, ':'));
    if (kind >= 7)
        field(g, line, "runpath", path_list(g, ':'));
}

/* Versions of a need, mostly of one that the object has: glibc asserts that it does. */
static const char *verneed(struct graph *g, const char *needed)
{
    size_t length = strcspn(needed, ",");
    const char *file = length > 0 && chance(g, 92) ? em_arena_strndup(g->arena, needed, length) : library(g);

    return text(g, "%s/V%u%s%s", file, 1 + roll(g, 3), chance(g, 25) ? "?" : "", chance(g, 30) ? "/V2" : "");
}

static void add_versions(struct graph *g, struct line *line, const char *needed)
{
    if (chance(g, 30))
        field(g, line, "verneed", verneed(g, needed));
    if (chance(g, 60))
        field(g, line, "verdef", chance(g, 50) ? "V1,V2" : chance(g, 50) ? "V1,V2,V3" : "V2");
}

static void add_object(struct graph *g, const char *path)
{
    /* musl does not look at class and machine: what comes of it is a crash, or with these tiny objects nothing. */
    static const char *const musl_kinds[] = { "rel", "nodynamic", "osabi", "padding", "exec" };
    static const char *const kinds[] = { "class32", "machine", "bigendian", "osabi",     "gnuabi", "abiversion",
                                         "padding", "rel",     "exec",      "nodynamic", "noload" };
    struct line *line = add(g, "object", path, NULL);
    const char *needed = needs(g);

    if (chance(g, 60))
        field(g, line, "soname", em_path_basename(path));
    else if (chance(g, 50))
        field(g, line, "soname", chance(g, 60) ? library(g) : text(g, "soname%u", roll(g, 3)));
    if (*needed)
        field(g, line, "needed", needed);
    add_search_path(g, line);
    if (g->versions)
        add_versions(g, line, needed);
    if (g->filters && chance(g, 25))
        field(g, line, chance(g, 50) ? "filter" : "auxiliary", chance(g, 80) ? library(g) : need(g));
    if (chance(g, 4))
        field(g, line, "flags", chance(g, 60) ? "nodeflib" : "noopen");
    if (chance(g, 3))
        field(g, line, "stack", chance(g, 50) ? "exec" : "absent");
    if (g->junk && chance(g, 15))
        field(g, line, "kind", g->musl ? musl_kinds[roll(g, 5)] : kinds[roll(g, sizeof kinds / sizeof *kinds)]);
    else if (g->junk && !g->musl && chance(g, 3))
        field(g, line, "flags", "pie");
}

static void add_junk(struct graph *g)
{
    const char *path = place(g);

    switch (roll(g, 6)) {
    case 0: add(g, "text", path, "INPUT(-lx)"); break;
    case 1: add(g, "text", path, NULL); break;
    case 2: add(g, "directory", text(g, "%s", path), NULL); break;
    case 3: add(g, "link", path, "loop.so"); break;
    case 4: add(g, "link", path, "/nowhere/at/all"); break;
    default: add(g, "text", path, "x"); break;
    }
}

static void add_files(struct graph *g)
{
    static const char *const subs[] = { "glibc-hwcaps/x86-64-v2",
                                        "glibc-hwcaps/x86-64-v3",
                                        "glibc-hwcaps/x86-64-v4",
                                        "tls",
                                        "x86_64",
                                        "tls/x86_64",
                                        "haswell",
                                        "sse2" };

    for (uint32_t d = 0; d < DIRS; d++)
        add(g, "directory", text(g, "d%u", d), NULL);
    add(g, "link", "ln", text(g, "d%u", roll(g, DIRS)));
    add(g, "link", "loop", "loop2");
    add(g, "link", "loop2", "loop");
    add(g, "link", "loop.so", "loop2");
    for (uint32_t d = 0; d <= DIRS; d++) {
        for (uint32_t n = 0; n < NAMES; n++) {
            if (!chance(g, d == DIRS ? 15 : 62))
                continue;
            add_object(g, d == DIRS ? text(g, "lib%u.so", n) : text(g, "d%u/lib%u.so", d, n));
        }
    }
    for (uint32_t i = roll(g, 4); i > 0; i--)
        add(g, "link", text(g, "d%u/%s", roll(g, DIRS), library(g)), text(g, "../d%u/%s", roll(g, DIRS), library(g)));
    for (uint32_t i = roll(g, 3); i > 0; i--)
        add(g, "hard", text(g, "d%u/%s", roll(g, DIRS), library(g)), text(g, "d%u/%s", roll(g, DIRS), library(g)));
    for (uint32_t i = g->junk ? 1 + roll(g, 2) : 0; i > 0; i--)
        add_junk(g);
    for (uint32_t i = g->hwcaps ? 2 + roll(g, 3) : 0; i > 0; i--)
        add_object(g, text(g, "d%u/%s/%s", roll(g, DIRS), subs[roll(g, 8)], library(g)));
}

static const char *root(struct graph *g)
{
    switch (roll(g, 8)) {
    case 0:
    case 1: return library(g);
    case 2: return place(g)[0] == 'd' ? text(g, "d%u/%s", roll(g, DIRS), library(g)) : text(g, "./%s", library(g));
    case 3: return chance(g, 30) ? text(g, "$ORIGIN/d%u/%s", roll(g, DIRS), library(g)) : text(g, "@/ln/%s", library(g));
    default: return text(g, "@/d%u/%s", roll(g, DIRS), library(g));
    }
}

static void add_program(struct graph *g)
{
    struct line *line;
    const char *needed = "";

    for (uint32_t i = chance(g, 20) ? 1 + roll(g, 2) : 0; i > 0; i--)
        needed = text(g, "%s%s%s", needed, *needed ? "," : "", need(g));
    if (chance(g, 50)) {
        line = add(g, "main", "", NULL);
        if (chance(g, 60))
            field(g, line, chance(g, 50) ? "rpath" : "runpath", path_list(g, ':'));
        if (*needed)
            field(g, line, "needed", needed);
    }
    if (chance(g, 60))
        add(g, "environment", path_list(g, chance(g, 80) || g->musl ? ':' : ';'), NULL);
    if (chance(g, 5))
        add(g, "preload", chance(g, 50) ? library(g) : text(g, "@/%s", place(g)), NULL);
    if (g->cache) {
        line = add(g, "cache", "", NULL);
        for (uint32_t d = 0; d < DIRS; d++) {
            if (chance(g, 50))
                em_vec_push(g->arena, &line->rest, text(g, "d%u", d));
        }
    }
    for (uint32_t i = 1 + roll(g, 5); i > 0; i--) {
        if (chance(g, 75))
            add(g, "open", root(g), NULL);
        else
            add(g, "call", text(g, "@/d%u/%s", roll(g, DIRS), library(g)), chance(g, 80) ? library(g) : root(g));
    }
}

void graph_make(struct recipe *recipe, struct em_arena *arena, uint64_t seed, const char *libc)
{
    struct graph g = { .recipe = recipe, .arena = arena, .state = seed * UINT64_C(0x9e3779b97f4a7c15) + 0x1234567 };

    *recipe = (struct recipe){ .arena = arena };
    for (int i = 0; i < 8; i++)
        roll(&g, 2);
    g.musl = strcmp(libc, "musl") == 0;
    g.junk = chance(&g, 25);
    g.versions = !g.musl && chance(&g, 25);
    g.hwcaps = chance(&g, 15);
    g.filters = !g.musl && chance(&g, 15);
    g.cache = !g.musl && chance(&g, 5);
    add_files(&g);
    add_program(&g);
}
