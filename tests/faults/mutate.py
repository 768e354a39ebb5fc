"""mutate.py ELFMEND ROUNDS [SEED]: plans and journals that somebody has tampered with.

A plan that adds, replaces and records files in an environment is changed in one to three places, by bytes or by its fields, and handed
to apply. What comes of it must be a repair that undo takes back, or exit 2, one line, and a tree as it was. The journal of such a
repair is changed the same way, half of them with a checksum that fits, and left where undo or recovery finds it; what a forged journal
does to its own tree is the forger's affair. In either case: nothing but what lies below the plan's root changes, no crash, and an
answer within ten seconds. Works in the current directory; prints TAP without numbers and a plan.
"""
import ctypes
import json
import os
import random
import shutil
import subprocess
import sys

ELFMEND, ROUNDS = sys.argv[1], int(sys.argv[2])
RANDOM = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
STANDIN = os.environ["ELFMEND_TOP"] + "/fixtures/standin"
JOURNAL = "v/.elfmend/undo/0001/journal"
PATHS = ["../victim/file", "victim/file", "/", ".", "..", "", "//", "a/../../victim/file", "./a", "a//b", "a/", "link/file", ".elfmend/lock",
         ".elfmend/undo/0001/journal", "\x00", "a\nb", "x" * 300, "x/" * 3000, "\\", "\ud7ff", "lib64/file", "bin/python3"]
VALUES = [None, True, -1, 0, 2**63, 2**64, 1e308, [], {}, [[]], "0", "remove", "copy", "record", "set-path", "replace-needed", "9999",
          "0" * 64, "$ORIGIN/../../../../../..", "x" * 70000]
TALLY = os.path.abspath("tally")
failures = refused = 0


