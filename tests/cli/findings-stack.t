#!/bin/sh
# Executable stacks, EM106: an error where the modelled glibc refuses them (from 2.41 on), a warning where it does not yet. The right
# is taken from an object whose code has no use for it, and left to one that builds functions on its stack.
. "$ELFMEND_TOP/tests/tap"
so() { # OUTPUT FLAGS...: of the C code on stdin
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -Wl,--no-warn-execstack -x none "$@" || exit 1
}
plain() { so "$1" -Wl,-z,noexecstack -Wl,-soname,"$(basename "$1")"; }
stack() { readelf -lW "$1" | sed -n 's/.*GNU_STACK.* \(R[WE ]*\) *0x.*/\1/p' | tr -d ' '; }
is() { if [ "$1" = "$2" ]; then ok 0 "$3"; else echo "'$1', not '$2'" > log; ok 1 "$3" log; fi; }
"$ELFMEND" doctor --world here.json > out 2>&1
sed 's/"version": ".*"/"version": "2.41"/' here.json > new.json
sed 's/"version": ".*"/"version": "2.40"/' here.json > old.json

echo 'int leaf(void) { return 1; }' | so v/pkg/libleaf.so.1 -Wl,-soname,libleaf.so.1 -Wl,-z,execstack
echo 'int leaf(void); int f(void) { return leaf(); }' |
    so v/pkg/_ext.abi3.so -Wl,-z,noexecstack -Wl,--disable-new-dtags,-rpath,'$ORIGIN' v/pkg/libleaf.so.1
exits 0 "under glibc 2.40: no error" "$ELFMEND" audit --world old.json v
check "... a warning of what is to come" grep -F 'warning[EM106]: pkg/libleaf.so.1: asks for an executable stack, which glibc refuses from 2.41 on' out
exits 1 "under 2.41: an error" "$ELFMEND" audit --world new.json v
check "... of the library that asks for it" grep -F 'error[EM106]: pkg/libleaf.so.1: asks for an executable stack, which this glibc refuses' out
check "... once" sh -c 'test "$(grep -c EM106 out)" -eq 1'
check "... with the loader's words" grep -E 'the loader +cannot enable executable stack as shared object requires' out
check "... and who needs it" grep -E 'asked for +by pkg/_ext.abi3.so' out
exits 1 "as JSON" "$ELFMEND" audit --json --world new.json v
conforms audit-1
check "... fix would clear it" grep -F '"action": "clear-execstack"' out
exits 1 "a dry run" "$ELFMEND" fix --dry-run --plan plan.json --world new.json v
check "... says so" grep -F 'clear-execstack  pkg/libleaf.so.1' out
cp plan.json out
conforms plan-1
exits 0 "fix: exit 0" "$ELFMEND" fix --yes --world new.json v
is "$(stack v/pkg/libleaf.so.1)" RW "it asks for it no longer"
exits 0 "undo" "$ELFMEND" undo v
is "$(stack v/pkg/libleaf.so.1)" RWE "... and it does again"
exits 0 "the plan file does the same" "$ELFMEND" apply plan.json
is "$(stack v/pkg/libleaf.so.1)" RW "... and says so in the object"
exits 0 "audited clean" "$ELFMEND" audit --world new.json v
check "... without a word" sh -c '! grep EM106 out'
exits 0 "a second fix" "$ELFMEND" fix --yes --world new.json v
check "... has nothing to do" grep -F 'nothing to do' out

# Paths and the stack of one object: two actions, one edit.
echo 'int far(void) { return 2; }' | plain w/lib/libfar.so.1
echo 'int far(void); int f(void) { return far(); }' | so w/pkg/_both.abi3.so -Wl,-z,execstack w/lib/libfar.so.1
cp w/pkg/_both.abi3.so both.so
exits 0 "a missing path and a stack: fix" "$ELFMEND" fix --yes --world new.json w
is "$(stack w/pkg/_both.abi3.so)" RW "... the stack"
check "... the path" sh -c "readelf -d w/pkg/_both.abi3.so | grep -F '\$ORIGIN/../lib'"
check "... and the real loader takes it" "${PYTHON:-python3}" -c 'import ctypes; assert ctypes.CDLL("w/pkg/_both.abi3.so").f() == 2'
exits 0 "undo" "$ELFMEND" undo w
check "... gives back the file" cmp both.so w/pkg/_both.abi3.so

# No PT_GNU_STACK at all: on this machine that asks for it too.
mkdir -p x/pkg
echo 'int f(void) { return 3; }' | plain x/pkg/_none.abi3.so
"${PYTHON:-python3}" - x/pkg/_none.abi3.so <<'END'
import struct, sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
table, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
gnu_stack = 0x6474E551
for at in range(table, table + size * count, size):
    if struct.unpack_from("<I", data, at)[0] == gnu_stack:
        struct.pack_into("<I", data, at, 0)
open(path, "wb").write(data)
END
case $(uname -m) in
    x86_64)
        exits 1 "no PT_GNU_STACK: an error" "$ELFMEND" audit --world new.json x
        check "... that names it" grep -F 'error[EM106]: pkg/_none.abi3.so: has no PT_GNU_STACK' out
        exits 0 "fix: exit 0" "$ELFMEND" fix --yes --world new.json x
        is "$(stack x/pkg/_none.abi3.so)" RW "... it has one now" ;;
    *) skip "no PT_GNU_STACK" "another machine's default" ;;
esac

# A nested function whose address is taken: GCC builds its entry on the stack.
cat > nested.c <<'END'
int twice(int (*f)(int), int x) { return f(f(x)); }
int call(int k) { int add(int x) { return x + k; } return twice(add, 1); }
END
if "${CC:-cc}" -shared -fPIC -O2 -w nested.c -o nested.so -Wl,--no-warn-execstack 2> log && [ "$(stack nested.so)" = RWE ]; then
    mkdir -p y/pkg && cp nested.so y/pkg/_nested.abi3.so
    exits 1 "code that builds functions on the stack: an error" "$ELFMEND" audit --world new.json y
    check "... the reason" grep -F "builds functions on the stack (GCC's trampolines)" out
    check "... and what helps" grep -F 'help: GLIBC_TUNABLES=glibc.rtld.execstack=2' out
    exits 1 "fix mends nothing" "$ELFMEND" fix --yes --world new.json y
    check "... and leaves it alone" cmp nested.so y/pkg/_nested.abi3.so
else
    skip "code that builds functions on the stack" "this compiler has no nested functions"
fi
finish
