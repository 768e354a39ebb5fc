#!/bin/sh
# S1's half-fixes with NVIDIA's own files: one library put beside the shim under the name that it asks for first, as a copy, as a link;
# the shim replaced by a link to NVIDIA's. Each aborts; fix takes over, and pip leaves nothing.
. "$ELFMEND_TOP/tests/real/tap"
big=v
"$real/env" ct2-9 v
site=$(cd v && echo lib/python3*/site-packages)
libs=v/$site/ctranslate2.libs cudnn=v/$site/nvidia/cudnn/lib
shim=$libs/libcudnn-74a4c495.so.9.1.0
ext=$(echo "v/$site"/ctranslate2/_ext.*.so)
what_works > works
taken_over() { # WHAT FINDING
    calls v "$ext" > got 2> messages || true
    check "$1: the convolution aborts" grep -Fx 'cudnnCreateConvolutionDescriptor 134' got
    exits 1 "... audit: exit 1" elfmend audit v
    check "... says what it is" grep -E "$2" out
    "$real/manifest" v > before
    exits 0 "... fix: exit 0" elfmend fix --yes v
    calls v "$ext" > got 2> messages || true
    same "... the five calls return what they do on a machine without a GPU" works got
    exits 0 "... audit: exit 0" elfmend audit v
}
taken_back() {
    exits 0 "... undo: exit 0" elfmend undo v
    "$real/manifest" v > now
    same "... everything is as it was before" before now
}

cp "$cudnn/libcudnn_cnn.so.9" "$libs/libcudnn_cnn.so.9.1.0"
taken_over "one library copied" 'EM603.*libcudnn_cnn.so.9.1.0: is listed in no RECORD: somebody put it there'
exits 0 "... verify: not a note" elfmend verify --fail-on note v
taken_back
rm "$libs/libcudnn_cnn.so.9.1.0"
ln -s ../nvidia/cudnn/lib/libcudnn_cnn.so.9 "$libs/libcudnn_cnn.so.9.1.0"
taken_over "one library linked" 'EM604.*is the directory of the link .*libcudnn_cnn.so.9.1.0'
exits 0 "... verify: not a note" elfmend verify --fail-on note v
taken_back
rm "$libs/libcudnn_cnn.so.9.1.0"
mv "$shim" kept
ln -s ../nvidia/cudnn/lib/libcudnn.so.9 "$shim"
taken_over "the shim as a link to NVIDIA's" 'EM604.*is the directory of the link .*libcudnn-74a4c495.so.9.1.0'
check "... libctranslate2 needs NVIDIA's own" sh -c 'readelf -d "$1"/libctranslate2* | grep -F "[libcudnn.so.9]"' - "$libs"
taken_back
rm "$shim"
mv kept "$shim"
cp "$cudnn/libcudnn_cnn.so.9" "$libs/libcudnn_cnn.so.9.1.0"
exits 0 "once more: fix" elfmend fix --yes v
check "pip uninstall" v/bin/python -m pip --disable-pip-version-check uninstall -y -q ctranslate2 nvidia-cudnn-cu12
find v -path v/.elfmend -prune -o ! -type d \( -path "*ctranslate2*" -o -path "*cudnn*" -o -name "ct2-*" \) -print > left
same "... leaves nothing" /dev/null left
finish
