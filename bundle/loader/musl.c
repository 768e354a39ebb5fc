/* musl.c: musl's requests. */
#include "bundle/loader/room.h"

int em_musl_request(struct process *process, const struct question *question, struct em_request **request)
{
    return em_glibc_request(process, question, request);
}

int em_musl_deps(struct process *process, struct loaded *root, struct em_open *open, struct em_loadeds *list)
{
    return em_glibc_deps(process, root, NULL, open, list);
}
