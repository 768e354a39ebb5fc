#!/bin/sh
# Names come from files that others have made: none may steer the terminal, or pass for a line of ours. A library is called, asked for and
# laid down under a name with an escape sequence and a line end in it, and each command is to speak of it.
. "$ELFMEND_TOP/tests/tap"
bad=$(printf 'lib\033[31mx\nerror[EM999]: forged')
plain='lib\\x1b\[31mx\\x0aerror\[EM999\]: forged'
mkdir d
echo 'int f;' > f.c
"${CC:-cc}" -shared -fPIC -o "$bad.so" f.c -Wl,-soname,"$bad.so"
"${CC:-cc}" -shared -fPIC -o d/a.so f.c -Wl,--no-as-needed "$bad.so" -Wl,--disable-new-dtags,-rpath,"/x$bad"
printf '{ "schema": "elfmend.plan/1", "target": "d", "root": "/", "inputs": [], "refused": [], "after": [], "actions": [
    { "do": "copy", "path": "x", "from": "lib\\u001b[31mx\\nerror[EM999]: forged", "sha256": "%064d", "mode": "0755", "resolves": [] } ] }' 0 > plan.json
says() { # WHAT ARGUMENTS...: the command speaks of the name, in our spelling, and of nothing else
    what=$1; shift
    run "$@"
    cat out err > all
    { LC_ALL=C grep -n "$(printf '[\001-\010\013-\037\177]')" all || grep -n '^error\[EM999\]' all; } > log
    [ ! -s log ]
    ok $? "$what: nothing that steers, nothing forged" all
    has "$plain" all "... and the name is there"
}
says audit audit -v d
says "fix --dry-run" fix --dry-run d
says trace trace d/a.so
says "trace, as musl would" trace --libc musl d/a.so
says show show d/a.so
says explain explain d "$bad.so"
says apply apply plan.json
says "a file of that name" show "$bad"
cp "$bad.so" "d/$bad.so"
says "a file of that name in a directory" audit -v --fail-on note d

# A distribution is called what its METADATA says, and stands in the table of frameworks.
site=v/lib/python3.11/site-packages
mkdir -p $site/pkg $site/pkg-1.dist-info && echo 'version = 3.11.2' > v/pyvenv.cfg
printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1\033[2J\n' "$(printf '%s' "$bad" | head -1)" > $site/pkg-1.dist-info/METADATA
printf 'pkg/x.so,,\n' > $site/pkg-1.dist-info/RECORD
echo 'int g;' | "${CC:-cc}" -shared -fPIC -x c - -o libcudart.so.12 -Wl,-soname,libcudart.so.12
"${CC:-cc}" -shared -fPIC -o $site/pkg/x.so f.c -Wl,--no-as-needed libcudart.so.12
run audit v
cat out err > all
check "the table of frameworks obeys no METADATA" "$python" -c '
text = open("all").read()
table = text[text.index("framework  "):]
assert "\\x1b[31mx 1\\x1b[2J" in table, table
assert "\033" not in text, text'

# A terminal that takes its input for Latin-1 finds C1 controls in what is not UTF-8, and others find them in what is: U+009B is CSI.
steering=$(printf 'd\303\251-\2332J-\302\2332J')
mkdir "$steering" && cp d/a.so "$steering"
run trace "$steering/a.so"
check "C1 controls, as bytes and as characters, are spelled and the rest is not" "$python" -c '
text = open("out", "rb").read().decode()
assert r"d\u00e9-\x9b2J-\xc2\x9b2J/a.so".replace(r"\u00e9", "\u00e9") in text, text
assert "\u009b" not in text, text'

# A repair is remembered by what it mended.
mkdir -p e/lib
cp "$bad.so" e/lib && cp d/a.so e
exits 0 "a repair for a library of that name" "$ELFMEND" fix --yes e
says "undo --list, which says what it was" undo --list e

# As JSON: what is not UTF-8, a surrogate and an overlong form among it, is spelled byte by byte, and the rest stays as it is.
odd=$(printf 'd\303\251-\377-\355\240\200-\300\257')
cp -r d "$odd"
rm "$odd/$bad.so"
as_json() { # ARGUMENTS...: one JSON document in which the name stands
    run "$@"
    check "$1 --json of a name that is not UTF-8" "$python" -c '
import json
text = open("out", encoding="utf-8").read()
json.loads(text)
assert "d\u00e9" + r"-\\xff-\\xed\\xa0\\x80-\\xc0\\xaf" in text'
}
as_json audit --json "$odd"
as_json explain --json "$odd" libx.so
as_json trace --json "$odd/a.so"
as_json show --json "$odd/a.so"
exits 2 "... but a plan, which has to name files, is refused" "$ELFMEND" fix --dry-run --json "$odd"
check "... with the reason" grep -F 'no JSON document can hold' err
finish
