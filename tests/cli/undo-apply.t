#!/bin/sh
# apply and undo from the command line: what is printed, what the exit status is, what is refused, and that a refusal changes
# nothing. The plan is written by hand, as somebody's tool might; the tree has a hard link to a cache and a file of another's.
. "$ELFMEND_TOP/tests/tap"
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
schema() { # NAME/1: the document in out names its schema first, and is what the schema says
    head -n 2 out | tail -n 1 | grep -q "\"schema\": \"elfmend.$1\"" || return 1
    "$python" -c 'import jsonschema' 2> why || return 0
    "$python" -W ignore - "$ELFMEND_TOP/schemas/${1%/1}-1.json" <<'END'
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(json.load(open("out")))
END
}
says() { # WHAT PATTERN FILE
    if grep -q -e "$2" "$3"; then ok 0 "$1"; else ok 1 "$1" "$3"; fi
}
tree() { find t -path t/.elfmend -prune -o -printf '%P %y %i %m %T@ ' \( -type f -exec sha256sum {} \; -o -printf '\n' \) | sort; }

mkdir -p t/pkg t/pkg-1.dist-info cache
echo 'int f(void) { return 1; }' > f.c
"${CC:-cc}" -shared -fPIC -o cache/one.so f.c -Wl,--disable-new-dtags,-rpath,/build/machine
cp cache/one.so source.so
ln cache/one.so t/pkg/one.so
printf 'pkg/one.so,,\npkg-1.dist-info/RECORD,,\n' > t/pkg-1.dist-info/RECORD
touch -d '2022-02-22 22:22:22.2' t/pkg/one.so t/pkg t
sha256sum cache/one.so > cache.sum
tree > before
pin=$(sha256sum < source.so | cut -d ' ' -f 1)
plan() { # PATH FROM SHA256
    cat <<END
{
  "schema": "elfmend.plan/1", "target": "t", "root": "$PWD/t", 
  "inputs": [ $(stated t pkg/one.so), $(stated t pkg-1.dist-info/RECORD) ], "refused": [], "after": [],
  "actions": [
    { "do": "set-path", "path": "pkg/one.so", "tag": "rpath", "value": "\$ORIGIN/libs", "resolves": ["EM102 libx.so.1"] },
    { "do": "copy", "path": "$1", "from": "$2", "sha256": "$3", "mode": "0755", "resolves": ["EM103 liby.so.1"] },
    { "do": "record", "path": "pkg-1.dist-info/RECORD", "site": ".", "files": ["pkg/one.so", "$1"], "resolves": [] }
  ]
}
END
}
plan pkg/libs/two.so "$PWD/source.so" "$pin" > plan.json

# What is refused
refused() { # WHAT PATTERN COMMAND...
    what=$1 pattern=$2; shift 2
    exits 2 "$what: exit 2" "$@"
    if [ ! -s out ] && [ "$(wc -l < err)" -eq 1 ] && grep -q -e "$pattern" err; then ok 0 "... and one line that says so"
    else ok 1 "... and one line that says so" log; fi
    tree > now
    same "... and nothing has changed" before now
    if [ -e t/.elfmend ]; then ok 1 "... and nothing is left" log; else ok 0 "... and nothing is left"; fi
}
refused "undo where nothing was done" "nothing to take back" "$ELFMEND" undo t
refused "undo of what is not there" "cannot be opened" "$ELFMEND" undo absent
refused "undo with two wishes" "exclude each other" "$ELFMEND" undo --all --list t
refused "apply without a plan" "takes one plan file" "$ELFMEND" apply
refused "apply of what is not there" "absent.json" "$ELFMEND" apply absent.json
plan ../escaped.so "$PWD/source.so" "$pin" > bad.json
refused "a plan that climbs out" "does not stay below the target" "$ELFMEND" apply bad.json
plan /tmp/escaped.so "$PWD/source.so" "$pin" > bad.json
refused "a plan with an absolute path" "does not stay below the target" "$ELFMEND" apply bad.json
for own in .elfmend/undo pkg/.elfmend/undo/0001 pkg/.Elfmend; do
    plan "$own/0" "$PWD/source.so" "$pin" > bad.json
    refused "a plan for $own, where originals are kept" "is elfmend's own" "$ELFMEND" apply bad.json
