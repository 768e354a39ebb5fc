#include "bundle/source/unpack.h"

#include "bundle/source/lists.h"
#include "bundle/source/source.h"
#include "patcher/patcher.h"

#include <stdio.h>
#include <string.h>

#define PIECE ((size_t)256 * 1024)
#define UNMEASURED "would grow beyond all measure when it is unpacked"
#define TWICE "has two members of the name %s"

/* ---- names ---- */

static bool has_control(const char *name)
{
    for (; *name; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7f)
            return true;
    }
    return false;
}

/* The name as a path of ours: "./" in front and "/" behind are tar's habit. NULL in *path: it has none that we could write, being in no
 * encoding that libarchive knows. */
static int member_path(struct em_unpack *unpack, struct archive_entry *entry, const char **path)
{
    const char *name = em_la.archive_entry_pathname_utf8(entry);
    char *copy;
    size_t length;

    *path = NULL;
    if (!name)
        name = em_la.archive_entry_pathname(entry);
    if (!name)
        return EM_OK;
    while (name[0] == '.' && name[1] == '/')
        name += 2 + strspn(name + 2, "/");
    copy = em_arena_strdup(unpack->arena, name);
    if (!copy)
        return EM_NO_MEMORY;
    length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    if (em_la.archive_entry_filetype(entry) == AE_IFDIR && (length == 0 || strcmp(copy, ".") == 0))
        return EM_OK;
    if (has_control(copy))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has a member with a control character in its name");
    if (!em_path_is_contained(copy))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has a member that would lie outside of it: '%s'", copy);
    *path = copy;
    return EM_OK;
}

static bool is_in_dist_info(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash - path > 10 && strncmp(slash - 10, ".dist-info", 10) == 0 &&
           (strcmp(slash, "/RECORD") == 0 || strcmp(slash, "/METADATA") == 0);
}

/* Where conda, rpm and Debian have the words under which a package may be handed on. */
static bool is_package_licence(const char *path)
{
    return strncmp(path, "info/licenses/", 14) == 0 || strncmp(path, "usr/share/licenses/", 19) == 0 ||
           (strncmp(path, "usr/share/doc/", 14) == 0 && strcmp(em_path_basename(path), "copyright") == 0);
}

/* What vouches for libraries, or says under which words they may be handed on. */
static bool is_list(const char *path)
{
    return is_in_dist_info(path) || em_is_licence_name(path) || strcmp(path, "info/paths.json") == 0 ||
           strcmp(path, "info/index.json") == 0 || is_package_licence(path);
}

/* ---- files ---- */

/* The directory that a path lies in, made on the way; below unpack->root there is nothing but what we made. */
static int make_directories(struct em_unpack *unpack, const char *path)
{
    em_cleanup_free char *part = strdup(path);

    if (!part)
        return EM_NO_MEMORY;
    for (char *slash = part; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdirat(unpack->root, part, 0700) < 0 && errno != EEXIST)
            return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", part);
        *slash = '/';
    }
    return EM_OK;
}

struct target {
    int fd;
    const char *path;
    struct em_error *error;
};

static int write_piece(void *context, const uint8_t *bytes, size_t size)
{
    const struct target *target = context;

    return em_write_all(target->fd, bytes, size, target->path, target->error);
}

static int write_content(struct em_unpack *unpack, struct archive *archive, int fd, const char *path)
{
    struct em_zip_member *member = unpack->zip ? em_zip_find(unpack->zip, path) : NULL;
    struct target target = { fd, path, unpack->error };
    em_cleanup_free char *piece = NULL;
    struct em_sha256 sha256;
    uint64_t written = 0;

    if (member)
        return em_zip_hash(unpack->zip, member, write_piece, &target, &sha256, unpack->error);
    piece = malloc(PIECE);
    if (!piece)
        return EM_NO_MEMORY;
    for (;;) {
        la_ssize_t got = em_la.archive_read_data(archive, piece, PIECE);
        int r;

        if (got < 0)
            return em_fail(unpack->error, EM_BAD_ZIP, unpack->label, "cannot be read: %s: %s", path,
                           em_la.archive_error_string(archive) ? em_la.archive_error_string(archive) : "damaged");
        if (got == 0)
            return EM_OK;
        /* A size that was not told before, or that lied. */
        written += (uint64_t)got;
        if (written > unpack->limit)
            return em_fail(unpack->error, EM_REFUSED, unpack->label, UNMEASURED);
        r = em_write_all(fd, piece, (size_t)got, path, unpack->error);
        if (r < 0)
            return r;
    }
}

