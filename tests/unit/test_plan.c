/* A plan says the same after a trip through JSON, nothing odd gets in by it, and executing it is one transaction: RECORD follows,
 * what has changed since stops it, a wrong byte stops it, and then nothing has happened. */
#include "tests/unit/snapshot.h"

#include "bundle/plan/plan.h"
#include "bundle/plan/planner.h"
#include "bundle/plan/transaction.h"

#include <jansson.h>
#include <limits.h>

struct world {
    struct em_arena *arena;
    struct em_error error;
    struct em_plan plan;
    struct em_receipt receipt;
    char root[PATH_MAX], source[PATH_MAX];
    char *before;
};

static const char record_text[] = "pkg/lib.so,sha256=0000000000000000000000000000000000000000000,1\r\n"
                                  "\"pkg/o,dd.py\",sha256=1111111111111111111111111111111111111111111,1\r\n"
                                  "pkg-1.dist-info/RECORD,,\r\n";

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w)
        return -1;
    w->arena = em_arena_new();
    assert_int_equal(
        system("rm -rf t s && mkdir -p t/site/pkg t/site/pkg-1.dist-info s && "
               "echo 'int f(void) { return 1; } char wide[700001] = { 1 };' > s/f.c && "
               "cc -shared -fPIC -o t/site/pkg/lib.so s/f.c -Wl,--disable-new-dtags,-rpath,/nowhere/at/all && "
               "cp t/site/pkg/lib.so s/libnew.so && touch -d '2021-01-01 01:01:01.5' t/site/pkg t/site/pkg/lib.so"),
        0);
    write_file("t/site/pkg-1.dist-info/RECORD", record_text);
    assert_non_null(realpath("t", w->root));
    assert_non_null(realpath("s/libnew.so", w->source));
    w->before = snapshot(w->arena, "t");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    em_arena_free(w->arena);
    free(w);
    return 0;
}

static void add_input(struct world *w, const char *path, bool is_source)
{
    struct em_input input;
    const char *on_disk = is_source ? path : em_path_join(w->arena, w->root, path);

    assert_int_equal(em_input_of(&input, on_disk, is_source, &w->error), 0);
    input.path = path;
    assert_int_equal(em_vec_push(w->arena, &w->plan.inputs, input), 0);
}

static struct em_strings strings(struct world *w, const char *one, const char *two)
{
    struct em_strings list = { 0 };

    assert_int_equal(em_vec_push(w->arena, &list, one), 0);
    if (two)
        assert_int_equal(em_vec_push(w->arena, &list, two), 0);
    return list;
}

/* One object gets a path, one is copied in with a path, RECORD follows both. */
static void make_plan(struct world *w)
{
    const struct em_step set_path = {
        .kind = EM_STEP_SET_PATH,
        .path = "site/pkg/lib.so",
        .value = "$ORIGIN/libs",
        .old_value = "/nowhere/at/all",
        .tag = EM_TAG_RPATH,
        .resolves = strings(w, "EM102 libnew.so", NULL),
        .reason = "because \"it\" asks\n\xc3\xa4",
    };
    struct em_step copy = {
        .kind = EM_STEP_COPY,
        .path = "site/pkg/libs/libnew.so",
        .from = w->source,
        .voucher = "RECORD of new 1.0",
        .mode = 0755,
        .value = "$ORIGIN/further/away/than/it/was",
        .tag = EM_TAG_RPATH,
    };
    const struct em_step record = {
        .kind = EM_STEP_RECORD,
        .path = "site/pkg-1.dist-info/RECORD",
        .site = "site",
        .files = strings(w, "site/pkg/lib.so", "site/pkg/libs/libnew.so"),
    };

    w->plan = (struct em_plan){ .target = "t", .root = w->root };
    add_input(w, "site/pkg/lib.so", false);
    add_input(w, "site/pkg-1.dist-info/RECORD", false);
    add_input(w, w->source, true);
    copy.sha256 = w->plan.inputs.items[2].sha256;
    assert_int_equal(em_vec_push(w->arena, &w->plan.steps, set_path), 0);
    assert_int_equal(em_vec_push(w->arena, &w->plan.steps, copy), 0);
    assert_int_equal(em_vec_push(w->arena, &w->plan.steps, record), 0);
    assert_int_equal(em_vec_push(w->arena, &w->plan.refused, ((struct em_refusal){ "EM103 x", "no source has it" })), 0);
    assert_int_equal(em_vec_push(w->arena, &w->plan.after, "EM103 error x: y"), 0);
}

