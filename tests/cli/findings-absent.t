#!/bin/sh
# What is nowhere in the environment, by what it is: the operating system's, with the command that installs it; a GPU's, where nobody
# wants a GPU; what the package's own Python code opens first. On stand-ins.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT SOURCE FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1 text=$2; shift 2
    echo "$text" | "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -x none -Wl,--no-as-needed -Wl,-z,noexecstack "$@" || exit 1
}
library() { object "away/$1" '' "-Wl,-soname,$1"; }
distribution() { # NAME FILE...
    rm -rf "v/$1-1.0.dist-info"; mkdir -p "v/$1-1.0.dist-info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n' "$1" > "v/$1-1.0.dist-info/METADATA"
    info=v/$1-1.0.dist-info; shift
    for file; do echo "$file,,"; done > "$info/RECORD"
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }
audit() { "$ELFMEND" audit --world empty "$@"; }
for name in libGL.so.1 libmine.so.7 libcublas.so.12 libcudart.so.12 libnvinfer.so.10; do library $name; done

# The operating system's
for module in _a _b _c _d _e; do object v/gui/$module.abi3.so '' away/libGL.so.1; done
distribution gui gui/_a.abi3.so gui/_b.abi3.so gui/_c.abi3.so gui/_d.abi3.so gui/_e.abi3.so
exits 1 "modules without libGL: exit 1" audit v
finds "... the commands that install it" '^help: apt-get install libgl1 +\(Fedora, RHEL: dnf install libglvnd-glx\)'
check "... told once" sh -c '[ "$(grep -c "^error" out)" -eq 1 ] && [ "$(grep -c "^help" out)" -eq 1 ]'
finds "... with the others" '^  so lacks +gui/_b.abi3.so'
finds "... as far as they are worth it" '^ +and 1 more of gui'
finds "... and all of them counted" '^5 errors'
audit --json v > audit.json || true
check "... each in JSON" python3 -c "
import json
found = json.load(open('audit.json'))['findings']
assert len(found) == 5 and all(f['id'] == 'EM103' and f['help'].startswith('apt-get install libgl1') for f in found), found"
object v/gui/_a.abi3.so '' away/libmine.so.7
distribution gui gui/_a.abi3.so
rm v/gui/_[b-e].abi3.so
exits 1 "a library that no table knows: exit 1" audit v
silent "... no advice is made up" '^help'
printf '{"schema": "elfmend.knowledge/1", "system": [{"soname": "libmine.so.7", "apt": "libmine7", "dnf": "mine"}]}' > mine.json
exits 1 "... unless the user's table does" audit --knowledge mine.json v
finds "... its name" '^help: apt-get install libmine7'
printf '{"schema": "elfmend.knowledge/1", "system": [{"soname": "libmine.so.7", "apt": "libmine7"}]}' > mine.json
exits 2 "half an entry is refused" audit --knowledge mine.json v

# One module of many: an extra, unless the package's own start imports it
object v/gui/_ok.abi3.so ''
distribution gui gui/_a.abi3.so gui/_ok.abi3.so
for text in '' 'try:\n    from . import _a\nexcept ImportError:\n    pass\n' 'from . import _abc, b_a\n' 'from other import _a\nimport other._a\n' \
    '# from . import _a\n'; do
    printf "$text" > v/gui/__init__.py
    exits 0 "not imported by: $text" audit v
done
for text in 'from . import _a\n' 'from ._a import *\n' 'from gui import _ok, _a as x\n' 'import sys\nimport gui._a\n' 'from gui._a import f\r\n'; do
    printf "$text" > v/gui/__init__.py
    exits 1 "imported by: $text" audit v
done
rm -r v/gui*

# Libraries that Python code opens by path: nothing of the package loads, or something does
object v/tool/libtool.so '' away/libmine.so.7
distribution tool tool/libtool.so
exits 1 "the only library of a package: exit 1" audit v
finds "... it is missed" '^error\[EM103\]: tool/libtool.so: needs libmine.so.7'
object v/tool/libother.so ''
distribution tool tool/libtool.so tool/libother.so
exits 0 "another one of it loads: exit 0" audit v
rm v/tool/libother.so
for build in 4 5 6; do library "libmine.so.$build"; object v/tool/libtool$build.so '' "away/libmine.so.$build"; done
rm v/tool/libtool.so
distribution tool tool/libtool4.so tool/libtool5.so tool/libtool6.so
exits 1 "none of several builds: exit 1" audit v
check "... one error" sh -c '[ "$(grep -c "^error" out)" -eq 1 ]'
finds "... with all that would do" '^ +libmine.so.6, for libtool6.so'
object v/tool/libtool5.so ''
exits 0 "one of them loads: exit 0" audit v
rm -r v/tool*

