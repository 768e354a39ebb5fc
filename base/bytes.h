/* bytes.h: input bytes, only through bounds.
 *
 * A view is a pointer and a size; every accessor checks. Accessors that can miss return a status and leave *value alone, so that
 * no caller computes with garbage by accident.
 *
 *     struct em_bytes bytes = { data, size };
 *     if (!em_bytes_u32(bytes, offset, big_endian, &value))
 *         return em_fail_at(...);
 */
#ifndef EM_BASE_BYTES_H
#define EM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct em_bytes {
    const uint8_t *data;
    size_t size;
};

/* true and the slice, or false if it leads out of bytes. */
bool em_bytes_slice(struct em_bytes bytes, uint64_t offset, uint64_t size, struct em_bytes *slice);

bool em_bytes_u8(struct em_bytes bytes, uint64_t offset, uint8_t *value);
bool em_bytes_u16(struct em_bytes bytes, uint64_t offset, bool big_endian, uint16_t *value);
bool em_bytes_u32(struct em_bytes bytes, uint64_t offset, bool big_endian, uint32_t *value);
bool em_bytes_u64(struct em_bytes bytes, uint64_t offset, bool big_endian, uint64_t *value);

/* The NUL-terminated string at offset, or NULL if there is no NUL before the end. */
const char *em_bytes_string(struct em_bytes bytes, uint64_t offset);

/* Unchecked stores for buffers that we made ourselves. */
void em_store_u16(uint8_t *at, bool big_endian, uint16_t value);
void em_store_u32(uint8_t *at, bool big_endian, uint32_t value);
void em_store_u64(uint8_t *at, bool big_endian, uint64_t value);

#endif
