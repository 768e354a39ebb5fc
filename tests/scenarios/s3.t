#!/bin/sh
# S3: a matrix of torch, CUDA, cuDNN and NumPy that contradicts itself. The table as it is, and as findings what contradicts: no GPU
# and no import needed. On stand-ins.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
distribution() { # NAME VERSION METADATA-LINE FILE...
    info=$site/$1-$2.dist-info; mkdir "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s' "$1" "$2" "$3" > "$info/METADATA"
    shift 3
    for file; do echo "$file,,"; done > "$info/RECORD"
}
module() { # FILE STRING...
    mkdir -p "$(dirname "$site/$1")"
    out=$site/$1; shift
    { echo 'void *PyCapsule_GetPointer(void *, const char *); void *use(void) { return PyCapsule_GetPointer(0, 0); }'
      for string; do printf 'const char *s%s(void) { return "%s"; }\n' "$(printf %s "$string" | cksum | cut -d' ' -f1)" "$string"; done
    } > m.c
    "${CC:-cc}" -shared -fPIC -o "$out" m.c || exit 1
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }

# `libcudnn_ops_infer.so.8` wanted, cuDNN 9 installed; a module of NumPy 1 under NumPy 2, which another package asks for
"$standin" --cudnn mix v
site=$(echo v/lib/python3*/site-packages)
mkdir "$site/numpy"; distribution numpy 2.1.3 '' numpy/__init__.py; echo > "$site/numpy/__init__.py"
module ctranslate2/_np.abi3.so numpy.core._multiarray_umath
echo "ctranslate2/_np.abi3.so,," >> "$(echo "$site"/ctranslate2-*.dist-info)/RECORD"
distribution whisperx 3.1 'Requires-Dist: numpy>=2.0.2
'
exits 1 "audit: exit 1" "$ELFMEND" audit v
finds "the table: wanted 8, found none, NumPy 1" '^ctranslate2 4.4.0 +12 +8 +none +1 +>= 525.60.13$'
finds "EM104: another major is here" '^error\[EM104\]: .*libcudnn_ops_infer.so.8, and only another major is here'
finds "... which one, and whose" 'libcudnn.*\.so\.9 in .*nvidia-cudnn-cu12 9.10.2.21'
finds "... what resolves it" "(ctranslate2>=4.6.3|nvidia-cudnn-cu12>=8,<9)"
finds "EM501: from the module, without importing it" '^error\[EM501\]: .*_np.abi3.so: is built against NumPy 1, and NumPy 2.1.3'
finds "... the requirement that contradicts" '^  against it whisperx 3.1 requires numpy>=2.0.2'

# The same without contradictions
"$standin" w
"$ELFMEND" fix --yes w > log 2>&1
site=$(echo w/lib/python3*/site-packages)
mkdir "$site/numpy"; distribution numpy 1.26.4 '' numpy/__init__.py; echo > "$site/numpy/__init__.py"
exits 0 "an environment that works: exit 0" "$ELFMEND" audit w
finds "the table" '^ctranslate2 4.6.0 +12 +9 +9.10.2.21 +- +>= 525.60.13$'
silent "... and no finding" '\[EM[0-9]'
exits 0 "--json" "$ELFMEND" audit --json w
check "... has it too" "${PYTHON:-python3}" -c "
import json
f = json.load(open('out'))['targets'][0]['frameworks']
assert f == [{'name': 'ctranslate2', 'version': '4.6.0', 'cuda': '12', 'cudnn_wanted': '9', 'cudnn_found': '9.10.2.21',
              'numpy_abi': None, 'gpu': None, 'driver': '525.60.13'}], f"
exits 0 "--quiet prints no table" "$ELFMEND" audit --quiet w
silent "..." '^framework'
mkdir plain; "${CC:-cc}" -shared -fPIC -o plain/libx.so m.c
exits 0 "where nothing asks for CUDA" "$ELFMEND" audit plain
silent "... there is no table" '^framework'

# "forward compatibility was attempted on non supported HW"
mkdir -p cuda/compat
"${CC:-cc}" -shared -fPIC -Wl,-soname,libcuda.so.1 -o cuda/compat/libcuda.so.1 m.c
exits 0 "a compat libcuda in LD_LIBRARY_PATH" "$ELFMEND" audit --ld-library-path "$PWD/cuda/compat" w
finds "... EM304" '^warning\[EM304\]: .*compat libcuda.so.1 is found before the driver'
finish
