#include "bundle/diagnose/interpreter.h"

#include <string.h>

#define STDCXX "libstdc++.so.6"

struct search {
    struct em_interpreter *interpreter;
    struct em_arena *arena;
    const struct em_world *world;
    struct em_loader *loader;
};

/* ---- which one ---- */

/* The first that is a program: a version manager puts scripts into PATH. */
static int take(struct search *search, const char *directory, const char *name)
{
    struct em_interpreter *interpreter = search->interpreter;
    const char *path = em_path_join(search->arena, directory, name);
    const struct em_loadable *file;
    char *real;

    if (path && *path != '/')
        path = em_path_join(search->arena, search->world->cwd, path);
    if (!path)
        return EM_NO_MEMORY;
    if (interpreter->path || em_tree_real_path(search->world->tree, search->arena, path, &real) < 0)
        return EM_OK;
    file = em_loader_look(search->loader, real);
    if (!file)
        return EM_NO_MEMORY;
    if (file->code == EM_OK) {
        interpreter->path = path;
        interpreter->real = real;
    }
    return EM_OK;
}

static int find(struct search *search, const char *root)
{
    static const char *const usual[] = { "/opt/venv", "/venv", "/app/.venv", "/opt/conda", "/usr/local", "/usr" };
    const char *const active[] = { getenv("VIRTUAL_ENV"), getenv("CONDA_PREFIX"), ".venv" };
    char *list = em_arena_strdup(search->arena, getenv("PATH") ? getenv("PATH") : ""), *directory;
    int r = list ? EM_OK : EM_NO_MEMORY;

    for (size_t i = 0; r == EM_OK && !root && i < sizeof active / sizeof *active; i++)
        if (active[i] && *active[i])
            r = take(search, active[i], "bin/python3");
    while (r == EM_OK && !root && (directory = strsep(&list, ":")) != NULL)
        if (*directory == '/')
            r = take(search, directory, "python3");
    for (size_t i = 0; r == EM_OK && i < sizeof usual / sizeof *usual; i++)
        r = take(search, usual[i], "bin/python3");
    return r;
}

/* ---- what it brings ---- */

static const char *rule_words(enum em_rule rule)
{
    switch (rule) {
    case EM_RULE_RPATH: return "DT_RPATH";
    case EM_RULE_RUNPATH: return "DT_RUNPATH";
    case EM_RULE_ENV: return "LD_LIBRARY_PATH";
    case EM_RULE_CACHE: return "ld.so.cache";
    case EM_RULE_DEFAULT: return "default directory";
    case EM_RULE_PATH: return "by its path";
    case EM_RULE_SONAME: return "loaded at its start";
    case EM_RULE_NONE:
    case EM_RULE_RESERVED: break;
    }
    return "not found";
}

static const char *newest(const struct em_loadable *file)
{
    const char *best = NULL;

    if (!file || file->code != EM_OK)
        return NULL;
    em_vec_each (const struct em_version, version, &file->object.verdef)
        if (strncmp(version->name, "GLIBCXX_3", 9) == 0 && (!best || em_version_compare(version->name + 8, best + 8) > 0))
            best = version->name;
    return best;
}

static struct em_interpreter_library library_of(struct em_arena *arena, const struct em_request *request)
{
    return (struct em_interpreter_library){ .name = request->name,
                                            .path = request->path ? em_path_normal(arena, request->path) : NULL,
                                            .how = rule_words(request->rule),
                                            .version = newest(request->to ? request->to->file : request->file) };
}

/* As a module in this process gets it that has no path of its own. program NULL: a bare one. */
static int ask_stdcxx(struct em_interpreter_library *library, struct em_arena *arena, struct em_loader *loader,
                      const char *program, struct em_process **process, struct em_error *error)
{
    struct em_request *request;
    int r = em_process_new(process, loader, program, error);

    if (r == EM_OK)
        r = em_process_ask(*process, STDCXX, NULL, EM_VIA_DLOPEN, &request);
    if (r == EM_OK)
        *library = library_of(arena, request);
    return r;
}

