#include "bundle/plan/ways.h"

#include "bundle/plan/pathlist.h"

#include <string.h>

int em_planner_give_up(struct em_planner *planner, const struct em_finding *finding, const char *why)
{
    const char *name = em_draft_finding_name(planner->arena, planner->before->env, finding);

    if (!name || !why)
        return EM_NO_MEMORY;
    return em_map_get(&planner->gave_up, name) ? EM_OK : em_map_put(&planner->gave_up, name, why);
}

int em_planner_bar(struct em_planner *planner, const char *path, const char *why)
{
    planner->restart = true;
    return why ? em_map_put(&planner->barred, path, why) : EM_NO_MEMORY;
}

int em_planner_resolve(struct em_planner *planner, struct em_draft_change *change, const struct em_finding *finding)
{
    const char *text = em_arena_printf(planner->arena, "%s %s", finding->id, finding->request);
    const char *key = em_arena_printf(planner->arena, "%s\n%s", change->path, text ? text : "");

    if (!text || !key)
        return EM_NO_MEMORY;
    if (em_map_get(&planner->resolved, key))
        return EM_OK;
    if (em_map_put(&planner->resolved, key, change) < 0)
        return EM_NO_MEMORY;
    return em_vec_push(planner->arena, &change->resolves, text);
}

/* An object's path list as it is on disk. */
struct list {
    const char *text;
    enum em_path_tag tag;
};

static int read_list(struct em_planner *planner, const char *path, const struct list **list)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    em_cleanup_file struct em_file *file = NULL;
    struct list *read = em_map_get(&planner->lists, path);
    struct em_object parsed;
    const char *text;
    int r;

    *list = read;
    if (read)
        return EM_OK;
    *list = read = em_new(planner->arena, struct list);
    if (!scratch || !read)
        return EM_NO_MEMORY;
    r = em_tree_open(planner->before->env->tree, path, &file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(planner->error, path, "cannot be opened");
    }
    r = em_object_read(&parsed, scratch, &file->reader, planner->error);
    if (r < 0)
        return r;
    text = parsed.runpath ? parsed.runpath : parsed.rpath;
    read->tag = parsed.runpath ? EM_TAG_RUNPATH : parsed.rpath ? EM_TAG_RPATH : EM_TAG_KEEP;
    read->text = text ? em_arena_strdup(planner->arena, text) : NULL;
    return text && !read->text ? EM_NO_MEMORY : em_map_put(&planner->lists, path, read);
}

int em_planner_list_of(struct em_planner *planner, const struct em_env_object *object, const char **list, enum em_path_tag *tag)
{
    const struct em_draft_change *change = em_draft_find(&planner->draft, object->path);
    const struct list *read;
    int r;

    if (change) {
        *list = change->value ? change->value : change->old_value;
        *tag = change->tag;
        return EM_OK;
    }
    r = read_list(planner, object->path, &read);
    if (r < 0)
        return r;
    *list = read->text;
    *tag = read->tag;
    return EM_OK;
}

int em_planner_change_of(struct em_planner *planner, const struct em_env_object *object, const char *list, enum em_path_tag tag,
                         struct em_draft_change **change)
{
    *change = em_draft_find(&planner->draft, object->path);
    if (*change)
        return EM_OK;
    *change = em_draft_add(&planner->draft, object->path, object->owner);
    if (!*change)
        return EM_NO_MEMORY;
    (*change)->old_value = list;
    (*change)->tag = tag;
    return EM_OK;
}

int em_planner_lay_out(struct em_planner *planner, struct em_draft_change *change, bool *progress)
{
    struct em_error refusal = EM_ERROR_INIT;
    int r = em_draft_patch(&planner->draft, change, &refusal);

    if (r == EM_REFUSED || r == EM_UNSUPPORTED || r == EM_BAD_ELF)
        return em_planner_bar(planner, change->path, em_arena_strdup(planner->arena, refusal.sentence));
    if (r < 0)
        return em_fail(planner->error, r, refusal.path, "%s", refusal.sentence);
    *progress = true;
    return EM_OK;
}

int em_planner_entry_to(struct em_planner *planner, const struct em_finding *finding, const struct em_env_object *object,
                        const char *directory, const char **entry)
{
    const char *from = em_path_dirname(planner->arena, object->path);

    if (!from || !directory)
        return EM_NO_MEMORY;
    /* A colon would end the entry, a dollar might begin a token: such a directory cannot be named in a path list. What belongs to the
     * base interpreter stays where it is when the environment moves. */
    if (em_env_is_beside(planner->before->env, directory) && !strpbrk(directory, ":$")) {
        *entry = directory;
        return EM_OK;
    }
    *entry = em_pathlist_entry(planner->arena, from, directory);
    if (!*entry)
        return EM_NO_MEMORY;
    if (!strpbrk(*entry + strlen("$ORIGIN"), ":$"))
        return EM_OK;
    *entry = NULL;
    return em_planner_give_up(planner, finding,
                              em_arena_printf(planner->arena, "%s cannot be spelled in a path list", directory));
}

/* Why the object must not be replaced, though it is below the target; NULL: it may be. */
static const char *untouchable(struct em_planner *planner, const struct em_env_object *object)
{
    struct em_node node;
    char *target;

    if (em_tree_stat_link(planner->before->env->tree, object->path, &node) < 0 || node.kind != EM_NODE_LINK)
        return NULL;
    if (em_tree_read_link(planner->before->env->tree, planner->arena, object->path, &target) < 0)
        target = NULL;
    return em_arena_printf(planner->arena,
                           "is a link to %s, and nothing is changed through links: install with copies (uv: --link-mode=copy)",
                           target ? target : "elsewhere");
}

const char *em_planner_immovable(struct em_planner *planner, const struct em_env_object *object)
{
    const char *barred = em_map_get(&planner->barred, object->path);

    if (barred)
        return barred;
    if (!em_path_is_below(object->path, planner->before->env->path))
        return "the object lies outside of the target";
    return em_draft_find(&planner->draft, object->path) ? NULL : untouchable(planner, object);
}

bool em_planner_passes(const struct em_planner *planner, const struct em_finding *finding)
{
    return !planner->wish->wants || planner->wish->wants(planner->wish->wants_context, finding);
}

bool em_planner_is_wanted(const struct em_planner *planner, const struct em_finding *finding)
{
    const struct em_draft_change *change = em_draft_find(&planner->draft, finding->requester->path);

    return (change && change->candidate) || em_planner_passes(planner, finding);
}

bool em_planner_wants_copy(const struct em_planner *planner, const struct em_finding *finding)
{
    return finding->mend == EM_MEND_REACH && planner->wish->strategy != EM_STRATEGY_PATH &&
           planner->wish->strategy != EM_STRATEGY_DEGRAFT &&
           (finding->wants_copy || (planner->wish->strategy == EM_STRATEGY_COPY && planner->wish->sources.count > 0));
}

bool em_planner_is_other_major(const struct em_finding *finding)
{
    return strcmp(finding->id, "EM104") == 0;
}

bool em_planner_is_actionable(const struct em_planner *planner, const struct em_finding *finding)
{
    return finding->requester && finding->mend != EM_MEND_AWAY && finding->severity != EM_SEVERITY_NOTE &&
           (!planner->wish->only || finding->requester->owner == planner->wish->only) && em_planner_is_wanted(planner, finding);
}
