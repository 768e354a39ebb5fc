/* zip_room.h: what zip.c and zip_member.c share. */
#ifndef EM_BUNDLE_TREE_ZIP_ROOM_H
#define EM_BUNDLE_TREE_ZIP_ROOM_H

#include "bundle/tree/zip.h"

#include <pthread.h>

struct em_zip {
    struct em_arena *arena;
    const char *path;
    int fd;
    uint64_t size;
    struct em_zip_members members;
    struct em_map by_name;

    pthread_mutex_t lock; /* over all below, and every member's spooled */
    int spool;            /* unlinked file; -1: not needed so far */
    uint64_t spool_end;
};

/* Frees the inflater of every member that was left half way. */
void em_zip_drop_spools(struct em_zip *zip);

#endif
