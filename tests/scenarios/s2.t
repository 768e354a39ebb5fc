#!/bin/sh
# S2: `Error in dlopen for library libnvrtc.so.12 and libnvrtc-*.so` in a slim container, and a plan to mount the host's toolkit into
# it. What is missing is a package; the host's CUDA does not matter, its driver does. On stand-ins, in the environment and in an
# unpacked image.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1; shift
    echo 'int f(void) { return 1; }' > o.c
    "${CC:-cc}" -shared -fPIC -o "$out" o.c -Wl,--no-as-needed -Wl,-z,noexecstack "$@" || exit 1
}
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }
soname() { echo "-Wl,-soname,$1"; }
distribution() { # SITE NAME VERSION FILE...
    info=$1/$(echo "$2" | tr - _)-$3.dist-info; mkdir "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$2" "$3" > "$info/METADATA"
    shift 3
    for file; do echo "$file,,"; done > "$info/RECORD"
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }
site() { # SITE RPATH-OF-TORCH: torch and the CUDA runtime, no nvrtc
    object "$1/nvidia/cuda_runtime/lib/libcudart.so.12" "$(soname libcudart.so.12)"
    object "$1/torch/lib/libtorch_cpu.so" "$(soname libtorch_cpu.so)" "$(rpath "$2")" "$1/nvidia/cuda_runtime/lib/libcudart.so.12"
    object "$1/torch/_C.abi3.so" "$(rpath '$ORIGIN/lib')" "$1/torch/lib/libtorch_cpu.so" \
        "-Wl,-rpath-link,$1/nvidia/cuda_runtime/lib"
    distribution "$1" torch 2.8.0 torch/_C.abi3.so torch/lib/libtorch_cpu.so torch/version.py
    printf "__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\n" > "$1/torch/version.py"
    distribution "$1" nvidia-cuda-runtime-cu12 12.8.90 nvidia/cuda_runtime/lib/libcudart.so.12
}
nvrtc() { # SITE
    object "$1/nvidia/cuda_nvrtc/lib/libnvrtc.so.12" "$(soname libnvrtc.so.12)"
    distribution "$1" nvidia-cuda-nvrtc-cu12 12.8.93 nvidia/cuda_nvrtc/lib/libnvrtc.so.12
}
all='$ORIGIN/../../nvidia/cuda_nvrtc/lib:$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN'

# The package is missing
mkdir site; site site "$all"
exits 1 "without nvrtc: audit exits 1" "$ELFMEND" audit site
finds "it is torch that opens it" '^error\[EM103\]: torch/lib/libtorch_cpu.so: opens libnvrtc.so.12'
finds "... with the message that they search for" 'Error in dlopen for library libnvrtc'
finds "... and the package" "^help: pip install 'nvidia-cuda-nvrtc-cu12'"
finds "what torch was built for" '^torch 2.8.0 +12.8 '
finds "... and the driver that it needs" '>= 525.60.13'

# Their plan: the host's toolkit, mounted and put into LD_LIBRARY_PATH
object mount/cuda-12.6/lib64/libnvrtc.so.12 "$(soname libnvrtc.so.12)"
exits 0 "LD_LIBRARY_PATH to a mounted toolkit makes it load" "$ELFMEND" audit --ld-library-path "$PWD/mount/cuda-12.6/lib64" site
finds "... by luck: EM203" '^warning\[EM203\]: .*libtorch_cpu.so: finds libnvrtc.so.12 through LD_LIBRARY_PATH only'
# What cures it
nvrtc site
exits 0 "the package cures it: audit exits 0" "$ELFMEND" audit site
silent "... and has no word" 'EM[0-9]'

# In an unpacked image, with several toolkits and none that matters
mkdir -p image/usr/lib image/srv/site; site image/srv/site "$all"
cp -L "$(ldd /bin/sh | awk '$1 == "libc.so.6" { print $3 }')" image/usr/lib/
mkdir -p image/usr/local/cuda-12.6/lib64 image/usr/local/cuda-12.8/lib64
exits 1 "an image: audit --root exits 1" "$ELFMEND" audit --root image /srv/site
finds "... with the same answer" '^error\[EM103\]: torch/lib/libtorch_cpu.so: opens libnvrtc.so.12'
exits 0 "doctor --root" "$ELFMEND" doctor --root image
finds "... lists the toolkits" '^toolkits +/usr/local/cuda-12.6'
finds "... both" '/usr/local/cuda-12.8   \(an environment.s packages use none of them\)'
mkdir -p image/usr/local/bin image/usr/local/lib/python3.11
loader=$(readelf -lW /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
mkdir -p "image$(dirname "$loader")"
cp -L "$loader" "image$loader"
cp -L /bin/true image/usr/local/bin/python3.11
ln -s python3.11 image/usr/local/bin/python3
cp -a image/srv/site image/usr/local/lib/python3.11/site-packages
exits 0 "doctor --root, where that Python is the image's own" "$ELFMEND" doctor --root image
finds "... which nvrtc would be used, and by whom" 'libnvrtc.so.12 => nothing +\(for torch/lib/libtorch_cpu.so\)'
finds "... what torch is built for" '^torch 2.8.0 +12.8 +'
finds "... and that audit has more to say" '1 error: elfmend audit /usr/local/lib/python3.11/site-packages says which'
mkdir -p image/proc/driver/nvidia
echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27 21:21:55 UTC 2021' > image/proc/driver/nvidia/version
nvrtc image/srv/site
exits 1 "a driver too old for the CUDA in the container: exit 1" "$ELFMEND" audit --root image /srv/site
finds "... EM403" '^error\[EM403\]: .*is built for CUDA 12.8, and the driver 470.82.01 is too old'
sed -i 's/470.82.01/535.54.03/' image/proc/driver/nvidia/version
exits 0 "... the host's CUDA version does not matter, the driver's does" "$ELFMEND" audit --root image /srv/site
exits 1 "another world has no driver" sh -c "sed -i s/535.54.03/470.82.01/ image/proc/driver/nvidia/version
    '$ELFMEND' audit --root image /srv/site"
exits 0 "... and no finding about one" "$ELFMEND" audit --world manylinux --root image /srv/site

# Installed, and out of torch's path: the repair, and its way back
mkdir other; site other '$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN'; nvrtc other
exits 1 "out of the path: audit exits 1" "$ELFMEND" audit other
finds "... EM102, with the place" '^  it is in +nvidia/cuda_nvrtc/lib'
cp other/torch/lib/libtorch_cpu.so before.so
exits 0 "fix: exit 0" "$ELFMEND" fix --yes other
exits 0 "audit: exit 0" "$ELFMEND" audit other
exits 0 "undo: exit 0" "$ELFMEND" undo other
check "... every byte back" cmp before.so other/torch/lib/libtorch_cpu.so
finish
