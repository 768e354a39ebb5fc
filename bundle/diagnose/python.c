#include "bundle/diagnose/python.h"

#include "bundle/diagnose/modules.h"
#include "patcher/patcher.h"

#include <ctype.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>

/* The digits of a version without dots: "3.11" is 311. */
static void compact(char digits[16], const char *version)
{
    size_t length = 0;

    for (; *version && length < 15; version++)
        if (isdigit((unsigned char)*version))
            digits[length++] = *version;
    digits[length] = '\0';
}

static bool fits_platform(const char *platform, const struct em_world *world)
{
    static const struct {
        const char *word;
        uint16_t machine;
        bool is64;
    } machines[] = { { "x86_64", EM_X86_64, true }, { "aarch64", EM_AARCH64, true }, { "i386", EM_386, false },
                     { "i686", EM_386, false },     { "arm", EM_ARM, false },        { "powerpc64le", EM_PPC64, true },
                     { "s390x", EM_S390, true },    { "riscv64", EM_RISCV, true } };

    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (strncmp(platform, machines[i].word, strlen(machines[i].word)) == 0 &&
            (machines[i].machine != world->machine || machines[i].is64 != world->is64))
            return false;
    if (strstr(platform, "darwin") || strstr(platform, "win"))
        return false;
    /* CPython's own builds for musl say linux-musl since 3.11; before, they said gnu. */
    return !strstr(platform, "linux-musl") || world->libc == EM_LIBC_MUSL;
}

bool em_python_fits(const char *file_name, const char *python_version, const struct em_world *world, char tag[64])
{
    const char *so = strstr(file_name, ".so"), *dot = strchr(file_name, '.'), *platform;
    char wanted[16];
    size_t length, digits;

    tag[0] = '\0';
    if (!so || so[3] != '\0' || !dot || dot >= so)
        return true;
    length = (size_t)(so - dot) - 1;
    if (length >= 64)
        return true;
    memcpy(tag, dot + 1, length);
    tag[length] = '\0';
    if (strncmp(tag, "pypy", 4) == 0 || strncmp(tag, "graalpy", 7) == 0)
        return false; /* an interpreter of another kind; what is looked for here is CPython */
    if (strncmp(tag, "cpython-", 8) != 0)
        return true;
    compact(wanted, python_version);
    digits = strspn(tag + 8, "0123456789");
    /* Behind the version may stand flags of the ABI: m, d, t. */
    if (digits != strlen(wanted) || strncmp(tag + 8, wanted, digits) != 0)
        return false;
    platform = strchr(tag + 8, '-');
    return !platform || fits_platform(platform + 1, world);
}

/* "DIR/foo" for "DIR/foo.cpython-311-x86_64-linux-gnu.so": a module is found by the first suffix that fits. */
static const char *module_of(struct em_arena *arena, const char *path)
{
    const char *dot = strchr(em_path_basename(path), '.');

    return em_arena_strndup(arena, path, dot ? (size_t)(dot - path) : strlen(path));
}

static bool is_other_python(const struct em_env *env)
{
    const char *name = env->python ? em_path_basename(env->python) : "";

    return strncmp(name, "pypy", 4) == 0 || strncmp(name, "graalpy", 7) == 0;
}

/* otherwise: the help for modules that nobody installed */
static int add_group(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                     const struct em_module_group *group, struct em_finding finding, const char *fails, const char *otherwise)
{
    int r;

    finding.severity = EM_SEVERITY_ERROR;
    finding.object = group->paths.items[0];
    finding.owner = group->owner;
    if (!finding.message)
        return EM_NO_MEMORY;
    r = em_module_group_show(arena, &finding, env, group);
    if (r == EM_OK && fails)
        r = em_evidence_add(&finding.evidence, arena, "it fails", fails);
    finding.help = group->owner ? em_arena_printf(arena, "%s with this environment's own pip",
                                                  em_distribution_reinstall(arena, group->owner))
                                : otherwise;
    return r < 0 ? r : em_vec_push(arena, findings, finding);
}

static int add_python(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                      const struct em_module_group *group)
{
    const char *message = em_arena_printf(arena, "is built for %s, and this is CPython %s: the import system passes it over",
                                          group->fault, env->python_version);

    return add_group(findings, arena, env, group, (struct em_finding){ .id = "EM502", .message = message },
                     "ModuleNotFoundError, or ImportError for a name of a partly initialised package",
                     "build it again with this environment's Python");
}

static int add_unloadable(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                          const struct em_module_group *group)
{
    const char *message = em_arena_printf(arena, "cannot be loaded: %s", group->fault);

    return add_group(findings, arena, env, group, (struct em_finding){ .id = "EM107", .message = message }, NULL,
                     "build it again on this machine");
}

/* Whether the import system takes the file for a module: by its tag, or by the entry that it defines where the name has none. A package
 * may carry libraries of several machines for its own use. */
