#include "bundle/wheel/index.h"

#include "bundle/plan/beneath.h"
#include "bundle/wheel/aside.h"
#include "bundle/wheel/wheel.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

/* A file of the index that appears whole. */
static int put_file(const struct em_aside *aside, int dir, const char *name, const void *data, size_t size,
                    struct em_error *error)
{
    em_cleanup_fd int fd = em_aside_file(aside, name, error);
    int r;

    if (fd < 0)
        return fd;
    r = em_write_all(fd, data, size, name, error);
    if (r == EM_OK)
        r = em_fsync(fd, name, error);
    return r < 0 ? r : em_aside_place(aside, name, dir, error);
}

static int copy_wheel(const struct em_aside *aside, int dir, const struct em_wheel *wheel, struct em_error *error)
{
    em_cleanup_fd int fd = em_aside_file(aside, wheel->file_name, error);
    int r;

    if (fd < 0)
        return fd;
    r = em_copy_fd(em_zip_fd(wheel->zip), fd, em_zip_size(wheel->zip), wheel->given, error);
    if (r == EM_OK)
        r = em_fsync(fd, wheel->file_name, error);
    return r < 0 ? r : em_aside_place(aside, wheel->file_name, dir, error);
}

/* ---- pages ---- */

static void add_escaped(struct em_text *text, const char *string)
{
    for (; *string; string++) {
        if (strchr("&<>\"", *string))
            em_text_printf(text, "&#%d;", *string);
        else
            em_text_add_bytes(text, string, 1);
    }
}

/* RFC 3986, 2.3; "+" too is spelled by its number: some servers take a bare one for a space. */
static void add_url(struct em_text *text, const char *name)
{
    for (; *name; name++)
        em_text_printf(text, isalnum((unsigned char)*name) || strchr("-._~", *name) ? "%c" : "%%%02X", (unsigned char)*name);
}

static void begin_page(struct em_text *html, const char *title)
{
    em_text_add(html, "<!DOCTYPE html>\n<html>\n<head><meta name=\"pypi:repository-version\" content=\"1.1\"><title>");
    add_escaped(html, title);
    em_text_add(html, "</title></head>\n<body>\n");
}

struct project {
    struct em_arena *arena;
    const struct em_aside *aside;
    int dir;
    const char *path, *name;
    const char *hidden; /* a file that the pages are not to list; NULL: none */
    struct em_indexed *indexed;
    const char *wheel; /* what indexed is of */
    struct em_text html;
    json_t *files, *versions;
    struct em_error *error;
};

/* JSON is UTF-8 (RFC 8259, section 8.1): what is none cannot be said in it. */
static bool is_utf8(const char *string)
{
    size_t left = strlen(string), size;

    for (; left > 0; string += size, left -= size) {
        size = em_utf8_size(string, left);
        if (size == 0)
            return false;
    }
    return true;
}

/* Whether an installer could fetch it: others may have put anything there. A link to a file is one, to servers too, and one that leads
 * nowhere is none. */
