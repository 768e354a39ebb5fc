"""judge.py: what others say of an object: readelf, eu-elflint, and the loader that runs it. Our own reader is never asked."""
import collections
import os
import re

from edits import Facts, run_arguments
from process import run

NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.*)\]")
PATH = re.compile(r"\((RPATH|RUNPATH)\)\s+Library r(?:un)?path: \[(.*)\]")
SONAME = re.compile(r"\(SONAME\)\s+Library soname: \[(.*)\]")
INTERPRETER = re.compile(r"\[Requesting program interpreter: (.*)\]")
STACK = re.compile(r"^  GNU_STACK .*? (R?W?E?) +(?:0x)?[0-9a-f]+$", re.M)
ABI = re.compile(r"^  OS/ABI: +(.*)$", re.M)
SYMBOL = re.compile(r"^ +\d+: .* (?:UND|ABS|COM|\d+) ([^\s(]\S*)(?: \(\d+\))?$", re.M)
WEAK = re.compile(r" WEAK .* UND spare\b")
COMPLAINT = re.compile(r"^readelf: (?:.*: )?((?:Warning|Error): .*)$", re.M)
SECTION = re.compile(r"^  \[ *(\d+)\] \S+ +([A-Z_]+) +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) ", re.M)
HOMELESS = re.compile(r"^section \[ *(\d+)\] .*(?:alloc flag set but section not in any loaded segment|"
                      r"not fully contained in segment of program header entry \d+)$")
LOAD = re.compile(r"^  LOAD +0x[0-9a-f]+ 0x([0-9a-f]+) 0x[0-9a-f]+ 0x[0-9a-f]+ 0x([0-9a-f]+) (...) ", re.M)
READ_ONLY = re.compile(r"^section \[ *\d+\] '(.*)': relocation (\d+): read-only section modified but text relocation flag not set$")
NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+")


def dynamic_symbols(text):
    at = text.find("Symbol table '.dynsym'")
    return SYMBOL.findall(text[at:text.find("\n\n", at)]) if at >= 0 else []


def examine(path):
    """(facts, complaints of readelf, complaints of eu-elflint), complaints as counters of their kinds."""
    return examine_all([path])[0]


def examine_all(paths):
    """The same for many: one start of each tool serves them all. One that dies is asked about each alone."""
    tools = (["readelf", "-aW"], "\nFile: {}\n"), (["eu-elflint", "--gnu-ld"], "\n{}:\n")
    texts, lints = [ask_all(command, mark, paths) for command, mark in tools]
    return [read(text, lint) for text, lint in zip(texts, lints)]


def ask_all(command, mark, paths):
    if len(paths) > 1:
        status, said = run([*command, *paths])
        starts = [said.find(mark.format(path)) for path in paths]
        if status is not None and status >= 0 and -1 not in starts:
            return [said[start:end].removeprefix(mark.format(path)) for path, start, end in zip(paths, starts, [*starts[1:], None])]
    return [run([*command, path])[1] for path in paths]


def read(text, lint):
    facts = Facts(needed=tuple(NEEDED.findall(text)), debug="(DEBUG)" in text, nodeflib="NODEFLIB" in text,
                  weak=bool(WEAK.search(text)))
    for pattern, field in ((SONAME, "soname"), (INTERPRETER, "interpreter"), (STACK, "stack"), (ABI, "abi")):
        found = pattern.search(text)
        if found:
            setattr(facts, field, found.group(1))
    paths = PATH.findall(text)
    if paths:
        facts.tag, facts.path = paths[-1] if len(paths) == 1 else ("both", paths[-1][1])
    facts.abi = "UNIX - GNU" if facts.abi in ("UNIX - GNU", "UNIX - Linux") else facts.abi
    for symbol in dynamic_symbols(text):
        name = symbol.split("@")[0]
        if name == "which":
            facts.which = symbol
        elif name.startswith("alias"):
            facts.alias = name
        elif name.startswith("exported"):
            facts.exported = name
    said = collections.Counter(NUMBER.sub("", line) for line in COMPLAINT.findall(text))
    without_bytes = {index for index, kind, size in SECTION.findall(text) if kind == "NOBITS" or int(size, 16) == 0}
    complaints = collections.Counter(NUMBER.sub("", line) for line in lint.splitlines()
                                     if line and line != "No errors" and not is_about_nothing(line, without_bytes)
                                     and not is_written(line, text))
    return facts, said, complaints


def is_about_nothing(line, without_bytes):
    """strip tools give a section without bytes (mold's .tbss, .relro_padding) the offset behind the last segment that has some, and
    eu-elflint looks for it there. That this was its own segment before an edit added another is nothing that an edit could keep."""
    homeless = HOMELESS.match(line)
    return homeless and homeless.group(1) in without_bytes


def is_written(line, text):
    """eu-elflint takes a relocation to be as long as its symbol: that of a long function, in the table that is last in the writable
    segment, reaches into a read-only segment behind that. Where the word that is relocated can be written, it is mistaken."""
    claim = READ_ONLY.match(line)
    table = claim and re.search(rf"^Relocation section '{re.escape(claim.group(1))}' at .*\n.*\n((?:[0-9a-f].*\n)+)", text, re.M)
    if not table:
        return False
    place = int(table.group(1).splitlines()[int(claim.group(2))].split()[0], 16)
    return any("W" in flags and int(start, 16) <= place < int(start, 16) + int(size, 16) for start, size, flags in LOAD.findall(text))


def difference(wanted, got):
    """The first fact that is another, or None. The order of NEEDED is for the unit tests: peers differ in it by design."""
    for field, value in vars(wanted).items():
        other = getattr(got, field)
        if field == "needed":
            value, other = sorted(value), sorted(other)
        if value != other:
            return f"{field} is {str(other)[:60]!r}, not {str(value)[:60]!r}"
    return None


def environment(bench):
    """The search path of the programs under test; under an emulator it is for them alone."""
    path = f"{bench.folder}:{bench.machine.libraries()}"
    if bench.machine.emulator:
        return dict(os.environ, QEMU_SET_ENV=f"LD_LIBRARY_PATH={path.replace(',', ',,')}")
    return dict(os.environ, LD_LIBRARY_PATH=path)


def run_libraries(bench, cases):
    """cases: (path, facts). What the loader says of each, None for fine."""
    with open("cases", "w", encoding="ascii") as file:
        for path, facts in cases:
            print("./" + path, *run_arguments(facts), facts.exported or "exported", file=file)
    # The host sees to it that none of them hangs.
    _, said = run([*bench.machine.runner(), "./host"], stdin="cases", env=environment(bench), limit=None)
    answers = {f"./{path}": [] for path, _ in cases}
    about = []
    for line in said.splitlines():
        if line in answers:
            about = answers[line]
        elif not line.startswith("qemu: "):
            about.append(line)
    return [None if lines == ["ok"] else lines[0] if lines else "the loader died" for lines in answers.values()]


def run_program(bench, path, facts):
    status, said = run([*bench.machine.runner(), "./" + path, *map(str, run_arguments(facts)), facts.interpreter],
                       env=environment(bench))
    if status == 0:
        return None
    return said.strip().splitlines()[-1].replace(path, "FILE") if said.strip() else f"exit status {status}"


def run_all(bench, kind, cases):
    if kind == "library":
        return run_libraries(bench, cases) if cases else []
    return [run_program(bench, path, facts) for path, facts in cases]
