/* host.c: loads libraries under test, each in a process of its own, forked from one that has loaded none of them. Reads lines "PATH WHICH
 * ALIAS SUB SPARE EXPORTED", where EXPORTED is the name under which exported() is looked up; for each prints its PATH, then a line: "ok",
 * or what went wrong. A loader that dies adds a line of its own to that. Under an emulator one start of it serves many libraries. */
#include "probe.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *try(const char *path, const struct expected *expected, const char *name)
{
    void *handle = dlopen(path, RTLD_LAZY);
    const char *(*run)(const struct expected *), *wrong;
    int (*exported)(void);

    if (!handle)
        return dlerror();
    run = (const char *(*)(const struct expected *))dlsym(handle, "probe");
    exported = (int (*)(void))dlsym(handle, name);
    if (!run || !exported || exported() != 9)
        return "an exported symbol is not found";
    if (strcmp(name, "exported") != 0 && dlsym(handle, "exported"))
        return "a renamed symbol is found under its old name";
    wrong = run(expected);
    if (!wrong)
        dlclose(handle);
    return wrong ? wrong : "ok";
}

int main(void)
{
    char line[8192], path[4096], name[256];
    struct expected expected;

    while (fgets(line, sizeof line, stdin) && sscanf(line, "%4095s %d %d %d %d %255s", path, &expected.which, &expected.alias,
                                                     &expected.sub, &expected.spare, name) == 6) {
        int status;
        pid_t child;

        puts(path);
        fflush(stdout);
        child = fork();
        if (child == 0) {
            alarm(10);
            puts(try(path, &expected, name));
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status))
            printf("dies of signal %d\n", WTERMSIG(status));
        else if (WEXITSTATUS(status) != 0)
            printf("exits with %d\n", WEXITSTATUS(status));
    }
    return 0;
}
