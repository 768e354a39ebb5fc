/* standing.h: how much a missing library matters, by what the object is to its package. Private to diagnose.
 *
 * In every environment that works there are objects that do not load by themselves, and nobody misses them: a build for another CUDA
 * major, a plugin of a program that is not installed, a back end for a desktop in a slim container. Rules tell them from what is
 * broken, not lists of names:
 *   - a *plugin*: what it misses is loaded by any import of its own package, so it is there when somebody opens the plugin;
 *     So is what needs the very library that names it, in its strings, to open it (OpenVINO's);
 *   - *preloaded*: an import of a distribution that its own requires loads what it misses, and its package imports that one first, or
 *     it would load nowhere (torchvision and torch);
 *     So it is where the Python code of its own package names the library that it misses and that the package has (torchaudio);
 *   - a *variant*: another file in its directory, of the same name but for digits, does load: the package picks the one that fits;
 *   - *hopeless*: besides, it needs something that is nowhere; nobody can have opened it here;
 *   - a *spare part* of a vendor's package: nothing here loads it, and what it lacks the package requires for an extra at most;
 *   - an *extra*: one extension module of many, and others of its package load: what it lacks is the system's, and asked for only by
 *     those who use that module, and the package's own start does not import it.
 * Where nothing of a distribution loads, none of this excuses it: it does not work here.
 * A library of the vendor's that is nowhere is missed all the same, where the object is the only build of its kind: onnxruntime's CUDA
 * provider without CUDA. And what is *opened* by an object that is broken without it is missed, so what it lacks in turn is as bad as if it were not there.
 */
#ifndef EM_BUNDLE_DIAGNOSE_STANDING_H
#define EM_BUNDLE_DIAGNOSE_STANDING_H

#include "bundle/diagnose/advice.h"

/* What was asked of Python files, so that each is read once for one library. */
struct em_named_libraries {
    struct em_map answers; /* "distribution\nlibrary" -> "y" or "n" */
    uint64_t bytes_read;
};

struct em_standing {
    const struct em_advisor *advisor;
    struct em_map loads;    /* distribution's name -> itself: one of its extension modules loads */
    struct em_map variants; /* path without its digits -> an object of that shape that loads */
    struct em_map lame;     /* object's path -> itself: it, or what it was opened for, lacks something that no import brings */
    struct em_map hopeless; /* object's path -> itself: it needs something that is nowhere */
    struct em_map foreign;  /* the same for something that no package of the tables brings: TensorRT, a desktop */
    struct em_map hosts;    /* object's path -> the library that it needs, and that opens it by name */
    struct em_map alive;    /* distribution's name -> itself: something of it loads */
    struct em_named_libraries *named;
    struct em_map *builds; /* owner and path without its digits -> how many objects; filled when it is asked for first */
    bool cuda;             /* a GPU is meant to be used: what is opened for one alone is missed */
    struct em_map opened;  /* object's path -> itself: some object opens it by name and is broken without it */
};

int em_standing_init(struct em_standing *standing, const struct em_advisor *advisor);

/* provider: as em_advise_provider has it for the case; NULL: none. */
enum em_severity em_standing_severity(const struct em_standing *standing, const struct em_case *item,
                                      const struct em_env_object *provider);

/* One of several builds of the same, of which a package opens the one that fits. */
bool em_standing_is_one_of_many(const struct em_standing *standing, const struct em_env_object *object);

/* The distribution whose import brings what an object misses: a required one, or the object's own, by its Python code. NULL: none. */
const struct em_distribution *em_standing_preloader(const struct em_standing *standing, const struct em_case *item,
                                                    const struct em_env_object *provider);

#endif
