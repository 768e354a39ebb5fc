#!/bin/sh
# Broken environments and working ones, each judged by what the loader and the imports do; what audit advises is followed to the letter,
# and cures. pip gets the releases that the cache has, where the advice leaves a choice.
. "$ELFMEND_TOP/tests/real/tap"
big="c e o w t"
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
printf 'nvidia-cublas-cu12==12.8.4.1\nnvidia-cudnn-cu12<9.11\n' > releases
pip() { # ENVIRONMENT COMMAND ARGUMENTS...
    v=$1; shift
    "$v/bin/python" -m pip --disable-pip-version-check -q "$@"
}
advice() { # what the last audit says to install, one requirement a line
    sed -n "s/^.*pip install '\([^']*\)', then elfmend fix .*/\1/p" out | sort -u
}
follow() { # ENVIRONMENT
    advice > advised
    { echo "advised:"; cat advised; } > log
    [ -s advised ]
    ok $? "... there is advice" log
    while read -r requirement; do
        check "pip install $requirement" pip "$1" install --find-links "$cache/wheels" -c releases "$requirement"
    done < advised
}
silent() { # WHAT: the last audit has no error and no warning
    if grep -E '^(error|warning)' out > log; then ok 1 "$1" log; else ok 0 "$1"; fi
}
hidden() { # ENVIRONMENT STATEMENT
    "$ELFMEND_TOP/fixtures/hidden" "$1/bin/python" -B -c "$2"
}

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

# onnxruntime-gpu as pip alone installs it
cp -al "$("$real/env" ort)" o
pip o freeze | sed -n 's/^\(nvidia-[^=]*\)==.*/\1/p' > vendors
xargs "$PWD/o/bin/python" -m pip -q uninstall -y < vendors
provider=$(echo "$(site o)"/onnxruntime/capi/libonnxruntime_providers_cuda.so)
loader=$(readelf -lW /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
needs() { # what the real loader misses, the driver's aside; no call is made: without a driver its initialisers crash
    LD_TRACE_LOADED_OBJECTS=1 "$loader" --inhibit-cache "$provider" 2> log |
        sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | grep -v '^libcuda.so.1$' | sort -u
}
needs > real
sed 's|.*|EM103 *libonnxruntime_providers_cuda.so & onnxruntime-gpu|' real > wanted
elfmend audit --json o > audit.json || true
check "onnxruntime-gpu alone: audit misses what the loader misses" python3 "$real/expect.py" audit.json wanted
exits 1 "audit: exit 1" elfmend audit o
follow o
exits 0 "then elfmend fix: exit 0" elfmend fix --yes o
needs > real
same "the loader misses nothing" /dev/null real
exits 0 "audit: exit 0" elfmend audit o

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

# What opens its libraries itself: torchaudio its own, CuPy NVIDIA's, bitsandbytes those that torch has loaded
cp -al "$("$real/env" torch)" t
check "torchaudio, CuPy and bitsandbytes beside torch" pip t install --no-deps torchaudio==2.8.0 cupy-cuda12x==14.2.0 cuda-pathfinder \
    bitsandbytes==0.50.2 'numpy<2.4' packaging
exits 0 "torchaudio imports" hidden t 'import torchaudio'
exits 0 "CuPy's back ends import" hidden t 'import cupy; from cupy_backends.cuda.libs import cublas, cusolver, cusparse, curand, nccl'
exits 0 "bitsandbytes imports" hidden t 'import bitsandbytes'
exits 0 "audit: exit 0" elfmend audit t
silent "... without an error or a warning"
pip t uninstall -y nvidia-curand-cu12
exits 1 "CuPy without cuRAND: the import fails" hidden t 'import cupy; from cupy_backends.cuda.libs import curand'
exits 1 "audit: exit 1" elfmend audit t
check "... EM103" grep -E '^error\[EM103\]: .*cupy_backends/cuda/libs/curand[^ ]*: needs libcurand.so.10' out
follow t
exits 0 "the import works again" hidden t 'import cupy; from cupy_backends.cuda.libs import curand'
exits 0 "audit: exit 0" elfmend audit t
finish
