/* hash.h: SHA-256 for what others check (RECORD, pins), XXH3-128 for what only we compare (plans, journals, caches).
 *
 *     r = em_hasher_new(&hasher, error);                 EM_NO_MEMORY; EM_NOT_FOUND: no libcrypto (library.h). NULL then
 *     em_hasher_add(hasher, data, size); em_hasher_end(hasher, &digest);   ready for the next file then
 *     em_hasher_free(hasher);
 *     em_hasher_new_both, em_hasher_end_both             the same with both digests
 *     em_hasher_leave(hasher, &state)                    where it stands; a hasher that enters there has seen the same bytes
 *
 * Threads: a hasher belongs to one thread.
 */
#ifndef EM_BASE_HASH_H
#define EM_BASE_HASH_H

#include "base/error.h"
#include "base/reader.h"

struct em_sha256 {
    uint8_t bytes[32];
};
struct em_xxh3 {
    uint8_t bytes[16];
};

struct em_hasher;
int em_hasher_new(struct em_hasher **hasher, struct em_error *error);
int em_hasher_new_both(struct em_hasher **hasher, struct em_error *error);
void em_hasher_free(struct em_hasher *hasher);
void em_hasher_add(struct em_hasher *hasher, const void *data, size_t size);
/* To each as many bytes: hardly dearer than to one, on a processor with instructions for SHA-256 (base/sha256.h). */
void em_hasher_add_two(struct em_hasher *a, const void *data_a, struct em_hasher *b, const void *data_b, size_t size);
void em_hasher_end(struct em_hasher *hasher, struct em_sha256 *digest);
/* Between two blocks of 64 bytes of SHA-256, on a processor with instructions for it (em_hasher_can_leave): libcrypto does not say where
 * it stands. False: not here. A new hasher enters behind the size bytes that made the state, on such a processor. */
struct em_sha256_state {
    uint32_t words[8];
};
bool em_hasher_can_leave(void);
bool em_hasher_leave(const struct em_hasher *hasher, struct em_sha256_state *state);
void em_hasher_enter(struct em_hasher *hasher, const struct em_sha256_state *state, uint64_t size);
void em_hasher_end_both(struct em_hasher *hasher, struct em_sha256 *sha256, struct em_xxh3 *xxh3);

static inline void em_hasher_freep(struct em_hasher **hasher)
{
    em_hasher_free(*hasher);
}
#define em_cleanup_hasher __attribute__((cleanup(em_hasher_freep)))

int em_sha256_bytes(const void *data, size_t size, struct em_sha256 *digest);
/* Both hashes in one pass; either may be NULL. Reads in pieces: memory stays flat. */
int em_hash_reader(struct em_reader *reader, struct em_sha256 *sha256, struct em_xxh3 *xxh3, struct em_error *error);

/* The digest of all that reader has, by the name that libcrypto has for it ("sha512"), spelled as RECORD does. EM_UNSUPPORTED without a
 * sentence: libcrypto has none of that name. */
#define EM_DIGEST_BASE64_SIZE 87 /* of 64 bytes, the longest that libcrypto has */
int em_digest_reader(struct em_reader *reader, const char *name, char text[EM_DIGEST_BASE64_SIZE], struct em_error *error);

/* 32 to 128 hexadecimal digits, spelled as RECORD does. */
bool em_digest_from_hex(const char *hex, char text[EM_DIGEST_BASE64_SIZE]);

/* RECORD spells a digest in URL-safe base64 without padding (PEP 376, RFC 4648 section 5): 43 characters. */
#define EM_SHA256_BASE64_SIZE 44
#define EM_SHA256_HEX_SIZE 65
#define EM_XXH3_HEX_SIZE 33
void em_sha256_base64(const struct em_sha256 *digest, char text[EM_SHA256_BASE64_SIZE]);
bool em_sha256_from_base64(const char *text, struct em_sha256 *digest);
void em_sha256_hex(const struct em_sha256 *digest, char text[EM_SHA256_HEX_SIZE]);
bool em_sha256_from_hex(const char *text, struct em_sha256 *digest);
void em_xxh3_hex(const struct em_xxh3 *digest, char text[EM_XXH3_HEX_SIZE]);
bool em_xxh3_from_hex(const char *text, struct em_xxh3 *digest);

bool em_sha256_equal(const struct em_sha256 *a, const struct em_sha256 *b);
bool em_xxh3_equal(const struct em_xxh3 *a, const struct em_xxh3 *b);

#endif
