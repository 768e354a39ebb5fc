#include "bundle/source/lists.h"

#include <string.h>

/* The value of a field of control (deb-control(5)), as far as it may stand in a path; NULL: there is none. */
static const char *field(const struct em_unpack *unpack, const char *control, const char *name)
{
    const size_t length = strlen(name);

    for (const char *line = control; line; line = strchr(line, '\n')) {
        const char *value;
        size_t size;

        line += *line == '\n';
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        value = line + length + 1 + strspn(line + length + 1, " \t");
        size = strcspn(value, " \t\r\n");
        return size > 0 && !memchr(value, '/', size) && *value != '.' ? em_arena_strndup(unpack->arena, value, size) : NULL;
    }
    return NULL;
}

/* An epoch (deb-version(7)) is of Debian's own counting: a library's version stands behind it. */
static const char *without_epoch(const char *version)
{
    const char *colon = version ? strchr(version, ':') : NULL;

    return colon ? colon + 1 : version;
}

int em_lists_of_deb(struct em_unpack *unpack)
{
    struct em_list list = { .installer = "dpkg" };
    struct em_error missing = EM_ERROR_INIT;
    struct em_bytes bytes;
    const char *control;
    int r = em_read_file_at(unpack->root, "DEBIAN/control", EM_MAX_METADATA, unpack->arena, &bytes, &missing);

    if (r < 0 || unpack->records > 0)
        return r == EM_NO_MEMORY ? r : EM_OK;
    control = em_arena_strndup(unpack->arena, (const char *)bytes.data, bytes.size);
    if (!control)
        return EM_NO_MEMORY;
    list.name = field(unpack, control, "Package");
    list.version = without_epoch(field(unpack, control, "Version"));
    if (!list.name || !list.version || !*list.version)
        return EM_OK;
    em_vec_each (struct em_member *, member, unpack->listing)
        if ((*member)->kind != EM_MEMBER_LINK &&
            em_vec_push(unpack->arena, &list.rows, ((struct em_list_row){ .path = (*member)->path })) < 0)
            return EM_NO_MEMORY;
    return em_list_write(&list, unpack);
}

/* The digest of a path in md5sums (deb-md5sums(5): 32 hexadecimal digits, two spaces, path); NULL: it has none. */
static const char *find_sum(const char *sums, const char *path)
{
    const size_t length = strlen(path);

    for (const char *line = sums; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strcspn(line, " \n") == 32 && line[32] == ' ' && strncmp(line + 34, path, length) == 0 &&
            strchr("\r\n", line[34 + length]))
            return line;
    }
    return NULL;
}

int em_md5sums_check(const struct em_unpack *unpack, int fd, const char *path)
{
    char wanted[33], found[EM_DIGEST_BASE64_SIZE], spelled[EM_DIGEST_BASE64_SIZE];
    struct em_error missing = EM_ERROR_INIT;
    struct em_reader reader;
    struct em_bytes bytes;
    const char *sums, *sum;
    int r = em_read_file_at(unpack->root, "DEBIAN/md5sums", EM_MAX_RECORD, unpack->arena, &bytes, &missing);

    if (r < 0)
        return r == EM_NOT_FOUND ? EM_OK : em_fail(unpack->error, r, unpack->label, "has md5sums that cannot be read");
    sums = em_arena_strndup(unpack->arena, (const char *)bytes.data, bytes.size);
    if (!sums)
        return EM_NO_MEMORY;
    sum = find_sum(sums, path);
    if (!sum)
        return EM_OK;
    memcpy(wanted, sum, 32);
    wanted[32] = '\0';
    r = em_reader_whole(&reader, fd, path, unpack->error);
    if (r == EM_OK)
        r = em_digest_reader(&reader, "md5", found, unpack->error);
    /* A libcrypto that is not allowed to do MD5: it proves little anyway. */
    if (r == EM_UNSUPPORTED || !em_digest_from_hex(wanted, spelled))
        return EM_OK;
    if (r == EM_OK && strcmp(found, spelled) != 0)
        r = em_fail(unpack->error, EM_REFUSED, unpack->label, "has a %s that is not what its own md5sums say", path);
    return r;
}
