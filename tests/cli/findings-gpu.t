#!/bin/sh
# GPU code against named GPUs: which finding, and none where the code fits.
. "$ELFMEND_TOP/tests/tap"

. "$ELFMEND_TOP/fixtures/gpucode"
finds() { # WHAT PATTERN
    check "$1" grep -E -e "$2" out
}
silent() { # WHAT PATTERN
    if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi
}

for i in 1 2 3; do container '2 80 0' '2 86 0' '2 90 0'; done | library v/libold.so .nv_fatbin
for i in 1 2 3; do container '2 80 0' '1 80 0'; done | library v/libptx.so .nv_fatbin
for i in 1 2 3; do container '2 80 0' '2 120 0'; done | library v/libnew.so .ldata
for i in 1 2 3; do container '2 90 0x100000' '2 100 0x200000'; done | library v/libsuffix.so .nv_fatbin

exits 0 "audit without --gpu: exit 0" "$ELFMEND" audit -v v
silent "... and nothing about GPUs" EM40
exits 1 "sm_120: exit 1" "$ELFMEND" audit -v --gpu sm_120 v
finds "no code: EM401" '^error\[EM401\]: libold.so: has no code for sm_120'
finds "... says what there is" '^  it has     sm_80 sm_86 sm_90$'
finds "... and what happens" 'no kernel image is available'
finds "only PTX: EM402, a note" '^note\[EM402\]: libptx.so: has only PTX for sm_120'
silent "code in a section of another name counts" 'libnew.so'
finds "a family is one" '^error\[EM401\]: libsuffix.so'
exits 1 "product names: exit 1" "$ELFMEND" audit --gpu 'RTX 5070' v
finds "... in the sentence" 'has no code for sm_120 \(RTX 5070\)'
exits 1 "sm_89: sm_90a and sm_100f do not run" "$ELFMEND" audit -v --gpu sm_89 v
silent "... sm_86 does, sm_80 does" 'lib(old|ptx|new).so'
exits 1 "sm_90" "$ELFMEND" audit -v --gpu sm_90 v
silent "sm_90a runs there, sm_90 too" 'lib(suffix|old).so'
finds "sm_120 does not" 'EM401.*libnew.so'
exits 1 "sm_103" "$ELFMEND" audit -v --gpu sm_103 v
silent "sm_100f runs there" 'libsuffix.so'

exits 1 "several GPUs in one run" "$ELFMEND" audit --gpu sm_75,sm_86 --gpu sm_120 v
finds "... sm_75" 'libold.so: has no code for sm_75'
finds "... sm_120" 'libold.so: has no code for sm_120'
exits 0 "--ignore" "$ELFMEND" audit --gpu sm_120 --ignore EM401 v
exits 2 "no GPU: exit 2" "$ELFMEND" audit --gpu banana v
check "... says what would be one" grep -F 'sm_120' err

# Builds for several CUDAs beside each other: one that fits is enough.
mkdir w
for i in 1 2; do container '2 80 0'; done | library w/libk_cuda118.so .nv_fatbin
for i in 1 2; do container '2 120 0'; done | library w/libk_cuda128.so .nv_fatbin
exits 0 "a variant that fits" "$ELFMEND" audit --gpu sm_120,sm_86 w

# Some kernels for a GPU are no build for it.
{ for i in $(seq 200); do container '2 80 0'; done; container '2 80 0' '2 120 0'; } | library x/libfew.so .nv_fatbin
exits 1 "one kernel in 201: exit 1" "$ELFMEND" audit --gpu sm_120 x
finds "... says so" '1 in 201 containers'

exits 1 "JSON" "$ELFMEND" audit --json --gpu sm_120 v
check "... has the finding" "${PYTHON:-python3}" -c "
import json
f = [x for x in json.load(open('out'))['findings'] if x['id'] == 'EM401']
assert [x['object'] for x in f] == ['libold.so', 'libsuffix.so'], f
assert f[0]['request'] == 'sm_120'"
finish
