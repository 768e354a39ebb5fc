#include "bundle/wheel/wheel.h"

#include <ctype.h>
#include <elf.h>
#include <string.h>

/* ---- an object that is a name and nothing else ---- */

/* Headers, a dynamic section and its strings: what the loader must see to take a file for a library of that SONAME. It defines no
 * versions, which the loader takes for a build from before there were any: what is not here cannot be held to them. */
static int make_object(struct em_bytes *bytes, struct em_arena *arena, const struct em_world *world, const char *soname)
{
    enum { DYNAMIC_COUNT = 5, HEADERS = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr) };
    static const char origin[] = "$ORIGIN";
    size_t strings = 1 + strlen(soname) + 1 + sizeof origin, table = HEADERS + DYNAMIC_COUNT * sizeof(Elf64_Dyn);
    size_t size = table + strings;
    uint8_t *data = em_arena_alloc(arena, size);
    uint64_t dynamic[DYNAMIC_COUNT][2] = {
        { DT_SONAME, 1 }, { DT_RPATH, 2 + strlen(soname) }, { DT_STRTAB, table }, { DT_STRSZ, strings }, { DT_NULL, 0 }
    };
    const uint64_t segments[3][5] = {
        /* type and flags, offset, address and size, alignment */
        { PT_LOAD, PF_R | PF_W, 0, size, 0x1000 },
        { PT_DYNAMIC, PF_R | PF_W, HEADERS, DYNAMIC_COUNT * sizeof(Elf64_Dyn), 8 },
        { PT_GNU_STACK, PF_R | PF_W, 0, 0, 16 },
    };

    if (!data)
        return EM_NO_MEMORY;
    memcpy(data, ELFMAG, SELFMAG);
    data[EI_CLASS] = ELFCLASS64;
    data[EI_DATA] = ELFDATA2LSB;
    data[EI_VERSION] = EV_CURRENT;
    em_store_u16(data + 16, false, ET_DYN);
    em_store_u16(data + 18, false, world->machine);
    em_store_u32(data + 20, false, EV_CURRENT);
    em_store_u64(data + 32, false, sizeof(Elf64_Ehdr));
    em_store_u16(data + 52, false, sizeof(Elf64_Ehdr));
    em_store_u16(data + 54, false, sizeof(Elf64_Phdr));
    em_store_u16(data + 56, false, 3);
    em_store_u16(data + 58, false, sizeof(Elf64_Shdr));
    for (size_t i = 0; i < 3; i++) {
        uint8_t *at = data + sizeof(Elf64_Ehdr) + i * sizeof(Elf64_Phdr);

        em_store_u32(at, false, (uint32_t)segments[i][0]);
        em_store_u32(at + 4, false, (uint32_t)segments[i][1]);
        for (size_t field = 8; field <= 24; field += 8)
            em_store_u64(at + field, false, segments[i][2]);
        em_store_u64(at + 32, false, segments[i][3]);
        em_store_u64(at + 40, false, segments[i][3]);
        em_store_u64(at + 48, false, segments[i][4]);
    }
    for (size_t i = 0; i < DYNAMIC_COUNT; i++) {
        em_store_u64(data + HEADERS + i * 16, false, dynamic[i][0]);
        em_store_u64(data + HEADERS + i * 16 + 8, false, dynamic[i][1]);
    }
    memcpy(data + table + 1, soname, strlen(soname));
    memcpy(data + table + 2 + strlen(soname), origin, sizeof origin);
    *bytes = (struct em_bytes){ data, size };
    return EM_OK;
}

/* ---- requirements ---- */

const char *em_promise_requirement(struct em_arena *arena, const struct em_package *package, const char *requirement,
                                   const char *major)
{
    if (strpbrk(requirement, "<>=~!") || package->own_versions || !isdigit((unsigned char)*major))
        return requirement;
    return em_arena_printf(arena, "%s>=%s,<%lu", requirement, major, strtoul(major, NULL, 10) + 1);
}

static const char *name_of(struct em_arena *arena, const char *requirement)
{
    char *name = em_arena_strndup(arena, requirement, strcspn(requirement, "<>=~! ([;"));

    return name ? em_normalize_name(arena, name) : NULL;
}

/* Whether one clause ("==8.9.2.26", "<9") leaves a release of that major. One that cannot be read leaves all. */
static bool clause_leaves(const char *comparison, const char *version, unsigned long major)
{
    char *rest;
    unsigned long its = strtoul(version, &rest, 10);

    if (rest == version || *rest == '!')
        return true;
    switch (*comparison) {
    case '=':
    case '~': return its == major;
    case '>': return its <= major;
    case '<':
        return its > major || (its == major && (comparison[1] == '=' || isdigit((unsigned char)rest[strspn(rest, ".0")])));
    }
    return true;
}

