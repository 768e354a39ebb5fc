#include "bundle/source/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME "list"

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

static int parse_line(struct em_listing *listing, struct em_arena *arena, char *line)
{
    struct em_member member = { 0 };
    const char *kind = field(&line), *size = field(&line), *at;
    char *end;

    member.path = field(&line);
    member.target = field(&line);
    member.soname = field(&line);
    if (!kind || !member.soname || line || !em_path_is_contained(member.path) || !(at = strchr("flh", *kind)) || !*kind ||
        kind[1] != '\0')
        return EM_BAD_RECORD;
    member.kind = (enum em_member_kind)(at - "flh");
    member.size = strtoull(size, &end, 10);
    if (*end != '\0' || (member.kind != EM_MEMBER_FILE && !em_path_is_contained(member.target)))
        return EM_BAD_RECORD;
    if (member.kind == EM_MEMBER_FILE)
        member.target = NULL;
    if (strcmp(member.soname, "?") == 0)
        member.soname = NULL;
    return em_listing_add(listing, arena, &member) == EM_NO_MEMORY ? EM_NO_MEMORY : EM_OK;
}

int em_listing_read(struct em_listing *listing, struct em_arena *arena, int directory, const char *label,
                    struct em_error *error)
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
    while ((line = strsep(&text, "\n")) && r == EM_OK)
        if (*line)
            r = parse_line(listing, arena, line);
    return r == EM_BAD_RECORD ? em_fail(error, r, label, "is in the cache with a list that elfmend did not write") : r;
}

int em_listing_write(const struct em_listing *listing, struct em_arena *arena, int directory, const char *label,
                     struct em_error *error)
{
    em_cleanup_text struct em_text text = { 0 };
    const char *name = em_random_name(arena, "list-");
    em_cleanup_fd int fd = -1;
    int r;

    em_vec_each (struct em_member *, at, listing) {
        const struct em_member *member = *at;

        em_text_printf(&text, "%c\t%" PRIu64 "\t%s\t%s\t%s\n", kinds[member->kind], member->size, member->path,
                       member->target ? member->target : "", member->soname ? member->soname : "?");
    }
    if (text.failed || !name)
        return EM_NO_MEMORY;
    fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return em_fail_errno(error, label, "cannot be listed in the cache");
    r = em_write_all(fd, text.data, text.size, label, error);
    if (r == EM_OK && renameat(directory, name, directory, NAME) < 0)
        r = em_fail_errno(error, label, "cannot be listed in the cache");
    if (r < 0)
        unlinkat(directory, name, 0);
    return r;
}

/* One of them is the other, cut at a dot behind ".so". */
bool em_member_may_answer(const char *file_name, const char *name)
{
    const size_t a = strlen(file_name), b = strlen(name), shorter = a < b ? a : b;
    const char *longer = a < b ? name : file_name, *end = strstr(name, ".so");

    return strncmp(file_name, name, shorter) == 0 && (longer[shorter] == '\0' || longer[shorter] == '.') &&
           shorter >= (end ? (size_t)(end - name) + 3 : b);
}
