#include "bundle/wheel/parts.h"

#include "bundle/plan/licences.h"
#include "bundle/wheel/metadata.h"

#include <string.h>

struct collecting {
    const struct em_rewrite *rewrite;
    struct em_arena *arena;
    struct em_error *error;
    struct em_parts *parts;
    const char *new_data_dir;   /* "x-1.data" */
    struct em_strings licences; /* that .dist-info/licenses gains */
};

/* There is one .dist-info, and no .data but its own (em_wheel_check). */
static const char *renamed(struct collecting *collecting, const char *name)
{
    const struct em_rewrite *rewrite = collecting->rewrite;
    const size_t length = strcspn(name, "/");

    if (length == strlen(rewrite->wheel->dist_info) && memcmp(name, rewrite->wheel->dist_info, length) == 0)
        return em_arena_printf(collecting->arena, "%s%s", rewrite->new_dist_info, name + length);
    if (em_is_data_directory(name, length))
        return em_arena_printf(collecting->arena, "%s%s", collecting->new_data_dir, name + length);
    return name;
}

static bool is_new_file(const struct em_step *step)
{
    return step->kind == EM_STEP_COPY || step->kind == EM_STEP_SBOM;
}

/* The step that changes a member: steps name files where they are installed. */
static const struct em_step *step_for(struct collecting *collecting, const char *name)
{
    const struct em_rewrite *rewrite = collecting->rewrite;
    const char *place = em_site_member_path(collecting->arena, name, rewrite->wheel->python);

    em_vec_each (const struct em_step, step, &rewrite->plan->steps)
        if (place && !is_new_file(step) && step->kind != EM_STEP_RECORD && strcmp(step->path, place) == 0)
            return step;
    return NULL;
}

static int edit_text(struct collecting *collecting, struct em_part *part)
{
    const struct em_rewrite *rewrite = collecting->rewrite;
    const struct em_plan_wheel *change = rewrite->plan->wheel;
    const char *base = em_path_basename(part->name);
    bool wheel = strcmp(base, "WHEEL") == 0;
    bool metadata = strcmp(base, "METADATA") == 0 &&
                    (change->version || change->requires.count + collecting->licences.count > 0);
    struct em_bytes bytes;
    int r;

    if (part->member != em_wheel_part(rewrite->wheel, collecting->arena, base) || (!wheel && !metadata))
        return EM_OK;
    r = em_zip_read(rewrite->wheel->zip, part->member, collecting->arena, EM_MAX_METADATA, &bytes, collecting->error);
    if (r < 0)
        return r;
    if (metadata)
        return em_metadata_edit(&part->text, collecting->arena, bytes, change, &collecting->licences, rewrite->wheel->given,
                                collecting->error);
    r = em_metadata_edit_wheel(&part->text, collecting->arena, bytes, change->build ? change->build : rewrite->wheel->build,
                               change->tags ? change->tags : rewrite->wheel->tags, rewrite->wheel->given, collecting->error);
    if (r < 0 || !part->text.data || change->build || change->tags)
        return r;
    return em_vec_push(rewrite->arena, rewrite->tidied,
                       (const char *)"WHEEL says the tags and the build of the file's name now");
}

static bool is_in_dist_info(const struct collecting *collecting, const char *name)
{
    size_t length = strlen(collecting->rewrite->wheel->dist_info);

    return strncmp(name, collecting->rewrite->wheel->dist_info, length) == 0 && name[length] == '/';
}

static int add_member(struct collecting *collecting, struct em_zip_member *member)
{
    const struct em_rewrite *rewrite = collecting->rewrite;
    struct em_part part = { .member = member, .size = member->size };
    int r;

    if (em_is_signature(member->name))
        return EM_OK;
    part.name = renamed(collecting, member->name);
    if (!part.name)
        return EM_NO_MEMORY;
    part.in_dist_info = is_in_dist_info(collecting, member->name);
    part.is_record = member == em_wheel_part(rewrite->wheel, collecting->arena, "RECORD");
    part.step = step_for(collecting, member->name);
    r = part.in_dist_info ? edit_text(collecting, &part) : EM_OK;
    return r < 0 ? r : em_vec_push(collecting->arena, collecting->parts, part);
}

