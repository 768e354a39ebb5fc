/* Archives as sources: the same libraries from each kind of container, verified; and what no honest container has, refused whole. */
#include "bundle/source/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define INFO "nvidia_cudnn_cu12-9.10.2.21.dist-info/"
#define LIB "nvidia/cudnn/lib/libcudnn_cnn.so.9"

struct fixture {
    struct em_arena *arena;
    struct em_tree *tree;
    struct em_source *source;
    struct em_bytes library; /* a real one, of that SONAME */
    const char *record;      /* a row for it */
};

/* One member to be written. */
struct member {
    const char *name;
    const void *data; /* NULL: the library */
    size_t size;      /* 0: strlen */
    const char *link; /* a symlink to that */
    const char *hard;
};

static void shell(const char *command)
{
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct em_sha256 digest;
    char base64[EM_SHA256_BASE64_SIZE], cwd[4096];

    if (!f || em_tree_disk(&f->tree, NULL, NULL) < 0 || !getcwd(cwd, sizeof cwd))
        return -1;
    f->arena = em_arena_new();
    *state = f;
    setenv("ELFMEND_CACHE", em_path_join(f->arena, cwd, "cache"), 1);
    shell("rm -rf cache a.* && echo 'int em_cnn;' | cc -shared -nostdlib -Wl,-soname,libcudnn_cnn.so.9 -x c - -o lib.so");
    assert_int_equal(em_read_file_at(AT_FDCWD, "lib.so", 1 << 20, f->arena, &f->library, NULL), EM_OK);
    em_sha256_bytes(f->library.data, f->library.size, &digest);
    em_sha256_base64(&digest, base64);
    f->record = em_arena_printf(f->arena, LIB ",sha256=%s,%zu\n", base64, f->library.size);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    em_tree_close(f->tree);
    em_arena_free(f->arena);
    free(f);
    return 0;
}

static void write_member(struct fixture *f, struct archive *archive, const struct member *member)
{
    struct archive_entry *entry = archive_entry_new();
    const void *data = member->data ? member->data : f->library.data;
    size_t size = !member->data ? f->library.size : member->size ? member->size : strlen(member->data);

    archive_entry_set_pathname(entry, member->name);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, member->link ? AE_IFLNK : AE_IFREG);
    if (member->link)
        archive_entry_set_symlink(entry, member->link);
    else if (member->hard)
        archive_entry_set_hardlink(entry, member->hard);
    else
        archive_entry_set_size(entry, (la_int64_t)size);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (!member->link && !member->hard)
        assert_int_equal(archive_write_data(archive, data, size), size);
    archive_entry_free(entry);
}

typedef int (*setter)(struct archive *);

