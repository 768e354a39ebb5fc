/* random.h: the same numbers on every machine, from a seed that a test sets and prints (splitmix64). */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static uint64_t seed;

static uint64_t random64(void)
{
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Below limit; 0 for a limit of 0. */
static size_t below(size_t limit)
{
    return limit ? (size_t)(random64() % limit) : 0;
}

#endif
