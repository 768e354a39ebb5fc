#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct em_text *text, size_t more)
{
    size_t wanted, larger;
    char *moved;

    if (text->failed)
        return false;
    if (__builtin_add_overflow(text->size, more, &wanted) || __builtin_add_overflow(wanted, 1, &wanted))
        goto failed;
    if (wanted <= text->capacity)
        return true;
    if (__builtin_mul_overflow(wanted, 2, &larger))
        goto failed;
    moved = realloc(text->data, larger);
    if (!moved)
        goto failed;
    text->data = moved;
    text->capacity = larger;
    return true;
failed:
    text->failed = true;
    return false;
}

void em_text_add_bytes(struct em_text *text, const void *bytes, size_t size)
{
    if (!make_room(text, size))
        return;
    if (size > 0)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void em_text_add(struct em_text *text, const char *string)
{
    em_text_add_bytes(text, string, strlen(string));
}

void em_text_printf(struct em_text *text, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !make_room(text, (size_t)length)) {
        text->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(text->data + text->size, (size_t)length + 1, format, args);
    va_end(args);
    text->size += (size_t)length;
}

void em_text_free(struct em_text *text)
{
    free(text->data);
    *text = (struct em_text){ 0 };
}

size_t em_utf8_size(const void *at, size_t left)
{
    const unsigned char *byte = at;
    size_t size = byte[0] < 0x80 ? 1 : byte[0] < 0xc2 ? 0 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : byte[0] < 0xf5 ? 4 : 0;

    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
    if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) || (byte[0] == 0xf0 && byte[1] < 0x90) ||
        (byte[0] == 0xf4 && byte[1] > 0x8f))
        return 0;
    return size;
}

char *em_put_hex(char *at, uint64_t value)
{
    unsigned shift = 0;

    while (shift < 60 && value >> shift >= 16)
        shift += 4;
    for (;; shift -= 4) {
        *at++ = "0123456789abcdef"[value >> shift & 15];
        if (shift == 0)
            return at;
    }
}

int em_version_compare(const char *a, const char *b)
{
    for (;;) {
        unsigned long x = 0, y = 0;
        char *a_end, *b_end;

        if (!isdigit((unsigned char)*a) || !isdigit((unsigned char)*b))
            return isdigit((unsigned char)*a) - isdigit((unsigned char)*b);
        x = strtoul(a, &a_end, 10);
        y = strtoul(b, &b_end, 10);
        if (x != y)
            return x < y ? -1 : 1;
        a = a_end + (*a_end == '.');
        b = b_end + (*b_end == '.');
    }
}
