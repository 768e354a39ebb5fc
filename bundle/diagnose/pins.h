/* pins.h: a vendor's package that is older than the one that another package was built with. Private to diagnose.
 *
 * A framework names the very release of each CUDA library that it was built and tested with ("nvidia-cudnn-cu12==9.10.2.21"). A newer
 * one serves it as a rule; of an older one it misses what was added since, and finds out when it asks for that:
 *   EM204  the pinned release, and the older one that is installed
 *
 * Errors: EM_NO_MEMORY.
 */
#ifndef EM_BUNDLE_DIAGNOSE_PINS_H
#define EM_BUNDLE_DIAGNOSE_PINS_H

#include "bundle/diagnose/advice.h"

int em_judge_pins(struct em_findings *findings, const struct em_advisor *advisor);

#endif
