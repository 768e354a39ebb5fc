#!/bin/sh
# MIPS, where the dynamic section is read-only and symbols keep the order of the global offset table: edits that other machines do not show.
. "$ELFMEND_TOP/tests/tap"
for tool in mips-linux-gnu-gcc qemu-mips; do
    command -v $tool > log 2>&1 || { echo "1..0 # SKIP no $tool"; exit 0; }
done
cat > host.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[1], RTLD_NOW);
    int (*named)(void) = library ? (int (*)(void))dlsym(library, argv[2]) : 0;
    if (!named) puts(dlerror());
    return !named || named() != 42;
}
END
echo 'int was(void) { return 42; } int stays(void) { return 42; }' > lib.c
echo "was is" > map
mips-linux-gnu-gcc host.c -o host -ldl && mips-linux-gnu-gcc -shared -fPIC -Wl,--hash-style=both lib.c -o lib.so \
    && mips-linux-gnu-gcc -shared -fPIC -Wl,--spare-dynamic-tags=1 lib.c -o full.so || { echo "1..0 # SKIP no libc for MIPS"; exit 0; }
finds() { # LIBRARY SYMBOL
    qemu-mips -L /usr/mips-linux-gnu ./host "./$1" "$2"
}

check "unedited, the symbol is found" finds lib.so was
is 1 "$(readelf -dW lib.so | grep -c 'MIPS_XHASH')" "by a table of MIPS's own kind, the one that a rename cannot keep"
check "it gets another name" "$ELFMEND" patch --rename-dynamic-symbols map lib.so
check "by which it is found" finds lib.so is
check "and the other symbol by its own" finds lib.so stays
finds lib.so was > log 2>&1; is 1 $? "and nothing by the old name"

for i in 1 2 3 4 5 6; do "$ELFMEND" patch --add-needed "./gone$i" full.so 2>> log; done
for i in 1 2 3 4 5 6; do "$ELFMEND" patch --remove-needed "./gone$i" full.so 2>> log; done
check "a library whose dynamic section moved is loaded" finds full.so was
readelf -lW full.so > headers
is "R" "$(sed -n 's/^  DYNAMIC .* \(R[ W]*[ E]*\) *0x[0-9a-f]*$/\1/p' headers | tr -d ' ')" "the dynamic section is read-only still"
is 1 "$(grep -c '^  LOAD.* RW ' headers)" "in a segment that is"
finish
