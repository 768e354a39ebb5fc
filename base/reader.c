#include "base/reader.h"

#include "base/files.h"
#include "base/limits.h"

#include <stdatomic.h>
#include <string.h>

static _Atomic uint64_t all_holes; /* bytes of nothing that were read in files of nothing else, since the program began */

static int64_t read_fd(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    ssize_t got = em_pread((int)(intptr_t)context, buffer, length, offset);

    return got < 0 ? em_fail_errno(error, NULL, "cannot be read") : got;
}

struct em_reader em_reader_fd(int fd, uint64_t size, const char *name)
{
    return (struct em_reader){ .read = read_fd, .context = (void *)(intptr_t)fd, .size = size, .name = name };
}

/* By both accounts: a file system that compresses counts fewer blocks, and one that knows of no holes may count none. */
int em_reader_check_holes(const struct em_reader *reader, struct em_error *error)
{
    const int fd = (int)(intptr_t)reader->context;
    uint64_t there, nothing;
    struct stat st;
    off_t hole;

    if (reader->read != read_fd || reader->size < EM_HOLES_FROM || fstat(fd, &st) < 0)
        return EM_OK;
    there = (uint64_t)st.st_blocks * 512;
    if (there >= reader->size / 16)
        return EM_OK;
    hole = lseek(fd, 0, SEEK_HOLE);
    if (hole < 0 || (uint64_t)hole >= reader->size)
        return EM_OK;
    nothing = reader->size - there;
    if (nothing > EM_MAX_HOLES)
        return em_fail(error, EM_LIMIT, reader->name,
                       "is %llu bytes long and hardly any of them are there: a file so sparse is not read whole",
                       (unsigned long long)reader->size);
    if (atomic_fetch_add(&all_holes, nothing) + nothing > EM_MAX_ALL_HOLES)
        return em_fail(
            error, EM_LIMIT, reader->name,
            "is %llu bytes long and hardly any of them are there: of files so sparse, %llu bytes are read and no more",
            (unsigned long long)reader->size, (unsigned long long)EM_MAX_ALL_HOLES);
    return EM_OK;
}

int em_reader_whole(struct em_reader *reader, int fd, const char *name, struct em_error *error)
{
    struct stat st;

    *reader = (struct em_reader){ 0 };
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, name, "cannot be examined");
    *reader = em_reader_fd(fd, (uint64_t)st.st_size, name);
    return EM_OK;
}

static int64_t read_memory(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    const struct em_bytes *bytes = context;

    (void)error;
    if (offset >= bytes->size)
        return 0;
    if (length > bytes->size - offset)
        length = bytes->size - (size_t)offset;
    memcpy(buffer, bytes->data + offset, length);
    return (int64_t)length;
}

struct em_reader em_reader_memory(const struct em_bytes *bytes, const char *name)
{
    return (struct em_reader){ .read = read_memory, .context = (void *)(uintptr_t)bytes, .size = bytes->size, .name = name };
}

int em_read_at(struct em_reader *reader, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    size_t done = 0;

    if (offset > reader->size || length > reader->size - offset)
        return em_fail_at(error, EM_LIMIT, reader->name, offset, "%zu bytes are wanted here, beyond the end at %llu", length,
                          (unsigned long long)reader->size);
    while (done < length) {
        int64_t got = reader->read(reader->context, (uint8_t *)buffer + done, length - done, offset + done, error);

        if (got < 0) {
            if (error && error->path[0] == '\0' && reader->name)
                return em_fail_errno(error, reader->name, "cannot be read at offset %llu", (unsigned long long)(offset + done));
            return (int)got;
        }
        if (got == 0)
            return em_fail_at(error, EM_CHANGED, reader->name, offset + done, "became shorter while it was read");
        done += (size_t)got;
    }
    reader->bytes_read += length;
    return EM_OK;
}

int em_read_bytes(struct em_reader *reader, struct em_arena *arena, uint64_t offset, uint64_t length, struct em_bytes *bytes,
                  struct em_error *error)
{
    uint8_t *buffer;
    int r;

    /* Bounds first: a hostile length must not become an allocation. */
    if (offset > reader->size || length > reader->size - offset)
        return em_fail_at(error, EM_LIMIT, reader->name, offset, "%llu bytes are wanted here, beyond the end at %llu",
                          (unsigned long long)length, (unsigned long long)reader->size);
    buffer = em_arena_alloc(arena, (size_t)length);
    if (!buffer)
        return EM_NO_MEMORY;
    r = em_read_at(reader, buffer, (size_t)length, offset, error);
    if (r < 0)
        return r;
    *bytes = (struct em_bytes){ buffer, (size_t)length };
    return EM_OK;
}
