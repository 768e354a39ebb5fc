#!/bin/sh
# The places that environments have: purelib apart from platlib, pip's --target and --user, editable installs, a target reached over a
# link, one that may not be written, one that is somebody else's. Each is repaired and given back as it was, or refused with the reason.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
wheel=$ELFMEND_TOP/fixtures/wheel
"$standin" shipped
where=$(cd shipped && echo lib/python3*/site-packages)
library=${where%/site-packages}
shim=ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
info=ctranslate2-4.6.0.dist-info
state() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %i %m %U %T@ %l ' -type f -exec sha256sum {} \; -o -printf '\n' | sed 's/ [^ ]*$//' | sort; }
path_of() { readelf -d "$1" | sed -n 's/.*(\(RPATH\|RUNPATH\)).*\[\(.*\)\]/\1 \2/p'; }
works() { check "$1" env PYTHONPATH="$2" "$ELFMEND_TOP/fixtures/hidden" "$python" -B -c 'import ctranslate2; raise SystemExit(ctranslate2.transcribe())'; }
round() { # TARGET SITE: fix, proof, verify, undo
    state "$1" > before
    exits 0 "... fix: exit 0" "$ELFMEND" fix --yes "$1"
    works "... works" "$2"
    check "... RECORD is true" "$python" "$ELFMEND_TOP/tests/real/record.py" "$2" ctranslate2
    exits 0 "... verify: exit 0, not a note" "$ELFMEND" verify --fail-on note "$1"
    exits 0 "... undo" "$ELFMEND" undo "$1"
    state "$1" > after
    same "... gives everything back" before after
}

