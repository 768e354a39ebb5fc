#include "bundle/diagnose/knowledge.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* The name begins as the pattern does, up to what is special in it. Most do not, and fnmatch takes thirty times as long to say so. */
static bool may_match(const char *pattern, const char *name)
{
    for (; *pattern == *name && *pattern; pattern++, name++)
        continue;
    return *pattern == *name || *pattern == '*' || *pattern == '?' || *pattern == '[' || *pattern == '\\' || *pattern == '{';
}

static bool matches_any(const struct em_strings *patterns, const char *name)
{
    em_vec_each (const char *, pattern, patterns)
        if (may_match(*pattern, name) && fnmatch(*pattern, name, 0) == 0)
            return true;
    return false;
}

const struct em_opens *em_knowledge_opens(const struct em_knowledge *knowledge, const char *soname)
{
    em_vec_each (struct em_opens, opens, &knowledge->opens)
        if (matches_any(&opens->objects, soname))
            return opens;
    return NULL;
}

/* The digits behind ".so.": "libnvrtc-builtins.so.12.8" has major 12. Empty if there are none. */
static void soname_major(const char *soname, char major[16])
{
    const char *at = strstr(soname, ".so.");
    size_t length = 0;

    if (at)
        for (at += 4; length < 15 && isdigit((unsigned char)at[length]); length++)
            major[length] = at[length];
    major[length] = '\0';
}

/* name: "libnvrtc-builtins.so.", of a soname. The pattern's {major} takes the digits behind it, whatever follows them:
 * "libnvrtc-builtins.so.{major}" fits ".so.12.8". */
static bool fits_soname(const char *pattern, const char *name)
{
    const char *hole = strstr(pattern, "{major}");
    char stem[256];

    if (!may_match(pattern, name) || !hole || (size_t)(hole - pattern) >= sizeof stem)
        return false;
    memcpy(stem, pattern, (size_t)(hole - pattern));
    stem[hole - pattern] = '\0';
    return fnmatch(stem, name, 0) == 0;
}

/* Asked for each object of an environment, most of which have no version behind ".so" and are none of these. */
const struct em_package *em_knowledge_package(const struct em_knowledge *knowledge, const char *soname, char major[16])
{
    const char *so = strstr(soname, ".so.");
    char digits[16], name[256];

    soname_major(soname, major ? major : digits);
    if (!so || !isdigit((unsigned char)so[4]) || (size_t)(so - soname) + 4 >= sizeof name)
        return NULL;
    memcpy(name, soname, (size_t)(so - soname) + 4);
    name[(so - soname) + 4] = '\0';
    em_vec_each (struct em_package, package, &knowledge->packages)
        em_vec_each (const char *, pattern, &package->sonames)
            if (fits_soname(*pattern, name))
                return package;
    return NULL;
}

const char *em_package_requirement(const struct em_package *package, const char *major, const char *cuda)
{
    const char *first = NULL;

    em_vec_each (struct em_package_choice, choice, &package->choices) {
        if (strcmp(choice->major, major) != 0)
            continue;
        if (strcmp(choice->cuda, "*") == 0 || (cuda && strcmp(choice->cuda, cuda) == 0))
            return choice->requirement;
        if (!first)
            first = choice->requirement;
    }
    return first;
}

const char *em_package_directory(const struct em_package *package, const char *requirement)
{
    bool older = strstr(requirement, "-cu11") || strstr(requirement, "-cu12");

    return !older && package->cu13_dir ? package->cu13_dir : package->dir;
}

bool em_knowledge_is_vendor(const struct em_knowledge *knowledge, const char *normalized_name)
{
    return matches_any(&knowledge->vendors, normalized_name);
}

bool em_knowledge_is_driver(const struct em_knowledge *knowledge, const char *soname)
{
    return matches_any(&knowledge->driver, soname);
}

const struct em_cure *em_knowledge_cure(const struct em_knowledge *knowledge, const char *package, const char *version,
                                        const char *request)
{
    em_vec_each (struct em_cure, cure, &knowledge->cures)
        if (strcmp(cure->package, package) == 0 && fnmatch(cure->request, request, 0) == 0 &&
            em_version_compare(version, cure->from) >= 0 && em_version_compare(version, cure->below) < 0)
            return cure;
    return NULL;
}

bool em_knowledge_preloads(const struct em_knowledge *knowledge, const char *package, const char *soname)
{
    em_vec_each (struct em_preload, preload, &knowledge->preloads)
        if (fnmatch(preload->package, package, 0) == 0 && matches_any(&preload->libraries, soname))
            return true;
    return false;
}

bool em_knowledge_does_without(const struct em_knowledge *knowledge, const char *package, const char *soname)
{
    em_vec_each (struct em_preload, preload, &knowledge->preloads)
        if (fnmatch(preload->package, package, 0) == 0 && matches_any(&preload->optional, soname))
            return true;
    return false;
}

const struct em_system_library *em_knowledge_system(const struct em_knowledge *knowledge, const char *soname)
{
    em_vec_each (struct em_system_library, library, &knowledge->system)
        if (fnmatch(library->soname, soname, 0) == 0)
            return library;
    return NULL;
}

const struct em_copied *em_knowledge_copied(const struct em_knowledge *knowledge, const char *stem)
{
    em_vec_each (struct em_copied, copied, &knowledge->copies)
        if (matches_any(&copied->libraries, stem))
            return copied;
    return NULL;
}

uint32_t em_knowledge_gpu(const struct em_knowledge *knowledge, const char *name)
{
    char bare[128], full[160];

    /* "NVIDIA GeForce RTX 5070" as nvidia-smi says, "RTX 5070" as people do. */
    snprintf(bare, sizeof bare, "%s", strncasecmp(name, "NVIDIA ", 7) == 0 ? name + 7 : name);
    snprintf(full, sizeof full, "GeForce %s", bare);
    em_vec_each (struct em_gpu_model, model, &knowledge->gpus)
        em_vec_each (const char *, pattern, &model->names)
            if (fnmatch(*pattern, bare, FNM_CASEFOLD) == 0 || fnmatch(*pattern, full, FNM_CASEFOLD) == 0)
                return model->arch;
    return 0;
}

const struct em_gpu_model *em_knowledge_gpu_model(const struct em_knowledge *knowledge, uint32_t arch)
{
    em_vec_each (struct em_gpu_model, model, &knowledge->gpus)
        if (model->arch == arch)
            return model;
    return NULL;
}

const struct em_gpu_build *em_knowledge_gpu_build(const struct em_knowledge *knowledge, const char *package, uint32_t arch)
{
    em_vec_each (struct em_gpu_build, build, &knowledge->builds)
        if (build->arch == arch && strcmp(build->package, package) == 0)
            return build;
    return NULL;
}

const struct em_cuda_runtime *em_knowledge_runtime(const struct em_knowledge *knowledge, const char *cuda)
{
    em_vec_each (struct em_cuda_runtime, runtime, &knowledge->runtimes)
        if (strcmp(runtime->cuda, cuda) == 0)
            return runtime;
    return NULL;
}

const struct em_cuda_error *em_knowledge_cuda_error(const struct em_knowledge *knowledge, int code)
{
    em_vec_each (struct em_cuda_error, entry, &knowledge->cuda_errors)
        if (entry->code == code)
            return entry;
    return NULL;
}
