"""objects.py: objects of unusual make, and those that other tools had in hand before.

Each maker leaves a file in the working directory and says how it runs; None says that it cannot be made here. What it takes: gcc and
binutils; lld, cross compilers, patchelf and LIEF are used where they are.
"""
import dataclasses
import importlib.util
import os
import shutil
import subprocess

import elf

LIBRARY = """
#include <math.h>
#include <string.h>
__attribute__((weak)) double zero;
static const char *const words[] = { "four", "two" };
__thread int counter = 1;
int probe(void) { return cos(zero) == 1.0 && strcmp(words[0], "four") == 0 && counter++ > 0 ? 42 : 0; }
int other(void) { return 7; }
"""
PROGRAM = '#include <stdio.h>\nint probe(void) { return 42; }\nint main(void) { return printf("%d\\n", probe()) != 3; }\n'
HOST = """
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[1], RTLD_NOW);
    int (*probe)(void) = library ? (int (*)(void))dlsym(library, "probe") : 0;
    if (!probe) puts(dlerror());
    return !probe || probe() != 42;
}
"""


class Absent(Exception):
    """What it takes is not here."""


@dataclasses.dataclass
class Sample:
    path: str
    command: tuple  # that runs it, "FILE" in the place of its name
    refused: str = ""  # a part of the reason, if it is to be refused
    env: dict = dataclasses.field(default_factory=dict)
    options: tuple = ()  # edits besides the search path
    too_much_for: tuple = ()  # tools that do not come to an end with it


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Absent(f"no {tool}")


def sh(*command):
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        raise Absent(f"{command[0]}: {(made.stderr or made.stdout).strip().splitlines()[-1:]}")
    return made.stdout


def library(path="lib.so", *options, cc="gcc", runner=()):
    need(cc)
    with open("lib.c", "w", encoding="ascii") as file:
        file.write(LIBRARY)
    with open("host.c", "w", encoding="ascii") as file:
        file.write(HOST)
    host = f"./host-{cc}"
    if not os.path.exists(host):
        sh(cc, "host.c", "-o", host, "-ldl")
    sh(cc, "-g", "-shared", "-fPIC", "-Wl,-soname,libprobe.so.1,--build-id", *options, "lib.c", "-o", path, "-lm")
    return Sample(path, (*runner, host, "FILE"))


def program(path="prog", *options, cc="gcc", runner=()):
    need(cc, *runner[:1])
    with open("prog.c", "w", encoding="ascii") as file:
        file.write(PROGRAM)
    sh(cc, "-g", "-Wl,--build-id", *options, "prog.c", "-o", path)
    return Sample(path, (*runner, "FILE"))


def bent(sample, bend):
    thing = elf.Object(sample.path)
    bend(thing)
    thing.save(sample.path)
    return sample


def without_sections():
    return bent(library(), elf.Object.drop_sections)


def program_without_sections():
    return bent(program("prog", "-pie", "-fPIE"), elf.Object.drop_sections)


def many_sections():
    """Removing one costs llvm-strip a walk over all others for each."""
    sample = bent(library(), lambda thing: thing.add_sections(elf.LORESERVE + 300))
    return dataclasses.replace(sample, too_much_for=("llvm-strip",))


def no_dynamic_section():
    return bent(library(), lambda thing: thing.sections[".dynamic"].update(type=elf.PROGBITS))


def prelinked():
    """prelink's marks (DT_GNU_PRELINKED, DT_CHECKSUM); the program itself died with glibc 2.36."""
    def bend(thing):
        thing.dynamic = [*thing.dynamic, (0x6FFFFDF5, 0x5F000000), (0x6FFFFDF8, 0x12345678)]
    return bent(library(), bend)


def orphan_versions():
    """.gnu.version without a tag that leads to it: rpm's debugedit and some obfuscators leave that."""
    def bend(thing):
        thing.dynamic = [(tag, value) for tag, value in thing.dynamic
                         if tag not in (elf.VERSYM, elf.VERNEED, elf.VERNEEDNUM)]
    return bent(library(), bend)


def edited_by_patchelf():
    need("patchelf")
    sample = library()
    sh("patchelf", "--set-rpath", "/old/" + "x" * 200, sample.path)
    sh("patchelf", "--add-needed", "libpthread.so.0", sample.path)
    sh("patchelf", "--set-rpath", "$ORIGIN/" + "y" * 400, sample.path)
    return sample


def repaired_by_auditwheel():
    """Its calls: the name of a grafted library, then the way to it."""
    need("patchelf")
    sample = library()
    shutil.copy(sh("gcc", "-print-file-name=libm.so.6").strip(), "libm-0a1b2c3d.so.6")
    sh("patchelf", "--replace-needed", "libm.so.6", "libm-0a1b2c3d.so.6", sample.path)
    sh("patchelf", "--remove-rpath", sample.path)
    sh("patchelf", "--force-rpath", "--set-rpath", "$ORIGIN/../probe.libs", sample.path)
    sample.env = {"LD_LIBRARY_PATH": os.getcwd()}
    return sample


def edited_by_lief():
    if not importlib.util.find_spec("lief"):
        raise Absent("no LIEF")
    import lief  # pylint: disable=import-outside-toplevel
    sample = library()
    thing = lief.parse(sample.path)
    thing.add(lief.ELF.DynamicEntryRunPath("/old/" + "x" * 300))
    thing.write(sample.path)
    return sample