# A spare part of a vendor's package: nothing loads it, and what it lacks comes with an extra
mkdir -p v/nvidia/parts/lib
object v/nvidia/parts/lib/libparts.so.1 ''
object v/nvidia/parts/lib/libparts_rdma.so.1 '' v/nvidia/parts/lib/libparts.so.1 away/libmine.so.7 -Wl,-rpath,'$ORIGIN'
object v/nvidia/parts/lib/libparts_wide.so.1 '' away/libcublas.so.12
distribution nvidia-parts-cu12 nvidia/parts/lib/libparts.so.1 nvidia/parts/lib/libparts_rdma.so.1 nvidia/parts/lib/libparts_wide.so.1
metadata=v/nvidia-parts-cu12-1.0.dist-info/METADATA
echo 'Requires-Dist: nvidia-cublas-cu12; extra == "wide"' >> $metadata
exits 0 "parts that nobody loads: exit 0" audit -v v
silent "... no warning" '^(error|warning)'
finds "... a note" '^note\[EM103\]: nvidia/parts/lib/libparts_(rdma|wide).so.1'
sed -i 's/;.*//' $metadata
exits 1 "the package requires what a part of it lacks: exit 1" audit v
finds "... that part" '^error\[EM103\]: nvidia/parts/lib/libparts_wide.so.1: needs libcublas.so.12'
check "... alone" sh -c '[ "$(grep -c "^error" out)" -eq 1 ]'
sed -i '/Requires/d' $metadata
object v/user/_core.abi3.so '' v/nvidia/parts/lib/libparts_wide.so.1 -Wl,-rpath,'$ORIGIN/../nvidia/parts/lib'
distribution user user/_core.abi3.so
exits 1 "an import loads the part: exit 1" audit v
finds "... it is missed" '^error\[EM103\]: nvidia/parts/lib/libparts_wide.so.1: needs libcublas.so.12'
rm -r v/user*
object v/nvidia/parts/lib/libparts.so.1 '' away/libmine.so.7
rm v/nvidia/parts/lib/libparts_wide.so.1
exits 1 "nothing of the package can be loaded: exit 1" audit v
finds "... what its library lacks" '^error\[EM103\]: nvidia/parts/lib/libparts.so.1: needs libmine.so.7'
rm -r v/nvidia*

# Two packages lack the same library, one of them says which release it was built with: both advices are that one
for name in pinned free; do
    object v/$name/_core.abi3.so '' away/libcublas.so.12
    distribution $name $name/_core.abi3.so
done
echo "Requires-Dist: nvidia-cublas-cu12 (==12.8.4.1); platform_system == 'Linux'" >> v/pinned-1.0.dist-info/METADATA
exits 1 "a release is required by one of two: exit 1" audit v
check "... both are told of it" sh -c "[ \"\$(grep -c \"^help: pip install 'nvidia-cublas-cu12==12.8.4.1'\" out)\" -eq 2 ]"
sed -i 's/==.*/==12.8.4.1); extra == "gpu"/' v/pinned-1.0.dist-info/METADATA
exits 1 "... by an extra of the other alone: exit 1" audit v
finds "... the one is told the release" "^help: pip install 'nvidia-cublas-cu12==12.8.4.1'"
finds "... the other the package" "^help: pip install 'nvidia-cublas-cu12',"
rm -r v/pinned* v/free*

# For a GPU, where nobody wants one
object v/speech/_core.abi3.so '' -Wl,--disable-new-dtags,-rpath,'$ORIGIN'
object v/speech/libctranslate2.so.4 'const char *name = "libcublas.so.12";' -Wl,-soname,libctranslate2.so.4
object v/speech/_core.abi3.so '' v/speech/libctranslate2.so.4 -Wl,--disable-new-dtags,-rpath,'$ORIGIN'
distribution speech speech/_core.abi3.so speech/libctranslate2.so.4
exits 0 "cuBLAS is opened for a GPU, and nothing of CUDA is here: exit 0" audit v
silent "... no warning" '^(error|warning)'
finds "... who has a GPU reads what to do" "^speech runs on CPUs as it is; for a GPU: pip install 'nvidia-cublas-cu12', then elfmend fix v"
exits 0 "... a note" audit -v v
finds "... EM103" '^note\[EM103\]: speech/libctranslate2.so.4: opens libcublas.so.12'
exits 1 "a GPU was named: exit 1" audit --gpu sm_86 v
finds "... EM103" '^error\[EM103\]: speech/libctranslate2.so.4: opens libcublas.so.12'
exits 0 "fix without a source has nothing to do" "$ELFMEND" fix --world empty --yes v
mkdir place; cp away/libcublas.so.12 place/
exits 0 "fix with a source copies it" "$ELFMEND" fix --world empty --yes --strategy copy --source place --allow-unverified v
check "... that library" sh -c "[ -n \"\$(find v -name libcublas.so.12)\" ]"
exits 0 "... undo" "$ELFMEND" undo v
object v/rt/lib/libcudart.so.12 '' -Wl,-soname,libcudart.so.12
distribution nvidia-cuda-runtime-cu12 rt/lib/libcudart.so.12
exits 1 "something of CUDA is here, and not that: exit 1" audit v
finds "... EM103" '^error\[EM103\]: speech/libctranslate2.so.4: opens libcublas.so.12'
rm -r v/speech* v/rt v/nvidia*

