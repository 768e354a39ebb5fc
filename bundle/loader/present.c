/* present.c: who is loaded already: by a name, by a SONAME, as a file. Each request asks, so a process that holds many has an index;
 * one that holds few, as most do, is gone through.
 *
 * The first in load order is the one that counts. The index is made when the process has grown, kept up while objects and names come
 * to it, and forgotten when a failed open is taken back. When filters have moved objects it is not used any more: the next move may
 * come with the next request. */
#include "bundle/loader/room.h"

#include <string.h>

#define FEW 32u

static bool has_name(const struct loaded *object, const char *name)
{
    /* The program's own name is "" to glibc; ours is for people. */
    if (!object->base.is_main && strcmp(name, object->base.name) == 0)
        return true;
    em_vec_each (const char *, own, &object->base.names)
        if (strcmp(name, *own) == 0)
            return true;
    return false;
}

static const char *soname_of(const struct loaded *object)
{
    return object->base.file->object.soname;
}

bool em_loaded_answers(const struct loaded *object, const char *name)
{
    return has_name(object, name) || (soname_of(object) && strcmp(name, soname_of(object)) == 0);
}

/* ---- the index ---- */

static int put(struct em_map *map, const char *key, const struct loaded *object)
{
    const struct loaded *known = em_map_get(map, key);

    return known && known->base.index <= object->base.index ? EM_OK : em_map_put(map, key, object);
}

static int index_object(struct present *present, const struct loaded *object)
{
    const struct loadable *file = (const struct loadable *)object->base.file;
    int r = object->base.is_main ? EM_OK : put(&present->by_name, object->base.name, object);

    em_vec_each (const char *, name, &object->base.names)
        if (r == EM_OK)
            r = put(&present->by_name, *name, object);
    if (r == EM_OK && soname_of(object))
        r = put(&present->by_soname, soname_of(object), object);
    return r < 0 || object->base.is_main ? r : put(&present->by_file, file->key, object);
}

static int make_index(struct process *process)
{
    struct em_arena *arena = em_process_arena(process);

    process->present = (struct present){
        .state = PRESENT_INDEXED, .by_name = { .arena = arena }, .by_soname = { .arena = arena }, .by_file = { .arena = arena }
    };
    for (size_t i = 0; i < process->base.objects.count; i++)
        if (index_object(&process->present, em_process_at(process, i)) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

int em_present_added(struct process *process, const struct loaded *object)
{
    if (process->present.state == PRESENT_INDEXED)
        return index_object(&process->present, object);
    return process->present.state == PRESENT_FEW && process->base.objects.count > FEW ? make_index(process) : EM_OK;
}

int em_present_named(struct process *process, const struct loaded *object, const char *name)
{
    return process->present.state == PRESENT_INDEXED ? put(&process->present.by_name, name, object) : EM_OK;
}

void em_present_forget(struct process *process, enum present_state state)
{
    process->present = (struct present){ .state = state };
}

/* ---- questions ---- */

static struct loaded *first_of(struct loaded *a, struct loaded *b)
{
    return !a || (b && b->base.index < a->base.index) ? b : a;
}

struct loaded *em_present_answering(const struct process *process, const char *name)
{
    const struct present *present = &process->present;

    if (present->state == PRESENT_INDEXED)
        return first_of(em_map_get(&present->by_name, name), em_map_get(&present->by_soname, name));
    for (size_t i = 0; i < process->base.objects.count; i++)
        if (em_loaded_answers(em_process_at(process, i), name))
            return em_process_at(process, i);
    return NULL;
}

struct loaded *em_present_by_name(const struct process *process, const char *name)
{
    if (process->main && has_name(process->main, name))
        return process->main;
    if (process->present.state == PRESENT_INDEXED)
        return em_map_get(&process->present.by_name, name);
    for (size_t i = 0; i < process->base.objects.count; i++)
        if (has_name(em_process_at(process, i), name))
            return em_process_at(process, i);
    return NULL;
}

struct loaded *em_present_as_file(const struct process *process, const struct loadable *file)
{
    if (process->present.state == PRESENT_INDEXED)
        return em_map_get(&process->present.by_file, file->key);
    for (size_t i = 0; i < process->base.objects.count; i++) {
        struct loaded *object = em_process_at(process, i);

        if (object->base.file == &file->base && !object->base.is_main)
            return object;
    }
    return NULL;
}
