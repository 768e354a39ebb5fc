/* room.h: what the files of this room share and nobody else sees.
 *
 *     tokens.c     $ORIGIN and its like; path lists to directories
 *     objects.c    files looked at once, directories looked up once, and what the loader says of a file
 *     process.c    the state: who is loaded under which names; opens, rollback, forks
 *     present.c    who of them has a name
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

#define HEADER_SIZE 64 /* of the larger class */

struct loadable {
    struct em_loadable base;
    const char *key;       /* that no other file has */
    const uint8_t *header; /* HEADER_SIZE bytes while it is judged, of which that many are the file's; NULL afterwards */
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
    const char *text;  /* with one slash at the end; "" for an empty entry */
    const char *shown; /* "." for an empty entry, no slash at the end */
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
    struct em_map promised;    /* name -> struct loadable that is not on this machine */
    struct em_map texts;       /* each string that a process has, once: it outlives the process */
    uint64_t bytes_read;
    unsigned steps; /* of EM_MAX_STEPS */
};

/* One more request, one more directory that is tried, EM_STEPS_TO_MAP for one more library that is mapped. EM_LIMIT, without a sentence:
 * they are too many. */
int em_loader_step(struct em_loader *loader, unsigned steps);

int em_loader_find(struct em_loader *loader, const char *path, struct found **found);
int em_loader_find_in(struct em_loader *loader, struct spot *spot, const char *name, struct found **found);
int em_loader_directory(struct em_loader *loader, const char *text, struct directory **directory);
const char *em_loader_absolute(struct em_loader *loader, const char *path);
/* The same text, kept as long as the loader. NULL for NULL, and without memory. */
const char *em_loader_text(struct em_loader *loader, const char *text);
/* What stands for a library that a narrowed world promises, and that need not be on this machine. NULL: no memory. */
struct loadable *em_loader_promised(struct em_loader *loader, const char *name);
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

/* Fills list, in arena, from text, whose entries end at one of separators. Entries of the same spelling count once. */
int em_tokens_split(struct em_loader *loader, struct em_arena *arena, struct path_list *list, const char *text,
                    const char *separators, const char *origin, bool is_main);

/* ---- processes ---- */

/* musl's lists: whatever is spelled there, as often as it is. */
struct spelled {
    const char *directory, *written;
};
struct spelled_list {
    bool ready;
    EM_VEC(struct spelled);
};

struct loaded {
    struct em_loaded base;
    struct path_list rpath, runpath; /* glibc */
    struct spelled_list path;        /* musl: of either tag */
    bool soname_added;
    bool versions_checked;
    bool opened;            /* was a root, or the program: its needs are complete */
    bool fresh;             /* mapped by the open that is under way */
    bool listed;            /* in the breadth-first list that is under way */
    const char *short_name; /* musl */
    size_t names_before;    /* names.count when the open under way began to fail */
};

/* present.c: see there. */
enum present_state {
    PRESENT_FEW,
    PRESENT_INDEXED,
    PRESENT_MOVED,
};
struct present {
    enum present_state state;
    struct em_map by_name, by_soname, by_file; /* -> struct loaded, the first in load order */
};

struct process {
    struct em_process base;
    struct present present;
    struct loaded *main, *interpreter;
    struct path_list environment; /* glibc: LD_LIBRARY_PATH */
    struct spelled_list variable; /* musl: the same */
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
/* At the end of the list. */
int em_process_append(struct process *process, struct loaded *object);

/* The first in load order that has the name or the SONAME; that has the name, the program before all others; that is the file, the
 * program never. NULL: nobody. */
struct loaded *em_present_answering(const struct process *process, const char *name);
struct loaded *em_present_by_name(const struct process *process, const char *name);
struct loaded *em_present_as_file(const struct process *process, const struct loadable *file);
bool em_loaded_answers(const struct loaded *object, const char *name);
/* Who changes the list or the names of who stands in it says so. */
int em_present_added(struct process *process, const struct loaded *object);
int em_present_named(struct process *process, const struct loaded *object, const char *name);
void em_present_forget(struct process *process, enum present_state state);

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
/* It is answered with an object of the process. */
void em_request_lead(struct em_request *request, struct loaded *object);

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