static int find_file(const struct project *project, const char *name, bool *is_file)
{
    const char *path = em_path_join(project->arena, project->path, name);
    struct stat st;

    if (!path)
        return EM_NO_MEMORY;
    *is_file = fstatat(project->dir, name, &st, 0) == 0;
    if (!*is_file && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return em_fail_errno(project->error, path, "cannot be examined");
    *is_file = *is_file && S_ISREG(st.st_mode);
    return EM_OK;
}

/* The fd, which reader reads. */
static int open_file(struct project *project, const char *name, struct em_reader *reader)
{
    const char *path = em_path_join(project->arena, project->path, name);
    em_cleanup_fd int fd = -1;
    int r;

    if (!path)
        return EM_NO_MEMORY;
    fd = em_open_at(project->dir, name, O_RDONLY, 0, NULL);
    if (fd < 0)
        return em_fail_errno(project->error, path, "cannot be opened");
    r = em_reader_whole(reader, fd, path, project->error);
    return r < 0 ? r : em_steal_fd(&fd);
}

static int hash_file(struct project *project, const char *name, char hex[EM_SHA256_HEX_SIZE], uint64_t *size)
{
    struct em_reader reader;
    em_cleanup_fd int fd = open_file(project, name, &reader);
    struct em_sha256 sha256;
    int r = fd < 0 ? fd : EM_OK;

    if (r == EM_OK)
        r = em_hash_reader(&reader, &sha256, NULL, project->error);
    if (r < 0)
        return r;
    em_sha256_hex(&sha256, hex);
    *size = reader.size;
    return EM_OK;
}

/* Requires-Python of METADATA's headers; NULL: it has none. */
static const char *requires_python(struct em_arena *arena, struct em_bytes metadata)
{
    static const char name[] = "\nRequires-Python:";
    const char *text = em_arena_printf(arena, "\n%.*s", (int)metadata.size, (const char *)metadata.data);
    const char *at = text ? strcasestr(text, name) : NULL, *end = text ? strstr(text, "\n\n") : NULL;

    if (!at || (end && at > end))
        return NULL;
    at += sizeof name - 1;
    at += strspn(at, " \t");
    return em_arena_strndup(arena, at, strcspn(at, "\r\n"));
}

static bool is_source_name(const char *name)
{
    size_t length = strlen(name), suffix = strlen(".tar.gz");

    return length > suffix && strcmp(name + length - suffix, ".tar.gz") == 0;
}

/* Of each file that is listed, once (PEP 700): the second part of a wheel's name, the last of a source distribution's. */
static int add_version(struct project *project, const char *name)
{
    const bool source = is_source_name(name);
    const char *from = source ? strrchr(name, '-') : strchr(name, '-'), *version;
    size_t index;
    json_t *known;

    if (!from)
        return EM_OK;
    version = em_arena_strndup(project->arena, from + 1,
                               source ? strlen(from + 1) - strlen(".tar.gz") : strcspn(from + 1, "-"));
    if (!version)
        return EM_NO_MEMORY;
    json_array_foreach(project->versions, index, known) if (strcmp(json_string_value(known), version) == 0) return EM_OK;
    return json_array_append_new(project->versions, json_string(version)) < 0 ? EM_NO_MEMORY : EM_OK;
}

/* What an installer may read instead of the wheel (PEP 658), if it lies beside it. */
static int add_metadata(struct project *project, const char *name, json_t *file)
{
    const char *metadata = em_arena_printf(project->arena, "%s.metadata", name), *python;
    char hex[EM_SHA256_HEX_SIZE];
    em_cleanup_fd int fd = -1;
    struct em_sha256 sha256;
    struct em_reader reader;
    struct em_bytes bytes;
    bool is_file;
    int r = metadata ? find_file(project, metadata, &is_file) : EM_NO_MEMORY;

    if (r < 0 || !is_file)
        return r;
    fd = open_file(project, metadata, &reader);
    if (fd < 0)
        return fd;
    if (reader.size > EM_MAX_METADATA)
        return EM_OK;
    r = em_read_bytes(&reader, project->arena, 0, reader.size, &bytes, project->error);
    if (r == EM_OK)
        r = em_sha256_bytes(bytes.data, bytes.size, &sha256);
    if (r < 0)
        return r;
    em_sha256_hex(&sha256, hex);
    em_text_printf(&project->html, " data-core-metadata=\"sha256=%s\" data-dist-info-metadata=\"sha256=%s\"", hex, hex);
    json_object_set_new(file, "core-metadata", json_pack("{s:s}", "sha256", hex));
    python = requires_python(project->arena, bytes);
    if (!python || !is_utf8(python))
        return EM_OK;
    em_text_add(&project->html, " data-requires-python=\"");
    add_escaped(&project->html, python);
    em_text_add(&project->html, "\"");
    return json_object_set_new(file, "requires-python", json_string(python)) < 0 ? EM_NO_MEMORY : EM_OK;
}

static int add_file(struct project *project, const char *name)
{
    em_cleanup_text struct em_text url = { 0 };
    char hex[EM_SHA256_HEX_SIZE];
    uint64_t size;
    json_t *file;
    int r = hash_file(project, name, hex, &size);

    if (r < 0)
        return r;
    add_url(&url, name);
    if (url.failed)
        return EM_NO_MEMORY;
    if (strcmp(name, project->wheel) == 0)
        memcpy(project->indexed->sha256, hex, sizeof hex);
    file = json_pack("{s:s, s:s, s:{s:s}, s:I}", "filename", name, "url", url.data, "hashes", "sha256", hex, "size",
                     (json_int_t)size);
    if (!file)
        return EM_NO_MEMORY;
    em_text_printf(&project->html, "<a href=\"%s#sha256=%s\"", url.data, hex);
    r = json_array_append_new(project->files, file) < 0 ? EM_NO_MEMORY : add_metadata(project, name, file);
    em_text_add(&project->html, ">");
    add_escaped(&project->html, name);
    em_text_add(&project->html, "</a><br>\n");
    return r < 0 ? r : add_version(project, name);
}

static int write_json(const struct em_aside *aside, int dir, json_t *document, struct em_error *error)
{
    char *text = json_dumps(document, JSON_INDENT(1));
    int r = text ? put_file(aside, dir, "index.json", text, strlen(text), error) : EM_NO_MEMORY;

    free(text);
    json_decref(document);
    return r;
}

static int list_files(struct project *project, struct em_tree *tree)
{
    struct em_strings names;
    int r = em_tree_list(tree, project->arena, project->path, &names);

    if (r < 0)
        return em_fail(project->error, EM_IO, project->path, "cannot be listed");
    em_vec_each (const char *, name, &names) {
        bool is_file;

        if ((!em_is_wheel_name(*name) && !is_source_name(*name)) || (*name)[0] == '.' || !is_utf8(*name) ||
            (project->hidden && strcmp(*name, project->hidden) == 0))
            continue;
        r = find_file(project, *name, &is_file);
        if (r == EM_OK && is_file)
            r = add_file(project, *name);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int put_pages(struct project *project, struct em_tree *tree)
{
    int r;

    begin_page(&project->html, project->name);
    r = list_files(project, tree);
    em_text_add(&project->html, "</body>\n</html>\n");
    if (r == EM_OK)
        r = project->html.failed
                ? EM_NO_MEMORY
                : put_file(project->aside, project->dir, "index.html", project->html.data, project->html.size, project->error);
    if (r == EM_OK)
        r = write_json(project->aside, project->dir,
                       json_pack("{s:{s:s}, s:s, s:O, s:O}", "meta", "api-version", "1.1", "name", project->name, "versions",
                                 project->versions, "files", project->files),
                       project->error);
    return r < 0 ? r : em_fsync(project->dir, project->path, project->error);
}

static int write_project(struct project *project, struct em_tree *tree)
{
    int r;

    project->html = (struct em_text){ 0 };
    project->files = json_array();
    project->versions = json_array();
    r = put_pages(project, tree);
    json_decref(project->files);
    json_decref(project->versions);
    em_text_free(&project->html);
    return r;
}

static int write_top(const struct em_aside *aside, const char *path, struct em_arena *arena, struct em_tree *tree,
                     struct em_error *error)
{
    em_cleanup_text struct em_text html = { 0 };
    json_t *projects = json_array();
    struct em_entries entries;
    int r = em_tree_entries(tree, arena, path, &entries);

    begin_page(&html, "Simple index");
    em_vec_each (const struct em_entry, entry, &entries) {
        if (entry->kind != EM_NODE_DIRECTORY || entry->name[0] == '.' || !is_utf8(entry->name))
            continue;
        em_text_add(&html, "<a href=\"");
        add_url(&html, entry->name);
        em_text_add(&html, "/\">");
        add_escaped(&html, entry->name);
        em_text_add(&html, "</a><br>\n");
        json_array_append_new(projects, json_pack("{s:s}", "name", entry->name));
    }
    em_text_add(&html, "</body>\n</html>\n");
    if (r < 0)
        r = em_fail(error, EM_IO, path, "cannot be listed");
    else
        r = html.failed ? EM_NO_MEMORY : put_file(aside, aside->directory, "index.html", html.data, html.size, error);
    if (r < 0) {
        json_decref(projects);
        return r;
    }
    r = write_json(aside, aside->directory, json_pack("{s:{s:s}, s:o}", "meta", "api-version", "1.1", "projects", projects),
                   error);
    return r < 0 ? r : em_fsync(aside->directory, path, error);
}

/* ---- a wheel ---- */

/* No link is followed: the index may be in the hands of another user. */
static int open_project(const struct em_aside *aside, const char *name, struct em_error *error)
{
    if (mkdirat(aside->directory, name, 0777) < 0 && errno != EEXIST)
        return em_fail_errno(error, name, "cannot be made");
    return em_beneath_directory(aside->directory, name, error);
}

/* false also where it cannot be said: then the file counts as another. */
static bool has_bytes(struct project *project, const char *name, const struct em_sha256 *sha256)
{
    char hex[EM_SHA256_HEX_SIZE], wanted[EM_SHA256_HEX_SIZE];
    uint64_t size;
    int r = hash_file(project, name, hex, &size);

    em_sha256_hex(sha256, wanted);
    return r == EM_OK && strcmp(hex, wanted) == 0;
}

static bool is_same_file(const struct project *project, const struct em_wheel *wheel)
{
    struct stat in, out;

    return fstat(em_zip_fd(wheel->zip), &in) == 0 && fstatat(project->dir, wheel->file_name, &out, 0) == 0 &&
           in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

/* The wheel and its METADATA beside it. The pages speak of bytes, so where others lay under one of the names they first speak of it no
 * more, and wherever this ends they are true. */
static int put_wheel(struct project *project, const struct em_wheel *wheel, struct em_bytes metadata, const char *sidecar,
                     struct em_tree *tree)
{
    struct em_reader whole = em_reader_fd(em_zip_fd(wheel->zip), em_zip_size(wheel->zip), wheel->given);
    const bool listed = faccessat(project->dir, wheel->file_name, F_OK, 0) == 0;
    bool same_wheel = is_same_file(project, wheel), same_sidecar;
    struct em_sha256 sha256;
    int r = EM_OK;

    em_sha256_bytes(metadata.data, metadata.size, &sha256);
    same_sidecar = has_bytes(project, sidecar, &sha256);
    if (listed && !same_wheel) {
        r = em_hash_reader(&whole, &sha256, NULL, project->error);
        same_wheel = r == EM_OK && has_bytes(project, wheel->file_name, &sha256);
    }
    if (r == EM_OK && listed && !(same_wheel && same_sidecar)) {
        project->hidden = wheel->file_name;
        r = write_project(project, tree);
        project->hidden = NULL;
    }
    /* The sidecar first: a page is never made of our wheel without it. */
    if (r == EM_OK && !same_sidecar)
        r = put_file(project->aside, project->dir, sidecar, metadata.data, metadata.size, project->error);
    if (r == EM_OK && !same_wheel)
        r = copy_wheel(project->aside, project->dir, wheel, project->error);
    return r < 0 ? r : em_fsync(project->dir, project->path, project->error);
}

static int add(struct em_indexed *indexed, const struct em_aside *aside, const char *path, struct em_arena *arena,
               struct em_wheel *wheel, struct em_tree *tree, struct em_error *error)
{
    struct em_zip_member *member = em_wheel_part(wheel, arena, "METADATA");
    const char *sidecar = em_arena_printf(arena, "%s.metadata", wheel->file_name);
    const char *name = wheel->name ? em_normalize_name(arena, wheel->name) : NULL;
    struct project project = {
        .arena = arena, .aside = aside, .name = name, .indexed = indexed, .wheel = wheel->file_name, .error = error
    };
    em_cleanup_fd int project_dir = -1;
    struct em_bytes metadata;
    int r;

    if (!name || !member)
        return em_fail(error, EM_BAD_RECORD, wheel->given, "has no name or no METADATA that an index could show");
    *indexed = (struct em_indexed){ .name = name, .version = em_arena_strdup(arena, wheel->version) };
    project.path = em_path_join(arena, path, name);
    if (!sidecar || !project.path || !indexed->version)
        return EM_NO_MEMORY;
    r = em_zip_read(wheel->zip, member, arena, EM_MAX_METADATA, &metadata, error);
    if (r < 0)
        return r;
    project_dir = project.dir = open_project(aside, name, error);
    if (project_dir < 0)
        return project_dir;
    r = put_wheel(&project, wheel, metadata, sidecar, tree);
    if (r == EM_OK)
        r = write_project(&project, tree);
    return r < 0 ? r : write_top(aside, path, arena, tree, error);
}

int em_index_add(struct em_indexed *indexed, const char *directory, struct em_arena *arena, const char *path,
                 struct em_error *error)
{
    em_cleanup_aside struct em_aside aside = EM_ASIDE_INIT;
    em_cleanup_tree struct em_tree *tree = NULL;
    em_cleanup_free char *real = NULL;
    struct em_wheel *wheel = NULL;
    int r = em_aside_open(&aside, arena, directory, error);

    if (r < 0)
        return r;
    /* A page is made of what lies there: two at once would each forget the other's wheel. Until the directory is closed. */
    while (flock(aside.directory, LOCK_EX) < 0)
        if (errno != EINTR)
            return em_fail_errno(error, directory, "cannot be locked");
    real = realpath(directory, NULL);
    if (!real)
        return em_fail_errno(error, directory, "cannot be resolved");
    r = em_tree_disk(&tree, NULL, error);
    if (r == EM_OK)
        r = em_wheel_open(&wheel, arena, path, error);
    if (r == EM_OK)
        r = add(indexed, &aside, real, arena, wheel, tree, error);
    em_wheel_close(wheel);
    return r;
}
