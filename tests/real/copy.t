#!/bin/sh
# No cuDNN is installed: audit says which package; with --source the seven libraries are copied from an unpacked wheel, verified, and
# find from their new place what they found from the old one.
. "$ELFMEND_TOP/tests/real/tap"
big="v u provider flipped"
members="graph ops cnn adv heuristic engines_precompiled engines_runtime_compiled"
"$real/env" ct2-bare v
"$real/manifest" v > shipped
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
wheel=$(echo "$cache"/wheels/nvidia_cudnn_cu12-9.10.2.21-*.whl)
if [ ! -f "$wheel" ]; then
    v/bin/python -m pip --disable-pip-version-check -q download --no-deps -d "$cache/wheels" nvidia-cudnn-cu12==9.10.2.21
    wheel=$(echo "$cache"/wheels/nvidia_cudnn_cu12-9.10.2.21-*.whl)
fi
python3 -m zipfile -e "$wheel" provider
shim=$(site v)/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0

exits 1 "audit: exit 1" elfmend audit v
check "... EM103" grep -F EM103 out
check "... says what to install" grep -F nvidia-cudnn-cu12 out
elfmend audit --json v > audit.json || true
for member in $members; do echo "EM103 *libcudnn-74a4c495.so.9.1.0 libcudnn_$member.so.9 ctranslate2"; done > wanted
echo "EM102 *libctranslate2-c75cca97.so.4.6.0 libcublas.so.12 ctranslate2" >> wanted
check "audit --json: the seven as EM103, cuBLAS as EM102, no other error" python3 "$real/expect.py" audit.json wanted

# One byte of one file: the copy is refused, whichever of the seven it is; here the smallest.
cp -al provider flipped
graph=flipped/nvidia/cudnn/lib/libcudnn_graph.so.9
cp "$graph" flipped.so && rm "$graph"
python3 - flipped.so "$graph" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)
END
rm flipped.so
exits 2 "a source with one flipped byte: exit 2" elfmend fix --yes --strategy copy --source flipped v
check "... names the file" grep -F libcudnn_graph.so.9 err
"$real/manifest" v > now
same "... and nothing has changed" shipped now

exits 0 "fix --strategy copy --source: exit 0" elfmend fix --yes --strategy copy --source provider v
libs=$(dirname "$shim")
for member in $members; do
    check "libcudnn_$member.so.9 is there under its name" test -f "$libs/libcudnn_$member.so.9" -a ! -L "$libs/libcudnn_$member.so.9"
done
what_works > works
calls v "$shim" > got 2> messages
same "the five calls return what they do on a machine without a GPU" works got
lt=$(realpath "$(site v)")/nvidia/cublas/lib/libcublasLt.so.12
echo "libcublasLt.so.12 $lt" > wanted
for member in adv engines_precompiled; do
    calls v finds "$libs/libcudnn_$member.so.9" libcublasLt.so.12 > got 2> messages || true
    same "$member finds libcublasLt.so.12 from its new place" wanted got
done
exits 0 "audit: exit 0" elfmend audit v
check "RECORD is true, of the copies too" python3 "$real/record.py" "$(site v)" ctranslate2

cp -al v u
check "pip uninstall ctranslate2, in a twin" u/bin/python -m pip --disable-pip-version-check uninstall -y -q ctranslate2
find u -path u/.elfmend -prune -o \( -iname '*ctranslate2*' -o -name 'ct2-*' -o -name 'libcudnn*' \) -print > left
same "... takes the copies along" /dev/null left
exits 0 "undo: exit 0" elfmend undo v
"$real/manifest" v > now
same "everything is as it was" shipped now
finish
