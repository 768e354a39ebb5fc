/* advice.h: who could answer a request, how the search is told, and what would help. Private to diagnose. */
#ifndef EM_BUNDLE_DIAGNOSE_ADVICE_H
#define EM_BUNDLE_DIAGNOSE_ADVICE_H

#include "bundle/diagnose/loading.h"

/* Everything that advice looks things up in. */
struct em_advisor {
    struct em_arena *arena;
    const struct em_env *env;
    const struct em_world *world;
    const struct em_knowledge *knowledge;
    const struct em_loading *loading;
    struct em_map by_name; /* file name -> the first of the environment's objects that have it, by index plus 1 */
    uint32_t *next_named;  /* by an object's index: of the next one of its name, plus 1; 0: it is the last */
    struct em_map
        *majors; /* a package of the tables, and it and a major -> the first object of that; filled when it is asked first */
    bool gpu_wanted;  /* by em_diagnose_options */
    const char *cuda; /* "cu12": what the environment is built for */
};

int em_advisor_init(struct em_advisor *advisor, struct em_arena *arena, const struct em_env *env, const struct em_world *world,
                    const struct em_knowledge *knowledge, const struct em_loading *loading);

/* The object of the environment that answers one of the names and belongs to the requester's world: of the same distribution, of one
 * that it requires, of the vendor's family, or nobody's where the requester is nobody's. NULL: none. */
const struct em_env_object *em_advise_provider(const struct em_advisor *advisor, const struct em_env_object *requester,
                                               const struct em_strings *names);

/* A file of one of the names that is no answer, and worth a word: the requester's own for another machine, else one that does not belong
 * to the requester's world. NULL: none. */
const struct em_env_object *em_advise_stranger(const struct em_advisor *advisor, const struct em_env_object *requester,
                                               const struct em_strings *names);

/* The machine, the class or the byte order for which an object of the environment is, where that is another than the world's: "aarch64",
 * "32 bits", "big-endian"; NULL: the world's, or it cannot be read. */
const char *em_advise_foreign(const struct em_advisor *advisor, const struct em_env_object *object);

/* An object of the same component in another major; NULL: none. */
const struct em_env_object *em_advise_other_major(const struct em_advisor *advisor, const char *name);

/* "/v/lib/python3.11/site-packages/nvidia/cudnn/lib (nvidia-cudnn-cu12 9.10.2.21)" */
const char *em_advise_place(const struct em_advisor *advisor, const struct em_env_object *object);

/* One line for each directory that was searched, in order; the system's together on one. */
int em_advise_search(const struct em_advisor *advisor, const struct em_request *request, struct em_strings *lines);

/* The package that brings the library: "nvidia-cudnn-cu12>=9,<10", or in the version that the requester's own package requires; NULL:
 * unknown. */
const char *em_advise_package(const struct em_advisor *advisor, const struct em_env_object *requester, const char *name);

/* How the operating system gets the library: "apt-get install libgl1     (Fedora, RHEL: dnf install libglvnd-glx)"; NULL: unknown, or
 * this is no glibc system. */
const char *em_advise_system(const struct em_advisor *advisor, const char *name);

/* The release of the requester's own package that needs it no longer: "pip install 'ctranslate2>=4.6.3', which needs no cuDNN". */
const char *em_advise_cure(const struct em_advisor *advisor, const struct em_env_object *requester, const char *name);

#endif