# What the package opens itself, by path, before anything asks for it
object v/cupy/_core.abi3.so '' away/libcublas.so.12
distribution cupy-cuda12x cupy/_core.abi3.so
exits 1 "cupy without cuBLAS: exit 1" audit v
finds "... the package" "^help: pip install 'nvidia-cublas-cu12'"
object v/nvidia/cublas/lib/libcublas.so.12 '' -Wl,-soname,libcublas.so.12
distribution nvidia-cublas-cu12 nvidia/cublas/lib/libcublas.so.12
exits 0 "with it, off its path: exit 0" audit -v v
finds "... for its own code opens it" '^note\[EM202\]: cupy/_core.abi3.so: needs libcublas.so.12, which is there once cupy-cuda12x has been imported'
object away/libnccl.so.2 '' -Wl,-soname,libnccl.so.2
object v/cupy/nccl.abi3.so '' away/libnccl.so.2
distribution cupy-cuda12x cupy/_core.abi3.so cupy/nccl.abi3.so
exits 0 "what it does without, though another's module would not: exit 0" audit v
rm v/cupy/nccl.abi3.so
mv v/cupy-*.dist-info v/other-1.0.dist-info; sed -i 's/cupy-cuda12x/other/' v/other-1.0.dist-info/METADATA
exits 1 "a package that does not: exit 1" audit v
finds "... EM101" '^error\[EM101\]: cupy/_core.abi3.so: needs libcublas.so.12 and will not find it'
rm -r v/cupy v/other* v/nvidia*

# The package's own library, which its Python code opens by a path that it makes
object v/audio/lib/libaudio4.so '' -Wl,-soname,libaudio4.so
object v/audio/lib/_audio4.so '' v/audio/lib/libaudio4.so
mkdir -p v/audio/_extension
echo 'torch.ops.load_library(_LIB_DIR / f"libaudio{version}.so")' > v/audio/_extension/__init__.py
distribution audio audio/lib/libaudio4.so audio/lib/_audio4.so audio/_extension/__init__.py
exits 0 "a module without a path to its library, which Python code names: exit 0" audit -v v
finds "... EM202" '^note\[EM202\]: audio/lib/_audio4.so: needs libaudio4.so, which is there once audio has been imported'
echo 'torch.ops.load_library(_LIB_DIR / f"libother{version}.so")' > v/audio/_extension/__init__.py
exits 1 "which none names: exit 1" audit v
finds "... EM101" '^error\[EM101\]: audio/lib/_audio4.so: needs libaudio4.so and will not find it'
rm -r v/audio*

# A plugin without a path to the library that opens it by name
object v/host/libhost.so.1 'const char *plugin = "libplugin.so";' -Wl,-soname,libhost.so.1
object v/host/libplugin.so '' v/host/libhost.so.1
object v/host/_core.abi3.so ''
distribution host host/libhost.so.1 host/libplugin.so host/_core.abi3.so
exits 0 "a plugin that its library opens: exit 0" audit v
object v/host/libhost.so.1 'const char *plugin = "libother.so";' -Wl,-soname,libhost.so.1
exits 1 "one that nobody is known to open: exit 1" audit v
finds "... EM101" '^error\[EM101\]: host/libplugin.so: needs libhost.so.1 and will not find it'
rm -r v/host*

# Versions that a C library or a C++ runtime does not define
for runtime in libc.so.6:GLIBC_2.99:'a system with glibc 2.99 or newer' libstdc++.so.6:GLIBCXX_3.4.99:'a libstdc\+\+ that defines GLIBCXX_3.4.99'; do
    soname=${runtime%%:*} rest=${runtime#*:} version=${rest%%:*}
    echo "$version { global: later; };" > map
    echo 'int later(void) { return 1; }' | "${CC:-cc}" -shared -fPIC -nostdlib -x c -Wl,-soname,"$soname" -Wl,--version-script,map -o "away/$soname" -
    echo 'int later(void); int f(void) { return later(); }' |
        "${CC:-cc}" -shared -fPIC -nostdlib -x c -o v/late.abi3.so - -x none "away/$soname" -Wl,-z,noexecstack
    exits 1 "$version is not defined: exit 1" "$ELFMEND" audit v
    finds "... EM105" "^error\\[EM105\\]: late.abi3.so: cannot be loaded: .*$version"
    finds "... what would define it" "^help: ${rest#*:}"
done
object v/late.abi3.so ''
exits 0 "one that needs none: exit 0" "$ELFMEND" audit v
silent "... no word" EM105
rm v/late.abi3.so

# A back end beside others, and the bindings that are for nothing else
object v/rt/_core.abi3.so ''
object v/rt/libprovider_tensorrt.so '' away/libnvinfer.so.10
distribution rt rt/_core.abi3.so rt/libprovider_tensorrt.so
exits 0 "a provider for TensorRT, which is not here: exit 0" audit v
object v/tensorrt_bindings/tensorrt.so 'void *PyInit_tensorrt(void) { return 0; }' away/libnvinfer.so.10
distribution tensorrt-cu12-bindings tensorrt_bindings/tensorrt.so
exits 1 "TensorRT's own bindings without it: exit 1" audit v
finds "... the package" "^help: pip install 'tensorrt-cu12-libs>=10,<11'"
finish
