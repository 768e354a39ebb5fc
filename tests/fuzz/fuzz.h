/* fuzz.h: what the fuzzers share. One small program a parser, fuzz_NAME.c, with the entry that libFuzzer and AFL++ know.
 *
 *     make fuzz          clang's libFuzzer with the address and undefined-behaviour sanitizers, FUZZ_SECONDS each (60)
 *     tests/fuzz/run     the same programs with replay.c for a main, by any compiler: the corpus and mutations of it by a seed.
 *                        `make check` and `make check-asan` do that for some seconds
 *
 * A parser may refuse anything, by any error. What it may not: crash, leak, take seconds or hundreds of megabytes for some
 * kilobytes, or accept what it then does not keep to. The last is what FUZZ_HOLDS is for, and each program says what it holds.
 *
 * tests/fuzz/seeds makes what they begin with. corpus/NAME has, as text, what mutation found: mistakes that must not come back, and
 * inputs that reach what no seed does.
 */
#ifndef EM_TESTS_FUZZ_FUZZ_H
#define EM_TESTS_FUZZ_FUZZ_H

#include "base/base.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_HOLDS(condition)                                                                                                  \
    do {                                                                                                                       \
        if (!(condition)) {                                                                                                    \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                     \
            abort();                                                                                                           \
        }                                                                                                                      \
    } while (0)

/* For parsers that are given a path: the input as a file in memory. The path is good until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* The scratch directory, emptied and entered at the first call; gone at the end. */
void fuzz_scratch(void);
/* Some part of the input as a file below the scratch directory; its directory is there. */
void fuzz_put(const char *name, struct em_bytes bytes);
/* Takes the bytes before the next 0x1e (record separator) off the input, or all of it. */
struct em_bytes fuzz_part(struct em_bytes *input);

#endif
