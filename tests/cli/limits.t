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
    for i in range(600):
        wheel.write(sys.argv[1], f"pkg/m{i}.abi3.so")
END
for command in audit 'audit --json' 'fix --dry-run'; do
    ends 2 "$command" "MB of memory that so many objects may take" $command v
done
ends 2 "audit of a wheel" "MB of memory that so many objects may take" audit pkg-1-py3-none-any.whl
ends 2 "show of a wheel" "has more to show than fits into" show pkg-1-py3-none-any.whl
ends 2 "... as JSON" "has more to show than fits into" show --json pkg-1-py3-none-any.whl
ends 0 "one of them alone is shown" libn4999.so show "$site/pkg/m0.abi3.so"

# Much that is in order: 300 modules that need all of 200 libraries, each of which needs twenty, as VTK's and ROS's do.
make_venv() { mkdir -p "$1/lib/python3.11/site-packages/pkg" && echo 'version = 3.11.2' > "$1/pyvenv.cfg"; }
make_venv w
check "300 modules over 200 libraries that need each other" "$python" - w/lib/python3.11/site-packages/pkg <<'END'
import shutil, subprocess, sys
pkg = sys.argv[1]
compile = ["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", "-Lstubs"]
for name, needs in ("m0.abi3.so", 200), ("libn0.so", 20):
    subprocess.run([*compile, *(f"-l:libn{i}.so" for i in range(needs)), "-o", f"{pkg}/{name}"], input=b"int g(void) { return 1; }",
                   check=True)
for i in range(1, 300):
    shutil.copy(f"{pkg}/m0.abi3.so", f"{pkg}/m{i}.abi3.so")
for i in range(1, 200):
    shutil.copy(f"{pkg}/libn0.so", f"{pkg}/libn{i}.so")
END
ends 0 "audit of them" "0 errors, 0 warnings in 500 objects" audit w

# Rules for findings, each of which is held against each of them.
mkdir i && cp stub.so i
"$python" -c 'open("i/.elfmendignore", "w").writelines(f"EM103:*{i}\n" for i in range(1001))'
ends 2 "audit by 1,001 rules" "more than the 1000 that it may have" audit i
"$python" -c 'open("i/.elfmendignore", "w").write("EM103:*[" + "a" * 65536)'
ends 2 "audit by one rule of 64 KB" "more than the 65536 that such a file may have" audit i

# A path list as long as one may be, of entries without end or of one that is deep.
check "path lists of 64 KB" "$python" - <<'END'
import os, subprocess
lists = { "same": ":".join(["/a"] * 21000), "many": ":".join(f"/{i:x}" for i in range(11000)), "deep": "/a" * 32000, "holes": ":/tmp/a" * 9000 }
for name, entries in lists.items():
    os.makedirs(f"long/{name}")
    with open("flags", "w") as file:
        file.write(f"-Wl,-rpath,{entries}\n")
    subprocess.run(["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-o", f"long/{name}/x.so", "@flags"],
                   input=b"int f(void) { return 1; }", check=True)
END
ends 0 "audit of them" "and more than 995 more" audit -v long
check "24 lists of different directories" "$python" - <<'END'
import os, subprocess
os.mkdir("crowd")
for i in range(24):
    with open("flags", "w") as file:
        file.write("-Wl,-rpath," + ":".join(f"/{i:x}/{j:x}" for j in range(6000)) + "\n")
    subprocess.run(["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-o", f"crowd/{i}.so", "@flags"],
                   input=b"int f(void) { return 1; }", check=True)
END
ends 2 "audit of them" "search paths name more than 262144 directories that are not there" audit crowd

# 300 libraries that all need each other and one more, which is elsewhere: 90,000 answers that a repair must not lose, in the one process
# that loads them all.
make_venv c
check "300 libraries that all need each other" "$python" - c/lib/python3.11/site-packages/pkg <<'END'
import os, subprocess, sys
pkg = sys.argv[1]
compile = ["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-s", "-Wl,--no-as-needed"]
def make(path, soname, *flags):
    subprocess.run([*compile, f"-Wl,-soname,{soname}", *flags, "-o", path], input=b"int g(void) { return 1; }", check=True)
os.mkdir(f"{pkg}/away")
os.mkdir("all")
make(f"{pkg}/away/libaway.so", "libaway.so")
make("all/libc000.so", "libc000.so")
for i in range(1, 300):
    with open("all/libc000.so", "rb") as one, open(f"all/libc{i:03}.so", "wb") as other:
        other.write(one.read().replace(b"libc000.so", b"libc%03d.so" % i))
