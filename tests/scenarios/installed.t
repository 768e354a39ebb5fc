#!/bin/sh
# A repaired environment is still an installation: hard-linked files elsewhere keep their bytes, RECORD is true by Python's own csv
# and hashlib, and pip takes everything away that it brought, and what was copied in beside it.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
record=$ELFMEND_TOP/tests/real/record.py
[ -n "${PYTHON:-}" ] || if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi
site() { echo "$1"/lib/python3*/site-packages; }
files() { find "$1" -path "$1/.elfmend" -prune -o -type f -printf '%P %i %m %T@ ' -exec sha256sum {} \; | cut -d' ' -f1-5 | sort; }
left_of() { # ENVIRONMENT: what is of ctranslate2, and cuDNN outside of NVIDIA's own directories
    find "$1" -path "$1/.elfmend" -prune -o \( -iname '*ctranslate2*' -o -name 'libcudnn*' -o -name _ext.\* \) -print |
        grep -v /nvidia/
}
uninstall() { pip/bin/python -m pip --disable-pip-version-check -q --python "$1/bin/python" uninstall -y ctranslate2; }
"$PYTHON" -m venv pip > log 2>&1 || { cat log >&2; exit 1; }

"$standin" v
cp -al v twin
files twin > twin.shipped
exits 0 "fix: exit 0" "$ELFMEND" fix --yes v
files twin > now
same "the hard-linked twin is as it was" twin.shipped now
check "RECORD of ctranslate2 is true" "$PYTHON" "$record" "$(site v)" ctranslate2
exits 0 "verify: exit 0" "$ELFMEND" verify v
check "pip uninstall" uninstall v
left_of v > left
same "... leaves nothing of it" /dev/null left

"$standin" --cudnn none v2
exits 0 "fix --strategy copy: exit 0" "$ELFMEND" fix --yes --strategy copy --source "$(site twin)" v2
check "RECORD is true, of the copies too" "$PYTHON" "$record" "$(site v2)" ctranslate2
exits 0 "verify: exit 0" "$ELFMEND" verify v2
check "pip uninstall" uninstall v2
left_of v2 > left
same "... takes the copies along" /dev/null left
finish
