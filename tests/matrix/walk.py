"""walk.py: random objects, random edits. A seed decides the object, the calls, and where somebody strips in between; after each step the
object runs and is what the model in edits.py says, and at the end nobody has more to say of it than of the unedited object after the
same strips.

    walk(bench, seed)     None, or what went wrong and by which steps; "" for an object that cannot be made here
"""
import random
import shutil

import edits
import judge
import objects
from study import TOOLS, afterwards


def path(rng):
    entries = ["$ORIGIN/sub"] if rng.random() < 0.6 else []
    entries += [f"/{rng.choice('abc')}/" + "d" * rng.choice((0, 3, 40, 200)) for _ in range(rng.randrange(6))]
    rng.shuffle(entries)
    return ":".join(entries) or "/alone"


def operations(rng, facts, kind, folder):
    """Some that one call can have: of each group at most one, so that their order does not matter."""
    dep = next(n for n in facts.needed if n.startswith("libdep"))
    groups = [
        [("set-rpath", path(rng)), ("force-rpath", path(rng)), ("add-rpath", path(rng)), ("remove-rpath",)],
        [("replace-needed", dep, "libdep.so.1" if dep == edits.OTHER_DEP else edits.OTHER_DEP), ("add-needed", "libextra.so.1"),
         ("remove-needed", "libspare.so.1" if facts.weak else "libnone.so"), ("add-needed", "libspare.so.1")],
        [("set-execstack",), ("clear-execstack",)],
        [("rename-dynamic-symbols", *renames(rng, facts))],
        [("clear-symbol-version", "which")],
        [("add-debug-tag",)],
        [("set-os-abi", "Linux")],
    ]
    if kind == "library":
        groups.append([("set-soname", "lib" + "n" * rng.randrange(1, 300) + ".so")])
    else:
        groups.append([("set-interpreter", folder + "/" + "./" * rng.randrange(100) + "ld.so"), ("set-interpreter", "./ld.so")])
    return [rng.choice(group) for group in rng.sample(groups, rng.randint(1, 3))]


def renames(rng, facts):
    pair = ("alias", "alias_of_a_longer_name")
    yield pair if facts.alias == pair[0] else pair[::-1]
    if facts.exported:
        yield facts.exported, "exported" + str(rng.randrange(10 ** rng.randrange(1, 12)))


def step(bench, editor, rng, recipe, facts, log):
    """One step on both, the edited object and the plain one; (facts, None) or (None, what went wrong)."""
    if rng.random() < 0.2:
        tool = rng.choice(list(TOOLS))
        shutil.copy("plain", "try")
        if afterwards(bench, tool, "try") is not None or judge.run_all(bench, recipe.kind, [("try", log["plain"])]) != [None]:
            return facts, None
        log["steps"].append(tool)
        shutil.copy("try", "plain")
        return facts, afterwards(bench, tool, "walked")
    call = operations(rng, facts, recipe.kind, bench.folder)
    log["steps"].append(call)
    shutil.copy("walked", "before")
    return edits.expected(facts, [call]), editor.edit("before", "walked", [call])


def walk(bench, editor, seed):
    rng = random.Random(seed)
    choices = [r for r in objects.recipes() if r.machine == bench.machine and r.kind != "static-pie"]
    recipe = rng.choice(choices)
    if not bench.link(recipe, "object"):
        return ""
    facts, _, _ = judge.examine("object")
    log = {"plain": facts, "steps": []}
    if judge.run_all(bench, recipe.kind, [("object", facts)]) != [None]:
        return ""
    for name in ("plain", "walked"):
        shutil.copy("object", name)
    for _ in range(rng.randint(1, 12)):
        facts, why = step(bench, editor, rng, recipe, facts, log)
        if not why:
            died = judge.run_all(bench, recipe.kind, [("walked", facts)])[0]
            now, said, lint = judge.examine("walked")
            why = f"does not run: {died}" if died else judge.difference(facts, now)
        if why:
            return f"{recipe}: {why}; steps: {log['steps']}"
    _, plain_said, plain_lint = judge.examine("plain")
    news = (said - plain_said) + (lint - plain_lint)
    return f"{recipe}: {next(iter(news))}; steps: {log['steps']}" if news else None
