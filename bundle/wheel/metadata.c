#include "bundle/wheel/metadata.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool em_metadata_is_local(const char *label)
{
    for (const char *at = label; *at; at++)
        if (!isalnum((unsigned char)*at) && !(*at == '.' && at > label && isalnum((unsigned char)at[-1]) && at[1]))
            return false;
    return *label != '\0';
}

/* As PEP 440 wants a label spelled: small letters, numbers without zeros before them. */
static const char *normal_label(struct em_arena *arena, const char *label)
{
    char *normal = em_arena_strdup(arena, label), *to = normal;

    for (const char *part = label; normal && *part; part += *part == '.') {
        size_t length = strcspn(part, ".");
        bool number = strspn(part, "0123456789") == length;

        for (; number && length > 1 && *part == '0'; length--)
            part++;
        for (; length > 0; length--)
            *to++ = (char)tolower((unsigned char)*part++);
        *to = '\0';
        if (*part == '.')
            *to++ = '.';
    }
    return normal;
}

const char *em_metadata_local_version(struct em_arena *arena, const char *version, const char *given)
{
    const char *plus = strchr(version, '+'), *label = normal_label(arena, given), *dot = label ? strrchr(label, '.') : NULL;
    size_t stem = dot ? (size_t)(dot - label) + 1 : 0;

    if (!label)
        return NULL;
    if (!plus)
        return em_arena_printf(arena, "%s+%s", version, label);
    /* "mend." and a number at the end: one more than that. */
    if (stem > 0) {
        for (const char *at = plus + 1; (at = strchr(at, label[0])) != NULL; at++) {
            char *end;
            unsigned long number;

            if (strncmp(at, label, stem) != 0 || (at[-1] != '+' && at[-1] != '.') || !isdigit((unsigned char)at[stem]))
                continue;
            number = strtoul(at + stem, &end, 10);
            if (*end == '\0')
                return em_arena_printf(arena, "%.*s%lu", (int)(at + stem - version), version, number + 1);
        }
    }
    return em_arena_printf(arena, "%s.%s", version, label);
}

struct lines {
    const char *at, *end;
};

/* The next line with its end; false behind the last. */
static bool next_line(struct lines *lines, const char **line, size_t *size)
{
    const char *stop;

    if (lines->at == lines->end)
        return false;
    *line = lines->at;
    stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    lines->at = stop ? stop + 1 : lines->end;
    *size = (size_t)(lines->at - *line);
    return true;
}

static bool is_header(const char *line, size_t size, const char *name)
{
    size_t length = strlen(name);

    return size > length && strncasecmp(line, name, length) == 0 && line[length] == ':';
}

static bool is_empty(const char *line, size_t size)
{
    return size == 0 || line[0] == '\n' || (size > 1 && line[0] == '\r' && line[1] == '\n');
}

/* What stands behind the colon of a header, without white space around it. */
static void trim(const char *name, const char **line, size_t *size)
{
    const size_t length = strlen(name) + 1;

    *line += length;
    *size -= length;
    while (*size > 0 && isspace((unsigned char)**line)) {
        (*line)++;
        (*size)--;
    }
    while (*size > 0 && isspace((unsigned char)(*line)[*size - 1]))
        (*size)--;
}

int em_metadata_header(const char **value, struct em_arena *arena, struct em_bytes bytes, const char *name)
{
    struct lines lines = { (const char *)bytes.data, (const char *)bytes.data + bytes.size };
    const char *line;
    size_t size;

    *value = NULL;
    while (next_line(&lines, &line, &size) && !is_empty(line, size)) {
        if (!is_header(line, size, name))
            continue;
        trim(name, &line, &size);
        *value = em_arena_strndup(arena, line, size);
        return *value ? EM_OK : EM_NO_MEMORY;
    }
    return EM_OK;
}

/* 0: all of it is UTF-8. Else the line, from 1, that is not. */
static size_t find_odd_line(struct em_bytes text)
{
    size_t line = 1;

    for (size_t at = 0, size; at < text.size; at += size) {
        size = em_utf8_size(text.data + at, text.size - at);
        if (size == 0)
            return line;
        line += text.data[at] == '\n';
    }
    return 0;
}

