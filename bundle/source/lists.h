/* lists.h: what a container of another kind than a wheel says of its files, as a RECORD and METADATA, so that what follows has one kind
 * of list to go by. For this room only.
 *
 *     struct em_list list = { .name = "cudnn", .version = "9.10.2", .installer = "conda" };
 *     r = em_list_add(&list, arena, "lib/libcudnn.so.9", &sha256, has_size, size)      in any order
 *     r = em_list_write(&list, arena, root, label, error)                              root: of what is unpacked
 *
 * The names stand in a file called INSTALLER: "conda", "dpkg", "rpm". Paths that RECORD would have to quote are left out; no library
 * has such. Licence files that were unpacked come to lie where a .dist-info has them.
 *
 * Errors: EM_BAD_RECORD for a list that cannot be read, EM_IO.
 */
#ifndef EM_BUNDLE_SOURCE_LISTS_H
#define EM_BUNDLE_SOURCE_LISTS_H

#include "bundle/source/unpack.h"

struct em_list_row {
    const char *path;
    const struct em_sha256 *sha256; /* NULL: it is listed without a digest that proves something */
    bool has_size;
    uint64_t size;
};

struct em_list {
    const char *name, *version, *installer;
    struct {
        EM_VEC(struct em_list_row);
    } rows;
};

int em_list_write(const struct em_list *list, struct em_unpack *unpack);

/* Each writes the list of its kind, or nothing if the container is of another. Debian's and rpm's give way to a RECORD that came
 * with the files: their packages of Python distributions have one. */
int em_lists_of_conda(struct em_unpack *unpack);       /* info/paths.json, info/index.json */
int em_lists_of_deb(struct em_unpack *unpack);         /* control: name and version; md5sums prove too little */
int em_lists_of_rpm(struct em_unpack *unpack, int fd); /* the header of the package at fd: SHA-256 */

/* deb.c: a library against the md5sums of its package, if it has them. EM_REFUSED if it differs. */
int em_md5sums_check(const struct em_unpack *unpack, int fd, const char *path);

#endif
