#!/bin/sh
# Objects of unusual make, and those that other tools had in hand before: edited or refused, and never damaged (tests/special).
. "$ELFMEND_TOP/tests/tap"
command -v gcc > log 2>&1 && command -v eu-elflint >> log 2>&1 || { echo "1..0 # SKIP no gcc or no eu-elflint"; exit 0; }
exec "$python" "$ELFMEND_TOP/tests/special/run.py" "$ELFMEND"
