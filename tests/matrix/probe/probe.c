/* probe.c: relocations of each kind, a thread's variables, constructors, versions, unwinding, the object's own headers and memory. */
#include "probe.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <unwind.h>

#ifdef ALONE /* linked statically: nobody to lean on */
static int which(void)
{
    return 2;
}
static int alias(void)
{
    return 1;
}
static int spare(void)
{
    return 5;
}
static int dep_data = 7;
static __thread int dep_tls = 11;
#else
int which(void);
int alias(void);
__attribute__((weak)) int spare(void);
extern int dep_data;
extern __thread int dep_tls;
#endif

extern const unsigned char __ehdr_start[] __attribute__((visibility("hidden")));

static __thread int tls = 1;
static __thread char tls_zero[100];
static int made;
static char zeros[70000];
static const char *const words[] = { "one", "two", "three" };
static int (*const table[])(void) = { which, alias };

__attribute__((constructor)) static void make(void)
{
    made++;
}

int exported(void)
{
    return 9;
}

static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *frames)
{
    (void)context;
    (*(int *)frames)++;
    return _URC_NO_REASON;
}

__attribute__((noinline)) static int depth(int more)
{
    int frames = 0;

    if (more > 0) {
        frames = depth(more - 1);
        __asm__ volatile("" : "+r"(frames));
        return frames;
    }
    _Unwind_Backtrace(count, &frames);
    return frames;
}

static int finds_sub(void)
{
#ifdef ALONE
    return 0;
#else
    return dlopen("libsub.so", RTLD_LAZY) != NULL;
#endif
}

const char *probe(const struct expected *expected)
{
    for (size_t i = 0; i < sizeof zeros; i++)
        if (zeros[i] != 0)
            return ".bss is not zero";
    memset(zeros, 1, sizeof zeros);
    if (tls != 1 || tls_zero[99] != 0 || dep_tls != 11)
        return "a thread's variable";
    if (made != 1)
        return "the constructor did not run once";
    if (strcmp(words[1], "two") != 0 || dep_data != 7)
        return "relocated data";
    if (table[0]() != expected->which || which() != expected->which)
        return "another version of which()";
    if (table[1]() != expected->alias)
        return "another alias";
    if (expected->spare && spare() != 5)
        return "the weak symbol";
    if (depth(4) < 5)
        return "unwinding";
    if (finds_sub() != expected->sub)
        return expected->sub ? "the search path does not work" : "the old search path works still";
    if (memcmp(__ehdr_start, "\177ELF", 4) != 0)
        return "__ehdr_start is not the ELF header";
    return NULL;
}