/* Those inside of .dist-info, or those outside. RECORD waits until it is the last. */
static int add_members(struct collecting *collecting, bool in_dist_info)
{
    const struct em_zip_member *record = em_wheel_part(collecting->rewrite->wheel, collecting->arena, "RECORD");

    em_vec_each (struct em_zip_member, member, em_zip_members(collecting->rewrite->wheel->zip)) {
        int r = EM_OK;

        if (!member->directory && member != record && is_in_dist_info(collecting, member->name) == in_dist_info)
            r = add_member(collecting, member);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* What the plan makes anew, inside of .dist-info, or outside. The bill tells of what stands before it. */
static int add_new(struct collecting *collecting, bool in_dist_info)
{
    em_vec_each (const struct em_step, step, &collecting->rewrite->plan->steps) {
        struct em_part part = { .step = step, .in_dist_info = in_dist_info, .is_sbom = step->kind == EM_STEP_SBOM };

        if (!is_new_file(step) || (part.is_sbom || is_in_dist_info(collecting, step->path)) != in_dist_info)
            continue;
        part.name = renamed(collecting, step->path);
        if (!part.name || em_vec_push(collecting->arena, collecting->parts, part) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* A plan from a file may say anything. */
static int check_new(const struct collecting *collecting)
{
    em_vec_each (const struct em_part, new, collecting->parts) {
        if (new->member || !new->step)
            continue;
        em_vec_each (const struct em_part, part, collecting->parts)
            if (part != new &&strcmp(part->name, new->name) == 0)
                return em_fail(collecting->error, EM_REFUSED, collecting->rewrite->wheel->given,
                               "has a member already where one would be copied to: %s", new->name);
    }
    return EM_OK;
}

/* At once, since ten thousand are megabytes, and growing leaves as much behind. */
static int reserve(struct collecting *collecting)
{
    const struct em_rewrite *rewrite = collecting->rewrite;
    size_t most = em_zip_members(rewrite->wheel->zip)->count + rewrite->plan->steps.count;

    collecting->parts->items = em_arena_array(collecting->arena, most, sizeof *collecting->parts->items);
    collecting->parts->capacity = collecting->parts->items ? most : 0;
    return collecting->parts->items ? EM_OK : EM_NO_MEMORY;
}

static int collect(struct collecting *collecting)
{
    const struct em_rewrite *rewrite = collecting->rewrite;
    int r = reserve(collecting);

    em_vec_each (const struct em_step, step, &rewrite->plan->steps)
        if (r == EM_OK && em_step_licence(step))
            r = em_vec_push(collecting->arena, &collecting->licences, em_step_licence(step));
    for (int in_dist_info = 0; in_dist_info < 2; in_dist_info++) {
        if (r == EM_OK)
            r = add_members(collecting, in_dist_info);
        if (r == EM_OK)
            r = add_new(collecting, in_dist_info);
    }
    if (r == EM_OK)
        r = add_member(collecting, em_wheel_part(rewrite->wheel, collecting->arena, "RECORD"));
    if (r == EM_OK)
        r = check_new(collecting);
    em_vec_each (struct em_part, part, collecting->parts)
        if (r == EM_OK && part->step)
            r = em_plan_edits(rewrite->plan, part->step->path, collecting->arena, &part->edits);
    return r;
}

int em_parts_collect(struct em_parts *parts, struct em_arena *arena, const struct em_rewrite *rewrite, struct em_error *error)
{
    struct collecting collecting = { .rewrite = rewrite, .arena = arena, .error = error, .parts = parts };
    const char *dist_info = rewrite->new_dist_info;

    *parts = (struct em_parts){ 0 };
    collecting.new_data_dir = em_arena_printf(arena, "%.*s.data", (int)strlen(dist_info) - 10, dist_info);
    return collecting.new_data_dir ? collect(&collecting) : EM_NO_MEMORY;
}
