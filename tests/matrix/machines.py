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
        """Where its libc lies: the search path of programs that may not use the default directories."""
        path = subprocess.run([self.prefix + "gcc", "-print-file-name=libc.so.6"], capture_output=True, text=True).stdout
        return os.path.dirname(os.path.realpath(path.strip()))


MACHINES = (
    Machine("x86-64", "", "", ("bfd", "gold", "lld", "mold")),
    Machine("i386", "i686-linux-gnu-", "qemu-i386", ("bfd", "gold", "lld", "mold")),
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
