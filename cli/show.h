/* show.h: what `elfmend show` has read of objects and wheels, and how it is printed. All lives in the arena. */
#ifndef EM_CLI_SHOW_H
#define EM_CLI_SHOW_H

#include "cli/cli.h"
#include "patcher/gpucode.h"
#include "patcher/patcher.h"

struct em_shown {
    const char *path;
    struct em_object object;
    struct em_strings names;
    struct em_gpu_listing gpu;
    struct em_symbol_counts symbols;
    struct em_forecasts edits;
};

struct em_shown_list {
    EM_VEC(struct em_shown);
};

/* objects: as the paths of what is shown behind it. */
struct em_shown_wheel {
    const char *path, *name, *version, *tags;
    uint64_t size, unpacked, members;
    struct em_strings objects;
};

struct em_show_report {
    struct em_arena *arena;
    struct {
        EM_VEC(struct em_shown_wheel);
    } wheels;
    struct em_shown_list objects; /* in the order of the files, those of a wheel in its order */
};

void em_show_print_text(const struct em_show_report *report);
int em_show_print_json(const struct em_show_report *report, struct em_error *error);

#endif