int em_metadata_check(struct em_bytes metadata, const char *label, struct em_error *error)
{
    static const char *const once[] = { "Metadata-Version", "Name", "Version" };
    struct lines lines = { (const char *)metadata.data, (const char *)metadata.data + metadata.size };
    size_t seen[sizeof once / sizeof *once] = { 0 }, size, odd = find_odd_line(metadata);
    const char *line;

    if (odd)
        return em_fail(error, EM_BAD_RECORD, label, "has a METADATA that is not UTF-8 in line %zu", odd);
    while (next_line(&lines, &line, &size) && !is_empty(line, size))
        for (size_t i = 0; i < sizeof once / sizeof *once; i++)
            seen[i] += is_header(line, size, once[i]);
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        if (seen[i] != 1)
            return em_fail(error, EM_BAD_RECORD, label, "has a METADATA with %s %s", seen[i] ? "more than one" : "no", once[i]);
    return EM_OK;
}

/* The release: its numbers, without zeros at the end. Both are moved behind theirs. */
static bool is_same_release(const char **a, const char **b)
{
    for (;;) {
        bool more_a = isdigit((unsigned char)**a), more_b = isdigit((unsigned char)**b);
        char *end;
        unsigned long x = more_a ? strtoul(*a, &end, 10) : 0, y;

        if (more_a)
            *a = end + (end[0] == '.' && isdigit((unsigned char)end[1]));
        y = more_b ? strtoul(*b, &end, 10) : 0;
        if (more_b)
            *b = end + (end[0] == '.' && isdigit((unsigned char)end[1]));
        if (x != y)
            return false;
        if (!more_a && !more_b)
            return true;
    }
}

/* The next letter or digit of what follows the release; longer words for a phase are taken for their short ones. */
static int next_sign(const char **at)
{
    static const char *const words[][2] = { { "alpha", "a" }, { "beta", "b" }, { "preview", "c" },
                                            { "pre", "c" },   { "rc", "c" },   { "rev", "post" } };

    while (**at && strchr("-_.", **at))
        (*at)++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncasecmp(*at, words[i][0], strlen(words[i][0])) == 0) {
            *at += strlen(words[i][0]);
            return words[i][1][0];
        }
    if (strncasecmp(*at, "post", 4) == 0) {
        *at += 4;
        return 'p';
    }
    return **at ? tolower((unsigned char)*(*at)++) : 0;
}

bool em_metadata_is_same_version(const char *a, const char *b)
{
    a += *a == 'v' || *a == 'V';
    b += *b == 'v' || *b == 'V';
    if (!is_same_release(&a, &b))
        return false;
    for (;;) {
        int x = next_sign(&a), y = next_sign(&b);

        if (x != y)
            return false;
        if (!x)
            return true;
    }
}

static int finish(struct em_bytes *edited, struct em_arena *arena, struct em_text *text)
{
    if (text->failed)
        return EM_NO_MEMORY;
    *edited = (struct em_bytes){ (const uint8_t *)em_arena_strndup(arena, text->data ? text->data : "", text->size),
                                 text->size };
    return edited->data ? EM_OK : EM_NO_MEMORY;
}

/* Lines that stand behind the last header of that name, or behind all headers: bytes of text before them. */
static size_t place_behind(struct em_bytes bytes, const char *name)
{
    struct lines lines = { (const char *)bytes.data, (const char *)bytes.data + bytes.size };
    const char *line;
    size_t size, place = 0, end = 0;
    bool inside = false;

    while (next_line(&lines, &line, &size) && !is_empty(line, size)) {
        /* A continued line belongs to the header before it. */
        inside = line[0] == ' ' || line[0] == '\t' ? inside : is_header(line, size, name);
        end = (size_t)(lines.at - (const char *)bytes.data);
        if (inside)
            place = end;
    }
    return place ? place : end;
}

/* Behind an empty line everything is description (core metadata; RFC 822): a reader would not find what is put there. */
static int no_headers(struct em_error *error, const char *label, const char *name)
{
    return em_fail(error, EM_BAD_RECORD, label,
                   "has a %s that is empty or begins with an empty line, so that it has no headers: "
                   "ask whoever built the wheel",
                   name);
}

