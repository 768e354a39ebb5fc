#include "cli/survey.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

/* What audit says of a wheel whose library is nowhere is EM103; once repack has promised the package that brings it, it is EM101 or
 * EM102. Who names the one means the other. */
static bool is_called(const struct em_finding *finding, const char *id, size_t length)
{
    if (length == strlen(finding->id) && strncmp(id, finding->id, length) == 0)
        return true;
    return length == 5 && strncmp(id, "EM103", length) == 0 && finding->provider && finding->provider->owner &&
           em_is_promised(finding->provider->owner);
}

/* "EM103" or "EM103:GLOB", the glob over the object as shown and over its base name. */
static bool is_ignored_by(const char *rule, const struct em_finding *finding, const char *shown)
{
    const char *colon = strchr(rule, ':');
    size_t length = colon ? (size_t)(colon - rule) : strlen(rule);

    if (!is_called(finding, rule, length))
        return false;
    return !colon || fnmatch(colon + 1, shown, 0) == 0 || fnmatch(colon + 1, em_path_basename(shown), 0) == 0;
}

bool em_filter_wants(const void *context, const struct em_finding *finding)
{
    const struct em_filter *filter = context;
    const char *shown = em_env_show(filter->env, finding->object);
    bool named = filter->only.count == 0;

    em_vec_each (const char *, glob, &filter->only)
        named = named || fnmatch(*glob, shown, 0) == 0 || fnmatch(*glob, em_path_basename(shown), 0) == 0;
    em_vec_each (const char *, rule, &filter->ignore)
        if (is_ignored_by(*rule, finding, shown))
            return false;
    return named;
}

static int read_ignore_file(struct em_strings *rules, struct em_arena *arena, const char *path, struct em_error *error)
{
    const size_t before = rules->count;
    struct em_bytes bytes;
    char *line, *rest;
    int r;

    /* What cannot be looked at may hold rules: to report without them would be another report. */
    if (access(path, F_OK) != 0)
        return errno == ENOENT || errno == ENOTDIR ? EM_OK : em_fail_errno(error, path, "cannot be examined");
    r = em_read_file_at(AT_FDCWD, path, EM_MAX_IGNORE, arena, &bytes, error);
    if (r < 0)
        return r;
    rest = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    if (!rest)
        return EM_NO_MEMORY;
    while ((line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "#\r")] = '\0';
        line += strspn(line, " \t");
        line[strcspn(line, " \t")] = '\0';
        if (*line && em_vec_push(arena, rules, (const char *)line) < 0)
            return EM_NO_MEMORY;
    }
    if (rules->count - before > EM_MAX_IGNORE_RULES)
        return em_fail(error, EM_LIMIT, path, "has %zu rules, more than the %u that it may have", rules->count - before,
                       EM_MAX_IGNORE_RULES);
    return EM_OK;
}

int em_filter_init(struct em_filter *filter, const struct em_options *options, const struct em_env *env, struct em_error *error)
{
    const bool is_place = env && env->kind != EM_ENV_WHEEL;
    char *in_target = is_place ? em_path_join(options->arena, env->path, ".elfmendignore") : NULL;
    int r;

    *filter = (struct em_filter){ .env = env, .only = options->only };
    if (is_place && !in_target)
        return EM_NO_MEMORY;
    em_vec_each (const char *, rule, &options->ignore)
        if (em_vec_push(options->arena, &filter->ignore, *rule) < 0)
            return EM_NO_MEMORY;
    r = read_ignore_file(&filter->ignore, options->arena, ".elfmendignore", error);
    if (r == EM_OK && in_target)
        r = read_ignore_file(&filter->ignore, options->arena, in_target, error);
    return r;
}

int em_filter_findings(struct em_findings *findings, const struct em_options *options, const struct em_env *env,
                       struct em_error *error)
{
    struct em_filter filter;
    size_t kept = 0;
    int r = em_filter_init(&filter, options, env, error);

    if (r < 0)
        return r;
    em_vec_each (struct em_finding, finding, findings)
        if (em_filter_wants(&filter, finding))
            findings->items[kept++] = *finding;
    findings->count = kept;
    return EM_OK;
}

size_t em_count_findings(const struct em_findings *findings, enum em_severity severity)
{
    size_t count = 0;

    em_vec_each (struct em_finding, finding, findings)
        count += finding->severity == severity;
    return count;
}

int em_status_of(const struct em_findings *findings, const struct em_options *options)
{
    enum em_severity least = EM_SEVERITY_ERROR;

    if (strcmp(options->fail_on, "never") == 0)
        return EM_EXIT_OK;
    if (strcmp(options->fail_on, "warning") == 0)
        least = EM_SEVERITY_WARNING;
    else if (strcmp(options->fail_on, "note") == 0)
        least = EM_SEVERITY_NOTE;
    em_vec_each (struct em_finding, finding, findings)
        if (finding->severity >= least)
            return EM_EXIT_FINDINGS;
    return EM_EXIT_OK;
}

bool em_is_shown(const struct em_finding *finding, const struct em_options *options)
{
    return finding->severity > EM_SEVERITY_NOTE || options->verbose || strcmp(options->fail_on, "note") == 0;
}
