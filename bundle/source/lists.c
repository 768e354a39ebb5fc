#include "bundle/source/lists.h"

#include "bundle/source/inside.h"

#include <stdio.h>
#include <string.h>

static int write_file(struct em_unpack *unpack, const char *path, const struct em_text *text)
{
    em_cleanup_fd int fd = -1;

    if (!path || text->failed || em_vec_push(unpack->arena, &unpack->papers, path) < 0)
        return EM_NO_MEMORY;
    fd = openat(unpack->root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", path);
    return em_write_all(fd, text->data, text->size, path, unpack->error);
}

static void add_row(struct em_text *record, const struct em_list_row *row)
{
    char base64[EM_SHA256_BASE64_SIZE];

    em_text_printf(record, "%s,", row->path);
    if (row->sha256) {
        em_sha256_base64(row->sha256, base64);
        em_text_printf(record, "sha256=%s", base64);
    }
    if (row->has_size)
        em_text_printf(record, ",%llu\n", (unsigned long long)row->size);
    else
        em_text_add(record, ",\n");
}

/* A licence of the package goes where a distribution has its own. Its digest is that of what came. */
static int move_licence(struct em_unpack *unpack, const char *path, const char *info, struct em_text *record)
{
    const char *to = em_arena_printf(unpack->arena, "%s/licenses/%s", info, em_path_basename(path));
    struct em_list_row row = { .path = to };
    struct em_sha256 sha256;
    struct em_bytes bytes;
    int r;

    if (!to)
        return EM_NO_MEMORY;
    if (strpbrk(to, ",\"") || faccessat(unpack->root, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EM_OK;
    r = em_read_file_at(unpack->root, path, EM_MAX_METADATA, unpack->arena, &bytes, unpack->error);
    if (r < 0)
        return r;
    if (renameat(unpack->root, path, unpack->root, to) < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", to);
    if (em_vec_push(unpack->arena, &unpack->papers, to) < 0 || em_sha256_bytes(bytes.data, bytes.size, &sha256) < 0)
        return EM_NO_MEMORY;
    row.sha256 = &sha256;
    add_row(record, &row);
    return EM_OK;
}

int em_list_write(const struct em_list *list, struct em_unpack *unpack)
{
    em_cleanup_text struct em_text record = { 0 }, metadata = { 0 }, installer = { 0 };
    const char *info = em_arena_printf(unpack->arena, "%s-%s.dist-info", list->name, list->version);
    const char *licences = info ? em_path_join(unpack->arena, info, "licenses") : NULL;
    int r = EM_OK;

    if (!licences)
        return EM_NO_MEMORY;
    if (mkdirat(unpack->root, info, 0700) < 0 || mkdirat(unpack->root, licences, 0700) < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", info);
    em_vec_each (const struct em_list_row, row, &list->rows)
        if (!strpbrk(row->path, ",\"\r\n"))
            add_row(&record, row);
    em_vec_each (const char *, path, &unpack->licences)
        if (r == EM_OK)
            r = move_licence(unpack, *path, info, &record);
    em_text_printf(&record, "%s/METADATA,,\n%s/INSTALLER,,\n%s/RECORD,,\n", info, info, info);
    em_text_printf(&metadata, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", list->name, list->version);
    em_text_printf(&installer, "%s\n", list->installer);
    if (r == EM_OK)
        r = write_file(unpack, em_path_join(unpack->arena, info, "RECORD"), &record);
    if (r == EM_OK)
        r = write_file(unpack, em_path_join(unpack->arena, info, "METADATA"), &metadata);
    return r < 0 ? r : write_file(unpack, em_path_join(unpack->arena, info, "INSTALLER"), &installer);
}
