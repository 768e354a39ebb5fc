/* site.h: a site-packages that nobody has installed, laid over a world.
 *
 * A wheel is read where it lies, and answers as if an installer had unpacked it: what is in NAME.data/purelib and platlib stands
 * beside the packages, scripts in PREFIX/bin, data below PREFIX, headers in PREFIX/include (binary distribution format, "The .data
 * directory"). Several wheels and directories share one site, as siblings do.
 *
 *     r = em_tree_site(&tree, below, "/x/foo.whl", "python3.11")    PREFIX, which hides what below has there
 *     site = em_site_path(tree)                                     PREFIX/lib/python3.11/site-packages
 *     r = em_site_put_wheel(tree, zip, error)                       all members; the archive must outlive the tree
 *     r = em_site_put_bytes(tree, path, bytes)                      a file of our own, over what was put before
 *     r = em_site_put_directory(tree, directory)                    what below has there appears in the site, behind all that was put
 *     ... asked from here on, and filled no more; em_tree_close(tree)
 *
 * A file that two of them bring has the first one's bytes: EM_OK, as installers have it, who say nothing either.
 */
#ifndef EM_BUNDLE_TREE_SITE_H
#define EM_BUNDLE_TREE_SITE_H

#include "bundle/tree/tree.h"
#include "bundle/tree/zip.h"

/* python NULL: nothing is installed, the members stand at PREFIX under the names they have in the archive, as RECORD lists them. */
int em_tree_site(struct em_tree **tree, struct em_tree *below, const char *prefix, const char *python);
const char *em_site_path(struct em_tree *tree);

int em_site_put_wheel(struct em_tree *tree, struct em_zip *zip, struct em_error *error);
/* path: absolute and normal, below the prefix. bytes must outlive the tree. */
int em_site_put_bytes(struct em_tree *tree, const char *path, struct em_bytes bytes);
/* directory: absolute, in below's terms. */
int em_site_put_directory(struct em_tree *tree, const char *directory);

/* Where an installer puts a member, relative to site: "ctranslate2/__init__.py", "../../../bin/x". python: "python3.11". */
const char *em_site_member_path(struct em_arena *arena, const char *member, const char *python);

#endif
