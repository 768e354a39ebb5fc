#include "bundle/tree/site.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands at a path: a directory with its children, a member of an archive, or bytes of ours. */
struct entry {
    const char *name;
    struct em_node node;
    struct {
        EM_VEC(struct entry *);
    } children;
    struct em_zip_place place; /* member NULL: bytes */
    struct em_bytes bytes;
};

struct site {
    struct em_tree tree;
    struct em_tree *below;
    struct em_arena *arena;
    const char *prefix, *path, *python; /* python NULL: packed, not installed */
    struct em_map entries;              /* absolute path -> struct entry */
    struct em_strings lowers;           /* directories of below whose content appears at path */
    uint64_t device, next_inode;
};

struct site_file {
    struct em_file file;
    struct em_zip_place place;
    struct em_bytes bytes;
};

/* ---- where a path leads ---- */

enum where {
    OUTSIDE, /* below has it, under the path that was asked */
    HERE,    /* an entry */
    LOWER,   /* below has it, under another path */
};

struct found {
    enum where where;
    char path[PATH_MAX]; /* normal; for LOWER: in below's terms */
    char own[PATH_MAX];  /* LOWER: in ours */
    struct entry *entry;
};

/* The first of the lower directories that has path, which is below site->path; -ENOENT: none. */
static int find_lower(struct site *site, const char *path, struct found *found)
{
    const char *rest = em_path_after(path, site->path);
    struct em_node node;

    if (!em_path_is_below(path, site->path))
        return -ENOENT;
    em_vec_each (const char *, lower, &site->lowers) {
        char candidate[PATH_MAX];
        int size = snprintf(candidate, sizeof candidate, "%s/%s", *lower, rest);

        if (size < 0 || (size_t)size >= sizeof candidate)
            return -ENAMETOOLONG;
        if (em_tree_stat_link(site->below, candidate, &node) < 0)
            continue;
        if (path != found->own)
            strcpy(found->own, path);
        strcpy(found->path, candidate);
        found->where = LOWER;
        return 0;
    }
    return -ENOENT;
}

static bool is_directory(struct site *site, const char *path)
{
    struct entry *entry = em_map_get(&site->entries, path);
    struct found found;
    struct em_node node;

    if (entry)
        return entry->node.kind == EM_NODE_DIRECTORY;
    return find_lower(site, path, &found) == 0 && em_tree_stat(site->below, found.path, &node) == 0 &&
           node.kind == EM_NODE_DIRECTORY;
}

/* There are no links in what was put, so that ".." is what the text says, provided that what stands before it is a directory. */
static int find(struct site *site, const char *path, struct found *found)
{
    size_t length = 0;
    bool was_here = false;

    found->where = OUTSIDE;
    found->entry = NULL;
    if (path[0] != '/' || strlen(path) >= sizeof found->path)
        return path[0] != '/' ? -ENOENT : -ENAMETOOLONG;
    found->path[0] = '\0';
    for (const char *part = path + strspn(path, "/"); *part; part += strspn(part, "/")) {
        size_t size = strcspn(part, "/");
        bool here = em_path_is_below(found->path, site->prefix);

        was_here = was_here || here;
        if (size == 2 && part[0] == '.' && part[1] == '.') {
            if (here && !is_directory(site, found->path))
                return em_map_get(&site->entries, found->path) ? -ENOTDIR : -ENOENT;
            while (length > 0 && found->path[--length] != '/')
                ;
        } else if (!(size == 1 && part[0] == '.')) {
            found->path[length++] = '/';
            memcpy(found->path + length, part, size);
            length += size;
        }
        found->path[length] = '\0';
        part += size;
    }
    if (!em_path_is_below(found->path, site->prefix)) {
        if (!was_here)
            strcpy(found->path, path);
        else if (length == 0)
            strcpy(found->path, "/");
        return 0;
    }
    found->entry = em_map_get(&site->entries, found->path);
    if (found->entry) {
        found->where = HERE;
        return path[strlen(path) - 1] == '/' && found->entry->node.kind != EM_NODE_DIRECTORY ? -ENOTDIR : 0;
    }
    strcpy(found->own, found->path);
    return find_lower(site, found->own, found);
}

