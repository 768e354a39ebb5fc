/* source.h: where a missing library may come from, every byte verified.
 *
 * A source is a place that holds libraries: a directory (an unpacked wheel, a site-packages, a plain lib directory), or an archive,
 * told by its content: wheel, tar (gz, bz2, xz, zstd), .deb, .rpm, .conda. An archive is read when somebody looks for a library: what it
 * holds is listed, and the members that may answer are unpacked in the same pass into a cache (base/cache.h, under sources/; for thirty
 * days after its last use), with the lists that vouch for them; candidate->path is a file that stays, unless there is no cache that is
 * ours alone (source->warning). What the cache has is used only where it still is what was unpacked: what a power failure has cut off
 * is unpacked again. One that has a name leading out, a link leading out, a name twice, an end too early or a size
 * beyond all measure, and a wheel that breaks one of em_zip_open's rules, is refused as a whole, and nothing of it is kept.
 *
 *     r = em_source_open(&source, arena, tree, "/downloads/nvidia-cudnn", error)
 *     r = em_source_look(source, &names, false, error)
 *     candidate = source->candidates ...          what may answer, with SONAME, version of the distribution, what vouches
 *     em_pins_read(&pins, arena, bytes, ...)      --require-hashes FILE, sha256sum's format
 *     r = em_candidate_vouch(candidate, pins, allow_unverified, error)    what it has to be: whoever copies it compares
 *     r = em_candidate_verify(candidate, pins, allow_unverified, error)   the same, and compares now
 *
 * A place may be a part of a site-packages, the bare nvidia/cudnn/lib too: the RECORD that lists its files is found above it.
 *
 * What vouches for a file: the pin file if one was given (then nothing else counts), else the RECORD that lists it. An archive that is
 * pinned as a whole brings what is in it: by its RECORD, or as it is. With neither, a file is EM_REFUSED unless the user allowed it. A file that differs from what vouches for it is EM_REFUSED always.
 */
#ifndef EM_BUNDLE_SOURCE_SOURCE_H
#define EM_BUNDLE_SOURCE_SOURCE_H

#include "bundle/env/env.h"
#include "bundle/loader/world.h"
#include "patcher/patcher.h"

/* A licence file of a distribution, by its path: below .dist-info/licenses/, or beside METADATA under one of the usual names. */
bool em_is_licence_name(const char *path);

enum em_voucher {
    EM_VOUCHER_NONE,
    EM_VOUCHER_RECORD,
    EM_VOUCHER_PIN,
};

struct em_candidate {
    const char *path;  /* absolute, in the source's tree */
    const char *shown; /* in messages: of a member of an archive, "cudnn.deb: usr/lib/libcudnn.so.9" */
    struct em_tree *tree;
    struct em_node node;
    struct em_object object;
    const char *place;                          /* the source as the user named it */
    struct em_container *container;             /* that it is a member of; NULL: none */
    const struct em_distribution *distribution; /* NULL if no RECORD lists it */
    enum em_voucher voucher;                    /* set by em_candidate_vouch */
    bool has_expected;                          /* the RECORD has a digest for it */
    struct em_sha256 expected;
    bool has_expected_size; /* and a size */
    uint64_t expected_size;
    const char *problem;     /* NULL: the object was read; else why not. It answers to its file name, to be refused by name */
    struct em_sha256 sha256; /* set by em_candidate_vouch: what it has to be */
};

struct em_candidates {
    EM_VEC(struct em_candidate *);
};

struct em_sources {
    EM_VEC(struct em_source *);
};

struct em_source {
    const char *place;
    struct em_container *container;  /* NULL: a directory or an object, whose candidates are all there at once */
    struct em_env env;               /* the directory read as an environment: its distributions and their RECORDs */
    struct em_candidates candidates; /* by path; of a container those that somebody has looked for */
    struct em_map by_name;           /* SONAME or file name -> struct em_candidates *, in that order */
    size_t named;                    /* how many of them by_name has */
    const char *cache;               /* where it is unpacked; NULL: it is not */
    const char *warning;             /* what the user should hear of that place; NULL: nothing */
};

