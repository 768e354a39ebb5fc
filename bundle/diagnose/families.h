/* families.h: libraries that meet in one process and should be of one making. Private to diagnose.
 *
 * Any two modules of an environment can be imported into one process, so what some import loads, or may open, is looked at together
 * (em_loading.reached):
 *   EM204  members of one family in several versions. They serve each other by SONAME, whoever was first: a cuDNN of two packages. A
 *          note where a grafted shim stands over members of another version, which it accepts within a major
 *   EM205  one library in several copies, each with its own state: OpenMP runtimes, a shim beside its original (copies.json)
 *   EM603  a library that no RECORD lists: a note; a warning where a family's library is answered by it, that somebody put there by
 *          hand: of which version it is, and which of its family are not beside it
 *
 * The version is the vendor package's, or the one in a grafted file's name, or that of the file with the same build ID. Where none of
 * these is known nothing is said of it.
 */
#ifndef EM_BUNDLE_DIAGNOSE_FAMILIES_H
#define EM_BUNDLE_DIAGNOSE_FAMILIES_H

#include "bundle/diagnose/advice.h"

int em_judge_families(struct em_findings *findings, const struct em_advisor *advisor);

#endif
