#include "base/hash.h"

#include "base/files.h"
#include "base/library.h"
#include "base/sha256.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL /* a library less to load at each start */
#include <xxhash.h>

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

/* Large enough that a read costs little beside hashing it, small enough to stay in the second-level cache. */
#define PIECE ((size_t)256 * 1024)

#define LIBCRYPTO(X)                                                                                                           \
    X(EVP_DigestFinal_ex)                                                                                                      \
    X(EVP_DigestInit_ex)                                                                                                       \
    X(EVP_DigestUpdate)                                                                                                        \
    X(EVP_MD_CTX_free)                                                                                                         \
    X(EVP_MD_CTX_new)                                                                                                          \
    X(EVP_get_digestbyname)                                                                                                    \
    X(EVP_sha256)

static struct {
    LIBCRYPTO(EM_LIBRARY_FIELD)
} crypto;

static int open_crypto(struct em_error *error)
{
    static const char *const names[] = { LIBCRYPTO(EM_LIBRARY_NAME) };
    static struct em_library library = { "libcrypto.so." TEXT(OPENSSL_SHLIB_VERSION), names, sizeof names / sizeof *names,
                                         &crypto, false };

    return em_library_open(&library, error);
}

/* By the processor's own instructions where there are any, else by libcrypto. */
struct em_hasher {
    EVP_MD_CTX *context; /* NULL: own */
    struct em_sha256_stream own;
    XXH3_state_t *quick; /* NULL: SHA-256 alone */
};

static int init_context(struct em_hasher *hasher, struct em_error *error)
{
    int r = open_crypto(error);

    if (r < 0)
        return r;
    hasher->context = crypto.EVP_MD_CTX_new();
    return hasher->context && crypto.EVP_DigestInit_ex(hasher->context, crypto.EVP_sha256(), NULL) ? EM_OK : EM_NO_MEMORY;
}

int em_hasher_new(struct em_hasher **hasher, struct em_error *error)
{
    struct em_hasher *made = calloc(1, sizeof *made);
    int r = EM_OK;

    *hasher = NULL;
    if (!made)
        return EM_NO_MEMORY;
    if (em_sha256_is_here())
        em_sha256_begin(&made->own);
    else
        r = init_context(made, error);
    if (r == EM_OK)
        *hasher = made;
    else
        em_hasher_free(made);
    return r;
}

int em_hasher_new_both(struct em_hasher **hasher, struct em_error *error)
{
    int r = em_hasher_new(hasher, error);

    if (r < 0)
        return r;
    (*hasher)->quick = XXH3_createState();
    if ((*hasher)->quick) {
        XXH3_128bits_reset((*hasher)->quick);
        return EM_OK;
    }
    em_hasher_free(*hasher);
    *hasher = NULL;
    return EM_NO_MEMORY;
}

void em_hasher_free(struct em_hasher *hasher)
{
    if (!hasher)
        return;
    if (hasher->context)
        crypto.EVP_MD_CTX_free(hasher->context);
    XXH3_freeState(hasher->quick);
    free(hasher);
}

static void add_quick(struct em_hasher *hasher, const void *data, size_t size)
{
    if (hasher->quick)
        XXH3_128bits_update(hasher->quick, data, size);
}

void em_hasher_add(struct em_hasher *hasher, const void *data, size_t size)
{
    add_quick(hasher, data, size);
    if (hasher->context)
        crypto.EVP_DigestUpdate(hasher->context, data, size);
    else
        em_sha256_add(&hasher->own, data, size);
}

void em_hasher_add_two(struct em_hasher *a, const void *data_a, struct em_hasher *b, const void *data_b, size_t size)
{
    if (a->context || b->context) {
        em_hasher_add(a, data_a, size);
        em_hasher_add(b, data_b, size);
        return;
    }
    add_quick(a, data_a, size);
    add_quick(b, data_b, size);
    em_sha256_add_two(&a->own, data_a, &b->own, data_b, size);
}

void em_hasher_end(struct em_hasher *hasher, struct em_sha256 *digest)
{
    if (hasher->context) {
        crypto.EVP_DigestFinal_ex(hasher->context, digest->bytes, NULL);
        crypto.EVP_DigestInit_ex(hasher->context, NULL, NULL);
        return;
    }
    em_sha256_end(&hasher->own, digest->bytes);
    em_sha256_begin(&hasher->own);
}

bool em_hasher_can_leave(void)
{
    return em_sha256_is_here();
}

bool em_hasher_leave(const struct em_hasher *hasher, struct em_sha256_state *state)
{
    if (hasher->context || hasher->own.size % sizeof hasher->own.rest != 0)
        return false;
    memcpy(state->words, hasher->own.state, sizeof state->words);
    return true;
}

void em_hasher_enter(struct em_hasher *hasher, const struct em_sha256_state *state, uint64_t size)
{
    memcpy(hasher->own.state, state->words, sizeof state->words);
    hasher->own.size = size;
}

static void end_quick(XXH3_state_t *state, struct em_xxh3 *digest)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(digest->bytes, canonical.digest, sizeof digest->bytes);
    XXH3_128bits_reset(state);
}

void em_hasher_end_both(struct em_hasher *hasher, struct em_sha256 *sha256, struct em_xxh3 *xxh3)
{
    em_hasher_end(hasher, sha256);
    end_quick(hasher->quick, xxh3);
}

int em_sha256_bytes(const void *data, size_t size, struct em_sha256 *digest)
{
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    int r = em_hasher_new(&hasher, NULL);

    if (r < 0)
        return r;
    em_hasher_add(hasher, data, size);
    em_hasher_end(hasher, digest);
    return EM_OK;
}

