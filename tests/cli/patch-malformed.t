#!/bin/sh
# Objects whose headers contradict each other, made from a good one a field at a time: refused with the reason and left as they are,
# whichever name the program has; under patchelf's with its words for the matter too. What only looks odd is edited.
. "$ELFMEND_TOP/tests/tap"
ln -s "$ELFMEND" patchelf
cat > poke.py <<'END'
"""poke.py IN OUT WHERE VALUE: a copy of an ELF64 object with one field changed. WHERE names it by its place in the header, in a program
header by type, in a section header by name, in a section's bytes, or in the dynamic section by tag."""
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
where, value = sys.argv[3].split(":"), int(sys.argv[4], 0)
phoff, shoff = struct.unpack_from("<QQ", data, 32)
phentsize, phnum, shentsize, shnum, shstrndx = struct.unpack_from("<5H", data, 54)
header = {"shentsize": (58, "H"), "phentsize": (54, "H"), "phnum": (56, "H"), "shstrndx": (62, "H"), "phoff": (32, "Q"), "shoff": (40, "Q")}
phdr = {"type": (0, "I"), "offset": (8, "Q"), "vaddr": (16, "Q"), "filesz": (32, "Q"), "memsz": (40, "Q"), "align": (48, "Q")}
shdr = {"name": (0, "I"), "type": (4, "I"), "addr": (16, "Q"), "offset": (24, "Q"), "size": (32, "Q"), "align": (48, "Q")}
types = {"load": 1, "dynamic": 2, "interp": 3}
def section(name):
    names = struct.unpack_from("<Q", data, shoff + shstrndx * 64 + 24)[0]
    for i in range(shnum):
        at = names + struct.unpack_from("<I", data, shoff + i * 64)[0]
        if data[at:data.index(0, at)].decode() == name:
            return shoff + i * 64
    raise SystemExit(f"no section {name}")
if where[0] == "header":
    place, form = header[where[1]]
elif where[0] == "segment":
    base = [phoff + i * 56 for i in range(phnum) if struct.unpack_from("<I", data, phoff + i * 56)[0] == types[where[1]]][0]
    place, form = base + phdr[where[2]][0], phdr[where[2]][1]
elif where[0] == "section":
    place, form = section(where[1]) + shdr[where[2]][0], shdr[where[2]][1]
elif where[0] == "bytes":  # of a section, from its start or its end
    offset, size = struct.unpack_from("<QQ", data, section(where[1]) + 24)
    at = int(where[2])
    place, form = offset + (at if at >= 0 else size + at), where[3]
elif where[0] == "tag":
    offset, size = struct.unpack_from("<QQ", data, section(".dynamic") + 24)
    place = [at for at in range(offset, offset + size, 16) if struct.unpack_from("<Q", data, at)[0] == int(where[1])][0] + 8
    form = "Q"
struct.pack_into("<" + form, data, place, value & ((1 << 8 * struct.calcsize(form)) - 1))
open(sys.argv[2], "wb").write(data)
END
echo 'int f(void) { return 1; } int g(void) { return f(); }' > lib.c
echo 'int main(void) { return 0; }' > main.c
"${CC:-cc}" -shared -fPIC -Wl,-soname,libgood.so,-z,separate-code lib.c -o libgood.so -lm -Wl,--no-as-needed && "${CC:-cc}" main.c -o main ||
    { echo "1..0 # SKIP no compiler"; exit 0; }
[ "$(od -An -tx1 -j4 -N2 libgood.so | tr -d ' ')" = 0201 ] || { echo "1..0 # SKIP the fields are changed in 64-bit little-endian objects"; exit 0; }

