/* wheel.h: a wheel, and what it would be once it is installed.
 *
 *     r = em_wheel_open(&wheel, arena, "dist/x-1-cp311-cp311-linux_x86_64.whl", error)     the zip is checked, the name read
 *     r = em_wheel_install(&installed, arena, wheel, world_tree, &with, error)             laid over a world, with its siblings
 *     r = em_env_read_wheel(&env, arena, installed.tree, installed.site, wheel->given, error)   an environment like any other
 *     distribution = em_wheel_distribution(wheel, &env)
 *     r = em_wheel_promise(&installed, arena, &promises, &diagnosis, wheel, undeclared, &news, error)
 *     em_wheel_uninstall(&installed); em_wheel_close(wheel)
 *
 * Where it is installed: PREFIX/lib/python3.11/site-packages, PREFIX being the wheel's own absolute path, so that what is shown says
 * what it is about. Siblings (--with) share that directory: wheels, environments, directories.
 *
 * A wheel is installed with what it requires, and most of that is not here when the wheel is looked at. What a requirement
 * *promises* stands in the tables: package, directory, sonames. em_wheel_promise puts, for each library that the diagnosis found
 * nowhere and that such a package brings, an object of that name where it will be, empty but for its SONAME. The environment is read
 * and diagnosed again then, until there is no news. A package that the wheel does not require itself is promised only if undeclared
 * is set: that is the path strategy of repack, which writes the requirement into METADATA.
 *
 * RECORD is shown as an installer would write it, with the members of .data where they go.
 * Errors: em_zip_open's; EM_BAD_RECORD; EM_NOT_FOUND for a sibling that is not there. em_wheel_close and _uninstall take NULLs.
 */
#ifndef EM_BUNDLE_WHEEL_WHEEL_H
#define EM_BUNDLE_WHEEL_WHEEL_H

#include "bundle/diagnose/diagnose.h"
#include "bundle/plan/planner.h"
#include "bundle/tree/site.h"

struct em_wheel {
    const char *given;    /* as the user spelled it */
    const char *absolute; /* without links */
    const char *file_name;
    struct em_zip *zip;
    /* Of the file name; NULL where it has not that form. */
    const char *name, *version, *build, *tags; /* tags: "cp311-cp311-manylinux_2_17_x86_64" */
    const char *dist_info;                     /* "x-1.dist-info"; NULL: there is none */
    unsigned dist_infos;
    const char *python; /* "python3.11", for the directory; "python3" if the tags do not say */
};

bool em_is_wheel_name(const char *path); /* by its suffix */
/* Whether all platforms of its file name are musllinux (PEP 656): it is installed where musl is libc, and leans on nothing else. */
bool em_is_musl_wheel(const char *path);

int em_wheel_open(struct em_wheel **wheel, struct em_arena *arena, const char *path, struct em_error *error);
void em_wheel_close(struct em_wheel *wheel);

/* A member of the .dist-info; NULL: not there. */
struct em_zip_member *em_wheel_part(const struct em_wheel *wheel, struct em_arena *arena, const char *name);

struct em_installed {
    struct em_tree *tree;
    const char *site; /* absolute */
    struct {
        EM_VEC(struct em_wheel *);
    } siblings;
};

/* with: places as the user named them, in the terms of below. */
int em_wheel_install(struct em_installed *installed, struct em_arena *arena, const struct em_wheel *wheel,
                     struct em_tree *below, const struct em_strings *with, struct em_error *error);
/* Not installed: as RECORD sees it, a site of the wheel's own members under the names they have in the archive. */
int em_wheel_lay_out(struct em_installed *packed, const struct em_wheel *wheel, struct em_tree *below, struct em_error *error);
void em_wheel_uninstall(struct em_installed *installed);

struct em_distribution *em_wheel_distribution(const struct em_wheel *wheel, const struct em_env *env);

/* A package that is not here and will be. */
struct em_promise {
    const char *name;        /* normalised */
    const char *requirement; /* "nvidia-cudnn-cu12>=9,<10" */
    const char *dist_info;   /* absolute */
    bool declared;           /* the wheel requires it already */
    struct em_strings files; /* relative to the site */
};

struct em_promises {
    EM_VEC(struct em_promise *);
};

/* What one of the sources (of the wish; NULL: none) has is not promised: it is copied. *news: something was promised that was not before. */
int em_wheel_promise(struct em_installed *installed, struct em_arena *arena, struct em_promises *promises,
                     const struct em_diagnosis *diagnosis, const struct em_distribution *distribution, bool undeclared,
                     const struct em_plan_wish *sources, bool *news, struct em_error *error);

/* One that is here by promise alone. */
bool em_is_promised(const struct em_distribution *distribution);

/* The requirement with a bound that keeps the major: where the table has none and versions follow the soname, the soname's. */
const char *em_promise_requirement(struct em_arena *arena, const struct em_package *package, const char *requirement,
                                   const char *major);

#endif
