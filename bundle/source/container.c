/* A container and what is unpacked of it so far: a directory of the cache, named after its content, with the listing, the lists that vouch
 * for libraries, and the libraries that somebody asked for. */
#include "bundle/source/inside.h"
#include "bundle/source/lists.h"
#include "bundle/tree/zip.h"

#include <stdio.h>
#include <string.h>

/* Of what the directory holds: counted up when that changes, so that what an older version unpacked is not taken for it. */
#define UNPACKED "-5"

/* Libraries compress to a third, static data of theirs to a fiftieth; who promises this much more is a bomb. */
#define FREE_GROWTH ((uint64_t)64 << 20)

struct em_container {
    const char *named;     /* the archive, by the name that a pin has for it */
    const char *file;      /* the same, or our own copy of it */
    const char *shown;     /* what messages call it */
    const char *kept;      /* its directory in the cache; NULL: nobody has looked into it yet */
    struct em_stamp stamp; /* the archive, as it was listed */
    uint64_t size;
    struct em_sha256 sha256;
    bool is_pinned; /* and is what the pin says */
    struct em_listing listing;
};

static bool is_wheel_name(const char *place)
{
    size_t length = strlen(place);

    return length > 4 && strcmp(place + length - 4, ".whl") == 0;
}

/* A wheel is held to the rules that audit and repack hold one to, whatever libarchive would overlook. */
static int check_wheel(const struct em_container *container, struct em_error *error)
{
    em_cleanup_zip struct em_zip *zip = NULL;
    struct em_error unsound = EM_ERROR_INIT;
    int r = em_zip_open(&zip, container->file, &unsound);

    if (r < 0 && r != EM_NO_MEMORY)
        em_error_fill(error, (enum em_err)r, container->shown, unsound.offset, "%s", unsound.sentence);
    return r;
}

/* What others may write to could be one thing while its digest is taken and another while it is unpacked, and the cache would have that
 * under the name of the first, for all later runs. So it is copied, and what is copied is hashed and unpacked. */
static int make_own(struct em_container *container, struct em_arena *arena, int fd, uint64_t size, struct em_error *error)
{
    const char *name = em_random_name(arena, ""), *place;
    em_cleanup_fd int out = -1;
    int r = em_cache_private(arena, &place, error);

    if (r < 0)
        return r;
    place = name ? em_path_join(arena, place, name) : NULL;
    container->file = place ? em_path_join(arena, place, em_path_basename(container->file)) : NULL;
    if (!container->file)
        return EM_NO_MEMORY;
    r = em_make_directories(place, 0700, error);
    out = r < 0 ? r : em_open_at(AT_FDCWD, container->file, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    return out < 0 ? out : em_copy_fd(fd, out, size, container->shown, error);
}

int em_container_open(struct em_source *source, const char *file, const char *shown, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, file, O_RDONLY, 0, error);
    struct em_container *container = em_new(source->env.arena, struct em_container);
    struct stat st;
    int r = EM_OK;

    if (fd < 0)
        return fd;
    if (!container)
        return EM_NO_MEMORY;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, shown, "cannot be examined");
    container->named = container->file = file;
    container->shown = shown;
    source->container = container;
    if (!em_is_safe(&st))
        r = make_own(container, source->env.arena, fd, (uint64_t)st.st_size, error);
    if (r < 0)
        return r;
    return is_wheel_name(file) ? check_wheel(container, error) : em_archive_probe(fd, shown, error);
}

/* ---- passes ---- */

/* The wheel that is being unpacked, as the room of trees reads it; NULL: it is none, or there is another under its name by now. */
static struct em_zip *open_zip(const struct em_container *container)
{
    em_cleanup_zip struct em_zip *zip = NULL;
    struct em_error ignored = EM_ERROR_INIT;
    struct em_stamp stamp;
    struct stat st;

    if (!is_wheel_name(container->file) || em_zip_open(&zip, container->file, &ignored) < 0 || fstat(em_zip_fd(zip), &st) < 0)
        return NULL;
    stamp = em_stamp_of(&st);
    return em_stamp_equal(&stamp, &container->stamp) ? em_zip_steal(&zip) : NULL;
}

