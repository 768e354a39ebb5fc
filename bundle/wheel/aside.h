/* aside.h: where a file is written before it appears: a hidden directory beside its place, so that nobody takes half of one for a whole.
 * Private to this room.
 *
 *     r = em_aside_open(&aside, arena, directory, error)       made if it is missing; what killed runs left in it is removed
 *     fd = em_aside_file(&aside, name, error)                  new and empty, in DIRECTORY/.elfmend-0123456789abcdef
 *     r = em_aside_place(&aside, name, dir, error)             it gets its place, in aside.directory or in a directory below it
 *     em_aside_close(&aside)                                   with what got no place
 *
 * The directory may be somebody else's who writes to it meanwhile: the hidden one has a name that cannot be guessed, mode 0700 and is
 * held open and locked (flock) as long as its maker lives; no link is followed to it. One that nobody holds is a dead run's. Where
 * directories cannot be locked (NFS) nothing is removed, and a killed run's stays.
 *
 * Errors: EM_IO; EM_REFUSED: the directory is a link of somebody else's.
 */
#ifndef EM_BUNDLE_WHEEL_ASIDE_H
#define EM_BUNDLE_WHEEL_ASIDE_H

#include "base/base.h"

struct em_aside {
    int directory, hidden; /* -1: not open */
    const char *path;      /* of the directory, for messages */
    const char *name;      /* of the hidden one, below it */
};
#define EM_ASIDE_INIT                                                                                                          \
    {                                                                                                                          \
        .directory = -1, .hidden = -1                                                                                          \
    }

int em_aside_open(struct em_aside *aside, struct em_arena *arena, const char *directory, struct em_error *error);
int em_aside_file(const struct em_aside *aside, const char *name, struct em_error *error);
int em_aside_place(const struct em_aside *aside, const char *name, int dir, struct em_error *error);
void em_aside_close(struct em_aside *aside);
#define em_cleanup_aside __attribute__((cleanup(em_aside_close)))

#endif
