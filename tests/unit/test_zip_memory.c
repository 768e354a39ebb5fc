/* An archive that was gone through once is not gone through again: what was learned is in the cache, for this very file, and worth
 * nothing as soon as the file or the cache was touched. */
#include "bundle/tree/zip_room.h"
#include "tests/unit/zip_writer.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SIZE ((size_t)5 << 20)
#define ASKED (SIZE / 2 + 12345)

static uint8_t noise[SIZE], text[SIZE];

/* Noise, which deflate stores, so that pieces end anywhere; and what compresses. */
static int set_up(void **state)
{
    static const struct zip_end end;
    const struct zip_entry entries[] = { { .name = "noise", .data = noise, .data_size = SIZE, .deflate = true },
                                         { .name = "text", .data = text, .data_size = SIZE, .deflate = true },
                                         { .name = "small", .data = "hello", .deflate = true } };
    char cwd[PATH_MAX - 16];
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (uint8_t)(x >> 24);
        text[i] = i / 96 % 2 ? (uint8_t)(x >> 29) : (uint8_t)(i / 4096);
    }
    zip_write("x.whl", entries, 3, &end);
    if (!getcwd(cwd, sizeof cwd))
        return -1;
    strcat(cwd, "/cache");
    setenv("ELFMEND_CACHE", cwd, 1);
    return 0;
}

static struct em_zip *opened(void)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_zip *zip;

    if (em_zip_open(&zip, "x.whl", &error) < 0)
        fail_msg("%s", error.sentence);
    return zip;
}

static int pass_over(void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return EM_OK;
}

static void assert_reads(struct em_zip *zip, const char *name, const uint8_t *data, uint64_t at)
{
    struct em_zip_place place = { zip, em_zip_find(zip, name) };
    struct em_reader reader = em_zip_reader(&place);
    struct em_error error = EM_ERROR_INIT;
    uint8_t piece[100];

    if (em_read_at(&reader, piece, sizeof piece, at, &error) < 0)
        fail_msg("%s", error.sentence);
    assert_memory_equal(piece, data + at, sizeof piece);
}

/* Gone through, asked, found sound, and remembered. */
static void learn(void)
{
    em_cleanup_zip struct em_zip *zip = opened();
    struct em_error error = EM_ERROR_INIT;

    assert_false(em_zip_recall(zip));
    em_vec_each (struct em_zip_member, member, &zip->members)
        assert_int_equal(em_zip_hash(zip, member, pass_over, NULL, &(struct em_sha256){ 0 }, &error), EM_OK);
    assert_reads(zip, "noise", noise, ASKED);
    assert_reads(zip, "text", text, ASKED);
    em_zip_vouch(zip);
    em_zip_remember(zip);
}

static size_t windows_of(const struct em_zip_learned *learned)
{
    size_t count = 0;

    em_vec_each (const struct em_zip_point, point, &learned->points)
        count += point->window != EM_ZIP_NO_WINDOW;
    return count;
}

/* However the pieces of its blocks fall: a gap would make each question an inflate from far away. Around what was asked each chunk
 * can be. */
static void every_megabyte_can_be_entered(void **state)
{
    static const char *const names[] = { "noise", "text" };
    em_cleanup_zip struct em_zip *zip = opened();
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct em_zip_member *member = em_zip_find(zip, names[i]);

        assert_int_equal(em_zip_stream(zip, member, pass_over, NULL, &error), EM_OK);
        for (size_t point = 3; point < SIZE / EM_ZIP_CHUNK; point += 4)
            assert_true(member->learned->points.items[point].window != EM_ZIP_NO_WINDOW);
        assert_true(windows_of(member->learned) < SIZE / EM_ZIP_CHUNK / 2);
        assert_reads(zip, names[i], i ? text : noise, ASKED);
        for (size_t point = ASKED / EM_ZIP_CHUNK - 2; point < ASKED / EM_ZIP_CHUNK; point++)
            assert_true(member->learned->points.items[point].window != EM_ZIP_NO_WINDOW);
    }
}