# refused WHAT WHERE VALUE WORDS [OPTION...]: by both names; ours says why, and patchelf's words are there
refused() {
    what=$1 where=$2 value=$3 words=$4; shift 4
    [ $# -gt 0 ] || set -- --set-rpath /opt/lib
    "$python" poke.py libgood.so bad.so "$where" "$value" 2> err || { ok 1 "$what" err; return; }
    cp bad.so before
    exits 2 "$what is refused" "$ELFMEND" patch "$@" bad.so
    check "... with the file named" grep -q '^elfmend: bad.so: ' err
    exits 1 "... by patchelf's name too" ./patchelf "$@" bad.so
    check "... in words that scripts know" grep -q -- "$words" err
    same "... and left as it is" before bad.so
}
refused "a dynamic section that no PT_DYNAMIC announces" segment:dynamic:type 0x400 "cannot find section" --print-rpath --set-rpath /x
"$python" poke.py libgood.so bad.so segment:dynamic:type 0x400; cp bad.so before
exits 2 "it is refused with no other option" "$ELFMEND" patch --set-rpath /x bad.so
same "... and left as it is" before bad.so
refused "section names in no section" header:shstrndx 0xffff "string table index out of bounds"
refused "section names in a section too far" header:shstrndx 200 "string table index out of bounds"
refused "section names beyond the end" section:.shstrtab:size 0x7fffffffffffffff "data region extends past file end"
refused "no bytes of section names" section:.shstrtab:size 0 "string table size is zero"
refused "section names without an end" bytes:.shstrtab:-1:B 65 "string table is not zero terminated"
refused "a section's name outside of the names" section:.dynsym:name 0x7fffffff "section name offset out of bounds"
refused "section headers of another size" header:shentsize 48 "section headers have wrong size"
refused "a .dynamic beyond the end" section:.dynamic:offset 0x7fffffffffffff00 "data offset extends past file end"
refused "a .dynamic off its alignment" section:.dynamic:offset 1 "section content is not naturally aligned"
refused "a NEEDED outside of the strings" tag:1 0x7fffffff "string table index out of bounds"
refused "strings without an end" bytes:.dynstr:-1:B 65 "string table is not NUL-terminated"
refused "a DT_STRTAB that leads nowhere" tag:5 0x7fffffff0000 ""
refused "program headers beyond the end" header:phoff 0xfffffff0 "program header table out of bounds"
refused "section headers beyond the end" header:shoff 0xfffffff0 "section header table out of bounds"
refused "a PT_LOAD beyond the end" segment:load:filesz 0x7fffffff ""
echo 'f h' > map
refused "a GNU hash table without buckets" bytes:.gnu.hash:0:I 0 "hash table header out of range" --rename-dynamic-symbols map
refused "a GNU hash table with too many masks" bytes:.gnu.hash:8:I 0x7fffffff "hash table header out of range" --rename-dynamic-symbols map

# odd WHAT WHERE VALUE: edited, and loaded
odd() {
    "$python" poke.py libgood.so odd.so "$2" "$3"
    exits 0 "$1 is edited" "$ELFMEND" patch --set-rpath /opt/lib odd.so
    check "... to what was asked for" test "$("$ELFMEND" patch --print-rpath odd.so)" = /opt/lib
    check "... and loads" "$python" -c 'import ctypes; assert ctypes.CDLL("./odd.so").g() == 1'
}
odd "a section without a name" section:.dynsym:name 0
check "... with a warning" grep -q "warning: .* refers to an unnamed section" err
odd "an alignment of zero" section:.dynstr:align 0

# What objcopy --only-keep-debug leaves has headers whose bytes are elsewhere.
if objcopy --only-keep-debug main main.debug 2> log; then
    cp main.debug before
    exits 2 "a file of debug information has no interpreter to set" "$ELFMEND" patch --set-interpreter /x main.debug
    exits 0 "for patchelf there is nothing to do" ./patchelf --set-interpreter /x --set-rpath /y main.debug
    check "... and it says so" grep -q "debug information only" err
    same "... and does nothing" before main.debug
    exits 0 "show knows it" "$ELFMEND" show main.debug
else
    skip "a file of debug information" "no objcopy"
fi
# patchelf has left programs whose first PT_LOAD ends before .dynamic. They run, since pages are mapped as a whole: we read what they are.
cat > cut.py <<'END'
"""cut.py IN OUT: the PT_LOAD that has .dynamic ends where that begins"""
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
phoff, phnum = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
headers = [(phoff + i * 56, *struct.unpack_from("<IIQQQQQQ", data, phoff + i * 56)) for i in range(phnum)]
dynamic = next(h for h in headers if h[1] == 2)
for at, kind, _, offset, vaddr, _, filesz, memsz, _ in headers:
    if kind == 1 and vaddr < dynamic[4] < vaddr + filesz and filesz == memsz:
        struct.pack_into("<QQ", data, at + 32, dynamic[4] - vaddr, dynamic[4] - vaddr)
        open(sys.argv[2], "wb").write(data)
        break
else:
    sys.exit("its PT_LOAD has memory that the file has not")
END
echo 'int seven(void) { return 7; } void *here = &here;' > seven.c
if "${CC:-cc}" -shared -fPIC -nostdlib -Wl,-z,norelro -Wl,-rpath,/old seven.c -o whole.so 2> log && "$python" cut.py whole.so cut.so 2>> log &&
    "$python" -c 'import ctypes; assert ctypes.CDLL("./cut.so").seven() == 7' 2>> log; then
    exits 0 "what is mapped by the rest of a page alone is read" "$ELFMEND" patch --print-rpath cut.so
    is /old "$(cat out)" "... as it is"
    exits 0 "the loader's model takes it too" "$ELFMEND" trace ./cut.so
    cp cut.so before
    exits 2 "no edit is safe there" "$ELFMEND" patch --set-rpath /new cut.so
    check "... for that reason" grep -q 'where no PT_LOAD has it' err
    same "... and none is made" before cut.so
else
    skip "a dynamic section behind its PT_LOAD" "$(tail -1 log)"
fi
finish
