#include "bundle/plan/planner.h"
#include "bundle/plan/transaction.h"
#include "cli/steps.h"
#include "cli/survey.h"

#include <string.h>

const struct em_command em_fix_command = {
    .name = "fix",
    .arguments = "[TARGET]",
    .summary = "Audit, plan, apply, and audit again as proof; `elfmend undo` takes it back",
    .example = "elfmend fix .venv --dry-run",
    .details = "Asks before it writes when it runs on a terminal; --yes does not. With --dry-run nothing is written: the plan "
               "that is\n"
               "printed is the one that a run executes. Exit status 0: nothing is wrong any more.\n"
               "--source pip:NAME runs the environment's own pip, or uv; nothing else of it is ever run.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_FILTER | EM_TAKES_JOBS | EM_TAKES_KNOWLEDGE | EM_TAKES_SOURCE | EM_TAKES_STRATEGY |
               EM_TAKES_YES | EM_TAKES_DRY_RUN | EM_TAKES_NO_UNDO,
    .run = em_cmd_fix,
};

/* One run: what was found, what is planned. */
struct fix {
    struct em_options options;
    struct em_survey survey;
    struct em_tree *here; /* sources are places on this machine, whatever --root says */
    struct em_pins pins;
    struct em_plan_wish wish;
    struct em_plan plan;
    struct em_text plan_json; /* made before anything is written: a name that JSON cannot hold must not come up afterwards */
    struct em_receipt receipt;
    struct em_error error;
};

static int make_plan(struct fix *fix)
{
    struct em_options *options = &fix->options;
    int r = em_tree_disk(&fix->here, NULL, &fix->error);

    if (r == EM_OK)
        r = em_open_sources(options, fix->here, &fix->survey.env, &fix->pins, &fix->wish, &fix->error);
    if (r < 0)
        return r;
    fix->wish.strategy = em_strategy_named(options->strategy);
    fix->wish.tag = options->runpath ? EM_TAG_RUNPATH : EM_TAG_KEEP;
    fix->wish.allow_unverified = options->allow_unverified;
    fix->wish.prefix = options->root;
    fix->wish.wants = em_filter_wants;
    fix->wish.wants_context = &fix->survey.filter;
    return em_plan_make(&fix->plan, options->arena, &fix->survey.diagnosis, &fix->wish, &fix->error);
}