done
plan pkg/libs/two.so "$PWD/source.so" "0${pin#?}" > bad.json
[ "0${pin#?}" != "$pin" ] || plan pkg/libs/two.so "$PWD/source.so" "1${pin#?}" > bad.json
refused "a source with other bytes" "sha256" "$ELFMEND" apply bad.json
plan pkg/one.so "$PWD/source.so" "$pin" > bad.json
refused "a plan that changes a file twice" "two actions" "$ELFMEND" apply bad.json
for input in pkg/one.so pkg-1.dist-info/RECORD; do
    plan pkg/libs/two.so "$PWD/source.so" "$pin" | sed "s|{\"path\": \"$input\"|{\"path\": \"another\"|" > bad.json
    refused "a plan that changes $input and does not say what it was" "$input.*without saying in 'inputs' what it was" "$ELFMEND" apply bad.json
done
sed 's/"set-path"/"run-script"/' plan.json > bad.json
refused "a plan that wants something else" "run-script" "$ELFMEND" apply bad.json
head -c 300 plan.json > bad.json
refused "half a plan" "not JSON" "$ELFMEND" apply bad.json
printf '\177ELF' > bad.json
refused "a plan that is none" "not JSON" "$ELFMEND" apply bad.json
ln -s ../../cache t/pkg/libs
tree > before
refused "a plan through a link" "link" "$ELFMEND" apply plan.json
rm t/pkg/libs
touch -d '2022-02-22 22:22:22.2' t/pkg
tree > before

# The whole way
exits 0 "apply: exit 0" "$ELFMEND" apply plan.json
says "it says what was done" "2 files replaced, 1 added; elfmend undo takes it back, as 0001" out
check "the other name of the file has its old bytes" sha256sum --check cache.sum
if cmp -s t/pkg/libs/two.so source.so; then ok 0 "the copy is there"; else ok 1 "the copy is there"; fi
says "RECORD has the copy" '^pkg/libs/two.so,sha256=' t/pkg-1.dist-info/RECORD
if [ "$(stat -c %a t/.elfmend)" = 700 ]; then ok 0 ".elfmend is for its owner alone"; else ok 1 ".elfmend is for its owner alone"; fi
exits 0 "undo --list: exit 0" "$ELFMEND" undo --list t
says "it lists the repair" '^0001  2 replaced, 1 added, holds [0-9]* KB: EM102 libx.so.1 and 1 more$' out
exits 0 "undo --list --json: exit 0" "$ELFMEND" undo --list --json t
check "it is elfmend.undo/1" schema undo/1
exits 0 "undo: exit 0" "$ELFMEND" undo t
says "it says what was done" "1 repair taken back: 2 files restored, 1 removed" out
tree > now
same "every file and directory is as it was" before now
if [ -e t/.elfmend ]; then ok 1 "nothing is left"; else ok 0 "nothing is left"; fi

# Somebody changes a repaired file
exits 0 "apply --json: exit 0" "$ELFMEND" apply --json plan.json
check "it is elfmend.apply/1" schema apply/1
echo changed > t/pkg/libs/two.so
exits 2 "undo, and a file was changed: exit 2" "$ELFMEND" undo t
says "it names the file and the way on" "two.so: was changed .*--force.*--forget" err
says "the change is still there" '^changed$' t/pkg/libs/two.so
exits 0 "undo --force: exit 0" "$ELFMEND" undo --force t
tree > now
same "every file and directory is as it was" before now