/* ---- questions ---- */

static int site_stat(struct em_tree *tree, const char *path, bool follow, struct em_node *node)
{
    struct site *site = (struct site *)tree;
    struct found found;
    int r = find(site, path, &found);

    if (r < 0)
        return r;
    if (found.where == HERE) {
        *node = found.entry->node;
        return 0;
    }
    return follow ? em_tree_stat(site->below, found.path, node) : em_tree_stat_link(site->below, found.path, node);
}

static void site_file_close(struct em_file *file)
{
    free(file);
}

static int site_open(struct em_tree *tree, const char *path, struct em_file **file)
{
    struct site *site = (struct site *)tree;
    struct site_file *opened;
    struct found found;
    int r = find(site, path, &found);

    if (r < 0)
        return r;
    if (found.where != HERE)
        return em_tree_open(site->below, found.path, file);
    if (found.entry->node.kind == EM_NODE_DIRECTORY)
        return -EISDIR;
    opened = calloc(1, sizeof *opened);
    if (!opened)
        return -ENOMEM;
    opened->place = found.entry->place;
    opened->bytes = found.entry->bytes;
    opened->file = (struct em_file){ .node = found.entry->node, .close = site_file_close };
    opened->file.reader = opened->place.member ? em_zip_reader(&opened->place)
                                               : em_reader_memory(&opened->bytes, found.entry->name);
    *file = &opened->file;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct em_entry *)a)->name, ((const struct em_entry *)b)->name);
}

