/* troubles.h: what objects of one distribution have in common, as one finding. Private to diagnose.
 *
 *     struct em_troubles troubles = { .arena = arena, .scratch = scratch };
 *     r = em_trouble_add(&troubles, &trouble, object->path, "entry", text);    for each object, and each line of evidence
 *     r = em_troubles_tell(findings, &troubles, env);
 *
 * A few lines are told and the rest is counted; so the lists of a hostile object cost no more than the telling.
 */
#ifndef EM_BUNDLE_DIAGNOSE_TROUBLES_H
#define EM_BUNDLE_DIAGNOSE_TROUBLES_H

#include "bundle/diagnose/finding.h"
#include "bundle/env/env.h"

/* Those of the same id, severity, owner and key are one. */
struct em_trouble {
    const char *id;
    enum em_severity severity;
    const struct em_distribution *owner;
    const char *key;
    const char *message, *help; /* of the first one; help may be NULL */
};

struct em_troubles {
    struct em_arena *arena, *scratch; /* scratch is the caller's to rewind between two calls */
    struct em_map known;              /* "T" and what makes one, or "L", the number of one and a line of its evidence */
    EM_VEC(struct em_trouble_told);
};

/* object lives as long as the findings, and comes again only right after itself; other texts may be scratch. head and text: a line of
 * evidence (em_evidence_line), told once; head NULL: none. text NULL where there is a head: no memory, as whoever made it had none. */
int em_trouble_add(struct em_troubles *troubles, const struct em_trouble *trouble, const char *object, const char *head,
                   const char *text);

int em_troubles_tell(struct em_findings *findings, struct em_troubles *troubles, const struct em_env *env);

#endif
