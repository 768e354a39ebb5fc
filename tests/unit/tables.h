/* The built-in tables, loaded for a group of tests. */
#ifndef TESTS_UNIT_TABLES_H
#define TESTS_UNIT_TABLES_H

#include "tests/unit/arena.h"

#include "bundle/diagnose/knowledge.h"

static struct em_knowledge knowledge;

static int load_tables(void **state)
{
    struct em_error error = EM_ERROR_INIT;
    int r = make_arena(state);

    if (r == 0)
        r = em_knowledge_load(&knowledge, arena, NULL, &error);
    if (r < 0)
        print_error("%s: %s\n", error.path, error.sentence);
    return r;
}

#endif
