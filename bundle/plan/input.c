#include "bundle/plan/input.h"

#include "bundle/plan/beneath.h"

#include <limits.h>
#include <string.h>

bool em_outcome_tell(const struct em_outcome *outcome, struct em_error *error)
{
    if (outcome->r == EM_OK)
        return false;
    if (error)
        *error = outcome->error;
    return true;
}

/* A link itself; -1: it is none. */
static int open_link(int dir, const char *name)
{
    em_cleanup_fd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode) ? em_steal_fd(&fd) : -1;
}

/* Sources may be reached through links, it is the user who names them; nothing in the target may: there a link is itself the input. */
static int open_input(int dir, const char *path, bool is_source, struct em_error *error)
{
    em_cleanup_fd int parent = -1;
    const char *name = path;
    int link;

    if (is_source)
        return em_open_at(dir, path, O_RDONLY, 0, error);
    if (dir != AT_FDCWD) {
        parent = em_beneath_parent(dir, path, &name, error);
        if (parent < 0)
            return parent;
    }
    link = open_link(dir == AT_FDCWD ? dir : parent, name);
    return link >= 0 ? link : em_open_at(dir == AT_FDCWD ? dir : parent, name, O_RDONLY | O_NOFOLLOW, 0, error);
}

static int examine(int fd, const char *label, struct em_input *input, struct em_error *error)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, label, "cannot be examined");
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return em_fail(error, EM_REFUSED, label, "is not a regular file");
    input->size = (uint64_t)st.st_size;
    input->stamp = em_stamp_of(&st);
    input->has_stamp = true;
    return EM_OK;
}

static int hash(int fd, const char *label, struct em_input *input, struct em_error *error)
{
    char target[PATH_MAX];
    const ssize_t length = readlinkat(fd, "", target, sizeof target); /* of a regular file it has no answer */
    const struct em_bytes held = { (const uint8_t *)target, length < 0 ? 0 : (size_t)length };
    struct em_reader reader = length < 0 ? em_reader_fd(fd, input->size, label) : em_reader_memory(&held, label);
    int r = em_hash_reader(&reader, &input->sha256, &input->xxh3, error);

    input->has_digests = r == EM_OK;
    return r;
}

static int examine_path(struct em_input *input, const char *path, bool is_source, bool digests, struct em_error *error)
{
    em_cleanup_fd int fd = open_input(AT_FDCWD, path, is_source, error);
    int r;

    *input = (struct em_input){ .path = path, .is_source = is_source };
    if (fd < 0)
        return fd;
    r = examine(fd, path, input, error);
    /* Of a source it is the copy that is held against what vouches for it, whatever its stamp. */
    if (r == EM_OK && (digests || (!is_source && em_stamp_is_fresh(&input->stamp)))) {
        input->has_stamp = false;
        r = hash(fd, path, input, error);
    }
    return r;
}

int em_input_note(struct em_input *input, const char *path, bool is_source, struct em_error *error)
{
    return examine_path(input, path, is_source, false, error);
}

int em_input_of(struct em_input *input, const char *path, bool is_source, struct em_error *error)
{
    return examine_path(input, path, is_source, true, error);
}

int em_input_check_fd(const struct em_input *input, int fd, struct em_error *error)
{
    struct em_input now = { 0 };
    int r = examine(fd, input->path, &now, error);

    if (r < 0)
        return r;
    if (input->has_stamp && em_stamp_equal(&input->stamp, &now.stamp))
        return EM_OK;
    if (input->has_digests && input->size == now.size) {
        r = hash(fd, input->path, &now, error);
        if (r < 0 || (em_xxh3_equal(&input->xxh3, &now.xxh3) && em_sha256_equal(&input->sha256, &now.sha256)))
            return r;
    }
    return em_fail(error, EM_CHANGED, input->path, "has changed since the plan was made; make a new plan");
}

int em_input_check(const struct em_input *input, int root, struct em_error *error)
{
    em_cleanup_fd int fd = open_input(root, input->path, input->is_source, error);

    if (fd == EM_NOT_FOUND)
        return em_fail(error, EM_CHANGED, input->path, "is gone since the plan was made; make a new plan");
    return fd < 0 ? fd : em_input_check_fd(input, fd, error);
}

/* ---- digests for all ---- */

struct seal {
    struct em_plan *plan;
    struct em_outcome *outcomes;
};

static int seal_one(void *context, size_t index)
{
    struct seal *seal = context;
    struct em_input *input = &seal->plan->inputs.items[index];
    struct em_outcome *outcome = &seal->outcomes[index];
    em_cleanup_fd int root = -1, fd = -1;

    if (input->has_digests)
        return EM_OK;
    if (!input->is_source)
        root = em_open_at(AT_FDCWD, seal->plan->root, O_RDONLY | O_DIRECTORY, 0, &outcome->error);
    fd = input->is_source || root >= 0 ? open_input(root, input->path, input->is_source, &outcome->error) : root;
    outcome->r = fd < 0 ? fd : em_input_check_fd(input, fd, &outcome->error);
    if (outcome->r == EM_OK)
        outcome->r = hash(fd, input->path, input, &outcome->error);
    return outcome->r;
}

int em_plan_check_sources(const struct em_plan *plan, struct em_error *error)
{
    int r = EM_OK;

    em_vec_each (const struct em_input, input, &plan->inputs)
        if (r == EM_OK && input->is_source)
            r = em_input_check(input, AT_FDCWD, error);
    return r;
}

int em_step_check(const struct em_step *step, const struct em_sha256 *found, struct em_error *error)
{
    char is[EM_SHA256_HEX_SIZE], wanted[EM_SHA256_HEX_SIZE];

    if (em_sha256_equal(&step->sha256, found))
        return EM_OK;
    em_sha256_hex(found, is);
    em_sha256_hex(&step->sha256, wanted);
    return em_fail(error, EM_REFUSED, step->shown ? step->shown : step->from,
                   "does not have the sha256 that %s says it has, but %s instead of %s; it is not copied",
                   step->voucher ? step->voucher : "the plan", is, wanted);
}

static int check_copies(const struct em_plan *plan, struct em_error *error)
{
    em_vec_each (const struct em_step, step, &plan->steps) {
        em_vec_each (const struct em_input, input, &plan->inputs) {
            int r = EM_OK;

            if (step->kind == EM_STEP_COPY && input->is_source && strcmp(step->from, input->path) == 0)
                r = em_step_check(step, &input->sha256, error);
            if (r < 0)
                return r;
        }
    }
    return EM_OK;
}

int em_plan_seal(struct em_plan *plan, struct em_arena *arena, unsigned jobs, struct em_error *error)
{
    struct seal seal = { .plan = plan, .outcomes = em_arena_array(arena, plan->inputs.count + 1, sizeof *seal.outcomes) };
    int r;

    if (!seal.outcomes)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < plan->inputs.count; i++)
        seal.outcomes[i] = (struct em_outcome){ .error = EM_ERROR_INIT };
    r = em_pool_each(jobs, plan->inputs.count, seal_one, &seal);
    for (size_t i = 0; r < 0 && i < plan->inputs.count && !em_outcome_tell(&seal.outcomes[i], error); i++)
        ;
    return r < 0 ? r : check_copies(plan, error);
}
