#!/bin/sh
# Packages whose own Python code opens the libraries that they need: torchaudio its own, CuPy NVIDIA's, bitsandbytes those that torch has
# loaded. Where they work audit has no word, where they do not its advice cures.
. "$ELFMEND_TOP/tests/real/tap"
big="t"
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
check "... with the release that torch requires" grep "^help: pip install 'nvidia-curand-cu12==10.3.9.90'" out
follow t
exits 0 "the import works again" hidden t 'import cupy; from cupy_backends.cuda.libs import curand'
exits 0 "audit: exit 0" elfmend audit t
tensor='import cupy; from cupy_backends.cuda.libs import cutensor'
exits 1 "CuPy without cuTENSOR: that import fails" hidden t "$tensor"
exits 0 "... it is an extra: a note, exit 0" elfmend audit -v t
check "... with the package that has it" grep "^help: pip install 'cutensor-cu12', then elfmend fix t" out
check "cuTENSOR is installed" pip t install --no-deps cutensor-cu12==2.8.1
exits 1 "the import still fails" hidden t "$tensor"
exits 1 "audit says so: exit 1" elfmend audit t
check "... EM101" grep -E '^error\[EM101\]: .*cupy_backends/cuda/libs/cutensor[^ ]*: needs libcutensorMg.so.2' out
exits 0 "elfmend fix t" elfmend fix --yes t
exits 0 "the import works" hidden t "$tensor"
exits 0 "audit: exit 0" elfmend audit t
finish
