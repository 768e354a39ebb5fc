#include "bundle/source/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME "list"
#define PAPER "p"

static const char kinds[] = { [EM_MEMBER_FILE] = 'f', [EM_MEMBER_LINK] = 'l', [EM_MEMBER_HARD] = 'h' };

int em_listing_add(struct em_listing *listing, struct em_arena *arena, const struct em_member *member)
{
    struct em_member *kept = em_new(arena, struct em_member);

    if (!kept)
        return EM_NO_MEMORY;
    listing->by_path.arena = arena;
    if (em_map_get(&listing->by_path, member->path))
        return EM_REFUSED;
    *kept = *member;
    return em_vec_push(arena, listing, kept) < 0 ? EM_NO_MEMORY : em_map_put(&listing->by_path, kept->path, kept);
}

/* The next field of a line; NULL: there is none. */
static char *field(char **at)
{
    return *at ? strsep(at, "\t") : NULL;
}

static bool parse_digest(const char *text, bool *has_digest, struct em_xxh3 *digest)
{
    *has_digest = strcmp(text, "-") != 0;
    return !*has_digest || em_xxh3_from_hex(text, digest);
}

static int parse_paper(struct em_listing *listing, struct em_arena *arena, char *line)
{
    const char *hex = field(&line);
    struct em_paper paper = { .path = field(&line) };

    if (!paper.path || line || !em_path_is_contained(paper.path) || !em_xxh3_from_hex(hex, &paper.digest))
        return EM_BAD_RECORD;
    return em_vec_push(arena, &listing->papers, paper);
}

static int parse_member(struct em_listing *listing, struct em_arena *arena, enum em_member_kind kind, char *line)
{
    struct em_member member = { .kind = kind };
    const char *size = field(&line), *digest = field(&line);
    char *end;

    member.path = field(&line);
    member.target = field(&line);
    member.soname = field(&line);
    if (!member.soname || line || !em_path_is_contained(member.path) ||
        !parse_digest(digest, &member.has_digest, &member.digest))
        return EM_BAD_RECORD;
    member.size = strtoull(size, &end, 10);
    if (*end != '\0' || (member.kind != EM_MEMBER_FILE && !em_path_is_contained(member.target)))
        return EM_BAD_RECORD;
    if (member.kind == EM_MEMBER_FILE)
        member.target = NULL;
    if (strcmp(member.soname, "?") == 0)
        member.soname = NULL;
    return em_listing_add(listing, arena, &member) == EM_NO_MEMORY ? EM_NO_MEMORY : EM_OK;
}

static int parse_line(struct em_listing *listing, struct em_arena *arena, char *line)
{
    const char *kind = field(&line);

    if (strcmp(kind, PAPER) == 0)
        return parse_paper(listing, arena, line);
    for (size_t i = 0; i < sizeof kinds; i++)
        if (kind[0] == kinds[i] && kind[1] == '\0')
            return parse_member(listing, arena, (enum em_member_kind)i, line);
    return EM_BAD_RECORD;
}

/* What begins with the digest of the rest. */
static bool take_whole(char **text, size_t size)
{
    struct em_xxh3 found, wanted;
    struct em_reader reader;
    struct em_bytes rest;
    char *hex = size > EM_XXH3_HEX_SIZE ? strsep(text, "\n") : NULL;

    if (!hex || strlen(hex) != EM_XXH3_HEX_SIZE - 1 || !em_xxh3_from_hex(hex, &wanted))
        return false;
    rest = (struct em_bytes){ (const uint8_t *)*text, size - EM_XXH3_HEX_SIZE };
    reader = em_reader_memory(&rest, NAME);
    return em_hash_reader(&reader, NULL, &found, NULL) == EM_OK && em_xxh3_equal(&found, &wanted);
}

static int check_papers(const struct em_listing *listing, int directory, struct em_error *error)
{
    em_cleanup_fd int root = em_open_at(directory, EM_LISTING_FILES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, error);

    if (root < 0)
        return root;
    em_vec_each (const struct em_paper, paper, &listing->papers)
        if (!em_listing_is_sound(root, paper->path, &paper->digest))
            return EM_BAD_RECORD;
    return EM_OK;
}

