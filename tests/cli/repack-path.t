#!/bin/sh
# A wheel that needs what another package brings: repacked, its RPATH leads to where that will be, METADATA requires it, and RECORD is
# true. The same bytes come out of every run, a second repack has nothing to do, and what is wrong with a wheel is refused.
. "$ELFMEND_TOP/tests/tap"
"${CC:-cc}" -shared -fPIC -x c -o libcublas.so.12 -Wl,-soname,libcublas.so.12 - <<END
int cublas(void) { return 12; }
END
mkdir -p w/pkg w/pkg-1.0.dist-info w/pkg-1.0.data/scripts
"${CC:-cc}" -shared -fPIC -x c -o w/pkg/_ext.abi3.so - -L. -l:libcublas.so.12 -Wl,--no-as-needed <<END
int cublas(void);
int call(void) { return cublas(); }
END
echo 'x = 1' > w/pkg/__init__.py
echo '#!python' > w/pkg-1.0.data/scripts/pkg-run
printf 'Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\nRequires-Dist: numpy\nSummary: x\n\nVersion: 1.0 is said here\n' > w/pkg-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-abi3-linux_x86_64\n' > w/pkg-1.0.dist-info/WHEEL
whl=pkg-1.0-cp311-abi3-linux_x86_64.whl new=made/pkg-1.0+mend.1-cp311-abi3-linux_x86_64.whl
python3 -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" w $whl

exits 1 "audit of the wheel: exit 1" "$ELFMEND" audit $whl
check "... the library is nowhere, and repack is the help" grep -F "elfmend repack $whl" out
exits 0 "verify of the wheel: exit 0" "$ELFMEND" verify $whl
exits 1 "explain on the wheel: exit 1" "$ELFMEND" explain --world manylinux $whl libcublas.so.12
check "... who asks, and what it gets" sh -c "grep -q '^pkg/_ext.abi3.so needs libcublas.so.12' out && grep -q 'libcublas.so.12 => not found' out"
exits 1 "explain, as JSON" "$ELFMEND" explain --json --world manylinux $whl libcublas.so.12
conforms explain-1
exits 0 "show of the wheel: exit 0" "$ELFMEND" show $whl
check "... the wheel and its object" sh -c "grep -qx '  tags         cp311-abi3-linux_x86_64' out && grep -qx '  objects      pkg/_ext.abi3.so' out"
exits 0 "show of the wheel, as JSON" "$ELFMEND" show --json $whl
conforms show-1
cp out packed
"$ELFMEND" show --json w/pkg/_ext.abi3.so > out
check "... its object is the one that was packed" python3 -c '
import json
packed, file = json.load(open("packed"))["objects"], json.load(open("out"))["objects"]
assert packed[0].pop("path") == "'$whl'/pkg/_ext.abi3.so" and file[0].pop("path") and packed == file'
exits 1 "a dry run: problems remain" "$ELFMEND" repack --dry-run $whl
check "... nothing is written" test ! -e made
exits 1 "a dry run, as JSON" "$ELFMEND" repack --dry-run --json $whl
conforms repack-1
# Audit says EM103, repack knows of a package that will bring it: EM101.
for filter in "--ignore EM101" "--ignore EM103" "--ignore EM103:_ext*" "--only other.so"; do
    exits 0 "$filter: nothing is to be mended" "$ELFMEND" repack $filter $whl -o filtered
    check "... and nothing is written" sh -c 'grep -q "nothing to do" out && ! ls filtered/* 2> err'
done
exits 0 "repack: exit 0" "$ELFMEND" repack $whl -o made
check "the name has the local version" test -f $new
check "the archive and RECORD are as validators want them" python3 -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" $new
python3 -m zipfile -e $new unpacked
check "the version is in METADATA and in the directory's name" grep -qx 'Version: 1.0+mend.1' unpacked/pkg-1.0+mend.1.dist-info/METADATA
check "... the description is left alone" grep -qx 'Version: 1.0 is said here' unpacked/pkg-1.0+mend.1.dist-info/METADATA
check "METADATA requires the package, within its major" grep -qx 'Requires-Dist: nvidia-cublas-cu12>=12,<13' unpacked/pkg-1.0+mend.1.dist-info/METADATA
check "the scripts moved along" test -f unpacked/pkg-1.0+mend.1.data/scripts/pkg-run
"$ELFMEND" show unpacked/pkg/_ext.abi3.so > shown
check "the object has the path" grep -F '$ORIGIN/../nvidia/cublas/lib' shown
mkdir -p unpacked/nvidia/cublas/lib && cp libcublas.so.12 unpacked/nvidia/cublas/lib/
check "the real loader finds it there" python3 -c 'import ctypes; assert ctypes.CDLL("unpacked/pkg/_ext.abi3.so").call() == 12'