static char *to_json(struct world *w, const struct em_plan *plan)
{
    struct em_text text = { 0 };
    char *copy;

    assert_int_equal(em_plan_to_json(plan, &text), 0);
    copy = em_arena_strdup(w->arena, text.data);
    em_text_free(&text);
    return copy;
}

static int from_json(struct world *w, const char *json, struct em_plan *plan)
{
    const struct em_bytes bytes = { (const uint8_t *)json, strlen(json) };

    w->error = (struct em_error)EM_ERROR_INIT;
    return em_plan_from_json(plan, w->arena, bytes, "plan.json", &w->error);
}

static int apply(struct world *w, bool keep)
{
    const struct em_apply_options options = { .keep_undo = keep, .jobs = 2 };
    int r;

    w->error = (struct em_error)EM_ERROR_INIT;
    r = em_plan_apply(&w->plan, &options, w->arena, &w->receipt, &w->error);
    if (r < 0)
        print_message("# %s: %s\n", w->error.path, w->error.sentence);
    return r;
}

static void assert_untouched(struct world *w)
{
    assert_string_equal(snapshot(w->arena, "t"), w->before);
}

/* ---- JSON ---- */

static void json_keeps_everything(void **state)
{
    struct world *w = *state;
    struct em_plan again;
    char *json;

    make_plan(w);
    json = to_json(w, &w->plan);
    assert_memory_equal(json, "{\n  \"schema\": \"elfmend.plan/1\",\n  \"target\": \"t\",", 48);
    assert_int_equal(from_json(w, json, &again), 0);
    assert_string_equal(to_json(w, &again), json);
    assert_int_equal(again.steps.count, 3);
    assert_string_equal(again.steps.items[0].reason, w->plan.steps.items[0].reason);
    assert_int_equal(again.steps.items[1].mode, 0755);
    assert_int_equal(again.steps.items[2].files.count, 2);
}

/* Replaces a piece of the plan's JSON by another; the result must be refused. */
static void refuses(struct world *w, const char *json, const char *what, const char *by)
{
    const char *at = strstr(json, what);
    struct em_plan plan;
    char *changed;

    assert_non_null(at);
    changed = em_arena_printf(w->arena, "%.*s%s%s", (int)(at - json), json, by, at + strlen(what));
    if (from_json(w, changed, &plan) != EM_BAD_JSON)
        fail_msg("%s instead of %s was taken", by, what);
    assert_true(w->error.sentence[0] != '\0');
    assert_int_equal(plan.steps.count, 0);
}

