"""sound_wheel.py WHEEL...: what pip, uv and PyPI want of a wheel's archive, its names and its RECORD, each read from the bytes.

The archive is gone through from its first byte to its last, as a reader does that never looks at the central directory (PyPI's): local
headers in a row, each of them as the directory has it, then the directory, then the end record. There must be nothing else.
"""
import base64
import configparser
import csv
import hashlib
import io
import os
import re
import struct
import sys
import zipfile

ONES = 0xFFFFFFFF


def read_local(data, at):
    """The next member: name, CRC, sizes, and where it ends."""
    flags, method, _, _, crc, packed, size, name_size, extra_size = struct.unpack_from("<HHHHIIIHH", data, at + 6)
    name = bytes(data[at + 30:at + 30 + name_size])
    extra = bytes(data[at + 30 + name_size:at + 30 + name_size + extra_size])
    assert not flags & ~0x800 and method in (0, 8), name
    assert not re.search(rb"[\x00-\x1f\x7f]", name), name
    if extra:
        assert (size, packed) == (ONES, ONES) and struct.unpack_from("<HH", extra) == (1, 16) and len(extra) == 20, name
        size, packed = struct.unpack_from("<QQ", extra, 4)
    return name.decode(), crc, packed, size, at + 30 + name_size + extra_size + packed


def check_archive(path, wheel):
    with open(path, "rb") as file:
        data = memoryview(file.read())
    members, at = {}, 0
    while data[at:at + 4] == b"PK\3\4":
        start = at
        name, crc, packed, size, at = read_local(data, at)
        assert name not in members, name
        members[name] = (crc, packed, size, start)
    assert list(members) == [i.filename for i in wheel.infolist()]
    start = at
    for info in wheel.infolist():
        assert members[info.filename] == (info.CRC, info.compress_size, info.file_size, info.header_offset), info
        assert info.external_attr >> 16 in (0o100644, 0o100755) and info.create_system == 3 and not info.comment, info
        assert not info.extra or ONES <= max(info.file_size, info.compress_size, info.header_offset), info
        assert not info.flag_bits & 0x800 or not info.filename.isascii(), info
        assert info.file_size <= 64 << 20 or info.file_size <= 50 * info.compress_size, "a bomb, by PyPI's measure"
        at += 46 + len(info.filename.encode()) + len(info.extra)
    size, count = at - start, len(members)
    if data[at:at + 4] == b"PK\6\6":
        assert count > 0xFFFE or start >= ONES
        assert struct.unpack_from("<QHHIIQQQQ", data, at + 4) == (44, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
        assert struct.unpack_from("<IIQI", data, at + 56) == (0x07064B50, 0, at, 1)
        at += 76
        count, start = min(count, 0xFFFF), min(start, ONES)
    assert struct.unpack_from("<IHHHHIIH", data, at) == (0x06054B50, 0, 0, count, count, size, start, 0)
    assert at + 22 == len(data), "bytes behind the end record"


def check_record(wheel, info):
    names = wheel.namelist()
    record = names[-1]
    assert record == info + "/RECORD", record
    text = wheel.read(record).decode()
    assert "\r" not in text
    rows = list(csv.reader(io.StringIO(text)))
    assert sorted(row[0] for row in rows) == sorted(names)
    for name, digest, size in rows:
        if name == record:
            assert (digest, size) == ("", "")
            continue
        data = wheel.read(name)
        assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), name
        assert int(size) == len(data), name


def headers(text):
    return [line.split(": ", 1) for line in text.replace("\r\n", "\n").split("\n\n")[0].splitlines() if line[:1] not in " \t"]


def check_names(path, wheel):
    """The file's name against all that repeats it; the .dist-info directory, which it gives back."""
    parts = os.path.basename(path)[:-len(".whl")].split("-")
    name, version, build = parts[0], parts[1], parts[2] if len(parts) == 6 else None
    info = f"{name}-{version}.dist-info"
    directories = {n.split("/")[0] for n in wheel.namelist()}
    assert [d for d in directories if d.endswith(".dist-info")] == [info], directories
    assert [d for d in directories if d.endswith(".data")] in ([], [f"{name}-{version}.data"]), directories
    metadata = headers(wheel.read(info + "/METADATA").decode())
    assert [v for k, v in metadata if k == "Version"] == [version], metadata
    assert [re.sub(r"[-_.]+", "_", v).lower() for k, v in metadata if k == "Name"] == [re.sub(r"[-_.]+", "_", name).lower()]
    for license in (v for k, v in metadata if k == "License-File"):
        assert f"{info}/licenses/{license}" in wheel.namelist(), license
    described = headers(wheel.read(info + "/WHEEL").decode())
    assert [v for k, v in described if k == "Build"] == ([build] if build else []), described
    tags = {f"{p}-{a}-{f}" for p in parts[-3].split(".") for a in parts[-2].split(".") for f in parts[-1].split(".")}
    assert {v for k, v in described if k == "Tag"} == tags, (described, tags)
    assert len({k for k, v in described if k != "Tag"}) == sum(k != "Tag" for k, v in described), described
    if info + "/entry_points.txt" in wheel.namelist():
        points = configparser.RawConfigParser(delimiters="=")
        points.optionxform = str
        points.read_string(wheel.read(info + "/entry_points.txt").decode())
        for group in set(points.sections()) & {"console_scripts", "gui_scripts"}:
            assert all(re.fullmatch(r"[\w.-]+", point) for point in points[group]), dict(points[group])
    return info


for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as wheel:
        assert wheel.testzip() is None
        check_archive(path, wheel)
        check_record(wheel, check_names(path, wheel))
