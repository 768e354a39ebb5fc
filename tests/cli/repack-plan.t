#!/bin/sh
# A wheel's plan in a file: apply makes of it the bytes that repack makes at once, refuses if the wheel or what is copied has changed since,
# and trusts nothing else that the file says.
. "$ELFMEND_TOP/tests/tap"
pack() { "$python" -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" "$@"; }
so() { # OUTPUT FLAGS...: of the code on stdin
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -x none "$@" || exit 1
}
mkdir -p p/nvidia_cublas_cu12-12.1.dist-info w/pkg-1.0.dist-info
# gettid(2) came with glibc 2.30: the tags have to follow.
echo 'int gettid(void); int cublas(void) { return gettid(); }' | so p/nvidia/cublas/lib/libcublas.so.12 -Wl,-soname,libcublas.so.12
printf 'Metadata-Version: 2.1\nName: nvidia-cublas-cu12\nVersion: 12.1\n' > p/nvidia_cublas_cu12-12.1.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n' > p/nvidia_cublas_cu12-12.1.dist-info/WHEEL
echo 'under these terms' > p/nvidia_cublas_cu12-12.1.dist-info/License.txt
provider=nvidia_cublas_cu12-12.1-py3-none-any.whl
pack p $provider
mkdir unpacked && "$python" -m zipfile -e $provider unpacked
echo 'int cublas(void); int call(void) { return cublas() > 0; }' | so w/pkg/_ext.abi3.so p/nvidia/cublas/lib/libcublas.so.12
printf 'Metadata-Version: 2.4\nName: pkg\nVersion: 1.0\n' > w/pkg-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-abi3-manylinux_2_17_x86_64\n' > w/pkg-1.0.dist-info/WHEEL
mkdir store && whl=store/pkg-1.0-cp311-abi3-manylinux_2_17_x86_64.whl
pack w $whl

for way in "path:--local site.3" "copy:--strategy copy --source $provider" "directory:--strategy copy --source unpacked --build-tag 7x" \
    "with:--with $provider --world manylinux --keep-name"; do
    name=${way%%:*} options=${way#*:}
    SOURCE_DATE_EPOCH=1600000000 "$ELFMEND" repack -q $whl -o $name-at-once $options
    SOURCE_DATE_EPOCH=1600000000
    export SOURCE_DATE_EPOCH
    exits 1 "$name: a dry run writes the plan" "$ELFMEND" repack $whl --dry-run --plan $name.json -o $name-planned $options
    unset SOURCE_DATE_EPOCH
    check "... and no wheel" test ! -e $name-planned
    cp $name.json out
    conforms plan-1
    exits 0 "... apply makes the wheel" "$ELFMEND" apply $name.json
    check "... where repack would have put it, the same bytes" diff -r $name-at-once $name-planned
    check "... as validators want it" "$python" -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" $name-planned/*.whl
    mkdir $name-there
    exits 0 "... from elsewhere, and to elsewhere" sh -c 'cd / && "$1" apply "$2/$3.json" -o "$2/$3-there" --index "$2/$3-index"' - \
        "$ELFMEND" "$PWD" $name
    check "... the same bytes" diff -r $name-at-once $name-there
    check "... and into an index" cmp $name-there/*.whl $name-index/pkg/*.whl
done
exits 0 "the same as JSON" "$ELFMEND" apply --json copy.json
conforms repack-1
check "... what was required, what came along" "$python" -c 'import json; w, = json.load(open("out"))["wheels"]
assert w["status"] == "written" and w["licences"] == ["nvidia-cublas-cu12-12.1/License.txt"], w
assert w["tags"] == "cp311-abi3-manylinux_2_30_x86_64" and not w["findings"], w'
# What is promised is empty but for its name, and opens others that nobody promised.
cp -r w c && echo 'int cudnn(void) { return 9; }' | so libcudnn.so.9 -Wl,-soname,libcudnn.so.9
echo 'int cudnn(void); int call(void) { return cudnn(); }' | so c/pkg/_ext.abi3.so libcudnn.so.9
mkdir cudnn && pack c cudnn/${whl#store/}
exits 1 "a wheel that needs cuDNN" "$ELFMEND" repack --json --dry-run --world manylinux cudnn/*.whl
check "... expects nothing to be wrong with itself" "$python" -c 'import json; w, = json.load(open("out"))["wheels"]
assert w["requires"] == ["nvidia-cudnn-cu12>=9,<10"] and w["plan"]["after"] == [], w'
exits 0 "a plan of nothing" "$ELFMEND" repack copy-planned/*.whl --dry-run --plan nothing.json
exits 0 "... is carried out" "$ELFMEND" apply nothing.json -o nothing
check "... and writes nothing" sh -c 'grep -q "nothing to do" out && rmdir nothing'
ln -s pkg-1.0-cp311-abi3-manylinux_2_17_x86_64.whl store/blob && mv $whl store/kept && mv store/blob store/wrong && ln -s kept $whl
exits 1 "a wheel that is reached by a link" "$ELFMEND" repack $whl --dry-run --plan link.json -o linked
exits 0 "... keeps its name" "$ELFMEND" apply link.json
check "... and its repair" ls linked/pkg-1.0+mend.1-cp311-abi3-manylinux_2_17_x86_64.whl
rm $whl && mv store/kept $whl

# What is refused
refused() { # WHAT PATTERN ARGUMENTS...
    what=$1 pattern=$2; shift 2
    exits 2 "$what: exit 2" "$ELFMEND" "$@"
    if [ ! -s out ] && [ "$(wc -l < err)" -eq 1 ] && grep -q -e "$pattern" err; then ok 0 "... and one line that says so"
    else ok 1 "... and one line that says so" log; fi
    check "... nothing is written" sh -c 'test ! -e bad || rmdir bad'
}
edited() { # CODE: the plan for a copy, with CODE run on it as p, into bad.json
    "$python" - "$1" <<'END2'
import json, sys
p = json.load(open("copy.json"))
w, a = p["wheel"], p["actions"]
exec(sys.argv[1])
json.dump(p, open("bad.json", "w"))
END2
}
refused "two wheels, one plan" "takes one wheel" repack --dry-run --plan bad.json $whl $whl -o bad
"$ELFMEND" repack $whl --dry-run --plan nowhere.json > out
refused "a plan that says not where to, and nobody else does" "names no directory" apply nowhere.json
refused "--no-undo of a wheel" "is for an environment" apply --no-undo copy.json -o bad
edited 'del p["wheel"]; p["inputs"] = []; p["actions"] = []'
refused "-o for an environment" "for a wheel's plan" apply bad.json -o bad
edited 'w["version"] = "../../1"'
refused "a version that leads elsewhere" "no wheel's name can have" apply bad.json -o bad
edited 'w["version"] = "1-2"'
refused "a version of two parts" "no wheel's name can have" apply bad.json -o bad
edited 'w["tags"] = "cp311-abi3"'
refused "tags that are two" "PYTHON-ABI-PLATFORM" apply bad.json -o bad
edited 'w["build"] = "x7"'
refused "a build tag without a digit" "begin with a digit" apply bad.json -o bad
edited 'w["requires"] = ["numpy\nRequires-Dist: evil"]'
refused "a requirement of two lines" "a control character" apply bad.json -o bad
licence='c = next(x for x in a if "/licenses/" in x["path"]);'
edited "$licence c['path'] = '../METADATA'"
refused "a licence that climbs" "'../METADATA'" apply bad.json -o bad
edited "$licence c['path'] = c['path'].split('/')[0] + '/METADATA'; a[:] = [c]"
refused "a licence over METADATA" "has a member already" apply bad.json -o bad
edited "$licence c['sha256'] = '0' * 64"
refused "a licence that was another" "does not have the sha256" apply bad.json -o bad
edited 'next(x for x in a if x["do"] == "sbom")["files"] = ["pkg/_ext.abi3.so"]'
refused "a bill of what is not copied" "which no action copies" apply bad.json -o bad
edited 'w["more"] = 1'
refused "a word that is not known" "does not know" apply bad.json -o bad
edited 'p["inputs"] = [i for i in p["inputs"] if i["path"] != w["path"]]'
refused "a wheel of which nothing is stated" "without saying in 'inputs'" apply bad.json -o bad
edited 'a.append({"do": "clear-execstack", "path": "pkg/none.so", "resolves": []})'
refused "a member that is not there" "no member that the plan changes: pkg/none.so" apply bad.json -o bad
edited 'c = next(x for x in a if x["do"] == "copy"); c["path"] = "pkg/_ext.abi3.so"; a[:] = [c]'
refused "a copy over a member" "has a member already" apply bad.json -o bad
edited 'a[:] = [{"do": "remove", "path": "pkg/_ext.abi3.so", "resolves": []}]'
refused "a member to be removed" "not for wheels" apply bad.json -o bad
edited 'next(x for x in a if x["do"] == "copy")["sha256"] = "0" * 64'
refused "a copy of other bytes" "does not have the sha256" apply bad.json -o bad
edited 'a[:] = [x for x in a if x["do"] == "copy"]; w["unpacked"] = []'
refused "a plan by which the wheel does not get well" "would have 1 errors once repacked where the plan expects 0" apply bad.json -o bad
echo 'under other terms' > unpacked/nvidia_cublas_cu12-12.1.dist-info/License.txt
refused "a licence that has changed since" "License.txt.*has changed since" apply directory.json -o bad
printf '\0' >> unpacked/nvidia/cublas/lib/libcublas.so.12
refused "a library that has changed since" "libcublas.so.12.*has changed since" apply directory.json -o bad
echo 'x = 1' > w/pkg/__init__.py
pack w $whl
refused "a wheel that has changed since" "has changed since the plan was made" apply copy.json -o bad
rm $whl
refused "a wheel that is gone" "is gone since the plan was made" apply copy.json -o bad
finish
