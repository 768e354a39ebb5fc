# trace --root on an unpacked tree gives what ld.so gives after a chroot there: its own cache, links that stay inside.
set -eu
linker=/lib64/ld-linux-x86-64.so.2
program=$(readlink -f "$(python3 -c "import sys; print(sys.executable)")")
mkdir -p img/usr/bin img/opt/libs img/etc img/lib64
[ -e "$linker" ] && chroot . /nonexistent 2>err || true
if [ ! -e "$linker" ] || grep -q 'cannot change root' err; then echo "1..0 # SKIP no chroot here"; exit 0; fi
cp "$program" img/usr/bin/program
cp -L "$linker" img/lib64/
"$linker" --list "$program" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r library; do
    mkdir -p "img$(dirname "$library")"
    cp -L "$library" "img$library"
done
# One library is reached only by the cache, one only by an absolute link that must stay inside.
moved=$(find img -name 'libm.so.6' | head -1)
mv "$moved" img/opt/libs/libm.so.6
moved=$(find img -name 'libz.so.1' | head -1)
if [ -n "$moved" ]; then mv "$moved" img/opt/libz.real; ln -s /opt/libz.real "$moved"; fi
echo /opt/libs >img/etc/ld.so.conf
/sbin/ldconfig -r img
chroot img "$linker" --list /usr/bin/program | grep -v vdso | sed 's/.*=> //; s/ (0x.*//; s/^[[:space:]]*//' >real
"$ELFMEND" trace --root img --exec --json /usr/bin/program >trace.json
python3 -c 'import json; print("\n".join(o["path"] for o in json.load(open("trace.json"))["objects"][1:]))' >model
if cmp -s real model && grep -q /opt/libs/libm.so.6 model; then
    echo "ok 1 - $(wc -l <model) libraries as after a chroot"
else
    diff real model | sed 's/^/# /'
    echo "not ok 1 - not as after a chroot"
fi
echo 1..1
