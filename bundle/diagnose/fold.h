/* fold.h: what many objects of one distribution lack alike, as one finding. Private to diagnose.
 *
 * Qt brings plugins for every desktop there is, a video library a back end for every card. In a slim container each of them lacks
 * something, and a note for each would bury the others.
 */
#ifndef EM_BUNDLE_DIAGNOSE_FOLD_H
#define EM_BUNDLE_DIAGNOSE_FOLD_H

#include "bundle/diagnose/advice.h"

/* notes: EM103 about DT_NEEDED. One finding a distribution and severity; as it is where there is only one of it. */
int em_fold_notes(struct em_findings *findings, const struct em_advisor *advisor, const struct em_findings *notes);

#endif
