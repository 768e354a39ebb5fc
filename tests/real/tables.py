"""tables.py ENVIRONMENT...: the tables under knowledge/ against what NVIDIA's wheels hold, where they are installed.

Prints what differs, nothing if all is as the tables say: each library with a version in its name that a vendor's package owns has an
entry, whose package, directory and version are that package's; and each name that an opening rule composes has its stem in the object.
"""
import csv
import fnmatch
import glob
import json
import mmap
import os
import re
import sys

top = os.environ["ELFMEND_TOP"]
packages = json.load(open(f"{top}/knowledge/packages.json"))
opens = json.load(open(f"{top}/knowledge/opens.json"))["opens"]
# Nobody needs these from outside of their package: plugins, back ends of the profiler, variants for Windows' sake.
INNER = ["libnvperf_*", "libnvshmem_*", "nvshmem_*", "libcheckpoint*", "libpcsamplingutil*", "libcufile_rdma*", "*.alt.so.*", "libnvToolsExt*"]
checked = {"libraries": 0, "openings": 0}


def entry_of(soname):
    for package in packages["packages"]:
        for pattern in package["sonames"]:
            if fnmatch.fnmatchcase(re.sub(r"\.so\..*", ".so.", soname), pattern.replace("{major}", "")):
                return package
    return None


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def check_library(owner, version, path):
    soname = os.path.basename(path)
    found = re.match(r"lib[^/]*\.so\.(\d+)", soname)
    if not found or any(fnmatch.fnmatchcase(soname, pattern) for pattern in INNER):
        return
    checked["libraries"] += 1
    entry = entry_of(soname)
    if not entry:
        print(f"{soname} of {owner} has no entry")
        return
    choices = entry["by_major"].get(found.group(1), {})
    mine = [r for r in choices.values() if re.match(r"[^<>=!~]*", r).group() == owner]
    if not mine:
        print(f"{soname} is of {owner}; the table has {sorted(choices.values())}")
    for bound in [b for r in mine for b in r[len(owner):].split(",") if b]:
        operator, number = re.match(r"([<>=]+)(.*)", bound).groups()
        have, limit = ([int(x) for x in v.split(".")] for v in (version, number))
        if not (have >= limit if operator == ">=" else have < limit):
            print(f"{soname} is of {owner} {version}; the table has {mine}")
    directory = entry["dir"] if owner.endswith(("-cu11", "-cu12")) or "cu13_dir" not in entry else entry["cu13_dir"]
    if directory and os.path.dirname(path) != directory:
        print(f"{soname} of {owner} is in {os.path.dirname(path)}; the table has {directory}")


def holds(path, text):
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as data:
        return data.find(text) >= 0


def check_openings(path):
    """The opener itself, or, where it opens for others (torch's at::DynamicLibrary), one of the libraries beside it."""
    base = os.path.basename(path)
    beside = [path] + sorted(glob.glob(f"{glob.escape(os.path.dirname(path))}/*.so*"))
    for rule in opens:
        if not any(fnmatch.fnmatchcase(base, pattern) for pattern in rule["object"]):
            continue
        for entry in rule["opens"]:
            # What another member opens has its name there.
            if entry.get("through") or entry.get("without") == "optional":
                continue
            stem = entry.get("member") or entry["string"].split("*")[0]
            checked["openings"] += 1
            if not any(holds(file, stem.encode()) for file in beside):
                print(f"{base} does not hold {stem}")
        return


for environment in sys.argv[1:]:
    site = glob.glob(f"{environment}/lib/python3*/site-packages")[0]
    for record in glob.glob(f"{site}/*.dist-info/RECORD"):
        name, version = os.path.basename(os.path.dirname(record))[:-len(".dist-info")].rsplit("-", 1)
        vendor = any(fnmatch.fnmatchcase(normal(name), pattern) for pattern in packages["vendors"])
        for path, *_ in csv.reader(open(record, newline="")):
            if ".so" not in os.path.basename(path):
                continue
            if vendor:
                check_library(normal(name), version, path)
            check_openings(f"{site}/{path}")
if not checked["libraries"] or not checked["openings"]:
    print("nothing was checked")
print(f"{checked['libraries']} libraries, {checked['openings']} openings", file=sys.stderr)
