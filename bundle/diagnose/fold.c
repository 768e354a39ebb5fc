#include "bundle/diagnose/fold.h"

#include <string.h>

/* More than these are only counted. */
#define SHOWN_NAMES 12u

/* A library, and who of one distribution lacks it. */
struct lack {
    const char *name, *object, *help;
    size_t objects;
};

/* What all of one distribution lack, of one severity. */
struct group {
    const struct em_finding *first;
    size_t notes;
    struct em_map known; /* name to its place among the lacks, and one */
    EM_VEC(struct lack);
};

/* By .dist-info, which no two distributions share. */
struct groups {
    struct em_map of[EM_SEVERITY_ERROR + 1];
};

static struct group *group_of(const struct groups *groups, const struct em_finding *note)
{
    return note->owner ? em_map_get(&groups->of[note->severity], note->owner->dist_info) : NULL;
}

static int gather(struct groups *groups, struct em_arena *arena, const struct em_finding *note)
{
    struct group *group = group_of(groups, note);
    uintptr_t known;

    if (!group) {
        group = em_new(arena, struct group);
        if (!group || em_map_put(&groups->of[note->severity], note->owner->dist_info, group) < 0)
            return EM_NO_MEMORY;
        group->first = note;
        group->known.arena = arena;
    }
    group->notes++;
    known = (uintptr_t)em_map_get(&group->known, note->request);
    if (known > 0) {
        group->items[known - 1].objects++;
        return EM_OK;
    }
    if (em_vec_push(arena, group, ((struct lack){ note->request, em_path_basename(note->object), note->help, 1 })) < 0)
        return EM_NO_MEMORY;
    return em_map_put(&group->known, note->request, (void *)(uintptr_t)group->count);
}

static int fold(struct em_findings *findings, struct em_arena *arena, const struct group *lacks)
{
    const struct em_finding *first = lacks->first;
    struct em_finding finding = {
        .id = first->id, .severity = first->severity, .object = first->object, .owner = first->owner, .request = first->request
    };
    int r = EM_OK;

    for (size_t i = 0; i < lacks->count && !finding.help; i++)
        finding.help = lacks->items[i].help;
    for (size_t i = 0; r == EM_OK && i < lacks->count && i < SHOWN_NAMES; i++) {
        const struct lack *lack = &lacks->items[i];

        r = em_evidence_add(&finding.evidence, arena, i == 0 ? "missing" : "",
                            lack->objects == 1 ? em_arena_printf(arena, "%s, for %s", lack->name, lack->object)
                                               : em_arena_printf(arena, "%s, for %s and %zu more", lack->name, lack->object,
                                                                 lack->objects - 1));
    }
    if (r == EM_OK && lacks->count > SHOWN_NAMES)
        r = em_evidence_add_more(&finding.evidence, arena, "", lacks->count - SHOWN_NAMES);
    if (lacks->count == 1)
        finding.message = em_arena_printf(
            arena, "needs %s, which is nowhere in this environment; so do others of its distribution", first->request);
    else
        finding.message = em_arena_printf(
            arena, "needs %s, which is nowhere in this environment; others of its distribution lack %zu more", first->request,
            lacks->count - 1);
    if (!finding.message)
        return EM_NO_MEMORY;
    return r < 0 ? r : em_vec_push(arena, findings, finding);
}

int em_fold_notes(struct em_findings *findings, const struct em_advisor *advisor, const struct em_findings *notes)
{
    struct groups groups = { 0 };
    int r = EM_OK;

    for (size_t i = 0; i <= EM_SEVERITY_ERROR; i++)
        groups.of[i].arena = advisor->arena;
    em_vec_each (const struct em_finding, note, notes)
        if (r == EM_OK && note->owner)
            r = gather(&groups, advisor->arena, note);
    em_vec_each (const struct em_finding, note, notes) {
        const struct group *group = r == EM_OK ? group_of(&groups, note) : NULL;

        if (r < 0)
            return r;
        if (!group || group->notes == 1)
            r = em_vec_push(advisor->arena, findings, *note);
        else if (group->first == note)
            r = fold(findings, advisor->arena, group);
    }
    return r;
}
