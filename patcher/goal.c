#include "patcher/goal.h"

#include "base/map.h"
#include "base/text.h"
#include "patcher/tags.h"

#include <string.h>

int em_goal_want(struct em_goal *goal, const char *text, size_t *string)
{
    uintptr_t known = (uintptr_t)em_map_get(&goal->wanted, text);
    int r;

    *string = known > 0 ? (size_t)known - 1 : goal->strings.count;
    if (known > 0)
        return EM_OK;
    r = em_map_put(&goal->wanted, text, (void *)(uintptr_t)(*string + 1));
    return r < 0 ? r : em_vec_push(goal->arena, &goal->strings, (struct em_goal_string){ .text = text });
}

int em_goal_change(struct em_goal *goal, uint64_t offset, const void *bytes, size_t size)
{
    struct em_change change = { .offset = offset, .size = size, .bytes = em_arena_alloc(goal->arena, size) };

    if (!change.bytes)
        return EM_NO_MEMORY;
    memcpy(change.bytes, bytes, size);
    return em_vec_push(goal->arena, &goal->changes, change);
}

int em_goal_text(struct em_goal *goal, const struct em_goal_dyn *dyn, const char **text, struct em_error *error)
{
    if (dyn->string != EM_NO_STRING) {
        *text = goal->strings.items[dyn->string].text;
        return EM_OK;
    }
    return em_image_string(goal->image, dyn->value, text, error);
}

struct em_goal_dyn *em_goal_dyn(struct em_goal *goal, uint64_t tag)
{
    em_vec_each (struct em_goal_dyn, dyn, &goal->dyns)
        if (dyn->tag == tag)
            return dyn;
    return NULL;
}

static int insert_dyn(struct em_goal *goal, size_t at, struct em_goal_dyn dyn)
{
    int r = em_vec_push(goal->arena, &goal->dyns, dyn);

    if (r < 0)
        return r;
    memmove(goal->dyns.items + at + 1, goal->dyns.items + at, (goal->dyns.count - 1 - at) * sizeof dyn);
    goal->dyns.items[at] = dyn;
    return EM_OK;
}

void em_goal_remove_dyn(struct em_goal *goal, const struct em_goal_dyn *dyn)
{
    size_t at = (size_t)(dyn - goal->dyns.items);

    memmove(goal->dyns.items + at, goal->dyns.items + at + 1, (goal->dyns.count - 1 - at) * sizeof *dyn);
    goal->dyns.count--;
}

/* The entry's string becomes text; an entry that says so already is left alone, so that nothing changes. */
static int set_text(struct em_goal *goal, struct em_goal_dyn *dyn, const char *text, struct em_error *error)
{
    const char *now;
    int r = em_goal_text(goal, dyn, &now, error);

    if (r < 0 || strcmp(now, text) == 0)
        return r;
    return em_goal_want(goal, text, &dyn->string);
}

static int add_text(struct em_goal *goal, size_t at, uint64_t tag, const char *text)
{
    struct em_goal_dyn dyn = { .tag = tag, .from = SIZE_MAX };
    int r = em_goal_want(goal, text, &dyn.string);

    return r < 0 ? r : insert_dyn(goal, at, dyn);
}

/* A list of directories is one string for the loader: a NUL cannot be in it, and the limit is that of a reader. */
static int set_path(struct em_goal *goal, const struct em_edit *edit, struct em_error *error)
{
    struct em_goal_dyn *rpath = em_goal_dyn(goal, DT_RPATH), *runpath = em_goal_dyn(goal, DT_RUNPATH);
    struct em_goal_dyn *kept = runpath ? runpath : rpath;
    uint64_t tag = edit->tag == EM_TAG_RPATH     ? DT_RPATH
                   : edit->tag == EM_TAG_RUNPATH ? DT_RUNPATH
                   : kept                        ? kept->tag
                                                 : DT_RPATH;
    size_t at;

    if (strlen(edit->value) >= EM_MAX_PATH_LIST)
        return em_fail(error, EM_LIMIT, goal->image->name, "cannot get a search path longer than %u bytes", EM_MAX_PATH_LIST);
    if (!kept)
        return add_text(goal, goal->dyns.count, tag, edit->value);
    kept->tag = tag;
    at = (size_t)(kept - goal->dyns.items);
    /* One entry is left: where both were, DT_RPATH counted for nothing (ld.so(8)), and a second of its kind neither. */
    for (size_t i = goal->dyns.count; i-- > 0;)
        if (i != at && (goal->dyns.items[i].tag == DT_RPATH || goal->dyns.items[i].tag == DT_RUNPATH)) {
            em_goal_remove_dyn(goal, &goal->dyns.items[i]);
            if (i < at)
                at--;
        }
    return set_text(goal, &goal->dyns.items[at], edit->value, error);
}

