"""study.py: one object under all edits, all editors, all that people do to a file afterwards.

A cell is an object, an edit and an aftermath; for each editor it is

    ok        it runs and computes what it should, readelf sees the edit, and nobody says of it what is not said of the object as the
              linker left it after the same aftermath; or
    noisy     the same, but eu-elflint has something new to say
    refused   the editor left it alone
    bad       anything else

An aftermath that breaks the unedited object makes no cell. An object that does not run as it is makes none at all.
"""
import dataclasses
import os
import shutil
import zlib

import edits
import judge
from editors import dies
from process import run

RANK = {"ok": 3, "noisy": 2, "refused": 1, "bad": 0}
TOOLS = {
    "strip": ("strip", []),
    "strip -g": ("strip", ["-g"]),
    "eu-strip": ("eu-strip", []),
    "llvm-strip": ("llvm-strip", []),
    "objcopy": ("objcopy", []),
}
AFTERMATHS = ("nothing", *TOOLS, "a second edit", "a hundred edits")


@dataclasses.dataclass
class Cell:
    recipe: str
    edit: str
    aftermath: str
    editor: str
    verdict: str
    why: str = ""
    growth: int = 0


def chosen(recipe, edit, share):
    """Nothing, and so many others; which ones differ from edit to edit and from object to object. A hundred edits cost as much as
    all others together: of the edits of an object one has them."""
    turn = zlib.crc32(f"{recipe}/{edit}".encode())
    others = AFTERMATHS[1:-1]
    picked = [others[(turn + i) % len(others)] for i in range(min(share, len(others)))]
    hundred = [AFTERMATHS[-1]] if edit == ("soname" if recipe.kind == "static-pie" else "rpath-short") and share > 1 else []
    return ["nothing", *picked, *hundred]


def afterwards(bench, aftermath, *paths):
    """Does it to the files; None or what went wrong."""
    tool, options = TOOLS[aftermath]
    tool = bench.machine.tool(tool)
    if not tool:
        return "not here"
    status, said = run([tool, *options, *paths])
    return None if status == 0 else said.strip()[-200:].replace(paths[0], "FILE") or f"exit status {status}"


@dataclasses.dataclass
class Result:
    """Of an edit and its aftermath, on its way to the judges."""

    edit: str
    aftermath: str
    path: str
    facts: edits.Facts
    edited: str  # the file before the aftermath


class Study:
    """share: how many aftermaths of an edit are tried on ours, and on a peer's. Where ours is not ok, a peer has them all."""

    def __init__(self, bench, recipe, editors, share):
        self.bench, self.recipe, self.editors, self.share = bench, recipe, editors, share
        self.cells = []

    def baseline(self):
        """The object as its linker left it, after each aftermath: what is said of it. Without those that break it."""
        self.plain = {}
        for aftermath in ("nothing", *TOOLS):
            shutil.copy("object", "plain")
            if aftermath != "nothing" and afterwards(self.bench, aftermath, "plain") is not None:
                continue
            facts, said, lint = judge.examine("plain")
            if judge.run_all(self.bench, self.recipe.kind, [("plain", facts)]) == [None]:
                self.plain[aftermath] = (facts, said, lint)
        self.size = os.stat("object").st_size
        for more in AFTERMATHS[-2:]:
            if "nothing" in self.plain:
                self.plain[more] = self.plain["nothing"]
        return "nothing" in self.plain

    def run(self):
        if not self.bench.link(self.recipe, "object") or not self.baseline():
            return []
        todo = edits.edits(self.recipe, self.plain["nothing"][0], self.bench.folder)
        of_ours, of_peers = self.share
        for editor in self.editors:
            is_ours, results = editor is self.editors[0], []
            short = {(c.edit, c.aftermath) for c in self.cells if c.editor == self.editors[0].name and c.verdict != "ok"}
            for name, calls in todo:
                aftermaths = chosen(self.recipe, name, of_ours if is_ours else of_peers)
                if not is_ours:
                    aftermaths += [a for a in AFTERMATHS if (name, a) in short and a not in aftermaths]
                results += self.edit(editor, name, calls, [a for a in aftermaths if a in self.plain])
            self.judge(editor, self.use_tools(editor, results))
            for path in {path for result in results for path in (result.path, result.edited)}:
                os.unlink(path)
        return self.cells

    def add(self, editor, name, aftermath, verdict, why="", growth=0):
        self.cells.append(Cell(str(self.recipe), name, aftermath, editor.name, verdict, why, growth))

    def edit(self, editor, name, calls, aftermaths):
        """Edits once, and for each aftermath a copy. What is settled becomes a cell, the rest is returned."""
        edited = f"edited-{name}"
        wanted = edits.expected(self.plain["nothing"][0], calls)
        why = editor.edit("object", edited, calls)
        if why is not None:
            for aftermath in aftermaths:
                self.add(editor, name, aftermath, "bad" if dies(why) else "refused", why)
            return []
        results = []
        for aftermath in aftermaths:
            result = Result(name, aftermath, f"{edited}-{AFTERMATHS.index(aftermath)}", wanted, edited)
            why = None
            if aftermath in AFTERMATHS[-2:]:
                more = (edits.second if aftermath == AFTERMATHS[-2] else edits.hundred)(self.recipe.kind)
                why, result.facts = editor.edit(edited, result.path, more), edits.expected(wanted, more)
            else:
                shutil.copy(edited, result.path)
            if why is None:
                results.append(result)
            else:
                self.add(editor, name, aftermath, "bad", f"{aftermath}: {why}")
        if editor is self.editors[0]:
            self.repeat(editor, name, calls, edited)
        return results

    def use_tools(self, editor, results):
        """Each tool once for all files that are meant for it; if it has something against one of them, for each by itself."""
        fine = [r for r in results if r.aftermath not in TOOLS]
        for tool in TOOLS:
            mine = [r for r in results if r.aftermath == tool]
            if mine and tool != "objcopy" and afterwards(self.bench, tool, *(r.path for r in mine)) is None:
                fine += mine
                continue
            for result in mine:
                shutil.copy(result.edited, result.path)
                why = afterwards(self.bench, tool, result.path)
                if why is None:
                    fine.append(result)
                else:
                    self.add(editor, result.edit, tool, "bad", f"{tool}: {why}")
        return fine

    def repeat(self, editor, name, calls, edited):
        """Ours alone: the edit once more changes no byte."""
        with open(edited, "rb") as file:
            before = file.read()
        why = editor.edit(edited, "repeated", calls)
        with open("repeated", "rb") as file:
            if why is None and file.read() != before:
                why = "the edit repeated changes the file"
        if why:
            self.add(editor, name, "repeated", "bad", why)

    def judge(self, editor, results):
        runs = judge.run_all(self.bench, self.recipe.kind, [(r.path, r.facts) for r in results])
        for result, died, (facts, said, lint) in zip(results, runs, judge.examine_all([r.path for r in results])):
            _, plain_said, plain_lint = self.plain[result.aftermath]
            growth = os.stat(result.path).st_size - self.size
            why = f"does not run: {died}" if died else judge.difference(result.facts, facts)
            if not why and said - plain_said:
                why = "readelf: " + next(iter(said - plain_said))
            if why:
                self.add(editor, result.edit, result.aftermath, "bad", why, growth)
            elif lint - plain_lint:
                self.add(editor, result.edit, result.aftermath, "noisy", next(iter(lint - plain_lint)), growth)
            else:
                self.add(editor, result.edit, result.aftermath, "ok", "", growth)
