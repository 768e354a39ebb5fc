#!/bin/sh
# S4: an RTX 5070. cu12 and cu13 packages mixed, a link from one major to the other, twelve directories in LD_LIBRARY_PATH, code for
# no such GPU, a driver that does not know it. On stand-ins, told on a machine without a GPU.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1; shift
    "${CC:-cc}" -shared -fPIC -o "$out" "${source:-o.c}" -Wl,--no-as-needed -Wl,-z,noexecstack "$@" || exit 1
}
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }
soname() { echo "-Wl,-soname,$1"; }
node() { echo "$1 { global: $2; local: *; };" > "$1.map"; echo "-Wl,--version-script,$1.map"; }
distribution() { # NAME VERSION FILE...
    info=site/$(echo "$1" | tr - _)-$2.dist-info; mkdir "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$1" "$2" > "$info/METADATA"
    shift 2
    for file; do echo "$file,,"; done > "$info/RECORD"
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }
echo 'int f(void) { return 1; }' > o.c
echo 'int cuptiStart(void) { return 0; }' > cupti.c
echo 'int cuptiStart(void); int use(void) { return cuptiStart(); }' > use.c
cat > gpu.s <<'END'
.section .nv_fatbin,"a",@progbits
.balign 8
.long 0xba55ed50
.short 1, 16
.quad 2f - 1f
1:
.short 2, 0x101
.long 64
.quad 64
.zero 12
.long 86
.zero 96
2:
.section .note.GNU-stack,"",@progbits
END

# torch built for CUDA 13, CUPTI of CUDA 12
mkdir site
cu12=site/nvidia/cuda_cupti/lib
source=cupti.c; object thirteen/libcupti.so.13 "$(soname libcupti.so.13)" "$(node libcupti.so.13 'cupti*')"
source=cupti.c; object $cu12/libcupti.so.12 "$(soname libcupti.so.12)" "$(node libcupti.so.12 'cupti*')"
source=use.c; object site/torch/_C.abi3.so "$(rpath '$ORIGIN/../nvidia/cuda_cupti/lib')" thirteen/libcupti.so.13
distribution torch 2.9.0 torch/_C.abi3.so
distribution nvidia-cuda-cupti-cu12 12.8.90 nvidia/cuda_cupti/lib/libcupti.so.12
exits 1 "cu12 and cu13 mixed: audit exits 1" "$ELFMEND" audit site
finds "who asks for what" '^error\[EM104\]: torch/_C.abi3.so: needs libcupti.so.13, and only another major is here'
finds "... what is there, and whose" 'libcupti.so.12 in nvidia/cuda_cupti/lib +\(nvidia-cuda-cupti-cu12 12.8.90\)'
finds "... the package" "nvidia-cuda-cupti'"
ln -s libcupti.so.12 $cu12/libcupti.so.13
exits 1 "a link over a major: audit exits 1" "$ELFMEND" audit site
finds "... and says why it cannot work" '^error\[EM105\]: .*version .?libcupti.so.13'
finds "... and what can" "^help: pip install 'nvidia-cuda-cupti', and no link in its place; then elfmend fix"
rm $cu12/libcupti.so.13
mkdir -p site/nvidia/cu13/lib; cp thirteen/libcupti.so.13 site/nvidia/cu13/lib/
distribution nvidia-cuda-cupti 13.0.85 nvidia/cu13/lib/libcupti.so.13
exits 1 "the right package, out of the path" "$ELFMEND" audit site
finds "... EM101" '^error\[EM101\]: torch/_C.abi3.so: needs libcupti.so.13 and will not find it'

# Twelve directories in LD_LIBRARY_PATH
many=; for name in cublas cuda_cupti cuda_nvrtc cuda_runtime cudnn cufft curand cusolver cusparse nccl nvtx; do
    many=$many$PWD/site/nvidia/$name/lib:; done
many=$many$PWD/site/nvidia/cu13/lib
exits 0 "with LD_LIBRARY_PATH it loads" "$ELFMEND" audit --ld-library-path "$many" site
finds "... by that alone: EM203" '^warning\[EM203\]: torch/_C.abi3.so: finds libcupti.so.13 through LD_LIBRARY_PATH only'
finds "... where it is" '^  it takes +nvidia/cu13/lib/libcupti.so.13'
cp -a site here
exits 0 "fix where the variable is set" "$ELFMEND" fix --yes --ld-library-path "$many" here
finds "... says that it can go" '^nothing here rests on LD_LIBRARY_PATH any more: it can go$'
exits 0 "... and it can" "$ELFMEND" audit here
exits 0 "... and may stay" "$ELFMEND" audit --ld-library-path "$many" here
silent "... for it decides nothing" 'EM203'
mkdir away; cp site/nvidia/cu13/lib/libcupti.so.13 away/
exits 0 "another directory in it, with a copy that wins by RPATH never" "$ELFMEND" audit --ld-library-path "$PWD/away" here
silent "... decides nothing" 'EM203'
"$ELFMEND" patch --set-rpath "$("$ELFMEND" patch --print-rpath here/torch/_C.abi3.so)" here/torch/_C.abi3.so
exits 0 "... over a RUNPATH it wins" "$ELFMEND" audit --ld-library-path "$PWD/away" here
finds "... EM203" '^warning\[EM203\]: torch/_C.abi3.so: takes libcupti.so.13 from LD_LIBRARY_PATH, which wins over its DT_RUNPATH'
finds "... what it would take" '^  without it +nvidia/cu13/lib/libcupti.so.13'
exits 0 "fix replaces it by a path in the file" "$ELFMEND" fix --yes site
exits 0 "... without LD_LIBRARY_PATH it loads now" "$ELFMEND" audit site
silent "... and nothing rests on it" 'EM203'

# Code for the GPU, and a driver that knows it
source=gpu.s; object site/torch/lib/libtorch_cuda.so "$(soname libtorch_cuda.so)"
echo 'torch/lib/libtorch_cuda.so,,' >> site/torch-2.9.0.dist-info/RECORD
exits 1 "audit --gpu sm_120: exit 1" "$ELFMEND" audit --gpu sm_120 site
finds "EM401, and what there is" '^error\[EM401\]: torch/lib/libtorch_cuda.so: has no code for sm_120'
finds "... sm_86" '^  it has +sm_86$'
exits 1 "by its name too" "$ELFMEND" audit --gpu 'RTX 5070' site
finds "..." 'has no code for sm_120 \(RTX 5070\)'
exits 0 "an RTX 3090 has code" "$ELFMEND" audit --gpu 'RTX 3090' site
mkdir -p image/usr/lib image/proc/driver/nvidia; cp -a site image/site
echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  560.35.03  Fri Aug 16 21:39:15 UTC 2024' > image/proc/driver/nvidia/version
exits 1 "a driver older than the GPU" "$ELFMEND" audit --root image --gpu sm_120 /site
finds "... EM403" '^error\[EM403\]: .*the driver 560.35.03 does not know sm_120'
finish