/* Of a Requires-Dist value (PEP 508): "nvidia-cudnn-cu12>=8,<9 ; platform_system == 'Linux'" leaves no release of major 9. */
static bool leaves_major(const char *spelled, unsigned long major)
{
    const char *at = spelled + strcspn(spelled, "<>=~!;@");

    while (*at && *at != ';' && *at != '@') {
        const char *comparison = at;

        at += strspn(at, "<>=~!");
        at += strspn(at, " ");
        if (!clause_leaves(comparison, at, major))
            return false;
        at += strcspn(at, "<>=~!;@");
    }
    return true;
}

static bool is_declared(const struct em_distribution *distribution, const char *name)
{
    em_vec_each (const struct em_requirement, requirement, &distribution->requirements)
        if (!requirement->has_extra && strcmp(requirement->name, name) == 0)
            return true;
    return false;
}

/* One of several, for different Pythons, is enough. */
static bool declares_major(const struct em_distribution *distribution, const char *name, unsigned long major)
{
    em_vec_each (const struct em_requirement, requirement, &distribution->requirements)
        if (!requirement->has_extra && strcmp(requirement->name, name) == 0 && leaves_major(requirement->spelled, major))
            return true;
    return false;
}

/* What the help of a finding has gone through the same tables with: the CUDA that the environment is built for. cuBLAS says it here. */
static const char *cuda_of(struct em_arena *arena, const struct em_diagnosis *diagnosis)
{
    const char *last = NULL;
    char major[16], digits[16];

    em_vec_each (const struct em_finding, finding, &diagnosis->findings) {
        const struct em_package *asked = finding->request ? em_knowledge_package(diagnosis->knowledge, finding->request, digits)
                                                          : NULL;

        if (asked && (strcmp(asked->component, "cublas") == 0 || strcmp(asked->component, "cudart") == 0))
            last = strcpy(major, digits);
    }
    return last ? em_arena_printf(arena, "cu%s", last) : "cu12";
}

/* What the wheel requires already counts before what fits best: nvidia-cudnn-cu13 if that is what METADATA has. */
static const char *choose(struct em_arena *arena, const struct em_package *package, const char *major,
                          const struct em_distribution *distribution, const char *cuda, bool *declared)
{
    *declared = false;
    em_vec_each (const struct em_package_choice, choice, &package->choices) {
        const char *name = name_of(arena, choice->requirement);

        if (name && strcmp(choice->major, major) == 0 && is_declared(distribution, name)) {
            *declared = true;
            return choice->requirement;
        }
    }
    return em_package_requirement(package, major, cuda);
}

/* ---- promises ---- */

#define PROMISED "-promised.dist-info"

bool em_is_promised(const struct em_distribution *distribution)
{
    const size_t length = strlen(distribution->dist_info), end = strlen(PROMISED);

    return length > end && strcmp(distribution->dist_info + length - end, PROMISED) == 0;
}

static int write_dist_info(struct em_installed *installed, struct em_arena *arena, struct em_promise *promise)
{
    em_cleanup_text struct em_text text = { 0 };
    /* Behind the name's own digits: "nvidia-cudnn-cu12>=9,<10". */
    const char *version = strpbrk(promise->requirement, "<>=~!");
    struct em_bytes bytes;
    const char *path;
    int r;

    version = version ? version + strcspn(version, "0123456789") : "0";
    em_text_printf(&text, "Metadata-Version: 2.1\nName: %s\nVersion: %.*s\n\n", promise->name,
                   (int)strspn(version, "0123456789."), version);
    bytes.data = text.data ? (const uint8_t *)em_arena_strndup(arena, text.data, text.size) : NULL;
    bytes.size = text.size;
    path = em_path_join(arena, promise->dist_info, "METADATA");
    if (text.failed || !bytes.data || !path)
        return EM_NO_MEMORY;
    r = em_site_put_bytes(installed->tree, path, bytes);
    if (r < 0)
        return r;
    text.size = 0;
    em_vec_each (const char *, file, &promise->files)
        em_text_printf(&text, "%s,,\n", *file);
    bytes.data = text.data ? (const uint8_t *)em_arena_strndup(arena, text.data, text.size) : NULL;
    bytes.size = text.size;
    path = em_path_join(arena, promise->dist_info, "RECORD");
    if (text.failed || !bytes.data || !path)
        return EM_NO_MEMORY;
    return em_site_put_bytes(installed->tree, path, bytes);
}

static struct em_promise *promise_of(struct em_installed *installed, struct em_arena *arena, struct em_promises *promises,
                                     const char *name, const char *requirement, bool declared)
{
    struct em_promise *promise;

    em_vec_each (struct em_promise *, known, promises)
        if (strcmp((*known)->name, name) == 0)
            return *known;
    promise = em_new(arena, struct em_promise);
    if (!promise)
        return NULL;
    promise->name = name;
    promise->requirement = requirement;
    promise->declared = declared;
    promise->dist_info = em_arena_printf(arena, "%s/%s" PROMISED, installed->site, name);
    if (!promise->dist_info || em_vec_push(arena, promises, promise) < 0)
        return NULL;
    return promise;
}

