#!/bin/sh
# ctranslate2 as it breaks, judged by what its calls do; what audit advises is followed to the letter, and cures.
. "$ELFMEND_TOP/tests/real/tap"
big="c e w"
# ctranslate2 4.6.0 as pip alone installs it
cp -al "$("$real/env" ct2-9)" c
pip c uninstall -y nvidia-cudnn-cu12 nvidia-cublas-cu12
shim=$(site c)/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
ext=$(echo "$(site c)"/ctranslate2/_ext.*.so)
calls c "$shim" > got 2> /dev/null || true
check "ctranslate2 4.6.0 alone: each call of cuDNN aborts" awk '$2 != 134 { exit 1 }' got
exits 1 "... and cuBLAS is not found" calls c blas "$ext"
elfmend audit --json c > audit.json || true
for member in graph ops cnn adv heuristic engines_precompiled engines_runtime_compiled; do
    echo "EM103 *ctranslate2.libs/libcudnn-74a4c495.so.9.1.0 libcudnn_$member.so.9 ctranslate2"
done > wanted
echo "EM103 *ctranslate2.libs/libctranslate2-c75cca97.so.4.6.0 libcublas.so.12 ctranslate2" >> wanted
check "audit: these errors and no other" python3 "$real/expect.py" audit.json wanted
exits 1 "audit: exit 1" elfmend audit c
follow c
exits 0 "then elfmend fix: exit 0" elfmend fix --yes c
what_works > works
calls c "$shim" > got 2> /dev/null || true
same "the calls work" works got
exits 0 "... and cuBLAS is found" calls c blas "$ext"
exits 0 "audit: exit 0" elfmend audit c

# ctranslate2 4.4.0 with the cuDNN 8 that it wants
cp -al "$("$real/env" ct2-8)" e
shim=$(site e)/ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7
calls e "$shim" > got 2> /dev/null || true
check "ctranslate2 4.4.0 beside cuDNN 8: calls abort" grep -q ' 134$' got
elfmend audit --json e > audit.json || true
for member in ops_infer ops_train cnn_infer cnn_train adv_infer adv_train; do
    echo "EM102 *ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7 libcudnn_$member.so.8 ctranslate2"
done > wanted
echo "EM102 *ctranslate2.libs/libctranslate2-*.so.4.4.0 libcublas.so.12 ctranslate2" >> wanted
check "audit: these errors and no other" python3 "$real/expect.py" audit.json wanted
exits 0 "fix: exit 0" elfmend fix --yes e
calls e "$shim" > got 2> /dev/null || true
check "no call aborts" awk '$2 == 134 { exit 1 }' got
check "... tensor, convolution and recurrent descriptors are made" sh -c '[ "$(grep -c "Descriptor 0$" got)" -eq 3 ]'
exits 0 "audit: exit 0" elfmend audit e

# On a CPU: the newest ctranslate2 without anything of CUDA works, and has a word for who has a GPU
cp -al "$("$real/env" ct2-new)" w
pip w uninstall -y nvidia-cublas-cu12
exits 0 "the newest ctranslate2 alone: audit exits 0" elfmend audit w
silent "... without an error or a warning"
check "... and says what a GPU would want" grep -F "for a GPU: pip install 'nvidia-cublas-cu12', then elfmend fix w" out
follow w
exits 0 "then elfmend fix: exit 0" elfmend fix --yes w
exits 0 "cuBLAS is found" calls w blas "$(echo "$(site w)"/ctranslate2/_ext.*.so)"
exits 0 "audit: exit 0" elfmend audit w
silent "... without an error or a warning"
finish
