#!/bin/sh
# Every JSON document has a schema in schemas/, and is what it says there.
. "$ELFMEND_TOP/tests/tap"
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
conforms() { # NAME: out against schemas/NAME.json
    check "... conforms to schemas/$1.json" "$python" -W ignore - "$ELFMEND_TOP/schemas/$1.json" <<'END'
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(json.load(open("out")))
END
}
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
finish
