#!/bin/sh
# S1: ctranslate2 dies with "Unable to load any of {libcudnn_...}", in the server and not in the script. On stand-ins, by the real
# loader without ld.so.cache: what people tried and what came of it, then the repair. tests/real has the same on the wheels.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
python() { v=$1; shift; "$ELFMEND_TOP/fixtures/hidden" "$v/bin/python" -B "$@"; }
use='import ctranslate2; print("transcribe:", ctranslate2.transcribe())'
works() { # WHAT ENVIRONMENT
    exits 0 "$1" python "$2" -c "$use"
    check "... and every library does its part" grep -qx 'transcribe: 0' out
}
files() { find "$1" -path "$1/.elfmend" -prune -o -type f -printf '%P %i %m %T@ ' -exec sha256sum {} \; | sort; }

"$standin" --extra v
lib=v/lib/python3*/site-packages
shim=libcudnn-74a4c495.so.9.1.0
# shellcheck disable=SC2086
cd $lib && libs=$PWD/ctranslate2.libs cudnn=$PWD/nvidia/cudnn/lib cublas=$PWD/nvidia/cublas/lib && cd "$OLDPWD" || exit 1

# What people tried
exits 134 "as installed: the process aborts" python v -c "$use"
check "... with the message that they search for" \
    grep -F 'Unable to load any of {libcudnn_graph.so.9.1.0, libcudnn_graph.so.9.1, libcudnn_graph.so.9, libcudnn_graph.so}' err
exits 134 "LD_LIBRARY_PATH set inside the program: too late" \
    python v -c "import os; os.environ['LD_LIBRARY_PATH'] = '$cudnn:$cublas'; $use"
load="import ctypes, os
for name in os.listdir('$cudnn'): ctypes.CDLL('$cudnn/' + name, mode=os.RTLD_NOW | os.RTLD_LOCAL)
ctypes.CDLL('$cublas/libcublas.so.12')"
exits 0 "all of them preloaded, without RTLD_GLOBAL: the SONAMEs are in the process" python v -c "$load
$use"
exits 134 "the shim alone preloaded: not enough" python v -c "import ctypes; ctypes.CDLL('$cudnn/libcudnn.so.9'); $use"

cp -a v tried
tried=$(echo tried/lib/python3*/site-packages/ctranslate2.libs)
ln -s "$cudnn/libcudnn_cnn.so.9" "$tried/libcudnn_cnn.so.9"
exits 134 "one library linked beside the shim: \$ORIGIN is the link's directory" python tried -c "$use"
rm "$tried/libcudnn_cnn.so.9"
rm "$tried/$shim"
ln -s "$cudnn/libcudnn.so.9" "$tried/$shim"
exits 134 "the shim replaced by a link to NVIDIA's: \$ORIGIN is the link's directory" python tried -c "$use"
check "... and names the other's version" grep -F 'libcudnn_graph.so.9.10.2' err

# What elfmend does
files v > shipped
exits 1 "audit: exit 1" "$ELFMEND" audit v
for name in $shim libcudnn_graph.so.9 libcudnn_ops.so.9 libcudnn_cnn.so.9 libcudnn_adv.so.9 libcudnn_heuristic.so.9 \
    libcudnn_engines_precompiled.so.9 libcudnn_engines_runtime_compiled.so.9 libcublas.so.12 'ctranslate2>=4.6.3'; do
    check "audit names $name" grep -F -e "$name" out
done
if grep -q fit_demo out; then ok 1 "audit says nothing about what loads" out; else ok 0 "audit says nothing about what loads"; fi
exits 0 "fix: exit 0" "$ELFMEND" fix --yes v
works "it works" v
exits 0 "audit: exit 0" "$ELFMEND" audit v
exits 0 "verify: exit 0" "$ELFMEND" verify v
files v > mended
exits 0 "fix again: exit 0" "$ELFMEND" fix --yes v
files v > now
same "... and changes nothing" mended now
exits 0 "undo: exit 0" "$ELFMEND" undo v
files v > now
same "... and everything is as it was installed" shipped now

# The same with cuDNN 8, whose shim has an RPATH that counts from the current directory
"$standin" --cudnn 8 eight
exits 134 "cuDNN 8 as installed: the process aborts" python eight -c "$use"
check "... in its own words" grep -F 'Could not load library libcudnn_ops_infer.so.8.' err
exits 1 "audit: exit 1" "$ELFMEND" audit eight
for member in ops cnn adv; do
    for half in infer train; do check "audit names libcudnn_${member}_$half.so.8" grep -F "libcudnn_${member}_$half.so.8" out; done
done
exits 0 "fix: exit 0" "$ELFMEND" fix --yes eight
works "it works" eight

# Another major is never bridged
"$standin" --cudnn mix mix
files mix > shipped
exits 1 "cuDNN 9 for 8: audit exits 1" "$ELFMEND" audit mix
check "... and says so" grep -F EM104 out
exits 1 "fix: exit 1" "$ELFMEND" fix --yes mix
check "... says what would help" grep -F 'another major is never bridged: install the package that the help names' out
"$ELFMEND" undo mix > log
exits 0 "fix, with cuDNN 8 to copy from: exit 0" "$ELFMEND" fix --yes --source "$(echo eight/lib/python3*/site-packages)" mix
works "it works, beside cuDNN 9" mix
exits 0 "undo: exit 0" "$ELFMEND" undo mix
files mix > now
same "... and everything is as it was installed" shipped now

# Installed nowhere: what to install, and the copy
"$standin" --cudnn none none
"$standin" provider
provider=$(echo provider/lib/python3*/site-packages)
exits 1 "without cuDNN: audit exits 1" "$ELFMEND" audit none
check "... EM103" grep -F EM103 out
check "... says what to install" grep -F nvidia-cudnn-cu12 out
exits 0 "fix --strategy copy --source: exit 0" "$ELFMEND" fix --yes --strategy copy --source "$provider" none
works "it works, cublasLt behind adv and the engines included" none
exits 0 "audit: exit 0" "$ELFMEND" audit none
exits 0 "verify: exit 0" "$ELFMEND" verify none
finish
