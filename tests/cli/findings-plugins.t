#!/bin/sh
# What lacks something and is missed by nobody: plugins by the dozen, told in one note, and libraries of another program's under the
# name of a module. What an import does load is told as before.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT SOURCE FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1 text=$2; shift 2
    echo "$text" | "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -x none -Wl,--no-as-needed -Wl,-z,noexecstack "$@" || exit 1
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }
for name in a b c; do object "away/lib$name.so.1" '' "-Wl,-soname,lib$name.so.1"; done
distribution() { # NAME FILE...
    info=v/$1-1.0.dist-info; mkdir -p "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n' "$1" > "$info/METADATA"
    shift
    for file; do echo "$file,,"; done > "$info/RECORD"
}

object v/desk/_core.abi3.so ''
object v/desk/plugins/libone.so '' away/liba.so.1
object v/desk/plugins/libtwo.so '' away/liba.so.1 away/libb.so.1
object v/desk/plugins/libthree.so '' away/libc.so.1
distribution desk desk/_core.abi3.so desk/plugins/libone.so desk/plugins/libtwo.so desk/plugins/libthree.so
exits 0 "plugins lack libraries: exit 0" "$ELFMEND" audit -v v
finds "one note, with the first" '^note\[EM103\]: desk/plugins/libone.so: needs liba.so.1, which is nowhere in this environment; others of its distribution lack 2 more'
finds "... each library with who lacks it" '^  missing +liba.so.1, for libone.so and 1 more$'
finds "... the last too" '^ +libc.so.1, for libthree.so$'
check "... and no other" sh -c '[ "$(grep -c EM103 out)" -eq 1 ]'
rm v/desk/plugins/libone.so v/desk/plugins/libtwo.so
distribution desk desk/_core.abi3.so desk/plugins/libthree.so
exits 0 "one plugin" "$ELFMEND" audit -v v
finds "... is told with its search" '^  looked in '

# Operators that a package has for another program: no module, though called like one
object v/three/_core.abi3.so ''
object v/three/other_ops.so '' away/libb.so.1 away/liba.so.1
object v/three/lib/libb.so.1 '' -Wl,-soname,libb.so.1
distribution three three/_core.abi3.so three/other_ops.so three/lib/libb.so.1
exits 0 "operators without a module's entry, for a program that is not here: exit 0" "$ELFMEND" audit v
object v/three/other_ops.so 'void *PyInit_other_ops(void) { return 0; }' away/libb.so.1 away/liba.so.1
exits 1 "with it, it is a module: exit 1" "$ELFMEND" audit v
finds "... and misses what it needs" '^error\[EM101\]: three/other_ops.so: needs libb.so.1 and will not find it'

# The one build that there is for a GPU, without the libraries of the GPU's vendor; and what is not missed although it lacks the same
object away/libcublas.so.12 '' -Wl,-soname,libcublas.so.12
rm -rf v/three*
object v/gpu/_core.abi3.so ''
object v/gpu/libgpu_provider.so '' away/libcublas.so.12
distribution gpu gpu/_core.abi3.so gpu/libgpu_provider.so
exits 1 "a provider without CUDA: exit 1" "$ELFMEND" audit --world manylinux v
finds "... the package" "^help: pip install 'nvidia-cublas-cu12'"
object v/gpu/libgpu_provider.so '' away/libcublas.so.12 away/liba.so.1
exits 0 "one that lacks something else besides, that no package brings: exit 0" "$ELFMEND" audit --world manylinux v
object v/gpu/libgpu_provider.so '' away/libcublas.so.12
mv v/gpu/libgpu_provider.so v/gpu/libgpu_provider12.so; cp v/gpu/libgpu_provider12.so v/gpu/libgpu_provider13.so
distribution gpu gpu/_core.abi3.so gpu/libgpu_provider12.so gpu/libgpu_provider13.so
exits 0 "one of several builds: exit 0" "$ELFMEND" audit --world manylinux v
# Builds for two CUDAs, one of which is here: the table has that one
rm -rf v/gpu*
for major in 11 12; do
    object away/libcublas.so.$major '' -Wl,-soname,libcublas.so.$major
    object v/gpu/libgpu_cuda$major.so '' away/libcublas.so.$major
done
object v/gpu/_core.abi3.so ''
distribution gpu gpu/_core.abi3.so gpu/libgpu_cuda11.so gpu/libgpu_cuda12.so
for major in 11 12; do
    object v/nvidia/cublas/lib/libcublas.so.$major '' -Wl,-soname,libcublas.so.$major
    distribution nvidia-cublas-cu$major nvidia/cublas/lib/libcublas.so.$major
    status=0
    "$ELFMEND" audit --json --world manylinux v > out 2> err || status=$?
    is $major "$("${PYTHON:-python3}" -c 'import json; print(*(f["cuda"] for f in json.load(open("out"))["targets"][0]["frameworks"] if f["name"] == "gpu"))')" \
        "CUDA $major is here: the table says so"
    rm -r v/nvidia*
done
finish
