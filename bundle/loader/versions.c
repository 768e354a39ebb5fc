/* versions.c: what glibc checks when all of an open is mapped: symbol versions (elf/dl-version.c), DT_RELR's marker, the processor's
 * level (sysdeps/x86/dl-prop.h). */
#include "bundle/loader/room.h"

#include <string.h>

struct check {
    struct process *process;
    struct em_open *open;
};

static bool at_least(const struct em_world *world, unsigned minor)
{
    return world->libc_major != 2 || world->libc_minor >= minor;
}

static int problem(struct check *check, struct em_version_problem what)
{
    if (!what.weak && !check->process->failed) {
        em_open_fail(check->process, check->open, NULL, what.why);
        check->open->aborts = what.file && !what.provider;
    } else if (!what.weak && !check->process->opening && !check->open->failure) {
        /* The start of a program prints what is wrong and goes on to the next, until an assertion ends it. */
        check->open->aborts |= what.file && !what.provider;
    }
    return em_vec_push(em_process_arena(check->process), &check->open->versions, what);
}

/* Some NEEDED of that name is missing: then a failed provider is no news. */
static bool is_missing(const struct check *check, const char *file)
{
    const struct em_requests *requests = &check->process->base.requests;

    for (size_t i = check->open->first_request; i < requests->count; i++) {
        if (!requests->items[i]->to && !requests->items[i]->optional && strcmp(requests->items[i]->name, file) == 0)
            return true;
    }
    return false;
}

static bool defines(const struct em_object *object, const struct em_version *version)
{
    em_vec_each (struct em_version, defined, &object->verdef) {
        if (defined->hash == version->hash && strcmp(defined->name, version->name) == 0)
            return true;
    }
    return false;
}

static int check_need(struct check *check, const struct loaded *object, const struct em_verneed *need)
{
    struct em_arena *arena = em_process_arena(check->process);
    struct em_loader *loader = check->process->base.loader;
    /* find_needed: by the names that it was asked for, and not by SONAME; in load order. */
    const struct loaded *provider = em_present_by_name(check->process, need->file);
    struct em_version_problem what = { .from = &object->base,
                                       .file = need->file,
                                       .provider = provider ? &provider->base : NULL };
    int r = EM_OK;

    if (!provider) {
        if (is_missing(check, need->file))
            return EM_OK;
        what.version = need->versions.count ? need->versions.items[0].name : NULL;
        what.why = em_arena_printf(
            arena, "needs versions of %s, and nothing is loaded under that name: Assertion `needed != NULL' failed",
            need->file);
        what.why = em_loader_text(loader, what.why);
        return what.why ? problem(check, what) : EM_NO_MEMORY;
    }
    /* Without any definitions it was linked against another build of it; glibc only grumbles, and that only at the start. */
    if (provider->base.file->object.verdef.count == 0)
        return EM_OK;
    for (size_t i = 0; r == EM_OK && i < need->versions.count; i++) {
        const struct em_version *version = &need->versions.items[i];

        if (defines(&provider->base.file->object, version))
            continue;
        what.version = version->name;
        what.weak = version->weak;
        what.why = em_loader_text(loader, em_arena_printf(arena, "version `%s' not found", version->name));
        r = what.why ? problem(check, what) : EM_NO_MEMORY;
    }
    return r;
}

static bool mentions_relr(const struct em_object *object)
{
    em_vec_each (struct em_verneed, need, &object->verneed) {
        em_vec_each (struct em_version, version, &need->versions) {
            if (strcmp(version->name, "GLIBC_ABI_DT_RELR") == 0)
                return true;
        }
    }
    return false;
}

/* glibc 2.36 on: a DT_RELR must come with a version by which older loaders refuse it. */
static int check_relr(struct check *check, const struct loaded *object)
{
    const struct em_object *file = &object->base.file->object;

    if (!file->has_relr || file->verneed.count == 0 || mentions_relr(file) || !at_least(check->process->base.loader->world, 36))
        return EM_OK;
    for (size_t i = 0; i < file->needed.count; i++) {
        if (strncmp(file->needed.items[i], "libc.so.", 8) == 0)
            return problem(check, (struct em_version_problem){ .from = &object->base,
                                                               .version = "GLIBC_ABI_DT_RELR",
                                                               .why = "DT_RELR without GLIBC_ABI_DT_RELR dependency" });
    }
    return EM_OK;
}

/* GNU_PROPERTY_X86_ISA_1_NEEDED: bit 0 baseline, then v2, v3, v4 (x86-64 psABI, "Program Property"). */
static int check_isa(struct check *check, const struct loaded *object)
{
    uint32_t needed = object->base.file->object.x86_isa_needed;
    unsigned level = check->process->base.loader->world->cpu_level;
    uint32_t has = (1u << level) - 1;

    if (check->process->base.loader->world->machine != EM_X86_64 || level == 0 || (needed & ~has) == 0 ||
        !at_least(check->process->base.loader->world, 33))
        return EM_OK;
    return problem(check, (struct em_version_problem){ .from = &object->base, .why = "CPU ISA level is lower than required" });
}

static int check_object(struct check *check, const struct loaded *object)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < object->base.file->object.verneed.count; i++)
        r = check_need(check, object, &object->base.file->object.verneed.items[i]);
    return r < 0 ? r : check_relr(check, object);
}

int em_glibc_check(struct process *process, const struct em_loadeds *list, struct em_open *open)
{
    struct check check = { .process = process, .open = open };
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < list->count; i++) {
        if (!((struct loaded *)list->items[i])->versions_checked)
            r = check_object(&check, (struct loaded *)list->items[i]);
    }
    for (size_t i = 0; r == EM_OK && i < list->count; i++) {
        if (!((struct loaded *)list->items[i])->versions_checked)
            r = check_isa(&check, (struct loaded *)list->items[i]);
    }
    for (size_t i = 0; i < list->count && !process->failed; i++)
        ((struct loaded *)list->items[i])->versions_checked = true;
    return r;
}