int em_listing_read(struct em_listing *listing, struct em_arena *arena, int directory, struct em_error *error)
{
    struct em_bytes bytes;
    char *text, *line;
    int r = em_read_file_at(directory, NAME, EM_MAX_RECORD, arena, &bytes, error);

    *listing = (struct em_listing){ 0 };
    if (r < 0)
        return r;
    text = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    if (!text)
        return EM_NO_MEMORY;
    if (!take_whole(&text, bytes.size))
        return EM_BAD_RECORD;
    while ((line = strsep(&text, "\n")) && r == EM_OK)
        if (*line)
            r = parse_line(listing, arena, line);
    return r == EM_OK ? check_papers(listing, directory, error) : r;
}

static void print(const struct em_listing *listing, struct em_text *text)
{
    char hex[EM_XXH3_HEX_SIZE];

    em_vec_each (struct em_member *, at, listing) {
        const struct em_member *member = *at;

        em_xxh3_hex(&member->digest, hex);
        em_text_printf(text, "%c\t%" PRIu64 "\t%s\t%s\t%s\t%s\n", kinds[member->kind], member->size,
                       member->has_digest ? hex : "-", member->path, member->target ? member->target : "",
                       member->soname ? member->soname : "?");
    }
    em_vec_each (const struct em_paper, paper, &listing->papers) {
        em_xxh3_hex(&paper->digest, hex);
        em_text_printf(text, PAPER "\t%s\t%s\n", hex, paper->path);
    }
}

static int write_text(int fd, const struct em_text *text, const char *label, struct em_error *error)
{
    const struct em_bytes bytes = { (const uint8_t *)text->data, text->size };
    struct em_reader reader = em_reader_memory(&bytes, label);
    char hex[EM_XXH3_HEX_SIZE];
    struct em_xxh3 digest;
    int r = em_hash_reader(&reader, NULL, &digest, error);

    if (r < 0)
        return r;
    em_xxh3_hex(&digest, hex);
    hex[EM_XXH3_HEX_SIZE - 1] = '\n';
    r = em_write_all(fd, hex, sizeof hex, label, error);
    return r < 0 ? r : em_write_all(fd, text->data, text->size, label, error);
}

int em_listing_write(const struct em_listing *listing, struct em_arena *arena, int directory, const char *label,
                     struct em_error *error)
{
    em_cleanup_text struct em_text text = { 0 };
    const char *name = em_random_name(arena, "list-");
    em_cleanup_fd int fd = -1;
    int r;

    print(listing, &text);
    if (text.failed || !name)
        return EM_NO_MEMORY;
    fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return em_fail_errno(error, label, "cannot be listed in the cache");
    r = write_text(fd, &text, label, error);
    if (r == EM_OK && renameat(directory, name, directory, NAME) < 0)
        r = em_fail_errno(error, label, "cannot be listed in the cache");
    if (r < 0)
        unlinkat(directory, name, 0);
    return r;
}

int em_listing_digest(int root, const char *path, struct em_xxh3 *digest, struct em_error *error)
{
    struct stat st;
    em_cleanup_fd int fd = em_open_file_at(root, path, O_NOFOLLOW, &st, error);
    struct em_reader reader;

    if (fd < 0)
        return fd;
    reader = em_reader_fd(fd, (uint64_t)st.st_size, path);
    return em_hash_reader(&reader, NULL, digest, error);
}

bool em_listing_is_sound(int root, const char *path, const struct em_xxh3 *digest)
{
    struct em_xxh3 found;

    return em_listing_digest(root, path, &found, NULL) == EM_OK && em_xxh3_equal(&found, digest);
}

int em_listing_add_paper(struct em_listing *listing, struct em_arena *arena, int root, const char *path, struct em_error *error)
{
    struct em_paper paper = { .path = path };
    int r = em_listing_digest(root, path, &paper.digest, error);

    if (r == EM_NOT_FOUND)
        return EM_OK;
    return r < 0 ? r : em_vec_push(arena, &listing->papers, paper);
}

/* One of them is the other, cut at a dot behind ".so". */
bool em_member_may_answer(const char *file_name, const char *name)
{
    const size_t a = strlen(file_name), b = strlen(name), shorter = a < b ? a : b;
    const char *longer = a < b ? name : file_name, *end = strstr(name, ".so");

    return strncmp(file_name, name, shorter) == 0 && (longer[shorter] == '\0' || longer[shorter] == '.') &&
           shorter >= (end ? (size_t)(end - name) + 3 : b);
}
