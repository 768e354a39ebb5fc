#!/bin/sh
# Libraries copied into a wheel: with the words under which they may be handed on, with a name that promises no older glibc than they
# need, and listed in RECORD and in the SBOM.
. "$ELFMEND_TOP/tests/tap"
pack() { "$python" -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" "$@"; }
sound() { check "... as validators want it" "$python" -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" "$@"; }
member() { "$python" -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' "$1" "$2"; }
so() { # OUTPUT FLAGS...: of the code on stdin
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -x none "$@" || exit 1
}
mkdir -p p/nvidia_cublas_cu12-12.1.dist-info/licenses/third w/pkg-1.0.dist-info/licenses
# gettid(2) came with glibc 2.30.
echo 'int gettid(void); int cublas(void) { return gettid(); }' | so p/nvidia/cublas/lib/libcublas.so.12 -Wl,-soname,libcublas.so.12
printf 'Metadata-Version: 2.1\nName: nvidia-cublas-cu12\nVersion: 12.1\n' > p/nvidia_cublas_cu12-12.1.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n' > p/nvidia_cublas_cu12-12.1.dist-info/WHEEL
echo 'under these terms' > p/nvidia_cublas_cu12-12.1.dist-info/License.txt
echo 'and those' > p/nvidia_cublas_cu12-12.1.dist-info/licenses/third/NOTICE
echo 'no licence' > p/nvidia_cublas_cu12-12.1.dist-info/top_level.txt
provider=nvidia_cublas_cu12-12.1-py3-none-any.whl
pack p $provider

echo 'int cublas(void); int call(void) { return cublas() > 0; }' | so w/pkg/_ext.abi3.so p/nvidia/cublas/lib/libcublas.so.12
echo 'ours' > w/pkg-1.0.dist-info/licenses/LICENSE
printf '[console_scripts]\npkg-run = pkg:run\n' > w/pkg-1.0.dist-info/entry_points.txt
platform=manylinux_2_17_x86_64.manylinux2014_x86_64
metadata() { printf 'Metadata-Version: %s\nName: pkg\nVersion: 1.0\nRequires-Dist: numpy; extra == "all"\nProvides-Extra: all\n%s\nText.\n' "$1" "$2"; }
wheel() { printf 'Wheel-Version: 1.0\nGenerator: somebody (1.2)\nRoot-Is-Purelib: false\n'; for tag in $(echo $1 | tr . ' '); do echo "Tag: cp311-abi3-$tag"; done; }
metadata 2.4 'License-File: LICENSE
' > w/pkg-1.0.dist-info/METADATA
wheel $platform > w/pkg-1.0.dist-info/WHEEL
whl=pkg-1.0-cp311-abi3-$platform.whl
pack w $whl

exits 0 "a copy from a wheel: exit 0" "$ELFMEND" repack $whl -o made --strategy copy --source $provider
new=made/pkg-1.0+mend.1-cp311-abi3-manylinux_2_30_x86_64.whl
check "the name promises what the copy needs" test -f $new
check "... which is said, with the reason" grep -F 'libcublas.so.12 needs glibc 2.30' out
sound $new
info=pkg-1.0+mend.1.dist-info
member $new $info/WHEEL > got
{ wheel manylinux_2_30_x86_64; } > wanted
same "WHEEL follows, and its Generator stays" wanted got
member $new $info/licenses/nvidia-cublas-cu12-12.1/License.txt > got
same "the copy's licence came along" p/nvidia_cublas_cu12-12.1.dist-info/License.txt got
member $new $info/METADATA > got
{ metadata 2.4 'License-File: LICENSE
License-File: nvidia-cublas-cu12-12.1/License.txt
License-File: nvidia-cublas-cu12-12.1/third/NOTICE
' | sed 's/^Version: 1.0/&+mend.1/'; } > wanted
same "METADATA names its licence files, and nothing else of it changed" wanted got
check "... nothing is required that was copied" sh -c '! grep nvidia-cublas-cu12[\>=] got'
member $new $info/entry_points.txt > got
same "entry points are as they were" w/pkg-1.0.dist-info/entry_points.txt got
check "the SBOM says where it comes from" "$python" - $new <<'END'
import hashlib, json, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
bill = json.loads(wheel.read("pkg-1.0+mend.1.dist-info/sboms/elfmend.cdx.json"))
library, = bill["components"]
assert library["purl"] == "pkg:pypi/nvidia-cublas-cu12@12.1" and library["version"] == "12.1"
assert library["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read(library["bom-ref"])).hexdigest()}]
assert bill["dependencies"] == [{"ref": bill["metadata"]["component"]["bom-ref"], "dependsOn": [library["bom-ref"]]}]
assert bill["metadata"]["tools"]["components"][0]["name"] == "elfmend"
assert bill["metadata"]["timestamp"] == "2024-05-06T07:08:10Z", "that of METADATA"
END
exits 0 "a second repack" "$ELFMEND" repack $new -o again --strategy copy --source $provider
check "... has nothing to do, and writes nothing" rmdir again
exits 0 "as JSON" "$ELFMEND" repack --json $whl -o json --strategy copy --source $provider
conforms repack-1
check "... with the licences and the tags" "$python" -c 'import json; w, = json.load(open("out"))["wheels"]
assert w["licences"] == ["nvidia-cublas-cu12-12.1/License.txt", "nvidia-cublas-cu12-12.1/third/NOTICE"], w
assert w["tags"] == "cp311-abi3-manylinux_2_30_x86_64", w'
same "... and the same bytes" $new json/*.whl

# Metadata before 2.4 has no word for licence files; a name that promises nothing stays.
metadata 2.1 '' > w/pkg-1.0.dist-info/METADATA
wheel linux_x86_64 > w/pkg-1.0.dist-info/WHEEL
pack w pkg-1.0-cp311-abi3-linux_x86_64.whl
exits 0 "older metadata, and no promise" "$ELFMEND" repack pkg-1.0-cp311-abi3-linux_x86_64.whl -o old --strategy copy --source $provider
sound old/pkg-1.0+mend.1-cp311-abi3-linux_x86_64.whl
member old/*.whl $info/METADATA > got
metadata 2.1 '' | sed 's/^Version: 1.0/&+mend.1/' > wanted
same "METADATA has another version alone" wanted got
check "... the licence is there all the same" member old/*.whl $info/licenses/nvidia-cublas-cu12-12.1/License.txt

# A source that is a wheel is verified once, and its streams are taken over as they are packed
mkdir large && cp -r p/. large && rm -f large/nvidia_cublas_cu12-12.1.dist-info/RECORD
head -c 5000000 /dev/urandom > large/nvidia/cublas/lib/table.bin
mkdir store && stored=store/$provider && pack large $stored
sleep 3 # what is younger than a clock's longest step is not remembered
for run in first second; do
    exits 0 "a large source, the $run time" "$ELFMEND" repack -q $whl -o $run-made --strategy copy --source $stored
done
check "... the same bytes" cmp first-made/*.whl second-made/*.whl
sound first-made/*.whl
check "... the library as it is packed in the source" "$python" - $stored first-made/*.whl <<'END'
import sys, zipfile
def packed(path):
    with zipfile.ZipFile(path) as wheel:
        info = next(i for i in wheel.infolist() if i.filename.endswith("/libcublas.so.12"))
        wheel.fp.seek(info.header_offset + 26)
        name, extra = (int.from_bytes(wheel.fp.read(2), "little") for _ in range(2))
        wheel.fp.seek(name + extra, 1)
        return wheel.fp.read(info.compress_size)
assert packed(sys.argv[1]) == packed(sys.argv[2])
END
with_changed() { # TARGET MEMBER: the source with a byte behind one member, and RECORD as it was
    mkdir -p "$1"
    "$python" - $stored "$1/$provider" "$2" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED) as new:
    for info in old.infolist():
        new.writestr(info, old.read(info) + (b"x" if info.filename.endswith(sys.argv[3]) else b""))
END
}
with_changed other table.bin
exits 0 "a source with a changed file that is not copied" "$ELFMEND" repack -q $whl -o other-made --strategy copy --source other/$provider
sound other-made/*.whl
with_changed same libcublas.so.12
exits 2 "a source whose library was changed: exit 2" "$ELFMEND" repack -q $whl -o bad --strategy copy --source same/$provider
check "... names it, and writes nothing" sh -c 'grep -F libcublas.so.12 err && ! ls bad/*.whl'

# Fetched by the package manager of the python3 in PATH, as its index settings say
if "$python" -m pip --version > log 2>&1; then
    mkdir bin cheese && cp $provider cheese/
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$(command -v "$python")" > bin/python3 && chmod +x bin/python3
    exits 0 "a copy from pip:REQUIREMENT" env PATH="$PWD/bin:$PATH" PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/cheese" ELFMEND_CACHE="$PWD/cache" \
        "$ELFMEND" repack $whl -o fetched --strategy copy --source 'pip:nvidia-cublas-cu12<13'
    member $new $info/RECORD > wanted
    member fetched/*.whl $info/RECORD > got
    same "... has the files that one from the wheel has" wanted got
    pipped() { # LOCK OUTPUT
        env PATH="$PWD/bin:$PATH" PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/cheese" ELFMEND_CACHE="$PWD/cache" "$ELFMEND" repack $whl \
            -o "$2" --strategy copy --source 'pip:nvidia-cublas-cu12<13' --require-hashes "$1"
    }
    printf 'nvidia-cublas-cu12==12.1 --hash=sha256:%s\n' "$(sha256sum $provider | cut -c1-64)" > lock
    printf 'nvidia-cublas-cu12==12.1 --hash=sha256:%064d\n' 0 > other-lock
    exits 0 "a copy from pip:REQUIREMENT, as a lock has the wheel" pipped lock locked
    check "... the same wheel" diff -r fetched locked
    exits 2 "a copy from pip:REQUIREMENT, as no lock has it: exit 2" pipped other-lock bad
    check "... says so" grep -F 'is not what other-lock asks for' err
    check "... and writes nothing" rmdir bad
else
    skip "a copy from pip:REQUIREMENT" "no pip here"
fi

# A licence that is not what its RECORD says
mkdir flipped && "$python" -m zipfile -e $provider flipped
echo 'under other terms' > flipped/nvidia_cublas_cu12-12.1.dist-info/License.txt
exits 2 "a licence that was changed: exit 2" "$ELFMEND" repack $whl -o bad --strategy copy --source flipped
check "... names it" grep -F License.txt err
check "... and writes nothing" rmdir bad

# A source that has it for another machine: said, and not required instead
cp -r flipped foreign
printf '\267' | dd of=foreign/nvidia/cublas/lib/libcublas.so.12 bs=1 seek=18 conv=notrunc 2> log
exits 2 "a library for another machine: exit 2" "$ELFMEND" repack $whl -o bad --strategy copy --source foreign
check "... says so" grep -F 'libcublas.so.12: cannot be used: it is for' err
check "... and writes nothing" rmdir bad

# By path nothing comes along, and the name's promise stands; what is required already is not required again.
for names in "" "Requires-Dist: NVIDIA_cublas.cu12 (>=12)
"; do
    metadata 2.1 "$names" > w/pkg-1.0.dist-info/METADATA
    wheel $platform > w/pkg-1.0.dist-info/WHEEL
    pack w $whl
    rm -rf path
    exits 0 "by path, requiring '$names'" "$ELFMEND" repack $whl -o path
    check "... the name is as it was" test -f path/pkg-1.0+mend.1-cp311-abi3-$platform.whl
    sound path/*.whl
    member path/*.whl $info/METADATA > got
    check "... required once" sh -c 'test "$(grep -ci "^Requires-Dist: nvidia.cublas" got)" -eq 1'
    check "... the extra's requirement as it was" grep -Fx 'Requires-Dist: numpy; extra == "all"' got
done
finish
