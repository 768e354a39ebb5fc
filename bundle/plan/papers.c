#include "bundle/plan/licences.h"
#include "bundle/plan/sbom.h"
#include "bundle/plan/steps.h"

#include <string.h>

struct papers {
    struct em_steps_writer *writer;
    const struct em_distribution *owner; /* who gets the libraries */
    struct em_strings copied;            /* relative to the plan's root */
    struct {
        EM_VEC(const struct em_candidate *);
    } sources; /* one of each distribution that they come from */
};

static int add_source(struct papers *papers, const struct em_candidate *candidate)
{
    if (!candidate->distribution)
        return EM_OK;
    em_vec_each (const struct em_candidate *, known, &papers->sources)
        if ((*known)->distribution == candidate->distribution)
            return EM_OK;
    return em_vec_push(papers->writer->arena, &papers->sources, candidate);
}

static int gather(struct papers *papers)
{
    em_vec_each (struct em_draft_change *, change, &papers->writer->draft->changes) {
        if (!(*change)->candidate || (*change)->owner != papers->owner)
            continue;
        if (em_vec_push(papers->writer->arena, &papers->copied, em_steps_in_root(papers->writer, (*change)->path)) < 0 ||
            add_source(papers, (*change)->candidate) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static bool is_there(const struct papers *papers, const char *path)
{
    struct em_node node;

    return em_tree_stat_link(papers->writer->draft->env->tree, path, &node) == 0;
}

static int add(struct papers *papers, struct em_step *step, const char *path, struct em_strings *files)
{
    step->path = em_steps_in_root(papers->writer, path);
    return em_vec_push(papers->writer->arena, &papers->writer->plan->steps, *step) < 0 ||
                   em_vec_push(papers->writer->arena, files, step->path) < 0
               ? EM_NO_MEMORY
               : EM_OK;
}

/* One that is there from before is the same: name and version of where it comes from stand in its path. What its RECORD does not vouch
 * for stays behind, and so does what is gone from there. */
static int add_licence(struct papers *papers, const struct em_candidate *candidate, const struct em_licence_file *file,
                       struct em_strings *files)
{
    struct em_steps_writer *writer = papers->writer;
    const struct em_distribution *from = candidate->distribution;
    const char *path = em_arena_printf(writer->arena, "%s/licenses/%s", papers->owner->dist_info, file->place);
    struct em_step step = { .kind = EM_STEP_COPY,
                            .reason = "the licence of what is copied",
                            .from = file->path,
                            .sha256 = file->row->sha256,
                            .voucher = em_arena_printf(writer->arena, "RECORD of %s %s", from->name, from->version),
                            .provenance = em_arena_printf(writer->arena, "%s %s", from->name, from->version),
                            .mode = 0644 };
    struct em_node node;
    int r;

    if (!path || !step.voucher || !step.provenance)
        return EM_NO_MEMORY;
    if (!file->row->has_sha256 || is_there(papers, path) || em_tree_stat(candidate->tree, file->path, &node) < 0)
        return EM_OK;
    r = em_steps_add_input(writer, file->path, true);
    return r < 0 ? r : add(papers, &step, path, files);
}

static int add_licences(struct papers *papers, struct em_strings *files)
{
    em_vec_each (const struct em_candidate *, candidate, &papers->sources) {
        struct em_licence_files licences;
        int r = em_licence_files(&licences, papers->writer->arena, (*candidate)->distribution);

        em_vec_each (const struct em_licence_file, file, &licences)
            if (r == EM_OK)
                r = add_licence(papers, *candidate, file, files);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int add_bill(struct papers *papers, struct em_strings *files)
{
    struct em_arena *arena = papers->writer->arena;
    const struct em_distribution *owner = papers->owner;
    struct em_step step = { .kind = EM_STEP_SBOM,
                            .reason = "it tells where the copies come from",
                            .files = papers->copied,
                            .site = em_steps_in_root(papers->writer, owner->site),
                            .name = owner->normalized,
                            .version = owner->version };
    unsigned number = 1;
    const char *path = em_sbom_path(arena, owner->dist_info, number);

    while (path && is_there(papers, path))
        path = em_sbom_path(arena, owner->dist_info, ++number);
    return path ? add(papers, &step, path, files) : EM_NO_MEMORY;
}

int em_papers_add(struct em_steps_writer *writer, const struct em_distribution *distribution, struct em_strings *files)
{
    struct papers papers = { .writer = writer, .owner = distribution };
    int r = gather(&papers);

    if (r < 0 || papers.copied.count == 0)
        return r;
    r = add_licences(&papers, files);
    return r < 0 ? r : add_bill(&papers, files);
}
