"""edits.py: what is done to the objects, and what must be true of them afterwards.

An edit is a list of calls of the editor, a call a list of operations, an operation a tuple (its name, its arguments). Facts are what
readelf says of an object; apply() says what they must be after an operation. The names are patchelf's, without dashes.
"""
import dataclasses
import os

LONG = "$ORIGIN/sub:" + ":".join(f"$ORIGIN/../nvidia/{i:02}-{'p' * 40}/lib" for i in range(20))
LONG = LONG[:966]
OTHER_DEP = "libdep-0123456789abcdef0123456789abcdef.so.1"


@dataclasses.dataclass
class Facts:
    tag: str = ""  # "RPATH", "RUNPATH" or ""
    path: str = ""
    needed: tuple = ()
    soname: str = ""
    interpreter: str = "-"
    stack: str = ""  # flags of PT_GNU_STACK; "" if there is none
    debug: bool = False
    nodeflib: bool = False
    abi: str = ""
    which: str = ""  # how the symbol is spelled, with its version
    alias: str = ""
    exported: str = ""
    weak: bool = False  # spare() is wanted weakly; a linker may make more of it than the source says


def apply(facts, operation):
    """The facts after it, as a new value."""
    name, *arguments = operation
    new = dataclasses.replace(facts)
    if name in ("set-rpath", "force-rpath"):
        new.path, new.tag = arguments[0], "RUNPATH" if name == "set-rpath" else "RPATH"
    elif name == "add-rpath":
        there = facts.path.split(":")
        more = dict.fromkeys(entry for entry in arguments[0].split(":") if entry not in there)
        new.path = ":".join([*there, *more]) if facts.path else arguments[0]
        new.tag = "RUNPATH"
    elif name == "remove-rpath":
        new.path = new.tag = ""
    elif name == "add-needed":
        new.needed = (arguments[0], *(n for n in facts.needed if n != arguments[0]))
    elif name == "remove-needed":
        new.needed = tuple(n for n in facts.needed if n != arguments[0])
    elif name == "replace-needed":
        new.needed = tuple(arguments[1] if n == arguments[0] else n for n in facts.needed)
    elif name == "set-soname":
        new.soname = arguments[0]
    elif name == "set-interpreter":
        new.interpreter = arguments[0]
    elif name == "set-execstack":
        new.stack = "RWE"
    elif name == "clear-execstack":
        new.stack = "RW"
    elif name == "rename-dynamic-symbols":
        for old, renamed in arguments:
            new.alias = renamed if facts.alias == old else new.alias
            new.exported = renamed if facts.exported == old else new.exported
    elif name == "clear-symbol-version":
        new.which = arguments[0]
    elif name == "add-debug-tag":
        new.debug = True
    elif name == "no-default-lib":
        new.nodeflib = True
    elif name == "set-os-abi":
        new.abi = "UNIX - GNU"
    return new


def expected(facts, calls):
    for call in calls:
        for operation in call:
            facts = apply(facts, operation)
    return facts


def run_arguments(facts):
    """What the probe is to find: version of which(), alias, whether libsub.so is found, whether libspare.so.1 is there."""
    return [1 if facts.which == "which" else 2, 2 if facts.alias == "alias_of_a_longer_name" else 1,
            int("$ORIGIN/sub" in facts.path.split(":")), int("libspare.so.1" in facts.needed)]


RENAMES = (("alias", "alias_of_a_longer_name"), ("exported", "exported_under_another_name"))


def edits(recipe, facts, folder):
    """(name, calls) of all that make sense for this object. folder has an "ld.so", the interpreter by another name."""
    long_interpreter = folder + "/" + "./" * ((200 - len(folder)) // 2) + "ld.so"
    one = {
        "rpath-short": ("set-rpath", "$ORIGIN/sub"),
        "rpath-966": ("force-rpath", LONG),
        "runpath-966": ("set-rpath", LONG),
        "add-rpath": ("add-rpath", "/opt/one:/opt/two"),
        "debug-tag": ("add-debug-tag",),
        "nodeflib": ("no-default-lib",),
        "os-abi": ("set-os-abi", "Linux"),
        "execstack-set": ("set-execstack",),
        "execstack-clear": ("clear-execstack",),
    }
    calls = {name: [[operation]] for name, operation in one.items()}
    if recipe.kind == "static-pie":  # it has no use for libraries, and glibc dies of a search path in it, the linker's own too
        calls["soname"] = [[("set-soname", "s" * 300)]]
        return [(name, calls[name]) for name in ("soname", "debug-tag", "os-abi", "execstack-set", "execstack-clear")]
    if facts.tag:
        calls["remove-rpath"] = [[("remove-rpath",)]]
    calls["add-needed"] = [[("add-needed", "libextra.so.1")]]
    if facts.weak:
        calls["remove-needed"] = [[("remove-needed", "libspare.so.1")]]
    calls["replace-needed"] = [[("replace-needed", "libdep.so.1", OTHER_DEP)]]
    calls["rename"] = [[("rename-dynamic-symbols", *RENAMES)]]
    calls["clear-version"] = [[("clear-symbol-version", "which")]]
    named = [("set-soname", "libprobe-0123456789abcdef.so.1")]
    if recipe.kind == "library":
        calls["soname"] = [named]
    else:
        calls["interpreter-long"] = [[("set-interpreter", long_interpreter)]]
        calls["interpreter-short"] = [[("set-interpreter", "./ld.so")]]
        named = [("set-interpreter", long_interpreter)]
    calls["all-at-once"] = [named + [("force-rpath", LONG), ("replace-needed", "libdep.so.1", OTHER_DEP),
                                     ("add-needed", "libextra.so.1"), ("no-default-lib",), ("add-debug-tag",)]]
    calls["wheel"] = [[("replace-needed", "libdep.so.1", OTHER_DEP)], named, [("force-rpath", LONG)]]
    return list(calls.items())



def second(kind):
    return [[("set-soname", "second")]] if kind == "static-pie" else [[("force-rpath", "$ORIGIN/sub:/second/" + "s" * 180)]]


def hundred(kind):
    name = "set-soname" if kind == "static-pie" else "set-rpath"
    return [[(name, f"$ORIGIN/sub:/edit/{i}/" + "h" * (i * 37 % 200))] for i in range(100)]


def write_map(path, renames):
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{old} {new}\n" for old, new in renames)
    return os.path.abspath(path)