static int pass(struct em_container *container, struct em_unpack *unpack, int fd, const char *directory)
{
    em_cleanup_fd int kept = em_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, unpack->error);
    em_cleanup_fd int root = kept < 0 ? kept : em_open_at(kept, EM_LISTING_FILES, O_RDONLY | O_DIRECTORY, 0, unpack->error);
    em_cleanup_zip struct em_zip *zip = root < 0 ? NULL : open_zip(container);
    int r;

    if (root < 0)
        return root;
    unpack->kept = kept;
    unpack->root = root;
    unpack->zip = zip;
    if (zip)
        em_zip_recall(zip);
    unpack->limit = container->size < (UINT64_MAX - FREE_GROWTH) / EM_MAX_ARCHIVE_RATIO
                        ? container->size * EM_MAX_ARCHIVE_RATIO + FREE_GROWTH
                        : UINT64_MAX;
    r = em_archive_each(fd, container->shown, em_unpack_member, unpack, unpack->error);
    if (r == EM_OK)
        r = em_unpack_links(unpack);
    if (r == EM_OK && unpack->is_first)
        r = em_lists_of_conda(unpack);
    if (r == EM_OK && unpack->is_first)
        r = em_lists_of_deb(unpack);
    if (r == EM_OK && unpack->is_first)
        r = em_lists_of_rpm(unpack, fd);
    em_vec_each (const char *, path, &unpack->papers)
        if (r == EM_OK)
            r = em_listing_add_paper(&container->listing, unpack->arena, root, *path, unpack->error);
    if (r == EM_OK)
        r = em_listing_write(&container->listing, unpack->arena, kept, container->shown, unpack->error);
    if (r == EM_OK && zip)
        em_zip_remember(zip);
    unpack->zip = NULL;
    return r;
}

static bool has_library(const struct em_listing *listing)
{
    em_vec_each (struct em_member *, member, listing)
        if ((*member)->kind == EM_MEMBER_FILE)
            return true;
    return false;
}

/* What is kept under a name is what was put there: the listing, and the files that vouch. Libraries are looked at when they are wanted.
 * Everything else is as good as nothing. */
static bool read_kept(struct em_container *container, struct em_arena *arena, const char *directory)
{
    em_cleanup_fd int kept = em_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, NULL);
    struct em_listing listing;

    if (kept < 0 || em_listing_read(&listing, arena, kept, NULL) < 0)
        return false;
    container->listing = listing;
    return true;
}

struct judged {
    struct em_container *container;
    struct em_arena *arena;
};

static bool is_whole(void *context, const char *directory)
{
    const struct judged *judged = context;

    return read_kept(judged->container, judged->arena, directory);
}

/* The first pass, into a directory of no meaning. */
static int list(struct em_container *container, struct em_arena *arena, int fd, const char *made,
                const struct em_strings *names, struct em_error *error)
{
    struct em_unpack unpack = { .arena = arena,
                                .error = error,
                                .label = container->shown,
                                .listing = &container->listing,
                                .is_first = true,
                                .names = names };
    const char *files = em_path_join(arena, made, EM_LISTING_FILES);
    struct em_stamp now;
    struct stat st;
    int r;

    container->listing = (struct em_listing){ 0 };
    if (!files)
        return EM_NO_MEMORY;
    if (mkdir(files, 0700) < 0)
        return em_fail_errno(error, files, "cannot be made");
    r = pass(container, &unpack, fd, made);
    if (r == EM_OK && !has_library(&container->listing))
        r = em_fail(error, EM_UNSUPPORTED, container->shown, "holds no library that could be copied");
    if (r == EM_OK && fstat(fd, &st) < 0)
        r = em_fail_errno(error, container->shown, "cannot be examined");
    if (r < 0)
        return r;
    now = em_stamp_of(&st);
    return em_stamp_equal(&now, &container->stamp)
               ? EM_OK
               : em_fail(error, EM_CHANGED, container->shown, "was written to while it was unpacked");
}

/* The directory appears under its name when the listing is complete. What another run has put there meanwhile may have other libraries
 * in it: they are looked for. */
static int make_kept(struct em_source *source, int fd, const char *directory, const struct em_strings *names,
                     struct em_error *error)
{
    struct em_container *container = source->container;
    struct em_arena *arena = source->env.arena;
    struct judged judged = { container, arena };
    const char *made;
    int r;

