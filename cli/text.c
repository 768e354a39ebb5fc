#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

/* The bytes of the character that stands at text, if a terminal shows it and does not obey it; 0: its first byte is to be escaped. C1
 * controls are meant for as much as C0 ones, and what is not UTF-8 may be one of them where a terminal takes it for Latin-1. */
static size_t shown_size(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    if (at[0] == 0xc2 && at[1] < 0xa0)
        return 0;
    return em_utf8_size(text, strnlen(text, 4));
}

void em_put_plain(const char *text, FILE *stream)
{
    fputs(em_plain(text), stream);
}

const char *em_plain(const char *text)
{
    static char *kept[8];
    static unsigned next;
    size_t hidden = 0, at = 0, size;
    char *plain;

    for (const char *c = text; *c; c += size ? size : 1) {
        size = shown_size(c);
        hidden += size == 0;
    }
    if (hidden == 0)
        return text;
    plain = malloc(strlen(text) + 3 * hidden + 1);
    if (!plain)
        return "(no memory for a name)";
    for (; *text; text += size ? size : 1) {
        size = shown_size(text);
        if (size)
            memcpy(plain + at, text, size);
        at += size ? size : (size_t)sprintf(plain + at, "\\x%02x", (unsigned char)*text);
    }
    plain[at] = '\0';
    next = (next + 1) % (sizeof kept / sizeof *kept);
    free(kept[next]);
    return kept[next] = plain;
}

int em_report_error(const struct em_error *error)
{
    const char *sentence = error->sentence[0] ? error->sentence : em_err_name(error->code);

    fprintf(stderr, "elfmend: ");
    if (error->path[0])
        fprintf(stderr, "%s: ", em_plain(error->path));
    fputs(em_plain(sentence), stderr);
    if (error->saved_errno)
        fprintf(stderr, ": %s", strerror(error->saved_errno));
    if (error->offset >= 0)
        fprintf(stderr, " (at offset %lld)", (long long)error->offset);
    fputc('\n', stderr);
    return EM_EXIT_FAILED;
}

int em_report_failure(struct em_error *error, int code)
{
    if (error->code == EM_OK)
        em_fail(error, (enum em_err)code, NULL, "%s", em_err_name((enum em_err)code));
    return em_report_error(error);
}

void em_warn(const char *format, ...)
{
    va_list args;

    fputs("elfmend: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

const char *em_plural(size_t count)
{
    return count == 1 ? "" : "s";
}

bool em_color_on(const struct em_options *options, FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    switch (options->color) {
    case EM_COLOR_ALWAYS: return true;
    case EM_COLOR_NEVER: return false;
    case EM_COLOR_AUTO: break;
    }
    if (no_color && *no_color)
        return false;
    return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

const char *em_paint(bool on, const char *name)
{
    static const struct {
        const char *name, *code;
    } paints[] = { { "red", "\033[31m" }, { "yellow", "\033[33m" }, { "green", "\033[32m" },
                   { "bold", "\033[1m" }, { "dim", "\033[2m" },     { "reset", "\033[0m" } };

    for (size_t i = 0; on && i < sizeof paints / sizeof *paints; i++)
        if (strcmp(paints[i].name, name) == 0)
            return paints[i].code;
    return "";
}

int em_finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "elfmend: standard output: cannot be written: %s\n", strerror(errno));
    return EM_EXIT_FAILED;
}
