/* pour DIRECTORY FILE...: copies the files into DIRECTORY, hashes each byte on its way by libcrypto's SHA-256, and syncs: the largest file
 * first, on two threads, and nothing else. The least that a verified copy can cost. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)256 * 1024)

static const char *directory;
static char **files;
static int count;
static atomic_int next;

static off_t size_of(const char *name)
{
    struct stat st;

    return stat(name, &st) < 0 ? 0 : st.st_size;
}

static int larger_first(const void *a, const void *b)
{
    const off_t x = size_of(*(char *const *)a), y = size_of(*(char *const *)b);

    return x < y ? 1 : x > y ? -1 : 0;
}

static void pour(const char *name, EVP_MD_CTX *context, unsigned char *piece)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char path[4096];
    int in = open(name, O_RDONLY | O_CLOEXEC), out;
    ssize_t got;

    snprintf(path, sizeof path, "%s/%s", directory, strrchr(name, '/') + 1);
    out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    while ((got = read(in, piece, PIECE)) > 0) {
        EVP_DigestUpdate(context, piece, (size_t)got);
        if (write(out, piece, (size_t)got) != got)
            abort();
    }
    EVP_DigestFinal_ex(context, digest, NULL);
    if (got < 0 || fsync(out) < 0)
        abort();
    close(in);
    close(out);
}

static void *work(void *unused)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *piece = malloc(PIECE);

    for (int i; (i = atomic_fetch_add(&next, 1)) < count;)
        pour(files[i], context, piece);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t other;

    if (argc < 3)
        return 2;
    directory = argv[1];
    files = argv + 2;
    count = argc - 2;
    qsort(files, (size_t)count, sizeof *files, larger_first);
    if (pthread_create(&other, NULL, work, NULL) != 0)
        return 2;
    work(NULL);
    pthread_join(other, NULL);
    return 0;
}
