#!/bin/sh
# Every JSON document has a schema in schemas/, and is what it says there.
. "$ELFMEND_TOP/tests/tap"
"$ELFMEND_TOP/fixtures/standin" v
"$ELFMEND_TOP/fixtures/standin" --cudnn mix mix
exits 1 "audit --json" "$ELFMEND" audit --verbose --json v mix
conforms audit-1
exits 1 "fix --dry-run --json" "$ELFMEND" fix --dry-run --json v
conforms plan-1
exits 1 "fix --dry-run --json, with refusals" "$ELFMEND" fix --dry-run --json mix
conforms plan-1
exits 0 "fix --json" "$ELFMEND" fix --json v
conforms fix-1
rm mix/lib/python3*/site-packages/ctranslate2.libs/libgomp*
exits 1 "verify --json" "$ELFMEND" verify --json v mix
conforms verify-1
finish
