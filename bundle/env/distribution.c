#include "bundle/env/inside.h"

#include <ctype.h>
#include <string.h>

/* METADATA has its headers first and often a long description behind them: a first piece is mostly enough. */
#define FIRST_PIECE 16384u

#define SUFFIX ".dist-info"
#define SUFFIX_SIZE (sizeof SUFFIX - 1)

bool em_is_dist_info(const char *name)
{
    size_t length = strlen(name);

    return length > SUFFIX_SIZE && strcmp(name + length - SUFFIX_SIZE, SUFFIX) == 0 && name[0] != '~' && name[0] != '.';
}

/* PEP 503: lower case, and a run of "-", "_" and "." is one "-". */
char *em_normalize_name(struct em_arena *arena, const char *name)
{
    char *normal = em_arena_alloc(arena, strlen(name) + 1), *to = normal;

    if (!normal)
        return NULL;
    for (const char *from = name; *from; from++) {
        if (!strchr("-_.", *from))
            *to++ = (char)tolower((unsigned char)*from);
        else if (from == name || !strchr("-_.", from[-1]))
            *to++ = '-';
    }
    *to = '\0';
    return normal;
}

/* ---- METADATA ---- */

/* The headers alone, with a NUL behind them; "" if there is no such file. */
static int read_headers(struct em_env *env, struct em_arena *arena, const char *path, const char **headers,
                        struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    int answer = em_tree_open(env->tree, path, &file), r;

    *headers = "";
    if (answer == -ENOENT || answer == -ENOTDIR)
        return EM_OK;
    if (answer < 0)
        return em_env_fail(error, env, path, answer, "cannot be opened");
    if (file->reader.size > EM_MAX_METADATA)
        return em_fail(error, EM_LIMIT, path, "has more than the %llu bytes that METADATA may have",
                       (unsigned long long)EM_MAX_METADATA);
    for (uint64_t size = FIRST_PIECE;; size *= 8) {
        struct em_bytes bytes;
        const char *text;

        if (size > file->reader.size)
            size = file->reader.size;
        r = em_read_bytes(&file->reader, arena, 0, size, &bytes, error);
        if (r < 0)
            return r;
        text = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
        if (!text)
            return EM_NO_MEMORY;
        if (size == file->reader.size || strstr(text, "\n\n") || strstr(text, "\n\r\n")) {
            *headers = text;
            return EM_OK;
        }
    }
}

/* The next header's name and value (RFC 822, as core metadata has it); a continued line is left out. false at the end. */
static bool next_header(const char **at, struct em_bytes *name, struct em_bytes *value)
{
    while (**at) {
        const char *line = *at, *stop = line + strcspn(line, "\n"), *colon = memchr(line, ':', (size_t)(stop - line));
        const char *start;

        *at = *stop ? stop + 1 : stop;
        while (stop > line && strchr(" \t\r", stop[-1]))
            stop--;
        if (stop == line)
            return false;
        if (*line == ' ' || *line == '\t' || !colon)
            continue;
        for (start = colon + 1; start < stop && strchr(" \t", *start);)
            start++;
        *name = (struct em_bytes){ (const uint8_t *)line, (size_t)(colon - line) };
        *value = (struct em_bytes){ (const uint8_t *)start, start < stop ? (size_t)(stop - start) : 0 };
        return true;
    }
    return false;
}

static bool is_header(struct em_bytes name, const char *wanted)
{
    return name.size == strlen(wanted) && strncasecmp((const char *)name.data, wanted, name.size) == 0;
}

