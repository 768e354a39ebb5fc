/* An arena as set-up and tear-down, of a group of tests or of each one; with what cmocka wants before it. */
#ifndef TESTS_UNIT_ARENA_H
#define TESTS_UNIT_ARENA_H

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct em_arena *arena;

static int make_arena(void **state)
{
    (void)state;
    arena = em_arena_new();
    return arena ? 0 : -1;
}

static int free_arena(void **state)
{
    (void)state;
    em_arena_free(arena);
    return 0;
}

#endif
