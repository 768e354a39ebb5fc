#!/bin/sh
# What only the machine has, in its ld.so.cache, adds findings EM201 and hides nothing: the environment is judged as if it were not
# there. With LD_LIBRARY_PATH the user pointed the loader at it, and then it is what is loaded.
. "$ELFMEND_TOP/tests/tap"
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
"$ELFMEND_TOP/fixtures/standin" --cudnn none v
"$ELFMEND_TOP/fixtures/standin" --cudnn 9 p
mkdir machine
cp "$(echo p/lib/python3*/site-packages)"/nvidia/cudnn/lib/* machine/
"$ELFMEND" doctor --world here.json > log 2>&1
"$python" - <<'END'
import json, os
world = json.load(open("here.json"))
cache = {n: p for n, p in (world["cache"] or {}).items() if not n.startswith(("libcu", "libnv"))}
json.dump({**world, "cache": cache}, open("without.json", "w"))
cache.update({n: os.path.abspath(f"machine/{n}") for n in os.listdir("machine")})
json.dump({**world, "cache": cache}, open("with.json", "w"))
END
exits 1 "no cuDNN anywhere: exit 1" "$ELFMEND" audit --json --world without.json v
mv out without
exits 1 "cuDNN in the machine's ld.so.cache: exit 1 too" "$ELFMEND" audit --json --world with.json v
mv out with
cat > compare.py <<'END'
import json
a, b = (json.load(open(f)) for f in ("without", "with"))
def told(document):
    return [tuple(f[k] for k in ("id", "severity", "object", "request", "message", "help")) for f in document["findings"]
            if f["id"] != "EM201"]
END
check "... the findings differ in EM201 alone" "$python" -c "
exec(open('compare.py').read())
assert told(a) and told(a) == told(b), (told(a), told(b))
ids = lambda d: {f['id'] for f in d['findings']}
assert ids(b) - ids(a) == {'EM201'} and not ids(a) - ids(b), (ids(a), ids(b))"
check "... and the table says that none is found" "$python" -c "
exec(open('compare.py').read())
assert a['targets'][0]['frameworks'][0]['cudnn_wanted'] == '9'
assert [d['targets'][0]['frameworks'][0]['cudnn_found'] for d in (a, b)] == [None, None], b['targets'][0]['frameworks']"
"$ELFMEND" audit --json --world without.json --ld-library-path "$PWD/machine" v > with 2> log
check "LD_LIBRARY_PATH leads there: the table says where it is" "$python" -c "
exec(open('compare.py').read())
assert b['targets'][0]['frameworks'][0]['cudnn_found'].endswith('/machine'), b['targets'][0]['frameworks']"
finish
