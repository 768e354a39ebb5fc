/* world.h: all that the loader's answer depends on besides the files.
 *
 * Read once, immutable afterwards, shared by threads. Where it comes from:
 *
 *     em_world_read(&world, arena, tree, &wish, error)    the machine or image that tree is: its libc, cache, system directories
 *
 * wish.kind narrows it: "system" is what is there; "manylinux" keeps of the outside only the libraries that every manylinux
 * platform promises and the driver (no cache); "empty" has no cache, and system directories with libc's own files alone; a path
 * is a file written by `doctor --world` (world_file.h), and then nothing but the cwd is of this machine.
 * Facts: how ld.so finds its directories, the cache's formats, hwcaps levels. ld.so(8), glibc's elf/dl-cache.c and
 * sysdeps/generic/dl-cache.h; musl's ldso/dynlink.c.
 */
#ifndef EM_BUNDLE_LOADER_WORLD_H
#define EM_BUNDLE_LOADER_WORLD_H

#include "bundle/tree/tree.h"

enum em_libc {
    EM_LIBC_GLIBC,
    EM_LIBC_MUSL,
};

/* One entry of ld.so.cache that this loader could use, best first among equals of a name. */
struct em_cache_entry {
    const char *name; /* key: usually a SONAME */
    const char *path;
};

struct em_world_wish {
    const char *kind;            /* NULL: "system" */
    const char *libc;            /* "glibc", "musl", NULL: as the interpreter says */
    const char *ld_library_path; /* as the modelled process has it; NULL: not set, or as the file has it */
    const char *ld_preload;      /* likewise */
    const char *cwd;             /* NULL: the process's own, or "/" in an image */
    const char *like;            /* path of an executable or object whose class, machine and interpreter count; NULL: our own */
    bool inhibit_cache;          /* as ld.so --inhibit-cache */
    const char *cache_path;      /* NULL: /etc/ld.so.cache */
};

struct em_world {
    const char *kind; /* as it was wished */
    enum em_libc libc;
    unsigned libc_major, libc_minor; /* 0.0: unknown, taken as current */
    const char *interpreter;         /* path of ld.so, NULL if there is none in the tree */
    uint16_t machine;                /* EM_* of what this loader loads */
    bool is64, big_endian;
    struct em_strings system_dirs; /* without trailing slash, in order */
    struct em_strings hwcaps;      /* subdirectories tried before each directory: "glibc-hwcaps/x86-64-v3", best first */
    const char *lib_token;         /* $LIB */
    unsigned cpu_level; /* of an x86-64 processor, 1 to 4: what GNU_PROPERTY_X86_ISA_1_NEEDED is held against; 0: not known */
    const char *platform_token;  /* $PLATFORM, NULL: no value */
    const char *ld_library_path; /* NULL: not set */
    const char *ld_preload;
    const char *cwd;        /* absolute */
    const char *so_preload; /* contents of /etc/ld.so.preload; NULL: not there */
    bool secure;            /* AT_SECURE */
    struct em_map cache;    /* name -> struct em_cache_entry */
    bool has_cache;
    struct em_strings only_system; /* not empty: patterns (fnmatch) of the only names that system directories answer */
    struct em_map libraries;       /* has_libraries: exactly these are the only names */
    bool has_libraries;
    struct em_tree *tree;
};

int em_world_read(struct em_world *world, struct em_arena *arena, struct em_tree *tree, const struct em_world_wish *wish,
                  struct em_error *error);

/* The entry of ld.so.cache for a name, as the loader would find it; NULL: none. arena is for a key, if one has to be made. */
const struct em_cache_entry *em_world_cached(const struct em_world *world, struct em_arena *arena, const char *name);

/* "system", "manylinux" or "empty". */
bool em_world_is_word(const char *kind);
/* Whether a kind is a file's path, and no word: it has a slash, or is a file here that no word names. */
bool em_world_is_file(const char *kind);

/* A world of which it is known what it has outside of the target, whatever the tree has there. */
bool em_world_is_narrow(const struct em_world *world);
/* Whether a name is one that such a world has outside of the target. */
bool em_world_promises(const struct em_world *world, const char *name);

/* The numeric-aware order in which ld.so.cache is sorted and searched (glibc's _dl_cache_libcmp): libx.so.01 equals libx.so.1. */
int em_cache_compare(const char *a, const char *b);

#endif