/* names of a lower directory that nothing before it has. */
static int add_lower_entries(struct site *site, struct em_arena *arena, const char *lower, struct em_map *known,
                             struct em_entries *entries)
{
    struct em_entries below;
    int r = em_tree_entries(site->below, arena, lower, &below);

    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
    em_vec_each (const struct em_entry, entry, &below) {
        if (em_map_get(known, entry->name))
            continue;
        if (em_map_put(known, entry->name, site) < 0 || em_vec_push(arena, entries, *entry) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int site_entries(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_entries *entries)
{
    struct site *site = (struct site *)tree;
    struct em_map known = { .arena = arena };
    const char *own;
    struct found found;
    int r = find(site, path, &found);

    *entries = (struct em_entries){ 0 };
    if (r < 0)
        return r;
    if (found.where == OUTSIDE)
        return em_tree_entries(site->below, arena, found.path, entries);
    if (found.where == HERE && found.entry->node.kind != EM_NODE_DIRECTORY)
        return -ENOTDIR;
    own = found.where == HERE ? found.path : found.own;
    if (found.where == HERE) {
        em_vec_each (struct entry *, child, &found.entry->children) {
            if (em_map_put(&known, (*child)->name, *child) < 0 ||
                em_vec_push(arena, entries, ((struct em_entry){ (*child)->name, (*child)->node.kind })) < 0)
                return -ENOMEM;
        }
    }
    em_vec_each (const char *, lower, &site->lowers) {
        const char *rest = em_path_after(own, site->path);
        const char *directory = strcmp(rest, ".") == 0 ? *lower : em_path_join(arena, *lower, rest);

        if (!em_path_is_below(own, site->path))
            break;
        r = directory ? add_lower_entries(site, arena, directory, &known, entries) : -ENOMEM;
        if (r < 0)
            return r;
    }
    if (entries->count > 1)
        qsort(entries->items, entries->count, sizeof *entries->items, by_name);
    return 0;
}

static int site_list(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_strings *names)
{
    struct em_entries entries;
    int r = site_entries(tree, arena, path, &entries);

    *names = (struct em_strings){ 0 };
    em_vec_each (const struct em_entry, entry, &entries) {
        if (r == 0 && em_vec_push(arena, names, entry->name) < 0)
            r = -ENOMEM;
    }
    return r;
}

static int site_read_link(struct em_tree *tree, struct em_arena *arena, const char *path, char **target)
{
    struct site *site = (struct site *)tree;
    struct found found;
    int r = find(site, path, &found);

    if (r < 0)
        return r;
    return found.where == HERE ? -EINVAL : em_tree_read_link(site->below, arena, found.path, target);
}

static int site_real_path(struct em_tree *tree, struct em_arena *arena, const char *path, char **real)
{
    struct site *site = (struct site *)tree;
    struct found found;
    int r = find(site, path, &found);

    if (r < 0)
        return r;
    if (found.where == HERE) {
        *real = em_arena_strdup(arena, found.path);
        return *real ? 0 : -ENOMEM;
    }
    r = em_tree_real_path(site->below, arena, found.path, real);
    if (r < 0 || found.where == OUTSIDE)
        return r;
    em_vec_each (const char *, lower, &site->lowers) {
        char *lower_real;

        if (em_tree_real_path(site->below, arena, *lower, &lower_real) < 0 || !em_path_is_below(*real, lower_real))
            continue;
        *real = em_path_join(arena, site->path, em_path_after(*real, lower_real));
        return *real ? 0 : -ENOMEM;
    }
    return 0;
}

static void site_close(struct em_tree *tree)
{
    struct site *site = (struct site *)tree;

    em_arena_free(site->arena);
    free(site);
}

static const struct em_tree_ops site_ops = {
    .stat = site_stat,
    .open = site_open,
    .list = site_list,
    .entries = site_entries,
    .read_link = site_read_link,
    .real_path = site_real_path,
    .close = site_close,
};

/* ---- filling ---- */

/* The directory at path, made with all above it up to the prefix. NULL: no memory, or a file is there: *r says which. */
static struct entry *make_directory(struct site *site, const char *path, int *r)
{
    struct entry *entry = em_map_get(&site->entries, path), *above = NULL;

    *r = -ENOMEM;
    if (entry && entry->node.kind != EM_NODE_DIRECTORY) {
        *r = -ENOTDIR;
        return NULL;
    }
    if (entry)
        return entry;
    if (strcmp(path, site->prefix) != 0) {
        char *directory = em_path_dirname(site->arena, path);

        above = directory ? make_directory(site, directory, r) : NULL;
        if (!above)
            return NULL;
    }
    entry = em_new(site->arena, struct entry);
    path = em_arena_strdup(site->arena, path);
    if (!entry || !path)
        return NULL;
    entry->name = em_path_basename(path);
    entry->node = (struct em_node){
        .kind = EM_NODE_DIRECTORY, .device = site->device, .inode = ++site->next_inode, .links = 2, .mode = 0755
    };
    if (em_map_put(&site->entries, path, entry) < 0 || (above && em_vec_push(site->arena, &above->children, entry) < 0))
        return NULL;
    return entry;
}

/* A new file at path, or the one that is there. */
static int make_file(struct site *site, const char *path, struct entry **file)
{
    em_cleanup_free char *directory = strndup(path, (size_t)(em_path_basename(path) - path - 1));
    struct entry *above;
    int r = -ENOMEM;

    *file = em_map_get(&site->entries, path);
    if (*file)
        return (*file)->node.kind == EM_NODE_FILE ? 0 : -EISDIR;
    above = directory ? make_directory(site, directory, &r) : NULL;
    if (!above)
        return r;
    *file = em_new(site->arena, struct entry);
    path = em_arena_strdup(site->arena, path);
    if (!*file || !path)
        return -ENOMEM;
    (*file)->name = em_path_basename(path);
    (*file)->node = (struct em_node){
        .kind = EM_NODE_FILE, .device = site->device, .inode = ++site->next_inode, .links = 1, .mode = 0644
    };
    if (em_map_put(&site->entries, path, *file) < 0 || em_vec_push(site->arena, &above->children, *file) < 0)
        return -ENOMEM;
    return 0;
}

const char *em_site_member_path(struct em_arena *arena, const char *member, const char *python)
{
    static const struct {
        const char *scheme, *place;
    } schemes[] = { { "purelib", "" }, { "platlib", "" }, { "scripts", "../../../bin/" }, { "data", "../../../" } };
    size_t first = strcspn(member, "/"), length, second;
    const char *rest;

    if (first < 5 || member[first] == '\0' || strncmp(member + first - 5, ".data", 5) != 0)
        return member;
    rest = member + first + 1;
    second = strcspn(rest, "/");
    if (rest[second] == '\0')
        return member;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        length = strlen(schemes[i].scheme);
        if (second == length && strncmp(rest, schemes[i].scheme, length) == 0)
            return em_arena_printf(arena, "%s%s", schemes[i].place, rest + second + 1);
    }
    if (second == 7 && strncmp(rest, "headers", 7) == 0) {
        const char *dash = memchr(member, '-', first);

        return em_arena_printf(arena, "../../../include/site/%s/%.*s/%s", python,
                               (int)(dash ? (size_t)(dash - member) : first - 5), member, rest + second + 1);
    }
    return member;
}

int em_site_put_wheel(struct em_tree *tree, struct em_zip *zip, struct em_error *error)
{
    struct site *site = (struct site *)tree;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();

    if (!scratch)
        return EM_NO_MEMORY;
    em_vec_each (struct em_zip_member, member, em_zip_members(zip)) {
        const char *place = site->python ? em_site_member_path(scratch, member->name, site->python) : member->name;
        const char *joined = place ? em_path_join(scratch, site->path, place) : NULL;
        const char *path = joined ? em_path_normal(scratch, joined) : NULL;
        struct entry *entry;
        int r;

        if (!path)
            return EM_NO_MEMORY;
        if (member->directory)
            continue; /* an empty one is of no use to anybody */
        r = make_file(site, path, &entry);
        if (r == -ENOMEM)
            return EM_NO_MEMORY;
        if (r < 0)
            return em_fail(error, EM_BAD_ZIP, em_zip_path(zip), "would put a file where a directory is, or the reverse: %s",
                           member->name);
        if (entry->place.member || entry->bytes.data)
            continue;
        entry->place = (struct em_zip_place){ zip, member };
        entry->node.size = member->size;
        entry->node.mode = member->mode & 07777 ? member->mode & 07777 : 0644;
        entry->node.mtime_ns = em_zip_dos_seconds(member->dos_date, member->dos_time) * 1000000000;
    }
    return EM_OK;
}

int em_site_put_bytes(struct em_tree *tree, const char *path, struct em_bytes bytes)
{
    struct site *site = (struct site *)tree;
    struct entry *entry;
    int r = make_file(site, path, &entry);

    if (r < 0)
        return r == -ENOMEM ? EM_NO_MEMORY : EM_REFUSED;
    entry->place = (struct em_zip_place){ 0 };
    entry->bytes = bytes;
    entry->node.size = bytes.size;
    return EM_OK;
}

int em_site_put_directory(struct em_tree *tree, const char *directory)
{
    struct site *site = (struct site *)tree;
    char *copy = em_arena_strdup(site->arena, directory);

    return copy ? em_vec_push(site->arena, &site->lowers, (const char *)copy) : EM_NO_MEMORY;
}

const char *em_site_path(struct em_tree *tree)
{
    return ((struct site *)tree)->path;
}

int em_tree_site(struct em_tree **tree, struct em_tree *below, const char *prefix, const char *python)
{
    /* Above the overlays' numbers, which are above the kernel's. */
    static atomic_uint_least64_t next_device = UINT64_C(3) << 62;
    struct site *site = calloc(1, sizeof *site);
    int r;

    *tree = NULL;
    if (!site)
        return EM_NO_MEMORY;
    site->tree.ops = &site_ops;
    site->below = below;
    site->arena = em_arena_new();
    if (site->arena) {
        site->device = atomic_fetch_add(&next_device, 1);
        site->entries = (struct em_map){ .arena = site->arena };
        site->prefix = em_path_normal(site->arena, prefix);
        site->python = python ? em_arena_strdup(site->arena, python) : NULL;
        site->path = python ? em_arena_printf(site->arena, "%s/lib/%s/site-packages", site->prefix ? site->prefix : "", python)
                            : site->prefix;
    }
    if (!site->arena || !site->prefix || (python && !site->python) || !site->path || !make_directory(site, site->path, &r)) {
        site_close(&site->tree);
        return EM_NO_MEMORY;
    }
    *tree = &site->tree;
    return EM_OK;
}
