#include "bundle/wheel/provider.h"

#include "bundle/wheel/repack.h"

#include <string.h>

/* What is wrong with it is not said: who copies from it hears of the file that is copied, and of nothing else in the wheel. */
static int open_provider(struct em_provider *provider, struct em_arena *arena, const char *path, unsigned jobs)
{
    struct em_error error = EM_ERROR_INIT;
    int r;

    *provider = (struct em_provider){ .path = path };
    r = em_wheel_open(&provider->wheel, arena, path, &error);
    if (r == EM_OK)
        r = em_wheel_check(provider->wheel, arena, jobs, &provider->record, &error);
    if (r == EM_OK)
        return EM_OK;
    em_wheel_close(provider->wheel);
    provider->wheel = NULL;
    return r == EM_NO_MEMORY ? r : EM_OK;
}

static int find_wheel(struct em_providers *providers, struct em_arena *arena, const char *path, unsigned jobs,
                      const struct em_provider **found)
{
    struct em_provider provider;
    int r;

    em_vec_each (const struct em_provider, known, providers)
        if (strcmp(known->path, path) == 0) {
            *found = known;
            return EM_OK;
        }
    r = open_provider(&provider, arena, path, jobs);
    if (r == EM_OK && em_vec_push(arena, providers, provider) < 0) {
        em_wheel_close(provider.wheel);
        r = EM_NO_MEMORY;
    }
    *found = r == EM_OK ? &providers->items[providers->count - 1] : NULL;
    return r;
}

int em_provider_find(struct em_providers *providers, struct em_arena *arena, const struct em_plan *plan,
                     const struct em_step *step, unsigned jobs, struct em_provided *stream)
{
    *stream = (struct em_provided){ 0 };
    em_vec_each (const struct em_plan_unpacked, unpacked, &plan->wheel->unpacked) {
        const struct em_provider *provider;
        const struct em_record_row *row;
        struct em_zip_member *member;
        int r;

        if (!em_path_is_below(step->from, unpacked->directory))
            continue;
        r = find_wheel(providers, arena, unpacked->wheel, jobs, &provider);
        if (r < 0 || !provider->wheel)
            return r;
        member = em_zip_find(provider->wheel->zip, em_path_after(step->from, unpacked->directory));
        row = member ? em_record_find(&provider->record, member->name) : NULL;
        if (row && row->has_sha256)
            *stream = (struct em_provided){ { provider->wheel->zip, member }, &row->sha256 };
        return EM_OK;
    }
    return EM_OK;
}

void em_providers_close(struct em_providers *providers)
{
    em_vec_each (struct em_provider, provider, providers) {
        if (provider->wheel)
            em_zip_remember(provider->wheel->zip);
        em_wheel_close(provider->wheel);
    }
    providers->count = 0;
}
