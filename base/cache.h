/* cache.h: what can be made again, and where it is kept.
 *
 *     r = em_cache_directory(arena, "sources", &directory, error)     absolute, without links, made if it is missing, ours alone
 *     r = em_cache_private(arena, &directory, error)                  where there is none: of this process, and gone with it
 *
 * It is $ELFMEND_CACHE, else $XDG_CACHE_HOME/elfmend, else ~/.cache/elfmend (XDG base directory specification): whatever lies there
 * may be removed at any time. What others could have put there would be taken for our own work, so it is used only if it belongs to us,
 * nobody else may write to it, and nobody but us and root could put another directory in its place (em_is_safe). That is looked at
 * before anything is made: root with the HOME of a user, as some settings of sudo have it, leaves nothing there that the user could not
 * remove.
 *
 * Errors: EM_USAGE if none of the variables names a place, EM_REFUSED if others have a hand in it, EM_IO, EM_NOT_FOUND.
 * Threads: em_cache_private for one at a time.
 */
#ifndef EM_BASE_CACHE_H
#define EM_BASE_CACHE_H

#include "base/arena.h"
#include "base/error.h"

int em_cache_directory(struct em_arena *arena, const char *part, const char **directory, struct em_error *error);

/* In $TMPDIR, else /tmp; the same one each time. What a program that was killed has left there is removed by the next
 * that needs one. */
int em_cache_private(struct em_arena *arena, const char **directory, struct em_error *error);

/* A directory that we made, with all that is in it. What cannot be removed is not missed. */
void em_cache_remove(const char *directory);

#endif