/* An object of that name in the directory of a package that is promised. */
static int put_library(struct em_installed *installed, struct em_arena *arena, const struct em_world *world,
                       struct em_promise *promise, const char *directory, const char *soname, bool *news)
{
    const char *file = em_path_join(arena, directory, soname);
    const char *path = file ? em_path_join(arena, installed->site, file) : NULL;
    struct em_bytes bytes;
    struct em_node node;
    int r;

    if (!path)
        return EM_NO_MEMORY;
    if (em_tree_stat(installed->tree, path, &node) == 0)
        return EM_OK;
    r = make_object(&bytes, arena, world, soname);
    if (r == EM_OK)
        r = em_site_put_bytes(installed->tree, path, bytes);
    if (r == EM_OK)
        r = em_vec_push(arena, &promise->files, file);
    *news = true;
    return r;
}

/* What else comes with it, as far as the tables name it whole: libcublasLt.so.12 with libcublas.so.12. */
static int put_company(struct em_installed *installed, struct em_arena *arena, const struct em_world *world,
                       struct em_promise *promise, const char *directory, const struct em_package *package, const char *major)
{
    bool news;

    em_vec_each (const char *, pattern, &package->sonames) {
        const char *hole = strstr(*pattern, "{major}"), *soname;
        int r;

        if (!hole || strpbrk(*pattern, "*?["))
            continue;
        soname = em_arena_printf(arena, "%.*s%s%s", (int)(hole - *pattern), *pattern, major, hole + 7);
        r = soname ? put_library(installed, arena, world, promise, directory, soname, &news) : EM_NO_MEMORY;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static bool is_in_source(const struct em_plan_wish *sources, const char *soname)
{
    if (sources)
        em_vec_each (struct em_source *, source, &sources->sources)
            if (em_source_has(*source, soname))
                return true;
    return false;
}

struct promising {
    struct em_installed *installed;
    struct em_arena *arena;
    struct em_promises *promises;
    const struct em_diagnosis *diagnosis;
    const struct em_distribution *distribution;
    bool undeclared;
    const struct em_plan_wish *sources;
    const char *cuda; /* "cu12" */
};

static int promise_library(struct promising *promising, const char *soname, bool *news)
{
    struct em_arena *arena = promising->arena;
    const struct em_world *world = promising->diagnosis->world;
    char major[16];
    const struct em_package *package = em_knowledge_package(promising->diagnosis->knowledge, soname, major);
    const char *choice, *requirement, *name, *directory;
    struct em_promise *promise;
    bool declared, fresh = false;
    int r;

    choice = package ? choose(arena, package, major, promising->distribution, promising->cuda, &declared) : NULL;
    directory = choice ? em_package_directory(package, choice) : NULL;
    if (!directory || (!declared && !promising->undeclared) || is_in_source(promising->sources, soname))
        return EM_OK;
    name = name_of(arena, choice);
    requirement = em_promise_requirement(arena, package, choice, major);
    if (!name || !requirement)
        return EM_NO_MEMORY;
    /* METADATA wants another major, which will not bring it: nobody bridges that. */
    if (declared && !package->own_versions && isdigit((unsigned char)*major) &&
        !declares_major(promising->distribution, name, strtoul(major, NULL, 10)))
        return EM_OK;
    promise = promise_of(promising->installed, arena, promising->promises, name, requirement, declared);
    if (!promise)
        return EM_NO_MEMORY;
    /* What is installed is not promised: then it lacks what it should bring, and that is news for the user. */
    if (promise->files.count == 0 && em_env_find(promising->diagnosis->env, name))
        return EM_OK;
    r = put_library(promising->installed, arena, world, promise, directory, soname, &fresh);
    if (r == EM_OK && fresh)
        r = put_company(promising->installed, arena, world, promise, directory, package, major);
    *news = *news || fresh;
    return r < 0 || !fresh ? r : write_dist_info(promising->installed, arena, promise);
}

int em_wheel_promise(struct em_installed *installed, struct em_arena *arena, struct em_promises *promises,
                     const struct em_diagnosis *diagnosis, const struct em_distribution *distribution, bool undeclared,
                     const struct em_plan_wish *sources, bool *news, struct em_error *error)
{
    struct promising promising = { installed, arena, promises, diagnosis, distribution, undeclared, sources, NULL };

    *news = false;
    promising.cuda = cuda_of(arena, diagnosis);
    if (!promising.cuda)
        return EM_NO_MEMORY;
    /* What the tables know is for 64-bit little-endian machines, as CUDA is. */
    if (!diagnosis->world->is64 || diagnosis->world->big_endian)
        return EM_OK;
    em_vec_each (const struct em_finding, finding, &diagnosis->findings) {
        int r;

        if (strcmp(finding->id, "EM103") != 0 || !finding->request || finding->owner != distribution ||
            finding->severity == EM_SEVERITY_NOTE)
            continue;
        r = promise_library(&promising, finding->request, news);
        if (r < 0)
            return em_fail(error, r, finding->object, "cannot be shown what is promised to it");
    }
    return EM_OK;
}
