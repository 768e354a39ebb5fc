#include "base/bytes.h"

#include <endian.h>
#include <string.h>

bool em_bytes_slice(struct em_bytes bytes, uint64_t offset, uint64_t size, struct em_bytes *slice)
{
    if (offset > bytes.size || size > bytes.size - offset)
        return false;
    *slice = (struct em_bytes){ bytes.data ? bytes.data + offset : NULL, (size_t)size };
    return true;
}

bool em_bytes_u8(struct em_bytes bytes, uint64_t offset, uint8_t *value)
{
    if (offset >= bytes.size)
        return false;
    *value = bytes.data[offset];
    return true;
}

bool em_bytes_u16(struct em_bytes bytes, uint64_t offset, bool big_endian, uint16_t *value)
{
    struct em_bytes slice;
    uint16_t raw;

    if (!em_bytes_slice(bytes, offset, sizeof raw, &slice))
        return false;
    memcpy(&raw, slice.data, sizeof raw);
    *value = big_endian ? be16toh(raw) : le16toh(raw);
    return true;
}

bool em_bytes_u32(struct em_bytes bytes, uint64_t offset, bool big_endian, uint32_t *value)
{
    struct em_bytes slice;
    uint32_t raw;

    if (!em_bytes_slice(bytes, offset, sizeof raw, &slice))
        return false;
    memcpy(&raw, slice.data, sizeof raw);
    *value = big_endian ? be32toh(raw) : le32toh(raw);
    return true;
}

bool em_bytes_u64(struct em_bytes bytes, uint64_t offset, bool big_endian, uint64_t *value)
{
    struct em_bytes slice;
    uint64_t raw;

    if (!em_bytes_slice(bytes, offset, sizeof raw, &slice))
        return false;
    memcpy(&raw, slice.data, sizeof raw);
    *value = big_endian ? be64toh(raw) : le64toh(raw);
    return true;
}

const char *em_bytes_string(struct em_bytes bytes, uint64_t offset)
{
    if (offset >= bytes.size || !memchr(bytes.data + offset, '\0', bytes.size - offset))
        return NULL;
    return (const char *)bytes.data + offset;
}

void em_store_u16(uint8_t *at, bool big_endian, uint16_t value)
{
    uint16_t raw = big_endian ? htobe16(value) : htole16(value);

    memcpy(at, &raw, sizeof raw);
}

void em_store_u32(uint8_t *at, bool big_endian, uint32_t value)
{
    uint32_t raw = big_endian ? htobe32(value) : htole32(value);

    memcpy(at, &raw, sizeof raw);
}

void em_store_u64(uint8_t *at, bool big_endian, uint64_t value)
{
    uint64_t raw = big_endian ? htobe64(value) : htole64(value);

    memcpy(at, &raw, sizeof raw);
}