int em_interpreter_read(struct em_interpreter *interpreter, struct em_arena *arena, const struct em_world *world,
                        const char *root, struct em_error *error)
{
    struct em_loader *loader = em_loader_new(world, arena);
    struct search search = { .interpreter = interpreter, .arena = arena, .world = world, .loader = loader };
    struct em_interpreter_library stdcxx;
    struct em_process *process = NULL, *bare;
    int r;

    *interpreter = (struct em_interpreter){ 0 };
    if (!loader)
        return EM_NO_MEMORY;
    r = find(&search, root);
    if (r < 0 || !interpreter->path) {
        em_loader_free(loader);
        return r;
    }
    r = ask_stdcxx(&stdcxx, arena, loader, interpreter->real, &process, error);
    if (r == EM_OK)
        r = ask_stdcxx(&interpreter->systems_stdcxx, arena, loader, NULL, &bare, error);
    for (size_t i = 0; r == EM_OK && i < process->requests.count; i++) {
        const struct em_request *request = process->requests.items[i];

        if (request->via == EM_VIA_NEEDED && (request->result == EM_RESULT_MISSING || strstr(request->name, "libpython")))
            r = em_vec_push(arena, &interpreter->libraries, library_of(arena, request));
    }
    if (r == EM_OK)
        r = em_vec_push(arena, &interpreter->libraries, stdcxx);
    em_loader_free(loader);
    return r;
}

/* ---- what is wrong with it ---- */

static int add_missing(struct em_findings *findings, struct em_arena *arena, const struct em_interpreter *interpreter,
                       const struct em_interpreter_library *library)
{
    struct em_finding finding = {
        .id = "EM103", .severity = EM_SEVERITY_ERROR, .object = interpreter->real, .request = library->name
    };

    finding.message = em_arena_printf(arena, "needs %s and will not find it: this Python cannot start", library->name);
    finding.help = "install that Python whole again, or give its library's directory to the loader (ldconfig)";
    return finding.message ? em_vec_push(arena, findings, finding) : EM_NO_MEMORY;
}

/* Its own libstdc++, older than the machine's: who needs the newer one fails in this interpreter and in no other program. */
static int judge_stdcxx(struct em_findings *findings, struct em_arena *arena, const struct em_interpreter *interpreter,
                        const struct em_interpreter_library *own)
{
    const struct em_interpreter_library *systems = &interpreter->systems_stdcxx;
    struct em_finding finding = {
        .id = "EM105", .severity = EM_SEVERITY_WARNING, .object = interpreter->real, .request = STDCXX
    };
    int r;

    if (!own->path || !own->version || !systems->version || strcmp(own->path, systems->path) == 0 ||
        em_version_compare(own->version + 8, systems->version + 8) >= 0)
        return EM_OK;
    finding.message = em_arena_printf(arena, "brings a libstdc++ that ends at %s, and this machine's goes to %s", own->version,
                                      systems->version);
    r = em_evidence_add(&finding.evidence, arena, "it takes", em_arena_printf(arena, "%s   (%s)", own->path, own->how));
    if (r == EM_OK)
        r = em_evidence_add(&finding.evidence, arena, "there is",
                            em_arena_printf(arena, "%s   (%s)", systems->path, systems->how));
    if (r == EM_OK)
        r = em_evidence_add(
            &finding.evidence, arena, "it fails",
            em_arena_printf(arena, "version `%s' not found, for a library that was built here", systems->version));
    finding.help = strcmp(own->how, "LD_LIBRARY_PATH") == 0 ? "take that directory out of LD_LIBRARY_PATH"
                                                            : "conda install -c conda-forge libstdcxx";
    if (!finding.message)
        return EM_NO_MEMORY;
    return r < 0 ? r : em_vec_push(arena, findings, finding);
}

int em_judge_interpreter(struct em_findings *findings, struct em_arena *arena, const struct em_interpreter *interpreter)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < interpreter->libraries.count; i++) {
        const struct em_interpreter_library *library = &interpreter->libraries.items[i];

        if (strcmp(library->name, STDCXX) == 0)
            r = judge_stdcxx(findings, arena, interpreter, library);
        else if (!library->path)
            r = add_missing(findings, arena, interpreter, library);
    }
    return r;
}
