/* goal_cache.c: what an object remembers of where its libraries were.
 *
 * patchelf --build-resolution-cache (0.19) writes a note for the loader of Nix: for each NEEDED the file that the search path led to. That loader
 * believes the note, so it must not outlive what it was made from: patchelf drops it when the search path or NEEDED changes. Here the note
 * stays where it is, for nothing has to move then, and holds nothing: its type is no longer the cache's, and its descriptor, in which
 * store paths stood, is zero.
 */
#include "patcher/goal.h"

#include "patcher/notes.h"

#include <string.h>

#define NT_NIXOS_LD_CACHE 0x63a86cb6u

static bool is_searched_by(uint64_t tag)
{
    return tag == DT_NEEDED || tag == DT_RPATH || tag == DT_RUNPATH;
}

/* Whether the names and directories, in their order, are others than before. */
static bool search_changes(const struct em_goal *goal)
{
    size_t was = 0;

    em_vec_each (const struct em_goal_dyn, dyn, &goal->dyns) {
        if (!is_searched_by(dyn->tag))
            continue;
        while (was < goal->image->dyn_count && !is_searched_by(goal->image->dyns[was].tag))
            was++;
        if (was == goal->image->dyn_count || dyn->tag != goal->image->dyns[was].tag || dyn->string != EM_NO_STRING ||
            dyn->value != goal->image->dyns[was].value)
            return true;
        was++;
    }
    while (was < goal->image->dyn_count && !is_searched_by(goal->image->dyns[was].tag))
        was++;
    return was < goal->image->dyn_count;
}

static int empty_note(struct em_goal *goal, const struct em_note *note)
{
    static const uint8_t no_type[4];
    uint8_t *nothing = em_arena_alloc(goal->arena, note->desc.size + 1);
    int r = nothing ? em_goal_change(goal, note->offset + 8, no_type, sizeof no_type) : EM_NO_MEMORY;

    if (r == EM_OK && note->desc.size > 0)
        r = em_goal_change(goal, note->desc_offset, nothing, note->desc.size);
    goal->warning =
        "had a cache of found libraries for the loader of Nix (.note.nixos.ldcache): it is for another search and was emptied";
    return r;
}

int em_goal_finish_cache(struct em_goal *goal, struct em_error *error)
{
    uint64_t left = EM_MAX_NOTES;

    if (!search_changes(goal))
        return EM_OK;
    for (uint32_t i = 0; i < goal->image->phnum; i++) {
        const struct em_phdr *phdr = &goal->image->phdrs[i];
        struct em_bytes notes;
        struct em_note note;
        uint64_t at = 0;
        int r;

        if (phdr->type != PT_NOTE)
            continue;
        r = em_notes_read(&notes, goal->image, phdr, &left, error);
        if (r < 0)
            return r;
        /* An object has one: patchelf refuses to make a second. */
        while (em_note_next(&note, goal->image, phdr, notes, &at))
            if (em_note_is(&note, "NixOS", NT_NIXOS_LD_CACHE))
                return empty_note(goal, &note);
    }
    return EM_OK;
}
