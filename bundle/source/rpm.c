/* The header of an .rpm (RPM's file format, version 4): which files, of which digests. Big endian throughout. */
#include "bundle/source/lists.h"

#include <string.h>

#define LEAD_SIZE 96u
#define INTRO_SIZE 16u
#define MOST_ENTRIES 0x10000u
#define MOST_STORE (64u << 20)

enum tag {
    TAG_NAME = 1000,
    TAG_VERSION = 1001,
    TAG_RELEASE = 1002,
    TAG_DIGESTS = 1035,
    TAG_DIR_INDEXES = 1116,
    TAG_BASE_NAMES = 1117,
    TAG_DIR_NAMES = 1118,
    TAG_DIGEST_ALGORITHM = 5011,
};
enum type { TYPE_INT32 = 4, TYPE_STRING = 6, TYPE_STRINGS = 8 };

#define ALGORITHM_SHA256 8 /* RFC 4880, 9.4 */

struct header {
    struct em_bytes index, store; /* entries of tag, type, offset, count */
};

/* The values of a tag. count 0: the header has none of that type. */
struct values {
    struct em_bytes bytes;
    uint32_t count;
};

static struct values find(const struct header *header, uint32_t wanted, uint32_t wanted_type)
{
    for (uint64_t at = 0; at + 16 <= header->index.size; at += 16) {
        uint32_t tag = 0, type = 0, offset = 0, count = 0;
        struct values values = { 0 };

        em_bytes_u32(header->index, at, true, &tag);
        em_bytes_u32(header->index, at + 4, true, &type);
        em_bytes_u32(header->index, at + 8, true, &offset);
        em_bytes_u32(header->index, at + 12, true, &count);
        if (tag != wanted || type != wanted_type || offset > header->store.size ||
            !em_bytes_slice(header->store, offset, header->store.size - offset, &values.bytes))
            continue;
        values.count = count;
        return values;
    }
    return (struct values){ 0 };
}

/* The string of a list that is read from its beginning to its end; NULL: it has no further. */
static const char *next(struct values *strings)
{
    const char *string = strings->count > 0 ? em_bytes_string(strings->bytes, 0) : NULL;
    size_t size;

    if (!string)
        return NULL;
    size = strlen(string) + 1;
    strings->count--;
    strings->bytes.data += size;
    strings->bytes.size -= size;
    return string;
}

static const char *string_of(const struct header *header, uint32_t tag)
{
    struct values values = find(header, tag, TYPE_STRING);

    return next(&values);
}

/* One header at *offset, which is behind it then. false: there is none that could be read. */
static bool read_header(const struct em_unpack *unpack, struct em_reader *reader, uint64_t *offset, struct header *header)
{
    static const uint8_t magic[] = { 0x8e, 0xad, 0xe8, 0x01 };
    struct em_error unread = EM_ERROR_INIT;
    struct em_bytes intro, body;
    uint32_t entries, store;

    if (em_read_bytes(reader, unpack->arena, *offset, INTRO_SIZE, &intro, &unread) < 0 ||
        memcmp(intro.data, magic, sizeof magic) != 0 || !em_bytes_u32(intro, 8, true, &entries) ||
        !em_bytes_u32(intro, 12, true, &store) || entries > MOST_ENTRIES || store > MOST_STORE)
        return false;
    *offset += INTRO_SIZE;
    if (em_read_bytes(reader, unpack->arena, *offset, (uint64_t)entries * 16 + store, &body, &unread) < 0)
        return false;
    *offset += body.size;
    return em_bytes_slice(body, 0, (uint64_t)entries * 16, &header->index) &&
           em_bytes_slice(body, (uint64_t)entries * 16, store, &header->store);
}

/* Directory and base name, without the slash of the root; NULL in *path: it could be no member. */
static int path_of(const struct em_unpack *unpack, const struct em_strings *directories, uint32_t index, const char *base,
                   const char **path)
{
    *path = NULL;
    if (index >= directories->count)
        return EM_OK;
    *path = em_arena_printf(unpack->arena, "%s%s", directories->items[index] + strspn(directories->items[index], "/"), base);
    if (!*path)
        return EM_NO_MEMORY;
    if (!em_path_is_contained(*path))
        *path = NULL;
    return EM_OK;
}

static int add_rows(struct em_list *list, const struct em_unpack *unpack, const struct header *header)
{
    struct values bases = find(header, TAG_BASE_NAMES, TYPE_STRINGS), names = find(header, TAG_DIR_NAMES, TYPE_STRINGS);
    struct values digests = find(header, TAG_DIGESTS, TYPE_STRINGS), indexes = find(header, TAG_DIR_INDEXES, TYPE_INT32);
    const struct values algorithm = find(header, TAG_DIGEST_ALGORITHM, TYPE_INT32);
    struct em_strings directories = { 0 };
    uint32_t used = 0, index;
    const char *name;

    em_bytes_u32(algorithm.bytes, 0, true, &used);
    while ((name = next(&names)))
        if (em_vec_push(unpack->arena, &directories, name) < 0)
            return EM_NO_MEMORY;
    for (uint64_t i = 0; (name = next(&bases)) && em_bytes_u32(indexes.bytes, 4 * i, true, &index); i++) {
        const char *hex = next(&digests);
        struct em_sha256 *sha256 = em_new(unpack->arena, struct em_sha256);
        struct em_list_row row = { 0 };

        if (!sha256 || path_of(unpack, &directories, index, name, &row.path) < 0)
            return EM_NO_MEMORY;
        row.sha256 = used == ALGORITHM_SHA256 && hex && em_sha256_from_hex(hex, sha256) ? sha256 : NULL;
        if (row.path && em_map_get(&unpack->listing->by_path, row.path) && em_vec_push(unpack->arena, &list->rows, row) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static bool is_plain(const char *string)
{
    return string && *string && *string != '.' && !strchr(string, '/');
}

int em_lists_of_rpm(struct em_unpack *unpack, int fd)
{
    static const uint8_t magic[] = { 0xed, 0xab, 0xee, 0xdb };
    struct em_error unread = EM_ERROR_INIT;
    struct em_list list = { .installer = "rpm" };
    struct header signature, header;
    const char *version, *release;
    uint64_t offset = LEAD_SIZE;
    struct em_reader reader;
    struct em_bytes lead;
    int r;

    r = em_reader_whole(&reader, fd, unpack->label, unpack->error);
    if (r < 0)
        return r;
    if (unpack->records > 0 || em_read_bytes(&reader, unpack->arena, 0, sizeof magic, &lead, &unread) < 0 ||
        memcmp(lead.data, magic, sizeof magic) != 0 || !read_header(unpack, &reader, &offset, &signature))
        return EM_OK;
    offset = (offset + 7) & ~UINT64_C(7);
    if (!read_header(unpack, &reader, &offset, &header))
        return EM_OK;
    list.name = string_of(&header, TAG_NAME);
    version = string_of(&header, TAG_VERSION);
    release = string_of(&header, TAG_RELEASE);
    if (!is_plain(list.name) || !is_plain(version) || !is_plain(release))
        return EM_OK;
    list.version = em_arena_printf(unpack->arena, "%s-%s", version, release);
    r = list.version ? add_rows(&list, unpack, &header) : EM_NO_MEMORY;
    return r < 0 ? r : em_list_write(&list, unpack);
}
