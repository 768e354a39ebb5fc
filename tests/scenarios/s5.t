#!/bin/sh
# S5: the libraries are all there, nvidia-smi works, and cuInit fails. Not an ELF problem: doctor says so, which cause it is, and what
# to change. In roots made for it: a driver library by gcc that returns the code that is asked for, /proc and /dev as files.
. "$ELFMEND_TOP/tests/tap"
unset NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES CUDA_VISIBLE_DEVICES KUBERNETES_SERVICE_HOST
cat > cuda.c <<'END'
#include <unistd.h>
#include <stdlib.h>
int cuInit(unsigned flags) { if (CODE == -1) abort(); if (CODE == -2) for (;;) pause(); return CODE; }
int cuDriverGetVersion(int *v) { *v = 12080; return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { const char *t = "NVIDIA Test GPU"; while (n-- > 1 && *t) *s++ = *t++; *s = 0; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 12 : 0; return 0; }
END
library() { # FILE CODE
    mkdir -p "$(dirname "$1")"
    "${CC:-cc}" -shared -fPIC -DCODE="($2)" -Wl,-soname,libcuda.so.1 -o "$1" cuda.c || exit 1
}
machine() { # ROOT CODE [LIBRARY-VERSION]: a whole machine of driver 565.57.01 with two GPUs
    rm -rf "$1"
    library "$1/usr/lib/libcuda.so.${3:-565.57.01}" "$2"
    ln -s "libcuda.so.${3:-565.57.01}" "$1/usr/lib/libcuda.so.1"
    mkdir -p "$1/proc/driver/nvidia/gpus/0000:01:00.0" "$1/dev"
    echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  565.57.01  Thu Oct 10 12:29:05 UTC 2024' > "$1/proc/driver/nvidia/version"
    for node in nvidiactl nvidia-uvm nvidia-uvm-tools nvidia0 nvidia1; do : > "$1/dev/$node"; done
}
doctor() { "$ELFMEND" doctor --root r --probe "$@"; }
finds() { check "$1" grep -E -e "$2" out; }
silent() { if grep -E -e "$2" out > log; then ok 1 "$1" log; else ok 0 "$1"; fi; }

machine r 0
exits 0 "a machine that works: exit 0" doctor
finds "... says so" '^The driver works: 2 GPUs.'
finds "... the GPUs" 'NVIDIA Test GPU, sm_120'
finds "... and the CUDA that the driver is for" 'CUDA up to 12.8'
silent "... no finding" 'EM[0-9]'
exits 0 "without --probe nothing of the root is run" "$ELFMEND" doctor --root r
finds "... it is read" 'NVIDIA driver 565.57.01'

# Each code with its name and meaning; with all else in order, what is left is on the host.
for code in 1:INVALID_VALUE 2:OUT_OF_MEMORY 3:NOT_INITIALIZED 34:STUB_LIBRARY 46:DEVICE_UNAVAILABLE 100:NO_DEVICE \
    101:INVALID_DEVICE 304:OPERATING_SYSTEM 800:NOT_PERMITTED 801:NOT_SUPPORTED 802:SYSTEM_NOT_READY \
    803:SYSTEM_DRIVER_MISMATCH 804:COMPAT_NOT_SUPPORTED_ON_DEVICE 805:MPS_CONNECTION_FAILED 999:UNKNOWN; do
    machine r "${code%:*}"
    exits 1 "cuInit ${code%:*}: exit 1" doctor
    finds "... its name" "^error\[EM702\]: .*: cuInit returns ${code%:*}, CUDA_ERROR_${code#*:}"
    finds "... its meaning" '^  it means +[A-Za-z]'
    finds "... what was checked" '^  checked +libcuda.so.1 and the kernel module are both 565.57.01'
    finds "... and that it is no library's fault" "^  not it +the environment's libraries"
done
machine r 777
exits 1 "a code that nobody knows" doctor
finds "... is told as it is" 'cuInit returns 777, a code that the tables do not have'
machine r 802
exits 1 "802" doctor
finds "... names the fabric manager" '^help: .*nvidia-fabricmanager'
machine r -1
exits 1 "a driver that aborts" doctor
finds "... is told, and nothing dies with it" '^error\[EM702\]: .*died: Aborted'

# 999, cause by cause
machine r 999; rm r/dev/nvidia-uvm
exits 1 "/dev/nvidia-uvm is missing" doctor
finds "... EM703" '^error\[EM703\]: /dev/nvidia-uvm: is missing'
finds "... with the command" '^help: .*nvidia-modprobe -u'
finds "... cuInit's code comes from it" '^  it is +/dev/nvidia-uvm is missing'
machine r 999; rm r/dev/nvidia-uvm; mkdir r/dev/nvidia-uvm
exits 1 "a directory in its place" doctor
finds "... is told" 'EM703.*/dev/nvidia-uvm: is a directory'
machine r 999; rm r/dev/nvidia[01]
exits 1 "no GPU's node" doctor
finds "... EM703" '^error\[EM703\]: /dev/nvidia0: is missing'
if [ "$(id -u)" != 0 ]; then
    machine r 999; chmod 0 r/dev/nvidia-uvm
    exits 1 "a node that this user may not open" doctor
    finds "... EM703" '/dev/nvidia-uvm: may not be opened by this user'
else
    skip "a node that this user may not open" "root may open all"
fi
# What only a kernel with a GPU refuses: the call that opens a node answers as it would there.
cat > refuse.c <<'END'
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
int openat(int dir, const char *path, int flags, ...)
{
    int (*next)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    if ((flags & O_ACCMODE) == O_RDWR && strstr(path, "nvidia-uvm")) { errno = atoi(getenv("REFUSE")); return -1; }
    return next(dir, path, flags, 0);
}
int openat64(int dir, const char *path, int flags, ...) { return openat(dir, path, flags); }
END
"${CC:-cc}" -shared -fPIC -o refuse.so refuse.c -ldl
"${CC:-cc}" -D_GNU_SOURCE -O1 -shared -fPIC -o shim.so "$ELFMEND_TOP/tests/faults/shim.c" -ldl
if [ -n "$ELFMEND_CHECKER" ]; then
    skip "a kernel without openat2" "the $ELFMEND_CHECKER wants to be loaded first"
else
    machine r 0
    mkdir r/real && mv r/dev/nvidia0 r/real && ln -s /real/nvidia0 r/dev/nvidia0
    exits 0 "a kernel without openat2: the nodes are opened, and a link stays below the root" \
        env FAULT_LACKS=openat2 LD_PRELOAD="$PWD/shim.so" "$ELFMEND" doctor --root r
    finds "... all of them" 'nodes +5 of 5 can be opened'
fi
refused() { # ERRNO
    REFUSE=$1 LD_PRELOAD="$PWD/refuse.so" "$ELFMEND" doctor --root r --probe
}
for refusal in '1:forbids it:start the container again' '13:by this user:chmod 666' '6:no driver behind it:nvidia-modprobe' \
    '5:does not answer:nvidia-modprobe'; do
    machine r 999
    number_=${refusal%%:*} rest=${refusal#*:}
    exits 1 "errno $number_ from opening a node: exit 1" refused "$number_"
    finds "... says which it is" "^error\\[EM703\\]: /dev/nvidia-uvm: .*${rest%%:*}"
    finds "... and what to do" "^help: .*${rest#*:}"
    finds "... cuInit's code comes from it" '^  it is +/dev/nvidia-uvm'
done

machine r 0; rm r/dev/nvidia-uvm
exits 0 "a missing node that cuInit does not mind is no error" doctor

machine r 803 550.54.15
exits 1 "the library is of another driver than the kernel module" doctor
finds "... says which" '^error\[EM702\]: /usr/lib/libcuda.so.1: is of driver 550.54.15, and the kernel module is 565.57.01'
finds "... and what to do" '^help: reboot'
: > r/.dockerenv
exits 1 "... in a container" doctor
finds "... it is the image's" "^help: take the driver's packages out of the image"

machine r 0
library r/usr/local/cuda-12.6/lib64/stubs/libcuda.so.1 34
exits 1 "a stub by LD_LIBRARY_PATH" doctor --ld-library-path /usr/local/cuda-12.6/lib64/stubs
finds "... EM304" '^error\[EM304\]: .*/stubs/libcuda.so.1: is the toolkit.s stub'
finds "... cuInit's 34 comes from it" '^  it is +.*/stubs/libcuda.so.1 is the toolkit'
finds "... and the driver is behind it" '/usr/lib/libcuda.so.1 +\(default directory, 565.57.01\)'
finds "... the toolkit is listed" '^toolkits +/usr/local/cuda-12.6'
machine r 0
library r/usr/local/cuda-12.2/compat/libcuda.so.535.54.03 804
ln -s libcuda.so.535.54.03 r/usr/local/cuda-12.2/compat/libcuda.so.1
exits 1 "an older compat library before the driver" doctor --ld-library-path /usr/local/cuda-12.2/compat
finds "... EM304" '^error\[EM304\]: .*compat library of 535.54.03, found by LD_LIBRARY_PATH'
finds "... says why it is of no use" '^  kernel +565.57.01, which is as new'
library r/usr/local/cuda-12.2/compat/libcuda.so.535.54.03 0
exits 0 "a compat library that works is left alone" doctor --ld-library-path /usr/local/cuda-12.2/compat

machine r 0; rm r/usr/lib/libcuda.so.*
: > r/.dockerenv
exits 1 "the host has a driver, the container none: exit 1" doctor
finds "... EM704" '^error\[EM704\]: /proc/driver/nvidia/version: the host has the driver 565.57.01'
finds "... docker's line" 'docker run --gpus all'
finds "... compose's" 'driver: nvidia'
finds "... Kubernetes'" 'nvidia.com/gpu'
rm -rf empty; mkdir -p empty/usr/lib
exits 0 "an image without a driver is as it should be: exit 0" "$ELFMEND" doctor --root empty
exits 0 "... a note" "$ELFMEND" doctor -v --root empty
finds "... EM701" '^note\[EM701\]'

# The interpreter that runs things there, and what it brings into every process
versioned() { # FILE NEWEST: a libstdc++ that defines versions up to it
    mkdir -p "$(dirname "$1")"
    { for v in 25 28 30 32; do [ $v -gt "$2" ] || echo "GLIBCXX_3.4.$v { global: f$v; };"; done; } > map
    { for v in 25 28 30 32; do [ $v -gt "$2" ] || echo "int f$v;"; done; } > v.c
    "${CC:-cc}" -shared -fPIC -Wl,-soname,libstdc++.so.6 -Wl,--version-script,map -o "$1" v.c || exit 1
}
libc() { # ROOT: what every program needs
    cp -L "$(ldd /bin/sh | awk '$1 == "libc.so.6" { print $3 }')" "$1/usr/lib/"
    loader=$(readelf -lW /bin/sh | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
    mkdir -p "$1$(dirname "$loader")"
    cp -L "$loader" "$1$loader"
}
interpreter() { # PREFIX: dynamic, with its library beside it, as conda's
    mkdir -p "$1/bin" "$1/lib"
    echo 'int p;' | "${CC:-cc}" -shared -fPIC -x c -Wl,-soname,libpython3.11.so.1.0 -o "$1/lib/libpython3.11.so.1.0" - || exit 1
    echo 'extern int p; int main(void) { return p; }' > m.c
    "${CC:-cc}" -o "$1/bin/python3.11" m.c "$1/lib/libpython3.11.so.1.0" -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib' || exit 1
    ln -s python3.11 "$1/bin/python3"
}
machine r 0; interpreter r/opt/conda
libc r
versioned r/usr/lib/libstdc++.so.6 30
exits 0 "an interpreter: exit 0" doctor
finds "... and the file behind it" '^Python +/opt/conda/bin/python3 -> /opt/conda/bin/python3.11'
finds "... its library" 'libpython3.11.so.1.0 => /opt/conda/lib/libpython3.11.so.1.0 +\(DT_RPATH\)'
finds "... and the C++ runtime of its modules" 'libstdc\+\+.so.6 => /usr/lib/libstdc\+\+.so.6 +\(default directory, to GLIBCXX_3.4.30\)'
silent "... no finding" 'EM[0-9]'
versioned r/opt/conda/lib/libstdc++.so.6 32
exits 0 "a newer one of its own is as well" doctor
silent "... no finding" 'EM[0-9]'
versioned r/opt/conda/lib/libstdc++.so.6 28
exits 0 "an older one of its own: a warning" doctor
finds "... EM105" '^warning\[EM105\]: /opt/conda/bin/python3.11: brings a libstdc\+\+ that ends at GLIBCXX_3.4.28, and this machine.s goes to GLIBCXX_3.4.30'
finds "... what to do" '^help: conda install -c conda-forge libstdcxx'
exits 1 "... that can be asked for" doctor --fail-on warning
rm r/opt/conda/lib/libpython3.11.so.1.0
exits 1 "its library is gone: exit 1" doctor
finds "... EM103" '^error\[EM103\]: /opt/conda/bin/python3.11: needs libpython3.11.so.1.0 and will not find it: this Python cannot start'
silent "... which is a library's fault" 'None of this is mended by patching'
printf '#!/bin/sh\nexec python\n' > r/opt/conda/bin/python3.11
exits 0 "a script is no interpreter" doctor
finds "... none is found" '^Python +none'

# JSON, and a clock
machine r 999; rm r/dev/nvidia-uvm
exits 1 "--json" doctor --json
check "... has it all" "${PYTHON:-python3}" -c "
import json
d = json.load(open('out'))
assert d['schema'] == 'elfmend.doctor/1'
m = d['machine']
assert m['module'] == '565.57.01' and m['drivers'][0]['version'] == '565.57.01'
assert m['probe']['outcome'] == 'answered' and m['probe']['code'] == 999 and m['probe']['cuda_version'] == 12080
assert {n['path']: n['error'] for n in m['nodes']}['/dev/nvidia-uvm'] == 'No such file or directory'
assert [f['id'] for f in d['findings']] == ['EM703', 'EM702'], d['findings']"
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
if "$python" -c 'import jsonschema' 2> log; then
    check "... conforms to schemas/doctor-1.json" "$python" -W ignore -c "
import json, jsonschema
schema = json.load(open('$ELFMEND_TOP/schemas/doctor-1.json'))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(json.load(open('out')))"
else
    skip "... conforms to schemas/doctor-1.json" "no python3-jsonschema"
fi
exits 0 "--fail-on never" doctor --fail-on never
exits 2 "an argument is a mistake" "$ELFMEND" doctor x

# On this machine, whatever it is: an answer, and no crash.
status=0
"$ELFMEND" doctor > out 2> err || status=$?
[ $status -le 1 ]
ok $? "doctor on this machine" err
finds "... says which libc" '^libc +(glibc|musl) [0-9]'
# The variables are this process's.
status=0
NVIDIA_VISIBLE_DEVICES=void "$ELFMEND" doctor > out 2> err || status=$?
grep -q '^The driver works' out || finds "NVIDIA_VISIBLE_DEVICES=void: EM704" '^error\[EM704\]: NVIDIA_VISIBLE_DEVICES: is empty or "void"'
NVIDIA_DRIVER_CAPABILITIES=utility "$ELFMEND" doctor > out 2> err || status=$?
grep -q '^The driver works' out || finds "without compute: EM704" '^error\[EM704\]: NVIDIA_DRIVER_CAPABILITIES: is "utility", without compute'
finish
