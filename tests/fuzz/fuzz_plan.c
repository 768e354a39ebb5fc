/* A plan file. Holds: no path in it leads out of its root, and what is written again is read as the same. */
#include "bundle/plan/plan.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text once = { 0 };
    em_cleanup_text struct em_text twice = { 0 };
    struct em_plan plan;

    if (em_plan_from_json(&plan, arena, (struct em_bytes){ data, size }, "plan.json", NULL) < 0)
        return 0;
    em_vec_each (struct em_step, step, &plan.steps) {
        FUZZ_HOLDS(em_path_is_contained(step->path));
        FUZZ_HOLDS(step->kind != EM_STEP_COPY || step->from[0] == '/');
    }
    em_vec_each (struct em_input, input, &plan.inputs)
        FUZZ_HOLDS(input->is_source ? input->path[0] == '/' : em_path_is_contained(input->path));
    FUZZ_HOLDS(!plan.wheel || (plan.wheel->path[0] == '/' && (!plan.wheel->version || !strpbrk(plan.wheel->version, "/-\n"))));
    FUZZ_HOLDS(em_plan_to_json(&plan, &once) == EM_OK);
    FUZZ_HOLDS(em_plan_from_json(&plan, arena, (struct em_bytes){ (const uint8_t *)once.data, once.size }, "again", NULL) ==
               EM_OK);
    FUZZ_HOLDS(em_plan_to_json(&plan, &twice) == EM_OK && strcmp(once.data, twice.data) == 0);
    return 0;
}
