#!/bin/sh
# What rests on the order of imports, and what two packages own: EM202, EM206.
. "$ELFMEND_TOP/tests/tap"
object() { # OUTPUT FLAGS...
    mkdir -p "$(dirname "$1")"
    out=$1; shift
    echo 'int f(void) { return 1; }' > o.c
    "${CC:-cc}" -shared -fPIC -o "$out" o.c -Wl,--no-as-needed -Wl,-z,noexecstack "$@" || exit 1
}
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }
soname() { echo "-Wl,-soname,$1"; }
distribution() { # NAME VERSION METADATA-LINE FILE...
    info=v/$1-$2.dist-info; rm -rf "$info"; mkdir "$info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s' "$1" "$2" "$3" > "$info/METADATA"
    shift 3
    for file; do echo "$file,${digest:-},${size:-}"; done > "$info/RECORD"
}
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }

# vision's module has no path to base's library. It requires base, imports it first, and works.
object v/base/lib/libbase.so "$(soname libbase.so)"
object v/base/_C.abi3.so "$(rpath '$ORIGIN/lib')" v/base/lib/libbase.so
object v/vision/_C.abi3.so v/base/lib/libbase.so
distribution base 1.0 '' base/lib/libbase.so base/_C.abi3.so
distribution vision 1.0 'Requires-Dist: base
' vision/_C.abi3.so
exits 0 "a required package brings it: exit 0" "$ELFMEND" audit v
silent "... no word" 'EM[0-9]'
exits 0 "... a note" "$ELFMEND" audit -v v
finds "... EM202" '^note\[EM202\]: vision/_C.abi3.so: needs libbase.so, which is there once base has been imported'
exits 0 "fix has nothing to do" "$ELFMEND" fix --yes v
# base has the library and never loads it: then nobody brings it.
object v/base/_C.abi3.so
exits 1 "the required package does not load it: exit 1" "$ELFMEND" audit v
finds "... EM101" '^error\[EM101\]: vision/_C.abi3.so: needs libbase.so and will not find it'
# Not required at all
object v/base/_C.abi3.so "$(rpath '$ORIGIN/lib')" v/base/lib/libbase.so
distribution vision 1.0 '' vision/_C.abi3.so
exits 1 "a package that is not required brings nothing: exit 1" "$ELFMEND" audit v
finds "... EM103" '^error\[EM103\]: vision/_C.abi3.so'
rm -r v/vision*

# One path, two owners
digest=sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
object v/nvidia/x/lib/libx.so.1; object v/nvidia/x/lib/liby.so.1
distribution x-cu12 1.0 '' nvidia/x/lib/libx.so.1 nvidia/x/lib/liby.so.1
digest=sha256=BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
distribution x-cu13 1.0 '' nvidia/x/lib/libx.so.1 nvidia/x/lib/liby.so.1
exits 0 "two owners: a warning" "$ELFMEND" audit v
finds "... EM206" '^warning\[EM206\]: nvidia/x/lib/libx.so.1: is owned by several distributions'
finds "... the other file in its evidence" '^  also +nvidia/x/lib/liby.so.1$'
# A third that has one of the files too, and won both: still one cause. Its size is what tells whose bytes they are.
digest=sha256=CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC
size=1
distribution x-cu12 1.0 '' nvidia/x/lib/libx.so.1 nvidia/x/lib/liby.so.1
digest=sha256=DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD
distribution x-cu14 1.0 '' nvidia/x/lib/libx.so.1
size=
digest=sha256=BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
distribution x-cu13 1.0 '' nvidia/x/lib/libx.so.1 nvidia/x/lib/liby.so.1
exits 0 "three owners, two of one file: a warning" "$ELFMEND" audit v
check "... one" sh -c '[ "$(grep -c EM206 out)" -eq 1 ]'
finds "... the other file, with whose it is" '^  also +nvidia/x/lib/liby.so.1, listed by x-cu12 1.0, x-cu13 1.0, with the bytes of x-cu13 1.0$'
rm -r v/x-cu14*
digest=sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
distribution x-cu12 1.0 '' nvidia/x/lib/libx.so.1 nvidia/x/lib/liby.so.1
digest=sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
distribution x-cu13 1.0 '' nvidia/x/lib/libx.so.1 nvidia/x/lib/liby.so.1
exits 0 "two owners of the same bytes" "$ELFMEND" audit v
silent "... no word" EM206

# A file that both listed and that went with a third: one finding, and a note where it was empty
rm -rf v; mkdir -p v/ns/x v/ns/y
object v/ns/x/libx.so; object v/ns/y/liby.so
digest=sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU size=0
distribution x-cu12 1.0 '' ns/__init__.py
distribution y-cu12 2.0 '' ns/__init__.py
exits 0 "an empty file that two list is gone: exit 0" "$ELFMEND" audit v
silent "... no warning" EM602
exits 0 "... a note" "$ELFMEND" audit -v v
check "... one" sh -c '[ "$(grep -c EM602 out)" -eq 1 ]'
finds "... with the other that lists it" '^  also +y-cu12 2.0$'
size=5
distribution x-cu12 1.0 '' ns/__init__.py
exits 0 "a file that was not empty" "$ELFMEND" audit v
finds "... is a warning" '^warning\[EM602\]: ns/__init__.py'
finish
