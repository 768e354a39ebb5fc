/* driver.c: the program of a case. Each argument is opened in turn; "@PATH@NAME" by the object that is loaded as PATH. It says how
 * each went and, at the end, what is mapped, in order. Built by the C compiler of each libc; its RPATH and needs are slots that the
 * oracle overwrites in the file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define OBJECT_CODE 0x200

static uintptr_t wanted;
static const char *wanted_name;

static int find(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (!wanted && strcmp(info->dlpi_name, wanted_name) == 0)
        wanted = info->dlpi_addr;
    return 0;
}

static int show(struct dl_phdr_info *info, size_t size, void *first)
{
    (void)size;
    /* The program itself has no name with glibc and one with musl. */
    if (*(int *)first)
        *(int *)first = 0;
    else if (*info->dlpi_name && !strstr(info->dlpi_name, "vdso"))
        printf("= %s\n", info->dlpi_name);
    return 0;
}

static void *call(char *what)
{
    typedef void *(*trampoline)(void *(*)(const char *, int), const char *, int);
    char *name = strrchr(what, '@');
    trampoline code;

    *name++ = '\0';
    wanted = 0;
    wanted_name = what;
    dl_iterate_phdr(find, NULL);
    if (!wanted) {
        printf("- not there\n");
        return NULL;
    }
    code = (trampoline)(wanted + OBJECT_CODE);
    void *handle = code(dlopen, name, RTLD_NOW);
    printf("%s %s\n", handle ? "+" : "!", handle ? "" : dlerror());
    return handle;
}

int main(int argc, char **argv)
{
    int first = 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("started\n");
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '@') {
            call(argv[i] + 1);
            continue;
        }
        void *handle = dlopen(argv[i], RTLD_NOW);
        printf("%s %s\n", handle ? "+" : "!", handle ? "" : dlerror());
    }
    dl_iterate_phdr(show, &first);
    printf("ended\n");
    return 0;
}
