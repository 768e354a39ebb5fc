#include "cli/cli.h"

#include <string.h>

static bool shown;

void em_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    const struct em_options *options = context;

    if (options->quiet || options->json || !isatty(STDERR_FILENO))
        return;
    /* \033[K clears what a longer line left behind. */
    fprintf(stderr, "\r%s  %llu of %llu MB\033[K", what, (unsigned long long)(done >> 20), (unsigned long long)(total >> 20));
    shown = true;
}

void em_progress_end(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}
