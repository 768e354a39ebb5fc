#!/bin/sh
# What the planner must not do: lose an edge in any process, take a file that the loader cannot map, write what nobody asked for, or
# give up the whole for one part. Each tree is a plain directory of tiny libraries.
. "$ELFMEND_TOP/tests/tap"
so() { # OUTPUT [FLAGS...]: a library that needs all libraries named among the flags
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    echo "int f;" | "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -Wl,-z,noexecstack -x none "$@"
}
rpath() { echo "-Wl,--disable-new-dtags,-rpath,$1"; }
soname() { echo "-Wl,-soname,$1"; }
tag() { readelf -d "$1" | sed -n 's/.*(\(RPATH\|RUNPATH\)).*\[\(.*\)\]/\1 \2/p'; }
untouched() { check "$1" sh -c '! readelf -d "$1" | grep -E "RPATH|RUNPATH"' - "$2"; }
fix() { "$ELFMEND" fix --world manylinux "$@"; }

# Two imports load one library; one finds what it needs beside itself, the other does not. A path on the library would change the first.
so two/x/libq.so "$(soname libq.so)"
so two/a/libq.so "$(soname libq.so)"
so two/s/libs.so "$(soname libs.so)" two/a/libq.so
so two/e1.abi3.so "$(rpath '$ORIGIN/s:$ORIGIN/x')" two/s/libs.so -Wl,-rpath-link,two/a
so two/e2.abi3.so "$(rpath '$ORIGIN/s')" two/s/libs.so -Wl,-rpath-link,two/a
exits 1 "a path that would change what another import finds: refused" fix two
check "... with both places named" grep -F "libs.so would find libq.so" out
untouched "... and not written" two/s/libs.so

# A child inherits the path that its parent gets, and would find another library by it. The part that is sound is mended.
so child/libs/libk.so "$(soname libk.so)"
so child/nv/libk.so "$(soname libk.so)"
so child/nv/libm1.so "$(soname libm1.so)"
so child/libs/libc1.so "$(soname libc1.so)" child/libs/libk.so
so child/libs/liba.so "$(soname liba.so)" child/nv/libm1.so child/libs/libc1.so -Wl,-rpath-link,child/libs
so child/pkg/_e.abi3.so "$(rpath '$ORIGIN/../libs')" child/libs/liba.so -Wl,-rpath-link,child/libs -Wl,-rpath-link,child/nv
so child/other/libz1.so "$(soname libz1.so)"
so child/pkg2/_i.abi3.so child/other/libz1.so
exits 1 "a path that a child would inherit to its harm: refused" fix child
untouched "... and not written" child/libs/liba.so
tag child/pkg2/_i.abi3.so > got
echo 'RPATH $ORIGIN/../other' > wanted
same "... what is apart from it is mended" wanted got

# A file of the right name that is another machine's
so machine/a/libq.so "$(soname libq.so)"
so machine/z/libq.so "$(soname libq.so)"
so machine/pkg/_e.abi3.so machine/z/libq.so
printf '\267' | dd of=machine/a/libq.so bs=1 seek=18 conv=notrunc 2> /dev/null
exits 0 "another machine's library is passed over" fix machine
tag machine/pkg/_e.abi3.so > got
echo 'RPATH $ORIGIN/../z' > wanted
same "... the path leads to the one that can be mapped" wanted got

# Filters hold in every round
so filter/sub/libb.so "$(soname libb.so)"
so filter/libs1/liba.so "$(soname liba.so)" filter/sub/libb.so
so filter/pkg/_e.abi3.so filter/libs1/liba.so -Wl,-rpath-link,filter/sub
cp -a filter filter2
"$ELFMEND" fix --world manylinux --only '*_e*' filter > /dev/null
untouched "--only: what comes to light later is left alone too" filter/libs1/liba.so
"$ELFMEND" fix --world manylinux --ignore 'EM101:*liba*' filter2 > /dev/null
untouched "--ignore: likewise" filter2/libs1/liba.so

