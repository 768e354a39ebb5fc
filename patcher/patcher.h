/* patcher.h: one ELF object: read it, edit it.
 *
 * The room knows the ELF format (gABI chapter 4 and 5, gnu-gabi for GNU's additions) and nothing of wheels, Python or CUDA.
 *
 * Reading takes a few reads of headers, the dynamic section and its tables; the size of the file does not matter:
 *
 *     struct em_object object;
 *     r = em_object_read(&object, arena, &reader, error);      EM_NOT_ELF, EM_BAD_ELF, EM_IO, EM_NO_MEMORY, EM_LIMIT
 *     object.soname, object.needed.items[i] ...                live as long as the arena
 *
 * Editing has three steps, so that a dry run, the transaction and `elfmend patch` do the very same:
 *
 *     struct em_edit edits[] = { { .kind = EM_EDIT_SET_RPATH, .value = "$ORIGIN" } };
 *     r = em_patch_make(&patch, arena, &reader, edits, 1, NULL, error);   lays out, checks the result, writes nothing
 *     if (em_patch_is_empty(&patch)) ...                                  nothing to do: touch no byte, no mtime
 *     r = em_patch_copy(&patch, in, out, path, error);                    out: an empty file, which gets the result
 *
 * em_patch_make returns EM_REFUSED when no rung of the ladder fits or the result would not pass the check; error has the reason.
 * em_patch_file does the whole for one path: temporary file beside it, copy, write, mode, owner, xattrs, rename.
 *
 * Threads: everything works on its arguments alone.
 */
#ifndef EM_PATCHER_PATCHER_H
#define EM_PATCHER_PATCHER_H

#include "base/base.h"

#include <elf.h>

/* One version that an object needs from a file (Elf*_Vernaux), or defines (Elf*_Verdef). */
struct em_version {
    const char *name;
    uint32_t hash;
    bool weak; /* VER_FLG_WEAK */
    bool base; /* VER_FLG_BASE: the object's own name, defines only */
};

struct em_versions {
    EM_VEC(struct em_version);
};

/* What an object needs of one file (Elf*_Verneed). */
struct em_verneed {
    const char *file; /* vn_file: equal to a NEEDED name, not to a SONAME */
    struct em_versions versions;
};

struct em_verneeds {
    EM_VEC(struct em_verneed);
};

enum em_stack {
    EM_STACK_ABSENT,     /* no PT_GNU_STACK: executable on most machines */
    EM_STACK_PLAIN,      /* not executable */
    EM_STACK_EXECUTABLE, /* PF_X */
};

/* What can be known of an object from its headers and dynamic section. Strings that are absent are NULL; an empty DT_RUNPATH is "",
 * which is not the same: it switches inherited RPATHs off. */
struct em_object {
    uint64_t size; /* of the file */
    bool is64, big_endian;
    uint16_t type, machine; /* ET_*, EM_* */
    uint8_t osabi, abi_version;
    uint32_t flags; /* e_flags */

    bool has_dynamic;      /* a PT_DYNAMIC with content */
    bool dynamic_away;     /* a PT_DYNAMIC without bytes in this file: a file of debug information, split off */
    bool interpreter_away; /* the same of PT_INTERP */
    bool has_load;
    bool has_sections;
    bool sections_beyond_end; /* section headers are promised and lie beyond the end: the file was cut off */
    const char *interpreter;  /* NULL if there is none, or not in this file */
    const char *soname;
    const char *rpath, *runpath;
    struct em_strings needed;      /* DT_NEEDED, in order */
    struct em_strings filters;     /* DT_FILTER */
    struct em_strings auxiliaries; /* DT_AUXILIARY */
    uint64_t dt_flags, dt_flags_1;
    bool has_relr, has_debug_tag;
    bool has_hash, has_gnu_hash;
    enum em_stack stack;
    uint32_t x86_isa_needed; /* GNU_PROPERTY_X86_ISA_1_NEEDED, 0 if absent */
    uint64_t max_align;      /* of the PT_LOADs */
    bool page_incongruent;   /* some PT_LOAD has p_vaddr and p_offset that differ modulo 4096 */

    struct em_verneeds verneed;
    struct em_versions verdef;

    const uint8_t *build_id; /* NULL if absent */
    size_t build_id_size;
    struct em_strings
        dlopen_notes; /* JSON as it stands in the notes that say what the object opens (UAPI.12): not parsed here */
};

int em_object_read(struct em_object *object, struct em_arena *arena, struct em_reader *reader, struct em_error *error);

/* The machine in the field's words: "x86-64", "aarch64", ...; "machine 1234" is made in the arena for one that we have no word
 * for. */
const char *em_machine_name(struct em_arena *arena, uint16_t machine);