make("one.so", "libself.so", "-Wl,-rpath,$ORIGIN", "-Lall", *(f"-l:libc{i:03}.so" for i in range(300)), f"-L{pkg}/away", "-l:libaway.so")
with open("one.so", "rb") as one:
    text = one.read()
for i in range(300):
    with open(f"{pkg}/libc{i:03}.so", "wb") as other:
        other.write(text.replace(b"libself.so", b"libc%03d.so" % i))
for i in range(8):
    make(f"{pkg}/m{i}.abi3.so", "m", "-Wl,-rpath,$ORIGIN", "-Lall", "-l:libc000.so")
END
ends 1 "a plan for all of them" "set-path" fix --dry-run c

# 4,000 libraries of 4,000 shapes of name, each of which lacks another one: whether it is one of several builds is looked up, not searched.
make_venv o
check "4,000 libraries that lack one each" "$python" - o/lib/python3.11/site-packages/pkg <<'END'
import os, subprocess, sys
pkg = sys.argv[1]
compile = ["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-s", "-Wl,--no-as-needed", "-Wl,-z,noseparate-code"]
subprocess.run([*compile, "-Wl,-soname,libmXXXX.so", "-o", "libmXXXX.so"], input=b"int f(void) { return 1; }", check=True)
subprocess.run([*compile, "-L.", "-l:libmXXXX.so", "-o", "lacks.so"], input=b"int g(void) { return 1; }", check=True)
with open("lacks.so", "rb") as one:
    text = one.read()
for i in range(4000):
    word = "".join(chr(ord("a") + (i >> shift) % 16) for shift in (0, 4, 8))
    with open(f"{pkg}/lib{word}.so", "wb") as other:
        other.write(text.replace(b"libmXXXX.so", b"libm%04d.so" % i))
info = f"{pkg}/../pkg-1.dist-info"
os.mkdir(info)
with open(f"{info}/METADATA", "w") as file:
    file.write("Metadata-Version: 2.1\nName: pkg\nVersion: 1\n")
with open(f"{info}/RECORD", "w") as file:
    file.writelines(f"pkg/{name},,\n" for name in sorted(os.listdir(pkg)))
END
ends 1 "audit of them" "4000 errors" audit o

# A RECORD has limits of its own, and nothing to do with what objects ask for.
make_venv r
mkdir r/lib/python3.11/site-packages/pkg-1.dist-info
printf 'Metadata-Version: 2.1\nName: pkg\nVersion: 1\n' > r/lib/python3.11/site-packages/pkg-1.dist-info/METADATA
seq -f 'pkg/module%.0f.py,,' 150000 > r/lib/python3.11/site-packages/pkg-1.dist-info/RECORD
ends 0 "audit of 150,000 files that are gone" "150000 warnings" audit r

# A wheel of very many small libraries has little to say of each.
check "a wheel of 8,000 libraries, and one of 10,000" "$python" - <<'END'
import base64, hashlib, subprocess, zipfile
subprocess.run(["cc", "-x", "c", "-", "-x", "none", "-shared", "-fPIC", "-nostdlib", "-s", "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN/../libs",
                "-Wl,-z,noseparate-code", "-Lstubs", *(f"-l:libn{i}.so" for i in range(3)), "-o", "small.so"],
               input=b"int f(void) { return 1; }", check=True)
small = open("small.so", "rb").read()
with zipfile.ZipFile("many-1-py3-none-any.whl", "w") as wheel:
    for i in range(8000):
        wheel.writestr(f"pkg/libsmall{i}.so", small)
with zipfile.ZipFile("more-1-py3-none-any.whl", "w") as wheel:
    for i in range(10000):
        wheel.writestr(f"pkg/libsmall{i}.so", small)
    wheel.writestr("more-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    wheel.writestr("more-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    rows = "".join(f"{name},sha256={digest(wheel.read(name))},\n" for name in wheel.namelist())
    wheel.writestr("more-1.dist-info/RECORD", rows + "more-1.dist-info/RECORD,,\n")
END
ends 0 "show of the first, as JSON" "pkg/libsmall7999.so" show --json many-1-py3-none-any.whl
for command in audit 'explain --world empty' 'repack -o made'; do
    name=; [ "${command%% *}" != explain ] || name=libn0.so
    ends 2 "$command of the second" "has more than the 8192 ELF objects that a wheel may have" $command more-1-py3-none-any.whl $name
done
finish
