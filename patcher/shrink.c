/* shrink.c: which entries of a search path find something. */
#include "patcher/patcher.h"

#include <string.h>

struct shrink {
    const struct em_object *object;
    bool *found; /* by needed */
};

static bool is_allowed(const char *entry, const struct em_strings *prefixes)
{
    if (!prefixes || prefixes->count == 0)
        return true;
    for (size_t i = 0; i < prefixes->count; i++)
        if (strncmp(entry, prefixes->items[i], strlen(prefixes->items[i])) == 0)
            return true;
    return false;
}

/* A file of that name which the loader would take: an object of the same class, byte order and machine. */
static bool is_library(const struct shrink *shrink, int dir, const char *name)
{
    struct stat st;
    em_cleanup_fd int fd = em_open_file_at(dir, name, 0, &st, NULL);
    struct em_reader reader;
    uint8_t head[20];
    uint16_t machine;

    if (fd < 0)
        return false;
    reader = em_reader_fd(fd, (uint64_t)st.st_size, name);
    if (em_read_at(&reader, head, sizeof head, 0, NULL) < 0 || memcmp(head, ELFMAG, SELFMAG) != 0)
        return false;
    return head[EI_CLASS] == (shrink->object->is64 ? ELFCLASS64 : ELFCLASS32) &&
           head[EI_DATA] == (shrink->object->big_endian ? ELFDATA2MSB : ELFDATA2LSB) &&
           em_bytes_u16((struct em_bytes){ head, sizeof head }, 18, shrink->object->big_endian, &machine) &&
           machine == shrink->object->machine;
}

/* Whether the directory has a needed library that none before it had. */
static bool serves(struct shrink *shrink, const char *directory)
{
    em_cleanup_fd int dir = em_open_at(AT_FDCWD, directory, O_PATH | O_DIRECTORY, 0, NULL);
    bool served = false;

    for (size_t i = 0; dir >= 0 && i < shrink->object->needed.count; i++) {
        const char *name = shrink->object->needed.items[i];

        if (shrink->found[i] || strchr(name, '/') || !is_library(shrink, dir, name))
            continue;
        shrink->found[i] = true;
        served = true;
    }
    return served;
}

int em_path_shrink(const char **shrunk, struct em_arena *arena, const struct em_object *object, const char *path,
                   const struct em_strings *prefixes, struct em_error *error)
{
    struct shrink shrink = { object, em_arena_array(arena, object->needed.count + 1, sizeof(bool)) };
    em_cleanup_text struct em_text text = { 0 };

    (void)error;
    if (!shrink.found)
        return EM_NO_MEMORY;
    for (const char *at = path, *end;; at = end + 1) {
        char *entry;
        bool keep;

        end = strchrnul(at, ':');
        entry = em_arena_strndup(arena, at, (size_t)(end - at));
        if (!entry)
            return EM_NO_MEMORY;
        keep = *entry != '/' ? *entry != '\0' : is_allowed(entry, prefixes) && serves(&shrink, entry);
        if (keep) {
            if (text.size > 0)
                em_text_add(&text, ":");
            em_text_add(&text, entry);
        }
        if (*end == '\0')
            break;
    }
    *shrunk = em_arena_strdup(arena, text.data ? text.data : "");
    return text.failed || !*shrunk ? EM_NO_MEMORY : EM_OK;
}
