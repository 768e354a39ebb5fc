#!/bin/sh
# Every parser on its seeds, on what was found before, and on some thousand mutations (tests/fuzz/fuzz.h).
exec "$ELFMEND_TOP/tests/fuzz/run" "$ELFMEND_BUILD"
