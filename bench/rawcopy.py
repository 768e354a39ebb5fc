"""rawcopy.py WHEEL NEW [MEMBER=FILE...]: every member copied as it is packed, but for those given, which are put in or replaced, and
RECORD, which follows. The floor for a repacker that looks at nothing; and it makes the wheels that the bench repacks."""
import base64
import csv
import hashlib
import io
import shutil
import sys
import zipfile


def raw_copy(source, target, info):
    source.fp.seek(info.header_offset)
    header = source.fp.read(30)
    info.header_offset, at = target.fp.tell(), info.header_offset
    length = 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little") + info.compress_size
    source.fp.seek(at)
    while length > 0:
        piece = source.fp.read(min(length, 1 << 20))
        target.fp.write(piece)
        length -= len(piece)
    target.filelist.append(info)
    target.NameToInfo[info.filename] = info
    target.start_dir = target.fp.tell()


def main(wheel, new, *given):
    given = dict(g.split("=", 1) for g in given)
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target:
        record = next(n for n in source.namelist() if n.endswith(".dist-info/RECORD"))
        rows = [r for r in csv.reader(io.StringIO(source.read(record).decode())) if r and r[0] not in given and r[0] != record]
        for info in source.infolist():
            if info.filename not in given and (info.filename != record or not given):
                raw_copy(source, target, info)
        for name, file in given.items():
            with open(file, "rb") as f:
                data = f.read()
            target.writestr(name, data)
            rows.append([name, "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), len(data)])
        if given:
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows([*rows, [record, "", ""]])
            target.writestr(record, out.getvalue())


main(*sys.argv[1:])
