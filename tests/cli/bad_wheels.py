"""bad_wheels.py DIRECTORY: a wheel that wants a library, once sound and once for each thing that can be wrong with it.

Below DIRECTORY each case is NAME/FILE.whl; DIRECTORY/table has a line for each: NAME, what becomes of it, and the words of the message:
  both      audit and repack refuse it
  repack    repack refuses it; audit may report it
  repaired  the new wheel is as validators want it, whatever the old one was like
The extension module's bytes come from ./_ext.abi3.so.
"""
import base64
import hashlib
import os
import stat
import struct
import sys
import zlib

INFO = "pkg-1.0.dist-info/"
RECORD = INFO + "RECORD"
FILE = "pkg-1.0-cp311-abi3-linux_x86_64.whl"
STORED, DEFLATED, BZIP2 = 0, 8, 12


class Member:
    """A member and what its headers say of it: "local" and "central" are what one of the two says otherwise. inside: it has no place
    of its own, its local header is at that offset, in another member's data."""

    def __init__(self, name, data=b"", **other):
        self.name = name.encode() if isinstance(name, str) else name
        self.data, self.method, self.flags, self.mode, self.extra, self.comment = data, DEFLATED, 0, 0o100644, b"", b""
        self.local_extra, self.descriptor, self.listed, self.packed, self.inside = b"", False, True, None, None
        self.local, self.central = {}, {}
        for key, value in other.items():
            setattr(self, key, value)

    def stream(self):
        if self.packed is not None:
            return self.packed
        if self.method != DEFLATED:
            return self.data
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()

    def facts(self, **other):
        facts = {"name": self.name, "flags": self.flags | (8 if self.descriptor else 0), "method": self.method,
                 "crc": zlib.crc32(self.data), "packed": len(self.stream()), "size": len(self.data)}
        return {**facts, **other}


def common(facts):
    return struct.pack("<HHHHHIII", 20, facts["flags"], facts["method"], 7 << 11, 44 << 9 | 1 << 5 | 1, facts["crc"], facts["packed"],
                       facts["size"])[2:]


def archive(members, before=b"", behind=b"", comment=b"", **end):
    """end: what the end record says otherwise; zip64=True adds the two ZIP64 records, with values of its own."""
    out, places = bytearray(before), []
    for member in members:
        places.append(len(out) if member.inside is None else member.inside)
        if member.inside is not None:
            continue
        zeros = {"crc": 0, "packed": 0, "size": 0} if member.descriptor else {}
        local = member.facts(**{**zeros, **member.local})
        out += struct.pack("<IH", 0x04034B50, 20) + common(local)
        out += struct.pack("<HH", len(local["name"]), len(member.local_extra)) + local["name"] + member.local_extra + member.stream()
        if member.descriptor:
            facts = member.facts()
            out += struct.pack("<IIII", 0x08074B50, facts["crc"], facts["packed"], facts["size"])
    start, count = len(out), 0
    for member, place in zip(members, places):
        central = member.facts(**member.central)
        for _ in range(central.pop("times", 1)):
            count += 1
            out += struct.pack("<IHH", 0x02014B50, 3 << 8 | 20, 20) + common(central)
            out += struct.pack("<HHHHHII", len(central["name"]), len(member.extra), len(member.comment), 0, 0, member.mode << 16,
                               central.get("place", place)) + central["name"] + member.extra + member.comment
    facts = {"count": count, "size": len(out) - start, "start": start, **end}
    if "zip64" in end:
        at = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, facts["count"], facts["count"], facts["size"], facts["start"])
        out += struct.pack("<IIQI", 0x07064B50, 0, end["zip64"](at), 1)
        facts.update(count=0xFFFF, size=0xFFFFFFFF, start=0xFFFFFFFF)
    out += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, facts["count"], facts["count"], facts["size"], facts["start"], len(comment))
    return bytes(out + comment + behind)


def row(member):
    digest = base64.urlsafe_b64encode(hashlib.sha256(member.data).digest()).rstrip(b"=").decode()
    return f"{member.name.decode('latin1')},sha256={digest},{len(member.data)}\n"


METADATA = b"Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n\nA description.\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: somebody 1.2\nRoot-Is-Purelib: false\nTag: cp311-abi3-linux_x86_64\n"


def members(*more, without=(), record=None, info=INFO, **other):
    """The sound wheel's, with more; other: METADATA or WHEEL as they are not; record: edits the text of RECORD."""
    list_ = [Member("pkg/__init__.py", b"x = 1\n"), Member("pkg/_ext.abi3.so", open("_ext.abi3.so", "rb").read(), mode=0o100755), *more,
             Member(info + "METADATA", other.get("METADATA", METADATA)), Member(info + "WHEEL", other.get("WHEEL", WHEEL))]
    text = "".join(row(m) for m in list_ if m.listed) + info + "RECORD,,\n"
    list_.append(Member(info + "RECORD", (record(text) if record else text).encode("latin1")))
    return [m for m in list_ if m.name.decode("latin1") not in without]