static void make(struct fixture *f, const char *path, setter format, setter filter, const struct member *members)
{
    struct archive *archive = archive_write_new();

    assert_int_equal(format(archive), ARCHIVE_OK);
    if (filter)
        assert_int_equal(filter(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (; members->name; members++)
        write_member(f, archive, members);
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
}

/* A wheel's members in any container. */
static const struct member *wheel(struct fixture *f, const char *prefix)
{
    struct member *members = em_arena_array(f->arena, 5, sizeof *members);

    members[0] = (struct member){ .name = em_arena_printf(f->arena, "%snvidia/__init__.py", prefix), .data = "# no library\n" };
    members[1] = (struct member){ .name = em_arena_printf(f->arena, "%s" LIB, prefix) };
    members[2] = (struct member){ .name = em_arena_printf(f->arena, "%s" INFO "METADATA", prefix),
                                  .data = "Name: nvidia-cudnn-cu12\nVersion: 9.10.2.21\n\n" };
    members[3] = (struct member){ .name = em_arena_printf(f->arena, "%s" INFO "RECORD", prefix), .data = f->record };
    return members;
}

static void *file(struct fixture *f, const char *path, size_t *size)
{
    struct em_bytes bytes;

    assert_int_equal(em_read_file_at(AT_FDCWD, path, 1 << 24, f->arena, &bytes, NULL), EM_OK);
    *size = bytes.size;
    return (void *)bytes.data;
}

static struct em_candidate *open_and_find(struct fixture *f, const char *place)
{
    struct em_error error = EM_ERROR_INIT;

    if (em_source_open(&f->source, f->arena, f->tree, place, &error) < 0 || em_source_look(f->source, NULL, false, &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
    em_vec_each (struct em_candidate *, candidate, &f->source->candidates)
        if (strcmp(em_path_basename((*candidate)->path), "libcudnn_cnn.so.9") == 0)
            return *candidate;
    fail_msg("%s has no libcudnn_cnn.so.9", place);
    return NULL;
}

static void verified_from(struct fixture *f, const char *place, const char *version)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_candidate *candidate = open_and_find(f, place);

    if (em_candidate_verify(candidate, NULL, false, &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
    assert_int_equal(candidate->voucher, EM_VOUCHER_RECORD);
    assert_string_equal(candidate->distribution->version, version);
    assert_string_equal(candidate->place, place);
    assert_int_equal(candidate->node.mode, 0644);
}

static void refused(struct fixture *f, const char *place, int code, const char *part)
{
    struct em_error error = EM_ERROR_INIT;

    int r = em_source_open(&f->source, f->arena, f->tree, place, &error);

    if (r == EM_OK)
        r = em_source_look(f->source, NULL, false, &error);
    assert_int_equal(r, code);
    if (!strstr(error.sentence, part))
        fail_msg("%s: %s", error.path, error.sentence);
    assert_string_equal(error.path, place);
    /* Nothing of it is kept. */
    shell("! test -d cache || test -z \"$(find cache -mindepth 2)\"");
}

static void wheels_and_tars(void **state)
{
    static const struct {
        const char *path;
        setter format, filter;
    } kinds[] = {
        { "a.whl", archive_write_set_format_zip, NULL },
        { "a.tar", archive_write_set_format_gnutar, NULL },
        { "a.tar.gz", archive_write_set_format_pax, archive_write_add_filter_gzip },
        { "a.tar.xz", archive_write_set_format_pax, archive_write_add_filter_xz },
        { "a.tar.bz2", archive_write_set_format_ustar, archive_write_add_filter_bzip2 },
        { "a.tar.zst", archive_write_set_format_pax, archive_write_add_filter_zstd },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        make(f, kinds[i].path, kinds[i].format, kinds[i].filter, wheel(f, i % 2 ? "./" : ""));
        verified_from(f, kinds[i].path, "9.10.2.21");
        verified_from(f, kinds[i].path, "9.10.2.21"); /* from the cache */
    }
    shell("test $(ls cache/sources | wc -l) = 6 && ! find cache | grep __init__");
}

/* Debian keeps the SONAME as a link, and links of alternatives that lead nowhere in the package. */
static void a_deb(void **state)
{
    struct fixture *f = *state;
    const char *site = "./usr/lib/python3/dist-packages/";
    const struct member *inner = wheel(f, site);
    const struct member data[] = {
        inner[1],
        inner[2],
        inner[3],
        { .name = "./usr/lib/libcudnn.so", .link = "/etc/alternatives/libcudnn_so" },
        { .name = "./usr/lib/libcudnn_cnn.so", .link = "/usr/lib/python3/dist-packages/" LIB },
        { 0 },
    };
    struct member deb[] = { { .name = "debian-binary", .data = "2.0\n" }, { .name = "data.tar.xz" }, { 0 } };

    make(f, "a.data", archive_write_set_format_gnutar, archive_write_add_filter_xz, data);
    deb[1].data = file(f, "a.data", &deb[1].size);
    make(f, "a.deb", archive_write_set_format_ar_bsd, NULL, deb);
    verified_from(f, "a.deb", "9.10.2.21");
    shell("test \"$(readlink cache/sources/*/files/usr/lib/libcudnn_cnn.so)\" = python3/dist-packages/" LIB " &&"
          " test -e cache/sources/*/files/usr/lib/libcudnn_cnn.so && ! test -L cache/sources/*/files/usr/lib/libcudnn.so");
}

static void conda_packages(void **state)
{
    struct fixture *f = *state;
    char hex[EM_SHA256_HEX_SIZE];
    struct em_sha256 digest;
    const char *paths;

    em_sha256_bytes(f->library.data, f->library.size, &digest);
    em_sha256_hex(&digest, hex);
    paths = em_arena_printf(
        f->arena,
        "{\"paths\": [{\"_path\": \"lib/libcudnn_cnn.so.9\", \"path_type\": \"hardlink\", \"sha256\": \"%s\","
        " \"size_in_bytes\": %zu}, {\"_path\": \"../evil\", \"sha256\": \"%s\"}], \"paths_version\": 1}",
        hex, f->library.size, hex);
    const struct member info[] = { { .name = "info/index.json", .data = "{\"name\": \"cudnn\", \"version\": \"9.10.2\"}" },
                                   { .name = "info/paths.json", .data = paths },
                                   { 0 } };
    const struct member pkg[] = { { .name = "lib/libcudnn_cnn.so.9" },
                                  { .name = "lib/libcudnn_cnn.so", .link = "libcudnn_cnn.so.9" },
                                  { 0 } };
    const struct member old[] = { info[0], info[1], pkg[0], pkg[1], { 0 } };
    struct member new[] = { { .name = "metadata.json", .data = "{\"conda_pkg_format_version\": 2}" },
                            { .name = "pkg-cudnn-9.10.2-0.tar.zst" },
                            { .name = "info-cudnn-9.10.2-0.tar.zst" },
                            { 0 } };

    make(f, "a.tar.bz2", archive_write_set_format_pax, archive_write_add_filter_bzip2, old);
    verified_from(f, "a.tar.bz2", "9.10.2");
    make(f, "a.pkg", archive_write_set_format_pax, archive_write_add_filter_zstd, pkg);
    make(f, "a.info", archive_write_set_format_pax, archive_write_add_filter_zstd, info);
    new[1].data = file(f, "a.pkg", &new[1].size);
    new[2].data = file(f, "a.info", &new[2].size);
    make(f, "a.conda", archive_write_set_format_zip, NULL, new);
    verified_from(f, "a.conda", "9.10.2");
}

static void one_byte_is_enough(void **state)
{
    struct fixture *f = *state;
    struct em_error error = EM_ERROR_INIT;
    uint8_t *data = (uint8_t *)em_arena_strndup(f->arena, (const char *)f->library.data, f->library.size);
    struct member members[] = { wheel(f, "")[1], wheel(f, "")[2], wheel(f, "")[3], { 0 } };

    data[f->library.size - 1] ^= 1;
    members[0].data = data;
    members[0].size = f->library.size;
    make(f, "a.whl", archive_write_set_format_zip, NULL, members);
    assert_int_equal(em_candidate_verify(open_and_find(f, "a.whl"), NULL, true, &error), EM_REFUSED);
    assert_non_null(strstr(error.sentence, "is not what the RECORD of nvidia-cudnn-cu12 9.10.2.21 says"));
    /* In the packed bytes the container's own check sees it first. */
    shell("rm -r cache");
    make(f, "a.whl", archive_write_set_format_zip, NULL, wheel(f, ""));
    shell("python3 - <<'E'\nb = bytearray(open('a.whl', 'rb').read())\nb[len(b) // 3] ^= 255\nopen('a.whl', 'wb').write(b)\nE");
    refused(f, "a.whl", EM_BAD_ZIP, "");
}

static void truncated_ones(void **state)
{
    struct fixture *f = *state;

    make(f, "a.tar.xz", archive_write_set_format_pax, archive_write_add_filter_xz, wheel(f, ""));
    shell("head -c $(($(wc -c < a.tar.xz) / 2)) a.tar.xz > a.cut");
    refused(f, "a.cut", EM_BAD_ZIP, "");
    make(f, "a.whl", archive_write_set_format_zip, NULL, wheel(f, ""));
    shell("head -c -30 a.whl > a.cut");
    refused(f, "a.cut", EM_BAD_ZIP, "");
    shell("echo 'no archive at all' > a.cut");
    refused(f, "a.cut", EM_BAD_ZIP, "is no archive that can be read");
}

static void names_that_no_archive_has(void **state)
{
    static const struct {
        struct member member;
        const char *part;
    } bad[] = {
        { { .name = "../libevil.so" }, "would lie outside of it: '../libevil.so'" },
        { { .name = "nvidia/../../x.txt", .data = "not even wanted" }, "would lie outside" },
        { { .name = "/etc/libevil.so" }, "would lie outside" },
        { { .name = "a//b.so" }, "would lie outside" },
        { { .name = "lib\033evil.so" }, "control character" },
        { { .name = "libevil.so", .link = "/etc/passwd" }, "leads out of it: libevil.so -> /etc/passwd" },
        { { .name = "a/libevil.so", .link = "../../x" }, "leads out of it" },
        { { .name = "a/libevil.so", .hard = "../../x" }, "leads out of it" },
        { { .name = "a/notes", .link = "../../x" }, "leads out of it: a/notes -> ../../x" },
        { { .name = "up", .link = ".." }, "leads out of it" },
        { { .name = "bin/other3", .link = "/usr/bin/python3" }, "leads out of it" },
        { { .name = LIB }, "two members of the name " LIB },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct member members[] = { wheel(f, "")[1], wheel(f, "")[2], bad[i].member, wheel(f, "")[3], { 0 } };

        make(f, "a.tar", archive_write_set_format_pax, NULL, members);
        refused(f, "a.tar", EM_REFUSED, bad[i].part);
    }
    /* A wheel has no links at all, wherever they lead. */
    struct member members[] = { wheel(f, "")[1], { .name = "a/x.txt", .link = "y.txt" }, { 0 } };
    make(f, "a.whl", archive_write_set_format_zip, NULL, members);
    refused(f, "a.whl", EM_BAD_ZIP, "has a member that is a symbolic link: a/x.txt");
    make(f, "a.zip", archive_write_set_format_zip, NULL, members);
    open_and_find(f, "a.zip");
    /* An environment has one that leads out: its interpreter. */
    members[1] = (struct member){ .name = "v/bin/python3.11", .link = "/usr/bin/python3.11" };
    make(f, "a.tar", archive_write_set_format_pax, NULL, members);
    open_and_find(f, "a.tar");
}

/* What was made through a link would lie where the link leads. */
static void nothing_goes_through_a_link(void **state)
{
    struct fixture *f = *state;
    const struct member members[] = {
        { .name = "lib.so", .link = "there" }, { .name = "lib.so/libx.so" }, { .name = "there/liby.so" }, { 0 }
    };

    make(f, "a.tar", archive_write_set_format_pax, NULL, members);
    if (em_source_open(&f->source, f->arena, f->tree, "a.tar", NULL) == EM_OK &&
        em_source_look(f->source, NULL, false, NULL) == EM_OK)
        shell("! test -e cache/sources/*/files/there/libx.so");
}

static void bombs(void **state)
{
    struct fixture *f = *state;
    const struct member members[] = { { .name = "libzero.so", .data = calloc(1, 128 << 20), .size = 128 << 20 }, { 0 } };

    assert_non_null(members[0].data);
    make(f, "a.tar.zst", archive_write_set_format_pax, archive_write_add_filter_zstd, members);
    refused(f, "a.tar.zst", EM_REFUSED, "beyond all measure");
    make(f, "a.zip", archive_write_set_format_zip, NULL, members);
    refused(f, "a.zip", EM_REFUSED, "beyond all measure");
    free((void *)members[0].data);
}

static void nothing_to_copy(void **state)
{
    struct fixture *f = *state;
    const struct member members[] = { { .name = "a.py", .data = "1" }, { 0 } };

    make(f, "a.whl", archive_write_set_format_zip, NULL, members);
    refused(f, "a.whl", EM_UNSUPPORTED, "holds no library that could be copied");
}

/* What is unpacked by now, by base name. */
static void unpacked(const char *names)
{
    char command[256];

    snprintf(command, sizeof command,
             "test \"$(cd cache/sources/*/files && find . -name '*.so*' -printf '%%f\\n' | sort | paste -sd' ')\" = '%s'",
             names);
    shell(command);
}

static void look(struct fixture *f, const char *name, bool deep, size_t candidates)
{
    struct em_strings names = { .items = &name, .count = 1, .capacity = 1 };
    struct em_error error = EM_ERROR_INIT;

    if (em_source_look(f->source, &names, deep, &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
    assert_int_equal(f->source->candidates.count, candidates);
}

/* A member is unpacked when somebody asks for a library that it may be, and no other is. */
static void only_what_is_asked_for(void **state)
{
    struct fixture *f = *state;
    const struct member members[] = {
        { .name = "a/liblink.so.1", .link = "../b/libreal-1.2.so" },
        { .name = "a/libcudnn_cnn.so.9.10.2" },
        { .name = "a/libcudnn_cnn.so.9", .link = "libcudnn_cnn.so.9.10.2" },
        { .name = "b/libreal-1.2.so" },
        { .name = "b/libodd.so" },
        { .name = "b/libother.so.1", .data = "no object at all" },
        { 0 },
    };

    make(f, "a.tar.gz", archive_write_set_format_pax, archive_write_add_filter_gzip, members);
    assert_int_equal(em_source_open(&f->source, f->arena, f->tree, "a.tar.gz", NULL), EM_OK);
    shell("test -z \"$(ls cache/sources)\"");
    look(f, "libcudnn_cnn.so.9", false, 1);
    unpacked("libcudnn_cnn.so.9 libcudnn_cnn.so.9.10.2");
    look(f, "libnothing.so.1", false, 1);
    look(f, "liblink.so.1", false, 2);
    unpacked("libcudnn_cnn.so.9 libcudnn_cnn.so.9.10.2 liblink.so.1 libreal-1.2.so");
    look(f, "libcudnn_cnn.so.9", true, 3); /* libodd.so calls itself so */
    unpacked("libcudnn_cnn.so.9 libcudnn_cnn.so.9.10.2 liblink.so.1 libodd.so libreal-1.2.so");
    /* The next run knows what is in it, and what that calls itself. */
    assert_int_equal(em_source_open(&f->source, f->arena, f->tree, "a.tar.gz", NULL), EM_OK);
    look(f, "libcudnn_cnn.so.9", false, 2);
    shell("grep -q 'libother.so.1.*\t$' cache/sources/*/list && rm cache/sources/*/files/b/libodd.so");
    assert_int_equal(em_source_open(&f->source, f->arena, f->tree, "a.tar.gz", NULL), EM_OK);
    look(f, "libcudnn_cnn.so.9", false, 2);
    unpacked("libcudnn_cnn.so.9 libcudnn_cnn.so.9.10.2 liblink.so.1 libodd.so libreal-1.2.so");
    shell("test $(ls cache/sources | wc -l) -eq 1 && test $(ls cache/sources/* | wc -l) -eq 2");
}

/* What was listed has to be there still when more of it is wanted. */
static void changed_since(void **state)
{
    struct fixture *f = *state;
    const char *name = "libb.so";
    const struct em_strings names = { .items = &name, .count = 1, .capacity = 1 };
    const struct member members[] = { { .name = "liba.so" }, { .name = "libb.so" }, { 0 } };

    make(f, "a.tar", archive_write_set_format_pax, NULL, members);
    assert_int_equal(em_source_open(&f->source, f->arena, f->tree, "a.tar", NULL), EM_OK);
    look(f, "liba.so", false, 1);
    shell("printf x >> a.tar");
    assert_int_equal(em_source_look(f->source, &names, false, NULL), EM_CHANGED);
}

/* What has not been used for long goes when something new is unpacked; what was used today stays. */
static void the_cache_forgets(void **state)
{
    struct fixture *f = *state;

    shell("mkdir -p cache/sources/old cache/sources/unpacking-cut-off cache/sources/young && touch cache/sources/old/lib.so && "
          "touch -d '40 days ago' cache/sources/old cache/sources/unpacking-cut-off && touch -d '10 days ago' "
          "cache/sources/young");
    make(f, "a.tar", archive_write_set_format_gnutar, NULL, wheel(f, ""));
    assert_non_null(open_and_find(f, "a.tar"));
    assert_int_equal(access("cache/sources/old", F_OK), -1);
    assert_int_equal(access("cache/sources/unpacking-cut-off", F_OK), -1);
    assert_int_equal(access("cache/sources/young", F_OK), 0);
    /* Asked for again it is young again, however long it lay there. */
    shell("touch -d '40 days ago' cache/sources/*");
    assert_non_null(open_and_find(f, "a.tar"));
    shell("printf x >> a.tar");
    assert_non_null(open_and_find(f, "a.tar"));
    assert_int_equal(access("cache/sources/young", F_OK), -1);
    shell("test $(ls cache/sources | wc -l) -eq 2");
}

/* What a power failure makes of a file that nobody has synced: it is cut off, empty, full of zeros, or not there. */
static const char *const damages[] = { "truncate -s -1", "truncate -s 0", "sh -c 'head -c $(wc -c < $0) /dev/zero > $0'",
                                       "rm" };

static size_t count_files(struct fixture *f, const char *path)
{
    char *text;
    size_t size;

    shell(em_arena_printf(f->arena, "find %s ! -type d | wc -l > a.count", path));
    text = file(f, "a.count", &size);
    return (size_t)atol(text);
}

/* Whatever of the cache is lost is unpacked again, and is no fault of the archive. */
static void lost_in_the_cache(void **state)
{
    struct fixture *f = *state;
    char hex[EM_SHA256_HEX_SIZE];
    struct em_sha256 digest;
    const char *paths;

    em_sha256_bytes(f->library.data, f->library.size, &digest);
    em_sha256_hex(&digest, hex);
    paths = em_arena_printf(f->arena,
                            "{\"paths\": [{\"_path\": \"lib/libcudnn_cnn.so.9\", \"sha256\": \"%s\", \"size_in_bytes\": %zu}]}",
                            hex, f->library.size);
    const struct member conda[] = {
        { .name = "info/index.json", .data = "{\"name\": \"cudnn\", \"version\": \"9.10.2.21\"}" },
        { .name = "info/paths.json", .data = paths },
        { .name = "info/licenses/EULA.txt", .data = "words" },
        { .name = "lib/libcudnn_cnn.so.9.10" },
        { .name = "lib/libcudnn_cnn.so.9", .hard = "lib/libcudnn_cnn.so.9.10" },
        { .name = "lib/libcudnn_cnn.so", .link = "libcudnn_cnn.so.9" },
        { 0 },
    };
    static const char *const places[] = { "a.whl", "a.tar", "a.conda" };

    make(f, "a.whl", archive_write_set_format_zip, NULL, wheel(f, ""));
    make(f, "a.tar", archive_write_set_format_gnutar, NULL, wheel(f, ""));
    make(f, "a.conda", archive_write_set_format_gnutar, NULL, conda);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t files;

        shell("rm -rf cache");
        verified_from(f, places[i], "9.10.2.21");
        files = count_files(f, "cache/sources");
        assert_true(files >= 4);
        for (size_t damage = 0; damage < sizeof damages / sizeof *damages; damage++)
            for (size_t at = 1; at <= files; at++) {
                shell(em_arena_printf(f->arena, "%s \"$(find cache/sources ! -type d | sort | sed -n %zup)\"", damages[damage],
                                      at));
                verified_from(f, places[i], "9.10.2.21");
                assert_int_equal(count_files(f, "cache/sources"), files);
                shell("test $(ls cache/sources | wc -l) = 1");
            }
        shell("rm -r cache/sources/*/files");
        verified_from(f, places[i], "9.10.2.21");
        shell("d=$(echo cache/sources/*) && rm -r $d && echo x > $d");
        verified_from(f, places[i], "9.10.2.21");
        shell("d=$(echo cache/sources/*) && mv $d elsewhere && ln -s $PWD/elsewhere $d");
        verified_from(f, places[i], "9.10.2.21");
        shell("rm -r elsewhere && test -d cache/sources/*/files");
    }
}

/* Two archives that have the same non-cryptographic digest would be one to the cache. */
static void the_key_is_sha256(void **state)
{
    struct fixture *f = *state;

    make(f, "a.tar", archive_write_set_format_gnutar, NULL, wheel(f, ""));
    verified_from(f, "a.tar", "9.10.2.21");
    shell("test -d cache/sources/$(sha256sum < a.tar | cut -d' ' -f1)-*");
}

/* An environment whose python is a script that does what pip would. */
static void fetched_by_the_environment(void **state)
{
    struct fixture *f = *state;
    struct em_error error = EM_ERROR_INIT;
    struct em_env env;

    make(f, "a.whl", archive_write_set_format_zip, NULL, wheel(f, ""));
    shell("rm -rf v && mkdir -p v/bin v/lib/python3.11/site-packages && touch v/pyvenv.cfg && cp a.whl "
          "v/cudnn-1-py3-none-any.whl &&"
          "printf '#!/bin/sh\\ncase \"$*\" in *find_spec*) exit 0 ;; esac\\n"
          "test \"$*\" = \"-I -B -m pip --disable-pip-version-check --no-input download --quiet --no-deps --only-binary=:all: "
          "--dest "
          "${12} -- cudnn==1\" || { echo \"args: $*\" >&2; exit 9; }\\n"
          "echo to-standard-output; cp \"${0%%/*}/../cudnn-1-py3-none-any.whl\" \"${12}\"\\n' > v/bin/python3 && chmod +x "
          "v/bin/python3");
    assert_int_equal(em_env_read(&env, f->arena, f->tree, "v", &error), EM_OK);
    for (int i = 0; i < 2; i++) {
        if (em_source_open_for(&f->source, f->arena, f->tree, "pip:cudnn==1", &env, &error) < 0)
            fail_msg("%s: %s", error.path, error.sentence);
        assert_int_equal(f->source->candidates.count, 1);
        assert_int_equal(em_candidate_verify(f->source->candidates.items[0], NULL, false, NULL), EM_OK);
        shell("test $(ls cache/sources | wc -l) = 1");
    }
    assert_int_equal(em_source_open_for(&f->source, f->arena, f->tree, "pip:nothing", &env, &error), EM_REFUSED);
    assert_string_equal(error.sentence, "could not be fetched: exit status 9, for the reason above");
    assert_int_equal(em_source_open_for(&f->source, f->arena, f->tree, "pip:--index-url=x", &env, &error), EM_USAGE);
    shell("test $(ls cache/sources | wc -l) = 1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(wheels_and_tars),
        TEST(a_deb),
        TEST(conda_packages),
        TEST(one_byte_is_enough),
        TEST(truncated_ones),
        TEST(names_that_no_archive_has),
        TEST(nothing_goes_through_a_link),
        TEST(bombs),
        TEST(nothing_to_copy),
        TEST(only_what_is_asked_for),
        TEST(changed_since),
        TEST(the_cache_forgets),
        TEST(lost_in_the_cache),
        TEST(the_key_is_sha256),
        TEST(fetched_by_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
