#!/bin/sh
# The GPU code that show lists is what NVIDIA's own cuobjdump lists: architectures, kinds, and how many of each.
. "$ELFMEND_TOP/tests/real/tap"
torch=$("$real/env" torch)/lib/python3.11/site-packages
cuobjdump=$torch/triton/backends/nvidia/bin/cuobjdump
if [ ! -x "$cuobjdump" ]; then
    skip "cuobjdump" "no triton in the torch environment"
    finish
fi
# One line a kind: "COUNT ARCH KIND". cuobjdump sets an "a" behind single cubins of architectures that know no such thing (sm_50a).
theirs() {
    "$cuobjdump" -all --list-elf --list-ptx "$1" | sed -nE 's/.*\.sm_([0-9]+[af]?)\.(cubin|ptx)$/\1 \2/p' | sed -E 's/^([5-8][0-9])a /\1 /' |
        sort | uniq -c | awk '{ print $1, $2, $3 }' | sort -k2 > theirs
}
ours() {
    elfmend show --json "$1" > out
    "$python" -c "
import json
for code in json.load(open('out'))['objects'][0]['gpu']['codes']:
    if code['kind'] in ('cubin', 'ptx'):
        print(code['entries'], code['arch'].split('_')[1], code['kind'])" | sort -k2 > ours
}
for object in "$("$real/env" ct2-9)"/lib/python3.11/site-packages/ctranslate2.libs/libctranslate2-*.so* "$torch/torch/lib/libtorch_cuda.so" \
    "$("$real/env" ort)/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime_providers_cuda.so" "$torch/nvidia/cublas/lib/libcublas.so.12"; do
    theirs "$object"
    ours "$object"
    same "${object##*/}" theirs ours
done
# cuobjdump follows the wrappers of .nvFatBinSegment. What a library hands to the driver by itself (cuBLASLt's code in .ldata,
# cuSPARSE's for nvJitLink) it does not see; what it does see must be here.
for object in "$torch/nvidia/cublas/lib/libcublasLt.so.12" "$torch/nvidia/cusparse/lib/libcusparse.so.12"; do
    theirs "$object"
    ours "$object"
    check "${object##*/}: all that cuobjdump sees" awk '
        NR == FNR { ours[$2 " " $3] = $1; next }
        { seen++ }
        $1 > ours[$2 " " $3] { print "cuobjdump has " $0 ", show " ours[$2 " " $3] + 0; bad = 1 }
        END { exit bad || seen == 0 }' ours theirs
done
finish