# Several repairs
exits 0 "a first repair" "$ELFMEND" apply plan.json
plan pkg/libs/three.so "$PWD/source.so" "$pin" | sed 's|ORIGIN/libs|ORIGIN/further|' > second.json
exits 0 "a second repair" "$ELFMEND" apply second.json
says "it has the next number" "as 0002" out
exits 2 "undo --to what is not there: exit 2" "$ELFMEND" undo --to 0007 t
exits 0 "undo --to the first" "$ELFMEND" undo --to 0001 t
says "takes both back" "2 repairs taken back: 4 files restored, 2 removed" out
tree > now
same "every file and directory is as it was" before now
exits 0 "a repair" "$ELFMEND" apply plan.json
exits 0 "undo --json: exit 0" "$ELFMEND" undo --json t
check "it is elfmend.undo/1" schema undo/1
exits 0 "a repair" "$ELFMEND" apply plan.json
exits 0 "undo --forget --json: exit 0" "$ELFMEND" undo --forget --json t
check "it is elfmend.undo/1" schema undo/1
if [ -e t/.elfmend ]; then ok 1 "nothing is left to go back to"; else ok 0 "nothing is left to go back to"; fi
says "the repair stays" '^pkg/libs/two.so,sha256=' t/pkg-1.dist-info/RECORD
exits 2 "undo: exit 2" "$ELFMEND" undo t
exits 0 "apply --no-undo: exit 0" "$ELFMEND" apply --no-undo second.json
if [ -e t/.elfmend ]; then ok 1 "nothing is kept"; else ok 0 "nothing is kept"; fi

# What runs with rights of its own keeps them, and the user is told
chmod 4755 t/pkg/one.so
tree > before
plan pkg/libs/four.so "$PWD/source.so" "$pin" | sed 's|ORIGIN/libs|ORIGIN/third|' > third.json
exits 0 "apply to a set-user-ID file" "$ELFMEND" apply third.json
says "it is named" '^  keeps     pkg/one.so: its set-user-ID bit$' out
is 4755 "$(stat -c %a t/pkg/one.so)" "... and has its bit"
exits 0 "undo" "$ELFMEND" undo t
if [ "$(id -u)" -eq 0 ] && chmod 755 t/pkg/one.so && setcap cap_net_raw=ep t/pkg/one.so 2> log; then
    getcap t/pkg/one.so > wanted
    exits 0 "apply to a file with capabilities, as JSON" "$ELFMEND" apply --json third.json
    says "it is named" '"keeps": "its file capabilities"' out
    conforms apply-1
    getcap t/pkg/one.so > got
    same "... and has them" wanted got
    exits 0 "undo" "$ELFMEND" undo t
else
    skip "apply to a file with capabilities" "needs root, and setcap on a file system that has them: $(head -n 1 log)"
fi
chmod 755 t/pkg/one.so
tree > before

# A way back that was cut off: .elfmend as such an undo leaves it. Who only reads says so and writes nothing; who writes takes it back first
exits 0 "a repair" "$ELFMEND" apply third.json
mv t/.elfmend/undo/0001 t/.elfmend/txn
find t -printf '%p %y %i %m %s %T@ %C@\n' | sort > cut
for command in "audit t" "verify t" "explain t libc.so.6" "fix --dry-run t" "undo --list t"; do
    run $command
    find t -printf '%p %y %i %m %s %T@ %C@\n' | sort > now
    same "$command: writes nothing" cut now
    case $command in undo*) ;; *) says "... and says that a repair was cut off" "was cut off; the next .elfmend fix. or .undo. takes back" err ;; esac
done
run audit --quiet t
if grep -q 'was cut off' err; then ok 1 "audit --quiet is quiet" err; else ok 0 "audit --quiet is quiet"; fi
run fix --yes t
says "fix takes it back first" "what it had begun is taken back" err
tree > now
same "every file and directory is as it was" before now

# Two at a time: flock holds the lock as another elfmend would
exits 2 "apply of what is done already stops at the file that is there" "$ELFMEND" apply plan.json
mkdir -m 700 t/.elfmend
exits 2 "another holds the lock: exit 2" flock t/.elfmend/lock "$ELFMEND" apply plan.json
says "and the user is told" "another elfmend" err
rm -r t/.elfmend

# Who may not write is told before anything is written
if [ "$(id -u)" -eq 0 ] && command -v setpriv > log 2>&1; then
    chmod 755 .
    tree > before
    refused "a tree of somebody else" "cannot be made" setpriv --reuid=65534 --regid=65534 --clear-groups "$ELFMEND" apply plan.json
else
    skip "a tree of somebody else" "needs root, to be somebody else"
fi
finish