int em_source_open(struct em_source **source, struct em_arena *arena, struct em_tree *tree, const char *place,
                   struct em_error *error);

/* The same with what is to be repaired: "pip:REQUIREMENT", a name and versions of it, is fetched by its own pip (or uv), as its index
 * settings say, one wheel without what that requires, and never built from source. Without a target, as for a wheel, by that of the
 * python3 in PATH. An interpreter that others may write to is EM_REFUSED. This is the one place that runs a foreign program. */
int em_source_open_for(struct em_source **source, struct em_arena *arena, struct em_tree *tree, const char *place,
                       const struct em_env *target, struct em_error *error);

/* File name (last component) or whole path -> digest, as sha256sum prints: "HEX  path" or "HEX *path". A candidate is looked up by the
 * longest tail of its path that is pinned. Or name and version of a distribution -> digests of its wheels, as pip reads them from a
 * requirements file: "nvidia-cudnn-cu12==9.10.2.21 --hash=sha256:HEX --hash=sha256:HEX", over several lines with "\" at their ends;
 * lines of further options are passed over, and so are empty lines and lines with "#" in front. */
struct em_pins {
    const char *path;
    struct em_map by_name;    /* base name -> struct em_pin * */
    struct em_map by_release; /* "nvidia-cudnn-cu12 9.10.2.21" -> struct em_pin * */
    bool given;
};
int em_pins_read(struct em_pins *pins, struct em_arena *arena, const char *path, struct em_error *error);

/* After it all that may answer to one of the names is among the candidates: libraries with such a file name, and links to others. deep:
 * also those that only call themselves so (SONAME), for which each library of an archive has to be looked into. names NULL: all. */
int em_source_look(struct em_source *source, const struct em_strings *names, bool deep, struct em_error *error);

/* Whether it has something under that name, by SONAME or by file name, be it for another machine or broken. What cannot be looked into
 * has everything: whoever asks for it hears what is wrong. */
bool em_source_has(struct em_source *source, const char *name);

/* ---- family.c: which of them are taken ---- */

struct em_want {
    const char *name;                  /* the soname that is asked for */
    const struct em_object *requester; /* the versions that it needs of that name count; NULL: it needs none */
};

/* Libraries that open each other, and so are taken whole and of one version, over all sources. */
struct em_family {
    const char *requester; /* for words */
    const char *near;      /* the version that is looked for: of the requester, or of what is installed; NULL: not known */
    const char *exactly;   /* the version that the family has already; NULL: none yet */
    struct {
        EM_VEC(struct em_want);
    } wants;
};

struct em_passed_over {
    const char *name, *candidate, *why;
};

struct em_selection {
    struct em_candidates taken; /* as the wants are; all NULL where no version of the family is whole */
    const char *version;        /* of what is taken; NULL: not known */
    struct {
        EM_VEC(struct em_passed_over);
    } passed_over;
};

/* Taken is, of the versions that are whole over all sources and of the right major, the one nearest to the requester: the lowest that
 * is not older, else the highest; among equals the first source. A candidate for another machine or libc, one that needs a newer
 * glibc than the target has, and one that does not define a version that the requester asks for, is not taken. What nothing vouches
 * for, or what cannot be read, is taken only where there is nothing else, to be refused by name. EM_REFUSED if one of them could only be
 * answered by what is for another machine. */
int em_source_select(struct em_selection *selection, struct em_arena *arena, const struct em_sources *sources,
                     const struct em_family *family, const struct em_world *world, const struct em_pins *pins,
                     struct em_error *error);

/* Decides what vouches for it, and sets its sha256: as the pin says, or the RECORD. Only what nothing vouches for is read, if that is allowed,
 * and what is refused in any case, so that the reason is the right one. */
int em_candidate_vouch(struct em_candidate *candidate, const struct em_pins *pins, bool allow_unverified,
                       struct em_error *error);
/* The same, and reads it now. */
int em_candidate_verify(struct em_candidate *candidate, const struct em_pins *pins, bool allow_unverified,
                        struct em_error *error);

#endif
