"""objects.py: the objects under test, each linked from the same few sources: machine x linker x kind x variant.

    recipes()                what is to be made, in a fixed order
    Bench(machine, folder)   compiles what all objects of a machine share, and links recipes into the folder
"""
import dataclasses
import os
import subprocess

from machines import MACHINES, missing

here = os.path.dirname(os.path.abspath(__file__))

KINDS = ("library", "pie", "program", "static-pie")

# What the linker is told besides.
VARIANTS = {
    "plain": "",
    "full-relro": "-Wl,-z,relro,-z,now",
    "partial-relro": "-Wl,-z,relro,-z,lazy",
    "no-relro": "-Wl,-z,norelro",
    "separate-code": "-Wl,-z,separate-code",
    "noseparate-code": "-Wl,-z,noseparate-code",
    "hash-sysv": "-Wl,--hash-style=sysv",
    "hash-gnu": "-Wl,--hash-style=gnu",
    "hash-both": "-Wl,--hash-style=both",
    "relr": "-Wl,-z,pack-relative-relocs",
    "relr-packed": "-Wl,--pack-dyn-relocs=relr",
    "page-4k": "-Wl,-z,max-page-size=0x1000",
    "page-64k": "-Wl,-z,max-page-size=0x10000",
    "page-2m": "-Wl,-z,max-page-size=0x200000",
    "page-64k-noseparate": "-Wl,-z,max-page-size=0x10000,-z,noseparate-code",
    "no-spare-slot": "-Wl,--spare-dynamic-tags=1",
    "no-spare-slot-full": "-Wl,--spare-dynamic-tags=1,-z,now,-z,relro,--hash-style=both",
    "one-segment": "-Wl,--no-rosegment",
    "no-build-id": "-Wl,--build-id=none",
    "rpath": "-Wl,-rpath,$ORIGIN/sub:/old/place:/another,--disable-new-dtags",
    "runpath": "-Wl,-rpath,$ORIGIN/sub:/old/place,--enable-new-dtags",
    "execstack": "-Wl,-z,execstack",
    "versions": "-Wl,--version-script=probe.map",
    "versions-sysv": "-Wl,--version-script=probe.map,--hash-style=sysv,-z,now",
}

# Those in which other machines are likely to differ; of these, those in which their programs are.
ABROAD = ("plain", "full-relro", "no-relro", "hash-sysv", "hash-both", "page-2m", "no-spare-slot", "rpath", "versions", "relr")
ABROAD_PROGRAMS = ("plain", "full-relro", "hash-both", "page-2m", "no-spare-slot")


def variants(machine, kind):
    if machine.name != "x86-64":
        return ABROAD if kind == "library" else ABROAD_PROGRAMS
    return VARIANTS if kind in ("library", "pie") else ABROAD


@dataclasses.dataclass(frozen=True)
class Recipe:
    machine: object
    linker: str
    kind: str
    variant: str

    def __str__(self):
        return f"{self.machine.name}/{self.linker}/{self.kind}/{self.variant}"


def recipes():
    for machine in MACHINES:
        if missing(machine):
            continue
        for linker in machine.linkers:
            for kind in KINDS:
                for variant in variants(machine, kind):
                    if variant.startswith("versions") and kind != "library":
                        continue
                    if kind == "static-pie" and (machine.name != "x86-64" or variant in ("rpath", "runpath")):
                        continue
                    yield Recipe(machine, linker, kind, variant)


# Linkers take an option that they do not know with a warning: that would be the plain object a second time.
REFUSALS = ("ignored", "unknown", "unrecognized", "unsupported", "not supported", "warning: ")


class Bench:
    """A folder with all that the objects of one machine need to run; the objects come into it too."""

    def __init__(self, machine, folder):
        self.machine, self.folder = machine, folder
        self.gcc = machine.prefix + "gcc"
        os.makedirs(f"{folder}/sub", exist_ok=True)
        common = ["-O1", "-D_GNU_SOURCE", "-funwind-tables"]
        source = f"{here}/probe"
        os.symlink(f"{source}/probe.map", f"{folder}/probe.map")
        for name in ("dep", "spare"):
            self.cc("-shared", "-fPIC", *common, f"-Wl,--version-script={source}/{name}.map,-soname,lib{name}.so.1",
                    f"{source}/{name}.c", "-o", f"lib{name}.so.1")
            os.symlink(f"lib{name}.so.1", f"{folder}/lib{name}.so")
        for soname, path in (("libextra.so.1", "libextra.so.1"), ("libsub.so", "sub/libsub.so")):
            self.cc("-shared", "-fPIC", f"-Wl,-soname,{soname}", f"{source}/extra.c", "-o", path)
        os.symlink("libdep.so.1", f"{folder}/libdep-0123456789abcdef0123456789abcdef.so.1")
        for name, flags in (("pic", ["-fPIC"]), ("pie", ["-fPIE"]), ("nopie", ["-fno-pie"]), ("alone", ["-fPIE", "-DALONE"])):
            self.cc("-c", *common, *flags, f"{source}/probe.c", "-o", f"probe-{name}.o")
            self.cc("-c", *common, *flags, f"{source}/main.c", "-o", f"main-{name}.o")
        self.cc(*common, f"{source}/host.c", "-o", "host")

    def cc(self, *arguments):
        subprocess.run([self.gcc, *arguments], cwd=self.folder, check=True)

    def link(self, recipe, name):
        """Whether the linker knows all of it. That the object runs is for others to see."""
        leans = ["-L.", "-Wl,--no-as-needed", "-ldep", "-lspare"]
        inputs = {
            "library": ["-shared", "-Wl,-soname,libprobe.so.1", "probe-pic.o", *leans],
            "pie": ["-pie", "main-pie.o", "probe-pie.o", *leans],
            "program": ["-no-pie", "main-nopie.o", "probe-nopie.o", *leans],
            "static-pie": ["-static-pie", "main-alone.o", "probe-alone.o"],
        }[recipe.kind]
        command = [self.gcc, f"-fuse-ld={recipe.linker}", *VARIANTS[recipe.variant].split(), *inputs, "-o", name]
        made = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return made.returncode == 0 and not any(word in made.stderr for word in REFUSALS)