class Digest(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


XXH3 = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
XXH3.restype, XXH3.argtypes = Digest, [ctypes.c_char_p, ctypes.c_size_t]


def run(*arguments):
    global refused
    try:
        done = subprocess.run([ELFMEND, *arguments], capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return "no answer", ""
    refused += done.returncode == 2
    return done.returncode, done.stderr.decode("utf-8", "replace")


def look(top, skip=()):
    """All that lies below, as (path, what lstat says)."""
    seen = {}
    stack = [top]
    while stack:
        path = stack.pop()
        st = os.lstat(path)
        seen[path] = (st.st_mode, st.st_ino, st.st_uid, st.st_size, st.st_mtime_ns)
        if os.path.isdir(path) and not os.path.islink(path):
            stack += [e.path for e in os.scandir(path) if e.name not in skip]
    return seen


def outside():
    """Everything but the environment and what the test itself writes; the times of the top directory are the test's own."""
    seen = look(".", ("v", "plan.json"))
    del seen["."]
    return seen


def wrong(what, document, answer):
    global failures
    failures += 1
    name = f"kept-{failures}"
    with open(f"../{name}", "wb") as f:
        f.write(document)
    print(f"# {what}: {answer!r}; see {name}")
    if failures >= 10:
        print("Bail out! too much is wrong")
        finish()


# ---- mutations ----

def places(value, found):
    """Every (container, key) of a JSON value, but those that say what the target is."""
    for key in value if isinstance(value, dict) else range(len(value)):
        if key not in ("root", "target", "schema"):
            found.append((value, key))
            if isinstance(value[key], (dict, list)):
                places(value[key], found)
    return found


def change_field(plan):
    container, key = RANDOM.choice(places(plan, []))
    what = RANDOM.randrange(6)
    if what == 0:
        del container[key]
    elif what == 1:
        other, its = RANDOM.choice(places(plan, []))
        container[key] = json.loads(json.dumps(other[its]))
    elif what == 2 and isinstance(container, list):
        container.append(json.loads(json.dumps(container[key])))
    elif what == 3:
        container[key] = RANDOM.choice(VALUES)
    else:
        strings = [(c, k) for c, k in places(plan, []) if isinstance(c[k], str)]
        container, key = RANDOM.choice(strings)
        container[key] = RANDOM.choice(PATHS)


def change_bytes(data):
    data = bytearray(data)
    at = RANDOM.randrange(len(data))
    what = RANDOM.randrange(4)
    if what == 0:
        data[at] = RANDOM.randrange(256)
    elif what == 1:
        del data[at:at + RANDOM.randrange(1, 40)]
    elif what == 2:
        data[at:at] = data[at:at + 40]
    else:
        del data[at:]
    return bytes(data)


def mutated_plan(plan):
    if RANDOM.randrange(4) == 0:
        data = change_bytes(plan)
        # Another root is another target, and whoever applies a plan is told of it.
        return data if json.dumps(os.getcwd() + "/v").encode() in data else plan
    value = json.loads(plan)
    for _ in range(RANDOM.randrange(1, 4)):
        if places(value, []):
            change_field(value)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def change_word(data):
    lines = data.split(b"\n")
    index = RANDOM.randrange(len(lines))
    words = lines[index].split(b" ")
    word = RANDOM.randrange(len(words))
    words[word] = RANDOM.choice([
        RANDOM.choice(PATHS).replace("\n", "\\n").encode(), str(RANDOM.choice([0, 1, 2**31, 2**64 - 1, 2**64, 7])).encode(),
        RANDOM.choice(data.split()), b"replace", b"restore", b"mkdir", b"create"])
    lines[index] = b" ".join(words)
    if RANDOM.randrange(4) == 0:
        lines.insert(index, RANDOM.choice(lines))
    return b"\n".join(lines)


def mutated_journal(journal):
    body = journal[:journal.rindex(b" ") + 1]
    for _ in range(RANDOM.randrange(1, 4)):
        body = change_word(body) if RANDOM.randrange(3) else change_bytes(body)
        if not body:
            return b""
    if RANDOM.randrange(2):
        return body + journal[-33:]
    if b"end " in body:
        steps = sum(line.split(b" ")[0] in (b"mkdir", b"create", b"replace", b"restore") for line in body.split(b"\n"))
        body = body[:body.rindex(b"end ")] + b"end %d " % steps
    digest = XXH3(body, len(body))
    return body + b"%016x%016x\n" % (digest.high, digest.low)


# ---- rounds ----

def apply_mutated(plan, before, around):
    document = mutated_plan(plan)
    with open("plan.json", "wb") as f:
        f.write(document)
    status, said = run("apply", "plan.json")
    if status not in (0, 2):
        wrong("apply", document, (status, said))
    elif status == 2 and said.count("\n") != 1:
        wrong("apply says more or less than one line", document, said)
    elif status == 2 and look("v") != before:
        wrong("apply was refused and something has changed", document, said)
    elif status == 0 and os.path.exists("v/.elfmend"):
        status, said = run("undo", "v")
        if status != 0 or look("v") != before:
            wrong("undo after a mutated plan", document, (status, said))
    if outside() != around:
        wrong("apply changed something outside", document, (status, said))
    return look("v") == before


def undo_mutated(plan, around):
    shutil.rmtree("v")
    shutil.copytree("shipped", "v", symlinks=True)
    with open("plan.json", "wb") as f:
        f.write(plan)
    run("apply", "plan.json")
    with open(JOURNAL, "rb") as f:
        document = mutated_journal(f.read())
    with open(JOURNAL, "wb") as f:
        f.write(document)
    if RANDOM.randrange(2):
        os.rename("v/.elfmend/undo/0001", "v/.elfmend/txn")
    command = RANDOM.choice([("undo", "v"), ("undo", "--force", "v"), ("undo", "--list", "v"), ("undo", "--forget", "v"),
                             ("apply", "plan.json"), ("verify", "v")])
    status, said = run(*command)
    if status not in (0, 1, 2):
        wrong(" ".join(command), document, (status, said))
    if outside() != around:
        wrong(" ".join(command) + " changed something outside", document, (status, said))


def finish():
    print(f"{'ok' if not failures else 'not ok'} - {ROUNDS} plans and {ROUNDS} journals that were tampered with")
    print(f"# {refused} of them were refused")
    with open(TALLY, "a") as f:
        f.write(f"plans, journals\ttampered with\t{2 * ROUNDS}\nplans, journals\tlosses\t{failures}\n")
    sys.exit(failures > 0)


def main():
    os.makedirs("round/victim")
    os.chdir("round")
    with open("victim/file", "w") as f:
        f.write("mine\n")
    for name, cudnn in ("shipped", "none"), ("source", "9"):
        subprocess.run([STANDIN, "--cudnn", cudnn, name], check=True, stdout=subprocess.DEVNULL)
    os.symlink("../victim", "shipped/link")
    shutil.copytree("shipped", "v", symlinks=True)
    run("fix", "--dry-run", "--strategy", "copy", "--source", "source", "--plan", "plan.json", "v")
    with open("plan.json", "rb") as f:
        plan = f.read()
    if run("apply", "plan.json") != (0, ""):
        raise SystemExit("Bail out! the plan does not go through even as it is")
    shutil.rmtree("v")
    shutil.copytree("shipped", "v", symlinks=True)
    before, around = look("v"), outside()
    for _ in range(ROUNDS):
        if not apply_mutated(plan, before, around):
            shutil.rmtree("v")
            shutil.copytree("shipped", "v", symlinks=True)
            before = look("v")
    for _ in range(ROUNDS):
        undo_mutated(plan, around)
    os.chdir("..")
    shutil.rmtree("round")
    finish()


main()