def packed_program():
    """What UPX makes of a program: no sections, no dynamic section, a stub that unpacks the rest."""
    sample = bent(program("prog", "-static"), elf.Object.drop_sections)
    sample.refused = "no dynamic section"
    return sample


def loader():
    """It relocates itself before it can read a search path."""
    path = next((word for word in sh("readelf", "-lW", "/bin/sh").replace("]", " ").split() if "/ld" in word), "")
    if not path or "musl" in path:
        raise Absent("no glibc")
    shutil.copy(path, "ld.so")
    return Sample("ld.so", ("FILE", "--version"), refused="the loader itself")


def mips(*options):
    need("qemu-mips")
    sample = program("prog", *options, cc="mips-linux-gnu-gcc", runner=("qemu-mips", "-L", "/usr/mips-linux-gnu"))
    return sample


def relative_relocations():
    sample = library("lib.so", "-Wl,-z,pack-relative-relocs")
    if not any(tag == 36 for tag, _ in elf.Object(sample.path).dynamic):
        raise Absent("a linker without DT_RELR")
    return sample


def android_relocations():
    """No libc here applies them, so what needs none is loaded: the table must only stay where its tags say."""
    need("ld.lld")
    with open("plain.c", "w", encoding="ascii") as file:
        file.write("int probe(void) { return 42; }\nstatic int a, *const b[] = { &a, &a, &a }; int f(int i) { return *b[i]; }\n")
    library("unused.so")
    sh("gcc", "-g", "-shared", "-fPIC", "-nostdlib", "-fuse-ld=lld", "-Wl,--pack-dyn-relocs=android,--build-id", "plain.c", "-o", "lib.so")
    if not any(tag == 0x60000011 for tag, _ in elf.Object("lib.so").dynamic):
        raise Absent("a linker without DT_ANDROID_RELA")
    return Sample("lib.so", ("./host-gcc", "FILE"))


def with_debug_link():
    sample = library()
    sh("objcopy", "--only-keep-debug", sample.path, "lib.debug")
    sh("strip", "-g", sample.path)
    sh("objcopy", "--add-gnu-debuglink=lib.debug", sample.path)
    return sample


def loses_a_library():
    """A library goes whose versions are in use: its symbols are looked up without one, wherever they come from."""
    sample = library()
    sample.options = ("--remove-needed", "libm.so.6")
    sample.env = {"LD_PRELOAD": "libm.so.6"}
    return sample


def with_payload():
    sample = program("prog", "-no-pie")
    with open(sample.path, "ab") as file:
        file.write(b"PAYLOAD" * 5000)
    return sample


def overlapping_sections():
    """.comment said to begin inside of .dynstr: nobody may lose a byte over it."""
    def bend(thing):
        thing.sections[".comment"]["offset"] = thing.sections[".dynstr"]["offset"] + 8
    return bent(library(), bend)


def overlapping_tables():
    def bend(thing):
        thing.sections[".dynstr"]["size"] += 16
    return dataclasses.replace(bent(library(), bend), refused="other tables or sections lie across")


def cut(share):
    sample = library()
    size = os.stat(sample.path).st_size
    os.truncate(sample.path, int(size * share) if share < 1 else size - 1)
    sample.refused = " "
    return sample


OBJECTS = {
    "a library without section headers": without_sections,
    "a program without section headers": program_without_sections,
    "a library of more sections than the header can count": many_sections,
    "a library with PT_DYNAMIC and no .dynamic": no_dynamic_section,
    "a prelinked library": prelinked,
    "a library with an orphan .gnu.version": orphan_versions,
    "a library with a GNU hash table alone": lambda: library("lib.so", "-Wl,--hash-style=gnu"),
    "a library with a System V hash table alone": lambda: library("lib.so", "-Wl,--hash-style=sysv"),
    "a library edited by patchelf before": edited_by_patchelf,
    "a library repaired by auditwheel before": repaired_by_auditwheel,
    "a library edited by LIEF before": edited_by_lief,
    "a packed program": packed_program,
    "a MIPS program with DT_MIPS_RLD_MAP": lambda: mips("-no-pie", "-fno-pie"),
    "a MIPS program with DT_MIPS_RLD_MAP_REL": lambda: mips("-pie", "-fPIE"),
    "a library with RELR": relative_relocations,
    "a library with Android's packed relocations": android_relocations,
    "a static PIE": lambda: dataclasses.replace(program("prog", "-static-pie", "-fPIE"), refused="is a static PIE"),
    "the loader": loader,
    "a static program": lambda: dataclasses.replace(program("prog", "-static"), refused="no dynamic section"),
    "a library with a debug link": with_debug_link,
    "a library that loses one whose versions it uses": loses_a_library,
    "a program with a payload behind it": with_payload,
    "a library whose sections overlap": overlapping_sections,
    "a library whose tables overlap": overlapping_tables,
    "a library cut off in its section headers": lambda: cut(1),
    "a library cut off half-way": lambda: cut(0.5),
    "a library cut off in its dynamic section": lambda: cut(0.2),
    "a library cut off in its program headers": lambda: cut(0.01),
}
