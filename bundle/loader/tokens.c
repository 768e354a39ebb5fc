#include "bundle/loader/room.h"

#include <limits.h>
#include <string.h>

static bool is_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of the token at text, which stands behind a "$", or 0. The name is the longest possible (gABI, chapter 5, "Substitution
 * Sequences"): $ORIGINx and ${ORIGIN are none. After glibc's is_dst. */
static size_t token_length(const char *text, const char *name)
{
    bool curly = *text == '{';
    size_t length = strlen(name);

    text += curly;
    if (strncmp(text, name, length) != 0)
        return 0;
    if (curly)
        return text[length] == '}' ? length + 2 : 0;
    return is_name(text[length]) ? 0 : length;
}

/* A program with raised privileges: its own expanded paths must lie in a system directory. */
static bool is_trusted(struct em_arena *arena, const struct em_world *world, const char *path)
{
    const char *normal = em_path_normal(arena, path);

    for (size_t i = 0; normal && i < world->system_dirs.count; i++) {
        if (em_path_is_below(normal, world->system_dirs.items[i]))
            return true;
    }
    return false;
}

const char *em_tokens_expand(struct em_arena *arena, const struct em_world *world, const char *origin, bool is_main,
                             const char *input)
{
    const char *start = input, *dollar = strchr(input, '$'), *result;
    em_cleanup_text struct em_text text = { 0 };
    bool used_origin = false;

    if (!dollar)
        return input;
    for (; dollar; dollar = strchr(input, '$')) {
        const char *value = NULL;
        size_t length;

        if ((length = token_length(dollar + 1, "ORIGIN")) != 0) {
            char next = dollar[1 + length];

            used_origin = true;
            if (!world->secure || (dollar == start && (next == '\0' || next == '/')))
                value = origin;
        } else if ((length = token_length(dollar + 1, "PLATFORM")) != 0) {
            value = world->platform_token;
        } else if ((length = token_length(dollar + 1, "LIB")) != 0) {
            value = world->lib_token;
        } else {
            value = "$";
        }
        /* A token that is known and has no value takes the whole entry with it. */
        if (!value)
            return "";
        em_text_add_bytes(&text, input, (size_t)(dollar - input));
        /* What is longer than a path can be is not opened, whatever else it says: no need for megabytes of it. */
        if (text.size < PATH_MAX)
            em_text_add(&text, value);
        input = dollar + 1 + length;
    }
    em_text_add(&text, input);
    result = text.failed ? NULL : em_arena_strdup(arena, text.data);
    if (result && used_origin && world->secure && is_main && !is_trusted(arena, world, result))
        return "";
    return result;
}

/* The spelling under which a directory is known: no slashes at its end but one. */
static const char *directory_text(struct em_arena *arena, const char *expanded)
{
    size_t length = strlen(expanded);

    while (length > 1 && expanded[length - 1] == '/')
        length--;
    if (length == 1 && *expanded == '/')
        return "/";
    return em_arena_printf(arena, "%.*s/", (int)length, expanded);
}

static int add_entry(struct em_loader *loader, struct em_arena *arena, struct path_list *list, const char *written,
                     const char *text)
{
    struct directory *directory;
    int r = em_loader_directory(loader, text, &directory);

    if (r < 0)
        return r;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].directory == directory)
            return EM_OK;
    }
    written = em_loader_text(loader, written);
    return written ? em_vec_push(arena, list, (struct entry){ directory, written }) : EM_NO_MEMORY;
}

int em_tokens_split(struct em_loader *loader, struct em_arena *arena, struct path_list *list, const char *text,
                    const char *separators, const char *origin, bool is_main)
{
    list->ready = true;
    /* Wholly empty is no path; an empty entry among others is the working directory. */
    if (!text || !*text)
        return EM_OK;
    for (;;) {
        size_t length = strcspn(text, separators);
        const char *written = em_arena_strndup(arena, text, length);
        const char *expanded = written;
        int r = EM_OK;

        if (!written)
            return EM_NO_MEMORY;
        if (length > 0) {
            expanded = em_tokens_expand(arena, loader->world, origin, is_main, written);
            if (!expanded)
                return EM_NO_MEMORY;
        }
        if (length == 0 || *expanded) {
            const char *spelling = length == 0 ? "" : directory_text(arena, expanded);

            r = spelling ? add_entry(loader, arena, list, written, spelling) : EM_NO_MEMORY;
        }
        if (r < 0)
            return r;
        if (text[length] == '\0')
            return EM_OK;
        text += length + 1;
    }
}
