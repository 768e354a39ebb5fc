#!/bin/sh
# fix: the plan that is shown is the plan that is executed; the path that an object gets; what it refuses; what it leaves alone.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
"$standin" shipped
site=$(cd shipped && echo lib/python3*/site-packages)
libs=$site/ctranslate2.libs
shim=$libs/libcudnn-74a4c495.so.9.1.0
fresh() { chmod -R u+rwx v 2> /dev/null; rm -rf v; cp -a shipped v; }
files() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %i %m %T@ ' -type f -exec sha256sum {} \; -o -printf '\n' | sed 's/ [^ ]*$//' | sort; }
bytes() { (cd "$1" && find . -path ./.elfmend -prune -o -type f -printf '%m ' -exec sha256sum {} \; | sort -k 3); }
tag() { readelf -d "$1" | sed -n 's/.*(\(RPATH\|RUNPATH\)).*\[\(.*\)\]/\1 \2/p'; }
works() { check "$1" "$ELFMEND_TOP/fixtures/hidden" "$2/bin/python" -B -c 'import ctranslate2; raise SystemExit(ctranslate2.transcribe())'; }

# A dry run writes nothing; its plan is what a run does
fresh
files v > before
exits 1 "--dry-run: exit 1, since nothing is mended" "$ELFMEND" fix --dry-run --plan plan.json v
files v > after
same "... changes nothing" before after
check "... not even a directory of its own" test ! -e v/.elfmend
exits 0 "apply of that plan" "$ELFMEND" apply plan.json
works "... repairs" v
bytes v > applied
fresh
exits 0 "fix" "$ELFMEND" fix v
bytes v > fixed
same "... gives the same bytes as the plan did" applied fixed
echo 'RPATH $ORIGIN:$ORIGIN/../nvidia/cudnn/lib' > wanted
tag "v/$shim" > got
same "the object that asks has the path behind its own, under its own tag" wanted got
tag v/"$site"/nvidia/cudnn/lib/libcudnn_cnn.so.9 > got
tag shipped/"$site"/nvidia/cudnn/lib/libcudnn_cnn.so.9 > wanted
same "the vendor's objects are as they were" wanted got

# --runpath where something is inherited would break it: refused for that object, with the reason
fresh
exits 0 "--runpath" "$ELFMEND" fix --runpath v
tag v/"$libs"/libctranslate2* > got
echo 'RPATH $ORIGIN/../nvidia/cublas/lib' > wanted
same "... an object that inherits gets DT_RPATH all the same" wanted got
works "... and it works" v

# A plan is refused when an input changed since
fresh
"$ELFMEND" fix --dry-run --plan plan.json v > /dev/null
for file in v/"$libs"/libctranslate2*; do printf x >> "$file"; done
files v > before
exits 2 "apply after a change: exit 2" "$ELFMEND" apply plan.json
files v > after
same "... nothing changed" before after

# Hard links: what a package manager's cache has stays as it is
fresh
rm -rf cache
cp -al v cache
files cache > before
exits 0 "fix of a tree that is hard-linked to a cache" "$ELFMEND" fix v
files cache > after
same "... the cache keeps its bytes, inodes and times" before after

# Nothing to do
files v > before
exits 0 "fix again: exit 0" "$ELFMEND" fix v
files v > after
same "... changes no byte and no mtime" before after

# What signs the RECORD that was goes with a word; undo brings it back
fresh
for kind in jws p7s; do echo signature > v/"$site"/ctranslate2-4.6.0.dist-info/RECORD.$kind; done
files v > before
exits 0 "a signed RECORD" "$ELFMEND" fix v
check "... its signature goes" test ! -e v/"$site"/ctranslate2-4.6.0.dist-info/RECORD.jws
check "... either of them" test ! -e v/"$site"/ctranslate2-4.6.0.dist-info/RECORD.p7s
check "... with a word" grep -F 'it signs a RECORD that is no longer so' out
exits 0 "... verify: exit 0, not a note" "$ELFMEND" verify --fail-on note v
exits 0 "... undo" "$ELFMEND" undo v
files v > after
same "... brings it back" before after

# Copies
"$standin" --cudnn none none
cp -a none none.shipped
exits 1 "nothing to copy from: what can be mended is, and exit 1" "$ELFMEND" fix --world manylinux --strategy path none
check "... EM103 says what to install" grep -F "pip install 'nvidia-cudnn-cu12" out
provider=shipped/$site
exits 0 "--source: exit 0" "$ELFMEND" fix --source "$provider" none
works "... repairs" none
check "... the copies are in RECORD" grep -q 'ctranslate2.libs/libcudnn_cnn.so.9,sha256=' none/"$site"/ctranslate2-4.6.0.dist-info/RECORD
exits 0 "verify: exit 0" "$ELFMEND" verify none
exits 0 "undo --all" "$ELFMEND" undo --all none
bytes none.shipped > wanted
bytes none > got
same "... removes the copies and gives everything back" wanted got

mkdir cudnn
cp -a "$provider"/nvidia_cudnn* cudnn/
mkdir cudnn/nvidia
cp -a "$provider"/nvidia/cudnn cudnn/nvidia/
cp -a none.shipped some
exits 0 "--strategy copy from a source that has cuDNN alone: exit 0" "$ELFMEND" fix --strategy copy --source cudnn some
works "... cuBLAS, which is installed, is reached by a path" some

cp -a "$provider" bad
printf '\1' | dd of=bad/nvidia/cudnn/lib/libcudnn_cnn.so.9 bs=1 seek=5000 conv=notrunc 2> /dev/null
files none > before
exits 2 "a flipped byte in a source: exit 2" "$ELFMEND" fix --source bad none
check "... names the file" grep -F libcudnn_cnn.so.9 err
files none > after
same "... nothing changed" before after
exits 2 "--allow-unverified does not lift it" "$ELFMEND" fix --allow-unverified --source bad none

mkdir bare
cp "$provider"/nvidia/cudnn/lib/*.so.9 bare/
exits 2 "a source that nobody vouches for: exit 2" "$ELFMEND" fix --source bare none
(cd bare && sha256sum ./*) > pins
exits 0 "... with --require-hashes: exit 0" "$ELFMEND" fix --source bare --require-hashes pins none
works "... repairs" none
"$ELFMEND" undo none > /dev/null
sed 's/^./0/; s/^0\(.*\)/f\1/' pins > wrong
exits 2 "... with wrong hashes: exit 2" "$ELFMEND" fix --source bare --require-hashes wrong none
exits 0 "... with --allow-unverified: exit 0" "$ELFMEND" fix --source bare --allow-unverified none
exits 2 "a source that is not there: exit 2" "$ELFMEND" fix --source nowhere none

# Where writing is not allowed
if [ "$(id -u)" -eq 0 ]; then
    skip "a read-only environment" "root may write everywhere"
else
    fresh
    chmod a-w v
    exits 2 "a read-only environment: exit 2" "$ELFMEND" fix v
fi
finish
