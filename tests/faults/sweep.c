/* sweep ELFMEND SHIM PART [--fast] [--lacks WHAT] [--fix ENVIRONMENT]: elfmend dies, or a call of it fails, wherever it changes
 * something.
 *
 * Works in the current directory, prints TAP without numbers and a plan, and counts its points for PART. It is apply and undo that are
 * swept, or fix and undo, on a copy of ENVIRONMENT: what fix reads before it has a plan fails nowhere here. Where it is mostly the same
 * calls again, with --fix and with --lacks, a second kill comes at every fifth or third of each run, as it does with --fast, and
 * --lacks has fewer errors. After each fault:
 *
 *   - whatever file there is has its old bytes or its new ones;
 *   - after a failed call the program said so in one line and the tree is as before, or it went well and the tree is new;
 *   - the next run finishes or takes back what the other left, and goes through;
 *   - undo gives back every inode, mode, owner, time and byte of the beginning, and .elfmend is gone.
 *
 * The tree is restored by what is tested and never made anew, unless something goes wrong: thousands of faults on one tree.
 */
#include "tests/faults/stage.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MOST_FAILURES 20

static struct {
    const char *part;
    bool fast;
    unsigned long apply_calls, undo_calls, apply_looks, undo_looks;
    unsigned long kills, second_kills, faults, looks, second_looks;
    unsigned failures;
    char point[200];
} sweep;

/* ---- one point ---- */

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;

    printf("# %s: ", sweep.point);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    if (system("sed 's/^/#   /' name err; echo") != 0 || ++sweep.failures >= MOST_FAILURES)
        die("too much is wrong");
    stage_make_tree();
}

static void at_point(const char *command, const struct fault *fault, unsigned long second)
{
    em_arena_free(stage.point);
    stage.point = em_arena_new();
    if (second)
        snprintf(sweep.point, sizeof sweep.point, "%s killed %s call %lu, then undo at call %lu", command, fault->how,
                 fault->at, second);
    else
        snprintf(sweep.point, sizeof sweep.point, "%s, %s at call %lu", command, fault->how, fault->at);
}

/* The last undo of a point: whatever was left, it must give back the beginning. */
static bool ends_well(void)
{
    int status = stage_undo(NULL);

    if (status != 0 && status != 2) {
        wrong("undo ended with %d", status);
        return false;
    }
    if (!stage_same(stage_tree(stage.point, true), stage.old_state)) {
        wrong("undo did not give back the beginning:\n%s", stage_tree(stage.point, true));
        return false;
    }
    if (access("t/.elfmend", F_OK) == 0) {
        wrong("undo left .elfmend behind");
        return false;
    }
    return true;
}

static bool dies(const char *command, int status)
{
    if (status == -SIGKILL)
        return true;
    wrong("%s was to be killed, and ended with %d", command, status);
    return false;
}

static bool check_whole(void)
{
    if (stage_is_whole(stage_tree(stage.point, false)))
        return true;
    wrong("a file is neither old nor new:\n%s", stage_tree(stage.point, false));
    return false;
}

static bool check_new(void)
{
    if (strcmp(stage_tree(stage.point, false), stage.new_contents) == 0)
        return true;
    wrong("the tree is not the new one:\n%s", stage_tree(stage.point, false));
    return false;
}

/* Apply dies; once undo comes next, once apply does, which refuses if the first had committed. */
static void kill_apply(unsigned long at, const char *how)
{
    const struct fault fault = { .at = at, .how = how };
    int status;

    at_point("apply", &fault, 0);
    sweep.kills++;
    if (!dies("apply", stage_apply(&fault)) || !check_whole() || !ends_well())
        return;
    if (!dies("apply", stage_apply(&fault)))
        return;
    status = stage_apply(NULL);
    if (status != 0 && status != 2) {
        wrong("the next apply ended with %d", status);
        return;
    }
    if (check_new())
        ends_well();
}

static void kill_undo(unsigned long at, const char *how)
{
    const struct fault fault = { .at = at, .how = how };

    at_point("undo", &fault, 0);
    sweep.kills++;
    if (stage_apply(NULL) != 0) {
        wrong("apply did not go through");
        return;
    }
    if (dies("undo", stage_undo(&fault)) && check_whole())
        ends_well();
}

