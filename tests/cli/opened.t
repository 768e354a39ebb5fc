#!/bin/sh
# What a library needs that is itself only opened by name: without it the open fails, and that costs what the table says of the
# opening. A source may bring the opened library in a first round and what it needs in a second; an opening that is optional costs
# nothing, and neither does what it lacks.
. "$ELFMEND_TOP/tests/tap"
so() { # OUTPUT SONAME SOURCE [FLAGS...]
    out=$1 name=$2 text=$3; shift 3
    mkdir -p "$(dirname "$out")"
    echo "$text" | "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,-soname,"$name" -Wl,-z,noexecstack -Wl,--no-as-needed -x none "$@"
}
opener='#include <dlfcn.h>
int opens(void) { return dlopen("libcublas.so.12", RTLD_NOW) ? 12 : 0; }
void *optional(void) { return dlopen("libnccl.so.2", RTLD_NOW); }'
so source/libcublasLt.so.12 libcublasLt.so.12 'int lt;'
so source/libcublas.so.12 libcublas.so.12 'int cublas;' source/libcublasLt.so.12
so v/libs/libctranslate2.so.4 libctranslate2.so.4 "$opener"
so v/pkg/_ext.abi3.so _ext.abi3.so 'int x;' -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../libs' v/libs/libctranslate2.so.4
opens() { "$python" -c 'import ctypes, sys
ctypes.CDLL(sys.argv[1] + "/pkg/_ext.abi3.so")
sys.exit(ctypes.CDLL(sys.argv[1] + "/libs/libctranslate2.so.4").opens() != 12)' "$1"; }

exits 0 "one that only a GPU would want is nowhere, and no GPU is spoken of: exit 0" "$ELFMEND" audit --world manylinux v
exits 1 "... for a GPU: exit 1" "$ELFMEND" audit --world manylinux --gpu sm_90 v
exits 0 "copied with what it needs in turn: exit 0" \
    "$ELFMEND" fix --yes --world manylinux --strategy copy --allow-unverified --source source v
check "... both are there" test -f v/libs/libcublas.so.12 -a -f v/libs/libcublasLt.so.12
check "the real loader opens it" opens v

so half/libs/libctranslate2.so.4 libctranslate2.so.4 "$opener"
so half/pkg/_ext.abi3.so _ext.abi3.so 'int x;' -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../libs' half/libs/libctranslate2.so.4
cp source/libcublas.so.12 half/libs/
check "the loader refuses one that lacks what it needs" sh -c '! "$@"' - "$python" -c 'import ctypes
ctypes.CDLL("half/libs/libcublas.so.12")'
exits 1 "half of it is there: exit 1" "$ELFMEND" audit --world manylinux half
check "... what is missing, and whose it is" grep -F 'error[EM103]: libs/libcublas.so.12: needs libcublasLt.so.12' out

cp -a v optional
so source/libdeep.so.3 libdeep.so.3 'int deep;'
so optional/libs/libnccl.so.2 libnccl.so.2 'int nccl;' source/libdeep.so.3
exits 0 "an opening that is optional: what it lacks is no error" "$ELFMEND" audit --world manylinux optional

# What an object says itself that it opens (UAPI.12): required, by the first of two names that is there, and optional by the dozen
note() { # FILE JSON
    printf '.section .note.dlopen,"a",@note\n.balign 4\n.long 4, 2f-1f, 0x407c0c0a\n.asciz "FDO"\n1: .asciz "%s"\n2: .balign 4\n' \
        "$(printf %s "$2" | sed 's/"/\\"/g')" > "$1"
    echo '.section .note.GNU-stack,"",@progbits' >> "$1"
}
mkdir -p noted/libs
note note.s '[{"feature":"core","description":"the core does not run","priority":"required","soname":["libnew.so.2","libnew.so.1"]},
{"feature":"extra","soname":["libextra.so.1"]},{"feature":"more","priority":"suggested","soname":["libmore.so.3"]}]'
echo 'int x;' | "${CC:-cc}" -shared -fPIC -o noted/_ext.abi3.so -x c - -x assembler note.s -Wl,-z,noexecstack
so noted/libs/libnew.so.1 libnew.so.1 'int new;'
exits 1 "a note's required library, out of the path: exit 1" "$ELFMEND" audit -v --world manylinux noted
check "... EM102" grep -E 'error\[EM102\]: _ext.abi3.so: opens libnew.so.2 and will not find it' out
check "... what is lost, in the note's own words" grep -E '^  without it the core does not run$' out
check "... the optional ones are notes" grep -E '^note\[EM103\]: _ext.abi3.so: opens libextra.so.1' out
exits 0 "fix: exit 0" "$ELFMEND" fix --yes --world manylinux noted
exits 0 "... its second name is found" "$ELFMEND" explain --world manylinux noted libnew.so.1
note note.s '{"not":"an array"'
echo 'int x;' | "${CC:-cc}" -shared -fPIC -o noted/_ext.abi3.so -x c - -x assembler note.s -Wl,-z,noexecstack
exits 0 "a note that is no JSON says nothing" "$ELFMEND" audit --world manylinux noted
finish
