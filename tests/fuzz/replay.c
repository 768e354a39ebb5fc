/* replay SECONDS SEED PATH...: a main for a fuzzer where there is no libFuzzer. Each file, and each file below each directory, is
 * given to the parser as it is; then mutations of them, by SEED, until SECONDS of processor time are over (0:
 * no mutations). The input that is at work lies in the file replay.input, so that a crash leaves what did it. Prints how many
 * inputs were run.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MOST ((size_t)1 << 20)
#define FENCE ((size_t)1 << 16) /* a page, whatever its size */

struct input {
    const uint8_t *data;
    size_t size;
};

static struct {
    struct em_arena *arena;
    struct {
        EM_VEC(struct input);
    } inputs;
    uint8_t *shown; /* the mapped replay.input: the length, then the bytes */
    uint8_t *fence; /* MOST bytes lie before it, and it may not be touched */
    uint64_t random;
    unsigned long runs;
} replay;

static uint64_t chance(uint64_t below)
{
    /* xorshift64* (Vigna): any generator would do that gives the same everywhere. */
    replay.random ^= replay.random >> 12;
    replay.random ^= replay.random << 25;
    replay.random ^= replay.random >> 27;
    return below ? replay.random * 0x2545f4914f6cdd1dull % below : 0;
}

static void show(const uint8_t *data, size_t size)
{
    const uint64_t length = size;

    memcpy(replay.shown, &length, sizeof length);
    if (size > 0)
        memcpy(replay.shown + sizeof length, data, size);
    replay.runs++;
    /* Behind its last byte nothing may be read: so that one too far is seen without a sanitizer too. */
    if (size > 0)
        memcpy(replay.fence - size, data, size);
    LLVMFuzzerTestOneInput(replay.fence - size, size);
}

static void gather(const char *path)
{
    DIR *stream = opendir(path);
    struct input input;
    struct em_bytes bytes;

    if (stream) {
        const struct dirent *entry;

        while ((entry = readdir(stream)))
            if (entry->d_name[0] != '.')
                gather(em_path_join(replay.arena, path, entry->d_name));
        closedir(stream);
        return;
    }
    if (em_read_file_at(AT_FDCWD, path, MOST, replay.arena, &bytes, NULL) < 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    input = (struct input){ bytes.data, bytes.size };
    if (em_vec_push(replay.arena, &replay.inputs, input) < 0)
        abort();
}

static int input_order(const void *a, const void *b)
{
    const struct input *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);

    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Some bytes changed, put in, taken out or doubled, or the tail of another. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint32_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x1e };

    for (uint64_t left = 1 + chance(6); left > 0 && size > 0; left--) {
        size_t at = (size_t)chance(size), length = 1 + (size_t)chance(size - at < 16 ? size - at : 16);
        const struct input *other = &replay.inputs.items[chance(replay.inputs.count)];
        uint32_t value = odd[chance(sizeof odd / sizeof *odd)];

        switch (chance(6)) {
        case 0: data[at] ^= (uint8_t)(1u << chance(8)); break;
        case 1: data[at] = (uint8_t)chance(256); break;
        case 2: memcpy(data + at, &value, size - at < 4 ? size - at : 4); break;
        case 3:
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        case 4:
            if (size + length > MOST)
                break;
            memmove(data + at + length, data + at, size - at);
            size += length;
            break;
        case 5:
            if (other->size > at) {
                memcpy(data + at, other->data + at, other->size - at);
                size = other->size;
            }
            break;
        }
    }
    return size;
}

static double seconds_used(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    em_cleanup_fd int fd = open("replay.input", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    double end = argc > 2 ? strtod(argv[1], NULL) : 0;
    uint8_t *data = malloc(MOST);

    if (argc < 4 || !data || fd < 0 || ftruncate(fd, MOST + 8) < 0) {
        fprintf(stderr, "usage: replay SECONDS SEED PATH...\n");
        return 2;
    }
    replay.shown = mmap(NULL, MOST + 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    replay.fence = mmap(NULL, MOST + FENCE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (replay.shown == MAP_FAILED || replay.fence == MAP_FAILED || mprotect(replay.fence + MOST, FENCE, PROT_NONE) < 0)
        return 2;
    replay.fence += MOST;
    replay.arena = em_arena_new();
    replay.random = strtoul(argv[2], NULL, 10) * 2 + 1;
    for (int i = 3; i < argc; i++)
        gather(argv[i]);
    if (replay.inputs.count == 0)
        return 2;
    qsort(replay.inputs.items, replay.inputs.count, sizeof *replay.inputs.items, input_order);
    em_vec_each (struct input, input, &replay.inputs)
        show(input->data, input->size);
    while (seconds_used() < end) {
        const struct input *from = &replay.inputs.items[chance(replay.inputs.count)];

        if (from->size > 0)
            memcpy(data, from->data, from->size);
        show(data, mutate(data, from->size));
    }
    printf("# %lu inputs, %zu of them kept\n", replay.runs, replay.inputs.count);
    em_arena_free(replay.arena);
    free(data);
    unlink("replay.input");
    return 0;
}