/* Lines that go behind the last header of their name. */
struct insertion {
    const char *name;
    const struct em_strings *values;
    size_t place;
};

static bool knows_licenses(const char *version)
{
    char *end;
    unsigned long major = version ? strtoul(version, &end, 10) : 0;

    return major > 2 || (major == 2 && *end == '.' && strtoul(end + 1, NULL, 10) >= 4);
}

static bool has_header(struct em_bytes metadata, const char *name, const char *value)
{
    struct lines lines = { (const char *)metadata.data, (const char *)metadata.data + metadata.size };
    const size_t length = strlen(value);
    const char *line;
    size_t size;

    while (next_line(&lines, &line, &size) && !is_empty(line, size)) {
        if (!is_header(line, size, name))
            continue;
        trim(name, &line, &size);
        if (size == length && memcmp(line, value, length) == 0)
            return true;
    }
    return false;
}

int em_metadata_edit(struct em_bytes *edited, struct em_arena *arena, struct em_bytes metadata,
                     const struct em_plan_wheel *change, const struct em_strings *licences, const char *label,
                     struct em_error *error)
{
    struct em_strings license_files = { 0 };
    struct lines lines = { (const char *)metadata.data, (const char *)metadata.data + metadata.size };
    struct insertion insertions[] = { { "Requires-Dist", &change->requires, place_behind(metadata, "Requires-Dist") },
                                      { "License-File", &license_files, place_behind(metadata, "License-File") } };
    em_cleanup_text struct em_text text = { 0 };
    bool headers = true, versioned = false;
    const char *line, *known, *line_end = memmem(metadata.data, metadata.size, "\r\n", 2) ? "\r\n" : "\n";
    size_t size;

    if (insertions[0].place == 0)
        return no_headers(error, label, "METADATA");
    if (em_metadata_header(&known, arena, metadata, "Metadata-Version") < 0)
        return EM_NO_MEMORY;
    em_vec_each (const char *, licence, licences)
        if (knows_licenses(known) && !has_header(metadata, "License-File", *licence) &&
            em_vec_push(arena, &license_files, *licence) < 0)
            return EM_NO_MEMORY;
    while (next_line(&lines, &line, &size)) {
        headers = headers && !is_empty(line, size);
        if (headers && change->version && !versioned && is_header(line, size, "Version")) {
            em_text_printf(&text, "Version: %s%s", change->version, line_end);
            versioned = true;
        } else {
            em_text_add_bytes(&text, line, size);
        }
        for (size_t i = 0; i < sizeof insertions / sizeof *insertions; i++) {
            if ((size_t)(lines.at - (const char *)metadata.data) != insertions[i].place || insertions[i].values->count == 0)
                continue;
            if (text.data[text.size - 1] != '\n')
                em_text_add(&text, line_end);
            em_vec_each (const char *, value, insertions[i].values)
                em_text_printf(&text, "%s: %s%s", insertions[i].name, *value, line_end);
        }
    }
    if (change->version && !versioned)
        return em_fail(error, EM_BAD_RECORD, label, "has a METADATA without a Version to change: ask whoever built the wheel");
    return finish(edited, arena, &text);
}

/* "cp311.cp312-abi3-a.b": the next of the parts of one field; false behind the last. */
static bool next_part(const char **at, const char **part, size_t *size)
{
    if (!**at)
        return false;
    *part = *at;
    *size = strcspn(*at, ".");
    *at += *size + ((*at)[*size] == '.');
    return true;
}

/* Without white space around it, and what the line ends in. */
static struct em_bytes value_of(const char *line, size_t size)
{
    const char *at = memchr(line, ':', size), *end = line + size;

    for (at++; at < end && isspace((unsigned char)*at);)
        at++;
    while (end > at && isspace((unsigned char)end[-1]))
        end--;
    return (struct em_bytes){ (const uint8_t *)at, (size_t)(end - at) };
}

