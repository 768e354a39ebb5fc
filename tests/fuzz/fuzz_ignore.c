/* .elfmendignore. Holds: a rule that names a finding's id alone hides it. */
#include "cli/survey.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    const struct em_finding finding = { .id = "EM103", .object = "/x/pkg/libx.so.1", .message = "" };
    struct em_env env = { .path = "/x", .given = "x", .arena = arena };
    struct em_options options = { .arena = arena };
    struct em_filter filter;
    bool named = false;

    fuzz_scratch();
    fuzz_put(".elfmendignore", (struct em_bytes){ data, size });
    if (em_filter_init(&filter, &options, &env, NULL) < 0)
        return 0;
    em_vec_each (const char *, rule, &filter.ignore)
        named = named || strcmp(*rule, "EM103") == 0;
    FUZZ_HOLDS(!named || !em_filter_wants(&filter, &finding));
    (void)em_filter_wants(&filter, &finding);
    return 0;
}
