"""lief_server.py: edits by LIEF. Reads lines of JSON [source, result, calls], answers each with a line: null, or why not."""
import json
import os
import shutil
import sys

import lief

NODEFLIB = 0x800  # DF_1_NODEFLIB
STACK = {"set-execstack": 7, "clear-execstack": 6}


def set_path(binary, tag, path):
    for old in (lief.ELF.DynamicEntry.TAG.RPATH, lief.ELF.DynamicEntry.TAG.RUNPATH):
        if binary.has(old):
            binary.remove(old)
    if path is not None:
        binary.add(lief.ELF.DynamicEntryRpath(path) if tag == "RPATH" else lief.ELF.DynamicEntryRunPath(path))


def old_path(binary):
    for tag in (lief.ELF.DynamicEntry.TAG.RUNPATH, lief.ELF.DynamicEntry.TAG.RPATH):
        if binary.has(tag):
            entry = binary[tag]
            return entry.runpath if tag == lief.ELF.DynamicEntry.TAG.RUNPATH else entry.rpath
    return ""


def replace_needed(binary, old, new):
    binary.get_library(old).name = new
    for requirement in binary.symbols_version_requirement:
        if requirement.name == old:
            requirement.name = new


def set_stack(binary, flags):
    if not binary.has(lief.ELF.Segment.TYPE.GNU_STACK):
        raise ValueError("no PT_GNU_STACK")
    binary.get(lief.ELF.Segment.TYPE.GNU_STACK).flags = lief.ELF.Segment.FLAGS(flags)


def set_soname(binary, name):
    binary[lief.ELF.DynamicEntry.TAG.SONAME].name = name


def set_flags_1(binary):
    if not binary.has(lief.ELF.DynamicEntry.TAG.FLAGS_1):
        binary.add(lief.ELF.DynamicEntry(lief.ELF.DynamicEntry.TAG.FLAGS_1, NODEFLIB))
        return
    binary[lief.ELF.DynamicEntry.TAG.FLAGS_1].add(lief.ELF.DynamicEntryFlags.FLAG.NODEFLIB)


def clear_version(binary, name):
    for symbol in binary.dynamic_symbols:
        if symbol.name == name:
            symbol.symbol_version.as_global()


def do(binary, name, *arguments):
    if name in ("set-rpath", "force-rpath"):
        set_path(binary, "RPATH" if name == "force-rpath" else "RUNPATH", arguments[0])
    elif name == "add-rpath":
        set_path(binary, "RUNPATH", ":".join(p for p in (old_path(binary), arguments[0]) if p))
    elif name == "remove-rpath":
        set_path(binary, "", None)
    elif name == "add-needed":
        binary.add_library(arguments[0])
    elif name == "remove-needed":
        binary.remove_version_requirement(arguments[0])
        binary.remove_library(arguments[0])
    elif name == "replace-needed":
        replace_needed(binary, *arguments)
    elif name == "set-soname":
        set_soname(binary, arguments[0])
    elif name == "set-interpreter":
        binary.interpreter = arguments[0]
    elif name in STACK:
        set_stack(binary, STACK[name])
    elif name == "rename-dynamic-symbols":
        names = dict(arguments)
        for symbol in binary.dynamic_symbols:
            symbol.name = names.get(symbol.name, symbol.name)
    elif name == "clear-symbol-version":
        clear_version(binary, arguments[0])
    elif name == "add-debug-tag":
        if not binary.has(lief.ELF.DynamicEntry.TAG.DEBUG_TAG):
            binary.add(lief.ELF.DynamicEntry(lief.ELF.DynamicEntry.TAG.DEBUG_TAG, 0))
    elif name == "no-default-lib":
        set_flags_1(binary)
    elif name == "set-os-abi":
        binary.header.identity_os_abi = lief.ELF.Header.OS_ABI.LINUX


def edit(source, result, calls):
    shutil.copyfile(source, result)
    for call in calls:
        binary = lief.ELF.parse(result)
        if binary is None:
            raise ValueError("cannot be parsed")
        for operation in call:
            do(binary, *operation)
        os.unlink(result)
        binary.write(result)
        if not os.path.exists(result):
            raise ValueError("nothing was written")
    os.chmod(result, 0o755)


lief.logging.disable()
for line in sys.stdin:
    try:
        edit(*json.loads(line))
        answer = None
    except Exception as error:  # whatever the library raises is its answer
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