/* Both die, and a third comes. false: undo ended before the second point. */
static bool kill_twice(bool in_undo, unsigned long at, unsigned long second)
{
    const struct fault fault = { .at = at, .how = "after" }, again = { .at = second, .how = "after" };
    int status;

    at_point(in_undo ? "undo" : "apply", &fault, second);
    if (in_undo && stage_apply(NULL) != 0) {
        wrong("apply did not go through");
        return false;
    }
    if (!dies("the first", in_undo ? stage_undo(&fault) : stage_apply(&fault)))
        return false;
    status = stage_undo(&again);
    if (status != -SIGKILL) {
        if (!stage_same(stage_tree(stage.point, true), stage.old_state))
            wrong("undo did not give back the beginning:\n%s", stage_tree(stage.point, true));
        return false;
    }
    sweep.second_kills++;
    return check_whole() && ends_well();
}

/* The call that went wrong, as the shim has noted it. */
static bool was_a_read(void)
{
    char name[32] = "";
    FILE *file = fopen("name", "r");

    if (file && !fgets(name, sizeof name, file))
        name[0] = '\0';
    if (file)
        fclose(file);
    return strcmp(name, "read") == 0 || strcmp(name, "pread") == 0;
}

/* A call that moved a part of what was asked for: it is asked again for the rest, and all goes through. So it is after a read that was
 * interrupted; of the calls that change something the kernel interrupts few, and there it may end in an error. */
static bool is_harmless(const char *how, const char *kind)
{
    return strcmp(how, "short") == 0 || (kind && strcmp(how, "EINTR") == 0 && was_a_read());
}

static void fail_apply(unsigned long at, const char *how, const char *kind)
{
    const struct fault fault = { .at = at, .how = how, .kind = kind };
    int status;

    at_point("apply", &fault, 0);
    *(kind ? &sweep.looks : &sweep.faults) += 1;
    status = stage_apply(&fault);
    if (status == 0) {
        if (check_new())
            ends_well();
        return;
    }
    if (is_harmless(how, kind)) {
        wrong("apply ended with %d, and nothing had failed", status);
        return;
    }
    if (status != 2 || stage_complaints() != 1)
        wrong("apply ended with %d and %d lines", status, stage_complaints());
    else if (!stage_same(stage_tree(stage.point, true), stage.old_state))
        wrong("apply failed and something has changed:\n%s", stage_tree(stage.point, true));
    else if (stage_apply(NULL) != 0)
        wrong("the next apply did not go through");
    else if (check_new())
        ends_well();
}

static void fail_undo(unsigned long at, const char *how, const char *kind)
{
    const struct fault fault = { .at = at, .how = how, .kind = kind };
    char *applied, *now;
    int status;

    at_point("undo", &fault, 0);
    *(kind ? &sweep.looks : &sweep.faults) += 1;
    if (stage_apply(NULL) != 0) {
        wrong("apply did not go through");
        return;
    }
    applied = stage_tree(stage.point, true);
    status = stage_undo(&fault);
    now = stage_tree(stage.point, true);
    if (status != 0 && is_harmless(how, kind))
        wrong("undo ended with %d, and nothing had failed", status);
    else if (status == 0 && !stage_same(now, stage.old_state))
        wrong("undo did not give back the beginning:\n%s", now);
    else if (status != 0 && (status != 2 || stage_complaints() != 1))
        wrong("undo ended with %d and %d lines", status, stage_complaints());
    else if (status == 2 && !stage_same(now, applied) && !stage_same(now, stage.old_state))
        wrong("undo failed half way:\n%s", now);
    else
        ends_well();
}

/* Apply was killed, and in the run that comes to recover, a look at something fails: nothing may be taken for absent by that.
 * false: there was no such look. */
static bool fail_recovery(unsigned long at, unsigned long look, const char *how)
{
    const struct fault fault = { .at = at, .how = "after" }, blind = { .at = look, .how = how, .kind = "look" };
    int status;

    at_point("apply", &fault, look);
    if (!dies("the first", stage_apply(&fault)))
        return false;
    unlink("name");
    status = stage_undo(&blind);
    if (status != 0 && (status != 2 || stage_complaints() != 1))
        wrong("undo ended with %d and %d lines", status, stage_complaints());
    if (access("name", F_OK) < 0) {
        ends_well();
        return false;
    }
    sweep.second_looks++;
    return check_whole() && ends_well();
}

/* ---- all points ---- */

static void report(const char *what, unsigned failures_before)
{
    printf("%sok - %s: %s\n", sweep.failures == failures_before ? "" : "not ", sweep.part, what);
    fflush(stdout);
}

