#!/bin/sh
# What meets in one process: one family in several versions, one library in several copies, files that nobody installed, and links by
# which $ORIGIN is another directory. Each with the same tree made sound, which gets no word.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1; shift
    echo 'int f(void) { return 1; }' > o.c
    "${CC:-cc}" -shared -fPIC -o "$out" o.c -Wl,--no-as-needed -Wl,--build-id -Wl,-z,noexecstack "$@" || exit 1
}
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }
soname() { echo "-Wl,-soname,$1"; }
distribution() { # NAME VERSION FILE...
    info=v/$1-$2.dist-info; mkdir -p "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$1" "$2" > "$info/METADATA"
    shift 2
    for file; do echo "$file,,"; done > "$info/RECORD"
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }

# EM204: NVIDIA's cuBLAS, and a package that carries one of its own under the same names
cublas=v/nvidia/cublas/lib
object $cublas/libcublasLt.so.12 "$(soname libcublasLt.so.12)"
object $cublas/libcublas.so.12 "$(soname libcublas.so.12)" $cublas/libcublasLt.so.12 "$(rpath '$ORIGIN')"
object v/torch/_C.abi3.so "$(rpath '$ORIGIN/../nvidia/cublas/lib')" $cublas/libcublas.so.12 "-Wl,-rpath-link,$cublas"
distribution torch 2.8.0 torch/_C.abi3.so
distribution nvidia-cublas-cu12 12.8.4.1 nvidia/cublas/lib/libcublas.so.12 nvidia/cublas/lib/libcublasLt.so.12
exits 0 "one cuBLAS: exit 0" "$ELFMEND" audit -v v
silent "... and no word about versions or copies" 'EM20[45]'
object v/other/lib/libcublasLt.so.12 "$(soname libcublasLt.so.12)" -Wl,--defsym,another=1
object v/other/_C.abi3.so "$(rpath '$ORIGIN/lib')" v/other/lib/libcublasLt.so.12
distribution other 1.0 other/lib/libcublasLt.so.12 other/_C.abi3.so
exits 0 "two builds of it: a warning" "$ELFMEND" audit v
finds "EM204, at the odd one" '^warning\[EM204\]: other/lib/libcublasLt.so.12: is cublas of another version, and a process may have 12.8.4.1'
finds "... which versions, where, and for whom" '^  12.8.4.1 +libcublasLt.so.12 in nvidia/cublas/lib +\(nvidia-cublas-cu12 12.8.4.1\), for libcublas.so.12'
finds "... and what to do" '^help: .*pip install --upgrade other'
cp $cublas/libcublasLt.so.12 v/other/lib/libcublasLt.so.12
exits 0 "the same build twice" "$ELFMEND" audit v
silent "... is one version: no word" EM204
object v/other/_C.abi3.so
object v/other/lib/libcublasLt.so.12 "$(soname libcublasLt.so.12)" -Wl,--defsym,another=1
exits 0 "a copy that no import reaches" "$ELFMEND" audit v
silent "... no word" EM204
rm -r v/other*

# EM204: a vendor's package that is older than the one another package was built with
mkdir p; mv v p/; object v/nvidia/cufft/lib/libcufft.so.11 "$(soname libcufft.so.11)"
distribution nvidia-cufft-cu12 11.1.0.70 nvidia/cufft/lib/libcufft.so.11
distribution frame 2.0
requires() { printf 'Metadata-Version: 2.1\nName: frame\nVersion: 2.0\nRequires-Dist: %s\n' "$1" > v/frame-2.0.dist-info/METADATA; }
for requirement in 'nvidia-cufft-cu12==11.10.2.21 ; platform_system == "Linux"' 'nvidia-cufft-cu12 (==11.10.2.21)'; do
    requires "$requirement"
    exits 0 "an older cuFFT than $requirement: a warning" "$ELFMEND" audit v
    finds "... EM204" '^warning\[EM204\]: nvidia/cufft/lib/libcufft.so.11: is nvidia-cufft-cu12 11.1.0.70, older than the 11.10.2.21 that frame 2.0 is built with'
    finds "... the cure" "^help: pip install 'nvidia-cufft-cu12==11.10.2.21'"
done
for requirement in 'nvidia-cufft-cu12==11.1.0.70' 'nvidia-cufft-cu12==11.0.0.1' 'nvidia-cufft-cu12>=11.10' 'nvidia-cufft-cu12==11.*' \
    'nvidia-cufft-cu12==11.10.2.21; extra == "gpu"' 'other==3'; do
    requires "$requirement"
    exits 0 "not older than $requirement" "$ELFMEND" audit v
    silent "... no word" EM204
done
rm -r v; mv p/v .

# EM205
for name in a b; do
    hash=$([ $name = a ] && echo 0a1b2c3d || echo 4e5f6071)
    object "v/$name.libs/libgomp-$hash.so.1.0.0" "$(soname "libgomp-$hash.so.1.0.0")"
    object "v/$name/_$name.abi3.so" "$(rpath "\$ORIGIN/../$name.libs")" "v/$name.libs/libgomp-$hash.so.1.0.0"
    distribution $name 1.0 "$name/_$name.abi3.so" "$name.libs/libgomp-$hash.so.1.0.0"
