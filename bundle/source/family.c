/* Which candidates are taken for a family of libraries: whole, of one version, the nearest to what asks for it. */
#include "bundle/source/inside.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The less, the better; what is not sound is taken only where nothing better is, to be refused by name. */
enum standing { SOUND, DOUBTFUL, FOREIGN };

/* One candidate for one of the wants. */
struct pick {
    size_t want;
    struct em_candidate *candidate;
    const char *version; /* NULL: of no version that could be told; then its place stands for one */
    enum standing standing;
    const char *doubt; /* why it is not sound; NULL: it is */
};

struct choosing {
    struct em_arena *arena;
    const struct em_sources *sources;
    const struct em_family *family;
    const struct em_world *world;
    const struct em_pins *pins;
    struct em_selection *selection;
    struct em_error *error;
    struct {
        EM_VEC(struct pick);
    } picks;       /* by want; in order of sources, the better answer first */
    size_t *first; /* of each want its first pick; one more at the end */
};

static int pass_over(struct choosing *choosing, const char *name, const struct em_candidate *candidate, const char *why)
{
    const struct em_passed_over passed = { name, candidate->shown, why };

    return why ? em_vec_push(choosing->arena, &choosing->selection->passed_over, passed) : EM_NO_MEMORY;
}

/* ---- one candidate ---- */

/* Of the distribution; else the numbers behind ".so." in its name or its SONAME, if they say more than a major. */
static const char *version_of(const struct em_candidate *candidate)
{
    const char *const names[] = { em_path_basename(candidate->path), candidate->object.soname };

    if (candidate->distribution && candidate->distribution->version)
        return candidate->distribution->version;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *at = names[i] ? strstr(names[i], ".so.") : NULL;

        if (at && isdigit((unsigned char)at[4]) && strchr(at + 4, '.'))
            return at + 4;
    }
    return NULL;
}

static bool defines(const struct em_object *object, const char *version)
{
    em_vec_each (struct em_version, defined, &object->verdef)
        if (strcmp(defined->name, version) == 0)
            return true;
    return false;
}

/* A version that the requester asks of the library and the candidate does not define: the loader would refuse the requester. One without any
 * definitions is taken with a grumble (elf/dl-version.c). */
static const char *missing_version(const struct em_want *want, const struct em_object *object)
{
    if (!want->requester || object->verdef.count == 0)
        return NULL;
    em_vec_each (struct em_verneed, need, &want->requester->verneed) {
        if (strcmp(need->file, want->name) != 0)
            continue;
        em_vec_each (struct em_version, version, &need->versions)
            if (!version->weak && !defines(object, version->name))
                return version->name;
    }
    return NULL;
}

/* A GLIBC_ version beyond the target's libc; NULL: none, or it is not known which libc that is. */
static const char *newer_libc(const struct em_object *object, const struct em_world *world)
{
    if (world->libc != EM_LIBC_GLIBC || world->libc_major == 0)
        return NULL;
    em_vec_each (struct em_verneed, need, &object->verneed)
        em_vec_each (struct em_version, version, &need->versions) {
            unsigned major, minor;

            if (sscanf(version->name, "GLIBC_%u.%u", &major, &minor) == 2 &&
                (major > world->libc_major || (major == world->libc_major && minor > world->libc_minor)))
                return version->name;
        }
    return NULL;
}

/* musl's loader answers to libc.so and to names of its own; glibc's libc is libc.so.6. */
static bool is_other_libc(const struct em_object *object, const struct em_world *world)
{
    em_vec_each (const char *, needed, &object->needed) {
        const bool is_glibc = strncmp(*needed, "libc.so.6", 9) == 0;
        const bool is_musl = strcmp(*needed, "libc.so") == 0 || strncmp(*needed, "libc.musl-", 10) == 0;

        if (world->libc == EM_LIBC_MUSL ? is_glibc : is_musl)
            return true;
    }
    return false;
}

static bool is_foreign(const struct em_candidate *candidate, const struct em_world *world)
{
    const struct em_object *object = &candidate->object;

    return !candidate->problem &&
           (object->machine != world->machine || object->is64 != world->is64 || object->big_endian != world->big_endian);
}

/* Why the target's loader could not use it for this want, though it is for its machine; NULL: it could. */
static const char *unfit(struct choosing *choosing, const struct em_want *want, const struct em_candidate *candidate)
{
    const struct em_object *object = &candidate->object;
    const struct em_world *world = choosing->world;
    const char *version;

    if (object->type != ET_DYN)
        return "it is no shared library";
    if (object->soname && strcmp(object->soname, want->name) != 0)
        return em_arena_printf(choosing->arena, "it has the name %s and calls itself %s", want->name, object->soname);
    if (is_other_libc(object, world))
        return world->libc == EM_LIBC_MUSL ? "it is built for glibc, and the target has musl"
                                           : "it is built for musl, and the target has glibc";
    version = newer_libc(object, world);
    if (version)
        return em_arena_printf(choosing->arena, "it needs %s, and the target's glibc is %u.%u", version, world->libc_major,
                               world->libc_minor);
    version = missing_version(want, object);
    if (version)
        return em_arena_printf(choosing->arena, "it does not define %s, which %s needs of it", version,
                               choosing->family->requester);
    return NULL;
}

