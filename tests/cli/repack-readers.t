#!/bin/sh
# Every kind of wheel that repack makes is what others take for one: installers, validators, and readers of zip archives that go by the
# directory, by the local headers, or by both. A reader that is not here is passed over by name.
. "$ELFMEND_TOP/tests/tap"
pack() { "$python" -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" "$@"; }
so() { # OUTPUT FLAGS...: of the code on stdin
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -x none "$@" || exit 1
}
info() { # DIRECTORY NAME TAGS: METADATA and WHEEL
    mkdir -p "$1/$2-1.0.dist-info"
    cat > "$1/$2-1.0.dist-info/METADATA" <<END2
Metadata-Version: 2.4
Name: $2
Version: 1.0
Summary: x
License-Expression: MIT
Requires-Dist: six>=1; extra == "more"
Provides-Extra: more
Description-Content-Type: text/plain

What it is.
END2
    { printf 'Wheel-Version: 1.0\nGenerator: test (1)\nRoot-Is-Purelib: false\n'; for tag in $3; do echo "Tag: py3-none-$tag"; done; } \
        > "$1/$2-1.0.dist-info/WHEEL"
}
linux=linux_x86_64
echo 'int gettid(void); int cublas(void) { return gettid() > 0 ? 12 : 0; }' | so p/nvidia/cublas/lib/libcublas.so.12 -Wl,-soname,libcublas.so.12
info p nvidia_cublas_cu12 any
echo 'under these terms' > p/nvidia_cublas_cu12-1.0.dist-info/License.txt
pack p nvidia_cublas_cu12-1.0-py3-none-any.whl
source="--strategy copy --source nvidia_cublas_cu12-1.0-py3-none-any.whl"
ext() { echo 'int cublas(void); int call(void) { return cublas(); }' | so "$1" p/nvidia/cublas/lib/libcublas.so.12; }

# One wheel of each kind that repack makes
mkdir -p in
repack() { # KIND WHEEL OPTIONS...
    kind=$1 wheel=$2; shift 2
    exits 0 "$kind: repacked" "$ELFMEND" repack --world manylinux -q "in/$wheel" -o "made/$kind" "$@"
}
ext w/pkg/_ext.so
echo 'x = 1' > w/pkg/__init__.py
: > w/pkg/py.typed
info w pkg $linux
printf '[console_scripts]\npkg-run = pkg:run\n' > w/pkg-1.0.dist-info/entry_points.txt
pack w in/pkg-1.0-py3-none-$linux.whl
repack path pkg-1.0-py3-none-$linux.whl
repack copy pkg-1.0-py3-none-$linux.whl $source
repack build-tag pkg-1.0-py3-none-$linux.whl --build-tag 3_mend
repack kept-name pkg-1.0-py3-none-$linux.whl --keep-name
mkdir m && cp -r w/. m/
info m pkg 'manylinux_2_17_x86_64 manylinux2014_x86_64'
pack m in/pkg-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
repack lowered pkg-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl $source
mkdir a && cp -r w/. a/
"$python" - <<'END2'
import os
for name in ("comma, quote\" and blank", "\u00fcml\u00e4ut-\u4e2d", "n" * 200):
    with open(f"a/pkg/{name}.txt", "w") as file:
        file.write(name)
END2
info a pkg $linux
pack a in/pkg-1.0-py3-none-$linux.whl
repack names pkg-1.0-py3-none-$linux.whl
mkdir d && cp -r w/. d/
mv d/pkg/_ext.so d/ext.so
data=d/pkg-1.0.data
mkdir -p $data/platlib/pkg/plat $data/headers $data/scripts $data/data/share/pkg
sed -i 's/^Root-Is-Purelib: false/Root-Is-Purelib: true/' d/pkg-1.0.dist-info/WHEEL
mv d/ext.so $data/platlib/pkg/plat/_ext.so
echo 'int y;' > $data/headers/pkg.h
printf '#!python\nprint("run")\n' > $data/scripts/pkg-script
echo 'some' > $data/data/share/pkg/some.txt
pack d in/pkg-1.0-py3-none-$linux.whl
repack data pkg-1.0-py3-none-$linux.whl
"$python" - in/pkg-1.0-py3-none-$linux.whl <<'END2'
import os, sys, zipfile
# Stored, with data descriptors and directories: as a stream is written by others.
class Stream:
    def __init__(self, file): self.file = file
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
whole = zipfile.ZipFile(sys.argv[1])
with open("stream.whl", "wb") as file, zipfile.ZipFile(Stream(file), "w", zipfile.ZIP_STORED) as out:
    out.writestr(zipfile.ZipInfo("pkg/", (2024, 5, 6, 7, 8, 10)), b"")
    for member in whole.infolist():
        with out.open(zipfile.ZipInfo(member.filename, (2024, 5, 6, 7, 8, 10)), "w") as to:
            to.write(whole.read(member))
os.rename("stream.whl", sys.argv[1])
END2
repack stored pkg-1.0-py3-none-$linux.whl
mkdir z && cp -r w/. z/
"$python" - <<'END2'
import os
os.mkdir("z/pkg/many")
for i in range(65600):
    with open(f"z/pkg/many/{i}", "w"):
        pass
END2
pack z in/pkg-1.0-py3-none-$linux.whl
repack zip64 pkg-1.0-py3-none-$linux.whl
rm -rf z
names=$(ls made)

sound() { "$python" -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" "$@"; }
have() { # READER COMMAND
    command -v "$2" > log 2>&1 || { skip "$1" "no $2 here"; return 1; }
}
each() { # READER COMMAND...: of every wheel but the one with 65,600 members
    reader=$1; shift
    for kind in $names; do
        [ "$kind" = zip64 ] || check "$kind: $reader" "$@" "$(echo "$PWD/made/$kind"/*.whl)"
    done
}
check "all kinds: archive, names and RECORD, byte by byte" sound made/*/*.whl
for wheel in made/*/*.whl; do check "$(basename "$(dirname $wheel)"): python -m zipfile" "$python" -m zipfile -t $wheel; done
! have unzip unzip || for wheel in made/*/*.whl; do check "$(basename "$(dirname $wheel)"): unzip" unzip -tqq $wheel; done
! have 7z 7z || for wheel in made/*/*.whl; do check "$(basename "$(dirname $wheel)"): 7z" 7z t -bso0 $wheel; done
if have "Go's archive/zip" go; then
    check "all kinds: Go's archive/zip" env GOCACHE="$PWD/go" GO111MODULE=off go run "$ELFMEND_TOP/tests/readers/read.go" made/*/*.whl
    rm -rf go
fi
if have "Java's java.util.zip" javac; then
    check "Java's reader is built" javac -encoding UTF-8 -d . "$ELFMEND_TOP/tests/readers/Read.java"
    check "all kinds: Java's java.util.zip, by directory and by stream" java -cp . Read made/*/*.whl
fi
small=$(ls made/*/*.whl | grep -v zip64)
# shellcheck disable=SC2086
! have "twine check" twine || check "all kinds: twine check" twine check --strict $small
# W004, W009, W010: what lies where is the business of who made the wheel.
# shellcheck disable=SC2086
! have check-wheel-contents check-wheel-contents || check "all kinds: check-wheel-contents" check-wheel-contents --ignore W004,W009,W010 $small
unpacked() { rm -rf unpacked; wheel unpack -d unpacked "$1"; }
! have "wheel unpack, which compares RECORD" wheel || each "wheel unpack" unpacked
installed() { # COMMAND...
    rm -rf target; "$@" && grep -q . target/pkg-1.0*.dist-info/METADATA && ls target/pkg/_ext.so target/pkg/plat/_ext.so 2> log-ls | grep -q .
}
by_pip() { installed "$python" -m pip --disable-pip-version-check -q install --no-index --no-deps --no-cache-dir --target target "$1"; }
by_uv() { installed uv pip install -q --python "$python" --offline --no-index --no-deps --no-cache --target target "$1"; }
"$python" -m venv v > log 2>&1 && python=$PWD/v/bin/python
each "pip installs it" by_pip
! have "uv installs it" uv || each "uv installs it" by_uv
finish
