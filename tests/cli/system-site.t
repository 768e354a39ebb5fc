#!/bin/sh
# venv --system-site-packages: what is installed for the base interpreter is in reach of the environment's processes. It is found there,
# a path to it is absolute, and nothing of it is changed, verified or found fault with.
. "$ELFMEND_TOP/tests/tap"
"$ELFMEND_TOP/fixtures/standin" v
where=$(cd v && echo lib/python3*/site-packages)
library=${where%/site-packages}
base=$PWD/base
mkdir -p "base/$where" base/bin
ln -s "$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')" base/bin/python3
touch "base/$library/os.py"
mv v/"$where"/nvidia* "base/$where/"
# In the base, and none of the environment's business: a library that lacks another, a file that is not what RECORD says
echo 'int away(void) { return 1; }' > away.c
echo 'int away(void); void *PyInit_broken(void) { return away() ? 0 : 0; }' > broken.c
"${CC:-cc}" -shared -fPIC -o libaway.so away.c
"${CC:-cc}" -shared -fPIC -o "base/$where/broken.abi3.so" broken.c -L. -laway
mkdir "base/$where/broken-1.dist-info"
echo 'Name: broken' > "base/$where/broken-1.dist-info/METADATA"
printf 'broken.abi3.so,,11\nbroken-1.dist-info/RECORD,,\n' > "base/$where/broken-1.dist-info/RECORD"

sees() { printf 'home = %s\ninclude-system-site-packages = %s\nversion = %s\n' "$base/bin" "$1" "${library#lib/python}" > v/pyvenv.cfg; }
state() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %i %m %T@ %l ' -type f -exec sha256sum {} \; -o -printf '\n' | sed 's/ [^ ]*$//' | sort; }
audit() { exits "$1" "$2" "$ELFMEND" audit --world manylinux --json v; }
say() { "$python" -c "import json; document = json.load(open('out')); $1"; }
ask='print(*sorted({f["id"] for f in document["findings"] if f["severity"] == "error"}))'

sees false
audit 1 "a venv that does not see the base's packages: exit 1"
is EM103 "$(say "$ask")" "... misses them"
sees true
state base > base.before
state v > before
audit 1 "one that does: exit 1"
is EM102 "$(say "$ask")" "... misses the path to them"
is "ctranslate2 4" "$(say 't = document["targets"][0]; print(*(d["name"] for d in t["distributions"]), t["objects"])')" \
    "... its distributions and objects are its own"
has "it is in   $base/$where/nvidia/cudnn/lib   (nvidia-cudnn-cu12 9.10.2.21)" out "... and says where they are"
check "... nothing is said of the base's own" sh -c '! grep broken out'
exits 0 "fix: exit 0" "$ELFMEND" fix --yes --world manylinux v
readelf -d v/"$where"/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0 | sed -n 's/.*(RPATH).*\[\(.*\)\]/\1/p' > got
is "\$ORIGIN:$base/$where/nvidia/cudnn/lib" "$(cat got)" "... by a path that stays true where the environment is moved"
check "... and works" env PYTHONPATH="v/$where" "$ELFMEND_TOP/fixtures/hidden" "$python" -B -c \
    'import ctranslate2; raise SystemExit(ctranslate2.transcribe())'
state base > base.after
same "... the base is as it was" base.before base.after
exits 0 "verify: exit 0, not a note" "$ELFMEND" verify --fail-on note v
has 'of 1 distribution;' out "... of the environment's own"
exits 0 "undo" "$ELFMEND" undo v
state v > after
same "... gives everything back" before after

# The environment's own comes first
cp -a "base/$where"/nvidia* v/"$where"/
exits 0 "fix where the environment has them too" "$ELFMEND" fix --yes --world manylinux v
is '$ORIGIN:$ORIGIN/../nvidia/cudnn/lib' "$(readelf -d v/"$where"/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0 |
    sed -n 's/.*(RPATH).*\[\(.*\)\]/\1/p')" "... takes its own"

# A base that is not there
rm -r v/"$where"/nvidia*
mv base gone
"$ELFMEND" undo v > /dev/null
audit 1 "a base that is gone: exit 1"
is EM103 "$(say "$ask")" "... and nothing of it is in reach"
finish
