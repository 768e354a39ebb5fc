#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>

static void must(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    exit(1);
}

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[32];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        must(fd >= 0, "memfd_create");
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "cannot write the input");
    return path;
}

static char scratch[64];
static pid_t owner;

static void remove_scratch(void)
{
    char command[100];

    if (getpid() != owner)
        return;
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    (void)!system(command);
}

void fuzz_scratch(void)
{
    if (scratch[0])
        return;
    snprintf(scratch, sizeof scratch, "%s/elfmend-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(scratch) && chdir(scratch) == 0, "cannot make a scratch directory");
    owner = getpid();
    atexit(remove_scratch);
}

void fuzz_put(const char *name, struct em_bytes bytes)
{
    em_cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    must(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size, name);
}

struct em_bytes fuzz_part(struct em_bytes *input)
{
    const uint8_t *end = input->size ? memchr(input->data, 0x1e, input->size) : NULL;
    struct em_bytes part = { input->data, end ? (size_t)(end - input->data) : input->size };

    input->data += part.size + (end != NULL);
    input->size -= part.size + (end != NULL);
    return part;
}
