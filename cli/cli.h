/* cli.h: options in, report out. The only room that prints, and the only one that knows exit statuses.
 *
 * One file a command: cli/NAME.c has em_cmd_NAME(argc, argv), where argv[0] is the command's own name; it returns the exit status
 * of INTERFACE.md: 0 nothing wrong or all mended, 1 problems remain, 2 could not be done and nothing has changed.
 *
 *     int em_cmd_trace(int argc, char **argv)
 *     {
 *         struct em_options options = { 0 };
 *         int r = em_options_parse(&options, argc, argv, &em_trace_command);   prints usage errors and --help itself
 *         if (r >= 0) return r;
 *         ...
 *         if (failed) return em_report_error(&error);                       "elfmend: PATH: sentence", returns 2
 *     }
 *
 * Reports go to stdout, diagnostics and progress to stderr. Colour only where em_color_on() says so.
 */
#ifndef EM_CLI_CLI_H
#define EM_CLI_CLI_H

#include "base/base.h"
#include "bundle/loader/world.h"

#include <jansson.h>
#include <stdio.h>

enum em_exit {
    EM_EXIT_OK = 0,
    EM_EXIT_FINDINGS = 1,
    EM_EXIT_FAILED = 2,
};

/* A command as main's table and --help show it. */
struct em_command {
    const char *name;
    const char *arguments; /* "[TARGET...]" */
    const char *summary;   /* one line */
    const char *example;   /* the first line of --help: a command that works */
    const char *details;   /* further text of --help, own options included; NULL if there is none */
    uint64_t accepts;      /* EM_TAKES_*: which shared options it takes */
    int (*run)(int argc, char **argv);
};

/* Shared options, by the bit that a command names in accepts. --json, --quiet, --verbose, --color and --help go with all. */
#define EM_TAKES_WORLD (1u << 0)    /* --root --world --libc --ld-library-path */
#define EM_TAKES_FILTER (1u << 1)   /* --only --ignore --fail-on */
#define EM_TAKES_SOURCE (1u << 2)   /* --source --require-hashes --allow-unverified */
#define EM_TAKES_STRATEGY (1u << 3) /* --strategy --rpath --runpath */
#define EM_TAKES_JOBS (1u << 4)
#define EM_TAKES_YES (1u << 5)
#define EM_TAKES_DRY_RUN (1u << 6) /* --dry-run --plan FILE */
#define EM_TAKES_NO_UNDO (1u << 7)
#define EM_TAKES_UNDO (1u << 8) /* --to --all --list --forget --force */
#define EM_TAKES_EXEC (1u << 9) /* --exec --each */
#define EM_TAKES_KNOWLEDGE (1u << 10)
#define EM_TAKES_GPU (1u << 11)    /* --gpu */
#define EM_TAKES_WITH (1u << 12)   /* --with */
#define EM_TAKES_PROBE (1u << 14)  /* --probe */
#define EM_TAKES_OUTPUT (1u << 15) /* -o --output --wheel-dir --index */
#define EM_TAKES_REPACK (1u << 13) /* --local --build-tag --keep-name --copy-unchanged */

enum em_color { EM_COLOR_AUTO, EM_COLOR_ALWAYS, EM_COLOR_NEVER };

struct em_options {
    struct em_arena *arena;      /* of the run; made by em_options_parse, freed by em_options_free */
    struct em_strings arguments; /* what is no option */
    bool json, quiet, verbose, yes, dry_run, no_undo, exec, each;
    enum em_color color;
    const char *root, *world, *libc, *ld_library_path;
    bool has_ld_library_path;
    struct em_strings only, ignore, sources;
    const char *fail_on; /* "error", "warning", "note", "never" */
    const char *require_hashes;
    bool allow_unverified;
    const char *strategy; /* "path", "copy", "degraft"; NULL: the planner decides */
    bool rpath, runpath;
    const char *plan;
    unsigned jobs;
    const char *to;
    bool all, list, forget, force;
    const char *knowledge;
    struct em_strings with;
    const char *output, *local, *build_tag, *index;
    bool keep_name, copy_unchanged;
    struct em_strings gpus;
    bool probe;
};

/* Fills options, which starts as { 0 }. Returns -1 to go on, or the exit status to leave with (--help: 0; usage error: 2). */
int em_options_parse(struct em_options *options, int argc, char **argv, const struct em_command *command);
void em_options_free(struct em_options *options);

