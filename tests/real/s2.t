#!/bin/sh
# S2 with torch 2.8.0: without its nvrtc, torch's own loader fails with the message that people search for; audit has that one error, in
# the environment and in an unpacked image, and the command that it names cures it.
. "$ELFMEND_TOP/tests/real/tap"
big="t image"
cp -al "$("$real/env" torch)" t
nvrtc() { "$ELFMEND_TOP/fixtures/hidden" "$1/bin/python" -B "$real/nvrtc.py"; }
exits 0 "as installed torch opens nvrtc" nvrtc t
check "... in this environment" grep -q '/nvidia/cuda_nvrtc/lib/libnvrtc.so.12$' out
exits 0 "audit: exit 0" elfmend audit t
if grep -E '^(error|warning)' out > log; then ok 1 "... no error and no warning" log; else ok 0 "... no error and no warning"; fi
check "... the table" grep -E '^torch 2.8.0 +12.8 +9 +9.10.2.21 .*>= 525.60.13' out

t/bin/python -m pip --disable-pip-version-check -q uninstall -y nvidia-cuda-nvrtc-cu12
exits 134 "without the package torch's own loader ends the process" nvrtc t
check "... with the message that people search for" grep -F 'Error in dlopen for library libnvrtc.so.12' err
exits 1 "audit: exit 1" elfmend audit t
elfmend audit --json t > audit.json || true
# One of the two opens it, and dies where that fails; the other needs it.
printf 'EM103 *torch/lib/%s libnvrtc.so.12 torch\n' libtorch_cpu.so libcaffe2_nvrtc.so > wanted
check "... that one library, for the two of torch's that ask for it" python3 "$real/expect.py" audit.json wanted
check "... with that message" grep -F 'Error in dlopen for library libnvrtc' out
if grep -E '^warning' out > log; then ok 1 "... and no warning" log; else ok 0 "... and no warning"; fi
install=$(sed -n "s/^help: \(pip install '[^']*'\), then .*/\1/p" out | sort -u)
check "... and the release that torch requires" sh -c "[ \"\$1\" = \"pip install 'nvidia-cuda-nvrtc-cu12==12.8.93'\" ]" sh "$install"

mkdir -p image/usr/lib image/usr/local/cuda-12.6 image/usr/local/cuda-12.8 image/srv
mv t image/srv/t
exits 1 "in an unpacked image: exit 1" "$ELFMEND" audit --root image /srv/t
check "... the same error" grep -E '^error\[EM103\]: .*torch/lib/libtorch_cpu.so: opens libnvrtc.so.12' out
exits 0 "doctor --root" "$ELFMEND" doctor --root image
check "... the toolkits, and that none of them matters" grep -E '/usr/local/cuda-12.8 +\(an environment.s packages use none of them\)' out
mv image/srv/t t

check "the command that audit names" sh -c "t/bin/python -m $install --disable-pip-version-check -q"
exits 0 "torch opens nvrtc again" nvrtc t
exits 0 "audit: exit 0" elfmend audit t
finish
