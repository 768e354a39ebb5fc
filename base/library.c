#include "base/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static int fill(struct em_library *library, struct em_error *error)
{
    void *handle = dlopen(library->soname, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return em_fail(error, EM_NOT_FOUND, library->soname, "is needed for this and cannot be loaded: %s", dlerror());
    for (size_t i = 0; i < library->count; i++) {
        void *address = dlsym(handle, library->names[i]);

        if (!address) {
            dlclose(handle);
            return em_fail(error, EM_UNSUPPORTED, library->soname, "is needed for this and has no function %s",
                           library->names[i]);
        }
        /* ISO C has no conversion from an object's pointer to a function's; POSIX says that they look the same (dlsym). */
        memcpy((char *)library->functions + i * sizeof address, &address, sizeof address);
    }
    library->is_open = true;
    return EM_OK;
}

int em_library_open(struct em_library *library, struct em_error *error)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int r = EM_OK;

    pthread_mutex_lock(&lock);
    if (!library->is_open)
        r = fill(library, error);
    pthread_mutex_unlock(&lock);
    return r;
}
