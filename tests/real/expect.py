"""expect.py AUDIT.json REQUESTS: the errors of an elfmend.audit/1 document are these and no others.

REQUESTS has a line for each: "ID OBJECT REQUEST OWNER", OBJECT being a glob for the object's path. What differs is printed.
"""
import fnmatch
import json
import sys

with open(sys.argv[1]) as f:
    document = json.load(f)
with open(sys.argv[2]) as f:
    wanted = [line.split() for line in f if line.strip()]

assert document["schema"] == "elfmend.audit/1", document["schema"]
errors = [(e["id"], e["object"], e["request"] or "-", e["owner"]["name"] if e["owner"] else "-") for e in
          document["findings"] if e["severity"] == "error"]
fine = len(errors) == document["summary"]["error"]
for error in errors:
    match = next((w for w in wanted if w[0] == error[0] and fnmatch.fnmatch(error[1], w[1]) and w[2] == error[2]
                  and w[3] == error[3]), None)
    if match:
        wanted.remove(match)
    else:
        print("not expected:", *error)
        fine = False
for line in wanted:
    print("missing:", *line)
    fine = False
sys.exit(0 if fine else 1)
