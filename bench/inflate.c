/* inflate WHEEL: inflates each member by libdeflate, whole and in memory, and takes its CRC-32 and its SHA-256 by libcrypto, and does
 * nothing else: the least that holding a wheel against its RECORD can cost. */
#include <libdeflate.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <zip.h>

static void die(const char *what)
{
    fprintf(stderr, "inflate: %s\n", what);
    exit(1);
}

static void check(zip_t *zip, zip_uint64_t index, struct libdeflate_decompressor *decompressor)
{
    unsigned char digest[EVP_MAX_MD_SIZE], *packed, *plain;
    zip_file_t *file;
    zip_stat_t st;

    if (zip_stat_index(zip, index, 0, &st) < 0)
        die("a member cannot be examined");
    packed = malloc(st.comp_size + 1);
    plain = malloc(st.size + 1);
    file = zip_fopen_index(zip, index, ZIP_FL_COMPRESSED);
    if (!packed || !plain || !file || zip_fread(file, packed, st.comp_size) != (zip_int64_t)st.comp_size)
        die("a member cannot be read");
    zip_fclose(file);
    if (st.comp_method == ZIP_CM_DEFLATE &&
        libdeflate_deflate_decompress(decompressor, packed, st.comp_size, plain, st.size, NULL) != LIBDEFLATE_SUCCESS)
        die("a member cannot be inflated");
    if (libdeflate_crc32(0, st.comp_method == ZIP_CM_DEFLATE ? plain : packed, st.size) != st.crc)
        die("a member has another CRC");
    EVP_Digest(st.comp_method == ZIP_CM_DEFLATE ? plain : packed, st.size, digest, NULL, EVP_sha256(), NULL);
    free(packed);
    free(plain);
}

int main(int argc, char **argv)
{
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    zip_t *zip = argc == 2 ? zip_open(argv[1], ZIP_RDONLY, NULL) : NULL;

    if (!zip || !decompressor)
        die("usage: inflate WHEEL");
    for (zip_int64_t i = 0; i < zip_get_num_entries(zip, 0); i++)
        check(zip, (zip_uint64_t)i, decompressor);
    zip_discard(zip);
    libdeflate_free_decompressor(decompressor);
    return 0;
}
