#include "base/pool.h"

#include "base/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

/* More threads than this have never helped: the work is bounded by memory and disk. */
#define MOST_THREADS 64u

struct run {
    int (*work)(void *context, size_t index);
    void *context;
    size_t count;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the two below */
    size_t failed_index;
    int failed_code;
};

static void *worker(void *argument)
{
    struct run *run = argument;

    while (!atomic_load(&run->stop)) {
        size_t index = atomic_fetch_add(&run->next, 1);
        int r;

        if (index >= run->count)
            break;
        r = run->work(run->context, index);
        if (r == EM_OK)
            continue;
        pthread_mutex_lock(&run->lock);
        if (run->failed_code == EM_OK || index < run->failed_index) {
            run->failed_index = index;
            run->failed_code = r;
        }
        pthread_mutex_unlock(&run->lock);
        atomic_store(&run->stop, true);
    }
    return NULL;
}

unsigned em_pool_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

int em_pool_each(unsigned jobs, size_t count, int (*work)(void *context, size_t index), void *context)
{
    struct run run = { .work = work, .context = context, .count = count };
    pthread_t threads[MOST_THREADS];
    unsigned started = 0;

    if (jobs == 0)
        jobs = em_pool_cores();
    if (jobs > MOST_THREADS)
        jobs = MOST_THREADS;
    if (jobs > count)
        jobs = (unsigned)count;
    pthread_mutex_init(&run.lock, NULL);
    /* The calling thread is one of the workers; a thread that cannot be had is not missed. */
    while (started + 1 < jobs && pthread_create(&threads[started], NULL, worker, &run) == 0)
        started++;
    worker(&run);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&run.lock);
    return run.failed_code;
}
