/* interpreter.h: the Python that runs things here, and the libraries that it brings into every process. Private to diagnose and
 * cli/doctor.c.
 *
 * An interpreter decides more than people think: DT_RPATH of the main program counts for every module that has no RUNPATH (conda's is
 * $ORIGIN/../lib), and the libstdc++ that is loaded first serves all who ask later. Nothing is run: the model loads it.
 *
 *     r = em_interpreter_read(&interpreter, arena, &world, root, error)    path NULL: there is none
 *     r = em_judge_interpreter(&findings, arena, &interpreter)             EM103, EM105
 *
 * The interpreter is the active environment's ($VIRTUAL_ENV, $CONDA_PREFIX, ./.venv), else PATH's; in a root, that of the usual places.
 * Errors: EM_NO_MEMORY, EM_IO.
 */
#ifndef EM_BUNDLE_DIAGNOSE_INTERPRETER_H
#define EM_BUNDLE_DIAGNOSE_INTERPRETER_H

#include "bundle/diagnose/finding.h"

struct em_interpreter_library {
    const char *name;
    const char *path;    /* NULL: it is not found */
    const char *how;     /* "DT_RPATH", "ld.so.cache", "default directory" ... */
    const char *version; /* of libstdc++, the newest that it defines: "GLIBCXX_3.4.30"; NULL: none */
};

struct em_interpreter {
    const char *path; /* as it is called; NULL: none */
    const char *real; /* without links: $ORIGIN is its directory */
    struct {
        EM_VEC(struct em_interpreter_library);
    } libraries; /* libpython, and what it misses at its start; libstdc++ as a module gets it */
    struct em_interpreter_library systems_stdcxx; /* as a program without a path of its own gets it */
};

int em_interpreter_read(struct em_interpreter *interpreter, struct em_arena *arena, const struct em_world *world,
                        const char *root, struct em_error *error);
int em_judge_interpreter(struct em_findings *findings, struct em_arena *arena, const struct em_interpreter *interpreter);

#endif
