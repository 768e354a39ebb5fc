#include "bundle/diagnose/finding.h"

#include <stdlib.h>
#include <string.h>

const char *em_severity_name(enum em_severity severity)
{
    switch (severity) {
    case EM_SEVERITY_NOTE: return "note";
    case EM_SEVERITY_WARNING: return "warning";
    case EM_SEVERITY_ERROR: return "error";
    }
    return NULL;
}

static int by_weight(const void *left, const void *right)
{
    const struct em_finding *a = left, *b = right;
    int order;

    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    order = strcmp(a->object, b->object);
    if (order == 0)
        order = strcmp(a->id, b->id);
    if (order == 0 && a->request && b->request)
        order = strcmp(a->request, b->request);
    return order;
}

void em_findings_sort(struct em_findings *findings)
{
    if (findings->count > 1)
        qsort(findings->items, findings->count, sizeof *findings->items, by_weight);
}

const char *em_evidence_line(struct em_arena *arena, const char *head, const char *text)
{
    return text ? em_arena_printf(arena, "%-10s %s", head, text) : NULL;
}

int em_evidence_add(struct em_strings *evidence, struct em_arena *arena, const char *head, const char *text)
{
    const char *line = em_evidence_line(arena, head, text);

    return line ? em_vec_push(arena, evidence, line) : EM_NO_MEMORY;
}

int em_evidence_add_more(struct em_strings *evidence, struct em_arena *arena, const char *least, size_t more)
{
    return more > 0 ? em_evidence_add(evidence, arena, "", em_arena_printf(arena, "and %s%zu more", least, more)) : EM_OK;
}
