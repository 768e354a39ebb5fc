/* error.h: the one error type.
 *
 * A function that can fail returns 0 or a negative enum em_err. The caller that asked for details passes a struct em_error,
 * and whoever first knows the fact fills it, once: what was wrong, where, what to do. Layers above pass the code on and do
 * not add to the text; cli/ prints it.
 *
 *     if (size < 64)
 *         return em_fail(error, EM_BAD_ELF, path, "is %zu bytes long, shorter than an ELF header", size);
 *
 *     fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
 *     if (fd < 0)
 *         return em_fail_errno(error, path, "cannot be opened");
 *
 * A sentence continues its subject, the path: "PATH: cannot be opened: Permission denied". EM_NO_MEMORY alone may be returned
 * without a sentence, since there may be no room to make one. A NULL error is allowed everywhere: the code is enough then.
 */
#ifndef EM_BASE_ERROR_H
#define EM_BASE_ERROR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

enum em_err {
    EM_OK = 0,
    EM_NO_MEMORY = -1,    /* an allocation failed, or a size overflowed */
    EM_IO = -2,           /* a system call failed; saved_errno says how */
    EM_NOT_FOUND = -3,    /* the path is not there */
    EM_NOT_ELF = -4,      /* not an ELF object at all: no magic, or not a regular file */
    EM_BAD_ELF = -5,      /* an ELF object that contradicts itself */
    EM_BAD_RECORD = -6,   /* RECORD or metadata of a distribution that cannot be understood */
    EM_BAD_ZIP = -7,      /* a zip archive that cannot be trusted */
    EM_BAD_JSON = -8,     /* a plan, journal or table that is not what it should be */
    EM_BAD_CACHE = -9,    /* ld.so.cache is malformed */
    EM_UNSUPPORTED = -10, /* well formed, but outside of what this program does */
    EM_USAGE = -11,       /* the request makes no sense */
    EM_REFUSED = -12,     /* a rule of ours forbids it; the sentence names the rule */
    EM_CHANGED = -13,     /* the input is not what it was when it was looked at */
    EM_BUSY = -14,        /* another elfmend works on the same target */
    EM_LIMIT = -15,       /* more of something than the limits in base/limits.h allow */
    EM_NOT_BUILT = -16,   /* promised, and not built yet */
};

struct em_error {
    enum em_err code;
    int saved_errno; /* 0 if no system call was involved */
    int64_t offset;  /* byte offset in the file, or -1 */
    char path[1024]; /* cut with "..." in front if longer */
    char sentence[1024];
};

#define EM_ERROR_INIT                                                                                                          \
    {                                                                                                                          \
        .code = EM_OK, .offset = -1                                                                                            \
    }

/* All return the code, so that the failing function can return the call. path may be NULL. The first two are macros so that a reader
 * of one file alone, an analyzer too, sees that what comes back is the code that went in; code is evaluated twice. */
#define em_fail(error, code, path, ...)                                                                                        \
    __extension__({                                                                                                            \
        em_error_fill((error), (code), (path), -1, __VA_ARGS__);                                                               \
        (int)(code);                                                                                                           \
    })
#define em_fail_at(error, code, path, offset, ...)                                                                             \
    __extension__({                                                                                                            \
        em_error_fill((error), (code), (path), em_error_offset(offset), __VA_ARGS__);                                          \
        (int)(code);                                                                                                           \
    })
void em_error_fill(struct em_error *error, enum em_err code, const char *path, int64_t offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static inline int64_t em_error_offset(uint64_t offset)
{
    return offset > INT64_MAX ? INT64_MAX : (int64_t)offset;
}
/* EM_NOT_FOUND for ENOENT and ENOTDIR, EM_NO_MEMORY for ENOMEM, else EM_IO; reads errno. */
int em_fail_errno(struct em_error *error, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A word for the code alone, for an error that has no sentence. Never NULL. */
const char *em_err_name(enum em_err code);

#endif
