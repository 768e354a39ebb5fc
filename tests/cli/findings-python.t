#!/bin/sh
# Modules against the Python and the NumPy that are installed, told from the files; and silence about those that fit.
. "$ELFMEND_TOP/tests/tap"
[ -n "${PYTHON:-}" ] || if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi
"$ELFMEND_TOP/fixtures/standin" --extra --cudnn none --no-cublas v
site=$(echo v/lib/python3*/site-packages)
suffix=$("$PYTHON" -I -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
tag=${suffix#.}; tag=${tag%.so}
rm -r "$site"/ctranslate2*

distribution() { # NAME VERSION METADATA-LINE FILE...
    info=$site/$1-$2.dist-info; mkdir "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s' "$1" "$2" "$3" > "$info/METADATA"
    shift 3
    for file in "$@"; do echo "$file,,"; done > "$info/RECORD"
}
module() { # FILE STRING...: one that uses a capsule, as import_array() does, and holds these strings
    mkdir -p "$(dirname "$site/$1")"
    out=$site/$1; shift
    { echo 'void *PyCapsule_GetPointer(void *, const char *); void *use(void) { return PyCapsule_GetPointer(0, 0); }'
      for string; do printf 'const char *s%s(void) { return "%s"; }\n' "$(printf %s "$string" | cksum | cut -d' ' -f1)" "$string"; done
    } > m.c
    "${CC:-cc}" -shared -fPIC -o "$out" m.c || exit 1
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }

mkdir "$site/numpy"; echo > "$site/numpy/__init__.py"
distribution numpy 2.1.3 '' numpy/__init__.py
module "old/a$suffix" numpy.core._multiarray_umath 'numpy.core.multiarray failed to import'
module "old/b$suffix" 'numpy.core.multiarray failed to import'
distribution old 1.0 'Requires-Dist: numpy>=1.20
' "old/a$suffix" "old/b$suffix"
module "new/a$suffix" numpy._core._multiarray_umath numpy.core._multiarray_umath
module "new/bind$suffix" numpy.core.multiarray
distribution new 1.0 '' "new/a$suffix" "new/bind$suffix"

exits 1 "NumPy 2: exit 1" "$ELFMEND" audit v
finds "EM501 for the module of NumPy 1" '^error\[EM501\]: .*/old/a.*: is built against NumPy 1, and NumPy 2.1.3 is installed'
finds "... the second in its evidence" '^  also .*/old/b'
finds "... what it requires" '^  requires +numpy>=1.20'
finds "... what it says when it fails" 'A module that was compiled using NumPy 1.x'
finds "... or says" '^  or with +numpy.core.multiarray failed to import'
finds "... or says" '^  or with +numpy.dtype size changed'
finds "... what to do" "^help: pip install 'numpy<2'"
silent "a module that serves both, and pybind11's plain name: no finding" 'EM501.*new/'
if [ "$(grep -c EM501 out)" = 1 ]; then ok 0 "one finding for the distribution"; else ok 1 "one finding for the distribution" out; fi

distribution other 3.0 'Requires-Dist: numpy>=2.0
'
exits 1 "another package wants NumPy 2" "$ELFMEND" audit v
finds "... is named" '^  against it other 3.0 requires numpy>=2.0'
finds "... and the advice is another" '^help: pip install --upgrade old'

rm -r "$site/numpy-2.1.3.dist-info"
distribution numpy 1.26.4 '' numpy/__init__.py
exits 0 "under NumPy 1 both work: exit 0" "$ELFMEND" audit v
silent "... and no word" EM501

# Another Python
module foreign/x.cpython-30-x86_64-linux-gnu.so
module "foreign/y.$(echo "$tag" | sed 's/x86_64/aarch64/; t; s/aarch64/x86_64/')".so
distribution foreign 0.1 '' foreign/x.cpython-30-x86_64-linux-gnu.so
module both/x.cpython-30-x86_64-linux-gnu.so
module "both/x$suffix"
module both/z.abi3.so
module both/z.cpython-30-x86_64-linux-gnu.so
distribution both 0.1 '' "both/x$suffix" both/x.cpython-30-x86_64-linux-gnu.so both/z.abi3.so \
    both/z.cpython-30-x86_64-linux-gnu.so
exits 1 "another Python: exit 1" "$ELFMEND" audit v
finds "EM502, with the tag and this Python" '^error\[EM502\]: .*foreign/x.cpython-30.*: is built for cpython-30-x86_64-linux-gnu, and this is CPython 3'
finds "... what to do" "^help: pip install --force-reinstall --no-deps 'foreign==0.1'"
finds "another machine" '^error\[EM502\]: .*foreign/y'
silent "one of several builds fits: no finding" 'EM502.*both/'
finish
