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
rm -r "$site"/foreign* "$site"/both*

# Files under a module's name that no loader of this machine takes: what the import says is what audit says
for name in _other _short _apple _text; do
    module "odd$name/m.abi3.so"
    distribution "odd$name" 2.0 '' "odd$name/m.abi3.so"
done
machine=$(od -An -tx1 -j18 -N1 "$site/odd_other/m.abi3.so" | tr -d ' ')
if [ "$machine" = b7 ]; then other='\076' named=x86-64; else other='\267' named=aarch64; fi # EM_AARCH64 is 0xb7, EM_X86_64 0x3e
printf "$other" | dd of="$site/odd_other/m.abi3.so" bs=1 seek=18 conv=notrunc 2> dd.log
echo short > "$site/odd_short/m.abi3.so"
printf '\317\372\355\376 and so on, for sixteen bytes' > "$site/odd_apple/m.abi3.so"
echo "int this_is_no_object, and_it_is_longer, than_the_header_of_any_object, of_32_or_64_bits;" > "$site/odd_text/m.abi3.so"
for name in _other _short _apple _text; do
    if "v/bin/python" -I -c "import odd$name.m" > log 2>&1; then ok 1 "odd$name: the import fails" log; else ok 0 "odd$name: the import fails"; fi
    cp log "said$name"
done
exits 1 "audit: exit 1" "$ELFMEND" audit v
finds "EM107 for another machine's" "^error\[EM107\]: .*odd_other/m.abi3.so: cannot be loaded: it is for $named, and"
finds "... macOS's" '^error\[EM107\]: .*odd_apple/m.abi3.so: cannot be loaded: it is for macOS'
for name in _short _text; do
    why=$(sed -n "s/^ImportError: .*abi3.so: //p" "said$name")
    finds "... and, as the loader says, ${why:-nothing}" "^error\[EM107\]: .*odd$name/m.abi3.so: cannot be loaded: ${why:-no word}"
done
finds "... with what to do" "^help: pip install --force-reinstall --no-deps 'odd_other==2.0' with this environment's own pip"
check "... these four and no other" sh -c '[ "$(grep -c "^error" out)" -eq 4 ]'
for name in _other _short _apple _text; do module "odd$name/m$suffix"; done
: > "$site/odd_text/bare.so"
exits 0 "a build that fits lies beside each: exit 0" "$ELFMEND" audit v
rm -r "$site"/odd*

# A library that is there for another machine alone
module "own/m.abi3.so"
"${CC:-cc}" -shared -fPIC -o "$site/own/libown.so.1" -x c /dev/null -Wl,-soname,libown.so.1
"${CC:-cc}" -shared -fPIC -o "$site/own/m.abi3.so" -x c /dev/null -x none -Wl,--no-as-needed "$site/own/libown.so.1" '-Wl,-rpath,$ORIGIN'
distribution own 1.0 '' own/m.abi3.so own/libown.so.1
exits 0 "a module and its library: exit 0" "$ELFMEND" audit v
printf "$other" | dd of="$site/own/libown.so.1" bs=1 seek=18 conv=notrunc 2> dd.log
exits 1 "the library is another machine's: exit 1" "$ELFMEND" audit v
finds "... EM107" "^error\[EM107\]: .*own/m.abi3.so: needs libown.so.1, and what is here of that name is for $named"
finds "... where it is" '^  there is +libown.so.1 in .*/own +\(own 1.0\)'
finds "... what to do" "^help: pip install --force-reinstall --no-deps 'own==1.0'"
finish
