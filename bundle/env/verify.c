#include "bundle/env/verify.h"

#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL /* a library less to load at each start */
#include <xxhash.h>

/* A batch is worked on by one thread with one buffer: many small files or one large one. */
#define BATCH_ITEMS 128u
#define BATCH_BYTES ((uint64_t)4 << 20)

bool em_verify_path(const struct verify *verify, const struct item *item, char path[PATH_MAX])
{
    if (item->is_moved) {
        const char *moved = em_env_moved_row(verify->env, item->distribution, item->row->path);

        return moved && em_env_row_path_into(item->distribution, moved, path, PATH_MAX);
    }
    return em_env_row_path_into(item->distribution, item->row->path, path, PATH_MAX);
}

/* ---- what is to be looked at ---- */

/* Rows that lead out of the target are nobody's business here: `pip install --target` leaves such in every RECORD. */
static int add_item(struct verify *verify, const struct em_distribution *distribution, const struct em_record_row *row)
{
    struct item item = { .distribution = distribution, .row = row };
    struct em_env *env = verify->env;
    char path[PATH_MAX];

    item.is_moved = em_env_moved_row(env, distribution, row->path) != NULL;
    if (!em_verify_path(verify, &item, path) || !em_path_is_below(path, env->path))
        return EM_OK;
    if (item.is_moved) {
        struct em_node node;

        /* Whoever unpacked by another tool has none of these, and misses nothing. */
        if (em_tree_stat_link(env->tree, path, &node) < 0)
            return EM_OK;
    }
    item.path_hash = XXH3_64bits(path, strlen(path));
    return em_vec_push(verify->scratch, &verify->items, item);
}

static int by_path_hash(const void *a, const void *b, void *context)
{
    const struct item *items = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    if (items[left].path_hash != items[right].path_hash)
        return items[left].path_hash < items[right].path_hash ? -1 : 1;
    return left < right ? -1 : left > right;
}

/* Equal hashes of 64 bits that nobody chose are equal paths, but a RECORD may be chosen: the paths decide. */
static void link_equal_paths(struct verify *verify)
{
    struct item *items = verify->items.items;
    char path[PATH_MAX], other[PATH_MAX];

    for (size_t i = 0; i < verify->items.count; i++) {
        struct item *item = &items[verify->by_hash[i]];

        item->is_first = true;
        for (size_t j = i; j > 0 && items[verify->by_hash[j - 1]].path_hash == item->path_hash; j--) {
            struct item *before = &items[verify->by_hash[j - 1]];

            if (!em_verify_path(verify, before, path) || !em_verify_path(verify, item, other) || strcmp(path, other) != 0)
                continue;
            before->next = verify->by_hash[i] + 1;
            item->is_first = false;
            break;
        }
    }
}

/* The largest first, so that no core is left with one at the end. */
static int larger_first(const void *a, const void *b)
{
    const struct batch *left = a, *right = b;

    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? 1 : -1;
    return left->first < right->first ? -1 : 1;
}

static int make_batches(struct verify *verify)
{
    struct batch batch = { 0 };
    int r = EM_OK;

    for (size_t i = 0; i < verify->items.count && r == EM_OK; i++) {
        uint64_t size = verify->items.items[i].row->size;

        batch.count++;
        batch.bytes += size < UINT64_MAX / 2 - batch.bytes ? size : 0;
        if (batch.count < BATCH_ITEMS && batch.bytes < BATCH_BYTES && i + 1 < verify->items.count)
            continue;
        r = em_vec_push(verify->scratch, &verify->batches, batch);
        batch = (struct batch){ .first = i + 1 };
    }
    if (r == EM_OK && verify->batches.count > 1)
        qsort(verify->batches.items, verify->batches.count, sizeof batch, larger_first);
    return r;
}

/* Room for all of them at once: a list that doubles would hold three times as much at its largest. */
static int make_room(struct verify *verify)
{
    size_t rows = 1;

    em_vec_each (struct em_distribution *, distribution, &verify->env->distributions)
        rows += (*distribution)->record.rows.count;
    em_vec_each (struct em_distribution *, package, &verify->env->conda)
        rows += (*package)->record.rows.count;
    verify->items.items = em_arena_array(verify->scratch, rows, sizeof *verify->items.items);
    verify->items.capacity = rows;
    return verify->items.items ? EM_OK : EM_NO_MEMORY;
}

static bool is_bytecode(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".pyc") == 0;
}

/* pip lists what it compiled without a hash or a size; Python writes such files anew as it likes, and may have nowhere to. */
static bool may_be_anything(const struct em_record_row *row)
{
    return !*row->hash && !row->has_size && is_bytecode(row->path);
}

