#include "bundle/plan/plan.h"

#include <string.h>

static const char *const step_names[] = {
    [EM_STEP_SET_PATH] = "set-path",
    [EM_STEP_REPLACE_NEEDED] = "replace-needed",
    [EM_STEP_CLEAR_STACK] = "clear-execstack",
    [EM_STEP_COPY] = "copy",
    [EM_STEP_REMOVE] = "remove",
    [EM_STEP_SBOM] = "sbom",
    [EM_STEP_RECORD] = "record",
    [EM_STEP_CONDA] = "conda-meta",
};

const char *em_step_kind_name(enum em_step_kind kind)
{
    return step_names[kind];
}

bool em_step_kind_named(const char *name, enum em_step_kind *kind)
{
    for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++)
        if (strcmp(step_names[i], name) == 0) {
            *kind = (enum em_step_kind)i;
            return true;
        }
    return false;
}

static bool edit_of(const struct em_step *step, struct em_edit *edit)
{
    *edit = (struct em_edit){ 0 };
    switch (step->kind) {
    case EM_STEP_SET_PATH:
    case EM_STEP_COPY:
        *edit = (struct em_edit){ .kind = EM_EDIT_SET_RPATH, .value = step->value, .tag = step->tag };
        return step->value != NULL;
    case EM_STEP_REPLACE_NEEDED:
        *edit = (struct em_edit){ .kind = EM_EDIT_REPLACE_NEEDED, .value = step->needed, .replacement = step->by };
        return true;
    case EM_STEP_CLEAR_STACK: edit->kind = EM_EDIT_CLEAR_EXECSTACK; return true;
    case EM_STEP_REMOVE:
    case EM_STEP_SBOM:
    case EM_STEP_RECORD:
    case EM_STEP_CONDA: break;
    }
    return false;
}

int em_plan_edits(const struct em_plan *plan, const char *path, struct em_arena *arena, struct em_edits *edits)
{
    struct em_edit edit;

    *edits = (struct em_edits){ 0 };
    em_vec_each (const struct em_step, step, &plan->steps)
        if (strcmp(step->path, path) == 0 && edit_of(step, &edit) && em_vec_push(arena, edits, edit) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}
