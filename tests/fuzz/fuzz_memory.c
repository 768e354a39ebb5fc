/* What is remembered of an archive that was gone through before. The input says what is different from the true memory: places, in
 * words of eight bytes, two bytes each, and the word that stands there instead; one byte more at the end cuts so many words off. The
 * digest behind it all is made right, or it would end there. Holds: what is read with the help of such a memory is what the archive
 * has, or is refused; and a stream that begins as the member does, which is not read where it is known, ends somewhere.
 */
#include "bundle/tree/zip_room.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/zip_writer.h"

#include <dirent.h>
#include <limits.h>

#define LIBRARY (2 * (size_t)EM_ZIP_CHUNK + 70000) /* bytes: two points, and an end that is no whole chunk */
#define FILLER ((size_t)4 << 20)                   /* below that no archive is remembered */
#define RECORD 10u                                 /* bytes of the input for one word */

static struct {
    uint8_t library[LIBRARY];
    char path[PATH_MAX];
    uint8_t *words; /* the true memory, without its digest */
    size_t size;
} stage;

static int pass_over(void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return EM_OK;
}

static void open_archive(struct em_zip **zip)
{
    FUZZ_HOLDS(em_zip_open(zip, "x.whl", NULL) == EM_OK);
    /* It was made a moment ago. */
    (*zip)->is_fresh = false;
}

static bool reads(struct em_zip *zip, size_t at, uint8_t *bytes, size_t size)
{
    struct em_zip_place place = { zip, em_zip_find(zip, "lib.so") };
    struct em_reader reader = em_zip_reader(&place);

    return em_read_at(&reader, bytes, size, at, NULL) == EM_OK;
}

static const size_t places[] = { 100, EM_ZIP_CHUNK - 8, EM_ZIP_CHUNK + 3000, 2 * EM_ZIP_CHUNK + 1, LIBRARY - 16 };
#define PLACES (sizeof places / sizeof *places)

static void write_archive(void)
{
    static uint8_t filler[FILLER];
    const struct zip_entry entries[] = { { .name = "filler", .data = filler, .data_size = FILLER },
                                         { .name = "lib.so", .data = stage.library, .data_size = LIBRARY, .deflate = true } };
    static const struct zip_end end;
    uint32_t x = 1;

    for (size_t i = 0; i < LIBRARY; i++) {
        x = x * 1664525 + 1013904223;
        stage.library[i] = i / 96 % 2 ? (uint8_t)(x >> 29) : (uint8_t)(i / 4096);
    }
    zip_write("x.whl", entries, 2, &end);
}

static void learn(void)
{
    em_cleanup_zip struct em_zip *zip = NULL;
    uint8_t byte;

    open_archive(&zip);
    em_vec_each (struct em_zip_member, member, em_zip_members(zip))
        FUZZ_HOLDS(em_zip_stream(zip, member, pass_over, NULL, NULL) == EM_OK);
    for (size_t i = 0; i < PLACES; i++)
        FUZZ_HOLDS(reads(zip, places[i], &byte, 1));
    em_zip_vouch(zip);
    em_zip_remember(zip);
}

/* The only file of the cache. */
static void find_memory(struct em_arena *arena)
{
    DIR *stream = opendir("cache/known");
    const struct dirent *entry;
    struct em_bytes bytes;

    FUZZ_HOLDS(stream);
    while ((entry = readdir(stream)))
        if (entry->d_name[0] != '.')
            snprintf(stage.path, sizeof stage.path, "cache/known/%s", entry->d_name);
    closedir(stream);
    FUZZ_HOLDS(em_read_file_at(AT_FDCWD, stage.path, EM_MAX_ZIP_MEMORY, arena, &bytes, NULL) == EM_OK);
    stage.size = bytes.size - sizeof(struct em_xxh3);
    stage.words = malloc(stage.size);
    FUZZ_HOLDS(stage.words && stage.size % 8 == 0);
    memcpy(stage.words, bytes.data, stage.size);
}

static void prepare(void)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    char cwd[PATH_MAX - 16];

    fuzz_scratch();
    FUZZ_HOLDS(getcwd(cwd, sizeof cwd));
    strcat(cwd, "/cache");
    setenv("ELFMEND_CACHE", cwd, 1);
    write_archive();
    learn();
    find_memory(arena);
}

/* The memory as the input has it, with a digest. */
static void write_memory(const uint8_t *data, size_t size)
{
    uint8_t *changed = malloc(stage.size + sizeof(struct em_xxh3));
    struct em_bytes whole = { changed, stage.size };
    struct em_reader reader;
    struct em_xxh3 digest;

    FUZZ_HOLDS(changed);
    memcpy(changed, stage.words, stage.size);
    for (; size >= RECORD; data += RECORD, size -= RECORD) {
        size_t place = (size_t)(data[0] | data[1] << 8) % (stage.size / 8);

        memcpy(changed + place * 8, data + 2, 8);
    }
    if (size > 0)
        whole.size -= data[0] * (size_t)8 < stage.size ? data[0] * (size_t)8 : stage.size;
    reader = em_reader_memory(&whole, "memory");
    FUZZ_HOLDS(em_hash_reader(&reader, NULL, &digest, NULL) == EM_OK);
    memcpy(changed + whole.size, digest.bytes, sizeof digest.bytes);
    whole.size += sizeof digest.bytes;
    fuzz_put(stage.path, whole);
    free(changed);
}

static int pass_piece(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    (void)context, (void)at, (void)bytes, (void)size;
    return EM_OK;
}

/* The member's own stream as that of another, whole or cut off where the input says. A memory that lies may have taught another
 * digest; one that does not has not. */
static void inherit(struct em_zip *zip, const uint8_t *data, size_t size)
{
    struct em_zip_member *of = em_zip_find(zip, "lib.so");
    struct em_zip_member made = { .name = "made", .size = of->size, .packed = of->packed };
    struct em_zip_place place = { zip, of };
    struct em_reader packed = em_zip_packed_reader(&place);
    struct em_sha256 sha256, wanted;
    uint64_t from, alike = size > 1 ? (data[0] | data[1] << 8) * (uint64_t)LIBRARY >> 16 : LIBRARY;

    FUZZ_HOLDS(em_zip_inherit(zip, &made, of, of->packed, alike, &from) == EM_OK);
    FUZZ_HOLDS(from <= alike);
    if (em_zip_learn(zip, &made, &packed, pass_piece, NULL, &sha256, NULL) < 0) {
        FUZZ_HOLDS(size > 0);
    } else if (size == 0) {
        em_sha256_bytes(stage.library, LIBRARY, &wanted);
        FUZZ_HOLDS(em_sha256_equal(&sha256, &wanted));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_zip struct em_zip *zip = NULL;
    bool known;

    if (!stage.words)
        prepare();
    write_memory(data, size);
    open_archive(&zip);
    /* Of one that is not called sound the members are known all the same. */
    known = em_zip_recall(zip) || em_zip_find(zip, "lib.so")->learned;
    FUZZ_HOLDS(known || size > 0);
    for (size_t i = 0; i < PLACES; i++) {
        uint8_t bytes[16];

        if (reads(zip, places[i], bytes, sizeof bytes))
            FUZZ_HOLDS(memcmp(bytes, stage.library + places[i], sizeof bytes) == 0);
        else
            FUZZ_HOLDS(known);
    }
    inherit(zip, data, size);
    return 0;
}
