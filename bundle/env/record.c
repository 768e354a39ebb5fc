#include "bundle/env/record.h"

#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL /* a library less to load at each start */
#include <xxhash.h>

/* A place in the RECORD while it is read: our copy of it, in which a NUL takes the place of each comma behind a path or a hash once
 * its row is read. So a field without quotes is a string where it stands, and a RECORD of thousands of rows is in memory once; as no
 * RECORD holds a NUL of its own, writing puts the commas back. */
struct input {
    struct em_arena *arena;
    char *data;
    size_t size, at;
    unsigned line;     /* of at, counted by line feeds, from 1 */
    const char *wrong; /* what is wrong with the row, for the message */
    unsigned wrong_line;
};

struct field {
    size_t start, end; /* quotes included */
    bool quoted;
};

static int row_wrong(struct input *in, unsigned line, const char *what)
{
    in->wrong = what;
    in->wrong_line = line;
    return EM_BAD_RECORD;
}

static bool at_end(const struct input *in)
{
    return in->at >= in->size;
}

static char peek(const struct input *in)
{
    return in->data[in->at];
}

/* The length of a line end at the place, 0 if there is none. A lone CR is data: pip has written paths with one, and a reader that
 * drops it would look for another file. */
static size_t line_end_size(const struct input *in)
{
    if (at_end(in))
        return 0;
    if (peek(in) == '\n')
        return 1;
    return peek(in) == '\r' && in->at + 1 < in->size && in->data[in->at + 1] == '\n' ? 2 : 0;
}

/* Goes over one character of a field. */
static int step(struct input *in)
{
    const uint8_t *at = (const uint8_t *)in->data + in->at;
    size_t size = em_utf8_size(at, in->size - in->at);

    if (size == 0)
        return row_wrong(in, in->line, "is not UTF-8");
    if (*at == '\0')
        return row_wrong(in, in->line, "holds a NUL byte");
    if (*at == '\n')
        in->line++;
    in->at += size;
    return EM_OK;
}

static int step_over_quoted(struct input *in)
{
    unsigned opened = in->line;
    int r;

    in->at++;
    while (!at_end(in)) {
        if (peek(in) == '"') {
            in->at++;
            if (at_end(in) || peek(in) == ',' || line_end_size(in) > 0)
                return EM_OK;
            if (peek(in) != '"')
                return row_wrong(in, in->line, "has text behind a closing quote");
        }
        r = step(in);
        if (r < 0)
            return r;
    }
    return row_wrong(in, opened, "opens a quote that is never closed");
}

static int step_over_bare(struct input *in)
{
    for (;;) {
        int r;

        /* Nearly all of a RECORD: printable ASCII. */
        while (!at_end(in) && peek(in) >= ' ' && peek(in) != ',')
            in->at++;
        if (at_end(in) || peek(in) == ',' || line_end_size(in) > 0)
            return EM_OK;
        r = step(in);
        if (r < 0)
            return r;
    }
}

/* The three fields of a row; the place is then at its line end. */
static int find_fields(struct input *in, struct field fields[3])
{
    size_t count = 0;
    int r;

    for (;;) {
        struct field *field = &fields[count];

        if (count == 3)
            return row_wrong(in, in->line, "has more than three fields");
        *field = (struct field){ .start = in->at, .quoted = !at_end(in) && peek(in) == '"' };
        r = field->quoted ? step_over_quoted(in) : step_over_bare(in);
        if (r < 0)
            return r;
        field->end = in->at;
        count++;
        if (at_end(in) || peek(in) != ',')
            break;
        in->at++;
    }
    return count == 3 ? EM_OK : row_wrong(in, in->line, "has fewer than three fields");
}

/* A path or a hash as a string: where it stands, or without its quotes. NULL: no memory. */
static const char *field_string(struct input *in, const struct field *field)
{
    size_t length = field->end - field->start;
    char *string, *to;

    if (!field->quoted) {
        in->data[field->end] = '\0'; /* in place of the comma */
        return in->data + field->start;
    }
    string = to = em_arena_strndup(in->arena, in->data + field->start, length);
    if (!string)
        return NULL;
    for (const char *from = string + 1, *end = string + length - 1; from < end; from++) {
        *to++ = *from;
        if (*from == '"')
            from++;
    }
    *to = '\0';
    return string;
}

