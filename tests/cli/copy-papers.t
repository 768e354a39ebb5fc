#!/bin/sh
# What goes along with libraries that are copied into an environment: the licences under which they may be handed on, and a bill of
# where they come from. The owner's RECORD lists both, so that its removal takes them along; undo takes them back.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
export ELFMEND_CACHE="$PWD/cache"
files() { find "$1" -path "$1/.elfmend" -prune -o -printf '%P %y %i %m %T@ %l ' -type f -exec sha256sum {} \; -o -printf '\n' | sort; }
listed() { for file in "$@"; do grep -qF "${file#"$to"/}," "$info/RECORD" || return 1; done; }
bytes() { find "$1" -path "$1/.elfmend" -prune -o -printf '%P %y %m ' -type f -exec sha256sum {} \; -o -printf '\n' | sort; }

"$standin" --cudnn none v
"$standin" p
from=$(echo p/lib/python3*/site-packages) to=$(echo v/lib/python3*/site-packages)
cudnn=$from/nvidia_cudnn_cu12-9.10.2.21.dist-info info=$to/ctranslate2-4.6.0.dist-info
papers=$info/licenses/nvidia-cudnn-cu12-9.10.2.21
mkdir -p "$cudnn/licenses/third"
echo 'the licence' > "$cudnn/License.txt"
echo 'the notice' > "$cudnn/licenses/third/NOTICE"
echo 'no licence' > "$cudnn/top_level.txt"
"$python" - "$cudnn" <<'END'
import base64, hashlib, os, sys
info = sys.argv[1]
with open(f"{info}/RECORD", "a", newline="") as record:
    for name in "License.txt", "licenses/third/NOTICE", "top_level.txt":
        data = open(f"{info}/{name}", "rb").read()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.write(f"{os.path.basename(info)}/{name},sha256={digest},{len(data)}\n")
END
files v > shipped

exits 1 "fix --dry-run: exit 1" "$ELFMEND" fix --dry-run --source "$from" --plan plan.json v
check "... the plan says that the licence comes along" grep -F 'nvidia-cudnn-cu12-9.10.2.21/License.txt' out
check "... and the bill" grep -E 'sbom .*sboms/elfmend.cdx.json +\(7 libraries\)' out
files v > now
same "... nothing has changed" shipped now

exits 0 "fix: exit 0" "$ELFMEND" fix --yes --source "$from" v
check "the licence came along" cmp "$cudnn/License.txt" "$papers/License.txt"
check "... and the one below licenses/" cmp "$cudnn/licenses/third/NOTICE" "$papers/third/NOTICE"
find "$papers" -type f -printf '%P\n' | sort > got
printf 'License.txt\nthird/NOTICE\n' > wanted
same "... nothing else did" wanted got
check "the bill tells of each library where it comes from, and its digest as it is here" "$python" - "$to" <<'END'
import glob, hashlib, json, os, sys
site = sys.argv[1]
bill = json.load(open(f"{site}/ctranslate2-4.6.0.dist-info/sboms/elfmend.cdx.json"))
assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.6", bill
assert bill["metadata"]["component"]["purl"] == "pkg:pypi/ctranslate2@4.6.0", bill["metadata"]
found = {c["bom-ref"]: c for c in bill["components"]}
assert sorted(found) == sorted(os.path.relpath(p, site) for p in glob.glob(f"{site}/ctranslate2.libs/libcudnn_*")), list(found)
for path, c in found.items():
    assert c["purl"] == "pkg:pypi/nvidia-cudnn-cu12@9.10.2.21", c
    assert c["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(open(f"{site}/{path}", "rb").read()).hexdigest()}], c
assert bill["dependencies"] == [{"ref": "pkg:pypi/ctranslate2@4.6.0", "dependsOn": [c["bom-ref"] for c in bill["components"]]}]
END
exits 0 "verify: exit 0" "$ELFMEND" verify v
check "... each of them is in RECORD" listed \
    "$papers/License.txt" "$papers/third/NOTICE" "$info/sboms/elfmend.cdx.json"
bytes v > first
exits 0 "a second fix: exit 0" "$ELFMEND" fix --yes --source "$from" v
bytes v > second
same "... changes nothing" first second
exits 0 "undo: exit 0" "$ELFMEND" undo v
files v > now
same "... everything is as it was, directories too" shipped now

exits 0 "apply: exit 0" "$ELFMEND" apply plan.json
bytes v > second
same "... the same tree as fix made" first second
exits 0 "undo: exit 0" "$ELFMEND" undo --all v

# Libraries that come in two rounds: what was said of the first stays.
"$ELFMEND" fix --yes --source "$from" v > /dev/null
rm "$to/ctranslate2.libs/libcudnn_adv.so.9"
exits 0 "one copy is lost and copied again: exit 0" "$ELFMEND" fix --yes --source "$from" v
check "... with a bill of its own" grep -F '"bom-ref": "ctranslate2.libs/libcudnn_adv.so.9"' "$info/sboms/elfmend-2.cdx.json"
exits 0 "... verify: exit 0" "$ELFMEND" verify v
exits 0 "... undo --all: exit 0" "$ELFMEND" undo --all v

# A licence that is not what its RECORD says
files v > shipped
echo 'another licence' > "$cudnn/License.txt"
exits 2 "a licence that was changed: exit 2" "$ELFMEND" fix --yes --source "$from" v
check "... names it" grep -F 'License.txt' err
files v > now
same "... nothing has changed" shipped now
finish
