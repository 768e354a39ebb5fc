#include "bundle/wheel/repack.h"

#include <string.h>

/* Another NAME before the version, in "NAME-1.0.dist-info" and "NAME-1.0.data". */
static bool is_respelled(const char *directory, const char *new_dist_info)
{
    const size_t name = strcspn(directory, "-"), new_name = strcspn(new_dist_info, "-");

    return name != new_name || memcmp(directory, new_dist_info, name) != 0;
}

static bool is_data_respelled(const struct em_wheel *wheel, const char *new_dist_info)
{
    em_vec_each (const struct em_zip_member, member, em_zip_members(wheel->zip))
        if (em_is_data_directory(member->name, strcspn(member->name, "/")) && is_respelled(member->name, new_dist_info))
            return true;
    return false;
}

int em_repack_tidied(struct em_repack *result, struct em_arena *arena, const struct em_record *record,
                     const char *new_dist_info)
{
    const struct em_zip_oddities *odd = em_zip_oddities(result->wheel->zip);
    const struct {
        uint64_t count;
        const char *one, *many; /* many: behind the count; NULL: there is no more than one */
    } sentences[] = {
        { odd->comment, "the archive's comment is left out", NULL },
        { odd->comments, "a member's comment is left out", "members lose their comments" },
        { odd->extras, "a member's extra fields are left out", "members lose their extra fields" },
        { odd->descriptors, "a member's sizes stand before its data now", "members have their sizes before their data now" },
        { odd->directories, "an entry for a directory is left out", "entries for directories are left out" },
        { odd->modes, "a file has mode 0644 or 0755 now", "files have mode 0644 or 0755 now" },
        { odd->hidden, "a byte that belongs to no member is left out", "bytes that belong to no member are left out" },
        { record->repeats, "RECORD names each file once now", NULL },
        { is_respelled(result->wheel->dist_info, new_dist_info), ".dist-info is spelled as the file is now", NULL },
        { is_data_respelled(result->wheel, new_dist_info), ".data is spelled as the file is now", NULL },
    };

    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        const unsigned long long count = sentences[i].count;
        const char *sentence = sentences[i].one;

        if (count == 0)
            continue;
        if (count > 1)
            sentence = em_arena_printf(arena, "%llu %s", count, sentences[i].many);
        if (!sentence || em_vec_push(arena, &result->tidied, sentence) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}
