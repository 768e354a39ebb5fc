/* find.h: short patterns in a lot of bytes.
 *
 * Who looks for ".so" in hundreds of megabytes, or for the magic of a container, meets the first two bytes of it rarely and the rest
 * almost never. em_find_pairs goes to the next place where one of two pairs stands, many bytes at a step; what follows there is the
 * caller's to compare. memmem(3) goes byte by byte.
 *
 *     for (at = bytes; (at = em_find_pairs(at, end, ".s", ".s")) != NULL; at++)
 *         if (end - at >= 3 && at[2] == 'o') ...
 *
 * A pair that ends behind end is not found.
 */
#ifndef EM_BASE_FIND_H
#define EM_BASE_FIND_H

#include <stdint.h>

/* The first place where the two bytes of a, or those of b, stand; NULL: there is none. a and b have two bytes each; the same twice is
 * one pair. */
const uint8_t *em_find_pairs(const uint8_t *from, const uint8_t *end, const char *a, const char *b);

#endif
