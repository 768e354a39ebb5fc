"""record.py SITE NAME: every row of the RECORD of the distribution NAME in SITE is true of the disk; by Python's csv and hashlib."""
import base64
import csv
import glob
import hashlib
import os
import sys

site, name = sys.argv[1:]
fine = True
with open(glob.glob(f"{site}/{name}-*.dist-info/RECORD")[0], newline="") as f:
    rows = list(csv.reader(f))
for path, digest, size in rows:
    file = os.path.join(site, path)
    if not digest:
        continue
    with open(file, "rb") as f:
        data = f.read()
    actual = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    if actual != digest or len(data) != int(size):
        print(f"{path}: RECORD says {digest} {size}, it is {actual} {len(data)}")
        fine = False
print(len(rows), "rows")
sys.exit(0 if fine and rows else 1)