(umask 077; TZ=Asia/Tokyo "$ELFMEND" repack -q --jobs 1 $whl -w o2)
same "the same bytes under another umask, time zone and number of threads" $new o2/*
exits 0 "the new wheel audits clean" "$ELFMEND" audit $new
exits 0 "a second repack has nothing to do" "$ELFMEND" repack $new -o o3
check "... says so" grep -F 'nothing to do' out
check "... and writes nothing" rmdir o3
exits 0 "... unless asked" "$ELFMEND" repack --copy-unchanged $new -w o3
same "... the same bytes under the same name" $new o3/"$(basename $new)"
check "... and nothing else" sh -c 'test "$(ls -A o3 | wc -l)" -eq 1'
exits 2 "... not into its own directory" "$ELFMEND" repack --copy-unchanged $new -w "$(dirname $new)"
rm -rf o3
exits 0 "... as JSON" "$ELFMEND" repack --json --copy-unchanged --local two $new $whl -w o3
conforms repack-1
check "... copied, with its digest; a broken one is mended as ever" python3 -c 'import hashlib, json
copied, written = json.load(open("out"))["wheels"]
assert (copied["status"], written["status"]) == ("copied", "written"), (copied, written)
assert copied["sha256"] == hashlib.sha256(open(copied["output"], "rb").read()).hexdigest()'
rm -rf o3
SOURCE_DATE_EPOCH=1600000000 "$ELFMEND" repack -q $whl -o o4 --build-tag 7mend
check "a build tag instead, in name and WHEEL" sh -c 'unzip -p o4/pkg-1.0-7mend-*.whl pkg-1.0.dist-info/WHEEL 2>/dev/null | grep -qx "Build: 7mend" || python3 -c "
import glob, zipfile; z = zipfile.ZipFile(glob.glob(\"o4/pkg-1.0-7mend-*.whl\")[0]); assert b\"Build: 7mend\\n\" in z.read(\"pkg-1.0.dist-info/WHEEL\")"'
check "SOURCE_DATE_EPOCH is every member's time" python3 -c 'import glob, zipfile
assert {i.date_time for i in zipfile.ZipFile(glob.glob("o4/*.whl")[0]).infolist()} == {(2020, 9, 13, 12, 26, 40)}'
exits 2 "--keep-name into the wheel's own directory: refused" "$ELFMEND" repack --keep-name $whl -o .

"$ELFMEND" repack $whl -o o5 --index index >index.out
check "a --hash= line with an index: that of the wheel" grep -q -- "--hash=sha256:$(sha256sum o5/*.whl | cut -d ' ' -f 1)\$" index.out
check "an index: page, wheel, metadata" sh -c 'test -f index/pkg/index.html -a -f index/pkg/index.json && cmp o5/*.whl index/pkg/*.whl && grep -q %2Bmend index/pkg/index.html && ls index/pkg/*.metadata'
check "... whose page names the versions that it has" python3 -c 'import json
assert json.load(open("index/pkg/index.json"))["versions"] == ["1.0+mend.1"]'
exits 0 "a directory whose parents are missing" "$ELFMEND" repack -q $whl -o up/and/down
check "... is made" test -f up/and/down/${new#made/}

mkdir source && cp libcublas.so.12 source/
exits 0 "a library copied in: exit 0" "$ELFMEND" repack $whl -o copied --strategy copy --allow-unverified --source source
check "... RECORD lists it, and the archive is as validators want it" python3 -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" copied/*.whl
check "... the SBOM has its hash, and the wheel's own name" python3 - <<'END'
import glob, hashlib, json, zipfile
z = zipfile.ZipFile(glob.glob("copied/*.whl")[0])
bill = json.loads(z.read("pkg-1.0+mend.1.dist-info/sboms/elfmend.cdx.json"))
assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
assert bill["metadata"]["component"]["purl"] == "pkg:pypi/pkg@1.0%2Bmend.1"
library, = bill["components"]
digest = hashlib.sha256(z.read(library["bom-ref"])).hexdigest()
assert library["hashes"] == [{"alg": "SHA-256", "content": digest}]
END
check "a wheel that got a path alone has none" sh -c '! python3 -m zipfile -l "$1" | grep sboms' - $new

mkdir bad
python3 -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" w bad/$whl pkg/__init__.py='x = 2'
exits 2 "a member that is not what RECORD says: exit 2" "$ELFMEND" repack bad/$whl -o o6
check "... names the file" grep -F pkg/__init__.py err
check "... and writes nothing" rmdir o6
exits 1 "verify reports it" "$ELFMEND" verify --fail-on warning bad/$whl
python3 -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" w bad/$whl pkg/more.py='x'
exits 2 "a member that RECORD does not list: exit 2" "$ELFMEND" repack bad/$whl -o o6
python3 -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" w bad/$whl ../up.py='x'
exits 2 "a name that climbs: exit 2" "$ELFMEND" repack bad/$whl -o o6
exits 2 "... from audit too" "$ELFMEND" audit bad/$whl
head -c 700 $whl > bad/$whl
exits 2 "a wheel that was cut off: exit 2" "$ELFMEND" repack bad/$whl $whl -o o7
check "... and the next one is done all the same" sh -c 'ls o7/pkg-1.0+mend.1-*.whl'
# cuBLAS 12 is wanted: what METADATA requires already stands for it, unless that is another major.
requiring() { # WANTED REQUIREMENT...
    wanted=$1; shift
    rm -rf r && cp -r w r && { printf 'Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n'; printf 'Requires-Dist: %s\n' "$@"; } > r/pkg-1.0.dist-info/METADATA
    mkdir -p required && python3 -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" r required/$whl
    exits "$wanted" "requires $*: exit $wanted" "$ELFMEND" repack --world manylinux required/$whl -o o9
}
for kept in nvidia-cublas-cu12 'nvidia-cublas-cu12 (>=11.5)' 'NVIDIA.cublas_cu12>=12.1,<12.5' 'nvidia-cublas-cu12<=12' 'nvidia-cublas-cu12!=12.3' \
    'nvidia-cublas-cu12==12.8.4.1 ; sys_platform == "linux"'; do
    requiring 0 "$kept"
    check "... and nothing else then" sh -c '! grep "^  require " out'
done
for other in 'nvidia-cublas-cu12==11.9' 'nvidia-cublas-cu12~=11.0' 'nvidia-cublas-cu12>=13' 'nvidia-cublas-cu12>=11,<12.0' 'nvidia-cublas-cu12<12'; do
    requiring 1 "$other"
    check "... for it is another major" sh -c 'grep -q "EM103.*libcublas.so.12" out && ! grep written out'
done
requiring 0 'nvidia-cublas-cu12==11.9; python_version < "3.9"' 'nvidia-cublas-cu12==12.8; python_version >= "3.9"'
exits 2 "the same as JSON, with one that has nothing to do" "$ELFMEND" repack --json bad/$whl $whl $new -o o8
conforms repack-1
check "... one report of all three, in order" python3 -c 'import json
assert [w["status"] for w in json.load(open("out"))["wheels"]] == ["refused", "written", "unchanged"]'

# What the wheel can do without is not repack's to require, and what is wrong inside of it is not for a command on a path in it.
mkdir -p l/pkg && cp -r w/pkg-1.0.dist-info l/
printf 'Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n' > l/pkg-1.0.dist-info/METADATA
"${CC:-cc}" -shared -fPIC -x c -o l/pkg/libctranslate2.so.4 -Wl,-soname,libctranslate2.so.4 - <<END
const char *name = "libnccl.so.2";
END
"${CC:-cc}" -shared -fPIC -x c -o l/pkg/_ext.abi3.so - -Wl,--no-as-needed,--disable-new-dtags,-rpath,'$ORIGIN:' -Ll/pkg -l:libctranslate2.so.4 <<END
int call(void) { return 1; }
END
mkdir loose && python3 -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" l loose/$whl
exits 0 "a wheel that can do without NCCL: exit 0" "$ELFMEND" audit -v --world manylinux loose/$whl
check "... a note, and the help is no repack" sh -c "grep -q '^note.EM103.: .*opens libnccl.so.2' out && grep -q \"^help: pip install 'nvidia-nccl-cu12' where the wheel is installed\" out"
check "... whoever packs it is told of the empty entry" grep -Fx "help: before it is packed: elfmend patch --set-rpath '\$ORIGIN' _ext.abi3.so" out
check "... nothing is said of a GPU" sh -c '! grep "for a GPU" out'
exits 0 "... which has nothing to do" "$ELFMEND" repack --world manylinux loose/$whl -o o10
finish
