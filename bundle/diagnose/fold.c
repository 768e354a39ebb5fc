#include "bundle/diagnose/fold.h"

#include <string.h>

/* More than these are only counted. */
#define SHOWN_NAMES 12u

/* A library, and who of one distribution lacks it. */
struct lack {
    const char *name, *object;
    size_t objects;
};

struct lacks {
    EM_VEC(struct lack);
};

static int gather(struct lacks *lacks, struct em_arena *arena, const struct em_findings *notes, const struct em_finding *first)
{
    em_vec_each (const struct em_finding, note, notes) {
        struct lack *found = NULL;

        if (note->owner != first->owner || note->severity != first->severity)
            continue;
        em_vec_each (struct lack, lack, lacks)
            if (strcmp(lack->name, note->request) == 0)
                found = lack;
        if (found)
            found->objects++;
        else if (em_vec_push(arena, lacks, ((struct lack){ note->request, em_path_basename(note->object), 1 })) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int add_line(struct em_arena *arena, struct em_finding *finding, const char *head, const char *text)
{
    char *line = text ? em_arena_printf(arena, "%-10s %s", head, text) : NULL;

    return line ? em_vec_push(arena, &finding->evidence, line) : EM_NO_MEMORY;
}

static int fold(struct em_findings *findings, struct em_arena *arena, const struct em_finding *first, const struct lacks *lacks)
{
    struct em_finding finding = { .id = first->id,
                                  .severity = first->severity,
                                  .object = first->object,
                                  .owner = first->owner,
                                  .request = first->request,
                                  .help = first->help };
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < lacks->count && i < SHOWN_NAMES; i++) {
        const struct lack *lack = &lacks->items[i];

        r = add_line(arena, &finding, i == 0 ? "missing" : "",
                     lack->objects == 1
                         ? em_arena_printf(arena, "%s, for %s", lack->name, lack->object)
                         : em_arena_printf(arena, "%s, for %s and %zu more", lack->name, lack->object, lack->objects - 1));
    }
    if (r == EM_OK && lacks->count > SHOWN_NAMES)
        r = add_line(arena, &finding, "", em_arena_printf(arena, "and %zu more", lacks->count - SHOWN_NAMES));
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
    for (size_t i = 0; i < notes->count; i++) {
        const struct em_finding *note = &notes->items[i];
        struct lacks lacks = { 0 };
        size_t of_owner = 0;
        bool told = false;
        int r;

        for (size_t j = 0; j < notes->count; j++) {
            bool same = notes->items[j].owner == note->owner && notes->items[j].severity == note->severity;

            told = told || (same && j < i);
            of_owner += same;
        }
        if (told && note->owner)
            continue;
        if (of_owner == 1 || !note->owner) {
            r = em_vec_push(advisor->arena, findings, *note);
        } else {
            r = gather(&lacks, advisor->arena, notes, note);
            if (r == EM_OK)
                r = fold(findings, advisor->arena, note, &lacks);
        }
        if (r < 0)
            return r;
    }
    return EM_OK;
}