/* A run that was cut off left its journal: it is taken back before anything is looked at. */
static int recover(struct fix *fix, const char *target)
{
    const char *place = fix->options.root ? em_path_join(fix->options.arena, fix->options.root, target + strspn(target, "/"))
                                          : target;
    em_cleanup_free char *real = place ? realpath(place, NULL) : NULL;
    struct stat st;
    bool recovered = false;
    int r;

    /* What is not there, or no directory, is for the survey to complain about. */
    if (!real || stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
        return EM_OK;
    if (fix->options.dry_run)
        return EM_OK;
    r = em_transaction_recover(fix->options.arena, real, &recovered, &fix->error);
    if (r == EM_OK && recovered && !fix->options.quiet)
        em_warn("%s: an earlier run was cut off; what it had begun is taken back", target);
    return r;
}

static void print_plan(const struct em_plan *plan)
{
    if (plan->steps.count == 0)
        puts("nothing to do");
    else
        printf("plan for %s:\n", em_plain(plan->target));
    em_vec_each (struct em_step, step, &plan->steps)
        em_print_step(step, false);
    em_vec_each (struct em_refusal, refusal, &plan->refused)
        printf("  refused   %s\n            %s\n", em_plain(refusal->finding), em_plain(refusal->why));
    em_vec_each (struct em_not_taken, not_taken, &plan->not_taken)
        printf("  not taken %s\n            %s\n", em_plain(not_taken->candidate), em_plain(not_taken->why));
}

/* What is shown as a plan rests on what was read; what is only executed is read then. */
static int spell_plan(struct fix *fix)
{
    const bool in_json = fix->options.json || fix->options.plan;
    int r = in_json || fix->options.dry_run ? em_plan_seal(&fix->plan, fix->options.arena, fix->options.jobs, &fix->error)
                                            : EM_OK;

    return r == EM_OK && in_json ? em_spell_plan(&fix->plan, &fix->plan_json, &fix->error) : r;
}

static int show_plan(struct fix *fix)
{
    int r = spell_plan(fix);

    if (r == EM_OK && fix->options.plan)
        r = em_write_plan(fix->options.plan, &fix->plan_json, &fix->error);
    if (r < 0)
        return r;
    if (fix->options.dry_run && fix->options.json)
        fwrite(fix->plan_json.data, 1, fix->plan_json.size, stdout);
    else if (!fix->options.json)
        print_plan(&fix->plan);
    return EM_OK;
}

static bool is_agreed(const struct fix *fix)
{
    char answer[16];

    if (fix->options.yes || fix->options.json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return true;
    printf("apply? [y/N] ");
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static json_t *result_json(const struct fix *fix, const struct em_survey *proof)
{
    json_t *plan = json_loadb(fix->plan_json.data, fix->plan_json.size, 0, NULL);
    json_t *findings = json_array(), *id = fix->receipt.id ? json_string(fix->receipt.id) : json_null();

    em_vec_each (struct em_finding, finding, &proof->findings)
        if (em_is_shown(finding, &fix->options))
            json_array_append_new(findings, em_finding_json(finding, &proof->env));
    return json_pack("{s:s, s:o?, s:o, s:I, s:I, s:I, s:o, s:o}", "schema", "elfmend.fix/1", "plan", plan, "undo", id,
                     "replaced", (json_int_t)fix->receipt.replaced, "created", (json_int_t)fix->receipt.created, "removed",
                     (json_int_t)fix->receipt.removed, "privileged", em_privileged_json(&fix->receipt), "findings", findings);
}

static bool rests_on_variable(const struct em_findings *findings)
{
    em_vec_each (const struct em_finding, finding, findings)
        if (strcmp(finding->id, "EM203") == 0)
            return true;
    return false;
}

/* The proof: the same audit, from the disk. */
static int prove(struct fix *fix, const char *target, int *status)
{
    struct em_survey proof;
    int r = em_survey_run(&proof, &fix->options, target, &fix->error);

    if (r == EM_OK) {
        *status = em_status_of(&proof.findings, &fix->options);
        if (fix->options.json) {
            em_json_print(result_json(fix, &proof));
        } else {
            if (fix->plan.steps.count > 0 && !fix->options.quiet)
                em_print_receipt(NULL, &fix->receipt);
            em_print_findings(&proof.findings, &proof.env, &fix->options);
            if (*status == EM_EXIT_OK && fix->plan.steps.count > 0 && !fix->options.quiet)
                puts("audited again: nothing is missing any more");
            if (rests_on_variable(&fix->survey.findings) && !rests_on_variable(&proof.findings) && !fix->options.quiet)
                puts("nothing here rests on LD_LIBRARY_PATH any more: it can go");
        }
    }
    em_survey_free(&proof);
    return r;
}

static int run(struct fix *fix, const char *target, int *status)
{
    struct em_apply_options apply = {
        .keep_undo = !fix->options.no_undo, .jobs = fix->options.jobs, .progress = em_progress, .context = &fix->options
    };
    int r = recover(fix, target);

    if (r == EM_OK)
        r = em_survey_run(&fix->survey, &fix->options, target, &fix->error);
    if (r == EM_OK)
        r = make_plan(fix);
    if (r == EM_OK)
        r = show_plan(fix);
    if (r < 0)
        return r;
    *status = em_status_of(&fix->survey.findings, &fix->options);
    if (fix->options.dry_run || !is_agreed(fix))
        return EM_OK;
    /* A full disk, or no stream at all: a status that says so would not say that files have changed. */
    if (fflush(stdout) != 0)
        return em_fail(&fix->error, EM_IO, target, "has a plan that cannot be shown, so nothing was changed");
    r = em_plan_apply(&fix->plan, &apply, fix->options.arena, &fix->receipt, &fix->error);
    em_progress_end();
    return r == EM_OK ? prove(fix, target, status) : r;
}

int em_cmd_fix(int argc, char **argv)
{
    struct fix fix = { .error = EM_ERROR_INIT };
    const char *target;
    int status = em_options_parse(&fix.options, argc, argv, &em_fix_command);
    int r;

    if (status >= 0)
        goto done;
    if (fix.options.arguments.count > 1)
        r = em_fail(&fix.error, EM_USAGE, NULL, "fix takes one target");
    else
        r = em_options_target(&fix.options, 0, &target, &fix.error);
    if (r == EM_OK)
        r = run(&fix, target, &status);
    if (r < 0)
        status = em_report_failure(&fix.error, r);
done:
    em_text_free(&fix.plan_json);
    em_survey_free(&fix.survey);
    em_tree_close(fix.here);
    em_options_free(&fix.options);
    return status;
}