static void odd_plans_are_refused(void **state)
{
    struct world *w = *state;
    char *json;

    make_plan(w);
    json = to_json(w, &w->plan);
    refuses(w, json, "plan/1", "plan/2");
    refuses(w, json, "\"schema\"", "\"scheme\"");
    refuses(w, json, "\"target\": \"t\"", "\"target\": 1");
    refuses(w, json, "\"target\": \"t\"", "\"target\": \"t\", \"target\": \"u\"");
    refuses(w, json, "\"target\": \"t\"", "\"target\": \"t\", \"further\": true");
    refuses(w, json, "\"root\": \"/", "\"root\": \"");
    refuses(w, json, "\"do\": \"set-path\"", "\"do\": \"execute\"");
    refuses(w, json, "\"do\": \"set-path\"", "\"do\": \"set-path\", \"command\": \"x\"");
    refuses(w, json, "\"do\": \"set-path\"", "\"do\": \"copy\"");
    refuses(w, json, "\"tag\": \"rpath\"", "\"tag\": \"keep\"");
    refuses(w, json, "\"mode\": \"0755\"", "\"mode\": \"4755\"");
    refuses(w, json, "\"mode\": \"0755\"", "\"mode\": \"rwx\"");
    refuses(w, json, "\"path\": \"site/pkg/lib.so\"", "\"path\": \"../site/pkg/lib.so\"");
    refuses(w, json, "\"path\": \"site/pkg/libs/libnew.so\"", "\"path\": \"/etc/ld.so.preload\"");
    refuses(w, json, "\"path\": \"site/pkg/libs/libnew.so\"", "\"path\": \"site/../../x\"");
    refuses(w, json, "\"path\": \"site/pkg/libs/libnew.so\"", "\"path\": \"site/pkg\\u0000/libs\"");
    refuses(w, json, "\"path\": \"site/pkg/libs/libnew.so\"", "\"path\": \"site/pkg/lib.so\"");
    refuses(w, json, "\"from\": \"/", "\"from\": \"");
    refuses(w, json, "\"site\": \"site\"", "\"site\": \"..\"");
    refuses(w, json, "\"sha256\": \"", "\"sha256\": \"g");
    refuses(w, json, "\"xxh3\": \"", "\"xxh3\": \"0");
    refuses(w, json, "\"size\": ", "\"size\": -");
    refuses(w, json, "\"size\": ", "\"size\": 99999999999999999999");
    refuses(w, json, "\"source\": true", "\"source\": 1");
    refuses(w, json, "\"source\": true", "\"source\": false");
    refuses(w, json, "\"files\": [\n        \"site/pkg/lib.so\"", "\"files\": [\n        \"site/pkg/other.so\"");
    refuses(w, json, "\"refused\": [", "\"refused\": [ 1, ");
    refuses(w, json, "\"after\": [", "\"after\": [ {}, ");
    for (size_t cut = 0; cut < strlen(json) - 1; cut += 7) {
        struct em_plan plan;

        assert_int_equal(from_json(w, em_arena_strndup(w->arena, json, cut), &plan), EM_BAD_JSON);
    }
}

/* ---- applying ---- */

static void assert_rpath(struct world *w, const char *path, const char *wanted)
{
    em_cleanup_fd int fd = open(path, O_RDONLY);
    struct em_reader reader;
    struct em_object object;
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    reader = em_reader_fd(fd, (uint64_t)st.st_size, path);
    assert_int_equal(em_object_read(&object, w->arena, &reader, &w->error), 0);
    assert_non_null(object.rpath);
    assert_string_equal(object.rpath, wanted);
}

static char *row_of(struct world *w, const char *path, const char *row)
{
    char text[EM_SHA256_BASE64_SIZE];
    struct em_input input;

    assert_int_equal(em_input_of(&input, path, true, &w->error), 0);
    em_sha256_base64(&input.sha256, text);
    return em_arena_printf(w->arena, "%s,sha256=%s,%llu\r\n", row, text, (unsigned long long)input.size);
}

