# trace --exec on the executables of /usr/bin gives what ld.so --list gives: the same libraries, in the same order, the same missing.
set -eu
python3 - <<'PY'
import glob, json, os, subprocess, sys

elfmend = os.environ["ELFMEND"]
linker = "/lib64/ld-linux-x86-64.so.2"
if not os.path.exists(linker):
    print("1..0 # SKIP no glibc loader for x86-64 here")
    sys.exit()

def is_object(path):
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False

def listed(path):
    # ld.so takes $ORIGIN from its argument, the kernel from the real path.
    run = subprocess.run([linker, "--list", path], capture_output=True, text=True)
    if run.returncode == 127 or "not a dynamic executable" in run.stderr:
        return None
    names = []
    for line in run.stdout.splitlines():
        line = line.strip()
        if line.startswith("linux-vdso") or "statically linked" in line:
            continue
        if line.endswith("=> not found"):
            names.append(line)
        else:
            names.append(line.split("=> ")[-1].split(" (0x")[0])
    return sorted(n for n in names if "not found" in n) + [n for n in names if "not found" not in n]

def traced(path):
    run = subprocess.run([elfmend, "trace", "--exec", "--json", path], capture_output=True, text=True)
    if run.returncode == 2:
        return run.stderr
    trace = json.loads(run.stdout)
    missing = {r["name"] + " => not found" for r in trace["requests"] if r["result"] == "missing"}
    return sorted(missing) + [o["path"] for o in trace["objects"][1:]]

files = sorted({os.path.realpath(f) for f in glob.glob("/usr/bin/*")})
wrong = compared = 0
for path in filter(is_object, files):
    real = listed(path)
    if real is None:
        continue
    compared += 1
    model = traced(path)
    if real != model:
        wrong += 1
        print("#", path, "\n#   ld.so:  ", real, "\n#   elfmend:", model)
print(f"{'not ok' if wrong or not compared else 'ok'} 1 - {compared} executables, {wrong} differ\n1..1")
PY
