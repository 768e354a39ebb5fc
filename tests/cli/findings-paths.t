#!/bin/sh
# Search paths by what comes of them: a warning where an import looks for a library in a place that others decide, a note where
# nothing is ever sought there, silence where the path is sound.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1; shift
    echo 'int f(void) { return 1; }' > o.c
    "${CC:-cc}" -shared -fPIC -o "$out" o.c -Wl,--no-as-needed -Wl,-z,noexecstack "$@" || exit 1
}
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }
runpath() { echo "-Wl,--enable-new-dtags,-rpath,$1"; }
soname() { echo "-Wl,-soname,$1"; }
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }

object v/libs/libleaf.so.1 "$(soname libleaf.so.1)"
# The current directory
object v/sound/ext.so "$(rpath '$ORIGIN/../libs')" v/libs/libleaf.so.1
object v/behind/ext.so "$(runpath '$ORIGIN/../libs:')" v/libs/libleaf.so.1
object v/before/ext.so "$(runpath ':$ORIGIN/../libs')" v/libs/libleaf.so.1
object v/relative/ext.so "$(rpath 'libs:$ORIGIN/../libs')" v/libs/libleaf.so.1
exits 0 "warnings are no failure" "$ELFMEND" audit -v v
silent "a sound path: no word" 'sound/ext.so'
finds "an empty entry that nothing reaches: a note" '^note\[EM301\]: behind/ext.so: .*with an empty entry'
finds "one that is searched first: a warning" '^warning\[EM301\]: before/ext.so'
finds "... says what is sought there" '^  sought +libleaf.so.1'
finds "... and the command" "^help: elfmend patch --set-rpath '\\\$ORIGIN/../libs' .*before/ext.so"
finds "a relative entry" '^warning\[EM301\]: relative/ext.so: searches libs below the current directory'
check "the command does it" sh -c "$(grep -o "elfmend patch --set-rpath .*before/ext.so" out | sed "s|^elfmend|'$ELFMEND'|")"
exits 0 "... and the audit" "$ELFMEND" audit -v v
silent "... has no word about it any more" 'before/ext.so'

# Nowhere, and where anyone may write
mkdir -p open shut; chmod 1777 open
here=$PWD
object w/nowhere/ext.so "$(runpath '/opt/build-machine/lib:$ORIGIN/nothing')"
object w/writable/ext.so "$(runpath "$here/open:\$ORIGIN/../libs")" v/libs/libleaf.so.1
object w/makeable/ext.so "$(runpath "$here/open/build/lib:\$ORIGIN/../libs")" v/libs/libleaf.so.1
object w/idle/ext.so "$(runpath "\$ORIGIN/../libs:$here/open")" v/libs/libleaf.so.1
object w/shut/ext.so "$(runpath "$here/shut:\$ORIGIN/../libs")" v/libs/libleaf.so.1
object w/libs/libleaf.so.1 "$(soname libleaf.so.1)"
object w/both/ext.so "$(runpath '$ORIGIN')"
exits 0 "audit" "$ELFMEND" audit -v w
finds "directories that are not there: a note" '^note\[EM302\]: nowhere/ext.so'
finds "... lists them" '^  entry +/opt/build-machine/lib'
finds "... of the environment too" '^  entry +\$ORIGIN/nothing'
finds "a directory that anyone may write, searched: a warning" '^warning\[EM303\]: writable/ext.so: .*anyone may put files'
finds "one that anyone may make" '^warning\[EM303\]: makeable/ext.so: .*anyone may make that directory'
finds "one behind the answer: a note" '^note\[EM303\]: idle/ext.so'
silent "one that only its owner may write: no word" 'shut/ext.so'

# The linker writes one tag or the other; an old patch tool both. A spare entry becomes DT_RPATH with the RUNPATH's string.
"${PYTHON:-python3}" - w/both/ext.so <<'END'
import struct, subprocess, sys
path = sys.argv[1]
line = [l for l in subprocess.run(["readelf", "-dW", path], capture_output=True, text=True).stdout.splitlines() if "at offset" in l][0]
at = int(line.split("offset ")[1].split()[0], 16)
data = bytearray(open(path, "rb").read())
while True:
    tag, value = struct.unpack_from("<qQ", data, at)
    if tag == 29: string = value
    if tag == 0: break
    at += 16
struct.pack_into("<qQ", data, at, 15, string)
open(path, "wb").write(data)
END
exits 0 "both tags" "$ELFMEND" audit -v w
finds "... a note" '^note\[EM305\]: both/ext.so: has DT_RPATH and DT_RUNPATH'

# A driver's stand-in before the driver
mkdir -p cuda/lib64/stubs cuda/compat
object cuda/lib64/stubs/libcuda.so.1 "$(soname libcuda.so.1)"
object x/ext.so "$(runpath "$here/cuda/lib64/stubs")"
object y/ext.so
exits 1 "a stub: exit 1" "$ELFMEND" audit x
finds "EM304" '^error\[EM304\]: ext.so: finds the stub libcuda.so.1 of .*/stubs before the driver'
exits 0 "out of reach: exit 0" "$ELFMEND" audit -v y
silent "... and no word" EM304
exits 1 "by LD_LIBRARY_PATH: exit 1" "$ELFMEND" audit --ld-library-path "$here/cuda/lib64/stubs" y
finds "... EM304 about the directory" '^error\[EM304\]: .*/stubs: is in LD_LIBRARY_PATH'
exits 0 "a compat directory without libcuda" "$ELFMEND" audit -v --ld-library-path "$here/cuda/compat" y
silent "... no word" EM304
object cuda/compat/libcuda.so.1 "$(soname libcuda.so.1)"
exits 0 "with it" "$ELFMEND" audit --ld-library-path "$here/cuda/compat" y
finds "... a warning: the machine decides" '^warning\[EM304\]'
finish