/* An empty one is no size, and no fault. */
static bool parse_size(const struct input *in, const struct field *field, bool *has_size, uint64_t *size)
{
    size_t end = field->end - field->quoted;

    *size = 0;
    for (size_t i = field->start + field->quoted; i < end; i++) {
        char c = in->data[i];

        if (c < '0' || c > '9' || __builtin_mul_overflow(*size, 10u, size) ||
            __builtin_add_overflow(*size, (uint64_t)(c - '0'), size))
            return false;
        *has_size = true;
    }
    return true;
}

static int make_row(struct input *in, unsigned line, const struct field fields[3], struct em_record_row *row)
{
    *row = (struct em_record_row){ .path = field_string(in, &fields[0]), .hash = field_string(in, &fields[1]) };
    if (!row->path || !row->hash)
        return EM_NO_MEMORY;
    if (*row->path == '\0')
        return row_wrong(in, line, "has no path");
    if (strncmp(row->hash, "sha256=", 7) == 0)
        row->has_sha256 = em_sha256_from_base64(row->hash + 7, &row->sha256);
    if (!parse_size(in, &fields[2], &row->has_size, &row->size))
        return row_wrong(in, line, "has a size that is no number");
    return EM_OK;
}

/* Empty lines belong to what stands before them. */
static void skip_empty_lines(struct input *in)
{
    for (size_t size; (size = line_end_size(in)) > 0; in->at += size)
        in->line++;
}

static int read_row(struct input *in, struct em_record *record, struct em_record_row *row, unsigned *line)
{
    size_t start = in->at, end;
    struct field fields[3];
    int r;

    *line = in->line;
    r = find_fields(in, fields);
    if (r == EM_OK)
        r = make_row(in, *line, fields, row);
    if (r < 0)
        return r;
    end = line_end_size(in);
    if (record->rows.count == 0) {
        record->line_end = end == 2 ? "\r\n" : "\n";
        record->quotes_all = fields[0].quoted && fields[1].quoted && fields[2].quoted;
    }
    skip_empty_lines(in);
    row->raw = (struct em_bytes){ (const uint8_t *)in->data + start, in->at - start };
    return EM_OK;
}

/* ---- by path ---- */

/* The slot of a path: where it is, or where it would be. Slots hold index plus 1, at most half of them taken. */
static uint32_t *slot_of(const struct em_record *record, const char *path)
{
    size_t at = XXH3_64bits(path, strlen(path)) & (record->slot_count - 1);

    while (record->slots[at] != 0 && strcmp(record->rows.items[record->slots[at] - 1].path, path) != 0)
        at = (at + 1) & (record->slot_count - 1);
    return &record->slots[at];
}

static int make_slots(struct em_record *record, size_t rows)
{
    size_t count = 16;

    while (count / 2 < rows)
        count *= 2;
    record->slots = em_arena_array(record->arena, count, sizeof *record->slots);
    record->slot_count = record->slots ? count : 0;
    return record->slots ? EM_OK : EM_NO_MEMORY;
}

/* Points the path's slot to the row, or leaves it with the earlier row of that path. A row without a digest counts before one with:
 * pip has written the file anew, and says that it may be anything. */
static void fill_slot(struct em_record *record, uint32_t index)
{
    const struct em_record_row *row = &record->rows.items[index];
    uint32_t *slot = slot_of(record, row->path);

    if (*slot == 0 || (!row->has_sha256 && record->rows.items[*slot - 1].has_sha256))
        *slot = index + 1;
}

static int refill_slots(struct em_record *record)
{
    if (record->rows.count * 2 > record->slot_count) {
        if (make_slots(record, record->rows.count * 2) < 0)
            return EM_NO_MEMORY;
    } else {
        memset(record->slots, 0, record->slot_count * sizeof *record->slots);
    }
    for (uint32_t i = 0; i < record->rows.count; i++)
        fill_slot(record, i);
    return EM_OK;
}

struct em_record_row *em_record_find(const struct em_record *record, const char *path)
{
    uint32_t *slot;

    if (record->slot_count == 0)
        return NULL;
    slot = slot_of(record, path);
    return *slot ? &record->rows.items[*slot - 1] : NULL;
}

/* ---- reading ---- */

