#include "bundle/plan/undone.h"

#include <string.h>

/* A distribution as we repaired it last, and what is undone of that. */
struct mended {
    const struct em_trail_step *record;         /* its RECORD; NULL: files that were in no RECORD */
    const char *site;                           /* absolute */
    const char *name;                           /* as its .dist-info was called: "ctranslate2-4.6.0" */
    const struct em_distribution *distribution; /* what is there of that name now; NULL: nothing */
    struct {
        EM_VEC(const struct em_trail_step *);
    } undone;
};

struct all_mended {
    EM_VEC(struct mended);
};

static const char *absolute(const struct em_env *env, struct em_arena *arena, const char *path)
{
    const char *root = env->kind == EM_ENV_OBJECT ? em_path_dirname(arena, env->path) : env->path;

    return root ? em_path_join(arena, root, path) : NULL;
}

/* ---- the distributions that were repaired ---- */

/* "ctranslate2-4.6.0" is a version of that distribution. */
static bool is_version_of(struct em_arena *arena, const char *name, const struct em_distribution *distribution)
{
    const char *dash = strrchr(name, '-');
    const char *stem = dash ? em_arena_strndup(arena, name, (size_t)(dash - name)) : name;
    const char *normalized = stem ? em_normalize_name(arena, stem) : NULL;

    return normalized && strcmp(distribution->normalized, normalized) == 0;
}

static const struct em_distribution *find_installed(const struct em_env *env, struct em_arena *arena,
                                                    const struct mended *mended)
{
    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        if (strcmp((*distribution)->site, mended->site) == 0 && is_version_of(arena, mended->name, *distribution))
            return *distribution;
    }
    return NULL;
}

static bool is_record(const char *path)
{
    return strcmp(em_path_basename(path), "RECORD") == 0;
}

static int add_mended(struct all_mended *all, struct em_arena *arena, const struct em_env *env,
                      const struct em_trail_step *record)
{
    const char *path = absolute(env, arena, record->path), *info = path ? em_path_dirname(arena, path) : NULL;
    struct mended mended = { .record = record, .site = info ? em_path_dirname(arena, info) : NULL };
    size_t length;

    if (!mended.site)
        return EM_NO_MEMORY;
    length = strlen(em_path_basename(info));
    if (length > strlen(".dist-info"))
        length -= strlen(".dist-info");
    mended.name = em_arena_strndup(arena, em_path_basename(info), length);
    if (!mended.name)
        return EM_NO_MEMORY;
    mended.distribution = find_installed(env, arena, &mended);
    return em_vec_push(arena, all, mended);
}

/* ---- whose a file was that is not as we left it ---- */

static bool has_files_beside(const struct em_distribution *distribution, const char *path)
{
    const char *relative = em_path_after(path, distribution->site);
    size_t length = (size_t)(em_path_basename(relative) - relative);

    em_vec_each (const struct em_record_row, row, &distribution->record.rows)
        if (length > 0 && strncmp(row->path, relative, length) == 0)
            return true;
    return false;
}

/* What lay in the .dist-info of a version that is no longer there: licences and bills of copies. */
static bool is_paper_of(struct em_arena *arena, const struct em_distribution *distribution, const char *path)
{
    const char *relative = em_path_after(path, distribution->site), *end = strstr(relative, ".dist-info/");
    const char *name = end ? em_arena_strndup(arena, relative, (size_t)(end - relative)) : NULL;

    return name && !strchr(name, '/') && is_version_of(arena, name, distribution);
}

/* Its owner says it. A file that nobody lists any more was a copy beside the files of one that was installed again, or one's that is
 * gone. Of several repairs of a distribution, of several versions even, the last counts. NULL: it was in no RECORD. */
static struct mended *find_mended(struct all_mended *all, struct em_arena *arena, const struct em_env *env, const char *path)
{
    const struct em_distribution *owner = em_env_owner(env, path);
    struct mended *found = NULL, *gone = NULL;

    em_vec_each (struct mended, mended, all) {
        const struct em_distribution *distribution = mended->distribution;

        if (!em_path_is_below(path, mended->site))
            continue;
        if (distribution &&
            (owner ? distribution == owner : has_files_beside(distribution, path) || is_paper_of(arena, distribution, path)))
            found = mended;
        else if (!distribution && !owner)
            gone = mended;
    }
    return found ? found : gone;
}

