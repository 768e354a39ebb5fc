/* libarchive.h: libarchive, opened when a container is (base/library.h). For this room only.
 *
 * After em_libarchive_open its functions are em_la's: em_la.archive_read_new(). "la" is libarchive's own prefix for types.
 */
#ifndef EM_BUNDLE_SOURCE_LIBARCHIVE_H
#define EM_BUNDLE_SOURCE_LIBARCHIVE_H

#include "base/library.h"

#include <archive.h>
#include <archive_entry.h>

#define EM_LIBARCHIVE(X)                                                                                                       \
    X(archive_entry_filetype)                                                                                                  \
    X(archive_entry_hardlink)                                                                                                  \
    X(archive_entry_is_encrypted)                                                                                              \
    X(archive_entry_pathname)                                                                                                  \
    X(archive_entry_pathname_utf8)                                                                                             \
    X(archive_entry_perm)                                                                                                      \
    X(archive_entry_size)                                                                                                      \
    X(archive_entry_size_is_set)                                                                                               \
    X(archive_entry_symlink)                                                                                                   \
    X(archive_errno)                                                                                                           \
    X(archive_error_string)                                                                                                    \
    X(archive_filter_code)                                                                                                     \
    X(archive_format)                                                                                                          \
    X(archive_read_data)                                                                                                       \
    X(archive_read_free)                                                                                                       \
    X(archive_read_new)                                                                                                        \
    X(archive_read_next_header)                                                                                                \
    X(archive_read_open)                                                                                                       \
    X(archive_read_open_fd)                                                                                                    \
    X(archive_read_support_filter_bzip2)                                                                                       \
    X(archive_read_support_filter_gzip)                                                                                        \
    X(archive_read_support_filter_rpm)                                                                                         \
    X(archive_read_support_filter_xz)                                                                                          \
    X(archive_read_support_filter_zstd)                                                                                        \
    X(archive_read_support_format_ar)                                                                                          \
    X(archive_read_support_format_cpio)                                                                                        \
    X(archive_read_support_format_tar)                                                                                         \
    X(archive_read_support_format_zip_seekable)                                                                                \
    X(archive_set_error)

extern struct em_libarchive {
    EM_LIBARCHIVE(EM_LIBRARY_FIELD)
} em_la;

int em_libarchive_open(struct em_error *error);

#endif
