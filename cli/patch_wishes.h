/* patch_wishes.h: what a call of patch, or patchelf, asks for, and how it is answered in words. For cli/patch.c.
 *
 *     struct em_patch_wishes wishes = { .arena = arena, .self = "patchelf", .failed = 1 };
 *     r = em_patch_wishes_parse(&wishes, argc, argv)
 *
 * Options and their order of precedence are patchelf 0.19's, as its manual has them. Every complaint returns the exit status of a
 * failure.
 */
#ifndef EM_CLI_PATCH_WISHES_H
#define EM_CLI_PATCH_WISHES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct em_patch_wishes {
    struct em_arena *arena;
    const char *self; /* for messages: "elfmend" or "patchelf" */
    int failed;       /* the exit status of a failure */
    bool print_interpreter, print_os_abi, print_soname, print_rpath, print_needed, print_execstack;
    bool remove_rpath, shrink_rpath, force_rpath, no_default_lib, debug_tag, clear_stack, set_stack, debug, in_place, fsync;
    bool sets_abi;
    uint8_t abi;
    const char *interpreter, *soname, *rpath, *more_rpath, *output;
    struct em_strings prefixes, add, remove, replace, clear, rename, files; /* replace, rename: pairs in a row */
};

/* 0; an exit status, when it has complained; -1: all that was asked for is printed. */
int em_patch_wishes_parse(struct em_patch_wishes *wishes, int argc, char **argv);
void em_patch_help(const struct em_patch_wishes *wishes, FILE *stream);

/* Called by patchelf's name: its exit status, its words. */
bool em_patch_is_patchelf(const struct em_patch_wishes *wishes);

/* about: a file or an option; NULL: nothing in particular. */
int em_patch_complain(const struct em_patch_wishes *wishes, const char *about, const char *sentence);
int em_patch_complain_error(const struct em_patch_wishes *wishes, const struct em_error *error);
int em_patch_complain_missing(const struct em_patch_wishes *wishes, const char *path);

#endif