int em_hash_reader(struct em_reader *reader, struct em_sha256 *sha256, struct em_xxh3 *xxh3, struct em_error *error)
{
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    em_cleanup_free uint8_t *piece = malloc(PIECE);
    XXH3_state_t *state = XXH3_createState();
    int r = em_reader_check_holes(reader, error);

    if (r == EM_OK && sha256)
        r = em_hasher_new(&hasher, error);
    if (r == EM_OK && (!piece || !state))
        r = EM_NO_MEMORY;
    if (r < 0)
        goto done;
    XXH3_128bits_reset(state);
    for (uint64_t at = 0; at < reader->size; at += PIECE) {
        size_t length = reader->size - at < PIECE ? (size_t)(reader->size - at) : PIECE;

        r = em_read_at(reader, piece, length, at, error);
        if (r < 0)
            goto done;
        if (sha256)
            em_hasher_add(hasher, piece, length);
        if (xxh3)
            XXH3_128bits_update(state, piece, length);
    }
    if (sha256)
        em_hasher_end(hasher, sha256);
    if (xxh3)
        end_quick(state, xxh3);
    r = EM_OK;
done:
    XXH3_freeState(state);
    return r;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void to_base64(const uint8_t *bytes, size_t size, char *text)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t out = 0;

    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 6; count -= 6)
            text[out++] = base64_alphabet[bits >> (count - 6) & 63];
    }
    if (count > 0)
        text[out++] = base64_alphabet[bits << (6 - count) & 63];
    text[out] = '\0';
}

/* The place in the alphabet above, from 1; 0: no letter of it. Every row of every RECORD is read by it, hence a table. */
static const uint8_t base64_places[UINT8_MAX + 1] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10,
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20,
    ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,
    ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
    ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

void em_sha256_base64(const struct em_sha256 *digest, char text[EM_SHA256_BASE64_SIZE])
{
    to_base64(digest->bytes, sizeof digest->bytes, text);
}

int em_digest_reader(struct em_reader *reader, const char *name, char text[EM_DIGEST_BASE64_SIZE], struct em_error *error)
{
    em_cleanup_free uint8_t *piece = malloc(PIECE);
    EVP_MD_CTX *context = NULL;
    const EVP_MD *kind = NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int r = em_reader_check_holes(reader, error);

    if (r == EM_OK)
        r = open_crypto(error);
    if (r < 0)
        return r;
    kind = crypto.EVP_get_digestbyname(name);
    context = crypto.EVP_MD_CTX_new();
    if (!piece || !context)
        r = EM_NO_MEMORY;
    else if (!kind || !crypto.EVP_DigestInit_ex(context, kind, NULL))
        r = EM_UNSUPPORTED;
    for (uint64_t at = 0; r == EM_OK && at < reader->size; at += PIECE) {
        size_t length = reader->size - at < PIECE ? (size_t)(reader->size - at) : PIECE;

        r = em_read_at(reader, piece, length, at, error);
        if (r == EM_OK)
            crypto.EVP_DigestUpdate(context, piece, length);
    }
    if (r == EM_OK) {
        crypto.EVP_DigestFinal_ex(context, digest, &size);
        to_base64(digest, size, text);
    }
    crypto.EVP_MD_CTX_free(context);
    return r;
}

bool em_sha256_from_base64(const char *text, struct em_sha256 *digest)
{
    size_t length = strlen(text), out = 0;
    uint32_t bits = 0;

    while (length > 0 && text[length - 1] == '=') /* some writers pad */
        length--;
    if (length != EM_SHA256_BASE64_SIZE - 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        uint8_t place = base64_places[(uint8_t)text[i]];

        if (place == 0)
            return false;
        bits = bits << 6 | (uint32_t)(place - 1);
        if (i % 4 != 0) /* four letters are three bytes; the first completes none */
            digest->bytes[out++] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    return true;
}

static void to_hex(const uint8_t *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
}

static bool from_hex(const char *text, uint8_t *bytes, size_t size)
{
    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < 2 * size; i++) {
        char c = text[i];
        int digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        else
            return false;
        bytes[i / 2] = (uint8_t)(i % 2 ? bytes[i / 2] | digit : digit << 4);
    }
    return true;
}

void em_sha256_hex(const struct em_sha256 *digest, char text[EM_SHA256_HEX_SIZE])
{
    to_hex(digest->bytes, sizeof digest->bytes, text);
}

bool em_sha256_from_hex(const char *text, struct em_sha256 *digest)
{
    return from_hex(text, digest->bytes, sizeof digest->bytes);
}

void em_xxh3_hex(const struct em_xxh3 *digest, char text[EM_XXH3_HEX_SIZE])
{
    to_hex(digest->bytes, sizeof digest->bytes, text);
}

bool em_xxh3_from_hex(const char *text, struct em_xxh3 *digest)
{
    return from_hex(text, digest->bytes, sizeof digest->bytes);
}

bool em_sha256_equal(const struct em_sha256 *a, const struct em_sha256 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool em_xxh3_equal(const struct em_xxh3 *a, const struct em_xxh3 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool em_digest_from_hex(const char *hex, char text[EM_DIGEST_BASE64_SIZE])
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    const size_t size = strlen(hex) / 2;

    if (size > sizeof bytes || !from_hex(hex, bytes, size))
        return false;
    to_base64(bytes, size, text);
    return true;
}
