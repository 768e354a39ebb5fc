"""machines.py: the machines whose objects are made here, by whom, and how their programs run.

A machine is there if its compiler makes a program that runs: directly, or under qemu-user.
"""
import dataclasses
import os
import shutil
import subprocess


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    prefix: str  # of the tools
    emulator: str  # "" if the host runs its programs
    linkers: tuple

    def tool(self, name):
        return shutil.which(self.prefix + name) or shutil.which(name)

    def runner(self):
        return [self.emulator, "-L", f"/usr/{self.prefix.rstrip('-')}"] if self.emulator else []

    def libraries(self):
        """Where its libc lies: the search path of programs that may not use the default directories. The loader's own libc comes
        first, for the two must be of one build."""
        path = subprocess.run([self.prefix + "gcc", "-print-file-name=libc.so.6"], capture_output=True, text=True).stdout
        own = [I386_LOADER] if self.prefix and not self.emulator else []
        return ":".join(os.path.dirname(os.path.realpath(file)) for file in (*own, path.strip()))


# A PC runs programs of i386 itself, once it has their loader (Debian's libc6-i386).
I386_LOADER = "/lib/ld-linux.so.2"
I386 = "" if os.path.exists(I386_LOADER) else "qemu-i386"

MACHINES = (
    Machine("x86-64", "", "", ("bfd", "gold", "lld", "mold")),
    Machine("i386", "i686-linux-gnu-", I386, ("bfd", "gold", "lld", "mold")),
    Machine("aarch64", "aarch64-linux-gnu-", "qemu-aarch64", ("bfd", "gold", "lld", "mold")),
    Machine("s390x", "s390x-linux-gnu-", "qemu-s390x", ("bfd", "gold", "mold")),
    Machine("powerpc", "powerpc-linux-gnu-", "qemu-ppc", ("bfd", "gold", "lld")),
    Machine("mips", "mips-linux-gnu-", "qemu-mips", ("bfd", "gold", "lld")),
)


def missing(machine):
    """What is not here that its objects need, or None."""
    for tool in (machine.prefix + "gcc", machine.emulator or "sh"):
        if not shutil.which(tool):
            return tool
    return None
