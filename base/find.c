#include "base/find.h"

#include <stddef.h>

#define STEP 64

/* A count that the compiler knows, no branch and bytes alone: this loop becomes a few vector instructions. */
static unsigned has_pair(const uint8_t *at, uint8_t a0, uint8_t a1, uint8_t b0, uint8_t b1)
{
    uint8_t any = 0;

    for (int i = 0; i < STEP; i++)
        any |= (uint8_t)(((at[i] == a0) & (at[i + 1] == a1)) | ((at[i] == b0) & (at[i + 1] == b1)));
    return any;
}

const uint8_t *em_find_pairs(const uint8_t *from, const uint8_t *end, const char *a, const char *b)
{
    const uint8_t a0 = (uint8_t)a[0], a1 = (uint8_t)a[1], b0 = (uint8_t)b[0], b1 = (uint8_t)b[1];

    while (end - from > STEP && !has_pair(from, a0, a1, b0, b1))
        from += STEP;
    for (; end - from >= 2; from++)
        if ((from[0] == a0 && from[1] == a1) || (from[0] == b0 && from[1] == b1))
            return from;
    return NULL;
}
