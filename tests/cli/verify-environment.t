#!/bin/sh
# verify holds RECORD against the disk both ways, says so in text and JSON, and leaves with the status of INTERFACE.md.
. "$ELFMEND_TOP/tests/tap"
record() { # DIST FILE...: writes RECORD anew
    python3 - "$@" <<'PY'
import base64, hashlib, os, sys
site = 'v/lib/python3.11/site-packages'
info = f'{sys.argv[1]}-1.0.dist-info'
os.makedirs(f'{site}/{info}', exist_ok=True)
open(f'{site}/{info}/METADATA', 'w').write(f'Name: {sys.argv[1]}\nVersion: 1.0\n')
with open(f'{site}/{info}/RECORD', 'w') as record:
    for path in sys.argv[2:] + [f'{info}/METADATA']:
        data = open(f'{site}/{path}', 'rb').read()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
        print(path, 'sha256=' + digest, len(data), sep=',', file=record)
    print('pkg/__pycache__/a.cpython-311.pyc,,', file=record)
    print(f'{info}/RECORD,,', file=record)
PY
}
site=v/lib/python3.11/site-packages
mkdir -p $site/pkg v/bin
echo 'version = 3.11.2' > v/pyvenv.cfg
echo script > v/bin/x
echo 'a = 1' > $site/pkg/a.py
echo library > $site/pkg/libx.so.1
record pkg ../../../bin/x pkg/a.py pkg/libx.so.1

run verify v
is 0 $status "a clean environment is 0"
has "0 errors, 0 warnings in 6 files of 1 distribution" out "it says how much it has seen"
VIRTUAL_ENV=$PWD/v; export VIRTUAL_ENV
run verify
is 0 $status "\$VIRTUAL_ENV is the target where none is named"
unset VIRTUAL_ENV

echo 'a = 2' > $site/pkg/a.py
run verify v
is 0 $status "a changed file is a warning, which does not fail"
has "warning.EM601.: lib/python3.11/site-packages/pkg/a.py" out "it is named"
has "sha256 differs" out "with what differs, though the size is the same"
run verify --fail-on warning v
is 1 $status "--fail-on warning makes it fail"
run verify --fail-on warning --ignore 'EM601:*/a.py' v
is 0 $status "--ignore leaves it out"

echo 'a = 1' > $site/pkg/a.py
mv $site/pkg/libx.so.1 kept
touch $site/pkg/stray.py
run verify v
is 1 $status "a missing library is an error"
has "error.EM602.: lib/python3.11/site-packages/pkg/libx.so.1" out "it is named"
has "1 error, 0 warnings, 1 note" out "the stray file is a note"
run verify --verbose v
has "note.EM603.: lib/python3.11/site-packages/pkg/stray.py" out "--verbose names it"
run verify --json v
is 1 $status "--json has the same status"
is '{"id": "EM602", "severity": "error", "object": "lib/python3.11/site-packages/pkg/libx.so.1", "owner": {"name": "pkg", "version": "1.0"}} elfmend.verify/1 venv 6 1 1' \
    "$(python3 -c "
import json
d = json.load(open('out'))
f = d['findings'][0]
print(json.dumps({k: f[k] for k in ('id', 'severity', 'object', 'owner')}), d['schema'], d['targets'][0]['kind'],
      d['targets'][0]['files'], d['summary']['error'], d['summary']['note'])")" "the JSON says the same"
mv kept $site/pkg/libx.so.1
rm $site/pkg/stray.py

mkdir $site/ns
: > $site/ns/__init__.py
echo one > $site/ns/f
record one ns/__init__.py ns/f
echo two > $site/ns/f
record two ns/__init__.py ns/f
run verify --fail-on warning v
is 1 $status "two distributions that disagree about a file are a warning"
has "with the bytes of two 1.0" out "it says whose bytes are there"
has "1 warning, 1 note (" out "a file that they agree about is a note"

# The other hashes that a RECORD may have: better ones are checked, weak and unknown ones are named
hashes() { # KIND...: a distribution with a file for each kind of hash
    python3 - "$@" <<'PY'
import base64, hashlib, os, sys
site, info = 'v/lib/python3.11/site-packages', 'hashes-1.0.dist-info'
os.makedirs(f'{site}/hashes', exist_ok=True)
os.makedirs(f'{site}/{info}', exist_ok=True)
open(f'{site}/{info}/METADATA', 'w').write('Name: hashes\nVersion: 1.0\n')
with open(f'{site}/{info}/RECORD', 'w') as record:
    for kind in sys.argv[1:]:
        data = b'x' * 300000 + kind.encode()
        open(f'{site}/hashes/{kind}', 'wb').write(data)
        digest = base64.urlsafe_b64encode(hashlib.new(kind, data).digest()).decode()
        print(f'hashes/{kind},{kind}={digest.rstrip("=")},{len(data)}', file=record)
    print(f'{info}/METADATA,,\n{info}/RECORD,,', file=record)
PY
}
rm -r $site/one-1.0.dist-info $site/two-1.0.dist-info $site/ns
hashes sha384 sha512
run verify --verbose --fail-on note v
is 0 $status "sha384 and sha512 are checked, and right"
printf y | dd of=$site/hashes/sha384 bs=1 seek=299999 conv=notrunc 2> /dev/null
printf y | dd of=$site/hashes/sha512 bs=1 conv=notrunc 2> /dev/null
run verify v
has "sha384 differs" out "a flipped byte is seen by sha384"
has "sha512 differs" out "a flipped byte is seen by sha512"
is "2" "$(grep -c 'warning\[EM601\].*is not what its RECORD says' out)" "both are warnings"
hashes sha512 md5 sha1 sha3_256
run verify v
is "3" "$(grep -c 'warning\[EM601\].*cannot be held against its RECORD' out)" "what proves nothing, or is unknown, is a warning"
for kind in md5 sha1 sha3_256; do
    has "the hash in its RECORD is $kind: only sha256, sha384 and sha512 are checked" out "it says $kind"
done
rm -r $site/hashes $site/hashes-1.0.dist-info

run verify nowhere
is 2 $status "a target that is not there is 2"
has "elfmend: nowhere: cannot be found: No such file or directory" err "in a sentence with the path"
mkdir empty; : > empty/x
run verify empty
is 2 $status "a directory that is no environment is 2"
printf 'a,,\n"b,,\n' > $site/pkg-1.0.dist-info/RECORD
run verify --json v
is 2 $status "a RECORD that cannot be read is 2"
has "pkg-1.0.dist-info/RECORD: line 2 opens a quote that is never closed" err "with its line"
is 0 "$(wc -c < out | tr -d ' ')" "and nothing on standard output"

finish
