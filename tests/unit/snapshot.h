/* snapshot.h: what a directory tree is, to the last inode and nanosecond, as text, for tests that say "exactly as before". */
#ifndef EM_TESTS_SNAPSHOT_H
#define EM_TESTS_SNAPSHOT_H

#include "base/base.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static inline void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline char *read_file(struct em_arena *arena, const char *path)
{
    struct em_bytes bytes;

    if (em_read_file_at(AT_FDCWD, path, 1 << 30, arena, &bytes, NULL) < 0)
        return NULL;
    return em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
}

static inline void snapshot_one(struct em_text *text, struct em_arena *arena, const char *path, const struct stat *st)
{
    em_text_printf(text, "%s ino %" PRIu64 " mode %o owner %u:%u links %" PRIu64 " mtime %" PRId64 ".%09ld", path,
                   (uint64_t)st->st_ino, (unsigned)st->st_mode, (unsigned)st->st_uid, (unsigned)st->st_gid,
                   S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_nlink, (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    if (S_ISREG(st->st_mode)) {
        char hex[EM_SHA256_HEX_SIZE];
        struct em_sha256 digest;
        struct em_bytes bytes;

        assert_int_equal(em_read_file_at(AT_FDCWD, path, 1 << 30, arena, &bytes, NULL), 0);
        em_sha256_bytes(bytes.data, bytes.size, &digest);
        em_sha256_hex(&digest, hex);
        em_text_printf(text, " %s", hex);
    }
    em_text_add(text, "\n");
}

static inline void snapshot_walk(struct em_text *text, struct em_arena *arena, const char *path)
{
    struct dirent **names;
    struct stat st;
    int count;

    assert_int_equal(lstat(path, &st), 0);
    snapshot_one(text, arena, path, &st);
    if (!S_ISDIR(st.st_mode))
        return;
    count = scandir(path, &names, NULL, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
            snapshot_walk(text, arena, em_path_join(arena, path, names[i]->d_name));
        free(names[i]);
    }
    free(names);
}

static inline char *snapshot(struct em_arena *arena, const char *path)
{
    struct em_text text = { 0 };
    char *copy;

    snapshot_walk(&text, arena, path);
    assert_false(text.failed);
    copy = em_arena_strdup(arena, text.data);
    em_text_free(&text);
    return copy;
}

#endif