/* Whether the row is to be held against the disk. Of a path that the RECORD lists twice one row counts. */
static bool counts(const struct verify *verify, const struct em_record *record, const struct em_record_row *row)
{
    return (verify->options->hash || !may_be_anything(row)) && (!record->repeats || em_record_find(record, row->path) == row);
}

static int collect_of(struct verify *verify, const struct em_distribution *distribution)
{
    em_vec_each (const struct em_record_row, row, &distribution->record.rows) {
        int r = counts(verify, &distribution->record, row) ? add_item(verify, distribution, row) : EM_OK;

        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int collect(struct verify *verify)
{
    int r = make_room(verify);

    em_vec_each (struct em_distribution *, distribution, &verify->env->distributions)
        if (r == EM_OK)
            r = collect_of(verify, *distribution);
    em_vec_each (struct em_distribution *, package, &verify->env->conda)
        if (r == EM_OK)
            r = collect_of(verify, *package);
    if (r < 0)
        return r;
    if (verify->items.count >= UINT32_MAX)
        return EM_NO_MEMORY;
    verify->by_hash = em_arena_array(verify->scratch, verify->items.count + 1, sizeof *verify->by_hash);
    if (!verify->by_hash)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < verify->items.count; i++)
        verify->by_hash[i] = i;
    if (verify->items.count > 1)
        qsort_r(verify->by_hash, verify->items.count, sizeof *verify->by_hash, by_path_hash, verify->items.items);
    link_equal_paths(verify);
    return make_batches(verify);
}

/* ---- what is wrong ---- */

static const char *full_name(struct em_arena *arena, const struct em_distribution *distribution)
{
    return em_arena_printf(arena, "%s %s", distribution->name, distribution->version);
}

static int add_deviation(struct verify *verify, struct em_deviations *deviations, const struct item *item,
                         struct em_deviation deviation)
{
    char path[PATH_MAX];

    if (!em_verify_path(verify, item, path))
        return EM_OK;
    deviation.path = em_arena_strdup(verify->env->arena, path);
    deviation.row = item->row;
    return deviation.path ? em_vec_push(verify->env->arena, deviations, deviation) : EM_NO_MEMORY;
}

/* What conda lists without a digest or a size is a link, as a rule: it may lead to a directory, or nowhere. */
static bool is_link_of_condas(const struct verify *verify, const struct item *item)
{
    struct em_node node;
    char path[PATH_MAX];

    return item->distribution->conda_meta && !*item->row->hash && !item->row->has_size && em_verify_path(verify, item, path) &&
           em_tree_stat_link(verify->env->tree, path, &node) == 0;
}

static int add_item_deviation(struct verify *verify, struct em_deviations *deviations, const struct item *item)
{
    struct em_deviation deviation = { .kind = EM_DEVIATION_CHANGED, .distribution = item->distribution };
    struct em_arena *arena = verify->env->arena;
    const int kind = (int)strcspn(item->row->hash, "=");

    switch ((enum item_state)item->state) {
    case ITEM_SAME: return EM_OK;
    case ITEM_MISSING:
        if (may_be_anything(item->row) || is_link_of_condas(verify, item))
            return EM_OK;
        deviation.kind = EM_DEVIATION_MISSING;
        break;
    case ITEM_OTHER_SIZE:
        deviation.detail = em_arena_printf(arena, "size %llu instead of %llu", (unsigned long long)item->actual_size,
                                           (unsigned long long)item->row->size);
        break;
    case ITEM_OTHER_HASH: deviation.detail = em_arena_printf(arena, "%.*s differs", kind, item->row->hash); break;
    case ITEM_NO_PROOF:
        deviation.kind = EM_DEVIATION_UNCHECKED;
        deviation.detail = em_arena_printf(arena, "the hash in its RECORD is %.*s: only sha256, sha384 and sha512 are checked",
                                           kind, item->row->hash);
        break;
    case ITEM_NO_HASH:
        deviation.kind = EM_DEVIATION_UNCHECKED;
        deviation.detail = "the SHA-256 in its RECORD cannot be read";
        break;
    case ITEM_NO_FILE:
        if (is_link_of_condas(verify, item))
            return EM_OK;
        deviation.detail = "is no regular file";
        break;
    }
    return add_deviation(verify, deviations, item, deviation);
}

/* A package of conda's for Python is listed twice, by its RECORD and by conda: these are not two owners. */
static bool is_second_list(const struct item *item, const struct item *first)
{
    return item->distribution->conda_meta && !first->distribution->conda_meta;
}

/* One path, several RECORDs. Where they disagree, all but one of the distributions have a file that is not theirs. */
static int add_shared(struct verify *verify, struct em_deviations *deviations, const struct item *first)
{
    struct em_deviation deviation = { .kind = EM_DEVIATION_SHARED, .same_bytes = true };
    struct em_arena *arena = verify->env->arena;
    const char *owners = NULL;
    size_t count = 0;

    for (const struct item *item = first; item; item = next_of_path(verify, item)) {
        const char *name = full_name(arena, item->distribution);

        if (!item->row->has_sha256 || is_second_list(item, first))
            continue;
        owners = owners ? em_arena_printf(arena, "%s, %s", owners, name) : name;
        if (!owners)
            return EM_NO_MEMORY;
        count++;
        if (item->state == ITEM_SAME)
            deviation.distribution = item->distribution;
        deviation.same_bytes = deviation.same_bytes && first->row->has_sha256 &&
                               em_sha256_equal(&first->row->sha256, &item->row->sha256);
    }
    if (count < 2 || first->state == ITEM_MISSING)
        return EM_OK;
    deviation.detail = deviation.same_bytes     ? em_arena_printf(arena, "the same bytes in %s", owners)
                       : deviation.distribution ? em_arena_printf(arena, "listed by %s, with the bytes of %s", owners,
                                                                  full_name(arena, deviation.distribution))
                                                : em_arena_printf(arena, "listed by %s, with the bytes of neither", owners);
    return deviation.detail ? add_deviation(verify, deviations, first, deviation) : EM_NO_MEMORY;
}

/* Whether one of the RECORDs that list the path has these bytes: then it is shared, and not changed. */
static bool is_somebodys(const struct verify *verify, const struct item *first)
{
    for (const struct item *item = first; item; item = next_of_path(verify, item)) {
        if (item->state == ITEM_SAME && item->row->has_sha256)
            return true;
    }
    return false;
}

static bool lies_in_site(const struct verify *verify, const struct item *item)
{
    char path[PATH_MAX];

    em_vec_each (const char *, site, &verify->env->sites)
        if (em_verify_path(verify, item, path) && em_path_is_below(path, *site))
            return true;
    return false;
}

/* is_right: the file is as one of its lists says; told: an earlier list of it is contradicted by it. conda's list of what lies in a site
 * is out of date as soon as pip has upgraded a package there: whoever reads all of the files will hear of it. */
static bool is_to_be_told(const struct verify *verify, const struct item *item, const struct item *first, bool is_right,
                          bool told)
{
    if (!item->distribution->conda_meta)
        return !is_right;
    if (told)
        return false;
    return verify->options->hash || (!is_right && !is_second_list(item, first) && !lies_in_site(verify, item));
}

static int judge(struct verify *verify, struct em_deviations *deviations)
{
    em_vec_each (const struct item, first, &verify->items) {
        bool shared = first->next != 0, is_right;
        size_t told;
        int r = EM_OK;

        if (!first->is_first)
            continue;
        deviations->files++;
        if (shared)
            r = add_shared(verify, deviations, first);
        is_right = shared && is_somebodys(verify, first);
        told = deviations->count;
        for (const struct item *item = first; item && r == EM_OK; item = next_of_path(verify, item))
            if (is_to_be_told(verify, item, first, is_right, deviations->count > told))
                r = add_item_deviation(verify, deviations, item);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- what is there and listed nowhere ---- */

static bool is_listed(const struct verify *verify, const char *path)
{
    uint64_t hash = XXH3_64bits(path, strlen(path));
    size_t low = 0, high = verify->items.count;
    char listed[PATH_MAX];

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (verify->items.items[verify->by_hash[middle]].path_hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < verify->items.count && verify->items.items[verify->by_hash[low]].path_hash == hash; low++) {
        if (em_verify_path(verify, &verify->items.items[verify->by_hash[low]], listed) && strcmp(path, listed) == 0)
            return true;
    }
    return false;
}

/* What a RECORD need not name: what signs it, and in a wheel itself. Installers have it name itself. */
static bool is_beyond_record(const struct em_env *env, const char *directory, const char *path)
{
    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        if (strcmp(directory, (*distribution)->dist_info) == 0)
            return em_is_signature(em_path_after(path, (*distribution)->site)) ||
                   (env->kind == EM_ENV_WHEEL && strcmp(em_path_basename(path), "RECORD") == 0);
    }
    return false;
}

/* What Python, we and version control put into an environment is nobody's. In a wheel nobody has been at work. */
static bool comes_by_itself(const struct em_env *env, const struct em_entry *entry)
{
    if (env->kind == EM_ENV_WHEEL)
        return false;
    return entry->kind == EM_NODE_DIRECTORY ? em_is_never_entered(entry->name) || strcmp(entry->name, "__pycache__") == 0
                                            : is_bytecode(entry->name);
}

struct unlisted {
    struct verify *verify;
    struct em_deviations *deviations;
};

static int look_for_unlisted(struct em_walk *walk, const char *directory, const struct em_entry *entry)
{
    struct unlisted *unlisted = walk->context;
    struct em_deviation deviation = { .kind = EM_DEVIATION_UNLISTED };
    size_t length = strlen(directory), name = strlen(entry->name);
    char path[PATH_MAX];

    if (comes_by_itself(walk->env, entry))
        return EM_WALK_SKIP;
    if (entry->kind == EM_NODE_DIRECTORY || length + 1 + name >= sizeof path)
        return EM_OK;
    memcpy(path, directory, length); /* snprintf shows among ten thousands of files */
    path[length] = '/';
    memcpy(path + length + 1, entry->name, name + 1);
    if (is_listed(unlisted->verify, path) || is_beyond_record(walk->env, directory, path))
        return EM_OK;
    deviation.path = em_arena_strdup(walk->env->arena, path);
    return deviation.path ? em_vec_push(walk->env->arena, unlisted->deviations, deviation) : EM_NO_MEMORY;
}

/* The directories of a site that some RECORD has files in: what else lies there (a package without RECORD, pip's leftovers) is not
 * judged. A wheel is all of one distribution. A list of absolute paths, each once. */
static int owned_directories(struct verify *verify, struct em_strings *directories)
{
    struct em_map seen = { .arena = verify->scratch };
    struct em_env *env = verify->env;

    if (env->kind == EM_ENV_WHEEL)
        return em_vec_push(verify->scratch, directories, env->path);
    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        const char *last = "";

        if (!em_path_is_below((*distribution)->site, env->path))
            continue;
        em_vec_each (const struct em_record_row, row, &(*distribution)->record.rows) {
            size_t size = strcspn(row->path, "/");
            const char *path;

            /* Rows are mostly sorted: the directory is mostly that of the row before. */
            if (row->path[size] == '\0' || size == 0 || row->path[0] == '.' ||
                (strncmp(last, row->path, size) == 0 && last[size] == '/'))
                continue;
            last = row->path;
            path = em_arena_printf(verify->scratch, "%s/%.*s", (*distribution)->site, (int)size, row->path);
            if (!path)
                return EM_NO_MEMORY;
            if (em_map_get(&seen, path))
                continue;
            if (em_map_put(&seen, path, verify) < 0 || em_vec_push(verify->scratch, directories, path) < 0)
                return EM_NO_MEMORY;
        }
    }
    /* Part of a site: the distributions are those that have files in it. */
    if (directories->count == 0 && env->kind == EM_ENV_DIRECTORY && env->distributions.count > 0)
        return em_vec_push(verify->scratch, directories, env->path);
    return EM_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct em_deviation *)a)->path, ((const struct em_deviation *)b)->path);
}

