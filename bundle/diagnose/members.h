/* members.h: the objects of an environment that belong to a family of the tables, or are one of those that a process should have once,
 * and who is whose like. Private to diagnose.
 *
 *     r = em_members_gather(&members, advisor);
 *     em_vec_each (const struct em_member *, other, member->family)       lists keep the environment's order
 *     asker = em_members_use(&members, object)->asker;
 */
#ifndef EM_BUNDLE_DIAGNOSE_MEMBERS_H
#define EM_BUNDLE_DIAGNOSE_MEMBERS_H

#include "bundle/diagnose/advice.h"

struct em_member;

struct em_member_list {
    EM_VEC(const struct em_member *);
};

struct em_member {
    const struct em_env_object *object;
    const struct em_object *elf;
    const char *library; /* as packages carry it: "libcudnn.so.9" for libcudnn-74a4c495.so.9.1.0 */
    const char *stem;    /* "libcudnn" */
    bool grafted;        /* its name has the hash that auditwheel gives: nobody else asks for it */
    bool reached;
    const struct em_package *package; /* NULL: of no family */
    char major[16];
    const struct em_copied *copied; /* NULL: a process may have as many as it likes */
    const char *version; /* that of the vendor's package, or in a grafted file's name, or of a file of the same build; NULL:
                                       unknown */
    /* Those that are held against it, itself among them, EM_MAX_FAMILY at most. */
    const struct em_member_list *family; /* of its package and major, that an import reaches */
    const struct em_member_list *same;   /* the same library */
};

/* What the diagnosis has about an object, asked for by object. */
struct em_use {
    const struct em_member *member;    /* NULL: it is none */
    const struct em_env_object *asker; /* another object that has it from its search; NULL: an import does, by itself */
    const struct em_case *opened;      /* an opening that it answers; NULL: none */
    struct {
        EM_VEC(const struct em_case *);
    } misses; /* its own openings that are missing */
};

struct em_members {
    const struct em_advisor *advisor;
    EM_VEC(struct em_member);
    struct em_map kinds; /* one library, or what does the same -> struct em_member_list *: those that an import reaches */
    struct em_use *uses; /* as many as the environment has objects */
};

int em_members_gather(struct em_members *members, const struct em_advisor *advisor);

const struct em_use *em_members_use(const struct em_members *members, const struct em_env_object *object);

bool em_member_is_vendors(const struct em_members *members, const struct em_member *member);
/* Bytes of one build; false where that is unknown. */
bool em_member_is_same_build(const struct em_member *a, const struct em_member *b);

#endif
