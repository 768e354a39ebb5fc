#!/bin/sh
# Few files that ask for very much: each is refused with a sentence that names the limit, before it has taken much memory.
. "$ELFMEND_TOP/tests/tap"
site=v/lib/python3.11/site-packages
mkdir -p "$site/pkg" stubs && echo 'version = 3.11.2' > v/pyvenv.cfg
check "a module that needs 5,000 libraries through forty directories" "$python" - "$site/pkg/m0.abi3.so" <<'END'
import os, subprocess, sys
compile = ["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib"]
subprocess.run([*compile, "-o", "stub.so"], input=b"int f(void) { return 1; }", check=True)
for i in range(5000):
    os.link("stub.so", f"stubs/libn{i}.so")
with open("flags", "w") as file:
    file.write("-Wl,--no-as-needed -Lstubs -Wl,-rpath," + ":".join(f"/nowhere/{i}" for i in range(40)) + "\n")
    file.writelines(f"-l:libn{i}.so\n" for i in range(5000))
subprocess.run([*compile, "-o", sys.argv[1], "@flags"], input=b"int g(void) { return 1; }", check=True)
END
for i in 1 2 3; do cp "$site/pkg/m0.abi3.so" "$site/pkg/m$i.abi3.so"; done
"$python" - "$site/pkg/m0.abi3.so" <<'END'
import sys, zipfile
with zipfile.ZipFile("pkg-1-py3-none-any.whl", "w") as wheel:
    for i in range(120):
        wheel.write(sys.argv[1], f"pkg/m{i}.abi3.so")
END

# A sanitizer's memory and valgrind's are their own.
most=256
[ -z "$ELFMEND_CHECKER" ] || most=100000
refuses() { # WHAT TEXT COMMAND...: within that many megabytes
    what=$1 text=$2; shift 2
    check "$what: refused, in less than 256 MB" "$python" - "$text" $most "$ELFMEND" "$@" <<'END'
import resource, subprocess, sys
text, most, *command = sys.argv[1:]
got = subprocess.run(command, capture_output=True, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
assert got.returncode == 2 and not got.stdout, (got.returncode, got.stdout[:200])
assert text in got.stderr and got.stderr.count("\n") == 1, got.stderr
assert peak < int(most), peak
END
}
for command in audit 'audit --json' 'fix --dry-run'; do
    refuses "$command" "MB of memory that so many objects may take" $command v
done
refuses "audit of a wheel" "MB of memory that so many objects may take" audit pkg-1-py3-none-any.whl
refuses "show of a wheel" "has more to show than fits into" show pkg-1-py3-none-any.whl
refuses "... as JSON" "has more to show than fits into" show --json pkg-1-py3-none-any.whl
exits 0 "one of them alone is shown" "$ELFMEND" show "$site/pkg/m0.abi3.so"
finish
