#!/bin/sh
# A wheel of 10,000 members, one of them an object to be mended: within 32 MB of memory, in time that grows with the members and not
# with their square, and every reader that is here takes the result.
. "$ELFMEND_TOP/tests/tap"
export ELFMEND_CACHE=/dev/null # each run sees the wheel for the first time
"${CC:-cc}" -O1 -o cost "$ELFMEND_TOP/bench/cost.c"
echo | "${CC:-cc}" -shared -fPIC -x c -o libcublas.so.12 -Wl,-soname,libcublas.so.12 -
echo | "${CC:-cc}" -shared -fPIC -x c -o ext.so - -x none -Wl,--no-as-needed libcublas.so.12
cat > many.py <<'END'
"""many.py DIRECTORY COUNT: the wheel with that many modules."""
import base64, hashlib, os, sys, zipfile
directory, count = sys.argv[1], int(sys.argv[2])
os.mkdir(directory)
info, rows = "many-1.0.dist-info", []
with zipfile.ZipFile(f"{directory}/many-1.0-cp311-abi3-linux_x86_64.whl", "w", zipfile.ZIP_DEFLATED) as z:
    def add(name, data):
        rows.append(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n")
        z.writestr(name, data)

    for i in range(count):
        add(f"many/part{i // 100}/module{i}.py", f"x = {i}\n".encode() * 20)
    with open("ext.so", "rb") as f:
        add("many/ext.abi3.so", f.read())
    add(f"{info}/METADATA", b"Metadata-Version: 2.1\nName: many\nVersion: 1.0\n")
    add(f"{info}/WHEEL", b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-abi3-linux_x86_64\n")
    z.writestr(f"{info}/RECORD", "".join(rows) + f"{info}/RECORD,,\n")
END
for count in 2500 10000; do
    python3 many.py in$count $count
    ./cost "$ELFMEND" repack -q in$count/*.whl -o out$count > cost$count
done
new=$(echo out10000/*+mend.1-*.whl)
check "10,000 members: written" test -f "$new"
what="... within 32 MB (wall s, CPU s, KiB, status: $(cat cost10000))"
if [ -n "$ELFMEND_CHECKER" ]; then skip "$what" "the $ELFMEND_CHECKER has memory of its own"
else check "$what" awk '{ exit !($3 < 32768 && $4 == 0) }' cost10000; fi
check "... four times the members, less than eight times the CPU" sh -c 'cat cost2500 cost10000 | awk "{ cpu[NR] = \$2 } END { exit !(cpu[2] < 8 * cpu[1]) }"'
check "python3 -m zipfile -t" sh -c 'python3 -m zipfile -t "$1" | grep -qx "Done testing"' - "$new"
for reader in "7z t" "unzip -tq" "bsdtar -tf"; do
    if command -v ${reader% *} > log; then check "$reader" $reader "$new"; else skip "$reader" "it is not installed"; fi
done
check "RECORD lists all of them" sh -c 'python3 -m zipfile -l "$1" | tail -n +2 | wc -l | grep -qx 10004' - "$new"
finish
