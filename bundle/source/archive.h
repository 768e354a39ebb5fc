/* archive.h: the members of a container of any kind, in the order in which they lie there. For this room only.
 *
 *     r = em_archive_probe(fd, label, error)                     its first header: that it is an archive at all
 *     r = em_archive_each(fd, label, visit, context, error)      visit(context, archive, entry, inside) for each member
 *
 * What is itself an archive in a .deb or a .conda is gone into: its members are visited instead of it, with its name as inside, which
 * is NULL otherwise. A visit reads what it wants of the member (em_la.archive_read_data); what it leaves is passed over, without
 * being unpacked where the container allows it (zip, an uncompressed tar). It returns EM_OK, an error, or EM_ARCHIVE_ENOUGH: no
 * further member is wanted.
 *
 * Errors: EM_BAD_ZIP for what cannot be read to its end, EM_REFUSED for what is encrypted, EM_NOT_FOUND without libarchive.
 */
#ifndef EM_BUNDLE_SOURCE_ARCHIVE_H
#define EM_BUNDLE_SOURCE_ARCHIVE_H

#include "bundle/source/libarchive.h"

#define EM_ARCHIVE_ENOUGH 1

typedef int em_archive_visit(void *context, struct archive *archive, struct archive_entry *entry, const char *inside);

int em_archive_probe(int fd, const char *label, struct em_error *error);
int em_archive_each(int fd, const char *label, em_archive_visit *visit, void *context, struct em_error *error);

#endif
