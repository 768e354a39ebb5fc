#!/bin/sh
# onnxruntime-gpu as pip alone installs it, judged by the real loader; what audit advises is followed to the letter, and cures.
. "$ELFMEND_TOP/tests/real/tap"
big="o"
cp -al "$("$real/env" ort)" o
pip o freeze | sed -n 's/^\(nvidia-[^=]*\)==.*/\1/p' > vendors
xargs "$PWD/o/bin/python" -m pip -q uninstall -y < vendors
provider=$(echo "$(site o)"/onnxruntime/capi/libonnxruntime_providers_cuda.so)
loader=$(readelf -lW /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
needs() { # what the real loader misses, the driver's aside; no call is made: without a driver its initialisers crash
    LD_TRACE_LOADED_OBJECTS=1 "$loader" --inhibit-cache "$provider" 2> log |
        sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | grep -v '^libcuda.so.1$' | sort -u
}
needs > real
sed 's|.*|EM103 *libonnxruntime_providers_cuda.so & onnxruntime-gpu|' real > wanted
elfmend audit --json o > audit.json || true
check "onnxruntime-gpu alone: audit misses what the loader misses" python3 "$real/expect.py" audit.json wanted
exits 1 "audit: exit 1" elfmend audit o
follow o
exits 0 "then elfmend fix: exit 0" elfmend fix --yes o
needs > real
same "the loader misses nothing" /dev/null real
exits 0 "audit: exit 0" elfmend audit o
finish
