#!/bin/sh
# What people have put there by hand, and fix takes over: a file or a link that nobody installed and that answers instead of the library
# that belongs there goes, where something takes its place; undo brings it back, the same inode.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
use='import ctranslate2; raise SystemExit(ctranslate2.transcribe())'
works() { exits 0 "$1" "$ELFMEND_TOP/fixtures/hidden" "$2/bin/python" -B -c "$use"; }
files() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %l %i %m %T@ ' -type f -exec sha256sum {} \; -o -printf '\n' | sed 's/ [^ ]*$//' | sort; }
fix() { "$ELFMEND" fix --yes --world manylinux "$@"; }
"$standin" shipped
"$standin" --cudnn none bare
site=$(cd shipped && echo lib/python3*/site-packages)
libs=$site/ctranslate2.libs
cudnn=$site/nvidia/cudnn/lib
fresh() { rm -rf v; cp -a "${1:-shipped}" v; }
taken() { # WHAT NAME
    check "$1" test ! -e "v/$libs/$2" -a ! -L "v/$libs/$2"
}
round_trip() { # WHAT NAME [OPTIONS]: fix takes NAME away, it works, undo brings it back
    what=$1 name=$2; shift 2
    files v > before
    exits 0 "$what: exit 0" fix "$@" v
    grep -A1 "^  remove    $libs/$name" out > step
    check "... the plan takes it away, and says why" grep -F 'nobody installed it, and it hides the library that belongs there' step
    taken "... it is gone" "$name"
    works "... it works" v
    exits 0 "... audit: exit 0" "$ELFMEND" audit --world manylinux --fail-on warning v
    exits 0 "... verify: exit 0, not a note" "$ELFMEND" verify --fail-on note v
    exits 0 "... fix again: exit 0" fix v
    check "... nothing to do" grep -F 'nothing to do' out
    exits 0 "... undo: exit 0" "$ELFMEND" undo v
    files v > now
    same "... and it is back" before now
}

# Of the installed version, under the name that the shim asks for first; its own NEEDED are not found beside it
fresh
cp "v/$cudnn/libcudnn_cnn.so.9" "v/$libs/libcudnn_cnn.so.9.1.0"
exits 1 "--dry-run" "$ELFMEND" fix --world manylinux --dry-run --json --plan plan.json v
conforms plan-1
round_trip "one library copied under the name that the shim asks for first" libcudnn_cnn.so.9.1.0
exits 0 "apply of the plan: exit 0" "$ELFMEND" apply --json plan.json
conforms apply-1
taken "... it is gone" libcudnn_cnn.so.9.1.0
"$ELFMEND" undo v > log
printf x >> "v/$libs/libcudnn_cnn.so.9.1.0"
exits 2 "apply when the file has changed: exit 2" "$ELFMEND" apply plan.json
check "... it stays" test -f "v/$libs/libcudnn_cnn.so.9.1.0"
check "... and so does all else" cmp "v/$libs/libcudnn-74a4c495.so.9.1.0" "shipped/$libs/libcudnn-74a4c495.so.9.1.0"

# Of another version
fresh
cp "v/$cudnn/libcudnn_cnn.so.9" "v/$libs/libcudnn_cnn.so.9"
"$ELFMEND" patch --set-soname libcudnn_cnn.so.9 --set-rpath /elsewhere "v/$libs/libcudnn_cnn.so.9"
round_trip "one of another make, under its own name" libcudnn_cnn.so.9

# A link, relative and absolute
fresh
ln -s ../nvidia/cudnn/lib/libcudnn_cnn.so.9 "v/$libs/libcudnn_cnn.so.9.1.0"
exits 1 "--dry-run of a link" "$ELFMEND" fix --world manylinux --dry-run --plan plan.json v
round_trip "one library linked" libcudnn_cnn.so.9.1.0
ln -sf ../nvidia/cudnn/lib/libcudnn_adv.so.9 "v/$libs/libcudnn_cnn.so.9.1.0"
exits 2 "apply when the link leads elsewhere: exit 2" "$ELFMEND" apply plan.json
check "... it stays" test -L "v/$libs/libcudnn_cnn.so.9.1.0"
fresh
ln -s "$PWD/v/$cudnn/libcudnn_ops.so.9" "v/$libs/libcudnn_ops.so.9"
round_trip "one library linked by its whole path" libcudnn_ops.so.9

# Nothing installed that would take its place: it stays, until there is a source
fresh bare
cp "shipped/$cudnn/libcudnn_cnn.so.9" "v/$libs/libcudnn_cnn.so.9.1.0"
exits 1 "nothing to take its place: exit 1" fix v
check "... said, with what to do" grep -Fx "help: pip install 'nvidia-cudnn-cu12>=9,<10', then elfmend fix v takes it away" out
check "... it stays" test -f "v/$libs/libcudnn_cnn.so.9.1.0"
"$ELFMEND" undo v > log
round_trip "with a source" libcudnn_cnn.so.9.1.0 --source "shipped/$site"
mv "v/$libs/libcudnn_cnn.so.9.1.0" "v/$libs/libcudnn_cnn.so.9"
"$ELFMEND" patch --set-rpath /elsewhere "v/$libs/libcudnn_cnn.so.9"
files v > before
exits 0 "under the copy's own name: exit 0" fix --source "shipped/$site" v
check "... the copy takes its place" sh -c '! grep -q "^  remove" out'
works "... it works" v
exits 0 "... verify: exit 0" "$ELFMEND" verify --fail-on note v
exits 0 "... undo: exit 0" "$ELFMEND" undo v
files v > now
same "... and it is back" before now

# A source that has not all of it: nothing goes, and nothing is half copied
mkdir part
cp -a "shipped/$site/nvidia" "shipped/$site"/nvidia_cudnn* part/
rm part/nvidia/cudnn/lib/libcudnn_ops.so.9
sed -i '/libcudnn_ops/d' part/nvidia_cudnn*/RECORD
exits 1 "a source without one of the family: exit 1" fix --source part v
check "... the file stays" test -f "v/$libs/libcudnn_cnn.so.9"
check "... no copy was made" test ! -e "v/$libs/libcudnn_graph.so.9"

# The folklore of links from one major to another bridges nothing, whoever they belong to
"$standin" --cudnn mix mix
ln -s libcudnn.so.9 "mix/$cudnn/libcudnn.so.8"
for part in ops cnn adv; do ln -s libcudnn_$part.so.9 "mix/$cudnn/libcudnn_${part}_infer.so.8"; done
exits 1 "links from cuDNN 9 to 8: exit 1" "$ELFMEND" audit --world manylinux mix
check "... another major" grep -F EM104 out
exits 1 "fix: exit 1" fix mix
check "... never bridged" grep -F 'another major is never bridged' out

# Filters hold
fresh
cp "v/$cudnn/libcudnn_cnn.so.9" "v/$libs/libcudnn_cnn.so.9.1.0"
"$ELFMEND" fix --yes --world manylinux --ignore EM603 v > log
check "--ignore EM603: it stays" test -f "v/$libs/libcudnn_cnn.so.9.1.0"
finish
