#!/bin/sh
# audit: what it names, what it leaves out, its exit status, and what it does with bad input. On stand-ins; an empty world's cache
# stands in for a machine without CUDA, so that what this machine has installed plays no part.
. "$ELFMEND_TOP/tests/tap"
"$ELFMEND_TOP/fixtures/standin" --extra v
libs=$(echo v/lib/python3*/site-packages/ctranslate2.libs)
info=$(echo v/lib/python3*/site-packages/ctranslate2-4.6.0.dist-info)
shim=$libs/libcudnn-74a4c495.so.9.1.0
ids() { sed -n 's/^\(error\|warning\|note\)\[\(EM[0-9]*\)\].*/\1 \2/p' out | sort | uniq -c | sed 's/^ *//'; }

exits 1 "findings: exit 1" "$ELFMEND" audit --world manylinux v
ids > got
printf '8 error EM102\n' > wanted
same "eight libraries are out of reach, and nothing else is wrong" wanted got
check "evidence: where it looked" grep -F '$ORIGIN = ' out
check "evidence: where it is" grep -F 'nvidia/cudnn/lib   (nvidia-cudnn-cu12 9.10.2.21)' out
check "help: what to do" grep -F 'help: elfmend fix v' out
exits 0 "--fail-on never: exit 0" "$ELFMEND" audit --world manylinux --fail-on never v
exits 1 "--ignore one object: the others stay" "$ELFMEND" audit --world manylinux --ignore 'EM102:*libcudnn*' v
ids > got
printf '1 error EM102\n' > wanted
same "... one" wanted got
echo 'EM102  # known' > v/.elfmendignore
exits 0 ".elfmendignore in the target: exit 0" "$ELFMEND" audit --world manylinux v
ln -sf .elfmendignore v/.elfmendignore
exits 2 ".elfmendignore that cannot be read: exit 2" "$ELFMEND" audit --world manylinux v
if grep -q '.elfmendignore: cannot be examined' err; then ok 0 "... says so"; else ok 1 "... says so" err; fi
rm v/.elfmendignore
exits 1 "--only one object" "$ELFMEND" audit --world manylinux --only 'libctranslate2*' v
ids > got
same "... one" wanted got
mkdir elsewhere
exits 1 "a directory" "$ELFMEND" audit --world manylinux "${libs%/ctranslate2.libs}"
exits 1 "two targets, one run" "$ELFMEND" audit --world manylinux v "$shim"
check "... each under its name" grep -x "$shim:" out
VIRTUAL_ENV=$PWD/v exits 1 "\$VIRTUAL_ENV without a target" "$ELFMEND" audit --world manylinux

# LD_LIBRARY_PATH
exits 0 "LD_LIBRARY_PATH decides: no error" \
    "$ELFMEND" audit --world manylinux --ld-library-path "${libs%/*}/nvidia/cudnn/lib:${libs%/*}/nvidia/cublas/lib" v

# JSON
exits 1 "--json: exit 1" "$ELFMEND" audit --world manylinux --json v
check "... is valid, with the schema named first" python3 - <<'END'
import json
text = open("out").read()
document = json.loads(text)
assert text.split('"')[1] == "schema" and document["schema"] == "elfmend.audit/1"
assert document["summary"]["error"] == 8 == len(document["findings"])
finding = document["findings"][0]
for key in "id severity object owner request message evidence help action".split():
    assert key in finding, key
END

# RECORD
cp -a v changed
truncate -s +1 changed/lib/python3*/site-packages/ctranslate2/__init__.py
exits 1 "a changed file: warning" "$ELFMEND" audit --world manylinux changed
check "... EM601" grep -F 'warning[EM601]' out
rm changed/lib/python3*/site-packages/ctranslate2.libs/libctranslate2*
exits 1 "a deleted library: error" "$ELFMEND" audit --world manylinux changed
check "... EM602" grep -F 'error[EM602]' out

# Bad input: one sentence with the path, exit 2
bad() { # WHAT TARGET
    exits 2 "$1: exit 2" "$ELFMEND" audit "$2"
    check "... one sentence" test "$(wc -l < err)" -eq 1
    check "... with the path" grep -F "$2" err
    check "... and no report" test ! -s out
}
bad "a target that is not there" nowhere
echo text > text
bad "a file that is no object" text
bad "a directory that is no environment" elsewhere
head -c 1000 "$shim" > short.so
bad "a truncated object" short.so
head -c 20 "$shim" > tiny.so
bad "an object shorter than its header" tiny.so
ln -s b a
ln -s a b
bad "a link to itself" a
cp -a v torn
printf 'a,b,c,d\n' >> "torn/${info#v/}/RECORD"
exits 2 "a RECORD with a bad line: exit 2" "$ELFMEND" audit torn
check "... names the file and the line" grep -E 'RECORD: line [0-9]+' err
cp -a v cut
truncate -s 3000 "cut/${libs#v/}"/libctranslate2*
exits 1 "a truncated library in an environment: a finding" "$ELFMEND" audit --world manylinux cut
check "... EM107" grep -F 'error[EM107]' out
exits 2 "an unknown option: exit 2" "$ELFMEND" audit --nope v
exits 2 "an unknown command: exit 2" "$ELFMEND" nope
exits 2 "no target: exit 2" env -u VIRTUAL_ENV "$ELFMEND" audit
exits 0 "--help" "$ELFMEND" audit --help
check "... opens with an example" sh -c 'head -1 out | grep -qx "    elfmend audit .venv"'
exits 2 "a full disk under the report: exit 2" sh -c '"$ELFMEND" audit --world manylinux v > /dev/full'
finish
