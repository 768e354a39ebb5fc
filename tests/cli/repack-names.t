#!/bin/sh
# What the names in a wheel say: members of .data are mended where they will be installed, and keep their place in the archive; a
# file whose name is not that of the distribution in it is refused, as installers refuse it, and another spelling of it is not.
. "$ELFMEND_TOP/tests/tap"
pack() { "$python" -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" "$@"; }
echo 'int cublas(void) { return 12; }' | "${CC:-cc}" -shared -fPIC -x c -o libcublas.so.12 - -Wl,-soname,libcublas.so.12
ext() { # OUTPUT
    mkdir -p "$(dirname "$1")"
    echo 'int cublas(void); int call(void) { return cublas(); }' |
        "${CC:-cc}" -shared -fPIC -w -x c -o "$1" - -Wl,--no-as-needed -x none libcublas.so.12 || exit 1
}
info() { # DIRECTORY NAME VERSION DISTINFO
    mkdir -p "$1/$4.dist-info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$2" "$3" > "$1/$4.dist-info/METADATA"
    printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n' > "$1/$4.dist-info/WHEEL"
}
tags=py3-none-linux_x86_64

data=w/pkg-1.0.data
ext $data/purelib/pkg/pure/_ext.so
ext $data/platlib/pkg/plat/_ext.so
ext $data/data/lib/libaside.so
ext $data/headers/header.so
mkdir -p w/pkg $data/scripts
printf '#!python\nprint("run")\n' > $data/scripts/pkg-script
echo 'x = 1' > w/pkg/__init__.py
info w pkg 1.0 pkg-1.0
pack w pkg-1.0-$tags.whl
exits 0 "verify of a wheel with all that .data can hold: exit 0" "$ELFMEND" verify --fail-on note pkg-1.0-$tags.whl
mkdir other
for member in $data/scripts/pkg-script $data/headers/header.so $data/data/lib/libaside.so; do
    pack w other/pkg-1.0-$tags.whl "${member#w/}=other"
    exits 1 "... ${member#w/} with other bytes: exit 1" "$ELFMEND" verify --fail-on warning other/pkg-1.0-$tags.whl
    check "... by its name in the wheel" grep -F "${member#w/}: is not what its RECORD says" out
done
for member in top.py pkg-1.0.data/scripts/more pkg/evil.pyc pkg/__pycache__/evil.so pkg/.git/evil.so .elfmend/evil.so pkg/RECORD \
    pkg/RECORD.jws pkg/in-1.0.dist-info/RECORD.p7s more-1.0.dist-info/RECORD; do
    pack w other/pkg-1.0-$tags.whl "$member=$member,,"
    exits 1 "... $member, which is not listed: exit 1" "$ELFMEND" verify --fail-on note --verbose other/pkg-1.0-$tags.whl
    check "... by its name in the wheel" grep -F "$member: is listed in no RECORD" out
done
for kind in jws p7s; do
    pack w other/pkg-1.0-$tags.whl pkg-1.0.dist-info/RECORD.$kind=x
    exits 0 "... a signature need not be, RECORD.$kind" "$ELFMEND" verify --fail-on note other/pkg-1.0-$tags.whl
done
mkdir none && "$python" -c 'import sys, zipfile
zipfile.ZipFile(sys.argv[1], "w").writestr("x.py", "")' none/x-1.0-py3-none-any.whl
for command in verify audit; do
    exits 2 "$command of what has nothing of a wheel but the name: exit 2" "$ELFMEND" $command none/x-1.0-py3-none-any.whl
    has 'none/x-1.0-py3-none-any.whl: is no wheel: it has neither a .*dist-info nor an ELF object' err "... says so"
done
# What would make an environment of a directory makes none of a wheel.
cp -r w odd && mkdir -p odd/conda-meta odd/lib/python3.11/site-packages
for member in pyvenv.cfg lib/python3.11/site-packages/x.py conda-meta/history; do
    echo home = /usr/bin > odd/$member
    pack odd other/pkg-1.0-$tags.whl
    exits 0 "verify of a wheel with $member too: exit 0" "$ELFMEND" verify --fail-on note other/pkg-1.0-$tags.whl
    exits 1 "... and audit sees the wheel" "$ELFMEND" audit --world manylinux other/pkg-1.0-$tags.whl
    pack odd other/pkg-1.0-$tags.whl $member=other
    exits 1 "... $member with other bytes: exit 1" "$ELFMEND" verify --fail-on warning other/pkg-1.0-$tags.whl
    check "... by its name in the wheel" grep -F "$member: is not what its RECORD says" out
done

exits 0 "a wheel with all that .data can hold: exit 0" "$ELFMEND" repack --world manylinux pkg-1.0-$tags.whl -o made
new=made/pkg-1.0+mend.1-$tags.whl
check "... as validators want it" "$python" -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" $new
mkdir unpacked && "$python" -m zipfile -e $new unpacked
path() { "$ELFMEND" patch --print-rpath "unpacked/pkg-1.0+mend.1.data/$1" > got; printf '%s\n' "$2" > wanted; same "$1: ${2:-no path}" wanted got; }
path purelib/pkg/pure/_ext.so '$ORIGIN/../../nvidia/cublas/lib'
path platlib/pkg/plat/_ext.so '$ORIGIN/../../nvidia/cublas/lib'
# From there the way to the site-packages is the installer's business.
path data/lib/libaside.so ''
path headers/header.so ''
check "the script is as it was" cmp $data/scripts/pkg-script unpacked/pkg-1.0+mend.1.data/scripts/pkg-script
"$python" -m venv v > log 2>&1
check "pip installs it" v/bin/python -m pip --disable-pip-version-check -q install --no-index --no-deps $new
site=$(v/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
mkdir -p "$site/nvidia/cublas/lib" && cp libcublas.so.12 "$site/nvidia/cublas/lib/"
for module in pure plat; do
    check "... the real loader finds the library from $module" "$python" -c 'import ctypes, sys
assert ctypes.CDLL(sys.argv[1]).call() == 12' "$site/pkg/$module/_ext.so"
done
check "... and the script runs" v/bin/pkg-script

# What the platform says of libc
musl=libc.musl-$(uname -m).so.1
echo 'int of_musl(void) { return 1; }' | "${CC:-cc}" -shared -fPIC -x c -o libmusl.so - -Wl,-soname,"$musl"
mkdir -p m/pkg
echo 'int of_musl(void); int call(void) { return of_musl(); }' |
    "${CC:-cc}" -shared -fPIC -nostdlib -w -x c -o m/pkg/_ext.so - -Wl,--no-as-needed -x none libmusl.so
info m pkg 1.0 pkg-1.0
for platform in musllinux_1_2_x86_64 musllinux_1_1_x86_64.musllinux_1_2_x86_64; do
    pack m pkg-1.0-py3-none-$platform.whl
    exits 0 "$platform: audited with musl's libc" "$ELFMEND" audit pkg-1.0-py3-none-$platform.whl
    exits 0 "... explained with it" "$ELFMEND" explain pkg-1.0-py3-none-$platform.whl "$musl"
    has 'stands for libc itself' out "... by its rule"
    exits 0 "... repacked with it" "$ELFMEND" repack pkg-1.0-py3-none-$platform.whl -o musl
    has 'nothing to do' out "... which needs nothing"
done
exits 1 "... unless another is asked for" "$ELFMEND" audit --libc glibc pkg-1.0-py3-none-$platform.whl
pack m pkg-1.0-py3-none-manylinux_2_17_x86_64.musllinux_1_2_x86_64.whl
exits 1 "a wheel that is for glibc too is not" "$ELFMEND" audit pkg-1.0-py3-none-manylinux_2_17_x86_64.musllinux_1_2_x86_64.whl

wheel() { # FILE NAME VERSION DISTINFO
    rm -rf n
    ext n/pkg/_ext.so
    info n "$2" "$3" "$4"
    pack n "$1-$tags.whl"
}
refused() { # WHAT FILE NAME VERSION DISTINFO
    what=$1; shift
    wheel "$@"
    exits 2 "$what: exit 2" "$ELFMEND" repack "$1-$tags.whl" -o refused
    check "... says so, and writes nothing" sh -c 'grep -q "another distribution" err && { test ! -e refused || rmdir refused; }'
}
refused "another name than the directory has" other-1.0 pkg 1.0 pkg-1.0
refused "another version than the directory has" pkg-2.0 pkg 1.0 pkg-1.0
refused "another name than METADATA has" pkg-1.0 other 1.0 pkg-1.0
refused "another version than METADATA has" pkg-1.0 pkg 2.0 pkg-1.0
for file in pkg-1.0-x-$tags pkg-1.0-py3-none "pkg-1.0-py3-none-linux x86_64" "$(printf 'pkg-1.0\n-%s' $tags)"; do
    cp pkg-1.0-$tags.whl "$file.whl"
    exits 2 "a file called $(echo "$file" | tr '\n' ' '): exit 2" "$ELFMEND" repack "$file.whl" -o refused
    check "... says what a name is, and writes nothing" sh -c 'grep -q "NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM" err && { test ! -e refused || rmdir refused; }'
done
spelled() { # WHAT NEW FILE NAME VERSION DISTINFO
    what=$1 new=$2; shift 2
    wheel "$@"
    exits 0 "$what: exit 0" "$ELFMEND" repack "$1-$tags.whl" -o spelled
    check "... the directory is spelled as the file is" "$python" -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" "spelled/$new-$tags.whl"
}
spelled "a directory in capitals and dashes" my_pkg-1.0+mend.1 my_pkg-1.0 My-Pkg 1.0 My.Pkg-1.0
spelled "a version with zeros" pkg-1.0+mend.1 pkg-1.0 pkg 1.0 pkg-1.0.0
spelled "a version that has a local label" pkg-1.0+cu12.mend.1 pkg-1.0+cu12 pkg 1.0+cu12 pkg-1.0+cu12
finish
