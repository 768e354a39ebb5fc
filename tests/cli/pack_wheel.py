"""pack_wheel.py DIRECTORY WHEEL [MEMBER=TEXT...]: a wheel; MEMBER=TEXT puts other bytes than RECORD says."""
import base64
import csv
import hashlib
import io
import os
import sys
import zipfile

top, wheel, *other = sys.argv[1:]
other = dict(o.split("=", 1) for o in other)
names = sorted(os.path.relpath(os.path.join(d, f), top) for d, _, fs in os.walk(top) for f in fs)
record = next(n for n in names if n.endswith(".dist-info/WHEEL"))[:-len("WHEEL")] + "RECORD"
table = io.StringIO()
rows = csv.writer(table, lineterminator="\n")
with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as z:
    for name in names:
        data = open(os.path.join(top, name), "rb").read()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(data)))
        info = zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10))
        info.external_attr = (0o100755 if name.endswith(".so") or "/scripts/" in name else 0o100644) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        z.writestr(info, other.get(name, data))
    for name in set(other) - set(names):
        z.writestr(name, other[name])
    rows.writerow((record, "", ""))
    z.writestr(record, table.getvalue())
