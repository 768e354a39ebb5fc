/* frameworks.c: the table of versions that people otherwise piece together. */
#include "cli/survey.h"

#include <string.h>

#define COLUMNS 6

static void fill(const char *cells[COLUMNS], char name[96], char driver[48], const struct em_framework *framework)
{
    snprintf(name, 96, "%s %s", em_plain(framework->distribution->name),
             framework->distribution->version ? em_plain(framework->distribution->version) : "");
    snprintf(driver, 48, "%s%s", framework->driver ? ">= " : "-", framework->driver ? em_plain(framework->driver) : "");
    cells[0] = name;
    cells[1] = framework->cuda ? em_plain(framework->cuda) : "-";
    cells[2] = framework->cudnn_wanted ? em_plain(framework->cudnn_wanted) : "-";
    cells[3] = framework->cudnn_loaded ? em_plain(framework->cudnn_loaded) : framework->cudnn_wanted ? "none" : "-";
    cells[4] = framework->numpy ? em_plain(framework->numpy) : "-";
    cells[5] = driver;
}

void em_print_frameworks(const struct em_frameworks *frameworks)
{
    static const char *const heads[COLUMNS] = { "framework", "CUDA", "cuDNN wanted", "found", "NumPy ABI", "driver" };
    int widths[COLUMNS];
    const char *cells[COLUMNS];
    char name[96], driver[48];
    bool gpu = false;

    if (frameworks->count == 0)
        return;
    for (size_t i = 0; i < COLUMNS; i++)
        widths[i] = (int)strlen(heads[i]);
    em_vec_each (struct em_framework, framework, frameworks) {
        fill(cells, name, driver, framework);
        for (size_t i = 0; i < COLUMNS; i++)
            widths[i] = (int)strlen(cells[i]) > widths[i] ? (int)strlen(cells[i]) : widths[i];
        gpu = gpu || framework->gpu;
    }
    putchar('\n');
    for (size_t i = 0; i < COLUMNS; i++)
        printf("%-*s%s", i + 1 < COLUMNS || gpu ? widths[i] : 0, heads[i], i + 1 < COLUMNS ? "  " : "");
    printf("%s\n", gpu ? "  GPU code" : "");
    em_vec_each (struct em_framework, framework, frameworks) {
        fill(cells, name, driver, framework);
        for (size_t i = 0; i < COLUMNS; i++)
            printf("%-*s%s", i + 1 < COLUMNS || gpu ? widths[i] : 0, cells[i], i + 1 < COLUMNS ? "  " : "");
        printf("%s%s\n", gpu ? "  " : "", framework->gpu ? em_plain(framework->gpu) : "");
    }
    em_vec_each (struct em_framework, framework, frameworks)
        if (framework->for_gpu)
            printf("%s runs on CPUs as it is; for a GPU: %s\n", em_plain(framework->distribution->name),
                   em_plain(framework->for_gpu));
}

json_t *em_frameworks_json(const struct em_frameworks *frameworks)
{
    json_t *array = json_array();

    em_vec_each (struct em_framework, framework, frameworks)
        json_array_append_new(array, json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?}", "name",
                                               framework->distribution->name, "version", framework->distribution->version,
                                               "cuda", framework->cuda, "cudnn_wanted", framework->cudnn_wanted, "cudnn_found",
                                               framework->cudnn_loaded, "numpy_abi", framework->numpy, "gpu", framework->gpu,
                                               "driver", framework->driver));
    return array;
}
