/* image_fields.c: numbers and headers as they lie in the file, by class and byte order. */
#include "patcher/image.h"

uint16_t em_get16(const struct em_image *image, const uint8_t *at)
{
    uint16_t value = 0;

    em_bytes_u16((struct em_bytes){ at, 2 }, 0, image->big_endian, &value);
    return value;
}

uint32_t em_get32(const struct em_image *image, const uint8_t *at)
{
    uint32_t value = 0;

    em_bytes_u32((struct em_bytes){ at, 4 }, 0, image->big_endian, &value);
    return value;
}

uint64_t em_get64(const struct em_image *image, const uint8_t *at)
{
    uint64_t value = 0;

    em_bytes_u64((struct em_bytes){ at, 8 }, 0, image->big_endian, &value);
    return value;
}

uint64_t em_get_word(const struct em_image *image, const uint8_t *at)
{
    return image->is64 ? em_get64(image, at) : em_get32(image, at);
}

void em_put16(const struct em_image *image, uint8_t *at, uint16_t value)
{
    em_store_u16(at, image->big_endian, value);
}

void em_put32(const struct em_image *image, uint8_t *at, uint32_t value)
{
    em_store_u32(at, image->big_endian, value);
}

void em_put64(const struct em_image *image, uint8_t *at, uint64_t value)
{
    em_store_u64(at, image->big_endian, value);
}

void em_put_word(const struct em_image *image, uint8_t *at, uint64_t value)
{
    if (image->is64)
        em_put64(image, at, value);
    else
        em_put32(image, at, (uint32_t)value);
}

/* gABI chapter 5, Program Header: p_flags moved behind p_type in the 64-bit class. */
struct em_phdr em_get_phdr(const struct em_image *image, const uint8_t *at)
{
    if (image->is64)
        return (struct em_phdr){
            .type = em_get32(image, at),
            .flags = em_get32(image, at + 4),
            .offset = em_get64(image, at + 8),
            .vaddr = em_get64(image, at + 16),
            .paddr = em_get64(image, at + 24),
            .filesz = em_get64(image, at + 32),
            .memsz = em_get64(image, at + 40),
            .align = em_get64(image, at + 48),
        };
    return (struct em_phdr){
        .type = em_get32(image, at),
        .offset = em_get32(image, at + 4),
        .vaddr = em_get32(image, at + 8),
        .paddr = em_get32(image, at + 12),
        .filesz = em_get32(image, at + 16),
        .memsz = em_get32(image, at + 20),
        .flags = em_get32(image, at + 24),
        .align = em_get32(image, at + 28),
    };
}

void em_put_phdr(const struct em_image *image, uint8_t *at, const struct em_phdr *phdr)
{
    size_t word = em_word_size(image);
    const uint64_t words[] = { phdr->offset, phdr->vaddr, phdr->paddr, phdr->filesz, phdr->memsz };

    em_put32(image, at, phdr->type);
    at += 4;
    if (image->is64) {
        em_put32(image, at, phdr->flags);
        at += 4;
    }
    for (size_t i = 0; i < 5; i++, at += word)
        em_put_word(image, at, words[i]);
    if (!image->is64) {
        em_put32(image, at, phdr->flags);
        at += 4;
    }
    em_put_word(image, at, phdr->align);
}

struct em_shdr em_get_shdr(const struct em_image *image, const uint8_t *at)
{
    size_t word = em_word_size(image);

    return (struct em_shdr){
        .name = em_get32(image, at),
        .type = em_get32(image, at + 4),
        .flags = em_get_word(image, at + 8),
        .addr = em_get_word(image, at + 8 + word),
        .offset = em_get_word(image, at + 8 + 2 * word),
        .size = em_get_word(image, at + 8 + 3 * word),
        .link = em_get32(image, at + 8 + 4 * word),
        .info = em_get32(image, at + 12 + 4 * word),
        .align = em_get_word(image, at + 16 + 4 * word),
        .entsize = em_get_word(image, at + 16 + 5 * word),
    };
}

void em_put_shdr(const struct em_image *image, uint8_t *at, const struct em_shdr *shdr)
{
    size_t word = em_word_size(image);

    em_put32(image, at, shdr->name);
    em_put32(image, at + 4, shdr->type);
    em_put_word(image, at + 8, shdr->flags);
    em_put_word(image, at + 8 + word, shdr->addr);
    em_put_word(image, at + 8 + 2 * word, shdr->offset);
    em_put_word(image, at + 8 + 3 * word, shdr->size);
    em_put32(image, at + 8 + 4 * word, shdr->link);
    em_put32(image, at + 12 + 4 * word, shdr->info);
    em_put_word(image, at + 16 + 4 * word, shdr->align);
    em_put_word(image, at + 16 + 5 * word, shdr->entsize);
}

void em_put_dyn(const struct em_image *image, uint8_t *at, const struct em_dyn *dyn)
{
    em_put_word(image, at, dyn->tag);
    em_put_word(image, at + em_word_size(image), dyn->value);
}
