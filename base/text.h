/* text.h: a string that grows, for everything that is written: RECORD, JSON, a report.
 *
 *     struct em_text text = { 0 };
 *     em_text_add(&text, "x"); em_text_printf(&text, "%d", 1);
 *     if (text.failed) ...            one check at the end: an allocation failed somewhere before
 *     em_text_free(&text);
 *
 * data is NUL-terminated once something was added, NULL before.
 */
#ifndef EM_BASE_TEXT_H
#define EM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct em_text {
    char *data;
    size_t size, capacity;
    bool failed;
};

void em_text_add(struct em_text *text, const char *string);
void em_text_add_bytes(struct em_text *text, const void *bytes, size_t size);
void em_text_printf(struct em_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void em_text_free(struct em_text *text);

#define em_cleanup_text __attribute__((cleanup(em_text_free)))

/* value in hexadecimal digits, 16 at most and no NUL; the place behind them. A tenth of what printf takes, for keys that are made millions
 * of times. */
char *em_put_hex(char *at, uint64_t value);

/* The bytes of the UTF-8 character that stands first, 1 to 4; 0: none does (RFC 3629, section 4: no overlong forms, no surrogates).
 * left: the bytes there are, at least 1. */
size_t em_utf8_size(const void *at, size_t left);

/* Orders dotted versions by their numbers, as far as both have digits: "4.10" after "4.9". */
int em_version_compare(const char *a, const char *b);

#endif