/* What was inflated for a question is not inflated for the next one, however much was asked in between: here nothing can be any more. */
static void what_was_asked_is_put_by(void **state)
{
    em_cleanup_zip struct em_zip *zip = opened();
    struct em_zip_member *member = em_zip_find(zip, "text");
    struct em_zip_place place = { zip, member };
    struct em_reader reader = em_zip_reader(&place);
    struct em_error error = EM_ERROR_INIT;
    uint8_t piece[1];

    (void)state;
    for (uint64_t chunk = 0; chunk < 3 * EM_ZIP_KEPT; chunk++)
        assert_reads(zip, "text", text, chunk * EM_ZIP_CHUNK + 77);
    member->learned->failed = EM_BAD_ZIP;
    for (uint64_t chunk = 0; chunk < 3 * EM_ZIP_KEPT; chunk++)
        assert_reads(zip, "text", text, chunk * EM_ZIP_CHUNK + 1234);
    assert_int_equal(em_read_at(&reader, piece, 1, 3 * EM_ZIP_KEPT * EM_ZIP_CHUNK, &error), EM_BAD_ZIP);
}

static void what_is_young_is_not_remembered(void **state)
{
    em_cleanup_zip struct em_zip *zip = NULL;

    (void)state;
    utimensat(AT_FDCWD, "x.whl", NULL, 0);
    learn();
    zip = opened();
    assert_false(em_zip_recall(zip));
}

/* Gone through is not sound: whoever held it against RECORD says so. The digests of what it holds are known all the same. */
static void what_nobody_vouches_for_is_not_sound(void **state)
{
    em_cleanup_zip struct em_zip *zip = NULL, *again = NULL;
    struct em_error error = EM_ERROR_INIT;
    struct em_sha256 sha256, wanted;

    (void)state;
    sleep(3); /* the file is no longer young */
    zip = opened();
    assert_int_equal(em_zip_hash(zip, em_zip_find(zip, "noise"), NULL, NULL, &sha256, &error), EM_OK);
    em_zip_remember(zip);
    again = opened();
    assert_false(em_zip_recall(again));
    assert_null(em_zip_find(again, "text")->learned);
    assert_true(em_zip_kept_digest(again, em_zip_find(again, "noise"), &sha256));
    em_sha256_bytes(noise, SIZE, &wanted);
    assert_true(em_sha256_equal(&sha256, &wanted));
    assert_reads(again, "noise", noise, ASKED);
    assert_reads(again, "text", text, ASKED);
}

static void what_was_learned_is_recalled(void **state)
{
    em_cleanup_zip struct em_zip *learned = NULL;
    em_cleanup_zip struct em_zip *zip = NULL;
    const struct em_zip_index *then, *now;
    struct em_zip_member *member;
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    learn();
    learned = opened();
    zip = opened();
    assert_true(em_zip_recall(zip));
    for (size_t i = 0; i < 2; i++) {
        member = em_zip_find(zip, i ? "text" : "noise");
        assert_int_equal(em_zip_index(learned, &learned->members.items[i], &then, &error), EM_OK);
        assert_int_equal(em_zip_index(zip, member, &now, &error), EM_OK);
        assert_int_equal(now->blocks.count, then->blocks.count);
        assert_memory_equal(now->blocks.items, then->blocks.items, now->blocks.count * sizeof *now->blocks.items);
        assert_int_equal(now->blocks.end_bit, then->blocks.end_bit);
        assert_int_equal(now->blocks.last_bit, then->blocks.last_bit);
        assert_memory_equal(now->crcs.items, then->crcs.items, now->crcs.count * sizeof *now->crcs.items);
        assert_int_equal(windows_of(member->learned), 1);
        assert_reads(zip, member->name, i ? text : noise, ASKED);
        assert_true(windows_of(member->learned) <= 2); /* its own, and on the way that of the next */
        /* What was not asked for then is reached from the nearest point, and there is one for it from then on. */
        assert_reads(zip, member->name, i ? text : noise, SIZE - 1000);
        assert_true(windows_of(member->learned) > 5);
        assert_reads(zip, member->name, i ? text : noise, 1000);
    }
    em_zip_remember(zip);
    em_zip_close(zip);
    zip = opened();
    assert_true(em_zip_recall(zip));
    assert_int_equal(windows_of(zip->members.items[0].learned), 2);
}

/* A stream in memory, and from where on somebody may read it. */
struct guarded {
    const uint8_t *bytes;
    uint64_t size, from;
};

static int64_t read_guarded(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    const struct guarded *guarded = context;

    (void)error;
    assert_true(offset >= guarded->from);
    length = length < guarded->size - offset ? length : (size_t)(guarded->size - offset);
    memcpy(buffer, guarded->bytes + offset, length);
    return (int64_t)length;
}

static int pass_pieces(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    (void)at;
    return pass_over(context, bytes, size);
}

static int see_text(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    uint64_t *next = context;

    assert_int_equal(at, *next);
    assert_memory_equal(bytes, text + at, size);
    *next += size;
    return EM_OK;
}