/* What is written calls itself by one of the names. */
static int look_into(struct em_unpack *unpack, int fd, struct em_member *member, bool *keep)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_error unread = EM_ERROR_INIT;
    struct em_object object;
    struct em_reader reader;
    int r = arena ? em_reader_whole(&reader, fd, member->path, unpack->error) : EM_NO_MEMORY;

    *keep = false;
    member->soname = "";
    if (r < 0)
        return r;
    if (em_object_read(&object, arena, &reader, &unread) < 0 || !object.soname || strpbrk(object.soname, "\t\n"))
        return EM_OK;
    member->soname = em_arena_strdup(unpack->arena, object.soname);
    if (!member->soname)
        return EM_NO_MEMORY;
    em_vec_each (const char *, name, unpack->names)
        *keep = *keep || strcmp(*name, member->soname) == 0;
    return EM_OK;
}

/* What whoever patches it in the wheel will ask of its stream, asked while that can be entered everywhere: from there it is answered
 * later (em_zip_remember). What is wrong with it is for them to say. */
static int ask(const struct em_unpack *unpack, const char *path)
{
    struct em_zip_place place = { unpack->zip, unpack->zip ? em_zip_find(unpack->zip, path) : NULL };
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_error unread = EM_ERROR_INIT;
    struct em_object object;
    struct em_reader reader;

    if (!place.member)
        return EM_OK;
    if (!arena)
        return EM_NO_MEMORY;
    reader = em_zip_reader(&place);
    (void)em_object_read(&object, arena, &reader, &unread);
    return EM_OK;
}

/* made under the name of path, which has another inode than it, if anything. */
static int replace(const struct em_unpack *unpack, const char *made, const char *path)
{
    return renameat(unpack->kept, made, unpack->root, path) == 0
               ? EM_OK
               : em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", path);
}

/* Under its own name, now that it is whole. Somebody else may have been faster with the same, and use it already: that stays. What a
 * power failure has cut off does not. */
static int place(struct em_unpack *unpack, const char *made, struct em_member *member)
{
    int r = make_directories(unpack, member->path);

    if (r == EM_OK)
        r = em_listing_digest(unpack->kept, made, &member->digest, unpack->error);
    if (r < 0)
        return r;
    member->has_digest = member->is_sound = true;
    if (linkat(unpack->kept, made, unpack->root, member->path, 0) == 0)
        return EM_OK;
    if (errno == ENOTDIR)
        return em_fail(unpack->error, EM_REFUSED, unpack->label, TWICE, member->path);
    if (errno != EEXIST)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", member->path);
    return em_listing_is_sound(unpack->root, member->path, &member->digest) ? EM_OK : replace(unpack, made, member->path);
}

