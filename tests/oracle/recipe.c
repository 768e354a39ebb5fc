#include "tests/oracle/recipe.h"

#include <errno.h>
#include <string.h>

/* ---- text ---- */

static const char *const verbs[] = { "object",  "link",  "hard", "text", "directory", "main",  "environment",
                                     "preload", "cache", "open", "call", "expect",    "listed" };

static bool is_verb(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i], word) == 0)
            return true;
    }
    return false;
}

static bool is_field(const char *word)
{
    size_t size = strspn(word, "abcdefghijklmnopqrstuvwxyz");

    return size > 0 && word[size] == '=';
}

static bool parse_line(struct recipe *recipe, char *text)
{
    struct line line = { 0 };
    char *save, *word = strtok_r(text, " \t", &save);
    bool listing;

    if (!word || *word == '#' || *word == '-')
        return true;
    if (!is_verb(word)) {
        fprintf(stderr, "recipe: \"%s\" is no verb\n", word);
        return false;
    }
    line.verb = em_arena_strdup(recipe->arena, word);
    listing = strcmp(word, "cache") == 0 || strcmp(word, "expect") == 0 || strcmp(word, "listed") == 0;
    while ((word = strtok_r(NULL, " \t", &save)) != NULL) {
        char *copy = em_arena_strdup(recipe->arena, word);

        if (listing) {
            em_vec_push(recipe->arena, &line.rest, copy);
        } else if (is_field(copy)) {
            char *equals = strchr(copy, '=');

            *equals = '\0';
            em_vec_push(recipe->arena, &line.fields, (struct field){ copy, equals + 1 });
        } else if (!line.argument) {
            line.argument = copy;
        } else {
            line.second = copy;
        }
    }
    if (!line.argument)
        line.argument = "";
    return em_vec_push(recipe->arena, &recipe->lines, line) == EM_OK;
}

bool recipe_parse(struct recipe *recipe, struct em_arena *arena, const char *text)
{
    char *copy = em_arena_strdup(arena, text), *save;

    *recipe = (struct recipe){ .arena = arena };
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (!parse_line(recipe, line))
            return false;
    }
    return true;
}

void recipe_print(const struct recipe *recipe, FILE *stream, const char *prefix)
{
    for (size_t i = 0; i < recipe->lines.count; i++) {
        const struct line *line = &recipe->lines.items[i];

        if (line->off)
            continue;
        fprintf(stream, "%s%s", prefix, line->verb);
        if (*line->argument)
            fprintf(stream, " %s", line->argument);
        if (line->second)
            fprintf(stream, " %s", line->second);
        for (size_t j = 0; j < line->fields.count; j++) {
            if (line->fields.items[j].value)
                fprintf(stream, " %s=%s", line->fields.items[j].name, line->fields.items[j].value);
        }
        for (size_t j = 0; j < line->rest.count; j++)
            fprintf(stream, " %s", line->rest.items[j]);
        fprintf(stream, "\n");
    }
}

const char *line_field(const struct line *line, const char *name)
{
    for (size_t i = 0; i < line->fields.count; i++) {
        if (strcmp(line->fields.items[i].name, name) == 0)
            return line->fields.items[i].value;
    }
    return NULL;
}

const char *recipe_text(const struct recipe *recipe, const char *text, const char *directory)
{
    const char *at, *result = "";

    while ((at = strchr(text, '@')) != NULL) {
        result = em_arena_printf(recipe->arena, "%s%.*s%s", result, (int)(at - text), text, directory);
        text = at + 1;
    }
    return em_arena_printf(recipe->arena, "%s%s", result, text);
}

/* ---- files ---- */

static void make_parents(const char *path)
{
    char copy[4096];

    snprintf(copy, sizeof copy, "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
}

static bool write_file(const char *path, struct em_bytes bytes)
{
    FILE *stream;
    bool good;

    make_parents(path);
    unlink(path);
    stream = fopen(path, "w");
    /* A random case may want a file where it has a directory: the first comer stays. */
    if (!stream)
        return errno == EISDIR;
    good = fwrite(bytes.data, 1, bytes.size, stream) == bytes.size;
    return fclose(stream) == 0 && good;
}

static bool build_line(const struct recipe *recipe, const struct line *line, const char *directory)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", directory, line->argument);
    if (strcmp(line->verb, "object") == 0)
        return write_file(path, object_make(recipe->arena, line, directory));
    if (strcmp(line->verb, "text") == 0)
        return write_file(path, (struct em_bytes){ (const uint8_t *)(line->second ? line->second : ""),
                                                   line->second ? strlen(line->second) : 0 });
    if (strcmp(line->verb, "directory") == 0) {
        make_parents(path);
        return mkdir(path, 0755) == 0 || errno == EEXIST;
    }
    if (strcmp(line->verb, "link") == 0) {
        make_parents(path);
        unlink(path);
        return symlink(recipe_text(recipe, line->second ? line->second : "nowhere", directory), path) == 0 || errno == EEXIST ||
               errno == EISDIR;
    }
    if (strcmp(line->verb, "hard") == 0) {
        char from[4096];

        snprintf(from, sizeof from, "%s/%s", directory, line->second);
        make_parents(path);
        /* What is to be linked may have been left out. */
        return link(from, path) == 0 || errno == EEXIST || errno == ENOENT || errno == EPERM || errno == ENOTDIR;
    }
    return true;
}

bool recipe_build(const struct recipe *recipe, const char *directory)
{
    for (size_t i = 0; i < recipe->lines.count; i++) {
        if (!recipe->lines.items[i].off && !build_line(recipe, &recipe->lines.items[i], directory)) {
            fprintf(stderr, "recipe: line %zu cannot be built: %s %s: %s\n", i, recipe->lines.items[i].verb,
                    recipe->lines.items[i].argument, strerror(errno));
            return false;
        }
    }
    return true;
}
