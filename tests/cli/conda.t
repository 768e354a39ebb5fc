#!/bin/sh
# conda prefixes: conda-meta follows each edit and each copy as RECORD does, comes back by undo, is held against the disk by verify; a
# removal as conda does it, which deletes what it lists (fixtures/conda; conda itself is not asked), leaves nothing.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
conda() { "$python" "$ELFMEND_TOP/fixtures/conda" "$@"; }
state() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %i %m %T@ %l ' -type f -exec sha256sum {} \; -o -printf '\n' | sed 's/ [^ ]*$//' | sort; }
site() { (cd "$1" && echo lib/python3*/site-packages); }
of() { # PREFIX DISTRIBUTION: the files of its RECORD, as paths of the prefix
    (cd "$1" && for record in lib/python3*/site-packages/"$2"-*.dist-info/RECORD; do
        sed "s|,.*||; s|^|${record%/*/RECORD}/|" "$record"
    done)
}
prefix() { # [OPTIONS] PREFIX: ctranslate2 and NVIDIA's are conda's, fit-demo is pip's
    "$standin" --extra "$@"
    shift $(($# - 1))
    rm "$1/pyvenv.cfg"
    conda link "$1" ctranslate2 4.6.0 $(of "$1" ctranslate2)
    [ ! -e "$1/$(site "$1")/nvidia/cudnn" ] || conda link "$1" cudnn 9.10.2.21 $(of "$1" nvidia_cudnn_cu12)
    conda link "$1" libcublas 12.8.4.1 $(of "$1" nvidia_cublas_cu12)
}
changes() { # FILE FILE: what differs between two of conda's lists
    "$python" - "$@" <<'END'
import json, sys
before, after = (json.load(open(name)) for name in sys.argv[1:])
paths = [{entry["_path"]: entry for entry in data.pop("paths_data")["paths"]} for data in (before, after)]
if list(before.items()) != list(after.items()) or list(paths[0]) != list(paths[1]):
    print("other members, or another order of them")
for path, old in paths[0].items():
    new = paths[1][path]
    if new != old:
        print(path.rsplit("/", 1)[1].split("-")[0], new["sha256"] == new["sha256_in_prefix"] != old["sha256"])
END
}

prefix shipped
where=$(site shipped)
meta=conda-meta/ctranslate2-4.6.0-0.json
cp -a shipped v
state v > before
exits 1 "audit: exit 1" "$ELFMEND" audit --json v
is conda "$("$python" -c 'import json; print(json.load(open("out"))["targets"][0]["kind"])')" "... of a conda prefix"
has EM102 out "... finds what it would find in a venv"
exits 1 "fix --dry-run --json" "$ELFMEND" fix --dry-run --json --plan plan.json v
cp plan.json out
conforms plan-1
exits 0 "fix: exit 0" "$ELFMEND" fix --yes v
has "conda-meta  $meta   (3 files)" out "... shows conda's list: of two libraries and their RECORD"
check "conda-meta is true" conda check v
check "RECORD is true" "$python" "$ELFMEND_TOP/tests/real/record.py" "v/$where" ctranslate2
exits 0 "verify: exit 0, not a note" "$ELFMEND" verify --fail-on note v
changes shipped/$meta v/$meta | sort > got
printf '%s True\n' libcudnn libctranslate2 RECORD | sort > wanted
same "... and all that is not of the changed files is as it was, in its order" wanted got
for package in cudnn-9.10.2.21 libcublas-12.8.4.1; do
    same "... $package, whose files are as they were, is too" shipped/conda-meta/$package-0.json v/conda-meta/$package-0.json
done
exits 0 "undo" "$ELFMEND" undo v
state v > after
same "... gives everything back, inode and times too" before after
exits 0 "apply of the plan" "$ELFMEND" apply plan.json
check "... conda-meta is true" conda check v

# Copies
prefix --cudnn none none
exits 0 "fix --strategy copy: exit 0" "$ELFMEND" fix --yes --strategy copy --source "shipped/$where" none
check "conda-meta is true, of the copies too" conda check none
has "$where/ctranslate2.libs/libcudnn_cnn.so.9" none/$meta "... which it lists"
exits 0 "verify: exit 0, not a note" "$ELFMEND" verify --fail-on note none
check "a removal as conda does it" conda remove none ctranslate2
find none -path none/.elfmend -prune -o \( -iname '*ctranslate2*' -o -name 'libcudnn*' \) -print > left
same "... leaves nothing of it" /dev/null left
exits 0 "audit after that" "$ELFMEND" audit --verbose none
has "EM605.*uninstalled" out "... tells that the repair went with it"

# The prefix as a source: conda-meta vouches
prefix --cudnn none other
exits 0 "a conda prefix as --source" "$ELFMEND" fix --yes --strategy copy --source shipped other
check "... conda-meta is true" conda check other

# What pip has installed beside is in no list of conda's
for file in v/"$where"/fit_demo.libs/*; do printf x >> "$file"; done
exits 0 "verify of a file that pip brought" "$ELFMEND" verify --fail-on error v
has "is not what its RECORD says" out "... is by its RECORD"

# A library of conda's alone, found over a link, in lib of the prefix; and one that another package has elsewhere
mkdir -p c/lib/inner
echo 'int inner(void) { return 1; }' > inner.c
echo 'int inner(void); int outer(void) { return inner(); }' > outer.c
"${CC:-cc}" -shared -fPIC -o c/lib/inner/libinner.so.1 inner.c -Wl,-soname,libinner.so.1
"${CC:-cc}" -shared -fPIC -o c/lib/libouter.so.1.2 outer.c -Wl,-soname,libouter.so.1 c/lib/inner/libinner.so.1
ln -s libouter.so.1.2 c/lib/libouter.so.1
conda link c inner 1 lib/inner/libinner.so.1
conda link c outer 1.2 lib/libouter.so.1 lib/libouter.so.1.2
cp -a c c.shipped
exits 1 "audit of a prefix without Python" "$ELFMEND" audit --json c
is "EM101 outer inner 1" "$("$python" -c 'import json, re
for f in json.load(open("out"))["findings"]:
    if f["severity"] == "error":
        print(f["id"], f["owner"]["name"], *re.findall(r"\((inner 1)\)", str(f["evidence"])))')" "... knows whose the libraries are"
exits 0 "fix" "$ELFMEND" fix --yes c
check "conda-meta is true, of the link too" conda check c
cp -a c.shipped e
ln -s nowhere e/lib/dangling.so
sed -i 's|^    "lib/libouter.so.1",|&\n    "lib/dangling.so",|' e/conda-meta/outer-1.2-0.json
exits 0 "verify, with a link to nowhere" "$ELFMEND" verify --fail-on note e
rm -r e

# verify: the list, the file, and what is missing
cp -a c.shipped d
printf x >> d/lib/libouter.so.1.2
rm d/lib/inner/libinner.so.1
exits 1 "verify of a changed and a missing library" "$ELFMEND" verify d
has "EM601.*lib/libouter.so.1.2: is not what conda-meta says" out "... the changed one"
has "EM602.*lib/inner/libinner.so.1: is listed in conda-meta and is not there" out "... the missing one"
has "3 files of 2 distributions" out "... of two packages"
has "conda install --force-reinstall --no-deps 'inner==1'" out "... and how to get it again"

# A list that cannot be read
for broken in '{' '[]' '{}' '{"name": "x", "version": "1", "files": [1]}' \
    '{"name": "x", "version": "1", "files": [], "paths_data": {"paths": [1]}}'; do
    cp -a c.shipped e
    printf '%s' "$broken" > e/conda-meta/outer-1.2-0.json
    exits 2 "a list that is $broken: exit 2" "$ELFMEND" audit e
    has "conda-meta/outer-1.2-0.json" err "... and names it"
    rm -r e
done
# One that names files outside of the prefix: they are nobody's
cp -a c.shipped e
sed -i 's|"lib/libouter.so.1"|"../../etc/passwd"|' e/conda-meta/outer-1.2-0.json
exits 0 "a list that leads out of the prefix" "$ELFMEND" verify e

# What conda keeps in its own prefix is not of it
mkdir -p c/pkgs/outer/lib c/envs/x/lib
cp c.shipped/lib/libouter.so.1.2 c/pkgs/outer/lib/
cp c.shipped/lib/libouter.so.1.2 c/envs/x/lib/
exits 0 "unpacked packages and other prefixes in a prefix are not audited" "$ELFMEND" audit c
finish