/* A last resort: what is for another machine, cannot be read, or has nothing that vouches for it. */
static int doubt(struct choosing *choosing, struct pick *pick)
{
    const struct em_candidate *candidate = pick->candidate;
    const struct em_object *object = &candidate->object;
    const struct em_world *world = choosing->world;
    const struct em_pin *pin = NULL;
    struct em_error ambiguous = EM_ERROR_INIT;

    pick->standing = DOUBTFUL;
    if (is_foreign(candidate, world)) {
        pick->standing = FOREIGN;
        pick->doubt = em_arena_printf(choosing->arena, "it is for %s, %d bits, and what asks for it is for %s, %d bits",
                                      em_machine_name(choosing->arena, object->machine), object->is64 ? 64 : 32,
                                      em_machine_name(choosing->arena, world->machine), world->is64 ? 64 : 32);
    } else if (candidate->problem) {
        pick->doubt = em_arena_printf(choosing->arena, "it %s", candidate->problem);
    } else if (choosing->pins && choosing->pins->given) {
        if (em_candidate_pin(candidate, choosing->pins, &pin, &ambiguous) == EM_OK && pin)
            pick->standing = SOUND;
        else
            pick->doubt = em_arena_printf(choosing->arena, "it is not in %s", choosing->pins->path);
    } else if (candidate->has_expected) {
        pick->standing = SOUND;
    } else {
        pick->doubt = "nothing vouches for it";
    }
    return pick->standing != SOUND && !pick->doubt ? EM_NO_MEMORY : EM_OK;
}

static int add_pick(struct choosing *choosing, size_t index, struct em_candidate *candidate)
{
    const struct em_want *want = &choosing->family->wants.items[index];
    struct pick pick = { .want = index, .candidate = candidate, .version = version_of(candidate) };
    const char *why = NULL;
    int r = doubt(choosing, &pick);

    if (r < 0)
        return r;
    if (!candidate->problem && pick.standing != FOREIGN)
        why = unfit(choosing, want, candidate);
    return why ? pass_over(choosing, want->name, candidate, why) : em_vec_push(choosing->arena, &choosing->picks, pick);
}

/* By SONAME, as a loader that looks among what it has loaded, before by file name alone, as one that looks in a directory. */
static int gather(struct choosing *choosing, size_t index)
{
    const char *name = choosing->family->wants.items[index].name;

    em_vec_each (struct em_source *, source, choosing->sources) {
        const struct em_candidates *named;

        if (em_source_named(*source, name, &named) < 0)
            return EM_NO_MEMORY;
        for (int by_soname = 1; by_soname >= 0; by_soname--)
            em_vec_each (struct em_candidate *, candidate, named) {
                const char *soname = (*candidate)->object.soname;
                bool is_soname = soname && strcmp(soname, name) == 0;
                int r = is_soname == (by_soname == 1) ? add_pick(choosing, index, *candidate) : EM_OK;

                if (r < 0)
                    return r;
            }
    }
    return EM_OK;
}

/* ---- the family ---- */

static bool same_version(const struct pick *a, const struct pick *b)
{
    if (!a->version || !b->version)
        return a->version == b->version && strcmp(a->candidate->place, b->candidate->place) == 0;
    return strcmp(a->version, b->version) == 0;
}

/* What nothing vouches for has no version that could be told either: it may lie beside those that a RECORD lists. */
static bool is_unlisted_beside(const struct pick *pick, const struct pick *version)
{
    return !pick->version && pick->doubt && strcmp(pick->candidate->place, version->candidate->place) == 0;
}

/* The pick of a version for a want: the first of the best. NULL: it has none of a standing up to most. */
static const struct pick *pick_of(const struct choosing *choosing, const struct pick *version, size_t want, enum standing most)
{
    const struct pick *best = NULL;

    for (size_t i = choosing->first[want]; i < choosing->first[want + 1]; i++) {
        const struct pick *pick = &choosing->picks.items[i];

        if (pick->standing <= most && (!best || pick->standing < best->standing) &&
            (same_version(pick, version) || is_unlisted_beside(pick, version)))
            best = pick;
    }
    return best;
}

/* The first want that a version cannot answer; NULL: it is whole. */
static const char *gap_of(const struct choosing *choosing, const struct pick *version, enum standing most)
{
    for (size_t i = 0; i < choosing->family->wants.count; i++)
        if (!pick_of(choosing, version, i, most))
            return choosing->family->wants.items[i].name;
    return NULL;
}