# Directories that a path list cannot name
so "colon/a:b/libq.so" "$(soname libq.so)"
so colon/pkg/_e.abi3.so "colon/a:b/libq.so"
exits 1 "a directory with a colon: refused" fix colon
check "... in these words" grep -F 'cannot be spelled in a path list' out
so "dollar/a\$LIB/libq.so" "$(soname libq.so)"
so dollar/pkg/_e.abi3.so "dollar/a\$LIB/libq.so"
exits 1 "a directory with a token in it: refused" fix dollar
untouched "... and not written" dollar/pkg/_e.abi3.so

# A link is not written through: a package manager has linked a distribution to its cache
so link/libs/libq.so "$(soname libq.so)"
so cache/_e.abi3.so link/libs/libq.so
mkdir link/pkg
ln -s ../../cache/_e.abi3.so link/pkg/_e.abi3.so
mkdir link/demo-1.0.dist-info
printf 'Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n' > link/demo-1.0.dist-info/METADATA
printf 'pkg/_e.abi3.so,,\nlibs/libq.so,,\ndemo-1.0.dist-info/METADATA,,\ndemo-1.0.dist-info/RECORD,,\n' > link/demo-1.0.dist-info/RECORD
exits 1 "an object that is a link: refused" fix link
check "... says what to do" grep -F -e '--link-mode=copy' out
untouched "... and its file is as it was" cache/_e.abi3.so

# Judgements
so plug/dep/libq.so "$(soname libq.so)"
so plug/pkg/libplug1.so plug/dep/libq.so
so plug/pkg/libplug2.so
exits 1 "a library at hand is no variant's business" "$ELFMEND" audit --world manylinux plug
so version/w/libq.so "$(soname libq.so)"
so version/pkg/_e.abi3.so "$(rpath '$ORIGIN/../w')" version/w/libq.so
printf '\2' | dd of=version/w/libq.so bs=1 seek=20 conv=notrunc 2> /dev/null
exits 1 "a file of another ELF version" "$ELFMEND" audit --world manylinux version
check "... is EM107, whatever the loader's words" sh -c 'grep -F "error[EM107]" out && ! grep -F EM105 out'

# A copy lies beside the object that asks for it, and is found from there whoever loads that object: by its consumer, whose path it
# inherits, or by itself.
so copy/from/libmember.so.1 "$(soname libmember.so.1)"
so copy/v/pkg.libs/libshim.so.1 "$(soname libshim.so.1)" copy/from/libmember.so.1
so copy/v/pkg/_e.abi3.so "$(rpath '$ORIGIN/../pkg.libs')" copy/v/pkg.libs/libshim.so.1 -Wl,-rpath-link,copy/from
exits 0 "a copy beside an object that inherits its path" fix --strategy copy --source copy/from --allow-unverified copy/v
check "... which its consumer finds" "${PYTHON:-python3}" -c 'import ctypes; ctypes.CDLL("copy/v/pkg/_e.abi3.so")'
check "... and the object alone does too" "${PYTHON:-python3}" -c 'import ctypes; ctypes.CDLL("copy/v/pkg.libs/libshim.so.1")'

# Many objects that must be left alone cost no more than many objects
so many/nv/libm1.so "$(soname libm1.so)"
so many/nv/libz.so.1 "$(soname libz.so.1)"
so many/p/m0.abi3.so many/nv/libm1.so many/nv/libz.so.1
i=0
while [ $i -lt 200 ]; do i=$((i + 1)); cp many/p/m0.abi3.so many/p/m$i.abi3.so; done
if [ -n "$ELFMEND_CHECKER" ]; then
    skip "two hundred barred objects in 256 MB" "the $ELFMEND_CHECKER needs addresses for itself"
else
    check "two hundred barred objects in 256 MB" sh -c 'ulimit -v 262144; "$ELFMEND" fix --dry-run many > /dev/null; [ $? -eq 1 ]'
fi

# Mistakes on the command line
exits 2 "--plan without --dry-run: exit 2" "$ELFMEND" fix --plan p.json two
check "... no plan, nothing done" test ! -e p.json
exits 2 "the beginning of an option is none" "$ELFMEND" fix --allow two
exits 2 "two words for one option" "$ELFMEND" audit --fail-on 'error|warning' two
finish
