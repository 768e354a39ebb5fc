#include "cli/beside.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct child {
    pid_t pid;       /* 0: not begun */
    int output, err; /* what it has written */
    int status;
    bool ended;
};

struct run {
    struct child *children;
    size_t begun, told;
    unsigned running;
    int (*work)(void *context, size_t index);
    void (*done)(void *context, size_t index, int status, const struct em_text *output);
    void *context;
};

/* Does not return. Whoever is ended with us in the middle of a long wheel does not leave us behind. */
static void be_child(struct run *run, size_t index, pid_t parent)
{
    const struct child *child = &run->children[index];
    int status;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EM_EXIT_FAILED);
    if (dup2(child->output, STDOUT_FILENO) < 0 || dup2(child->err, STDERR_FILENO) < 0)
        _exit(EM_EXIT_FAILED);
    status = run->work(run->context, index);
    _exit(em_finish_output(status));
}

static int begin(struct run *run, struct em_error *error)
{
    struct child *child = &run->children[run->begun];
    const pid_t parent = getpid();

    /* What is in the buffers would be written by the child once more. */
    fflush(stdout);
    fflush(stderr);
    child->output = memfd_create("output", MFD_CLOEXEC);
    child->err = memfd_create("errors", MFD_CLOEXEC);
    if (child->output >= 0 && child->err >= 0)
        child->pid = fork();
    if (child->output < 0 || child->err < 0 || child->pid < 0) {
        int r = em_fail_errno(error, NULL, "no process can be made");

        em_closep(&child->output);
        em_closep(&child->err);
        child->pid = 0;
        return r;
    }
    if (child->pid == 0)
        be_child(run, run->begun, parent);
    run->begun++;
    run->running++;
    return EM_OK;
}

/* Waits for any of them. */
static void reap(struct run *run)
{
    int status;
    pid_t pid;

    do
        pid = wait(&status);
    while (pid < 0 && errno == EINTR);
    for (size_t i = 0; i < run->begun; i++) {
        struct child *child = &run->children[i];

        if (child->ended || (pid >= 0 && child->pid != pid))
            continue;
        child->ended = true;
        child->status = pid >= 0 ? status : W_EXITCODE(EM_EXIT_FAILED, 0);
        run->running--;
    }
}

static void read_all(int fd, struct em_text *text)
{
    char piece[4096];
    ssize_t got;
    off_t at = 0;

    while ((got = pread(fd, piece, sizeof piece, at)) > 0) {
        em_text_add_bytes(text, piece, (size_t)got);
        at += got;
    }
    em_text_add(text, "");
}

static void tell(struct run *run, struct child *child)
{
    em_cleanup_text struct em_text output = { 0 };
    em_cleanup_text struct em_text errors = { 0 };
    int status = WIFEXITED(child->status) ? WEXITSTATUS(child->status) : EM_EXIT_FAILED;

    read_all(child->output, &output);
    read_all(child->err, &errors);
    em_closep(&child->output);
    em_closep(&child->err);
    if (errors.size > 0)
        fwrite(errors.data, 1, errors.size, stderr);
    if (WIFSIGNALED(child->status))
        em_warn("the process that worked on number %zu was ended by signal %d (%s)", run->told + 1, WTERMSIG(child->status),
                strsignal(WTERMSIG(child->status)));
    run->done(run->context, run->told, status, &output);
}

int em_beside(unsigned jobs, size_t count, int (*work)(void *context, size_t index),
              void (*done)(void *context, size_t index, int status, const struct em_text *output), void *context,
              struct em_error *error)
{
    struct run run = { .children = calloc(count, sizeof *run.children), .work = work, .done = done, .context = context };
    int r = run.children ? EM_OK : EM_NO_MEMORY;

    while (run.told < run.begun || (r == EM_OK && run.begun < count)) {
        if (r == EM_OK && run.begun < count && run.running < jobs)
            r = begin(&run, error);
        else
            reap(&run);
        for (; run.told < run.begun && run.children[run.told].ended; run.told++)
            tell(&run, &run.children[run.told]);
    }
    free(run.children);
    return r;
}