static int write_library(struct em_unpack *unpack, struct archive *archive, struct archive_entry *entry,
                         struct em_member *member)
{
    const char *made = em_random_name(unpack->arena, "new-");
    em_cleanup_fd int fd = made ? openat(unpack->kept, made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    bool keep = true;
    int r;

    if (!made)
        return EM_NO_MEMORY;
    if (fd < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", member->path);
    r = write_content(unpack, archive, fd, member->path);
    if (r == EM_OK)
        r = ask(unpack, member->path);
    if (r == EM_OK)
        r = em_md5sums_check(unpack, fd, member->path);
    if (r == EM_OK && !member->wanted)
        r = look_into(unpack, fd, member, &keep);
    /* As pip does: the archive's own bits may be none at all. */
    if (r == EM_OK && fchmod(fd, em_la.archive_entry_perm(entry) & 0111 ? 0755 : 0644) < 0)
        r = em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", member->path);
    if (r == EM_OK && keep)
        r = place(unpack, made, member);
    unlinkat(unpack->kept, made, 0);
    member->wanted = member->wanted || keep;
    member->missing = false;
    return r;
}

/* Small, and of the first pass, whose directory nobody else knows yet. */
static int write_list(struct em_unpack *unpack, struct archive *archive, const char *path)
{
    em_cleanup_fd int fd = -1;
    int r = make_directories(unpack, path);

    if (r < 0)
        return r;
    fd = openat(unpack->root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 && (errno == EEXIST || errno == EISDIR || errno == ENOTDIR))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, TWICE, path);
    if (fd < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", path);
    if (em_vec_push(unpack->arena, &unpack->papers, path) < 0)
        return EM_NO_MEMORY;
    unpack->records += is_in_dist_info(path) && strcmp(em_path_basename(path), "RECORD") == 0;
    if (is_package_licence(path) && em_vec_push(unpack->arena, &unpack->licences, path) < 0)
        return EM_NO_MEMORY;
    return write_content(unpack, archive, fd, path);
}

/* What Debian's package says of itself, beside what is in it. */
static int write_control(struct em_unpack *unpack, struct archive *archive, const char *path)
{
    const char *kept = em_arena_printf(unpack->arena, "DEBIAN/%s", path);

    if (!unpack->is_first || (strcmp(path, "control") != 0 && strcmp(path, "md5sums") != 0))
        return EM_OK;
    return kept ? write_list(unpack, archive, kept) : EM_NO_MEMORY;
}

/* ---- the listing ---- */

static int add(struct em_unpack *unpack, const struct em_member *member)
{
    int r = em_listing_add(unpack->listing, unpack->arena, member);

    return r == EM_REFUSED ? em_fail(unpack->error, r, unpack->label, TWICE, member->path) : r;
}

/* An environment's own interpreter is by nature a link to one outside of it (PEP 405). */
static bool is_interpreter(const char *path)
{
    const char *name = em_path_basename(path);

    return strncmp(name, "python", 6) == 0 && name - path >= 4 && strncmp(name - 4, "bin/", 4) == 0;
}

/* Where a link leads, as a path within the container: "." is its root, and what begins with ".." or "/" lies outside. */
static const char *link_target(const struct em_unpack *unpack, const char *path, const char *target, bool is_hard)
{
    const char *directory = em_path_dirname(unpack->arena, path), *joined;

    while (is_hard && target[0] == '.' && target[1] == '/')
        target += 2;
    if (target[0] == '/' && unpack->is_image)
        joined = target + strspn(target, "/");
    else if (is_hard || target[0] == '/')
        joined = target;
    else
        joined = directory ? em_path_join(unpack->arena, directory, target) : NULL;
    return joined ? em_path_normal(unpack->arena, joined) : NULL;
}

static int add_link(struct em_unpack *unpack, const char *path, const char *target, bool is_hard)
{
    const char *normal = target ? link_target(unpack, path, target, is_hard) : NULL;
    const bool is_root = normal && strcmp(normal, ".") == 0;

    if (!normal)
        return EM_NO_MEMORY;
    if (is_interpreter(path))
        return EM_OK;
    if (!is_root && !em_path_is_contained(normal))
        return em_fail(unpack->error, EM_REFUSED, unpack->label, "has a link that leads out of it: %s -> %s", path, target);
    if (is_root || has_control(normal) || (!em_is_library_name(em_path_basename(path)) && !is_list(path)))
        return EM_OK;
    return add(unpack,
               &(struct em_member){ .kind = is_hard ? EM_MEMBER_HARD : EM_MEMBER_LINK, .path = path, .target = normal });
}

static bool is_wanted(const struct em_unpack *unpack, const char *path)
{
    if (!unpack->names)
        return true;
    em_vec_each (const char *, name, unpack->names)
        if (em_member_may_answer(em_path_basename(path), *name))
            return true;
    return false;
}

static int list_member(struct em_unpack *unpack, struct archive_entry *entry, const char *path)
{
    const char *hard = em_la.archive_entry_hardlink(entry), *target = em_la.archive_entry_symlink(entry);
    const int type = em_la.archive_entry_filetype(entry);
    struct em_member member = { .kind = EM_MEMBER_FILE, .path = path, .size = EM_MEMBER_SIZE_UNKNOWN };

    if (hard)
        return add_link(unpack, path, em_arena_strdup(unpack->arena, hard), true);
    if (type == AE_IFLNK)
        return target ? add_link(unpack, path, em_arena_strdup(unpack->arena, target), false) : EM_OK;
    if (type != AE_IFREG || !em_is_library_name(em_path_basename(path)))
        return EM_OK;
    if (em_la.archive_entry_size_is_set(entry))
        member.size = (uint64_t)em_la.archive_entry_size(entry);
    member.wanted = member.missing = is_wanted(unpack, path);
    return add(unpack, &member);
}

static int check_measure(struct em_unpack *unpack, struct archive_entry *entry)
{
    const int64_t size = em_la.archive_entry_size_is_set(entry) ? em_la.archive_entry_size(entry) : 0;

    if (++unpack->members > EM_MAX_ARCHIVE_MEMBERS)
        return em_fail(unpack->error, EM_LIMIT, unpack->label, "has more than %u members", EM_MAX_ARCHIVE_MEMBERS);
    if (size < 0 || __builtin_add_overflow(unpack->total, (uint64_t)size, &unpack->total) || unpack->total > unpack->limit)
        return em_fail(unpack->error, EM_REFUSED, unpack->label, UNMEASURED);
    return EM_OK;
}

int em_unpack_member(void *context, struct archive *archive, struct archive_entry *entry, const char *inside)
{
    struct em_unpack *unpack = context;
    struct em_member *member;
    const char *path;
    int r = member_path(unpack, entry, &path);

    unpack->is_image = unpack->is_image || em_la.archive_filter_code(archive, 0) == ARCHIVE_FILTER_RPM ||
                       (em_la.archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_AR;
    if (r == EM_OK)
        r = check_measure(unpack, entry);
    if (r < 0 || !path)
        return r;
    if (inside && strncmp(inside, "control.tar", 11) == 0)
        return em_la.archive_entry_filetype(entry) == AE_IFREG ? write_control(unpack, archive, path) : EM_OK;
    if (unpack->is_first) {
        r = list_member(unpack, entry, path);
        if (r == EM_OK && em_la.archive_entry_filetype(entry) == AE_IFREG && !em_la.archive_entry_hardlink(entry) &&
            is_list(path))
            r = write_list(unpack, archive, path);
        if (r < 0)
            return r;
    }
    member = em_map_get(&unpack->listing->by_path, path);
    if (!member || member->kind != EM_MEMBER_FILE || !member->missing)
        return EM_OK;
    r = write_library(unpack, archive, entry, member);
    if (r < 0 || unpack->is_first)
        return r;
    return --unpack->left == 0 ? EM_ARCHIVE_ENOUGH : EM_OK;
}

/* ---- links ---- */

/* Something is there under its name, and need not be made anew: another name of a file that was cut off, and has been unpacked again,
 * still leads to what was cut off. */
static bool is_made(const struct em_unpack *unpack, const struct em_member *link)
{
    struct stat there, target;

    if (fstatat(unpack->root, link->path, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return link->kind == EM_MEMBER_LINK || !S_ISREG(there.st_mode) ||
           fstatat(unpack->root, link->target, &target, AT_SYMLINK_NOFOLLOW) < 0 ||
           (there.st_dev == target.st_dev && there.st_ino == target.st_ino);
}

static int make_link(struct em_unpack *unpack, const struct em_member *link, const char *relative)
{
    const char *made = em_random_name(unpack->arena, "new-");
    int r = made ? make_directories(unpack, link->path) : EM_NO_MEMORY;

    if (r < 0)
        return r;
    if ((link->kind == EM_MEMBER_HARD ? linkat(unpack->root, link->target, unpack->kept, made, 0)
                                      : symlinkat(relative, unpack->kept, made)) < 0)
        return em_fail_errno(unpack->error, unpack->label, "cannot be unpacked: %s", link->path);
    r = replace(unpack, made, link->path);
    unlinkat(unpack->kept, made, 0);
    return r;
}

/* 1: made; 0: it is there, or leads to what is not there (yet). */
static int visit_link(struct em_unpack *unpack, const struct em_member *link)
{
    const char *directory = em_path_dirname(unpack->arena, link->path);
    const char *relative = directory ? em_path_relative(unpack->arena, directory, link->target) : NULL;
    struct stat target;
    int r;

    if (!relative)
        return EM_NO_MEMORY;
    if (is_made(unpack, link) || fstatat(unpack->root, link->target, &target, 0) < 0 || !S_ISREG(target.st_mode))
        return 0;
    r = make_link(unpack, link, relative);
    return r < 0 ? r : 1;
}

/* Links may be met before what they lead to. One to what is not unpacked (a driver, another package) is left out: it would lead to
 * nothing. Chains are made from their end: as many rounds as there are links suffice. */
int em_unpack_links(struct em_unpack *unpack)
{
    int made, r;

    do {
        made = 0;
        em_vec_each (struct em_member *, member, unpack->listing) {
            r = (*member)->kind == EM_MEMBER_FILE ? 0 : visit_link(unpack, *member);
            if (r < 0)
                return r;
            made += r;
        }
    } while (made > 0);
    return EM_OK;
}
