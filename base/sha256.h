/* sha256.h: SHA-256 (FIPS 180-4) by the instructions that x86 processors have for it, of one stream or of two at once. Private to
 * hash.c, which takes libcrypto where there are none.
 *
 * libcrypto knows the same instructions, and one stream. That one leaves half of the processor idle, since each step waits for the one
 * before it; of two streams that do not wait for each other the second is nearly free: 1.7 times the bytes a second, on one core.
 *
 *     if (em_sha256_is_here()) ...
 *     em_sha256_begin(&stream); em_sha256_add(&stream, data, size); em_sha256_end(&stream, digest)
 *     em_sha256_add_two(&a, data_a, &b, data_b, size)      to each of two streams as many bytes
 *
 * Threads: a stream belongs to one thread.
 */
#ifndef EM_BASE_SHA256_H
#define EM_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct em_sha256_stream {
    uint32_t state[8];
    uint64_t size;
    uint8_t rest[64]; /* size % 64 bytes that do not fill a block yet */
};

bool em_sha256_is_here(void);
void em_sha256_begin(struct em_sha256_stream *stream);
void em_sha256_add(struct em_sha256_stream *stream, const void *data, size_t size);
void em_sha256_add_two(struct em_sha256_stream *a, const void *data_a, struct em_sha256_stream *b, const void *data_b,
                       size_t size);
void em_sha256_end(struct em_sha256_stream *stream, uint8_t digest[32]);

#endif
