#!/bin/sh
# The same wheel in, the same bytes out: in every run, seen before or not, by any number of threads, under any umask, locale, time zone
# and temporary directory, from wherever it is named, whatever order a directory has, and on every file system. One of its objects is
# large enough to be spliced, one is patched whole, one is copied in.
. "$ELFMEND_TOP/tests/tap"
export ELFMEND_CACHE="$PWD/cache"
name=pkg-1.0-cp311-abi3-linux_x86_64.whl
new=pkg-1.0+mend.1-cp311-abi3-linux_x86_64.whl
repack() { "$ELFMEND" repack -q "$@"; }
copying() { repack --strategy copy --allow-unverified "$@"; }

# on KIND: where this script calls itself, in a mount namespace of its own. Everything lies on that file system, also what is temporary.
if [ "${1:-}" = on ]; then
    there="$PWD/on-$2"
    mkdir -p "$there"
    if [ "$2" = tmpfs ]; then
        mount -t tmpfs tmpfs "$there" || exit 77
    else
        truncate -s 400M image
        "mkfs.$2" image > log-mkfs 2>&1 || { tail -n 1 log-mkfs; exit 77; }
        mount -o loop image "$there" || exit 77
    fi
    cp $name "$there/"
    mkdir "$there/source"
    cp backward/* "$there/source/"
    export TMPDIR="$there" ELFMEND_CACHE="$there/cache"
    repack "$there/$name" -o "$there/out" && cmp first/$new "$there/out/$new" &&
        copying "$there/$name" --source "$there/source" -o "$there/copy" && cmp first-copy/$new "$there/copy/$new"
    exit
fi

python3 - <<'END'
import random
random.seed(1)
words = [random.randbytes(12) for _ in range(3000)]
open("big", "wb").write(b"".join(random.choice(words) for _ in range(800000)))
END
mkdir -p w/pkg w/pkg-1.0.dist-info forward backward
library() { # FILE SONAME [FLAG...]: of the assembly on standard input
    file=$1 soname=$2; shift 2
    { cat; echo '.section .note.GNU-stack,"",@progbits'; } |
        "${CC:-cc}" -shared -fPIC -x assembler -o "$file" -Wl,-soname,"$soname" -Wl,--no-as-needed - -x none "$@"
}
echo | library forward/libcublas.so.12 libcublas.so.12
for other in a b c d e f g h; do echo | library forward/lib$other.so lib$other.so; done
for file in $(ls -r forward); do cp "forward/$file" backward/; done
echo | library w/pkg/_ext.abi3.so _ext.abi3.so forward/libcublas.so.12
printf '.data\n.incbin "big"\n' | library w/pkg/libbig.so libbig.so forward/libcublas.so.12
for i in 1 2 3 4 5 6 7 8 9; do echo "x = $i" > w/pkg/m$i.py; done
printf 'Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n' > w/pkg-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-abi3-linux_x86_64\n' > w/pkg-1.0.dist-info/WHEEL
python3 - $name <<'END'
import base64, hashlib, os, sys, zipfile
record = "pkg-1.0.dist-info/RECORD"
rows = []
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    for name in sorted(os.path.relpath(os.path.join(d, f), "w") for d, _, fs in os.walk("w") for f in fs):
        with open(f"w/{name}", "rb") as f:
            data = f.read()
        rows.append(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n")
        z.writestr(zipfile.ZipInfo(name, (2021, 3, 14, 2, 30, 0)), data, zipfile.ZIP_DEFLATED)
    z.writestr(record, "".join(rows) + record + ",,\n")
END
repack $name -o first
copying $name --source forward -o first-copy
check "libbig is spliced, not compressed anew: most of its stream is the old one" python3 - $name first/$new <<'END'
import sys, zipfile
def packed(path):
    with zipfile.ZipFile(path) as z:
        info = z.getinfo("pkg/libbig.so")
        z.fp.seek(info.header_offset)
        header = z.fp.read(30)
        z.fp.seek(info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"))
        return z.fp.read(info.compress_size)
old, new = packed(sys.argv[1]), packed(sys.argv[2])
middle = old[len(old) // 3:len(old) // 3 * 2]
assert old != new and middle in new
END
check "a copy is in the other" sh -c 'python3 -m zipfile -l "$1" | grep libcublas.so.12' - first-copy/$new
sleep 3 # what is younger is not remembered
again() { # WHAT COMMAND...: it writes into the directory "out"
    what=$1; shift
    rm -rf out
    "$@"
    same "$what" first/$new out/$new
}
again "a second run" repack $name -o out
check "... which remembers the wheel" sh -c 'ls cache/known | grep .'
again "a third, that has seen it before" repack $name -o out
again "without a cache" env ELFMEND_CACHE=/dev/null "$ELFMEND" repack -q $name -o out
again "without a home" env -u HOME -u ELFMEND_CACHE "$ELFMEND" repack -q $name -o out
for jobs in 1 2 3 16; do again "by $jobs threads" repack --jobs $jobs $name -o out; done
for mask in 000 027 077; do again "umask $mask" sh -c 'umask $1; exec "$ELFMEND" repack -q $2 -o out' - $mask $name; done
for zone in America/New_York Asia/Kolkata Pacific/Apia; do again "TZ=$zone" env TZ=$zone "$ELFMEND" repack -q $name -o out; done
for locale in C.UTF-8 tr_TR.UTF-8 de_DE.UTF-8; do
    again "LC_ALL=$locale" env LC_ALL=$locale "$ELFMEND" repack -q $name -o out
done
mkdir tmp elsewhere
again "another TMPDIR" env TMPDIR="$PWD/tmp" "$ELFMEND" repack -q $name -o out
again "named from elsewhere" sh -c 'cd elsewhere && exec "$ELFMEND" repack -q ../"$1" -o ../out' - $name
ln -s "$PWD" elsewhere/link
again "named through a link" repack elsewhere/link/$name -o out
mkdir links
ln -s ../$name links/$name
again "a link itself" repack links/$name -o out
cp $name elsewhere/$name
again "another inode, another time" repack elsewhere/$name -o out
again "with LD_LIBRARY_PATH set" env LD_LIBRARY_PATH="$PWD/forward" "$ELFMEND" repack -q $name -o out
copying $name --source backward -o out-copy
same "a source in another order" first-copy/$new out-copy/$new
(umask 077; copying --jobs 1 $name --source forward -o out-copy2)
same "a copy by one thread under another umask" first-copy/$new out-copy2/$new

for kind in ext4 xfs btrfs tmpfs; do
    unshare -m true 2> log || { skip "on $kind" "no mounts of our own: $(tail -n 1 log)"; continue; }
    status=0
    PATH=$PATH:/usr/sbin:/sbin unshare -m sh "$0" on $kind > log 2>&1 || status=$?
    if [ $status -eq 77 ]; then skip "on $kind" "$(tail -n 1 log)"; else ok $status "on $kind" log; fi
    rm -f image
done
finish
