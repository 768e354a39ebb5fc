#!/bin/sh
# S5 beside a real environment: cuInit fails, and torch 2.8.0 with all its libraries is whole; doctor says the one, audit the other. With
# a driver library by gcc that fails on this very machine, and with the machine's own where it has one.
. "$ELFMEND_TOP/tests/real/tap"
big=
torch=$("$real/env" torch)
mkdir driver
echo 'int cuInit(unsigned flags) { return 999 + (int)(flags & 0); }' > cuda.c
"${CC:-cc}" -shared -fPIC -Wl,-soname,libcuda.so.1 -o driver/libcuda.so.1 cuda.c
failing() { LD_LIBRARY_PATH="$PWD/driver" VIRTUAL_ENV="$torch" "$ELFMEND" "$@"; }
exits 1 "doctor, where cuInit fails: exit 1" failing doctor
check "... the code and its name" grep -E '^error\[EM702\]: .*/driver/libcuda.so.1: cuInit returns 999, CUDA_ERROR_UNKNOWN' out
check "... that no library is to blame" grep -F "the environment's libraries: no RPATH, link or LD_LIBRARY_PATH entry changes this" out
check "... the variable as it stands" grep -F "LD_LIBRARY_PATH=$PWD/driver" out
check "... the Python that is active" grep -F "$torch/bin/python3 -> " out
check "... what torch is built for" grep -E '^torch 2.8.0 +12.8 +9 +9.10.2.21' out
check "... which nvrtc it gets" grep -E 'libnvrtc.so.12 => .*/nvidia/cuda_nvrtc/lib/libnvrtc.so.12 +\(for .*/torch/lib/libtorch_cpu.so\)' out
exits 0 "audit on the same machine: exit 0" failing audit "$torch"
if grep -E '^(error|warning)' out > log; then ok 1 "... its libraries are whole" log; else ok 0 "... its libraries are whole"; fi
if command -v nvidia-smi > /dev/null && nvidia-smi -L > gpus 2> log && [ -s gpus ]; then
    exits 0 "doctor with the machine's own driver: exit 0" "$ELFMEND" doctor
    check "... as many GPUs as nvidia-smi has" grep -E "^The driver works: $(wc -l < gpus) GPU" out
    check "... of its driver" grep -F "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)" out
else
    skip "doctor with the machine's own driver" "no GPU"
fi
finish