def one(**other):
    """The sound wheel, whose __init__.py is otherwise."""
    list_ = members()
    for key, value in other.items():
        setattr(list_[0], key, value)
    return list_


def quine():
    """A member in the data of the one before it."""
    inner = Member("pkg/y.py", b"y", listed=False)
    outer = Member("pkg/x.bin", archive([inner])[:30 + len(inner.name) + len(inner.stream())], method=STORED, listed=False)
    inner.inside = 30 + len(outer.name)
    return [outer, inner]


def zip64_extra(*sizes):
    return struct.pack("<HH", 1, 8 * len(sizes)) + b"".join(struct.pack("<Q", s) for s in sizes)


SIZE = len(b"x = 1\n")
CASES = [
    # names
    ("climbs", "both", "does not stay where it is unpacked", archive(members(Member("../up.py", b"x")))),
    ("climbs-inside", "both", "does not stay where it is unpacked", archive(members(Member("pkg/../../up.py", b"x")))),
    ("absolute", "both", "does not stay where it is unpacked", archive(members(Member("/etc/up.py", b"x")))),
    ("empty-name", "both", "", archive(members(Member("", b"x", listed=False)))),
    ("dot", "both", "", archive(members(Member("pkg/./x.py", b"x")))),
    ("nul", "both", "", archive(members(Member("pkg/a\0.py", b"x", listed=False)))),
    ("control", "both", "", archive(members(Member("pkg/a\x1b.py", b"x", listed=False)))),
    ("backslash", "both", "", archive(members(Member("pkg\\x.py", b"x")))),
    ("not-utf8", "both", "", archive(members(Member(b"pkg/\xff.py", b"x", listed=False)))),
    ("twice", "both", "twice: pkg/x.py", archive(members(Member("pkg/x.py", b"x"), Member("pkg/x.py", b"y", listed=False)))),
    ("twice-in-directory", "both", "", archive(one(central={"times": 2}))),
    ("file-and-directory", "both", "a file and a directory", archive(members(Member("pkg/x", b"x"), Member("pkg/x/y.py", b"y")))),
    ("cases", "repaired", "", archive(members(Member("pkg/Other.py", b"x"), Member("pkg/other.py", b"y")))),
    # kinds
    ("link", "both", "", archive(members(Member("pkg/x.py", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)))),
    ("device", "both", "", archive(members(Member("pkg/x.py", b"", mode=stat.S_IFCHR | 0o666)))),
    ("fifo", "both", "", archive(members(Member("pkg/x.py", b"", mode=stat.S_IFIFO | 0o666)))),
    ("encrypted", "both", "encrypted", archive(members(Member("pkg/x.py", b"x", flags=1)))),
    ("bzip2", "both", "", archive(members(Member("pkg/x.py", b"x", method=BZIP2)))),
    ("bomb", "both", "bomb", archive(members(Member("pkg/x.bin", b"\0" * (65 << 20))))),
    ("directory-with-content", "both", "", archive(members(Member("pkg/sub/", b"x", listed=False)))),
    # local headers against the central directory
    ("local-name", "both", "another name in its local header", archive(one(local={"name": b"pkg/__evil__.py"}))),
    ("local-method", "both", "contradicts", archive(one(local={"method": STORED}))),
    ("local-crc", "repack", "another size or CRC", archive(one(local={"crc": 1}))),
    ("local-size", "repack", "another size or CRC", archive(one(local={"size": SIZE + 1}))),
    ("not-a-local-header", "both", "", archive(one(central={"place": 7}))),
    ("overlap", "both", "overlap", archive([*quine(), *members()])),
    # sizes, CRCs and streams that lie
    ("size-too-small", "repack", "", archive(one(local={"size": SIZE - 1}, central={"size": SIZE - 1}))),
    ("size-too-large", "repack", "", archive(one(local={"size": SIZE + 1}, central={"size": SIZE + 1}))),
    ("crc", "repack", "CRC", archive(one(local={"crc": 1}, central={"crc": 1}))),
    ("broken-stream", "repack", "", archive(one(packed=b"\xff\xff\xff\xff"))),
    ("bytes-behind-stream", "repack", "", archive(one(packed=one()[0].stream() + b"hidden"))),
    # the archive
    ("prefix", "both", "before its first member", archive(members(), before=b"#!/bin/sh\n")),
    ("prefix-moved", "both", "", b"#!/bin/sh\n" + archive(members())),
    ("behind", "both", "", archive(members(), behind=b"more")),
    ("two-archives", "both", "", archive(members()) + archive(members())),
    ("no-end", "both", "", archive(members())[:-22]),
    ("cut-off", "both", "", archive(members())[:-200]),
    ("empty", "both", "", b""),
    ("not-a-zip", "both", "", b"no zip at all, but long enough to look for the end record in\n" * 4),
    ("count-too-small", "both", "", archive(members(), count=len(members()) - 1)),
    ("count-too-large", "both", "", archive(members(), count=len(members()) + 1)),
    ("size-of-directory", "both", "", archive(members(), size=10)),
    ("start-of-directory", "both", "", archive(members(), start=10)),
    ("zip64-locator", "both", "", archive(members(), zip64=lambda at: at + 8)),
    ("zip64-count", "both", "", archive(members(), zip64=lambda at: at, count=1 << 40)),
    ("zip64-size", "both", "", archive(members(), zip64=lambda at: at, size=(1 << 64) - 1)),
    ("zip64-member", "both", "", archive(one(central={"size": 0xFFFFFFFF}, extra=zip64_extra(1 << 62)))),
    ("zip64-missing", "both", "", archive(one(central={"size": 0xFFFFFFFF}))),
    ("zip64-twice", "both", "", archive(one(central={"size": 0xFFFFFFFF}, extra=zip64_extra(SIZE) + zip64_extra(1)))),
    # RECORD
    ("changed", "repack", "pkg/__init__.py", archive(members(record=lambda t: t.replace(row(Member("pkg/__init__.py", b"x = 1\n")),
                                                                                      row(Member("pkg/__init__.py", b"x = 2\n")))))),
    ("record-missing", "repack", "has no pkg-1.0.dist-info/RECORD", archive(members(without=[RECORD]))),
    ("unlisted", "repack", "does not list: pkg/more.py", archive(members(Member("pkg/more.py", b"x", listed=False)))),
    ("listed-and-absent", "repack", "lists what is not there", archive(members(record=lambda t: "pkg/gone.py,sha256=x,1\n" + t))),
    ("listed-twice", "repack", "another digest", archive(members(record=lambda t: row(Member("pkg/__init__.py", b"x")) + t))),
    ("no-hash", "repack", "without a SHA-256", archive(members(record=lambda t: "pkg/__init__.py,,\n" + t.split("\n", 1)[1]))),
    ("md5", "repack", "", archive(members(record=lambda t: "pkg/__init__.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,6\n" + t.split("\n", 1)[1]))),
    ("wrong-size", "repack", "of 6 bytes where its RECORD says 7", archive(members(record=lambda t: t.replace(",6\n", ",7\n", 1)))),
    ("record-climbs", "repack", "", archive(members(record=lambda t: "../up.py,sha256=x,1\n" + t))),
    ("record-absolute", "repack", "", archive(members(record=lambda t: "/etc/passwd,sha256=x,1\n" + t))),
    ("record-binary", "repack", "", archive(members(record=lambda t: "\0\1\2" + t))),
    ("record-open-quote", "repack", "", archive(members(record=lambda t: '"' + t))),
    # .dist-info
    ("two-dist-infos", "repack", "several .dist-info", archive(members(Member("other-2.dist-info/METADATA", b"x")))),
    ("no-dist-info", "repack", "no .dist-info", archive(members()[:2])),
    ("other-name", "repack", "another distribution by its directory", archive(members(info="other-1.0.dist-info/"))),
    ("other-version", "repack", "another distribution by its directory", archive(members(info="pkg-2.0.dist-info/"))),
    ("data-of-another", "repack", "another distribution by its directory: other-1.0.data", archive(members(
        Member("other-1.0.data/purelib/x.py", b"x")))),
    ("metadata-missing", "repack", "METADATA", archive(members(without=[INFO + "METADATA"], record=lambda t: "".join(
        line for line in t.splitlines(True) if "METADATA" not in line)))),
    ("metadata-empty", "repack", "", archive(members(METADATA=b""))),
    ("metadata-latin-1", "repack", "not UTF-8 in line 4", archive(members(METADATA=METADATA.replace(b"\n\n", b"\nSummary: caf\xe9\n\n")))),
    ("metadata-two-names", "repack", "more than one Name", archive(members(METADATA=METADATA.replace(b"\n\n", b"\nname: other\n\n")))),
    ("metadata-two-versions", "repack", "more than one Version", archive(members(METADATA=METADATA.replace(b"\n\n", b"\nVersion: 1.0\n\n")))),
    ("metadata-no-version", "repack", "no Version", archive(members(METADATA=METADATA.replace(b"\nVersion: 1.0", b"")))),
    ("metadata-other-name", "repack", "another distribution by its METADATA", archive(members(METADATA=METADATA.replace(b"Name: pkg", b"Name: other")))),
    ("metadata-other-version", "repack", "another distribution by its METADATA", archive(members(METADATA=METADATA.replace(b"Version: 1.0", b"Version: 3")))),
    ("wheel-missing", "repack", "WHEEL", archive(members(without=[INFO + "WHEEL"], record=lambda t: "".join(
        line for line in t.splitlines(True) if "WHEEL" not in line)))),
    ("wheel-versionless", "repack", "without a Wheel-Version", archive(members(WHEEL=WHEEL.split(b"\n", 1)[1]))),
    ("wheel-future", "repack", "Wheel-Version", archive(members(WHEEL=WHEEL.replace(b"1.0", b"2.0")))),
    # what is odd, and gone afterwards
    ("sound", "repaired", "", archive(members())),
    ("between", "repaired", "6 bytes that belong to no member", archive(one(packed=one()[0].stream() + b"hidden", central={
        "packed": len(one()[0].stream())}, local={"packed": len(one()[0].stream())}))),
    ("descriptors", "repaired", "sizes stand before its data", archive(one(descriptor=True))),
    ("directories", "repaired", "directory is left out", archive(members(Member("pkg/", method=STORED, mode=0o40755, listed=False)))),
    ("comment", "repaired", "archive's comment is left out", archive(members(), comment=b"built somewhere")),
    ("member-comment", "repaired", "a member's comment is left out", archive(one(comment=b"a word"))),
    ("extras", "repaired", "extra fields are left out", archive(one(extra=struct.pack("<HH", 0x5455, 5) + b"\1\0\0\0\0",
                                           local_extra=struct.pack("<HH", 0x5455, 5) + b"\1\0\0\0\0"))),
    ("zip64-needless", "repaired", "extra fields are left out", archive(one(central={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}, local={
        "size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}, extra=zip64_extra(SIZE, len(one()[0].stream())), local_extra=zip64_extra(
            SIZE, len(one()[0].stream()))))),
    ("zip64-end-needless", "repaired", "", archive(members(), zip64=lambda at: at)),
    ("no-type", "repaired", "mode 0644 or 0755", archive(one(mode=0o644))),
    ("no-mode", "repaired", "mode 0644 or 0755", archive(one(mode=0))),
    ("wide-open", "repaired", "mode 0644 or 0755", archive(one(mode=0o104777))),
    ("stored", "repaired", "", archive(one(method=STORED))),
    ("signed", "repaired", "drop ", archive(members(Member(INFO + "RECORD.jws", b"{}", listed=False),
                                               Member(INFO + "RECORD.p7s", b"x", listed=False)))),
    ("spelled-otherwise", "repaired", "spelled as the file is", archive(members(info="Pkg-1.0.0.dist-info/", METADATA=METADATA.replace(b": pkg", b": Pkg")))),
    ("data-spelled-otherwise", "repaired", ".data is spelled as the file is", archive(members(Member("Pkg-1.0.data/scripts/x", b"#!python")))),
    ("other-tags", "repaired", "the tags and the build of the file's name", archive(members(WHEEL=WHEEL.replace(b"abi3", b"none")))),
    ("needless-build", "repaired", "the tags and the build of the file's name", archive(members(WHEEL=WHEEL + b"Build: 7\n"))),
    ("no-tags", "repaired", "the tags and the build of the file's name", archive(members(WHEEL=WHEEL.split(b"Tag")[0]))),
    ("listed-twice-alike", "repaired", "RECORD names each file once", archive(members(record=lambda t: row(Member("pkg/__init__.py", b"x = 1\n")) + t))),
    ("record-crlf", "repaired", "", archive(members(record=lambda t: t.replace("\n", "\r\n")))),
    ("record-no-last-newline", "repaired", "", archive(members(record=str.rstrip))),
    ("metadata-crlf", "repaired", "", archive(members(METADATA=METADATA.replace(b"\n", b"\r\n")))),
    ("comma-in-a-name", "repaired", "", archive(members(Member('pkg/a,"b".txt', b"x", listed=False), record=lambda t: (
        '"pkg/a,""b"".txt",' + row(Member("", b"x"))[1:] + t)))),
    ("not-ascii", "repaired", "", archive(members(Member("pkg/\u00e9.py", b"x", flags=0x800, listed=False), record=lambda t: (
        row(Member("pkg/\u00e9.py", b"x")) + t)))),
]


def main(top):
    with open(os.path.join(top, "table"), "w") as table:
        for name, becomes, words, data in CASES:
            os.makedirs(os.path.join(top, name))
            with open(os.path.join(top, name, FILE), "wb") as file:
                file.write(data)
            print(name, becomes, words, sep="\t", file=table)


main(sys.argv[1])
