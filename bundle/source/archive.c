#include "bundle/source/archive.h"

#include "base/files.h"

#include <string.h>

#define PIECE ((size_t)256 * 1024)

struct walk {
    const char *label;
    em_archive_visit *visit;
    void *context;
    struct em_error *error;
};

/* Only what is ours to read: libarchive would start programs for some formats. */
static struct archive *new_archive(void)
{
    struct archive *archive = em_la.archive_read_new();

    if (!archive)
        return NULL;
    em_la.archive_read_support_filter_gzip(archive);
    em_la.archive_read_support_filter_bzip2(archive);
    em_la.archive_read_support_filter_xz(archive);
    em_la.archive_read_support_filter_zstd(archive);
    em_la.archive_read_support_filter_rpm(archive);
    em_la.archive_read_support_format_zip_seekable(archive); /* by its end record: without it, it is no zip */
    em_la.archive_read_support_format_tar(archive);
    em_la.archive_read_support_format_ar(archive);
    em_la.archive_read_support_format_cpio(archive);
    return archive;
}

static int broken(const struct walk *walk, struct archive *archive)
{
    const char *why = em_la.archive_error_string(archive);

    return em_fail(walk->error, EM_BAD_ZIP, walk->label, "is no archive that can be read: %s", why ? why : "damaged");
}

/* A member that is itself an archive, read as it comes. */
struct inner {
    struct archive *outer;
    char piece[PIECE];
};

static la_ssize_t read_inner(struct archive *archive, void *context, const void **bytes)
{
    struct inner *inner = context;
    la_ssize_t got = em_la.archive_read_data(inner->outer, inner->piece, sizeof inner->piece);

    *bytes = inner->piece;
    if (got < 0)
        em_la.archive_set_error(archive, em_la.archive_errno(inner->outer), "%s", em_la.archive_error_string(inner->outer));
    return got;
}

static int visit_all(const struct walk *walk, struct archive *archive, const char *inside);

static int visit_inner(const struct walk *walk, struct archive *outer, const char *name)
{
    struct inner *inner = malloc(sizeof *inner);
    struct archive *archive = new_archive();
    int r = EM_NO_MEMORY;

    if (inner && archive) {
        inner->outer = outer;
        r = em_la.archive_read_open(archive, inner, NULL, read_inner, NULL) == ARCHIVE_OK ? visit_all(walk, archive, name)
                                                                                          : broken(walk, archive);
    }
    em_la.archive_read_free(archive);
    free(inner);
    return r;
}

/* A .deb is an ar with control.tar and data.tar in it (deb(5)), a .conda a zip with pkg-NAME.tar.zst and info-NAME.tar.zst (conda's
 * package format 2). */
static bool holds_archive(struct archive *archive, const char *name)
{
    size_t length = name ? strlen(name) : 0;
    int format = em_la.archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK;

    if (format == ARCHIVE_FORMAT_AR)
        return name && (strncmp(name, "data.tar", 8) == 0 || strncmp(name, "control.tar", 11) == 0);
    return format == ARCHIVE_FORMAT_ZIP && length > 8 && strcmp(name + length - 8, ".tar.zst") == 0 && !strchr(name, '/') &&
           (strncmp(name, "pkg-", 4) == 0 || strncmp(name, "info-", 5) == 0);
}

static int visit_all(const struct walk *walk, struct archive *archive, const char *inside)
{
    struct archive_entry *entry;
    int r = EM_OK, status;

    while ((status = em_la.archive_read_next_header(archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
        em_cleanup_free char *name = NULL;

        if (em_la.archive_entry_is_encrypted(entry) > 0)
            return em_fail(walk->error, EM_REFUSED, walk->label, "is encrypted");
        if (!inside && holds_archive(archive, em_la.archive_entry_pathname(entry))) {
            name = strdup(em_la.archive_entry_pathname(entry));
            r = name ? visit_inner(walk, archive, name) : EM_NO_MEMORY;
        } else {
            r = walk->visit(walk->context, archive, entry, inside);
        }
        if (r != EM_OK)
            return r;
    }
    return status == ARCHIVE_EOF ? EM_OK : broken(walk, archive);
}

static int open_archive(const struct walk *walk, int fd, struct archive **archive)
{
    int r = em_libarchive_open(walk->error);

    *archive = r < 0 ? NULL : new_archive();
    if (!*archive)
        return r < 0 ? r : EM_NO_MEMORY;
    if (lseek(fd, 0, SEEK_SET) < 0 || em_la.archive_read_open_fd(*archive, fd, PIECE) != ARCHIVE_OK)
        return broken(walk, *archive);
    return EM_OK;
}

int em_archive_each(int fd, const char *label, em_archive_visit *visit, void *context, struct em_error *error)
{
    const struct walk walk = { label, visit, context, error };
    struct archive *archive;
    int r = open_archive(&walk, fd, &archive);

    if (r == EM_OK)
        r = visit_all(&walk, archive, NULL);
    em_la.archive_read_free(archive);
    return r < 0 ? r : EM_OK;
}

int em_archive_probe(int fd, const char *label, struct em_error *error)
{
    const struct walk walk = { .label = label, .error = error };
    struct archive_entry *entry;
    struct archive *archive;
    int r = open_archive(&walk, fd, &archive);

    if (r == EM_OK) {
        int status = em_la.archive_read_next_header(archive, &entry);

        r = status == ARCHIVE_OK || status == ARCHIVE_WARN || status == ARCHIVE_EOF ? EM_OK : broken(&walk, archive);
    }
    em_la.archive_read_free(archive);
    return r;
}
