/* compress.h: a whole file deflated by libdeflate, on all cores, with flat memory.
 *
 * libdeflate compresses a buffer and knows no streams. A large file is cut into chunks of fixed size, so that the result does not
 * depend on the number of threads; in each but the last the final block's mark is cleared and an empty stored block brings it to a
 * whole byte (RFC 1951, 3.2.3, 3.2.4), which makes one stream of them.
 */
#ifndef EM_BUNDLE_WHEEL_COMPRESS_H
#define EM_BUNDLE_WHEEL_COMPRESS_H

#include "bundle/wheel/splice.h"

/* The stream goes to the end of scratch; *piece says where it is. */
int em_compress(struct em_piece *piece, struct em_reader *plain, unsigned jobs, struct em_scratch *scratch,
                struct em_error *error);

#endif
