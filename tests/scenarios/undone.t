#!/bin/sh
# What pip undoes of a repair, the next audit and verify say: installed again, upgraded, changed by hand, uninstalled. And verify tells
# what elfmend has changed itself from what somebody else did.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
wheel=$ELFMEND_TOP/fixtures/wheel
[ -n "${PYTHON:-}" ] || if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi
"$PYTHON" -m venv pip > log 2>&1 || { cat log >&2; exit 1; }
pip() { pip/bin/python -m pip --disable-pip-version-check -q --python v/bin/python "$@"; }
install() { pip install --no-index --no-deps "$@"; }
finds() { # WHAT PATTERN
    if grep -q -e "$2" out; then ok 0 "$1"; else ok 1 "$1" out; fi
}
hides() { # WHAT PATTERN
    if grep -q -e "$2" out; then ok 1 "$1" out; else ok 0 "$1"; fi
}
undone() { # the findings of id EM605 in the JSON document in out: severity, owner, repair
    "$PYTHON" -c 'import json
for f in json.load(open("out"))["findings"]:
    if f["id"] == "EM605":
        print(f["severity"], f["owner"]["name"], f["owner"]["version"], f["repair"]["id"])'
}

# Three repairs in one: two distributions of the vendor's are there, ctranslate2's objects are repaired, copies are added.
"$standin" --cudnn none shipped
"$standin" whole
site=$(cd shipped && echo lib/python3*/site-packages)
libs=$site/ctranslate2.libs
main=$libs/libctranslate2-c75cca97.so.4.6.0
copy=$libs/libcudnn_cnn.so.9
"$PYTHON" "$wheel" shipped/"$site" ctranslate2 4.6.0 wheels
"$PYTHON" "$wheel" shipped/"$site" ctranslate2 4.6.1 newer
fresh() {
    chmod -R u+rwx v 2> /dev/null; rm -rf v; cp -a shipped v
    "$ELFMEND" fix --yes --world manylinux --source whole/"$site" v > log 2>&1 || { cat log >&2; exit 1; }
}
audit() { exits "$1" "$2" "$ELFMEND" audit --world manylinux --verbose v; }

fresh
audit 0 "audit of a repaired environment"
hides "... nothing is undone" EM605
exits 0 "verify of a repaired environment" "$ELFMEND" verify --verbose --fail-on note v
hides "... and nothing is to be said of it" '\[EM'

