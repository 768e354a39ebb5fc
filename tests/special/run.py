"""run.py ELFMEND: objects of unusual make are edited or refused, and never damaged. Says so in TAP.

What is edited has its search path, loads and computes what it did, gives readelf and eu-elflint nothing new to say, keeps its build-id and
the symbols that gdb finds; strip, eu-strip, llvm-strip and objcopy keep it loading where they kept it before; the edit repeated touches
nothing; a hundred different paths in turn cost no more than 4 KiB. What is refused stays as it is, and the reason is printed.
"""
import os
import re
import shutil
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(os.path.dirname(here), "matrix")]

import judge  # noqa: E402
import objects  # noqa: E402
from process import run  # noqa: E402

ELFMEND = sys.argv[1]
LONG = "$ORIGIN/../" + ":$ORIGIN/../".join(f"nvidia/{i}{'p' * 30}/lib" for i in range(8))
TOOLS = (("strip",), ("strip", "-g"), ("eu-strip",), ("llvm-strip",), ("objcopy",))


class Report:
    number = failed = 0

    def ok(self, good, what, why=""):
        self.number += 1
        self.failed += not good
        print(f"{'' if good else 'not '}ok {self.number} - {what}", flush=True)
        if not good:
            print("# " + str(why).replace("\n", "\n# "))
        return good

    def skip(self, what, why):
        self.number += 1
        print(f"ok {self.number} - {what} # SKIP {why}")


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def runs(sample, path):
    """None, or what went wrong."""
    command = ["./" + path if word == "FILE" else word for word in sample.command]
    status, said = run(command, env=dict(os.environ, **sample.env))
    return None if status == 0 else f"exit status {status}: {said}"


def build_id(path):
    return re.findall(r"Build ID: (\w+)", run(["readelf", "-n", path])[1])


def symbols(*paths):
    """How gdb finds the function in each: its place, its line, its code."""
    mark = "----"
    command = ["gdb", "-batch", "-nx"]
    for path in paths:
        for line in (f"file {path}", rf"echo {mark}\n", "info line probe", "info address probe", "disassemble probe", rf"echo {mark}\n"):
            command += ["-ex", line]
    return run(command)[1].split(mark)[1::2]


def edit(sample, path, search_path):
    return run([ELFMEND, "patch", "--set-rpath", search_path, *sample.options, path])


def refuses(report, name, sample):
    before = bytes_of(sample.path)
    status, said = edit(sample, sample.path, LONG)
    report.ok(status == 2 and sample.refused in said and sample.path in said, f"{name} is refused: {said.strip()}", (status, said))
    report.ok(bytes_of(sample.path) == before, "... and left as it is")


def quiet(report, before, path):
    _, said, lint = judge.examine(path)
    new = [*(said - before[1]), *(lint - before[2])]
    report.ok(not new, "... of which readelf and eu-elflint say nothing new", "\n".join(new))


def survives(report, sample):
    for tool, *options in TOOLS:
        if not shutil.which(tool):
            report.skip(f"... {tool} keeps it loading", f"no {tool}")
            continue
        what = f"... {' '.join((tool, *options))} keeps it loading"
        if tool in sample.too_much_for:
            report.skip(what, f"takes {tool} hours, edited or not")
            continue
        results = []
        for path in ("original", sample.path):
            shutil.copy(path, "stripped")
            status, said = run([tool, *options, "stripped"])
            results.append(runs(sample, "stripped") if status == 0 else said.strip() or f"exit status {status}")
        if results[0]:
            report.skip(what, "not the unedited one either: " + results[0].splitlines()[-1][:60])
        elif report.ok(not results[1], what, results[1]):
            facts = judge.examine("stripped")[0]
            report.ok(facts.path == LONG, "... with its path", facts.path)


def hundred(report, sample, before):
    least = os.stat("original").st_size
    for i in range(100):
        status, said = edit(sample, sample.path, f"$ORIGIN/{i}/" + chr(97 + i % 26) * (i * 37 % 230))
        if status != 0:
            break
    grown = os.stat(sample.path).st_size - least
    report.ok(status == 0 and grown <= 4096, f"... a hundred paths in turn cost {grown} bytes", said)
    why = runs(sample, sample.path)
    report.ok(not why, "... after which it loads", why)
    quiet(report, before, sample.path)


def study(report, name, sample):
    if sample.refused:
        return refuses(report, name, sample)
    why = runs(sample, sample.path)
    if why:
        return report.skip(name, "does not run here unedited: " + why.strip().splitlines()[-1][:80])
    shutil.copy(sample.path, "original")
    before = judge.examine("original")
    status, said = edit(sample, sample.path, LONG)
    if not report.ok(status == 0, f"{name} is edited", said):
        return None
    facts = judge.examine(sample.path)[0]
    report.ok((facts.path, facts.soname) == (LONG, before[0].soname), "... to what was asked for", facts)
    why = runs(sample, sample.path)
    report.ok(not why, "... and loads", why)
    quiet(report, before, sample.path)
    report.ok(build_id(sample.path) == build_id("original"), "... with the build-id that it had")
    if not shutil.which("gdb"):
        report.skip("... gdb finds what it found", "no gdb")
    else:
        was, now = symbols("original", sample.path)
        report.ok("probe" in was and was == now, "... gdb finds what it found", now)
    stat = os.stat(sample.path)
    edit(sample, sample.path, LONG)
    now = os.stat(sample.path)
    report.ok((stat.st_ino, stat.st_mtime_ns) == (now.st_ino, now.st_mtime_ns), "... repeated, it touches nothing")
    survives(report, sample)
    return hundred(report, sample, before)


def main():
    report = Report()
    for name, make in objects.OBJECTS.items():
        with tempfile.TemporaryDirectory(dir=".") as folder:
            top = os.getcwd()
            os.chdir(folder)
            try:
                study(report, name, make())
            except objects.Absent as absent:
                report.skip(name, absent)
            os.chdir(top)
    print(f"1..{report.number}")
    return report.failed > 0


if __name__ == "__main__":
    sys.exit(main())
