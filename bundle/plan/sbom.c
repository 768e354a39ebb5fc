#include "bundle/plan/sbom.h"

#include "base/json.h"

#include <string.h>

/* A version's plus is percent-encoded (package URL specification, "version"). */
static const char *purl_of(struct em_arena *arena, const char *kind, const char *name, const char *version)
{
    const char *plus = strchr(version, '+');

    if (!plus)
        return em_arena_printf(arena, "pkg:%s/%s@%s", kind, name, version);
    return em_arena_printf(arena, "pkg:%s/%s@%.*s%%2B%s", kind, name, (int)(plus - version), version, plus + 1);
}

int em_sbom_purl(const char **purl, struct em_arena *arena, const struct em_distribution *distribution)
{
    const char *installer = distribution->installer ? distribution->installer : "";
    const bool is_conda = strcmp(installer, "conda") == 0;

    *purl = NULL;
    if (strcmp(installer, "dpkg") == 0 || strcmp(installer, "rpm") == 0 || strcmp(installer, "debian") == 0)
        return EM_OK;
    *purl = purl_of(arena, is_conda ? "conda" : "pypi", is_conda ? distribution->name : distribution->normalized,
                    distribution->version);
    return *purl ? EM_OK : EM_NO_MEMORY;
}

static json_t *describe(const struct em_sbom_library *library)
{
    const char *space = library->provenance ? strrchr(library->provenance, ' ') : NULL;
    char hex[EM_SHA256_HEX_SIZE];
    json_t *component;

    em_sha256_hex(library->sha256, hex);
    component = json_pack("{s:s, s:s, s:s, s:[{s:s, s:s}]}", "type", "library", "bom-ref", library->path, "name",
                          em_path_basename(library->path), "hashes", "alg", "SHA-256", "content", hex);
    if (space && component)
        json_object_set_new(component, "version", json_string(space + 1));
    if (library->purl && component)
        json_object_set_new(component, "purl", json_string(library->purl));
    return component;
}

int em_sbom_write(struct em_bytes *text, struct em_arena *arena, const struct em_sbom *sbom)
{
    const char *purl = purl_of(arena, "pypi", sbom->name, sbom->version);
    json_t *components = json_array(), *uses = json_array(), *document;
    char *dumped;

    em_vec_each (const struct em_sbom_library, library, &sbom->libraries) {
        json_array_append_new(components, describe(library));
        json_array_append_new(uses, json_string(library->path));
    }
    document = json_pack("{s:s, s:s, s:i, s:{s:s*, s:{s:[{s:s, s:s}]}, s:{s:s, s:s, s:s, s:s, s:s}}, s:o, s:[{s:s, s:o}]}",
                         "bomFormat", "CycloneDX", "specVersion", "1.6", "version", 1, "metadata", "timestamp", sbom->timestamp,
                         "tools", "components", "type", "application", "name", "elfmend", "component", "type", "library",
                         "bom-ref", purl, "name", sbom->name, "version", sbom->version, "purl", purl, "components", components,
                         "dependencies", "ref", purl, "dependsOn", uses);
    dumped = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    *text = (struct em_bytes){ 0 };
    if (dumped)
        *text = (struct em_bytes){ (const uint8_t *)em_arena_strdup(arena, dumped), strlen(dumped) };
    free(dumped);
    json_decref(document);
    return text->data ? EM_OK : EM_NO_MEMORY;
}

const char *em_sbom_path(struct em_arena *arena, const char *dist_info, unsigned number)
{
    return number == 1 ? em_arena_printf(arena, "%s/sboms/elfmend.cdx.json", dist_info)
                       : em_arena_printf(arena, "%s/sboms/elfmend-%u.cdx.json", dist_info, number);
}

static const char *version_in(json_t *bill, struct em_arena *arena, const char *library)
{
    json_t *component;
    size_t i;

    json_array_foreach(json_object_get(bill, "components"), i, component)
    {
        const char *reference = json_string_value(json_object_get(component, "bom-ref"));
        const char *version = json_string_value(json_object_get(component, "version"));

        if (reference && version && strcmp(reference, library) == 0)
            return em_arena_strdup(arena, version);
    }
    return NULL;
}

/* What is no bill of ours, or cannot be read, tells nothing. */
static json_t *read_bill(struct em_tree *tree, struct em_arena *arena, const char *path, bool *is_there)
{
    struct em_error ignored = EM_ERROR_INIT;
    struct em_bytes bytes;
    struct em_node node;
    json_t *bill;

    *is_there = path && em_tree_stat(tree, path, &node) == 0;
    if (!*is_there || em_tree_read(tree, arena, path, EM_MAX_JSON, &bytes, &ignored) < 0)
        return NULL;
    return em_json_read(&bill, bytes, path, &ignored) == EM_OK ? bill : NULL;
}

const char *em_sbom_version(const struct em_env *env, struct em_arena *arena, const struct em_distribution *owner,
                            const char *path)
{
    const char *library = em_env_row_spelling(env, owner, path), *version = NULL;
    bool is_there = library != NULL;

    for (unsigned number = 1; is_there; number++) {
        json_t *bill = read_bill(env->tree, arena, em_sbom_path(arena, owner->dist_info, number), &is_there);
        const char *said = version_in(bill, arena, library);

        version = said ? said : version;
        json_decref(bill);
    }
    return version;
}
