/* zip_writer.h: a zip writer for tests, that writes what it is told, lies included. Sizes and CRCs are right unless overridden. */
#ifndef ZIP_WRITER_H
#define ZIP_WRITER_H

#include "base/base.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

struct zip_entry {
    const char *name;
    const char *local_name; /* NULL: name */
    const void *data;       /* NULL: name's own characters */
    size_t data_size;       /* 0: strlen(data) */
    bool deflate;
    size_t border; /* of deflate: one block ends there, and what follows looks back no further; 0: nowhere */
    int name_size; /* 0: strlen(name) */
    uint16_t flags, method, local_method; /* method: 0 is what deflate says, else it */
    uint32_t mode;                        /* 0: 0100644 */
    long crc_off, size_off, packed_off;   /* added to the true values in the directory */
    long local_crc_off, local_size_off;   /* in the local header */
    long header_off;
    const char *extra;
    size_t extra_size;
    bool descriptor;
    bool zip64; /* sizes as a ZIP64 extra */
};

struct zip_end {
    const char *prefix, *suffix, *comment;
    long count_off, size_off, offset_off;
    bool zip64, no_end;
    long count64_off, locator_off;
};

static inline void put16(struct em_text *text, unsigned value)
{
    unsigned char bytes[2] = { (unsigned char)value, (unsigned char)(value >> 8) };

    em_text_add_bytes(text, bytes, 2);
}

static inline void put32(struct em_text *text, uint64_t value)
{
    put16(text, (unsigned)(value & 0xffff));
    put16(text, (unsigned)(value >> 16 & 0xffff));
}

static inline void put64(struct em_text *text, uint64_t value)
{
    put32(text, value & 0xffffffff);
    put32(text, value >> 32);
}

static inline size_t raw_deflate(const void *data, size_t size, size_t border, unsigned char *out, size_t room)
{
    z_stream stream = { 0 };

    deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = (unsigned)border;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    if (border > 0)
        deflate(&stream, Z_FULL_FLUSH);
    stream.avail_in = (unsigned)(size - border);
    deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

/* Fills text with the archive. */
static inline void zip_build(struct em_text *text, const struct zip_entry *entries, size_t count, const struct zip_end *end)
{
    struct em_text central = { 0 };
    uint64_t directory, end64;

    if (end->prefix)
        em_text_add(text, end->prefix);
    for (size_t i = 0; i < count; i++) {
        const struct zip_entry *e = &entries[i];
        const char *local = e->local_name ? e->local_name : e->name;
        const void *data = e->data ? e->data : e->name;
        size_t size = e->data_size ? e->data_size : strlen(data);
        size_t name_size = e->name_size ? (size_t)e->name_size : strlen(e->name), packed = size;
        size_t local_size = e->local_name ? strlen(local) : name_size;
        unsigned char *out = malloc(compressBound(size) + 64);
        unsigned method = e->method ? e->method : e->deflate ? 8 : 0;
        unsigned local_method = e->local_method ? e->local_method : method;
        unsigned flags = e->flags | (e->descriptor ? 8u : 0);
        uint32_t crc = (uint32_t)crc32(0, data, (unsigned)size);
        uint64_t header = text->size + (uint64_t)e->header_off;
        struct em_text extra = { 0 };

        if (e->deflate)
            packed = raw_deflate(data, size, e->border, out, compressBound(size) + 64);
        else
            memcpy(out, data, size);
        put32(text, 0x04034b50), put16(text, 20), put16(text, flags), put16(text, local_method);
        put32(text, 0x5a210000); /* 2025-01-01 */
        put32(text, e->descriptor ? 0 : crc + (uint32_t)e->local_crc_off);
        put32(text, e->descriptor ? 0 : packed), put32(text, e->descriptor ? 0 : size + (uint64_t)e->local_size_off);
        put16(text, (unsigned)local_size), put16(text, 0);
        em_text_add_bytes(text, local, local_size);
        em_text_add_bytes(text, out, packed);
        if (e->descriptor)
            put32(text, 0x08074b50), put32(text, crc), put32(text, packed), put32(text, size);
        free(out);
        if (e->extra)
            em_text_add_bytes(&extra, e->extra, e->extra_size);
        if (e->zip64)
            put16(&extra, 1), put16(&extra, 16), put64(&extra, size), put64(&extra, packed);
        put32(&central, 0x02014b50), put16(&central, 3 << 8 | 20), put16(&central, 20), put16(&central, flags);
        put16(&central, method), put32(&central, 0x5a210000), put32(&central, crc + (uint32_t)e->crc_off);
        put32(&central, e->zip64 ? 0xffffffff : packed + (uint64_t)e->packed_off);
        put32(&central, e->zip64 ? 0xffffffff : size + (uint64_t)e->size_off);
        put16(&central, (unsigned)name_size), put16(&central, (unsigned)extra.size), put16(&central, 0);
        put16(&central, 0), put16(&central, 0), put32(&central, (uint64_t)(e->mode ? e->mode : 0100644) << 16);
        put32(&central, header);
        em_text_add_bytes(&central, e->name, name_size);
        em_text_add_bytes(&central, extra.data, extra.size);
        em_text_free(&extra);
    }
    directory = text->size;
    em_text_add_bytes(text, central.data, central.size);
    end64 = text->size;
    if (end->zip64) {
        put32(text, 0x06064b50), put64(text, 44), put16(text, 45), put16(text, 45), put32(text, 0), put32(text, 0);
        put64(text, count + (uint64_t)end->count64_off), put64(text, count + (uint64_t)end->count64_off);
        put64(text, central.size), put64(text, directory);
        put32(text, 0x07064b50), put32(text, 0), put64(text, end64 + (uint64_t)end->locator_off), put32(text, 1);
    }
    if (!end->no_end) {
        unsigned told = (unsigned)(count + (uint64_t)end->count_off);

        put32(text, 0x06054b50), put16(text, 0), put16(text, 0), put16(text, told), put16(text, told);
        put32(text, central.size + (uint64_t)end->size_off), put32(text, directory + (uint64_t)end->offset_off);
        put16(text, (unsigned)(end->comment ? strlen(end->comment) : 0));
        if (end->comment)
            em_text_add(text, end->comment);
    }
    if (end->suffix)
        em_text_add(text, end->suffix);
    em_text_free(&central);
}

static inline void zip_write(const char *path, const struct zip_entry *entries, size_t count, const struct zip_end *end)
{
    struct em_text text = { 0 };
    FILE *file = fopen(path, "w");

    zip_build(&text, entries, count, end);
    fwrite(text.data, 1, text.size, file);
    fclose(file);
    em_text_free(&text);
}

#endif
