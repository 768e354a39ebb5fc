/* base.h: what all rooms stand on. One include brings all of it; each header below opens with its own essay.
 *
 * base knows nothing of ELF, Python or wheels. It prints nothing and never exits. Everything that can fail says so with an
 * enum em_err (error.h); memory of a run comes from an arena (arena.h); bytes of an input go through a view (bytes.h) or a
 * reader (reader.h) and never through a bare pointer; limits on inputs stand in limits.h.
 */
#ifndef EM_BASE_BASE_H
#define EM_BASE_BASE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/cache.h"
#include "base/error.h"
#include "base/files.h"
#include "base/find.h"
#include "base/hash.h"
#include "base/library.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/path.h"
#include "base/pool.h"
#include "base/reader.h"
#include "base/text.h"
#include "base/vec.h"

#endif