static int sort_in(struct all_mended *all, struct mended *loose, struct em_arena *arena, const struct em_env *env,
                   const struct em_trail_step *step)
{
    const char *path = absolute(env, arena, step->path);
    struct mended *mended = path ? find_mended(all, arena, env, path) : NULL;

    if (!path)
        return EM_NO_MEMORY;
    if (!mended)
        mended = loose;
    /* Ids are as long as each other, until there are ten thousand. */
    else if (mended->record->state == EM_TRAIL_OURS && strcmp(step->id, mended->record->id) < 0)
        return EM_OK;
    return em_vec_push(arena, &mended->undone, step);
}

/* ---- what to say ---- */

static int add_line(struct em_finding *finding, struct em_arena *arena, const char *what, const char *text)
{
    const char *line = em_arena_printf(arena, "%-10s %s", what, text);

    return line ? em_vec_push(arena, &finding->evidence, line) : EM_NO_MEMORY;
}

static int add_finding(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                       const struct mended *mended)
{
    const struct em_trail_step *first = mended->undone.items[0];
    struct em_finding finding = {
        .id = "EM605",
        .severity = EM_SEVERITY_WARNING,
        .object = absolute(env, arena, first->path),
        .owner = mended->distribution,
        .message = "was repaired by elfmend, and somebody has undone that since",
        .help = em_arena_printf(arena, "elfmend fix %s     or, where nothing is missing any more: elfmend undo --forget %s",
                                env->given, env->given),
        .repair = first->id,
        .repair_state = em_trail_state_name(first->state),
    };
    const char *repair = em_arena_printf(arena, "%s, of %zu file%s", first->id, mended->undone.count,
                                         mended->undone.count == 1 ? "" : "s");
    int r;

    if (mended->record && !mended->distribution) {
        finding.severity = EM_SEVERITY_NOTE;
        finding.message = "was repaired by elfmend, and its distribution has been uninstalled";
        finding.help = em_arena_printf(arena, "elfmend undo --forget %s frees what undo still keeps, of every repair",
                                       env->given);
    } else if (mended->record && mended->record->state != EM_TRAIL_OURS) {
        finding.message = "was repaired by elfmend, and its distribution has been installed again since";
    }
    if (!finding.object || !finding.help || !repair)
        return EM_NO_MEMORY;
    r = add_line(&finding, arena, "repair", repair);
    if (r == EM_OK && mended->record)
        r = add_line(&finding, arena, "was of", mended->name);
    em_vec_each (const struct em_trail_step *, step, &mended->undone)
        if (r == EM_OK)
            r = add_line(&finding, arena, em_trail_state_name((*step)->state), (*step)->path);
    return r == EM_OK ? em_vec_push(arena, findings, finding) : r;
}

int em_undone_judge(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                    const struct em_trail *trail)
{
    struct all_mended all = { 0 };
    struct mended loose = { 0 };
    int r = EM_OK;

    em_vec_each (struct em_trail_step *, step, &trail->steps)
        if (r == EM_OK && is_record((*step)->path))
            r = add_mended(&all, arena, env, *step);
    em_vec_each (struct em_trail_step *, step, &trail->steps)
        if (r == EM_OK && (*step)->state != EM_TRAIL_OURS && !is_record((*step)->path))
            r = sort_in(&all, &loose, arena, env, *step);
    em_vec_each (const struct mended, mended, &all)
        if (r == EM_OK && mended->undone.count > 0)
            r = add_finding(findings, arena, env, mended);
    return r == EM_OK && loose.undone.count > 0 ? add_finding(findings, arena, env, &loose) : r;
}

int em_undone_mark(struct em_finding *finding, struct em_arena *arena, const struct em_env *env, const struct em_trail *trail)
{
    static const char *const since[] = {
        [EM_TRAIL_OURS] = "", [EM_TRAIL_CHANGED] = ", and changed since", [EM_TRAIL_GONE] = ", and removed since"
    };
    const char *root = absolute(env, arena, ".");
    const struct em_trail_step *step;
    const char *text;

    root = root ? em_path_normal(arena, root) : NULL;
    if (!root)
        return EM_NO_MEMORY;
    step = em_trail_find(trail, em_path_after(finding->object, root));
    if (!step)
        return EM_OK;
    finding->repair = step->id;
    finding->repair_state = em_trail_state_name(step->state);
    if (step->state == EM_TRAIL_OURS) {
        finding->severity = EM_SEVERITY_NOTE;
        finding->help = NULL;
    }
    text = em_arena_printf(arena, "elfmend, repair %s%s", step->id, since[step->state]);
    return text ? add_line(finding, arena, "by", text) : EM_NO_MEMORY;
}
