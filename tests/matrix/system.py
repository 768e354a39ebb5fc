"""system.py: the libraries of this machine, which nobody made for a test. Each gets a longer search path; then both, it and the original,
are stripped, and the loader must make of the one what it makes of the other: all of it bound at once, constructors run.

    study(editor, path)   (verdict, why, growth); verdict as in study.py
"""
import os
import re
import shutil

import edits
import judge
from editors import dies
from process import run

PROCESS = re.compile(r"^==\d+==", re.M)  # the sanitizers' runtimes begin each line with its number
MOST_LINTED = 2 << 20  # bytes; eu-elflint is slow on larger ones


def libraries():
    folder = "/usr/lib/x86_64-linux-gnu"
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else ()):
        path = f"{folder}/{name}"
        if ".so" in name and not os.path.islink(path) and os.path.isfile(path):
            with open(path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def loads(path):
    status, said = run(["/bin/true"], env=dict(os.environ, LD_PRELOAD=f"./{path}", LD_BIND_NOW="1"))
    return status, PROCESS.sub("", said.replace(path, "FILE"))


def study(editor, path):
    for name in ("was", "now"):
        shutil.copy(path, name)
    facts, said, lint = judge.examine("was") if os.stat("was").st_size < MOST_LINTED else (None, None, None)
    call = [("add-rpath", edits.LONG)]
    why = editor.edit(path, "now", [call])
    if why is not None:
        return "bad" if dies(why) else "refused", why, 0
    growth = os.stat("now").st_size - os.stat(path).st_size
    if facts:
        now, now_said, now_lint = judge.examine("now")
        news = (now_said - said) + (now_lint - lint)
        why = judge.difference(edits.expected(facts, [call]), now) or next(iter(news), None)
    if not why and run(["strip", "was"])[0] == 0:
        stripped = run(["strip", "now"])
        why = None if stripped[0] == 0 else f"strip: {stripped[1].strip()}"
    was, is_now = loads("was"), loads("now")
    if not why and was != is_now:
        why = f"the loader says {is_now}, not {was}"
    return ("bad", why, growth) if why else ("ok", "" if was == (0, "") else "loads no better than before", growth)