/* Names that the object may hand to dlopen: everything in its read-only, non-executable data that looks like a library file name
 * ("libfoo.so", "libfoo.so.12", "/usr/lib/libfoo.so.1", with printf directives too), in file order, each once; not its own
 * dynamic strings. Reads the candidate sections in pieces: memory stays flat. Sections are used where there are any, else the
 * read-only PT_LOADs. */
int em_names_scan(struct em_strings *names, struct em_arena *arena, struct em_reader *reader, struct em_error *error);

/* The same sections for whoever looks for other strings, piece after piece. Pieces of one section overlap by EM_CONSTANTS_SEAM bytes,
 * so that what is shorter is whole in one of them. is_last: the section ends with this piece. visit answers EM_OK, 1 to see no
 * more, or an error. */
#define EM_CONSTANTS_SEAM 512u
typedef int em_constants_visit(void *context, const uint8_t *bytes, size_t size, bool is_last);
int em_constants_each(struct em_arena *arena, struct em_reader *reader, em_constants_visit *visit, void *context,
                      struct em_error *error);

/* Whether an object's code would miss an executable stack: its executable segments are searched for what builds functions there. */
enum em_stack_use {
    EM_STACK_USE_NONE,
    EM_STACK_USE_CODE,    /* it does */
    EM_STACK_USE_UNKNOWN, /* for this machine we cannot tell */
};
int em_object_stack_use(enum em_stack_use *use, struct em_arena *arena, struct em_reader *reader, struct em_error *error);

/* Whether the object has an undefined dynamic symbol of that name ("dlopen"). */
int em_object_imports(bool *imports, struct em_reader *reader, const char *symbol, struct em_error *error);
/* Whether it defines one: "PyInit__ext". */
int em_object_defines(bool *defines, struct em_reader *reader, const char *symbol, struct em_error *error);

/* The names of its dynamic symbols: those that it defines for others, and those that others must define for it, weak ones left out. In
 * table order, without versions. */
int em_object_symbols(struct em_strings *defined, struct em_strings *undefined, struct em_arena *arena,
                      struct em_reader *reader, struct em_error *error);

/* ---- editing ---- */

enum em_edit_kind {
    EM_EDIT_SET_RPATH,       /* value; keeps the tag the object has; for neither tag, options decide */
    EM_EDIT_REMOVE_RPATH,    /* both tags go */
    EM_EDIT_ADD_NEEDED,      /* value, first in order, nothing if already there */
    EM_EDIT_REMOVE_NEEDED,   /* value; verneed follows */
    EM_EDIT_REPLACE_NEEDED,  /* value, replacement; verneed follows */
    EM_EDIT_SET_SONAME,      /* value */
    EM_EDIT_SET_INTERPRETER, /* value */
    EM_EDIT_CLEAR_EXECSTACK,
    EM_EDIT_SET_EXECSTACK,
    EM_EDIT_SET_OS_ABI,     /* number */
    EM_EDIT_NO_DEFAULT_LIB, /* DF_1_NODEFLIB */
    EM_EDIT_ADD_DEBUG_TAG,
    EM_EDIT_CLEAR_SYMBOL_VERSION, /* value: the symbol */
    EM_EDIT_RENAME_SYMBOL,        /* value, replacement */
    EM_EDIT_ADD_RPATH,            /* value: each directory of it that is not there yet, behind what is; else as SET_RPATH */
};

enum em_path_tag {
    EM_TAG_KEEP,    /* what it has; DT_RPATH if it has neither */
    EM_TAG_RPATH,   /* becomes DT_RPATH, whatever it was */
    EM_TAG_RUNPATH, /* becomes DT_RUNPATH, whatever it was */
};

struct em_edit {
    enum em_edit_kind kind;
    const char *value, *replacement;
    enum em_path_tag tag; /* SET_RPATH */
    uint8_t number;
};

/* Those entries of a search path that find something: an absolute directory stays if it holds a library of the object's machine that
 * it needs and no directory before it has. Entries that are not absolute ("$ORIGIN") stay; empty ones go. Where there are prefixes,
 * an absolute entry must begin with one of them. Asks the file system as it is now. */
int em_path_shrink(const char **shrunk, struct em_arena *arena, const struct em_object *object, const char *path,
                   const struct em_strings *prefixes, struct em_error *error);

struct em_patch_options {
    uint32_t rungs;   /* bit i set: rung i may be used; 0 means all. For tests */
    bool wipe_paths;  /* a search path that is replaced or removed leaves no trace: X where nobody else uses its bytes */
    bool in_place;    /* only a patch that can be written into the file itself, in turns: EM_REFUSED if there is none */
    bool unannounced; /* a dynamic section that only section headers know, which no loader sees, is edited all the same */
};