static bool is_entered(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    em_cleanup_file struct em_file *file = NULL;
    const char *name = em_path_basename(path), *entry;
    bool defines = false;

    if (em_env_is_tagged(path))
        return true;
    entry = em_arena_printf(arena, "PyInit_%.*s", (int)strcspn(name, "."), name);
    return entry && em_tree_open(tree, path, &file) == 0 && em_object_defines(&defines, &file->reader, entry, NULL) == EM_OK &&
           defines;
}

/* What a file is that is no ELF file: another system's, as far as its first bytes tell. Magic numbers: Apple's mach-o/loader.h and
 * fat.h, Microsoft's PE format. */
static const char *impostor_of(const struct em_world *world, struct em_tree *tree, const char *path)
{
    static const struct {
        uint8_t bytes[4];
        size_t size;
        const char *what;
    } magics[] = { { { 0xcf, 0xfa, 0xed, 0xfe }, 4, "it is for macOS" },
                   { { 0xce, 0xfa, 0xed, 0xfe }, 4, "it is for macOS" },
                   { { 0xca, 0xfe, 0xba, 0xbe }, 4, "it is for macOS" },
                   { { 'M', 'Z' }, 2, "it is for Windows" },
                   { { 'v', 'e', 'r', 's' }, 4, "it is a pointer of Git LFS, or text" } };
    em_cleanup_file struct em_file *file = NULL;
    uint8_t head[4];

    if (em_tree_open(tree, path, &file) < 0)
        return "it cannot be opened";
    if (em_read_at(&file->reader, head, sizeof head, 0, NULL) == EM_OK)
        for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
            if (memcmp(head, magics[i].bytes, magics[i].size) == 0)
                return magics[i].what;
    if (file->reader.size < (world->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
        return "file too short";
    return "invalid ELF header";
}

/* Modules of the environment, "DIR/foo" for each, of which one build can be loaded. */
static int find_fitting(struct em_map *fitting, const struct em_advisor *advisor)
{
    const struct em_env *env = advisor->env;
    char tag[64];

    em_vec_each (struct em_env_object, object, &env->objects) {
        const char *module;

        if (!em_env_is_extension(object->path) || em_advise_foreign(advisor, object) ||
            !em_python_fits(em_path_basename(object->path), env->python_version, advisor->world, tag))
            continue;
        module = module_of(fitting->arena, object->path);
        if (!module || em_map_put(fitting, module, object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

struct unfit {
    struct em_module_groups of_other_pythons, unloadable;
};

static int judge_module(struct unfit *unfit, const struct em_advisor *advisor, const struct em_map *fitting,
                        const struct em_env_object *object)
{
    const struct em_env *env = advisor->env;
    const char *module, *foreign;
    char tag[64], why[64];

    if (!em_env_is_extension(object->path))
        return EM_OK;
    module = module_of(fitting->arena, object->path);
    if (!module)
        return EM_NO_MEMORY;
    if (em_map_get(fitting, module))
        return EM_OK;
    if (!em_python_fits(em_path_basename(object->path), env->python_version, advisor->world, tag))
        return em_module_groups_add(&unfit->of_other_pythons, advisor->arena, object, tag);
    foreign = em_advise_foreign(advisor, object);
    if (!foreign || !is_entered(advisor->arena, env->tree, object->path))
        return EM_OK;
    snprintf(why, sizeof why, "it is for %s, and this environment's Python is not", foreign);
    return em_module_groups_add(&unfit->unloadable, advisor->arena, object, why);
}

static int judge_impostor(struct unfit *unfit, const struct em_advisor *advisor, const struct em_map *fitting, const char *path)
{
    const struct em_env *env = advisor->env;
    const struct em_env_object object = { .path = path, .owner = em_env_owner(env, path) };
    const char *module = module_of(fitting->arena, path);
    char tag[64];

    if (!module)
        return EM_NO_MEMORY;
    if (em_map_get(fitting, module) || !em_python_fits(em_path_basename(path), env->python_version, advisor->world, tag))
        return EM_OK;
    return em_module_groups_add(&unfit->unloadable, advisor->arena, &object, impostor_of(advisor->world, env->tree, path));
}

int em_judge_python(struct em_findings *findings, const struct em_advisor *advisor)
{
    const struct em_env *env = advisor->env;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_map fitting = { .arena = scratch };
    struct unfit unfit = { 0 };
    int r;

    if (!env->python_version || is_other_python(env))
        return EM_OK;
    if (!scratch)
        return EM_NO_MEMORY;
    r = find_fitting(&fitting, advisor);
    em_vec_each (const struct em_env_object, object, &env->objects)
        if (r == EM_OK)
            r = judge_module(&unfit, advisor, &fitting, object);
    em_vec_each (const char *, path, &env->impostors)
        if (r == EM_OK && em_env_is_tagged(*path))
            r = judge_impostor(&unfit, advisor, &fitting, *path);
    em_vec_each (const struct em_module_group, group, &unfit.of_other_pythons)
        if (r == EM_OK)
            r = add_python(findings, advisor->arena, env, group);
    em_vec_each (const struct em_module_group, group, &unfit.unloadable)
        if (r == EM_OK)
            r = add_unloadable(findings, advisor->arena, env, group);
    return r;
}