static int find_unlisted(struct verify *verify, struct em_deviations *deviations, struct em_error *error)
{
    struct unlisted unlisted = { verify, deviations };
    struct em_walk walk = {
        .env = verify->env,
        .scratch = verify->scratch,
        .error = error,
        .context = &unlisted,
        .visit = look_for_unlisted,
    };
    struct em_strings directories = { 0 };
    size_t listed = deviations->count;
    int r = owned_directories(verify, &directories);

    em_vec_each (const char *, directory, &directories) {
        struct em_node node;

        if (r == EM_OK && em_tree_stat_link(verify->env->tree, *directory, &node) == 0 && node.kind == EM_NODE_DIRECTORY)
            r = em_walk_directory(&walk, *directory);
    }
    if (r == EM_OK && deviations->count - listed > 1)
        qsort(deviations->items + listed, deviations->count - listed, sizeof *deviations->items, by_path);
    return r;
}

int em_env_verify(struct em_deviations *deviations, struct em_env *env, const struct em_verify_options *options,
                  uint64_t *bytes_read, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct verify verify = { .env = env, .options = options, .scratch = scratch };
    int r;

    *deviations = (struct em_deviations){ 0 };
    if (!scratch)
        return EM_NO_MEMORY;
    atomic_init(&verify.bytes_read, 0);
    r = collect(&verify);
    if (r == EM_OK)
        r = em_verify_look(&verify, error);
    if (r == EM_OK)
        r = judge(&verify, deviations);
    if (r == EM_OK && options->unlisted)
        r = find_unlisted(&verify, deviations, error);
    if (bytes_read)
        *bytes_read = atomic_load(&verify.bytes_read);
    return r;
}