/* Each directory of the list that is not known yet, in order. text NULL: it is only noted. */
static int add_entries(struct em_map *known, const char *list, struct em_text *text)
{
    for (const char *at = list, *end = at; *end != '\0'; at = end + 1) {
        const char *entry;

        end = strchrnul(at, ':');
        entry = em_arena_strndup(known->arena, at, (size_t)(end - at));
        if (!entry)
            return EM_NO_MEMORY;
        if (em_map_get(known, entry))
            continue;
        if (text)
            em_text_printf(text, ":%s", entry);
        if (em_map_put(known, entry, entry) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* now, which is not empty, and each directory of the list more that it has not. NULL: no memory. */
static const char *with_entries(struct em_arena *arena, const char *now, const char *more)
{
    struct em_map known = { .arena = arena };
    em_cleanup_text struct em_text text = { 0 };

    em_text_add(&text, now);
    if (add_entries(&known, now, NULL) < 0 || add_entries(&known, more, &text) < 0 || text.failed)
        return NULL;
    return em_arena_strdup(arena, text.data);
}

static int add_path(struct em_goal *goal, const struct em_edit *edit, struct em_error *error)
{
    const struct em_goal_dyn *runpath = em_goal_dyn(goal, DT_RUNPATH), *dyn = runpath ? runpath : em_goal_dyn(goal, DT_RPATH);
    struct em_edit set = *edit;
    const char *now = "";
    int r = dyn ? em_goal_text(goal, dyn, &now, error) : EM_OK;

    if (r < 0)
        return r;
    if (*now != '\0')
        set.value = with_entries(goal->arena, now, edit->value);
    return set.value ? set_path(goal, &set, error) : EM_NO_MEMORY;
}

static void remove_path(struct em_goal *goal)
{
    for (size_t i = goal->dyns.count; i-- > 0;)
        if (goal->dyns.items[i].tag == DT_RPATH || goal->dyns.items[i].tag == DT_RUNPATH)
            em_goal_remove_dyn(goal, &goal->dyns.items[i]);
}

/* The n-th DT_NEEDED of that name from an index on; goal->dyns.count if there is none. */
static int find_needed(struct em_goal *goal, const char *name, size_t *at, struct em_error *error)
{
    for (; *at < goal->dyns.count; (*at)++) {
        const char *text;
        int r;

        if (goal->dyns.items[*at].tag != DT_NEEDED)
            continue;
        r = em_goal_text(goal, &goal->dyns.items[*at], &text, error);
        if (r < 0 || strcmp(text, name) == 0)
            return r;
    }
    return EM_OK;
}

static int add_needed(struct em_goal *goal, const char *name, struct em_error *error)
{
    size_t at = 0;
    int r = find_needed(goal, name, &at, error);

    if (r < 0 || at < goal->dyns.count)
        return r;
    /* In front of the first: the loader goes by their order, and other entries have none. */
    for (at = 0; at < goal->dyns.count && goal->dyns.items[at].tag != DT_NEEDED; at++)
        ;
    return add_text(goal, at < goal->dyns.count ? at : 0, DT_NEEDED, name);
}

static int remove_needed(struct em_goal *goal, const char *name, struct em_error *error)
{
    bool found = false;

    for (size_t at = 0;;) {
        int r = find_needed(goal, name, &at, error);

        if (r < 0)
            return r;
        if (at == goal->dyns.count)
            break;
        em_goal_remove_dyn(goal, &goal->dyns.items[at]);
        found = true;
    }
    return found ? em_goal_remove_file(goal, name, error) : EM_OK;
}

static int replace_needed(struct em_goal *goal, const char *name, const char *replacement, struct em_error *error)
{
    bool found = false;

    if (strcmp(name, replacement) == 0)
        return EM_OK;
    for (size_t at = 0;; at++) {
        int r = find_needed(goal, name, &at, error);

        if (r < 0)
            return r;
        if (at >= goal->dyns.count)
            break;
        r = set_text(goal, &goal->dyns.items[at], replacement, error);
        if (r < 0)
            return r;
        found = true;
    }
    return found ? em_goal_replace_file(goal, name, replacement, error) : EM_OK;
}

static int set_soname(struct em_goal *goal, const char *name, struct em_error *error)
{
    struct em_goal_dyn *dyn = em_goal_dyn(goal, DT_SONAME);

    if (goal->image->type != ET_DYN)
        return em_fail(error, EM_REFUSED, goal->image->name, "is no shared object: only those have a DT_SONAME");
    return dyn ? set_text(goal, dyn, name, error) : add_text(goal, goal->dyns.count, DT_SONAME, name);
}

static int set_flag(struct em_goal *goal, uint64_t tag, uint64_t flag)
{
    struct em_goal_dyn *dyn = em_goal_dyn(goal, tag);

    if (dyn) {
        dyn->value |= flag;
        return EM_OK;
    }
    return insert_dyn(goal, goal->dyns.count,
                      (struct em_goal_dyn){ .tag = tag, .value = flag, .string = EM_NO_STRING, .from = SIZE_MAX });
}

static int set_interpreter(struct em_goal *goal, const char *name, struct em_error *error)
{
    for (uint32_t i = 0; i < goal->image->phnum; i++) {
        const struct em_phdr *phdr = &goal->image->phdrs[i];
        const uint8_t *at;
        int r;

        if (phdr->type != PT_INTERP)
            continue;
        if (phdr->filesz == 0)
            return em_fail(error, EM_REFUSED, goal->image->name,
                           "has its interpreter's name in another file: this one holds debug information that was split off");
        if (phdr->filesz > 4096 || strlen(name) >= 4096)
            return em_fail(error, EM_REFUSED, goal->image->name,
                           "has, or would get, an interpreter name of more than 4095 bytes");
        r = em_image_peek(goal->image, phdr->offset, (size_t)phdr->filesz, "its interpreter's name", &at, error);
        if (r < 0)
            return r;
        goal->interpreter = strlen(name) == strnlen((const char *)at, (size_t)phdr->filesz) &&
                                    memcmp(at, name, strlen(name)) == 0
                                ? NULL
                                : name;
        return EM_OK;
    }
    return em_fail(error, EM_REFUSED, goal->image->name,
                   "has no interpreter (PT_INTERP): it is linked statically, or no program");
}

static void set_stack(struct em_goal *goal, bool executable)
{
    for (uint32_t i = 0; i < goal->image->phnum; i++)
        if (goal->image->phdrs[i].type == PT_GNU_STACK) {
            bool now = (goal->image->phdrs[i].flags & PF_X) != 0;

            goal->stack = now == executable ? -1 : executable ? PF_X : 0;
            return;
        }
    /* No header means the kernel's default for the machine; either wish is worth saying. */
    goal->stack = executable ? PF_X : 0;
}

static bool needs_dynamic(enum em_edit_kind kind)
{
    return kind != EM_EDIT_SET_INTERPRETER && kind != EM_EDIT_CLEAR_EXECSTACK && kind != EM_EDIT_SET_EXECSTACK &&
           kind != EM_EDIT_SET_OS_ABI;
}

static bool needs_value(enum em_edit_kind kind)
{
    return kind != EM_EDIT_REMOVE_RPATH && kind != EM_EDIT_CLEAR_EXECSTACK && kind != EM_EDIT_SET_EXECSTACK &&
           kind != EM_EDIT_SET_OS_ABI && kind != EM_EDIT_NO_DEFAULT_LIB && kind != EM_EDIT_ADD_DEBUG_TAG;
}

/* Start-up code that relocates itself, a static PIE's and the loader's own, ends the process when it finds a search path or a flag that
 * it does not know in its dynamic section (glibc's elf_get_dynamic_info asserts that there is none), and would not use them. */
static int refuse_self_relocating(struct em_goal *goal, struct em_error *error)
{
    static const char *const loaders[] = { "ld-linux", "ld64.so", "ld.so.", "ld-musl" };
    const struct em_dyn *flags = em_image_dyn(goal->image, DT_FLAGS_1);
    struct em_goal_dyn *soname = em_goal_dyn(goal, DT_SONAME);
    bool starts = false;
    const char *name = "";
    int r = soname ? em_goal_text(goal, soname, &name, error) : EM_OK;

    for (uint32_t i = 0; i < goal->image->phnum; i++)
        starts = starts || goal->image->phdrs[i].type == PT_INTERP;
    if (r < 0 || starts)
        return r;
    if (flags && (flags->value & DF_1_PIE))
        return em_fail(error, EM_REFUSED, goal->image->name,
                       "is a static PIE: it loads no library, and its start-up code dies of a search path or such a flag");
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++)
        if (strncmp(name, loaders[i], strlen(loaders[i])) == 0)
            return em_fail(error, EM_REFUSED, goal->image->name,
                           "is the loader itself, which dies of a search path or such a flag of its own");
    return EM_OK;
}

static bool is_for_loading(enum em_edit_kind kind)
{
    return kind == EM_EDIT_SET_RPATH || kind == EM_EDIT_ADD_RPATH || kind == EM_EDIT_NO_DEFAULT_LIB;
}

int em_goal_apply(struct em_goal *goal, const struct em_edit *edit, struct em_error *error)
{
    if (needs_dynamic(edit->kind) && (!goal->image->dynamic || !goal->image->has_strtab))
        return em_fail(error, EM_REFUSED, goal->image->name,
                       "has no dynamic section to edit: it is linked statically, or is no program or shared object");
    if (is_for_loading(edit->kind)) {
        int r = refuse_self_relocating(goal, error);

        if (r < 0)
            return r;
    }
    if (needs_value(edit->kind) && !edit->value)
        return em_fail(error, EM_USAGE, goal->image->name, "cannot be edited without a value");
    if ((edit->kind == EM_EDIT_REPLACE_NEEDED || edit->kind == EM_EDIT_RENAME_SYMBOL) && !edit->replacement)
        return em_fail(error, EM_USAGE, goal->image->name, "cannot be edited without a replacement");
    switch (edit->kind) {
    case EM_EDIT_SET_RPATH: return set_path(goal, edit, error);
    case EM_EDIT_ADD_RPATH: return add_path(goal, edit, error);
    case EM_EDIT_REMOVE_RPATH: remove_path(goal); return EM_OK;
    case EM_EDIT_ADD_NEEDED: return add_needed(goal, edit->value, error);
    case EM_EDIT_REMOVE_NEEDED: return remove_needed(goal, edit->value, error);
    case EM_EDIT_REPLACE_NEEDED: return replace_needed(goal, edit->value, edit->replacement, error);
    case EM_EDIT_SET_SONAME: return set_soname(goal, edit->value, error);
    case EM_EDIT_SET_INTERPRETER: return set_interpreter(goal, edit->value, error);
    case EM_EDIT_CLEAR_EXECSTACK: set_stack(goal, false); return EM_OK;
    case EM_EDIT_SET_EXECSTACK: set_stack(goal, true); return EM_OK;
    case EM_EDIT_SET_OS_ABI: goal->osabi = edit->number == goal->image->osabi ? -1 : edit->number; return EM_OK;
    case EM_EDIT_NO_DEFAULT_LIB: return set_flag(goal, DT_FLAGS_1, DF_1_NODEFLIB);
    case EM_EDIT_ADD_DEBUG_TAG: return em_goal_dyn(goal, DT_DEBUG) ? EM_OK : set_flag(goal, DT_DEBUG, 0);
    case EM_EDIT_CLEAR_SYMBOL_VERSION: return em_goal_clear_version(goal, edit->value, error);
    case EM_EDIT_RENAME_SYMBOL: return em_goal_rename_symbol(goal, edit->value, edit->replacement, error);
    }
    return em_fail(error, EM_USAGE, goal->image->name, "cannot be edited in a way that does not exist (%d)", (int)edit->kind);
}

/* The symbols as both views know them: a section that is larger than the hash tables say is believed, since a name that is in use
 * must not be overwritten. */
static int locate_symbols(struct em_goal *goal, struct em_error *error)
{
    struct em_image *image = goal->image;
    int r = em_symbols_locate(&goal->symbols, image, error);

    if (r < 0 || !goal->symbols.there)
        return r;
    for (uint32_t i = 0; image->shdrs && i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];
        uint64_t count = section->size / em_sym_size(image);

        if (section->type != SHT_DYNSYM || section->addr != goal->symbols.addr || section->offset != goal->symbols.offset)
            continue;
        if (!goal->symbols.exact || count > goal->symbols.count) {
            if (count > em_image_room(image, goal->symbols.addr) / em_sym_size(image))
                return em_fail_at(error, EM_BAD_ELF, image->name, section->offset,
                                  "has a .dynsym that leads out of its PT_LOAD");
            goal->symbols.count = count;
            goal->symbols.exact = true;
        }
    }
    return EM_OK;
}

int em_goal_start(struct em_goal *goal, struct em_image *image, struct em_error *error)
{
    int r;

    *goal = (struct em_goal){ .image = image, .arena = image->arena, .stack = -1, .osabi = -1 };
    goal->wanted.arena = goal->renames.arena = goal->arena;
    for (size_t i = 0; i < image->dyn_count; i++) {
        struct em_goal_dyn dyn = { image->dyns[i].tag, image->dyns[i].value, EM_NO_STRING, i };

        r = em_vec_push(goal->arena, &goal->dyns, dyn);
        if (r < 0)
            return r;
    }
    r = em_vertable_read_needs(&goal->needs, image, error);
    if (r == EM_OK)
        r = em_vertable_read_defines(&goal->defines, image, error);
    if (r == EM_OK)
        r = locate_symbols(goal, error);
    if (r < 0)
        return r;
    goal->need_gone = em_arena_array(goal->arena, goal->needs.records.count + 1, sizeof *goal->need_gone);
    goal->need_file = em_arena_array(goal->arena, goal->needs.records.count + 1, sizeof *goal->need_file);
    goal->aux_gone = em_arena_array(goal->arena, goal->needs.aux.count + 1, sizeof *goal->aux_gone);
    if (!goal->need_gone || !goal->need_file || !goal->aux_gone)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < goal->needs.records.count; i++)
        goal->need_file[i] = EM_NO_STRING;
    return EM_OK;
}

int em_goal_finish(struct em_goal *goal, struct em_error *error)
{
    int r = em_goal_finish_versions(goal, error);

    if (r == EM_OK)
        r = em_goal_finish_cache(goal, error);
    return r < 0 ? r : em_goal_finish_symbols(goal, error);
}

bool em_goal_is_reached(const struct em_goal *goal)
{
    if (goal->dyns.count != goal->image->dyn_count || goal->changes.count > 0 || goal->refs.count > 0 || goal->interpreter ||
        goal->stack >= 0 || goal->osabi >= 0)
        return false;
    for (size_t i = 0; i < goal->dyns.count; i++) {
        const struct em_goal_dyn *dyn = &goal->dyns.items[i];
        const struct em_dyn *was = &goal->image->dyns[i];

        /* Set and set back: the string is the old one again, and so is the place. */
        if (dyn->tag != was->tag || dyn->string != EM_NO_STRING || dyn->value != was->value)
            return false;
    }
    return true;
}