/* A stream that begins as a member does is read from where it no longer does, and is known as well as one that was read: whether the
 * member was gone through now or is remembered. */
static void what_begins_alike_is_known(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_error error = EM_ERROR_INIT;
    struct em_sha256 wanted;

    (void)state;
    em_sha256_bytes(text, SIZE, &wanted);
    for (int turn = 0; turn < 2; turn++) {
        em_cleanup_zip struct em_zip *zip = opened();
        struct em_zip_member *of = em_zip_find(zip, "text");
        struct em_zip_member made = { .name = "made", .size = of->size, .packed = of->packed };
        struct em_zip_place place = { zip, of };
        struct em_reader packed = em_zip_packed_reader(&place);
        uint8_t *stream = em_arena_alloc(arena, (size_t)of->packed);
        struct guarded guarded = { stream, of->packed, 0 };
        struct em_reader reader = { .read = read_guarded, .context = &guarded, .size = of->packed, .name = "made" };
        struct em_sha256 sha256;
        uint64_t from;

        if (turn == 1)
            assert_true(em_zip_recall(zip));
        else
            assert_int_equal(em_zip_hash(zip, of, NULL, NULL, &sha256, &error), EM_OK);
        assert_reads(zip, "text", text, ASKED);
        assert_int_equal(em_read_at(&packed, stream, (size_t)of->packed, 0, &error), EM_OK);
        /* Alike in the file and not in the stream, or the other way round, is not alike. */
        assert_int_equal(em_zip_inherit(zip, &made, of, 1, SIZE, &from), EM_OK);
        assert_int_equal(from, 0);
        assert_int_equal(em_zip_inherit(zip, &made, of, of->packed, EM_ZIP_CHUNK - 1, &from), EM_OK);
        assert_int_equal(from, 0);
        if (!em_hasher_can_leave())
            return;
        assert_int_equal(em_zip_inherit(zip, &made, of, of->packed, ASKED, &from), EM_OK);
        assert_int_equal(from, ASKED / EM_ZIP_CHUNK * EM_ZIP_CHUNK);
        guarded.from = of->learned->points.items[from / EM_ZIP_CHUNK - 1].at.block_bit / 8;
        assert_true(guarded.from > of->packed / 4);
        assert_int_equal(em_zip_learn(zip, &made, &reader, see_text, &from, &sha256, &error), EM_OK);
        assert_int_equal(from, SIZE);
        assert_int_equal(made.crc, of->crc);
        assert_true(em_sha256_equal(&sha256, &wanted));
        assert_memory_equal(em_zip_learned_crcs(&made)->items, of->learned->index.crcs.items,
                            of->learned->index.crcs.count * sizeof(uint32_t));
        assert_int_equal(made.learned->index.blocks.count, of->learned->index.blocks.count);
        assert_memory_equal(made.learned->index.blocks.items, of->learned->index.blocks.items,
                            of->learned->index.blocks.count * sizeof(struct em_block));
        em_zip_same(of, made.learned);
        assert_reads(zip, "text", text, ASKED);
        assert_reads(zip, "text", text, SIZE - 1000);
        assert_reads(zip, "text", text, EM_ZIP_CHUNK + 1000);
    }
}

/* The new stream is the old one up to a block that ends just before a chunk does, and behind it wrong within that chunk, where nothing
 * should have changed: nothing of what comes behind the seam is taken for known. */