/* A wheel that says it is for musl, in a world with glibc that nobody asked for, is looked at in another one: musl, and nothing else. */
bool em_options_is_for_musl(const struct em_options *options, const struct em_world *world, const char *wheel);
int em_options_musl_world(const struct em_options *options, struct em_tree **tree, struct em_world *world,
                          struct em_error *error);
/* The one or the other. */
int em_options_wheel_world(const struct em_options *options, struct em_tree **tree, struct em_world *world, const char *wheel,
                           struct em_error *error);

/* The world as --root, --world, --libc, --ld-library-path want it. *tree is opened if it is NULL, and closed by the caller. like:
 * an interpreter or object whose loader counts, NULL for our own. */
int em_options_world(const struct em_options *options, struct em_tree **tree, struct em_world *world, const char *like,
                     struct em_error *error);

/* The target of a command: the argument, else $VIRTUAL_ENV, else ./.venv if it is there, else EM_USAGE. */
int em_options_target(const struct em_options *options, size_t index, const char **target, struct em_error *error);

/* The same for a command that takes several: all arguments, or the one default. */
int em_options_targets(const struct em_options *options, struct em_strings *targets, struct em_error *error);

/* "" for one, "s" for any other number. */
const char *em_plural(size_t count);

/* What comes from a file, for people: one line whatever it holds, and what would steer a terminal as an escape. It is text itself, or lives
 * until the eighth call from here. */
const char *em_plain(const char *text);
void em_put_plain(const char *text, FILE *stream);
/* "elfmend: PATH: sentence: strerror (at offset N)" on stderr; returns EM_EXIT_FAILED. */
int em_report_error(const struct em_error *error);
/* The same for a code that may have come without a sentence: no memory, mostly. */
int em_report_failure(struct em_error *error, int code);
/* "elfmend: sentence" for what is no error of the run. */
void em_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool em_color_on(const struct em_options *options, FILE *stream);
/* ANSI sequences, "" where colour is off: "red", "yellow", "green", "bold", "dim", "reset". */
const char *em_paint(bool on, const char *name);

/* Prints a JSON document with its schema name first and a final newline; steals document. Returns 0, or 2 if stdout failed. */
int em_json_print(json_t *document);
/* The same for a document with an empty list of that name, which is printed with these items: there may be a hundred thousand of them,
 * and as text they take a fifth. em_json_item_add consumes the item. */
void em_json_item_add(struct em_text *items, json_t *item);
int em_json_print_items(json_t *document, const char *name, const struct em_text *items);
/* The same where nothing can fail any more: each item is printed as it comes. em_json_print_head consumes the document, em_json_print_item
 * the item; what the former made is the latter's to print in, and em_json_print_tail frees it. */
struct em_json_list {
    char *whole, *rest; /* the document without its items; what stands behind them */
    bool begun, failed;
};
void em_json_print_head(struct em_json_list *list, json_t *document, const char *name);
void em_json_print_item(struct em_json_list *list, json_t *item);
int em_json_print_tail(struct em_json_list *list);

/* A string as JSON; null for NULL. Names come from files and need not be UTF-8: bytes that are not become "\xNN". */
json_t *em_json_string(const char *string);

/* Progress of long work on stderr: only on a terminal, not with --quiet. */
void em_progress(void *options, const char *what, uint64_t done, uint64_t total);
void em_progress_end(void);

/* Flushes stdout and says whether all of it was written: a full disk under a redirect must not be exit 0. */
int em_finish_output(int status);

int em_cmd_audit(int argc, char **argv);
int em_cmd_fix(int argc, char **argv);
int em_cmd_apply(int argc, char **argv);
int em_cmd_undo(int argc, char **argv);
int em_cmd_verify(int argc, char **argv);
int em_cmd_explain(int argc, char **argv);
int em_cmd_trace(int argc, char **argv);
int em_cmd_show(int argc, char **argv);
int em_cmd_repack(int argc, char **argv);
int em_cmd_patch(int argc, char **argv);
int em_cmd_doctor(int argc, char **argv);

extern const struct em_command em_audit_command, em_fix_command, em_apply_command, em_undo_command, em_verify_command,
    em_explain_command, em_trace_command, em_show_command, em_repack_command, em_patch_command, em_doctor_command;

#endif
