/* zip_room.h: what zip.c, zip_member.c and zip_index.c share. */
#ifndef EM_BUNDLE_TREE_ZIP_ROOM_H
#define EM_BUNDLE_TREE_ZIP_ROOM_H

#include "bundle/tree/zip.h"

#include <pthread.h>

/* Inflated pieces of members, kept for the next question. */
#define EM_ZIP_KEPT 20u
struct em_zip_kept {
    const struct em_zip_member *member; /* NULL: free */
    uint64_t chunk, used;               /* used: when, by zip->clock */
    uint8_t *bytes;                     /* EM_ZIP_CHUNK of them */
};

struct em_zip {
    struct em_arena *arena;
    const char *path;
    int fd;
    uint64_t size;
    struct em_zip_members members;
    struct em_map by_name;

    pthread_mutex_t kept_lock; /* over what was inflated for questions; taken before the other */
    struct em_zip_kept kept[EM_ZIP_KEPT];
    uint64_t clock;

    pthread_mutex_t lock;           /* over the file of windows, and over who is busy with what is learned of a member */
    struct em_zip_learned *learned; /* all that is ours, by its next */
    pthread_cond_t idle;
    int windows; /* unlinked file; -1: not needed so far */
    uint64_t windows_end;
};

typedef int em_zip_piece(void *context, uint64_t at, const uint8_t *bytes, size_t size);

/* Hands out the pieces of a deflated member that cover from up to end and what lies around them; at its end, size and CRC are what
 * the directory says. Learns on the way. Several may ask, also for one member. */
int em_zip_walk(struct em_zip *zip, struct em_zip_member *member, uint64_t from, uint64_t end, em_zip_piece *piece,
                void *context, struct em_error *error);
void em_zip_forget(struct em_zip *zip);

#endif
