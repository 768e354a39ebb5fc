#include "bundle/plan/transaction.h"
#include "cli/cli.h"

#include <string.h>

const struct em_command em_undo_command = {
    .name = "undo",
    .arguments = "[TARGET]",
    .summary = "Take back the last fix: every file has its bytes, inode, mode and times again",
    .example = "elfmend undo .venv",
    .details = "Refuses, and changes nothing, if somebody has changed a repaired file since; --force goes on and loses their\n"
               "change. Without --to or --all it is the last repair that is taken back.\n",
    .accepts = EM_TAKES_UNDO,
    .run = em_cmd_undo,
};

struct undo {
    struct em_options options;
    const char *target, *root;
    struct em_error error;
};

/* Where fix keeps things: the target itself, the directory it is in for a single object. */
static int find_root(struct undo *undo)
{
    em_cleanup_free char *real = realpath(undo->target, NULL);
    struct stat st;

    if (!real || stat(real, &st) < 0)
        return em_fail_errno(&undo->error, undo->target, "cannot be opened");
    undo->root = S_ISDIR(st.st_mode) ? em_arena_strdup(undo->options.arena, real) : em_path_dirname(undo->options.arena, real);
    return undo->root ? EM_OK : EM_NO_MEMORY;
}

static const char *size_text(struct em_arena *arena, uint64_t bytes)
{
    const char *text = bytes < 1000000 ? em_arena_printf(arena, "%llu KB", (unsigned long long)((bytes + 999) / 1000))
                                       : em_arena_printf(arena, "%.1f MB", (double)bytes / 1e6);

    return text ? text : "";
}

static int print_json(const struct undo *undo, json_t *document)
{
    json_t *target = json_string(undo->target);

    if (!document || json_object_set_new(document, "target", target ? target : json_null()) < 0)
        return EM_NO_MEMORY;
    return em_json_print(document) == EM_EXIT_OK ? EM_OK : EM_IO;
}

static int list_json(const struct undo *undo, const struct em_undo_entries *entries)
{
    json_t *repairs = json_array();

    for (size_t i = 0; i < entries->count; i++) {
        const struct em_undo_entry *entry = &entries->items[i];

        json_array_append_new(repairs, json_pack("{s:s, s:s?, s:I, s:I, s:I}", "id", entry->id, "note", entry->note, "replaced",
                                                 (json_int_t)entry->replaced, "created", (json_int_t)entry->created, "bytes",
                                                 (json_int_t)entry->bytes));
    }
    return print_json(undo, json_pack("{s:s, s:n, s:o}", "schema", "elfmend.undo/1", "target", "repairs", repairs));
}

static int list(struct undo *undo)
{
    struct em_undo_entries entries;
    int r = em_undo_list(&entries, undo->options.arena, undo->root, &undo->error);

    if (r < 0)
        return r;
    if (undo->options.json)
        return list_json(undo, &entries);
    if (entries.count == 0)
        puts("nothing to take back");
    for (size_t i = 0; i < entries.count; i++) {
        const struct em_undo_entry *entry = &entries.items[i];

        printf("%s  %zu replaced, %zu added, holds %s: ", entry->id, entry->replaced, entry->created,
               size_text(undo->options.arena, entry->bytes));
        puts(em_plain(entry->note)); /* a line of ours, but what it quotes may be anything */
    }
    return EM_OK;
}

static int forget(struct undo *undo)
{
    uint64_t freed;
    int r = em_undo_forget(undo->options.arena, undo->root, &freed, &undo->error);

    if (r < 0)
        return r;
    if (undo->options.json)
        return print_json(undo, json_pack("{s:s, s:n, s:I}", "schema", "elfmend.undo/1", "target", "freed", (json_int_t)freed));
    if (!undo->options.quiet)
        printf("%s freed; the repairs stay and can no longer be taken back\n", size_text(undo->options.arena, freed));
    return EM_OK;
}

static int take_back(struct undo *undo)
{
    const struct em_undo_options options = { .to = undo->options.to, .all = undo->options.all, .force = undo->options.force };
    struct em_undo_result result;
    int r = em_undo(&result, undo->options.arena, undo->root, &options, &undo->error);

    /* Of several repairs the later ones may be gone when one cannot be taken back. */
    if (r < 0 && result.transactions > 0)
        em_warn("%s: %zu repair%s taken back before this one failed", undo->target, result.transactions,
                em_plural(result.transactions));
    if (r < 0)
        return r;
    if (undo->options.json)
        return print_json(undo, json_pack("{s:s, s:n, s:I, s:I, s:I}", "schema", "elfmend.undo/1", "target", "transactions",
                                          (json_int_t)result.transactions, "restored", (json_int_t)result.restored, "removed",
                                          (json_int_t)result.removed));
    if (!undo->options.quiet)
        printf("%zu repair%s taken back: %zu file%s restored, %zu removed\n", result.transactions,
               em_plural(result.transactions), result.restored, em_plural(result.restored), result.removed);
    return EM_OK;
}

static int check_usage(struct undo *undo)
{
    const struct em_options *options = &undo->options;

    if (options->arguments.count > 1)
        return em_fail(&undo->error, EM_USAGE, NULL, "undo takes one target");
    if ((options->to != NULL) + options->all + options->list + options->forget > 1)
        return em_fail(&undo->error, EM_USAGE, NULL, "--to, --all, --list and --forget exclude each other");
    return em_options_target(options, 0, &undo->target, &undo->error);
}

int em_cmd_undo(int argc, char **argv)
{
    struct undo undo = { .error = EM_ERROR_INIT };
    int status = em_options_parse(&undo.options, argc, argv, &em_undo_command);
    int r;

    if (status >= 0)
        goto done;
    r = check_usage(&undo);
    if (r == EM_OK)
        r = find_root(&undo);
    if (r == EM_OK)
        r = undo.options.list ? list(&undo) : undo.options.forget ? forget(&undo) : take_back(&undo);
    if (r == EM_NO_MEMORY)
        em_fail(&undo.error, r, NULL, "out of memory");
    status = r < 0 ? em_report_error(&undo.error) : EM_EXIT_OK;
done:
    em_options_free(&undo.options);
    return status;
}
