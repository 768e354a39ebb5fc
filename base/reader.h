/* reader.h: one way to read bytes at a place, whatever holds them: a file, memory, a member of a wheel.
 *
 *     struct em_reader reader = em_reader_fd(fd, size, path);
 *     r = em_read_at(&reader, buffer, length, offset, error);     all of it, or an error
 *     em_read_bytes(&reader, arena, offset, length, &bytes, error) the same into the arena
 *
 * A read beyond the end is EM_BAD_ELF-like only to those who know the format; here it is EM_LIMIT with the offset, and callers
 * that parse check against reader->size first. Reads are counted in bytes_read: "touch few bytes" is a promise that is shown.
 * The reader borrows what it reads from; name is for messages.
 * Threads: file and memory readers keep no position; share them if nobody needs bytes_read to be exact.
 */
#ifndef EM_BASE_READER_H
#define EM_BASE_READER_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

struct em_reader {
    /* Reads up to length bytes at offset into buffer; returns how many (0 at the end), or a negative enum em_err. */
    int64_t (*read)(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error);
    void *context;
    uint64_t size;
    const char *name;
    uint64_t bytes_read;
};

struct em_reader em_reader_fd(int fd, uint64_t size, const char *name);
/* Of as many bytes as the file has now. EM_IO. */
int em_reader_whole(struct em_reader *reader, int fd, const char *name, struct em_error *error);
/* bytes must outlive the reader; the pointer to them is taken. */
struct em_reader em_reader_memory(const struct em_bytes *bytes, const char *name);

/* What would read all of a file asks this first: EM_LIMIT where hardly anything of it is there (EM_MAX_HOLES, and EM_MAX_ALL_HOLES of
 * all that it was asked for). A sparse terabyte costs nobody anything to make, and takes as long to hash as any other. */
int em_reader_check_holes(const struct em_reader *reader, struct em_error *error);

int em_read_at(struct em_reader *reader, void *buffer, size_t length, uint64_t offset, struct em_error *error);
int em_read_bytes(struct em_reader *reader, struct em_arena *arena, uint64_t offset, uint64_t length, struct em_bytes *bytes,
                  struct em_error *error);

#endif
