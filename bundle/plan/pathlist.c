#include "bundle/plan/pathlist.h"

#include <string.h>

const char *em_pathlist_entry(struct em_arena *arena, const char *from_directory, const char *to_directory)
{
    const char *relative = em_path_relative(arena, from_directory, to_directory);

    if (!relative)
        return NULL;
    if (strcmp(relative, ".") == 0)
        return "$ORIGIN";
    return em_arena_printf(arena, "$ORIGIN/%s", relative);
}

bool em_pathlist_has(const char *list, const char *entry)
{
    size_t length = strlen(entry);

    while (list && *list) {
        size_t size = strcspn(list, ":");

        if (size == length && memcmp(list, entry, length) == 0)
            return true;
        list += size + (list[size] == ':');
    }
    return false;
}

const char *em_pathlist_append(struct em_arena *arena, const char *list, const char *entry)
{
    size_t length;

    if (!list || !*list)
        return entry;
    if (em_pathlist_has(list, entry))
        return list;
    /* A list that ends in ":" has the current directory at its end; ours goes before that, not after one more colon. */
    length = strlen(list);
    if (list[length - 1] == ':')
        return em_arena_printf(arena, "%.*s:%s:", (int)(length - 1), list, entry);
    return em_arena_printf(arena, "%s:%s", list, entry);
}

/* What follows "$ORIGIN" or "${ORIGIN}" in an entry; NULL if it begins otherwise. */
static const char *after_origin(const char *entry)
{
    static const char *const tokens[] = { "$ORIGIN", "${ORIGIN}" };

    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        size_t length = strlen(tokens[i]);

        if (strncmp(entry, tokens[i], length) == 0 && (entry[length] == '\0' || entry[length] == '/'))
            return entry + length;
    }
    return NULL;
}

/* Where an $ORIGIN entry leads in the new tree; NULL in *moved: nowhere. */
static int move_entry(struct em_arena *arena, const char *behind, const char *from_directory, const char *from_site,
                      const char *to_directory, const char *to_site, struct em_tree *tree, const char **moved)
{
    char *joined = em_arena_printf(arena, "%s/%s", from_directory, behind);
    char *meant = joined ? em_path_normal(arena, joined) : NULL;
    const char *place;
    struct em_node node;

    *moved = NULL;
    if (!meant)
        return EM_NO_MEMORY;
    if (!from_site || !em_path_is_below(meant, from_site))
        return EM_OK;
    place = em_path_join(arena, to_site, em_path_after(meant, from_site));
    if (!place)
        return EM_NO_MEMORY;
    if (em_tree_stat(tree, place, &node) < 0 || node.kind != EM_NODE_DIRECTORY)
        return EM_OK;
    *moved = em_pathlist_entry(arena, to_directory, place);
    return *moved ? EM_OK : EM_NO_MEMORY;
}

const char *em_pathlist_move(struct em_arena *arena, const char *list, const char *from_directory, const char *from_site,
                             const char *to_directory, const char *to_site, struct em_tree *tree)
{
    const char *result = "";

    for (const char *at = list; *at; at += strcspn(at, ":"), at += *at == ':') {
        const char *entry = em_arena_strndup(arena, at, strcspn(at, ":"));
        const char *behind, *moved;

        if (!entry)
            return NULL;
        behind = after_origin(entry);
        moved = entry;
        /* An empty entry is the current directory, which a copy of ours does not search. */
        if (!*entry)
            continue;
        if (behind && strspn(behind, "/") == strlen(behind))
            moved = "$ORIGIN";
        else if (behind && move_entry(arena, behind, from_directory, from_site, to_directory, to_site, tree, &moved) < 0)
            return NULL;
        if (!moved)
            continue;
        result = em_pathlist_append(arena, result, moved);
        if (!result)
            return NULL;
    }
    return *result ? result : "$ORIGIN";
}
