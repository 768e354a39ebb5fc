#!/bin/sh
# --strategy degraft: who needs a private copy of a library needs the installed one instead, under its own name, with the versions that
# are asked of it. The private copy is not loaded any more, and not missed. What is no private copy, or cannot be given up, is mended
# by a path; and where no path can be written, the planner takes this way by itself and says why.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(lib[a-z]*cudnn.*\)\]/\1/p'; }
versions() { readelf -V "$1" | sed -n 's/.*File: \(lib[a-z]*cudnn[^ ]*\).*/\1/p'; }
path() { readelf -d "$1" | sed -n 's/.*(\(RPATH\|RUNPATH\)).*\[\(.*\)\]/\1 \2/p'; }
files() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %i %m %T@ ' -type f -exec sha256sum {} \; -o -printf '\n' | sed 's/ [^ ]*$//' | sort; }
loads='import ctranslate2, os
assert ctranslate2.transcribe() == 0
maps = {os.path.basename(line.split()[-1]) for line in open("/proc/self/maps") if "libcudnn" in line}
print(*sorted(name for name in maps if "cudnn_" not in name))'
works() { exits 0 "$1" "$ELFMEND_TOP/fixtures/hidden" "$2/bin/python" -B -c "$loads"; }
is() { # EXPECTED FILE WHAT
    echo "$1" > wanted; same "$3" wanted "$2"
}

"$standin" v
site=$(echo v/lib/python3*/site-packages)
libs=$site/ctranslate2.libs
shim=$libs/libcudnn-74a4c495.so.9.1.0
main=$libs/libctranslate2-c75cca97.so.4.6.0
cp -a v shipped
files v > before
exits 1 "--dry-run" "$ELFMEND" fix --dry-run --json --plan plan.json --strategy degraft v
conforms plan-1
exits 0 "fix --strategy degraft: exit 0" "$ELFMEND" fix --yes --strategy degraft v
check "... says what the object needs now" grep -F 'needs libcudnn.so.9' out
check "... and why" grep -F 'as --strategy degraft asks' out
needed "$main" > got; is libcudnn.so.9 got "its NEEDED is the public name"
versions "$main" > got; is libcudnn.so.9 got "the versions are asked of the same"
path "$main" > got
is 'RPATH $ORIGIN/../nvidia/cublas/lib:$ORIGIN/../nvidia/cudnn/lib' got "its path leads to cuDNN, and to cuBLAS, which is no private copy"
check "the private copy is as it was" cmp "$shim" "shipped${shim#v}"
works "it works" v
is libcudnn.so.9 out "... with one shim in the process, the installed one"
exits 0 "audit: exit 0, the private copy is not missed" "$ELFMEND" audit v
exits 0 "verify: exit 0" "$ELFMEND" verify --fail-on note v
exits 0 "fix again: exit 0" "$ELFMEND" fix --yes --strategy degraft v
check "... and nothing to do" grep -F 'nothing to do' out
cp -a v degrafted
exits 0 "undo: exit 0" "$ELFMEND" undo v
files v > now
same "... everything is as it was" before now
exits 0 "apply of the plan" "$ELFMEND" apply plan.json
check "... gives the same object" cmp "$main" "degrafted${main#v}"

# Damaged plans
spoil() { # WHAT PYTHON
    python3 -c "import json
plan = json.load(open('plan.json'))
step = next(a for a in plan['actions'] if a['do'] == 'replace-needed')
$2
json.dump(plan, open('spoilt.json', 'w'))"
    exits 2 "$1: exit 2" "$ELFMEND" apply spoilt.json
    check "... no action is taken" cmp "$main" "degrafted${main#v}"
}
spoil "a plan that replaces nothing" "del step['needed']"
spoil "a plan that replaces it by nothing" "step['by'] = ''"
spoil "a plan with an unknown member in it" "step['and'] = 'x'"

# cuDNN 8, whose installed version is older than the private copy's
"$standin" --cudnn 8 eight
exits 0 "cuDNN 8: exit 0" "$ELFMEND" fix --yes --strategy degraft eight
works "... it works" eight
is libcudnn.so.8 out "... with one shim in the process"

# Another major
"$standin" --cudnn mix mix
files mix > before
exits 1 "cuDNN 9 for 8: exit 1" "$ELFMEND" fix --yes --strategy degraft mix
check "... refused" grep -F 'another major is never bridged' out
needed mix/"${libs#v/}"/libctranslate2* > got
is libcudnn-463fd6d5.so.8.9.7 got "... and the private copy stays needed"

# A symbol that the installed one does not define: by a path then
rm -rf v; cp -a shipped v
cudnn=$site/nvidia/cudnn/lib
sed 's/cudnnCreateRNNDescriptor/cudnnCreateSomethingElse/' "$ELFMEND_TOP/fixtures/ct2/shim9.c" > shim9.c
echo 'libcudnn.so.9 { global: cudnn*; local: *; };' > map
rm "$cudnn/libcudnn.so.9"
"${CC:-cc}" -shared -fPIC -w '-DVERSION=".9.10.2"' '-DSHORTER=".9.10"' -o "$cudnn/libcudnn.so.9" shim9.c -Wl,-soname,libcudnn.so.9 \
    -Wl,--version-script,map '-Wl,--enable-new-dtags,-rpath,$ORIGIN' -ldl
exits 0 "a symbol that the installed library does not define" "$ELFMEND" fix --yes --strategy degraft v
needed "$main" > got; is libcudnn-74a4c495.so.9.1.0 got "... the private copy stays needed"
check "... the plan says why" grep -F 'takes cudnnCreateRNNDescriptor from the private copy' out
path "$shim" > got; is 'RPATH $ORIGIN:$ORIGIN/../nvidia/cudnn/lib' got "... and gets the path"

# The private copy is a link to the installed one, as some scripts have it: its $ORIGIN is the link's directory, and nothing is changed
# through links. The planner degrafts by itself.
rm -rf v; cp -a shipped v
cudnn=$site/nvidia/cudnn/lib
"$standin" two
rm two/"${shim#v/}" && ln -s "$PWD/$shim" two/"${shim#v/}"
exits 0 "the private copy is a link: exit 0" "$ELFMEND" fix --yes two
check "... degrafted" grep -F 'needs libcudnn.so.9' out
check "... because it is a link" grep -F 'instead of the private copy of it: is a link to' out
works "... it works" two
exits 1 "--strategy path does not" "$ELFMEND" fix --dry-run --strategy path shipped
check "... rename anything" sh -c '! grep -F replace-needed out'

# A wheel
python3 "$ELFMEND_TOP/fixtures/wheel" "shipped/${site#v/}" ctranslate2 4.6.0 wheels
exits 0 "repack --strategy degraft: exit 0" "$ELFMEND" repack --world manylinux --strategy degraft -o out.d wheels/*.whl
check "... says it" grep -F 'needs libcudnn.so.9' out
check "... and requires what it leans on" grep -F 'require   nvidia-cudnn-cu12>=9,<10' out
python3 -m zipfile -e out.d/*.whl unpacked
needed unpacked/ctranslate2.libs/libctranslate2* > got; is libcudnn.so.9 got "... its NEEDED is the public name"
finish