static void apply_does_what_the_plan_says(void **state)
{
    struct world *w = *state;
    char *record;
    struct stat st;

    make_plan(w);
    assert_int_equal(apply(w, true), 0);
    assert_string_equal(w->receipt.id, "0001");
    assert_int_equal(w->receipt.replaced, 2);
    assert_int_equal(w->receipt.created, 1);
    assert_rpath(w, "t/site/pkg/lib.so", "$ORIGIN/libs");
    assert_rpath(w, "t/site/pkg/libs/libnew.so", "$ORIGIN/further/away/than/it/was");
    assert_rpath(w, "s/libnew.so", "/nowhere/at/all");
    assert_int_equal(stat("t/site/pkg/libs/libnew.so", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    record = read_file(w->arena, "t/site/pkg-1.dist-info/RECORD");
    assert_non_null(strstr(record, row_of(w, "t/site/pkg/lib.so", "pkg/lib.so")));
    assert_non_null(strstr(record, row_of(w, "t/site/pkg/libs/libnew.so", "pkg/libs/libnew.so")));
    assert_non_null(strstr(record, "\"pkg/o,dd.py\",sha256=1111111111111111111111111111111111111111111,1\r\n"));

    assert_int_equal(em_undo(&(struct em_undo_result){ 0 }, w->arena, w->root, &(struct em_undo_options){ 0 }, &w->error), 0);
    assert_untouched(w);
}

static void what_is_already_so_is_left_alone(void **state)
{
    struct world *w = *state;

    make_plan(w);
    w->plan.steps.count = 1;
    w->plan.inputs.count = 1;
    w->plan.steps.items[0].value = "/nowhere/at/all";
    assert_int_equal(apply(w, true), 0);
    assert_null(w->receipt.id);
    assert_int_equal(w->receipt.replaced, 0);
    assert_untouched(w);
    w->plan.steps.count = 0;
    assert_int_equal(apply(w, true), 0);
    assert_untouched(w);
}

static void a_changed_input_stops_it(void **state)
{
    struct world *w = *state;

    make_plan(w);
    assert_int_equal(system("cp -a t/site/pkg/lib.so s/keep && printf x >> t/site/pkg/lib.so"), 0);
    assert_int_equal(apply(w, true), EM_CHANGED);
    assert_string_equal(w->error.path, "site/pkg/lib.so");
    assert_int_equal(system("cp s/keep t/site/pkg/lib.so && printf x >> t/site/pkg-1.dist-info/RECORD"), 0);
    assert_int_equal(apply(w, true), EM_CHANGED);
    assert_string_equal(w->error.path, "site/pkg-1.dist-info/RECORD");
    assert_rpath(w, "t/site/pkg/lib.so", "/nowhere/at/all");
    assert_int_equal(access("t/site/pkg/libs", F_OK), -1);
    assert_int_equal(access("t/.elfmend", F_OK), -1);
}

/* An input that no action reads counts as much: here the library that the new path leads to. */
static void an_input_beside_the_actions_stops_it(void **state)
{
    struct world *w = *state;

    write_file("t/site/pkg/beside", "a provider");
    w->before = snapshot(w->arena, "t");
    make_plan(w);
    add_input(w, "site/pkg/beside", false);
    assert_int_equal(system("mv t/site/pkg/beside s/"), 0);
    assert_int_equal(apply(w, true), EM_CHANGED);
    assert_int_equal(system("echo other > t/site/pkg/beside"), 0);
    assert_int_equal(apply(w, true), EM_CHANGED);
    assert_rpath(w, "t/site/pkg/lib.so", "/nowhere/at/all");
    assert_int_equal(access("t/.elfmend", F_OK), -1);
}

static void one_wrong_byte_in_a_source_stops_it(void **state)
{
    struct world *w = *state;

    make_plan(w);
    w->plan.inputs.count = 2;
    assert_int_equal(system("printf '\\377' | dd of=s/libnew.so bs=1 seek=5000 conv=notrunc status=none"), 0);
    assert_int_equal(apply(w, true), EM_REFUSED);
    assert_string_equal(w->error.path, w->source);
    assert_untouched(w);
    /* The same for a copy that gets no path of its own. */
    w->plan.steps.items[1].value = NULL;
    assert_int_equal(apply(w, true), EM_REFUSED);
    assert_untouched(w);
}

/* The plan as it is in the process that made it: files are known by their stamps, and what is copied by what vouches for it. */
static void make_unsealed_plan(struct world *w)
{
    make_plan(w);
    assert_int_equal(system("touch -d '1 hour ago' s/libnew.so"), 0);
    em_vec_each (struct em_input, input, &w->plan.inputs) {
        const char *path = input->path;
        struct stat st;

        assert_int_equal(stat(input->is_source ? path : em_path_join(w->arena, w->root, path), &st), 0);
        input->stamp = em_stamp_of(&st);
        input->has_stamp = true;
        input->has_digests = false;
    }
}

static void a_stamp_is_enough_where_the_plan_was_made(void **state)
{
    struct world *w = *state;
    const struct em_input *input;

    make_unsealed_plan(w);
    assert_int_equal(apply(w, true), 0);
    assert_rpath(w, "t/site/pkg/lib.so", "$ORIGIN/libs");
    assert_non_null(strstr(read_file(w->arena, "t/site/pkg-1.dist-info/RECORD"),
                           row_of(w, "t/site/pkg/libs/libnew.so", "pkg/libs/libnew.so")));
    assert_int_equal(em_undo(&(struct em_undo_result){ 0 }, w->arena, w->root, &(struct em_undo_options){ 0 }, &w->error), 0);
    /* What was written this very moment gets digests at once: a second write might get the same stamp. */
    assert_int_equal(em_input_note(&w->plan.inputs.items[0], "t/site/pkg/lib.so", false, &w->error), 0);
    input = &w->plan.inputs.items[0];
    assert_true(input->has_digests && !input->has_stamp);
}

static void another_stamp_stops_it(void **state)
{
    struct world *w = *state;

    make_unsealed_plan(w);
    assert_int_equal(
        system("cp -p t/site/pkg/lib.so s/keep && cat s/keep > t/site/pkg/lib.so && touch -r s/keep t/site/pkg/lib.so"), 0);
    assert_int_equal(apply(w, true), EM_CHANGED);
    assert_string_equal(w->error.path, "site/pkg/lib.so");
    assert_int_equal(access("t/.elfmend", F_OK), -1);
    assert_int_equal(em_plan_seal(&w->plan, w->arena, 2, &w->error), EM_CHANGED);
}

/* Nothing was read while planning: the byte is found when it is copied, and by the seal of a plan that is shown. */
static void one_wrong_byte_is_found_when_it_is_copied(void **state)
{
    struct world *w = *state;

    make_unsealed_plan(w);
    assert_int_equal(
        system("cp -p s/libnew.so s/keep && printf '\\377' | dd of=s/libnew.so bs=1 seek=600000 conv=notrunc status=none"
               " && touch -r s/keep s/libnew.so"),
        0);
    assert_int_equal(apply(w, true), EM_REFUSED);
    assert_string_equal(w->error.path, w->source);
    assert_untouched(w);
    assert_int_equal(em_input_note(&w->plan.inputs.items[2], w->source, true, &w->error), 0);
    assert_int_equal(em_plan_seal(&w->plan, w->arena, 2, &w->error), EM_REFUSED);
    assert_string_equal(w->error.path, w->source);
    assert_int_equal(system("cat s/keep > s/libnew.so"), 0);
    assert_int_equal(em_input_note(&w->plan.inputs.items[2], w->source, true, &w->error), 0);
    assert_int_equal(em_plan_seal(&w->plan, w->arena, 2, &w->error), 0);
    em_vec_each (struct em_input, input, &w->plan.inputs)
        assert_true(input->has_digests);
    assert_true(em_sha256_equal(&w->plan.inputs.items[2].sha256, &w->plan.steps.items[1].sha256));
}

static void a_plain_copy_has_the_bytes_of_its_source(void **state)
{
    struct world *w = *state;

    make_plan(w);
    w->plan.steps.items[1].value = NULL;
    w->plan.steps.items[1].mode = 0640;
    assert_int_equal(apply(w, false), 0);
    assert_null(w->receipt.id);
    assert_int_equal(access("t/.elfmend", F_OK), -1);
    assert_string_equal(read_file(w->arena, "t/site/pkg/libs/libnew.so"), read_file(w->arena, "s/libnew.so"));
    assert_int_equal(system("cmp s/libnew.so t/site/pkg/libs/libnew.so"), 0);
    assert_non_null(
        strstr(read_file(w->arena, "t/site/pkg-1.dist-info/RECORD"), row_of(w, "s/libnew.so", "pkg/libs/libnew.so")));
}

static void a_copy_never_replaces(void **state)
{
    struct world *w = *state;

    make_plan(w);
    assert_int_equal(system("mkdir t/site/pkg/libs && echo theirs > t/site/pkg/libs/libnew.so"), 0);
    w->before = snapshot(w->arena, "t");
    assert_int_equal(apply(w, true), EM_CHANGED);
    assert_untouched(w);
}

/* A RECORD that can't be understood is found after the objects were staged: still nothing has happened. */
static void a_bad_record_stops_it(void **state)
{
    struct world *w = *state;

    write_file("t/site/pkg-1.dist-info/RECORD", "pkg/lib.so,\"sha256=\n");
    w->before = snapshot(w->arena, "t");
    make_plan(w);
    assert_int_equal(apply(w, true), EM_BAD_RECORD);
    assert_non_null(strstr(w->error.path, "RECORD"));
    assert_untouched(w);
}

/* An environment in which a library is missed that lies in another package: looked at, then changed by a command, then planned for. */
static int plan_after(struct world *w, const char *command)
{
    static const struct em_plan_wish wish = { .strategy = EM_STRATEGY_PATH };
    const struct em_world_wish outside = { .kind = "empty", .libc = "glibc" };
    const struct em_diagnose_options options = { 0 };
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_env env;
    struct em_world world;
    struct em_knowledge knowledge;
    struct em_diagnosis diagnosis;

    assert_int_equal(
        system("rm -rf e && mkdir -p e/pkg e/other e/pkg-1.dist-info e/other-1.dist-info && touch s/none.c && "
               "cc -shared -o e/other/libmissed.so.1 s/none.c -nostdlib -Wl,-soname,libmissed.so.1 && "
               "cc -shared -o e/pkg/_module.abi3.so s/none.c -nostdlib -Wl,--no-as-needed e/other/libmissed.so.1 && "
               "echo 'pkg/_module.abi3.so,,' > e/pkg-1.dist-info/RECORD && echo 'other/libmissed.so.1,,' > "
               "e/other-1.dist-info/RECORD && "
               "for name in pkg other; do printf 'Name: %s\\nVersion: 1\\n' $name > e/$name-1.dist-info/METADATA; done && "
               "echo 'Requires-Dist: other' >> e/pkg-1.dist-info/METADATA"),
        0);
    assert_int_equal(em_tree_disk(&tree, NULL, &w->error), EM_OK);
    assert_int_equal(em_env_read(&env, w->arena, tree, "e", &w->error), EM_OK);
    assert_int_equal(em_world_read(&world, w->arena, tree, &outside, &w->error), EM_OK);
    assert_int_equal(em_knowledge_load(&knowledge, w->arena, NULL, &w->error), EM_OK);
    assert_int_equal(em_diagnose(&diagnosis, w->arena, &env, &world, &knowledge, &options, &w->error), EM_OK);
    assert_int_equal(system(command), 0);
    return em_plan_make(&w->plan, w->arena, &diagnosis, &wish, &w->error);
}

/* A package manager, or another elfmend, is no slower than who reads the diagnosis. */
static void what_changed_since_it_was_read_is_not_planned_for(void **state)
{
    struct world *w = *state;

    assert_int_equal(plan_after(w, "true"), EM_OK);
    assert_int_equal(w->plan.steps.count, 2);
    assert_int_equal(plan_after(w, "cp e/pkg/_module.abi3.so e/new && mv e/new e/pkg/_module.abi3.so"), EM_CHANGED);
    assert_string_equal(w->error.path, "pkg/_module.abi3.so");
    assert_int_equal(plan_after(w, "echo 'pkg/more,,' >> e/pkg-1.dist-info/RECORD"), EM_CHANGED);
    assert_string_equal(w->error.path, "pkg-1.dist-info/RECORD");
    assert_int_equal(plan_after(w, "echo 'other/more,,' >> e/other-1.dist-info/RECORD"), EM_OK);
    /* Read through a link it is no other file, and nobody has to try again. */
    assert_int_equal(plan_after(w, "cd e/pkg-1.dist-info && mv RECORD elsewhere && ln -s elsewhere RECORD"), EM_REFUSED);
    assert_string_equal(w->error.path, "pkg-1.dist-info/RECORD");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(json_keeps_everything),
        TEST(odd_plans_are_refused),
        TEST(apply_does_what_the_plan_says),
        TEST(what_is_already_so_is_left_alone),
        TEST(a_changed_input_stops_it),
        TEST(an_input_beside_the_actions_stops_it),
        TEST(one_wrong_byte_in_a_source_stops_it),
        TEST(a_stamp_is_enough_where_the_plan_was_made),
        TEST(another_stamp_stops_it),
        TEST(one_wrong_byte_is_found_when_it_is_copied),
        TEST(a_plain_copy_has_the_bytes_of_its_source),
        TEST(a_copy_never_replaces),
        TEST(a_bad_record_stops_it),
        TEST(what_changed_since_it_was_read_is_not_planned_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
