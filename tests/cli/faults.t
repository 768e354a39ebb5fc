#!/bin/sh
# Nothing is lost: the fast half of `tests/faults/run`.
exec "$ELFMEND_TOP/tests/faults/run" "$ELFMEND_BUILD" --fast