static void sweep_kills(void)
{
    const unsigned before = sweep.failures;
    const unsigned long step = (sweep.fast ? 5 : 1) * (stage.environment ? 5 : stage.lacks ? 3 : 1);

    for (unsigned long at = 1; at <= sweep.apply_calls; at++) {
        kill_apply(at, "after");
        if (!sweep.fast)
            kill_apply(at, "before");
    }
    for (unsigned long at = 1; at <= sweep.undo_calls; at++) {
        kill_undo(at, "after");
        if (!sweep.fast)
            kill_undo(at, "before");
    }
    report("killed anywhere", before);
    for (unsigned long at = 1; at <= sweep.apply_calls; at += step)
        for (unsigned long second = 1; kill_twice(false, at, second); second += step)
            ;
    for (unsigned long at = 1; at <= sweep.undo_calls; at += step)
        for (unsigned long second = 1; kill_twice(true, at, second); second += step)
            ;
    report("killed anywhere, and again anywhere in the next run", before);
}

static void sweep_faults(void)
{
    static const char *const all[] = {
        "EIO", "short", "EINTR", "EPERM", "ENOSPC", "EACCES", "EROFS", "EMFILE", "EDQUOT", NULL
    };
    const unsigned before = sweep.failures;

    const size_t kinds = sweep.fast ? 2 : stage.lacks ? 4 : sizeof all / sizeof *all - 1;

    for (size_t i = 0; i < kinds; i++) {
        for (unsigned long at = 1; at <= sweep.apply_calls; at++)
            fail_apply(at, all[i], NULL);
        for (unsigned long at = 1; at <= sweep.undo_calls; at++)
            fail_undo(at, all[i], NULL);
    }
    report("a call that changes something fails anywhere", before);
}

static void sweep_looks(void)
{
    static const char *const all[] = { "EIO", "EINTR", "short", NULL };
    const unsigned before = sweep.failures;

    for (size_t i = 0; all[i] && (!sweep.fast || i < 1); i++) {
        for (unsigned long at = 1; at <= sweep.apply_looks; at++)
            fail_apply(at, all[i], "look");
        for (unsigned long at = 1; at <= sweep.undo_looks; at++)
            fail_undo(at, all[i], "look");
    }
    report("a look at something fails anywhere", before);
    for (unsigned long at = 1; at <= sweep.apply_calls; at += sweep.fast ? 25 : stage.lacks ? 3 : 1)
        for (unsigned long look = 1; fail_recovery(at, look, "EIO"); look++)
            ;
    report("killed anywhere, and a look at something fails in the next run", before);
}

static void tally(void)
{
    stage_tally(sweep.part, "killed", sweep.kills);
    stage_tally(sweep.part, "killed again in recovery", sweep.second_kills);
    stage_tally(sweep.part, "a change fails", sweep.faults);
    stage_tally(sweep.part, "a look fails", sweep.looks + sweep.second_looks);
    stage_tally(sweep.part, "losses", sweep.failures);
    printf(
        "# %s: %lu calls that change something and %lu that look, undo %lu and %lu; the time of the root directory was lost at "
        "%lu points\n",
        sweep.part, sweep.apply_calls, sweep.apply_looks, sweep.undo_calls, sweep.undo_looks, stage.root_times);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die("usage: sweep ELFMEND SHIM PART [--fast] [--lacks WHAT] [--fix ENVIRONMENT]");
    stage.elfmend = argv[1];
    stage.shim = argv[2];
    sweep.part = argv[3];
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "--fast") == 0)
            sweep.fast = true;
        else if (strcmp(argv[i], "--lacks") == 0 && i + 1 < argc)
            stage.lacks = argv[++i];
        else if (strcmp(argv[i], "--fix") == 0 && i + 1 < argc)
            stage.environment = argv[++i];
        else
            die("unknown option");
    }
    stage.kept = em_arena_new();
    stage.point = em_arena_new();
    if (!stage.kept || !stage.point)
        die("no memory");
    stage_make();
    sweep.apply_calls = stage_count(stage_apply, NULL);
    stage.new_contents = stage_tree(stage.kept, false);
    sweep.undo_calls = stage_count(stage_undo, NULL);
    sweep.apply_looks = stage_count(stage_apply, "look");
    sweep.undo_looks = stage_count(stage_undo, "look");
    if (strcmp(stage_tree(stage.point, true), stage.old_state) != 0)
        die("undo is not exact even without a fault");
    sweep_kills();
    sweep_faults();
    if (!stage.environment)
        sweep_looks();
    tally();
    em_arena_free(stage.point);
    em_arena_free(stage.kept);
    return sweep.failures ? 1 : 0;
}