    em_cache_remove_old(arena, source->cache);
    r = em_cache_scratch(arena, source->cache, &made, error);
    if (r < 0)
        return r;
    r = list(container, arena, fd, made, names, error);
    if (r < 0) {
        em_cache_remove(made);
        return r;
    }
    container->kept = em_cache_put(arena, made, directory, is_whole, &judged);
    return container->kept ? EM_OK : EM_NO_MEMORY;
}

/* The key is of the content, so that a file that changed is another one; and a digest for which nobody can make a second file: whoever
 * could would have what he put into one archive taken for what is in another. */
static int find_kept(struct em_source *source, const struct em_strings *names, struct em_error *error)
{
    struct em_container *container = source->container;
    struct em_arena *arena = source->env.arena;
    struct stat st;
    em_cleanup_fd int fd = em_open_file_at(AT_FDCWD, container->file, 0, &st, error);
    const char *directory;
    char key[EM_SHA256_HEX_SIZE];
    struct em_reader reader;
    int r;

    if (fd < 0)
        return fd;
    container->stamp = em_stamp_of(&st);
    container->size = (uint64_t)st.st_size;
    reader = em_reader_fd(fd, container->size, container->shown);
    r = em_hash_reader(&reader, &container->sha256, NULL, error);
    if (r < 0)
        return r;
    em_sha256_hex(&container->sha256, key);
    directory = em_arena_printf(arena, "%s/%s" UNPACKED, source->cache, key);
    if (!directory)
        return EM_NO_MEMORY;
    if (!em_cache_use(arena, directory) || !read_kept(container, arena, directory))
        return make_kept(source, fd, directory, names, error);
    container->kept = directory;
    return EM_OK;
}

/* ---- what is wanted ---- */

static bool is_asked_for(const struct em_member *member, const struct em_strings *names)
{
    if (!names)
        return true;
    em_vec_each (const char *, name, names)
        if (em_member_may_answer(em_path_basename(member->path), *name) ||
            (member->soname && strcmp(member->soname, *name) == 0))
            return true;
    return false;
}

/* What a link leads to, over further links; NULL: to nothing in the container. */
static struct em_member *behind(const struct em_listing *listing, struct em_member *member)
{
    for (size_t i = 0; member && member->kind != EM_MEMBER_FILE && i < listing->count; i++)
        member = em_map_get(&listing->by_path, member->target);
    return member && member->kind == EM_MEMBER_FILE ? member : NULL;
}

/* And still what it was then: whether the cache has lost a part of it is looked at once a run. */
static bool is_unpacked(struct em_member *member, int root)
{
    member->is_sound = member->is_sound || (member->has_digest && em_listing_is_sound(root, member->path, &member->digest));
    return member->is_sound;
}

/* How many have to be unpacked, or at least looked into. */
static size_t mark(struct em_container *container, int root, const struct em_strings *names, bool deep)
{
    size_t left = 0;

    em_vec_each (struct em_member *, at, &container->listing) {
        struct em_member *file = is_asked_for(*at, names) ? behind(&container->listing, *at) : NULL;

        if (!file)
            continue;
        file->wanted = true;
        (*at)->wanted = (*at)->kind != EM_MEMBER_LINK; /* a hard link is a file as good as the other */
    }
    em_vec_each (struct em_member *, at, &container->listing) {
        struct em_member *member = *at;

        if (member->kind != EM_MEMBER_FILE)
            continue;
        member->missing = (member->wanted && !is_unpacked(member, root)) || (deep && !member->wanted && !member->soname);
        left += member->missing;
    }
    return left;
}

/* What is unpacked already has its links. */
static int relink(const struct em_container *container, struct em_unpack *unpack, int root)
{
    em_cleanup_fd int kept = em_open_at(AT_FDCWD, container->kept, O_RDONLY | O_DIRECTORY, 0, unpack->error);

    if (kept < 0)
        return kept;
    unpack->kept = kept;
    unpack->root = root;
    return em_unpack_links(unpack);
}

static int unpack_more(struct em_container *container, struct em_arena *arena, const struct em_strings *names, bool deep,
                       struct em_error *error)
{
    struct em_unpack unpack = {
        .arena = arena, .error = error, .label = container->shown, .listing = &container->listing, .names = names, .deep = deep
    };
    const char *files = em_path_join(arena, container->kept, EM_LISTING_FILES);
    em_cleanup_fd int root = files ? em_open_at(AT_FDCWD, files, O_RDONLY | O_DIRECTORY, 0, error) : EM_NO_MEMORY;
    em_cleanup_fd int fd = -1;
    struct em_stamp now;
    struct stat st;
    int r;