done
exits 0 "two OpenMP runtimes" "$ELFMEND" audit v
silent "... not by default" EM205
exits 0 "... --verbose" "$ELFMEND" audit -v v
finds "EM205, a note" '^note\[EM205\]: a.libs/libgomp-0a1b2c3d.so.1.0.0: is one of 2 copies of the OpenMP runtime'
finds "... the other" '^  also +libgomp-4e5f6071.so.1.0.0 in b.libs +\(b 1.0\), for _b.abi3.so'
finds "... and what it costs" '^  it costs +.*threads'
object v/b.libs/libgomp-0a1b2c3d.so.1.0.0 "$(soname libgomp-0a1b2c3d.so.1.0.0)"
object v/b/_b.abi3.so "$(rpath '$ORIGIN/../b.libs')" v/b.libs/libgomp-0a1b2c3d.so.1.0.0
rm v/b.libs/libgomp-4e5f6071.so.1.0.0
distribution b 1.0 b/_b.abi3.so b.libs/libgomp-0a1b2c3d.so.1.0.0
exits 0 "the same SONAME twice" "$ELFMEND" audit -v v
silent "... is loaded once: no word" EM205
rm -r v/a v/b v/?.libs v/?-1.0*

# EM603: a file between installed ones
cp $cublas/libcublasLt.so.12 v/torch/libstray.so
exits 0 "a library that no RECORD lists" "$ELFMEND" audit -v v
finds "EM603, a note" '^note\[EM603\]: torch/libstray.so: is listed in no RECORD'
rm v/torch/libstray.so
exits 0 "without it" "$ELFMEND" audit -v v
silent "... no word" EM603

# The half fix: one of the family copied beside a grafted shim, by hand and of another version
"$ELFMEND_TOP/fixtures/standin" h
libs=$(echo h/lib/python3*/site-packages/ctranslate2.libs)
object "$libs/libcudnn_cnn.so.9.1.0" "$(soname libcudnn_cnn.so.9)"
exits 1 "one file copied in: exit 1" "$ELFMEND" audit --world manylinux h
finds "EM603, a warning" '^warning\[EM603\]: .*/ctranslate2.libs/libcudnn_cnn.so.9.1.0: is listed in no RECORD: somebody put it there, for libcudnn-74a4c495.so.9.1.0'
finds "... of another version" '^  version +unknown: another build than that of nvidia-cudnn-cu12 9.10.2.21'
finds "... than the shim's" '^  shim +9.1.0'
finds "... and the family is not complete" '^  without +.*libcudnn_ops.so.9'
finds "... and what to do" '^help: elfmend fix h takes it away, and leads to nvidia-cudnn-cu12 9.10.2.21'
"$ELFMEND" patch --force-rpath --set-rpath '$ORIGIN:$ORIGIN/../nvidia/cudnn/lib' "$libs/libcudnn-74a4c495.so.9.1.0"
exits 1 "the family completed by hand: exit 1, for cuBLAS" "$ELFMEND" audit --world manylinux h
finds "EM204: what it was completed with is of another version" '^warning\[EM204\]: .*/ctranslate2.libs/libcudnn_cnn.so.9.1.0'
finds "... and what to do" "^help: rm .*/ctranslate2.libs/libcudnn_cnn.so.9.1.0, which nobody installed; then elfmend fix h"

# EM604
"$ELFMEND_TOP/fixtures/standin" l
libs=$(echo l/lib/python3*/site-packages/ctranslate2.libs)
exits 1 "no link" "$ELFMEND" audit -v --world manylinux l
silent "... no EM604" EM604
ln -s ../nvidia/cudnn/lib/libcudnn_cnn.so.9 "$libs/libcudnn_cnn.so.9"
exits 1 "audit: exit 1" "$ELFMEND" audit --world manylinux l
finds "EM604: the link's directory is \$ORIGIN" '^error\[EM604\]: .*nvidia/cudnn/lib/libcudnn_cnn.so.9: needs libcudnn_ops.so.9 and will not find it: \$ORIGIN is the directory of the link .*ctranslate2.libs/libcudnn_cnn.so.9'
finds "... and what to do" '^help: elfmend fix l takes the link away$'
rm "$libs/libcudnn_cnn.so.9"
rm "$libs/libcudnn-74a4c495.so.9.1.0"
ln -s ../nvidia/cudnn/lib/libcudnn.so.9 "$libs/libcudnn-74a4c495.so.9.1.0"
exits 1 "the shim as a link: exit 1" "$ELFMEND" audit --world manylinux l
finds "EM604" '^error\[EM604\]: .*nvidia/cudnn/lib/libcudnn.so.9: opens libcudnn_graph.so.9 and will not find it'
finds "... whose file it replaced" "^help: pip install --force-reinstall --no-deps 'ctranslate2==4.6.0', then elfmend fix l"
ln -s "$(basename "$libs")/libcudnn-74a4c495.so.9.1.0" "$(dirname "$libs")/same"
mkdir -p s/lib; object s/lib/libx.so.1.2 "$(soname libx.so.1)"; ln -s libx.so.1.2 s/lib/libx.so.1
object s/_s.abi3.so "$(rpath '$ORIGIN/lib')" s/lib/libx.so.1
exits 0 "a link in one directory" "$ELFMEND" audit -v s
silent "... no word" EM604
ln s/_s.abi3.so cached
exits 0 "a hard link" "$ELFMEND" audit -v s
finds "EM604, a note" '^note\[EM604\]: _s.abi3.so: is a hard link'
finish
