/* room.h: what the files of this room share and nobody else sees.
 *
 *     tokens.c     $ORIGIN and its like; path lists to directories
 *     objects.c    files looked at once, directories looked up once, and what the loader says of a file
 *     process.c    the state: who is loaded under which names; opens, rollback, forks
 *     glibc.c      glibc's requests; musl.c musl's; deps.c and versions.c what glibc does with them
 */
#ifndef EM_BUNDLE_LOADER_ROOM_H
#define EM_BUNDLE_LOADER_ROOM_H

#include "bundle/loader/loader.h"

/* ---- files ---- */

enum verdict {
    VERDICT_TAKE,
    VERDICT_SKIP,  /* the loader closes it and goes on to the next directory */
    VERDICT_FATAL, /* the loader gives up: no other directory is searched */
};

struct loadable {
    struct em_loadable base;
    uint8_t header[64];
    size_t header_size;
    enum verdict verdict; /* of the world's loader, in any directory */
    const char *why;      /* if it is not TAKE */
};

/* What is at a path: error is a positive errno, 0 if file is there. */
struct found {
    int error;
    struct loadable *file;
};

/* One directory by identity, whatever paths lead to it: names that were looked for in it. */
struct place {
    struct em_map names; /* -> struct found */
};

/* Where a name is looked for: prefix is the loader's spelling up to and with the last slash, where the same for the tree. */
struct spot {
    const char *prefix, *where;
    struct place *place; /* NULL: not a directory */
};

/* A directory of a path list, by its spelling. */
struct directory {
    const char *text; /* with one slash at the end; "" for an empty entry */
    bool exists, relative;
    struct {
        EM_VEC(struct spot);
    } spots; /* hwcaps subdirectories that exist, then the directory itself */
};

struct em_loader {
    const struct em_world *world;
    struct em_arena *arena;
    struct em_map files;       /* "device:inode" -> struct loadable */
    struct em_map paths;       /* absolute path -> struct found */
    struct em_map directories; /* text -> struct directory */
    struct em_map places;      /* "device:inode" -> struct place */
    uint64_t bytes_read;
};

int em_loader_find(struct em_loader *loader, const char *path, struct found **found);
int em_loader_find_in(struct em_loader *loader, struct spot *spot, const char *name, struct found **found);
int em_loader_directory(struct em_loader *loader, const char *text, struct directory **directory);
const char *em_loader_absolute(struct em_loader *loader, const char *path);
/* glibc's and musl's opinion of a file; fills verdict and why. */
void em_glibc_judge(const struct em_loader *loader, struct loadable *file);
void em_musl_judge(const struct em_loader *loader, struct loadable *file);

/* ---- tokens and path lists ---- */

/* input with $ORIGIN, $LIB and $PLATFORM replaced; "" if one of them has no value. NULL: no memory. origin may be NULL. */
const char *em_tokens_expand(struct em_arena *arena, const struct em_world *world, const char *origin, bool is_main,
                             const char *input);

struct entry {
    struct directory *directory;
    const char *written;
};

struct path_list {
    bool ready;
    EM_VEC(struct entry);
};

/* Fills list from text, whose entries end at one of separators. Entries of the same spelling count once. */
int em_tokens_split(struct em_loader *loader, struct path_list *list, const char *text, const char *separators,
                    const char *origin, bool is_main);

/* ---- processes ---- */

struct loaded {
    struct em_loaded base;
    struct path_list rpath, runpath; /* musl: only rpath, which is either */
    bool soname_added;
    bool versions_checked;
    bool opened;            /* was a root, or the program: its needs are complete */
    bool fresh;             /* mapped by the open that is under way */
    bool listed;            /* in the breadth-first list that is under way */
    const char *short_name; /* musl */
    size_t names_before;    /* names.count when the open under way began to fail */
};

struct process {
    struct em_process base;
    struct loaded *main, *interpreter;
    struct path_list environment;
    bool stack_executable;
    bool opening; /* inside a dlopen, as opposed to the start of the program */
    bool failed;  /* the open under way has failed; what is done now is only to tell more */
};

/* The process's own list, in load order, as ours. */
#define em_process_at(process, i) ((struct loaded *)(process)->base.objects.items[i])

struct em_arena *em_process_arena(const struct process *process);

/* A new object at the end of the list, loaded by loader (NULL: a root). name is l_name. NULL: no memory. */
struct loaded *em_process_add(struct process *process, const char *name, const char *requested, struct loadable *file,
                              struct loaded *loader);
int em_loaded_add_name(struct process *process, struct loaded *object, const char *name);
bool em_loaded_has_name(const struct loaded *object, const char *name);
const char *em_origin_of(struct em_arena *arena, const char *cwd, const char *name);

/* A request of from for name; asking: leaves no trace in the process. The answer is in *request, mapped or not. */
struct question {
    struct loaded *from; /* NULL: nobody; no path of its own */
    const char *name;
    const char *written; /* before tokens were expanded */
    enum em_via via;
    bool asking;
};
int em_glibc_request(struct process *process, const struct question *question, struct em_request **request);
int em_musl_request(struct process *process, const struct question *question, struct em_request **request);

/* An empty answer, noted in the process unless it is only asked. */
int em_request_new(struct process *process, const struct question *question, struct em_request **request);

/* All that root needs, breadth first; also preloads, which stand behind it. list: what it found, in the order of glibc's search
 * list. */
int em_glibc_deps(struct process *process, struct loaded *root, const struct em_loadeds *preloads, struct em_open *open,
                  struct em_loadeds *list);
int em_musl_deps(struct process *process, struct loaded *root, struct em_open *open, struct em_loadeds *list);

/* Versions and what else glibc checks once all is mapped, for the objects of list that were not checked before. */
int em_glibc_check(struct process *process, const struct em_loadeds *list, struct em_open *open);

/* Notes that the open under way failed with this request. */
void em_open_fail(struct process *process, struct em_open *open, const struct em_request *request, const char *why);

#endif