static void what_a_new_block_says_is_read(void **state)
{
    const size_t border = 12 * EM_ZIP_CHUNK - 30, change = 12 * EM_ZIP_CHUNK + 5000;
    const struct zip_entry entry = { .name = "text", .data = text, .data_size = SIZE, .deflate = true, .border = border };
    static const struct zip_end end;
    static uint8_t wrong[SIZE], stream[SIZE];
    em_cleanup_zip struct em_zip *zip = NULL;
    struct em_error error = EM_ERROR_INIT;
    struct em_sha256 sha256, wanted;
    struct em_zip_member *of, made;
    struct em_zip_place place;
    struct em_reader packed, reader;
    struct guarded guarded = { stream, 0, 0 };
    uint64_t from;
    size_t i = 0;

    (void)state;
    zip_write("border.whl", &entry, 1, &end);
    assert_int_equal(em_zip_open(&zip, "border.whl", &error), EM_OK);
    of = em_zip_find(zip, "text");
    assert_int_equal(em_zip_hash(zip, of, NULL, NULL, &sha256, &error), EM_OK);
    while (of->learned->index.blocks.items[i].out < border)
        i++;
    assert_int_equal(of->learned->index.blocks.items[i].out, border);
    place = (struct em_zip_place){ zip, of };
    packed = em_zip_packed_reader(&place);
    guarded.size = raw_deflate(text, border, border, stream, SIZE) - 2; /* without the last block, which is empty */
    assert_int_equal(em_read_at(&packed, stream, (size_t)guarded.size, 0, &error), EM_OK);

    memcpy(wrong, text, SIZE);
    wrong[change] ^= 1;
    em_sha256_bytes(wrong, SIZE, &wanted);
    wrong[12 * EM_ZIP_CHUNK - 20] ^= 1;
    made = (struct em_zip_member){ .name = "made", .size = SIZE };
    assert_int_equal(em_zip_inherit(zip, &made, of, guarded.size, change, &from), EM_OK);
    assert_true(from <= border);
    assert_true(from > 0 || !em_hasher_can_leave());
    guarded.size += raw_deflate(wrong + border, SIZE - border, 0, stream + guarded.size, SIZE - (size_t)guarded.size);
    made.packed = guarded.size;
    reader = (struct em_reader){ .read = read_guarded, .context = &guarded, .size = guarded.size, .name = "made" };
    assert_int_equal(em_zip_learn(zip, &made, &reader, pass_pieces, NULL, &sha256, &error), EM_OK);
    assert_false(em_sha256_equal(&sha256, &wanted));
    em_sha256_bytes(wrong, SIZE, &wanted);
    assert_true(em_sha256_equal(&sha256, &wanted));
    assert_int_equal(made.crc, crc32(0, wrong, SIZE));
}

static void a_damaged_memory_is_none(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    DIR *cache = opendir("cache/known");
    char path[PATH_MAX] = "";
    struct em_bytes bytes;
    struct dirent *entry;

    (void)state;
    assert_non_null(cache);
    while ((entry = readdir(cache)) != NULL)
        if (entry->d_name[0] != '.')
            snprintf(path, sizeof path, "cache/known/%s", entry->d_name);
    closedir(cache);
    assert_int_equal(em_read_file_at(AT_FDCWD, path, 16 << 20, arena, &bytes, NULL), EM_OK);
    for (size_t i = 0; i < 40; i++) {
        em_cleanup_fd int fd = open(path, O_WRONLY | O_TRUNC);
        size_t at = i < 20 ? i * 4 : (bytes.size / 20) * (i - 20), cut = i % 2 ? at : bytes.size;
        em_cleanup_zip struct em_zip *zip = opened();
        uint8_t *copy = em_arena_alloc(arena, bytes.size);

        memcpy(copy, bytes.data, bytes.size);
        copy[at] ^= 0x10;
        assert_int_equal(em_write_all(fd, copy, cut, path, NULL), EM_OK);
        assert_false(em_zip_recall(zip));
        assert_reads(zip, "text", text, ASKED);
    }
    {
        em_cleanup_fd int fd = open(path, O_WRONLY | O_TRUNC);
        em_cleanup_zip struct em_zip *zip = opened();

        assert_int_equal(em_write_all(fd, bytes.data, bytes.size, path, NULL), EM_OK);
        assert_true(em_zip_recall(zip));
    }
}

/* Else who writes there says what is sound. */
static void a_memory_that_others_may_write_is_none(void **state)
{
    em_cleanup_zip struct em_zip *zip = opened();

    (void)state;
    assert_int_equal(chmod("cache/known", 0777), 0);
    assert_false(em_zip_recall(zip));
    assert_int_equal(chmod("cache/known", 0700), 0);
    assert_true(em_zip_recall(zip));
}

static void a_file_that_was_written_to_is_another(void **state)
{
    em_cleanup_zip struct em_zip *zip = NULL;
    struct timespec times[2];
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(stat("x.whl", &st), 0);
    fd = open("x.whl", O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, st.st_size / 2), 1);
    close(fd);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    assert_int_equal(utimensat(AT_FDCWD, "x.whl", times, 0), 0);
    zip = opened();
    assert_false(em_zip_recall(zip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_megabyte_can_be_entered),          cmocka_unit_test(what_was_asked_is_put_by),
        cmocka_unit_test(what_is_young_is_not_remembered),        cmocka_unit_test(what_nobody_vouches_for_is_not_sound),
        cmocka_unit_test(what_was_learned_is_recalled),           cmocka_unit_test(what_begins_alike_is_known),
        cmocka_unit_test(what_a_new_block_says_is_read),          cmocka_unit_test(a_damaged_memory_is_none),
        cmocka_unit_test(a_memory_that_others_may_write_is_none), cmocka_unit_test(a_file_that_was_written_to_is_another),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
