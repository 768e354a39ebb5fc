#!/bin/sh
# The main job: ctranslate2 4.6.0 with cuDNN and cuBLAS installed beside it and not found. Mended by paths, in an environment whose
# files are hard-linked elsewhere; mended twice; uninstalled.
. "$ELFMEND_TOP/tests/real/tap"
big="v w"
"$real/env" ct2-9 v
cp -al v w
"$real/manifest" v > v.shipped
"$real/manifest" w > w.shipped
shim=$(site v)/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
ext=$(echo "$(site v)"/ctranslate2/_ext.*.so)

cat > aborts <<END
cudnnGetVersion 134
cudnnCreate 134
cudnnCreateTensorDescriptor 134
cudnnCreateConvolutionDescriptor 134
cudnnCreateRNNDescriptor 134
END
what_works > works
calls v "$shim" > got 2> messages || true
same "as shipped, each of the five calls aborts" aborts got
check "... with the message that people search for" grep -F 'Unable to load any of {libcudnn_graph.so.9.1.0,' messages
exits 1 "as shipped, libctranslate2 does not find cuBLAS" calls v blas "$ext"

exits 1 "audit: exit 1" elfmend audit v
for name in libcudnn-74a4c495.so.9.1.0 graph ops cnn adv heuristic engines_precompiled engines_runtime_compiled \
    libcublas.so.12 ctranslate2 nvidia-cudnn-cu12 nvidia-cublas-cu12; do
    check "audit names $name" grep -F -e "$name" out
done
elfmend audit --json v > audit.json || true
for member in graph ops cnn adv heuristic engines_precompiled engines_runtime_compiled; do
    echo "EM102 *ctranslate2.libs/libcudnn-74a4c495.so.9.1.0 libcudnn_$member.so.9 ctranslate2"
done > wanted
echo "EM102 *ctranslate2.libs/libctranslate2-c75cca97.so.4.6.0 libcublas.so.12 ctranslate2" >> wanted
check "audit --json: these eight errors, with the owner, and no other" python3 "$real/expect.py" audit.json wanted

exits 1 "fix --dry-run: exit 1, since it mends nothing" elfmend fix --dry-run v
"$real/manifest" v > v.now
same "... and nothing has changed" v.shipped v.now

exits 0 "fix: exit 0" elfmend fix --yes v
calls v "$shim" > got 2> messages
same "the five calls return what they do on a machine without a GPU" works got
calls v "$ext" > got 2> messages
same "... and also where the extension has loaded the shim" works got
exits 0 "libctranslate2 finds cuBLAS, and cuBLAS finds cublasLt" calls v blas "$ext"
check "... in this environment" grep -F "$(realpath v)/lib/" out
exits 0 "audit: exit 0" elfmend audit v
exits 0 "verify: exit 0" elfmend verify v
check "RECORD is true" python3 "$real/record.py" "$(site v)" ctranslate2

"$real/manifest" w > w.now
same "the hard-linked twin is as it was" w.shipped w.now
"$real/manifest" --own v > v.mended
exits 0 "fix again: exit 0" elfmend fix --yes v
"$real/manifest" --own v > v.now
same "... no byte and no mtime has changed" v.mended v.now

check "pip uninstall ctranslate2" v/bin/python -m pip --disable-pip-version-check uninstall -y -q ctranslate2
find v -path v/.elfmend -prune -o \( -iname '*ctranslate2*' -o -name 'ct2-*' \) -print > left
same "... leaves nothing of it" /dev/null left
find v -path v/.elfmend -prune -o -name '*cudnn*' -type f -print | grep -v -e nvidia/cudnn -e nvidia_cudnn > left
same "... and no stray cuDNN" /dev/null left
finish
