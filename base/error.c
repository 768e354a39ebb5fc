#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_path(struct em_error *error, const char *path)
{
    size_t room = sizeof error->path;
    size_t length;

    error->path[0] = '\0';
    if (!path)
        return;
    length = strlen(path);
    if (length < room) {
        memcpy(error->path, path, length + 1);
        return;
    }
    /* The end of a long path tells more than its beginning. */
    memcpy(error->path, "...", 3);
    memcpy(error->path + 3, path + length - (room - 4), room - 3);
}

__attribute__((format(printf, 6, 0))) static void fill(struct em_error *error, enum em_err code, int saved_errno,
                                                       const char *path, int64_t offset, const char *format, va_list args)
{
    if (!error)
        return;
    error->code = code;
    error->saved_errno = saved_errno;
    error->offset = offset;
    set_path(error, path);
    vsnprintf(error->sentence, sizeof error->sentence, format, args);
}

void em_error_fill(struct em_error *error, enum em_err code, const char *path, int64_t offset, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(error, code, 0, path, offset, format, args);
    va_end(args);
}

int em_fail_errno(struct em_error *error, const char *path, const char *format, ...)
{
    int saved = errno;
    enum em_err code = EM_IO;
    va_list args;

    if (saved == ENOENT || saved == ENOTDIR)
        code = EM_NOT_FOUND;
    else if (saved == ENOMEM)
        code = EM_NO_MEMORY;
    va_start(args, format);
    fill(error, code, saved, path, -1, format, args);
    va_end(args);
    return code;
}

const char *em_err_name(enum em_err code)
{
    switch (code) {
    case EM_OK: return "no error";
    case EM_NO_MEMORY: return "out of memory";
    case EM_IO: return "input or output failed";
    case EM_NOT_FOUND: return "not found";
    case EM_NOT_ELF: return "not an ELF object";
    case EM_BAD_ELF: return "malformed ELF object";
    case EM_BAD_RECORD: return "malformed RECORD";
    case EM_BAD_ZIP: return "malformed zip archive";
    case EM_BAD_JSON: return "malformed JSON document";
    case EM_BAD_CACHE: return "malformed ld.so.cache";
    case EM_UNSUPPORTED: return "not supported";
    case EM_USAGE: return "wrong usage";
    case EM_REFUSED: return "refused";
    case EM_CHANGED: return "changed meanwhile";
    case EM_BUSY: return "another elfmend is at work";
    case EM_LIMIT: return "over a limit";
    case EM_NOT_BUILT: return "not built yet";
    }
    return "unknown error";
}
