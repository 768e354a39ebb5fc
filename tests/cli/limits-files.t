#!/bin/sh
# Single files that ask for very much: a path list that stands for more than it is long, names by the thousand, a terabyte of nothing.
. "$ELFMEND_TOP/tests/tap"
check "3,000 libraries" "$python" - <<'END'
import os, subprocess
os.mkdir("stubs")
subprocess.run(["cc", "-x", "c", "-", "-shared", "-fPIC", "-nostdlib", "-o", "stubs/libn0.so"], input=b"int f(void) { return 1; }", check=True)
for i in range(1, 3000):
    os.link("stubs/libn0.so", f"stubs/libn{i}.so")
END

# Tokens that stand for more than they are long, in one entry: longer than any path is, and so it is not opened.
dollars() { # FILE TOKEN: 60,000 bytes of it
    "$python" -c 'import sys; print("-Wl,-rpath," + sys.argv[1] * (60000 // len(sys.argv[1])))' "$2" > dollars &&
        echo 'int f(void) { return 1; }' | "${CC:-cc}" -x c - -x none -shared -fPIC -nostdlib -Wl,--no-as-needed -Lstubs -l:libn1.so \
            -l:libn2.so @dollars -o "$1"
}
check "a path of tokens" dollars libs.so '$LIB'
check "a path of origins" dollars origins.so '$ORIGIN'
ends 1 "trace of them" "libn1.so" trace ./libs.so
ends 1 "trace of origins" "libn1.so" trace ./origins.so
ends 1 "... as musl would" "libn1.so" trace --libc musl ./origins.so

# Names of which each is the end of another, and many directories: --shrink-rpath tries them all, and keeps none of it.
check "1,800 long names, 140 directories" "$python" - <<'END'
import struct, subprocess, sys
with open("eighty", "w") as file:
    file.write("-Wl,-soname," + "n" * 2000 + ",-rpath," + ":".join(f"/usr/./nowhere/../{'./' * i}" for i in range(140)) + "\n")
    file.writelines(f"-l:libn{i}.so\n" for i in range(1800))
subprocess.run(["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed", "-Lstubs", "-o", "shrink.so", "@eighty"],
               input=b"int g(void) { return 1; }", check=True)
data = bytearray(open("shrink.so", "rb").read())
for i in range(struct.unpack_from("<H", data, 56)[0]):
    kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, struct.unpack_from("<Q", data, 32)[0] + 56 * i)
    if kind == 2:
        entries = [struct.unpack_from("<Qq", data, at) + (at,) for at in range(offset, offset + size, 16)]
soname = next(value for tag, value, _ in entries if tag == 14)
for i, at in enumerate(at for tag, _, at in entries if tag == 1):
    struct.pack_into("<Q", data, at + 8, soname + i)
open("shrink.so", "wb").write(data)
END
ends 0 "--shrink-rpath" "" patch --shrink-rpath --output shrunk.so shrink.so

# A file of which hardly anything is there is not read whole.
t=t/lib/python3.11/site-packages
mkdir -p $t/pkg && echo 'version = 3.11.2' > t/pyvenv.cfg
echo 'int g(void) { return 1; }' |
    "${CC:-cc}" -x c - -x none -shared -fPIC -nostdlib -Wl,--no-as-needed -Lstubs -l:libn1.so -o $t/pkg/x.abi3.so
cp stubs/libn1.so $t/pkg/
mkdir $t/pkg-1.dist-info
printf 'Metadata-Version: 2.1\nName: pkg\nVersion: 1\n' > $t/pkg-1.dist-info/METADATA
printf 'pkg/x.abi3.so,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,1099511627776\npkg/libn1.so,,\n' > $t/pkg-1.dist-info/RECORD
truncate -s 1T $t/pkg/x.abi3.so
for command in 'fix --yes' 'fix --dry-run --plan plan.json' verify; do
    ends 2 "$command of a terabyte" "hardly any of them are there" $command t
done
check "nothing is left of it" [ ! -e t/.elfmend ]
mkdir from && mv $t/pkg/libn1.so from && truncate -s 1T from/libn1.so && truncate -s 20000 $t/pkg/x.abi3.so
ends 2 "a source of a terabyte" "hardly any of them are there" fix --yes --strategy copy --allow-unverified --source from t
check "nothing is left of that either" [ ! -e t/.elfmend ]

# ... and not many of them, each of them within the bounds of one.
n=n/lib/python3.11/site-packages
mkdir -p $n/pkg-1.dist-info && cp t/pyvenv.cfg n && cp $t/pkg-1.dist-info/METADATA $n/pkg-1.dist-info
for i in 1 2 3 4 5; do
    truncate -s 1G $n/$i.bin
    echo "$i.bin,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,1073741824" >> $n/pkg-1.dist-info/RECORD
done
ends 2 "verify of five gigabytes of nothing" "hardly any of them are there: of files so sparse" verify n

# A .elfmend that came with the tree, of as many repairs of as many files as somebody likes to write down. Nobody's file is looked at more
# than once, whatever number of them speaks of it.
mkdir r && cp stubs/libn1.so r && "$python" - <<'END'
import ctypes, os
class Digest(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]
xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
xxh3.restype, xxh3.argtypes = Digest, [ctypes.c_char_p, ctypes.c_size_t]
def journal(path, version, *names):
    text = f"elfmend-journal {version}\nstamp 1.000000000\nnote \n"
    text += "".join(f"create {i} 1 1 1.000000000 {0:032x} {0:064x} {name}\n" for i, name in enumerate(names))
    text = (text + f"end {len(names)} ").encode()
    digest = xxh3(text, len(text))
    os.makedirs(path)
    with open(f"{path}/journal", "wb") as file:
        file.write(text + b"%016x%016x\n" % (digest.high, digest.low))
for repair in range(1, 5):
    journal(f"r/.elfmend/undo/{repair:04}", 1, *(f"{i}{'x' * 90}" for i in range(100000)))
journal("other/.elfmend/undo/0001", 2)
os.chmod("r/.elfmend", 0o700)
os.chmod("other/.elfmend", 0o700)
END
ends 0 "audit of a tree with 400,000 repairs" "100000 file" audit --verbose r
ends 0 "the list of them" "0004  0 replaced, 100000 added" undo --list r
ends 2 "all of them at once" "more than 250000 files to take back at once" undo --all r
if [ -n "$ELFMEND_CHECKER" ]; then skip "no more time than they take once" "$ELFMEND_CHECKER has its own"
else check "no more time than they take once" sh -c 'ulimit -t 8 && "$ELFMEND" audit r'; fi
exits 2 "a repair by another version" "$ELFMEND" undo other
check "... is left to that" grep 'another version of elfmend' err
finish