/* Why a version cannot be the family's, whatever else there is; NULL: it can. */
static const char *unsuited(struct choosing *choosing, const struct pick *pick)
{
    const struct em_family *family = choosing->family;

    if (family->exactly && (!pick->version || strcmp(pick->version, family->exactly) != 0))
        return em_arena_printf(choosing->arena, "it is of version %s, and the others of its family here are of %s",
                               pick->version ? pick->version : "unknown", family->exactly);
    if (family->near && pick->version && strtoul(family->near, NULL, 10) != strtoul(pick->version, NULL, 10))
        return em_arena_printf(choosing->arena, "it is of version %s, another major than %s", pick->version, family->near);
    return NULL;
}

/* a is nearer to the requester than b. What is not older than it comes first: an older one may lack what the requester calls; among
 * those the lowest, and of older ones the highest. Equally near: false, so that the first source stays. */
static bool is_nearer(const struct em_family *family, const struct pick *a, const struct pick *b)
{
    bool old_a, old_b;

    if (!family->near || !a->version || !b->version)
        return family->near && a->version && !b->version;
    old_a = em_version_compare(a->version, family->near) < 0;
    old_b = em_version_compare(b->version, family->near) < 0;
    if (old_a != old_b)
        return old_b;
    return old_a ? em_version_compare(a->version, b->version) > 0 : em_version_compare(a->version, b->version) < 0;
}

/* The nearest version that is whole. */
static const struct pick *choose(struct choosing *choosing, enum standing most)
{
    const struct pick *best = NULL;

    em_vec_each (struct pick, pick, &choosing->picks)
        if ((!best || (!same_version(best, pick) && is_nearer(choosing->family, pick, best))) && !unsuited(choosing, pick) &&
            !gap_of(choosing, pick, most))
            best = pick;
    return best;
}

/* For another machine, where the version that would be taken has nothing else, or no version is whole. NULL: there is none. */
static const struct pick *foreigner(struct choosing *choosing, const struct pick *taken)
{
    em_vec_each (struct pick, pick, &choosing->picks)
        if (pick->standing == FOREIGN &&
            (taken ? pick_of(choosing, taken, pick->want, FOREIGN) == pick : !unsuited(choosing, pick)))
            return pick;
    return NULL;
}

static const char *why_not(struct choosing *choosing, const struct pick *pick, const struct pick *taken, enum standing most)
{
    const char *why = unsuited(choosing, pick), *gap;

    if (why || pick->doubt)
        return why ? why : pick->doubt;
    if (taken && same_version(pick, taken))
        return em_arena_printf(choosing->arena, "the same is in %s, which comes first", taken->candidate->place);
    gap = gap_of(choosing, pick, most);
    if (gap)
        return em_arena_printf(choosing->arena,
                               "a family is taken whole and of one version, and there is no %s of %s beside it", gap,
                               pick->version ? pick->version : "its place");
    if (taken && is_nearer(choosing->family, taken, pick))
        return em_arena_printf(choosing->arena, "version %s is nearer to %s than %s", taken->version, choosing->family->near,
                               pick->version ? pick->version : "an unknown one");
    return taken ? em_arena_printf(choosing->arena, "%s comes first", taken->candidate->place) : "nothing is taken";
}

static int take(struct choosing *choosing, const struct pick *taken, enum standing most)
{
    struct em_selection *selection = choosing->selection;

    for (size_t i = 0; i < choosing->family->wants.count; i++) {
        const struct pick *pick = taken ? pick_of(choosing, taken, i, most) : NULL;

        if (em_vec_push(choosing->arena, &selection->taken, pick ? pick->candidate : NULL) < 0)
            return EM_NO_MEMORY;
    }
    selection->version = taken ? taken->version : NULL;
    em_vec_each (struct pick, pick, &choosing->picks) {
        int r = EM_OK;

        if (selection->taken.items[pick->want] != pick->candidate)
            r = pass_over(choosing, choosing->family->wants.items[pick->want].name, pick->candidate,
                          why_not(choosing, pick, taken, most));
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_source_select(struct em_selection *selection, struct em_arena *arena, const struct em_sources *sources,
                     const struct em_family *family, const struct em_world *world, const struct em_pins *pins,
                     struct em_error *error)
{
    struct choosing choosing = { .arena = arena,
                                 .sources = sources,
                                 .family = family,
                                 .world = world,
                                 .pins = pins,
                                 .selection = selection,
                                 .error = error };
    const struct pick *taken = NULL, *foreign;
    enum standing most = SOUND;

    *selection = (struct em_selection){ 0 };
    choosing.first = em_arena_array(arena, family->wants.count + 1, sizeof *choosing.first);
    if (!choosing.first)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < family->wants.count; i++) {
        int r = gather(&choosing, i);

        if (r < 0)
            return r;
        choosing.first[i + 1] = choosing.picks.count;
    }
    while (!(taken = choose(&choosing, most)) && most < FOREIGN)
        most++;
    foreign = !taken || most == FOREIGN ? foreigner(&choosing, taken) : NULL;
    if (foreign)
        return em_fail(error, EM_REFUSED, foreign->candidate->shown, "cannot be used: %s", foreign->doubt);
    return take(&choosing, taken, most);
}