/* Whether a marker asks for an extra (PEP 508): the variable, not a word in a string. */
static bool names_extra(const char *marker)
{
    char quote = '\0';

    for (const char *at = marker; *at; at++) {
        if (quote) {
            if (*at == quote)
                quote = '\0';
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if (strncmp(at, "extra", 5) == 0 && (at == marker || !(isalnum((unsigned char)at[-1]) || at[-1] == '_')) &&
                   !(isalnum((unsigned char)at[5]) || at[5] == '_')) {
            return true;
        }
    }
    return false;
}

static int add_requirement(struct em_env *env, struct em_distribution *distribution, struct em_bytes value)
{
    struct em_requirement requirement = { 0 };
    const char *marker, *name;
    size_t length = 0;

    requirement.spelled = em_arena_strndup(env->arena, (const char *)value.data, value.size);
    if (!requirement.spelled)
        return EM_NO_MEMORY;
    while (isalnum((unsigned char)requirement.spelled[length]) || strchr("-_.", requirement.spelled[length])) {
        if (requirement.spelled[length] == '\0')
            break;
        length++;
    }
    if (length == 0)
        return EM_OK; /* what has no name is required of nobody */
    name = em_arena_strndup(env->arena, requirement.spelled, length);
    requirement.name = name ? em_normalize_name(env->arena, name) : NULL;
    if (!requirement.name)
        return EM_NO_MEMORY;
    marker = strchr(requirement.spelled, ';');
    requirement.has_extra = marker && names_extra(marker);
    return em_vec_push(env->arena, &distribution->requirements, requirement);
}

static int read_metadata(struct em_env *env, struct em_distribution *distribution, struct em_error *error)
{
    const char *path = em_path_join(env->arena, distribution->dist_info, "METADATA"), *headers;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_bytes name, value;
    int r;

    if (!path || !scratch)
        return EM_NO_MEMORY;
    r = read_headers(env, scratch, path, &headers, error);
    while (r == EM_OK && next_header(&headers, &name, &value)) {
        if (is_header(name, "Requires-Dist")) {
            r = add_requirement(env, distribution, value);
        } else if (is_header(name, "Name") && !distribution->name) {
            distribution->name = em_arena_strndup(env->arena, (const char *)value.data, value.size);
            r = distribution->name ? EM_OK : EM_NO_MEMORY;
        } else if (is_header(name, "Version") && !distribution->version) {
            distribution->version = em_arena_strndup(env->arena, (const char *)value.data, value.size);
            r = distribution->version ? EM_OK : EM_NO_MEMORY;
        }
    }
    return r;
}

/* Where METADATA does not say them, name and version are those of the directory. */
static int name_by_directory(struct em_env *env, struct em_distribution *distribution)
{
    const char *name = em_path_basename(distribution->dist_info), *dash;
    size_t length = strlen(name) - SUFFIX_SIZE;

    dash = memchr(name, '-', length);
    if (!distribution->name || !*distribution->name)
        distribution->name = em_arena_strndup(env->arena, name, dash ? (size_t)(dash - name) : length);
    if (!distribution->version)
        distribution->version = dash ? em_arena_strndup(env->arena, dash + 1, length - (size_t)(dash + 1 - name)) : "";
    if (!distribution->name || !distribution->version)
        return EM_NO_MEMORY;
    distribution->normalized = em_normalize_name(env->arena, distribution->name);
    return distribution->normalized ? EM_OK : EM_NO_MEMORY;
}

/* ---- the other files ---- */

/* A file of the .dist-info; found is false if it is not there. */
static int read_part(struct em_env *env, struct em_distribution *distribution, const char *name, uint64_t limit,
                     struct em_arena *arena, struct em_bytes *bytes, bool *found, struct em_node *node, const char **path,
                     struct em_error *error)
{
    *path = em_path_join(env->arena, distribution->dist_info, name);
    if (!*path)
        return EM_NO_MEMORY;
    *found = em_tree_stat(env->tree, *path, node) == 0 && node->kind == EM_NODE_FILE;
    return *found ? em_tree_read(env->tree, arena, *path, limit, bytes, error) : EM_OK;
}

static int read_installer(struct em_env *env, struct em_distribution *distribution, struct em_error *error)
{
    struct em_bytes bytes;
    struct em_node node;
    const char *path;
    size_t length = 0;
    bool found;
    int r = read_part(env, distribution, "INSTALLER", EM_MAX_METADATA, env->arena, &bytes, &found, &node, &path, error);

    if (r < 0 || !found)
        return r;
    while (length < bytes.size && !strchr("\r\n", bytes.data[length]))
        length++;
    distribution->installer = length ? em_arena_strndup(env->arena, (const char *)bytes.data, length) : NULL;
    return EM_OK;
}

static int read_record(struct em_env *env, struct em_distribution *distribution, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new(); /* the record keeps a copy of its own */
    struct em_bytes bytes;
    const char *path;
    int r = scratch ? read_part(env, distribution, "RECORD", EM_MAX_RECORD, scratch, &bytes, &distribution->has_record,
                                &distribution->record_node, &path, error)
                    : EM_NO_MEMORY;

    if (r < 0 || !distribution->has_record)
        return r;
    r = em_record_read(&distribution->record, env->arena, bytes, path, error);
    return r < 0 ? r : em_env_note_odd_rows(env, distribution);
}

static int read_distribution(struct em_env *env, const char *site, const char *name, struct em_error *error)
{
    struct em_distribution *distribution = em_new(env->arena, struct em_distribution);
    int r;

    if (!distribution)
        return EM_NO_MEMORY;
    distribution->site = site;
    distribution->dist_info = em_path_join(env->arena, site, name);
    if (!distribution->dist_info)
        return EM_NO_MEMORY;
    r = read_metadata(env, distribution, error);
    if (r == EM_OK)
        r = read_record(env, distribution, error);
    if (r < 0)
        return r;
    /* Neither of both: what a package manager did not manage to remove. */
    if (!distribution->name && !distribution->has_record)
        return EM_OK;
    r = name_by_directory(env, distribution);
    if (r == EM_OK)
        r = read_installer(env, distribution, error);
    return r < 0 ? r : em_vec_push(env->arena, &env->distributions, distribution);
}

int em_env_read_site(struct em_env *env, const char *site, struct em_error *error)
{
    struct em_entries entries;
    int r = em_tree_entries(env->tree, env->arena, site, &entries);

    if (r < 0)
        return em_env_fail(error, env, site, r, "cannot be listed");
    r = EM_OK;
    em_vec_each (const struct em_entry, entry, &entries) {
        if (entry->kind != EM_NODE_FILE && em_is_dist_info(entry->name))
            r = read_distribution(env, site, entry->name, error);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* Of two of one name that of the target is before the base interpreter's: Python finds it first. */
static int by_name(const void *a, const void *b, void *context)
{
    const struct em_distribution *left = *(struct em_distribution *const *)a, *right = *(struct em_distribution *const *)b;
    int order = strcmp(left->normalized, right->normalized);

    if (order == 0)
        order = em_env_is_beside(context, left->site) - em_env_is_beside(context, right->site);
    return order ? order : strcmp(left->dist_info, right->dist_info);
}

void em_env_sort_distributions(struct em_env *env)
{
    if (env->distributions.count > 1)
        qsort_r(env->distributions.items, env->distributions.count, sizeof *env->distributions.items, by_name, env);
}

const char *em_distribution_reinstall(struct em_arena *arena, const struct em_distribution *distribution)
{
    return em_arena_printf(arena, "%s install --force-reinstall --no-deps '%s==%s'", distribution->conda_meta ? "conda" : "pip",
                           distribution->name, distribution->version);
}

/* ---- asked of all of them ---- */

/* The first of that name, as a lower bound. */
static size_t lower_bound(const struct em_env *env, const char *normalized)
{
    size_t low = 0, high = env->distributions.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(env->distributions.items[middle]->normalized, normalized) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct em_distribution *em_env_find(const struct em_env *env, const char *normalized_name)
{
    size_t at = lower_bound(env, normalized_name);

    if (at == env->distributions.count || strcmp(env->distributions.items[at]->normalized, normalized_name) != 0)
        return NULL;
    return env->distributions.items[at];
}

bool em_env_requires(const struct em_env *env, const struct em_distribution *requirer, const struct em_distribution *provider)
{
    /* Each distribution is looked at once: todo is a list of places in env->distributions, done marks what was on it. */
    size_t count = env->distributions.count, end = 0;
    em_cleanup_free size_t *todo = NULL;
    em_cleanup_free bool *done = NULL;

    if (requirer == provider)
        return true;
    if (!requirer || !provider)
        return false;
    todo = calloc(count + 1, sizeof *todo);
    done = calloc(count + 1, sizeof *done);
    if (!todo || !done)
        return false;
    for (size_t next = 0; requirer; requirer = next < end ? env->distributions.items[todo[next++]] : NULL) {
        em_vec_each (const struct em_requirement, requirement, &requirer->requirements) {
            if (requirement->has_extra)
                continue;
            if (strcmp(requirement->name, provider->normalized) == 0)
                return true;
            for (size_t at = lower_bound(env, requirement->name);
                 at < count && strcmp(env->distributions.items[at]->normalized, requirement->name) == 0; at++) {
                if (!done[at])
                    todo[end++] = at;
                done[at] = true;
            }
        }
    }
    return false;
}
