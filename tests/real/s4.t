#!/bin/sh
# S4 on wheels: onnxruntime-gpu, built for CUDA 12 and then for 13, beside NVIDIA's packages of CUDA 12; GPUs by name, without one.
. "$ELFMEND_TOP/tests/real/tap"
big="o"
cp -al "$("$real/env" ort)" o
provider=$(echo "$(site o)"/onnxruntime/capi/libonnxruntime_providers_cuda.so)
# Its needs by the real loader. No call is made: where there is no driver its initialisers crash.
needs() {
    loader=$(readelf -lW /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
    LD_TRACE_LOADED_OBJECTS=1 "$loader" --inhibit-cache "$provider" 2> log | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | grep -v '^libcuda.so.1$' | sort -u
}
missing() { # EVERY WORD THAT AUDIT USES FOR IT...: requests of the provider
    python3 - "$@" <<'END'
import json, sys
document = json.load(open("audit.json"))
print(*sorted({f["request"] for f in document["findings"] if f["severity"] == "error" and f["id"] in sys.argv[1:]}), sep="\n")
END
}
needs > real
elfmend audit --json o > audit.json || true
missing EM101 > told
same "bare: what audit misses is what the loader misses" real told
exits 0 "fix: exit 0" elfmend fix --yes o
needs > real
same "... and the loader misses nothing" /dev/null real
exits 0 "audit: exit 0" elfmend audit o

exits 0 "an RTX 5070: PTX at least" elfmend audit -v --gpu 'RTX 5070' o
check "... a note" grep -E '^note\[EM402\]: .*libonnxruntime_providers_cuda.so: has only PTX for sm_120' out
exits 0 "... and code in torch 2.8.0" elfmend audit --gpu sm_120 "$("$real/env" torch)"
check "... in the table" grep -E '^torch 2.8.0 .*sm_120: yes' out
exits 1 "a GPU that torch 2.8.0 has no code for: exit 1" elfmend audit --gpu sm_50 "$("$real/env" torch)"
check "... EM401" grep -E '^error\[EM401\]: .*libtorch_cuda.so: has no code for sm_50' out

o/bin/python -m pip --disable-pip-version-check -q install --no-deps onnxruntime-gpu==1.31.1
needs > real
check "the build for CUDA 13 misses CUDA 13" grep -qx libcublasLt.so.13 real
elfmend audit --json o > audit.json || true
missing EM101 EM103 EM104 > told
same "... what audit misses is what the loader misses" real told
exits 1 "audit: exit 1" elfmend audit o
check "... EM104: who asks for what, and what is there" grep -E '^error\[EM104\]: .*needs libcublasLt.so.13, and only another major is here' out
check "... whose" grep -E 'there is +libcublas(Lt)?.so.12 in .*nvidia-cublas-cu12' out
check "... and the package" grep -F "'nvidia-cublas" out
ln -s libcublasLt.so.12 "$(site o)/nvidia/cublas/lib/libcublasLt.so.13"
ln -s libcublas.so.12 "$(site o)/nvidia/cublas/lib/libcublas.so.13"
ln -s libcudart.so.12 "$(site o)/nvidia/cuda_runtime/lib/libcudart.so.13"
"$ELFMEND" patch --set-rpath '$ORIGIN/../../nvidia/cublas/lib:$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN/../../nvidia/curand/lib' "$provider"
exits 1 "links over the major, and a path to them: exit 1" elfmend audit o
check "... EM105: the version node" grep -E "^error\[EM105\]: .*version .?libcublas(Lt)?.so.13" out
check "... as the loader says" sh -c 'LD_TRACE_LOADED_OBJECTS=1 "$1" --inhibit-cache "$2" 2>&1 | grep -E "version .libcublas(Lt)?.so.13. not found"' sh \
    "$(readelf -lW /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')" "$provider"
finish