/* tags: a line each, which WHEEL may have in another order. */
static bool says(struct em_bytes wheel, const char *build, const struct em_text *tags)
{
    struct lines lines = { (const char *)wheel.data, (const char *)wheel.data + wheel.size };
    size_t builds = 0, tagged = 0, wanted = 0, size;
    const char *line;

    for (const char *at = tags->data; (at = strchr(at, '\n')) != NULL; at++)
        wanted++;
    while (next_line(&lines, &line, &size) && !is_empty(line, size)) {
        const bool is_tag = is_header(line, size, "Tag"), is_build = is_header(line, size, "Build");
        const struct em_bytes value = is_tag || is_build ? value_of(line, size) : (struct em_bytes){ 0 };
        char spelled[512];

        if (is_build && (++builds > 1 || !build || strlen(build) != value.size || memcmp(build, value.data, value.size) != 0))
            return false;
        if (!is_tag)
            continue;
        if (snprintf(spelled, sizeof spelled, "Tag: %.*s\n", (int)value.size, (const char *)value.data) >=
                (int)sizeof spelled ||
            !strstr(tags->data, spelled))
            return false;
        tagged++;
    }
    return tagged == wanted && builds == (build != NULL);
}

static int add_tags(struct em_text *text, struct em_arena *arena, const char *tags)
{
    const char *fields[3], *python, *abi, *platform;
    char *rest = em_arena_strdup(arena, tags);
    size_t sizes[3];

    for (size_t i = 0; i < 3; i++) {
        fields[i] = rest ? strsep(&rest, "-") : NULL;
        if (!fields[i])
            return EM_NO_MEMORY;
    }
    for (const char *p = fields[0]; next_part(&p, &python, &sizes[0]);)
        for (const char *a = fields[1]; next_part(&a, &abi, &sizes[1]);)
            for (const char *f = fields[2]; next_part(&f, &platform, &sizes[2]);)
                em_text_printf(text, "Tag: %.*s-%.*s-%.*s\n", (int)sizes[0], python, (int)sizes[1], abi, (int)sizes[2],
                               platform);
    return EM_OK;
}

int em_metadata_edit_wheel(struct em_bytes *edited, struct em_arena *arena, struct em_bytes wheel, const char *build,
                           const char *tags, const char *label, struct em_error *error)
{
    struct lines lines = { (const char *)wheel.data, (const char *)wheel.data + wheel.size };
    em_cleanup_text struct em_text text = { 0 }, tagged = { 0 };
    size_t place = place_behind(wheel, "Tag"), size;
    const char *line;

    *edited = (struct em_bytes){ 0 };
    if (place == 0)
        return no_headers(error, label, "WHEEL");
    if (add_tags(&tagged, arena, tags) < 0 || tagged.failed)
        return EM_NO_MEMORY;
    if (says(wheel, build, &tagged))
        return EM_OK;
    while (next_line(&lines, &line, &size)) {
        if (!is_header(line, size, "Build") && !is_header(line, size, "Tag"))
            em_text_add_bytes(&text, line, size);
        if ((size_t)(lines.at - (const char *)wheel.data) != place)
            continue;
        if (text.size > 0 && text.data[text.size - 1] != '\n')
            em_text_add(&text, "\n");
        em_text_add_bytes(&text, tagged.data, tagged.size);
        if (build)
            em_text_printf(&text, "Build: %s\n", build);
    }
    return finish(edited, arena, &text);
}

void em_metadata_add_row(struct em_text *record, const char *path, const struct em_sha256 *sha256, uint64_t size)
{
    char digest[EM_SHA256_BASE64_SIZE];

    if (strpbrk(path, ",\"\r\n")) {
        em_text_add(record, "\"");
        for (const char *at = path; *at; at++)
            em_text_printf(record, *at == '"' ? "\"\"" : "%c", *at);
        em_text_add(record, "\"");
    } else {
        em_text_add(record, path);
    }
    if (!sha256) {
        em_text_add(record, ",,\n");
        return;
    }
    em_sha256_base64(sha256, digest);
    em_text_printf(record, ",sha256=%s,%llu\n", digest, (unsigned long long)size);
}