# pip install --force-reinstall
check "pip install --force-reinstall" install --force-reinstall wheels/*.whl
audit 1 "audit: what was missing is missing again"
finds "... because somebody installed it again" "^warning.EM605.*its distribution has been installed again since"
finds "... it names what pip wrote over" "^  changed *$main"
finds "... and the copies that it took away" "^  gone *$copy"
finds "... and what to do" "^help: elfmend fix v "
exits 0 "verify says so too, as JSON" "$ELFMEND" verify --json v
conforms verify-1
is "warning ctranslate2 4.6.0 0001" "$(undone)" "... once for the distribution"
check "fix repairs it again" "$ELFMEND" fix --yes --world manylinux --source whole/"$site" v
audit 0 "audit after that"
hides "... nothing is undone" EM605

# pip install -U
fresh
check "pip install -U" install -U newer/*.whl
audit 1 "audit after an upgrade"
finds "... somebody installed it again" "^warning.EM605.*installed again"
finds "... what was repaired" "^  was of *ctranslate2-4.6.0"
finds "... and what is there now" "^  owner *ctranslate2 4.6.1"
check "fix repairs the new one" "$ELFMEND" fix --yes --world manylinux --source whole/"$site" v
audit 0 "audit after that"
hides "... nothing is undone" EM605

# An upgrade that brings what was copied: the repair of it counts alone, and what the first one had added is nobody's any more
fresh
"$PYTHON" "$wheel" whole/"$site" nvidia_cudnn_cu12 9.10.2.21 cudnn
check "pip install -U, with cuDNN" install -U newer/*.whl cudnn/*.whl
audit 1 "audit after that"
finds "... somebody installed it again" "^warning.EM605.*installed again"
check "fix repairs it in another way" "$ELFMEND" fix --yes --world manylinux v
audit 0 "audit after that"
hides "... nothing is undone" EM605

# One file by hand: RECORD says nothing, and the repair is not undone as a whole
fresh
cp whole/"$main" v/"$main"
rm v/"$copy"
exits 1 "verify after a file was put back by hand, and a copy removed" "$ELFMEND" verify v
finds "... it is not what RECORD says" "^warning.EM601.: $main"
finds "... though elfmend changed it once" "^  by *elfmend, repair 0001, and changed since"
finds "... the copy is missing" "^error.EM602.: $copy"
finds "... though elfmend added it" "^  by *elfmend, repair 0001, and removed since"
finds "... and the repair is not whole" "^warning.EM605.*somebody has undone that since"

# The other way round: RECORD is the old one, the files are ours
fresh
cp shipped/"$site"/ctranslate2-4.6.0.dist-info/RECORD v/"$site"/ctranslate2-4.6.0.dist-info/RECORD
exits 0 "verify with another's RECORD: exit 0 even at --fail-on warning" "$ELFMEND" verify --verbose --fail-on warning v
finds "... what elfmend changed is a note" "^note.EM601.: $main"
finds "... that says so" "^  by *elfmend, repair 0001$"
hides "... nothing of the repair is undone" EM605
exits 0 "the same as JSON" "$ELFMEND" verify --json v
conforms verify-1
is "note {'id': '0001', 'state': 'ours'}" "$("$PYTHON" -c 'import json, sys
for f in json.load(open("out"))["findings"]:
    if f["object"] == sys.argv[1]:
        print(f["severity"], f["repair"])' "$main")" "... says by which repair"

# pip uninstall
fresh
check "pip uninstall" pip uninstall -y ctranslate2
audit 0 "audit after that"
finds "... a note, since nothing asks for the repair any more" "^note.EM605.*its distribution has been uninstalled"
finds "... that names the way to be rid of it" "^help: elfmend undo --forget v"
exits 0 "undo --forget" "$ELFMEND" undo --forget v
audit 0 "audit after that"
hides "... has nothing to say" EM605

# Two distributions: one is installed again, one is uninstalled, and the copies of both are in no RECORD any more
mkdir two
echo 'int f(void) { return 1; }' > f.c
"${CC:-cc}" -shared -fPIC -o two.so f.c
for name in a b; do
    mkdir -p two/$name.libs two/$name-1.dist-info
    cp two.so two/$name.libs/one.so
    printf 'Name: %s\nVersion: 1\n' $name > two/$name-1.dist-info/METADATA
    printf '%s.libs/one.so,,\n%s-1.dist-info/RECORD,,\n' $name $name > two/$name-1.dist-info/RECORD
done
cp -a two two.shipped
step() { # NAME
    cat <<PLAN
    { "do": "copy", "path": "$1.libs/two.so", "from": "$PWD/two.so", "sha256": "$(sha256sum < two.so | cut -d ' ' -f 1)",
      "mode": "0755", "resolves": ["EM103 libtwo.so"] },
    { "do": "record", "path": "$1-1.dist-info/RECORD", "site": ".", "files": ["$1.libs/two.so"], "resolves": [] }
PLAN
}
printf '{ "schema": "elfmend.plan/1", "target": "two", "root": "%s", "inputs": [%s, %s], "refused": [], "after": [], "actions": [%s, %s] }' \
    "$PWD/two" "$(stated two a-1.dist-info/RECORD)" "$(stated two b-1.dist-info/RECORD)" "$(step a)" "$(step b)" > plan.json
check "apply of a plan by hand" "$ELFMEND" apply plan.json
rm -r two/a.libs two/a-1.dist-info two/b.libs two/b-1.dist-info
cp -a two.shipped/b.libs two.shipped/b-1.dist-info two
exits 0 "verify when a is gone and b installed again" "$ELFMEND" verify --verbose two
finds "... the copy of a is a note" "^note.EM605.: a.libs/two.so: .*uninstalled"
finds "... that of b a warning" "^warning.EM605.: b.libs/two.so: .*installed again"

# A journal that cannot be read does not stop a report
fresh
echo nonsense > v/.elfmend/undo/0001/journal
exits 0 "audit with a broken journal" "$ELFMEND" audit --world manylinux v
if grep -q 'what elfmend itself has changed here cannot be told' err; then ok 0 "... says so"; else ok 1 "... says so" err; fi
finish