/* The rungs of the ladder, in the order in which they are tried; ARCHITECTURE.md has the list with reasons. */
enum em_rung {
    EM_RUNG_NONE,         /* nothing to do */
    EM_RUNG_REUSE,        /* the string is in .dynstr already */
    EM_RUNG_OVERWRITE,    /* over bytes of .dynstr that nobody refers to */
    EM_RUNG_SLIDE,        /* what follows .dynstr moves into its segment's padding */
    EM_RUNG_EVICT,        /* a small table behind .dynstr moves to the segment's tail */
    EM_RUNG_COPY_DYNSTR,  /* .dynstr moves to the segment's tail */
    EM_RUNG_APPEND_LOAD,  /* a new read-only PT_LOAD in a spare program header */
    EM_RUNG_DYNAMIC_SLOT, /* no spare dynamic entry: DT_RELACOUNT gives way, or .dynamic moves */
    EM_RUNG_GROW_HEADERS, /* leading sections move so that the program header table can grow */
    EM_RUNG_MOVE_HEADERS, /* the program header table moves; strip will not like it */
};
const char *em_rung_name(enum em_rung rung); /* "slide", ... */

/* The order in which em_patch_file writes into the file itself. After each write the object is the old one or the new one for every
 * loader: new strings go where nothing leads, headers reach further than anything asks, and one write of the dynamic section lets
 * the new ones count. */
enum em_turn {
    EM_TURN_SPACE,   /* bytes that nothing refers to */
    EM_TURN_HEADERS, /* file header and program headers */
    EM_TURN_SECTIONS, /* section headers and symbols: before the loader's view, so that who repeats the edit finds the room known */
    EM_TURN_DYNAMIC,
    EM_TURNS
};

/* New contents for a range of the file. Ranges are sorted, do not overlap, and those at or beyond old_size are the tail. A table that
 * only moves is not carried along: bytes.data is NULL then, and bytes.size bytes at from of the old file are meant. em_patched_init
 * gives a reader that hides the difference. Every byte of the tail is in a range but for the hole of a sparse file, which is zero. */
struct em_patch_range {
    uint64_t offset;
    struct em_bytes bytes;
    uint64_t from;
    enum em_turn turn;
};

struct em_patch {
    struct {
        EM_VEC(struct em_patch_range);
    } ranges;
    uint64_t old_size, new_size;
    enum em_rung rung;   /* the highest that was used */
    const char *warning; /* worth telling the user, or NULL */
    const char *copied;  /* em_patch_file: why it was not done in place, though that was asked for; else NULL */
};

int em_patch_make(struct em_patch *patch, struct em_arena *arena, struct em_reader *reader, const struct em_edit *edits,
                  size_t count, const struct em_patch_options *options, struct em_error *error);
bool em_patch_is_empty(const struct em_patch *patch);

/* What an edit would meet, found by laying each out: the rung that it would take, or why not. A name or path is tried that is longer than
 * what the object has by 256 bytes. Nothing is written. */
struct em_forecast {
    const char *option;  /* of elfmend patch: "--set-rpath" */
    const char *refused; /* the reason; NULL if it can be done */
    enum em_rung rung;
    uint64_t growth; /* bytes */
    const char *warning;
};

struct em_forecasts {
    EM_VEC(struct em_forecast);
};

int em_forecasts_make(struct em_forecasts *forecasts, struct em_arena *arena, struct em_reader *reader,
                      const struct em_object *object, struct em_error *error);

/* Dynamic symbols that a rename could reach. */
struct em_symbol_counts {
    uint64_t defined, undefined;
};
int em_symbols_count(struct em_symbol_counts *counts, struct em_arena *arena, struct em_reader *reader, struct em_error *error);

/* The object as it will be: a reader that lays the patch over another reader. Both must outlive it. */
struct em_patched {
    struct em_reader *below;
    const struct em_patch *patch;
    struct em_reader reader;
};
void em_patched_init(struct em_patched *patched, struct em_reader *below, const struct em_patch *patch);

/* Copies in to out, patch applied: reflink or copy_file_range, then the ranges. out is empty. */
int em_patch_copy(const struct em_patch *patch, int in, int out, const char *label, struct em_error *error);

struct em_patch_file_options {
    const char *output; /* NULL: replaces path itself */
    bool fsync;
    bool in_place; /* write into the file where that harms nobody (in_place.h); else copy, and say why in the patch */
};

/* Edits the file at path (a link is followed to its file). The result is a new inode under the same name, with the mode, owner,
 * times and extended attributes as documented in commit.c; a hard link keeps the old one. An empty patch with no other output
 * touches nothing. patch says what was done. */
int em_patch_file(struct em_patch *patch, struct em_arena *arena, const char *path, const struct em_edit *edits, size_t count,
                  const struct em_patch_options *options, const struct em_patch_file_options *file_options,
                  struct em_error *error);

#endif