# Fedora's lib64: what has objects is there, NVIDIA's packages say of themselves that they have none and are in lib
cp -a shipped v
rm v/lib64
mkdir -p "v/lib64/${library#lib/}/site-packages"
mv v/"$where"/ctranslate2* "v/lib64/${library#lib/}/site-packages/"
exits 1 "platlib and purelib apart: audit" "$ELFMEND" audit v
exits 0 "... fix" "$ELFMEND" fix --yes v
is "RPATH \$ORIGIN:\$ORIGIN/../../../../$where/nvidia/cudnn/lib" "$(path_of "v/lib64/${library#lib/}/site-packages/$shim")" \
    "... leads from the one to the other"
"$ELFMEND" undo v > /dev/null
round v "v/lib64/${library#lib/}/site-packages"

# By real pip: a directory, and a user's own
for release in 'ctranslate2 4.6.0' 'nvidia_cudnn_cu12 9.10.2.21' 'nvidia_cublas_cu12 12.8.4.1'; do
    "$python" "$wheel" "shipped/$where" $release wheels
done
"$python" - wheels/tool-1-py3-none-any.whl <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("tool.py", "def main():\n    pass\n")
    wheel.writestr("tool-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tool\nVersion: 1\n")
    wheel.writestr("tool-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("tool-1.dist-info/entry_points.txt", "[console_scripts]\ntool = tool:main\n")
    wheel.writestr("tool-1.dist-info/RECORD", "tool.py,,\ntool-1.dist-info/METADATA,,\ntool-1.dist-info/WHEEL,,\n"
                   "tool-1.dist-info/entry_points.txt,,\ntool-1.dist-info/RECORD,,\n")
END
"$python" -m venv pip > log 2>&1 || { cat log >&2; exit 1; }
install() { pip/bin/python -m pip --disable-pip-version-check -q "$@" --no-index --find-links wheels --no-compile --no-warn-script-location \
    tool ctranslate2 nvidia-cudnn-cu12 nvidia-cublas-cu12; }
check "pip install --target" install install --target t
has '^\.\./\.\./bin/tool,' t/tool-1.dist-info/RECORD "... whose RECORD leads out of it"
exits 0 "... which verify has nothing to say of" "$ELFMEND" verify --fail-on note t
has 'RECORD' t/$info/RECORD "... with a RECORD"
round t t
mkdir below
check "pip install --user" env PYTHONUSERBASE="$PWD/below/user" pip/bin/python -m pip --disable-pip-version-check -q --python "$python" \
    install --user --break-system-packages --no-index --find-links wheels --no-compile --no-warn-script-location tool ctranslate2 \
    nvidia-cudnn-cu12 nvidia-cublas-cu12
round below/user "$(echo below/user/lib/python3*/site-packages)"

# What else pip leaves in a .dist-info is as it was, and RECORD keeps its line ends, its quotes and its order
rm -rf v; cp -a shipped v
touch "v/$where/$info/REQUESTED"
echo '{"url": "file:///wheels/ctranslate2.whl", "archive_info": {}}' > "v/$where/$info/direct_url.json"
"$python" - "v/$where/$info/RECORD" <<'END'
import sys
rows = open(sys.argv[1]).read().splitlines()
rows[1] = ",".join(f'"{field}"' for field in rows[1].split(","))
info = rows[-1].split("/")[0]
open(sys.argv[1], "w", newline="").write("\r\n".join(rows[:-1] + [f"{info}/REQUESTED,,", f"{info}/direct_url.json,,", rows[-1]]) + "\r\n")
END
parts() { find "v/$where/$info" -type f ! -name RECORD -printf '%f %i %m %T@ ' -exec sha256sum {} \; | sort; }
cp "v/$where/$info/RECORD" record
parts > before
exits 0 "a RECORD with CRLF and quotes: fix" "$ELFMEND" fix --yes v
parts > after
same "... INSTALLER, REQUESTED, direct_url.json and the others are as they were" before after
diff record "v/$where/$info/RECORD" | grep -c '^>' > got
echo 2 > wanted
same "... two rows of RECORD are new" wanted got
sed 's/,.*//' record > wanted
sed 's/,.*//' "v/$where/$info/RECORD" > got
same "... each in its place" wanted got
check "... each with its line end" sh -c '[ "$(grep -c "$(printf "\r")\$" "$1")" -eq "$(wc -l < "$1")" ]' sh "v/$where/$info/RECORD"

# An editable install: its RECORD lists what is here, its objects are in the source tree, which is none of the target's
rm -rf v; cp -a shipped v
mkdir source
echo 'int away(void) { return 1; }' > away.c
echo 'int away(void); int own(void) { return away(); }' > own.c
"${CC:-cc}" -shared -fPIC -o libaway.so away.c
"${CC:-cc}" -shared -fPIC -o source/own.abi3.so own.c -L. -laway
echo "$PWD/source" > "v/$where/__editable__.own-1.pth"
mkdir "v/$where/own-1.dist-info"
printf 'Metadata-Version: 2.1\nName: own\nVersion: 1\n' > "v/$where/own-1.dist-info/METADATA"
echo "{\"url\": \"file://$PWD/source\", \"dir_info\": {\"editable\": true}}" > "v/$where/own-1.dist-info/direct_url.json"
printf '__editable__.own-1.pth,,\nown-1.dist-info/METADATA,,\nown-1.dist-info/RECORD,,\nown-1.dist-info/direct_url.json,,\n' > "v/$where/own-1.dist-info/RECORD"
state source > source.before
exits 0 "an editable install beside what is broken" "$ELFMEND" verify --fail-on note v
round v "v/$where"
state source > source.after
same "... its source tree is as it was" source.before source.after

# Over a link; the repair is found by the real name too
rm -rf v; cp -a shipped v
ln -s v link
state v > before
exits 0 "a target that is a link: fix" "$ELFMEND" fix --yes link
works "... works" "v/$where"
exits 0 "... verify" "$ELFMEND" verify --fail-on note link/
exits 0 "... undo by the real name" "$ELFMEND" undo v
state v > after
same "... gives everything back" before after
mkdir -p elsewhere
mv v/lib elsewhere/lib
ln -s ../elsewhere/lib v/lib
exits 2 "an environment whose lib is a link to elsewhere: exit 2, it is not taken for a clean one" "$ELFMEND" audit v
has "has its packages outside of it, over a link: $PWD/elsewhere/$where" err "... with the place"
round elsewhere "elsewhere/$where"
rm v/lib
mkdir v/real
mv elsewhere/lib v/real/lib
ln -s real/lib v/lib
exits 0 "a link inside of it: fix" "$ELFMEND" fix --yes v
works "... works" "v/$where"
exits 0 "... verify" "$ELFMEND" verify --fail-on note v
has 'of 3 distributions' out "... of all that is there"

# Who may not write
may_not() { # WHAT COMMAND...: as somebody else
    what=$1; shift
    exits 2 "$what: exit 2" "$@"
    { cat err; echo "no reason in it"; } > log
    grep -qiE 'permission denied|read-only|not permitted|owner|may not' err; ok $? "... with the reason" log
    state "$tree" > after
    same "... nothing has changed" before after
}
tree=v
rm -rf v; cp -a shipped v
cp "$ELFMEND" elfmend
if [ "$(id -u)" -eq 0 ]; then
    chmod 755 . v
    state v > before
    may_not "fix of root's tree as nobody" setpriv --reuid=65534 --regid=65534 --clear-groups ./elfmend fix --yes v
    exits 1 "... who may audit it" setpriv --reuid=65534 --regid=65534 --clear-groups ./elfmend audit v
    chown -R 65534:65534 v
    exits 0 "fix of nobody's tree as root" "$ELFMEND" fix --yes v
    find v -path v/.elfmend -prune -o ! -user 65534 -print > got
    same "... whose files stay nobody's" /dev/null got
    rm -rf v; "$standin" --cudnn none v; chown -R 65534:65534 v
    exits 0 "a copy into nobody's tree as root" "$ELFMEND" fix --yes --strategy copy --source "shipped/$where" v
    find v -path v/.elfmend -prune -o ! -user 65534 -print > got
    same "... is nobody's too" /dev/null got
    exits 0 "... undo" "$ELFMEND" undo v
    rm -rf v; cp -a shipped v
    state v > before
    if unshare -m true 2> log; then
        may_not "fix on a file system that is mounted read-only" unshare -m sh -c \
            'mount --bind v v && mount -o remount,bind,ro v && exec "$@"' sh "$ELFMEND" fix --yes v
    else
        skip "fix on a file system that is mounted read-only" "no mount namespace may be made here"
    fi
else
    chmod -R a-w v
    state v > before
    may_not "fix of a tree without the right to write" "$ELFMEND" fix --yes v
    chmod -R u+w v
    skip "another user's tree" "only root can hand a tree to somebody else"
fi
finish
