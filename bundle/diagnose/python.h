/* python.h: for which Python and machine an extension module is, read off its name and its file; nothing is imported. Private to diagnose.
 *
 * One for another Python is passed over by the import system as if it were not there; one for another machine under a name that fits
 * is tried, and refused by the loader.
 */
#ifndef EM_BUNDLE_DIAGNOSE_PYTHON_H
#define EM_BUNDLE_DIAGNOSE_PYTHON_H

#include "bundle/diagnose/advice.h"

/* Modules that have no sibling that fits: EM502 where the file name says another Python, machine or libc; EM107 where the name fits and
 * the file is for another machine, or no ELF file. One a distribution. */
int em_judge_python(struct em_findings *findings, const struct em_advisor *advisor);

/* Whether a module's file name fits: "x.cpython-311-x86_64-linux-gnu.so" for Python "3.11" on that machine and libc. true for
 * names that say nothing. tag gets what stands between the module's name and ".so" ("" where there is nothing). */
bool em_python_fits(const char *file_name, const char *python_version, const struct em_world *world, char tag[64]);

#endif