    if (root < 0)
        return root;
    unpack.left = mark(container, root, names, deep);
    if (unpack.left == 0)
        return relink(container, &unpack, root);
    fd = em_open_at(AT_FDCWD, container->file, O_RDONLY, 0, error);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, container->shown, "cannot be examined");
    now = em_stamp_of(&st);
    if (!em_stamp_equal(&now, &container->stamp))
        return em_fail(error, EM_CHANGED, container->shown, "has changed since it was listed");
    r = pass(container, &unpack, fd, container->kept);
    if (r == EM_OK && unpack.left > 0)
        r = em_fail(error, EM_CHANGED, container->shown, "does not hold any more what it listed");
    return r;
}

/* ---- candidates ---- */

/* Nothing in it need be a distribution's, nor any library be unpacked yet: then it is a directory of nothing. */
static int read_env(struct em_source *source, struct em_arena *arena, const char *files, struct em_error *error)
{
    struct em_tree *tree = source->env.tree;
    int r = em_env_read(&source->env, arena, tree, files, error);
    char *real;

    if (r != EM_UNSUPPORTED)
        return r;
    source->env = (struct em_env){ .kind = EM_ENV_DIRECTORY, .given = files, .path = files, .tree = tree, .arena = arena };
    errno = -em_tree_real_path(tree, arena, files, &real);
    if (errno)
        return em_fail_errno(error, files, "cannot be examined");
    source->env.real_path = real;
    return EM_OK;
}

static int by_path(const void *left, const void *right)
{
    struct em_candidate *const *a = left, *const *b = right;

    return strcmp((*a)->path, (*b)->path);
}

static int add_candidates(struct em_source *source, struct em_error *error)
{
    em_vec_each (struct em_member *, at, &source->container->listing) {
        struct em_member *member = *at;
        struct em_env_object object = { .path = em_path_join(source->env.arena, source->env.path, member->path) };
        int r;

        if (!member->wanted || member->is_candidate)
            continue;
        if (!object.path)
            return EM_NO_MEMORY;
        r = em_tree_stat(source->env.tree, object.path, &object.node);
        errno = -r;
        if (r < 0)
            return em_fail_errno(error, source->container->shown, "cannot be examined: %s", member->path);
        object.owner = em_env_owner(&source->env, object.path);
        r = em_source_add_candidate(source, &object, error);
        if (r < 0)
            return r;
        member->is_candidate = true;
    }
    if (source->candidates.count > 1)
        qsort(source->candidates.items, source->candidates.count, sizeof *source->candidates.items, by_path);
    return EM_OK;
}

int em_container_look(struct em_source *source, const struct em_strings *names, bool deep, struct em_error *error)
{
    struct em_container *container = source->container;
    struct em_arena *arena = source->env.arena;
    const bool is_first = !container->kept;
    int r = is_first ? find_kept(source, names, error) : EM_OK;

    if (r == EM_OK)
        r = unpack_more(container, arena, names, deep, error);
    if (r == EM_OK && is_first)
        r = read_env(source, arena, em_path_join(arena, container->kept, EM_LISTING_FILES), error);
    return r < 0 ? r : add_candidates(source, error);
}

/* ---- pins ---- */

int em_container_pin(const struct em_container *container, const struct em_pins *pins, struct em_arena *arena,
                     const struct em_pin **pin, struct em_error *error)
{
    *pin = NULL;
    if (!container)
        return EM_OK;
    return is_wheel_name(container->named) ? em_pins_find_wheel(pins, arena, container->named, pin, error)
                                           : em_pins_find(pins, container->named, pin, error);
}

int em_container_check(struct em_container *container, const struct em_pins *pins, const struct em_pin *pin,
                       struct em_error *error)
{
    char hex[EM_SHA256_HEX_SIZE];

    if (container->is_pinned)
        return EM_OK;
    em_sha256_hex(&container->sha256, hex);
    while (pin && !em_sha256_equal(&container->sha256, &pin->sha256))
        pin = pin->next;
    if (!pin)
        return em_fail(error, EM_REFUSED, container->shown, "is not what %s asks for: its SHA-256 is %s", pins->path, hex);
    container->is_pinned = true;
    return EM_OK;
}