static int read_rows(struct em_record *record, struct input *in)
{
    while (!at_end(in)) {
        struct em_record_row row;
        const struct em_record_row *known;
        unsigned line;
        int r = read_row(in, record, &row, &line);

        if (r < 0)
            return r;
        if (record->rows.count == EM_MAX_RECORD_ROWS)
            return EM_LIMIT;
        r = em_vec_push(record->arena, &record->rows, row);
        if (r < 0)
            return r;
        /* A .pyc that a wheel brought and pip compiled again is listed twice, once without a digest: that is no contradiction. */
        known = em_record_find(record, row.path);
        record->repeats = record->repeats || known;
        if (!record->contradiction && known && known->has_sha256 && row.has_sha256 &&
            !em_sha256_equal(&known->sha256, &row.sha256))
            record->contradiction = line;
        fill_slot(record, (uint32_t)record->rows.count - 1);
        if (record->rows.count * 2 > record->slot_count && refill_slots(record) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* How many rows to make room for at once: a RECORD of torch has 13,000. Lines of fewer than 32 bytes are not believed in advance. */
static size_t guess_rows(struct em_bytes bytes)
{
    size_t count = 1;

    for (const uint8_t *at = bytes.data, *end = at + bytes.size; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        count++;
    return count < bytes.size / 32 + 8 ? count : bytes.size / 32 + 8;
}

int em_record_read(struct em_record *record, struct em_arena *arena, struct em_bytes bytes, const char *label,
                   struct em_error *error)
{
    static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
    struct input in = { .arena = arena, .size = bytes.size, .line = 1 };
    size_t rows;
    int r;

    *record = (struct em_record){ .arena = arena, .line_end = "\n" };
    if (bytes.size == 0)
        return EM_OK;
    if (bytes.size > EM_MAX_RECORD)
        return em_fail(error, EM_LIMIT, label, "has more than the %llu bytes that a RECORD may have",
                       (unsigned long long)EM_MAX_RECORD);
    rows = guess_rows(bytes);
    in.data = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    record->rows.items = em_arena_array(arena, rows, sizeof *record->rows.items);
    if (!in.data || !record->rows.items || make_slots(record, rows) < 0) {
        *record = (struct em_record){ .arena = arena, .line_end = "\n" };
        return EM_NO_MEMORY;
    }
    record->rows.capacity = rows;
    record->has_bom = bytes.size >= sizeof mark && memcmp(bytes.data, mark, sizeof mark) == 0;
    in.at = record->has_bom ? sizeof mark : 0;
    skip_empty_lines(&in);
    record->head = (struct em_bytes){ (const uint8_t *)in.data, in.at };
    r = read_rows(record, &in);
    if (r < 0)
        *record = (struct em_record){ .arena = arena, .line_end = "\n" };
    if (r == EM_BAD_RECORD)
        return em_fail(error, r, label, "line %u %s", in.wrong_line, in.wrong);
    if (r == EM_LIMIT)
        return em_fail(error, r, label, "has more than the %u rows that a RECORD may have", EM_MAX_RECORD_ROWS);
    return r;
}

/* ---- changing and writing ---- */

/* The csv module quotes what holds a separator, a quote or a line end; a CR too. */
static void add_field(struct em_text *text, const char *field, bool always)
{
    if (!always && !strpbrk(field, ",\"\r\n")) {
        em_text_add(text, field);
        return;
    }
    em_text_add(text, "\"");
    for (; *field; field++)
        em_text_add_bytes(text, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    em_text_add(text, "\"");
}

/* The path of a row as it is spelled in its bytes, quotes included: all of it that precedes the first separator, comma or NUL. */
static size_t spelled_path(struct em_bytes raw)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < raw.size && (quoted || (raw.data[i] != ',' && raw.data[i] != '\0')); i++) {
        if (raw.data[i] == '"' && raw.data[0] == '"')
            quoted = !quoted;
    }
    return i;
}

static size_t line_ends_size(struct em_bytes raw)
{
    size_t size = 0;

    while (size < raw.size && (raw.data[raw.size - size - 1] == '\n' ||
                               (size > 0 && raw.data[raw.size - size - 1] == '\r' && raw.data[raw.size - size] == '\n')))
        size++;
    return size;
}

/* The bytes of a row that changed: its path and line end as old has them, where there is an old one. */
static int spell(struct em_record *record, struct em_record_row *row, struct em_bytes old)
{
    em_cleanup_text struct em_text text = { 0 };
    bool quotes_all = old.data ? spelled_path(old) + 1 < old.size && old.data[spelled_path(old) + 1] == '"'
                               : record->quotes_all;
    char size[32];

    if (old.data)
        em_text_add_bytes(&text, old.data, spelled_path(old));
    else
        add_field(&text, row->path, quotes_all);
    em_text_add(&text, ",");
    add_field(&text, row->hash, quotes_all);
    em_text_add(&text, ",");
    snprintf(size, sizeof size, "%llu", (unsigned long long)row->size);
    add_field(&text, size, quotes_all);
    if (old.data)
        em_text_add_bytes(&text, old.data + old.size - line_ends_size(old), line_ends_size(old));
    else
        em_text_add(&text, record->line_end);
    if (text.failed)
        return EM_NO_MEMORY;
    row->raw.data = (const uint8_t *)em_arena_strndup(record->arena, text.data, text.size);
    row->raw.size = text.size;
    return row->raw.data ? EM_OK : EM_NO_MEMORY;
}

/* RECORD's own row: "NAME-VERSION.dist-info/RECORD". Another distribution's, vendored, lies deeper. */
static bool is_own(const char *path)
{
    const char *slash = strchr(path, '/');

    return slash && strcmp(slash, "/RECORD") == 0 && slash - path > 10 && strncmp(slash - 10, ".dist-info", 10) == 0;
}

/* The last row may lack a line end; with a row behind it, it needs one. */
static int end_last_line(struct em_record *record)
{
    struct em_record_row *last = record->rows.count ? &record->rows.items[record->rows.count - 1] : NULL;
    size_t size = strlen(record->line_end);
    char *ended;

    if (!last || line_ends_size(last->raw) > 0)
        return EM_OK;
    ended = em_arena_alloc(record->arena, last->raw.size + size);
    if (!ended)
        return EM_NO_MEMORY;
    memcpy(ended, last->raw.data, last->raw.size);
    memcpy(ended + last->raw.size, record->line_end, size);
    last->raw = (struct em_bytes){ (const uint8_t *)ended, last->raw.size + size };
    return EM_OK;
}

static int insert(struct em_record *record, const struct em_record_row *row)
{
    size_t at = 0;
    int r;

    while (at < record->rows.count && !is_own(record->rows.items[at].path))
        at++;
    r = at == record->rows.count ? end_last_line(record) : EM_OK;
    if (r == EM_OK)
        r = em_vec_push(record->arena, &record->rows, *row);
    if (r < 0)
        return r;
    memmove(record->rows.items + at + 1, record->rows.items + at, (record->rows.count - 1 - at) * sizeof *row);
    record->rows.items[at] = *row;
    return refill_slots(record);
}

int em_record_put(struct em_record *record, const char *path, const struct em_sha256 *sha256, uint64_t size)
{
    struct em_record_row *found = em_record_find(record, path);
    struct em_record_row row = { .has_sha256 = true, .sha256 = *sha256, .has_size = true, .size = size };
    char base64[EM_SHA256_BASE64_SIZE];
    int r;

    if (found && found->has_sha256 && em_sha256_equal(&found->sha256, sha256) && found->has_size && found->size == size)
        return EM_OK;
    em_sha256_base64(sha256, base64);
    row.path = found ? found->path : em_arena_strdup(record->arena, path);
    row.hash = em_arena_printf(record->arena, "sha256=%s", base64);
    if (!row.path || !row.hash)
        return EM_NO_MEMORY;
    r = spell(record, &row, found ? found->raw : (struct em_bytes){ 0 });
    if (r < 0)
        return r;
    if (!found)
        return insert(record, &row);
    *found = row;
    return EM_OK;
}

void em_record_write(const struct em_record *record, struct em_text *text)
{
    em_text_add_bytes(text, record->head.data, record->head.size);
    em_vec_each (const struct em_record_row, row, &record->rows) {
        for (size_t at = 0; at < row->raw.size;) {
            const uint8_t *start = row->raw.data + at, *nul = memchr(start, '\0', row->raw.size - at);
            size_t size = nul ? (size_t)(nul - start) : row->raw.size - at;

            em_text_add_bytes(text, start, size);
            if (nul)
                em_text_add(text, ",");
            at += size + (nul ? 1 : 0);
        }
    }
}

bool em_is_signature(const char *path)
{
    static const char dist_info[] = ".dist-info";
    const size_t length = strcspn(path, "/"), suffix = sizeof dist_info - 1;

    return length > suffix && strncmp(path + length - suffix, dist_info, suffix) == 0 &&
           (strcmp(path + length, "/RECORD.jws") == 0 || strcmp(path + length, "/RECORD.p7s") == 0);
}
