#!/bin/sh
# Several wheels in one call: done beside each other, told of in the order given, into one index. One that is broken, and one whose
# process is ended, do not stop the rest.
. "$ELFMEND_TOP/tests/tap"
pack() { "$python" -B "$ELFMEND_TOP/tests/cli/pack_wheel.py" "$@"; }
so() { # OUTPUT FLAGS...: of the code on stdin
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    "${CC:-cc}" -shared -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -x none "$@" || exit 1
}
echo 'int cublas(void) { return 12; }' | so libcublas.so.12 -Wl,-soname,libcublas.so.12
echo 'int cublas(void); int call(void) { return cublas(); }' | so ext.so libcublas.so.12
tags=cp311-abi3-linux_x86_64 wheels=
wheel() { # NAME VERSION
    dir=w-$1-$2 info=w-$1-$2/$1-$2.dist-info
    mkdir -p $dir/$1 $info
    cp ext.so $dir/$1/_ext.abi3.so
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\nRequires-Python: >=3.9,<4\n' $1 $2 > $info/METADATA
    printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: %s\n' $tags > $info/WHEEL
    pack $dir $1-$2-$tags.whl
    wheels="$wheels $1-$2-$tags.whl"
}
for name in c a e b d; do wheel $name 1.0; done
wheel a 2.0
head -c 700 e-1.0-$tags.whl > broken-1.0-$tags.whl
echo 'x' > killme-1.0-$tags.whl
# shellcheck disable=SC2086
set -- c-1.0-$tags.whl broken-1.0-$tags.whl $(echo $wheels | cut -d ' ' -f 2-)

exits 2 "seven wheels, of which one is broken: exit 2" "$ELFMEND" repack --jobs 1 "$@" -o one --index one-index
cp out one.out
check "... which is named" sh -c 'test "$(wc -l < err)" = 1 && grep -q "broken-1.0" err'
check "... the others are done" sh -c 'test "$(ls one | wc -l)" = 6'
for jobs in 2 4 16; do
    exits 2 "$jobs at a time" "$ELFMEND" repack --jobs $jobs "$@" -o one-$jobs --index one-index-$jobs
    sed "s/one-$jobs/one/" out > now
    same "... the same report" one.out now
    check "... the same wheels" diff -r one one-$jobs
    check "... the same index" diff -r one-index one-index-$jobs
done
"$ELFMEND" repack --json --jobs 1 "$@" -o json > json.out 2> err
exits 2 "as JSON" "$ELFMEND" repack --json --jobs 3 "$@" -o json
same "... the same document" json.out out
conforms repack-1
check "the index knows both versions of a" "$python" - <<'END2'
import hashlib, html.parser, json, os
top = "one-index-4"
pages = json.load(open(f"{top}/index.json"))
assert [p["name"] for p in pages["projects"]] == ["a", "b", "c", "d", "e"], pages
assert pages["meta"]["api-version"] == "1.1"
page = json.load(open(f"{top}/a/index.json"))
assert sorted(page["versions"]) == ["1.0+mend.1", "2.0+mend.1"], page
assert page["name"] == "a" and len(page["files"]) == 2
links = {}
class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attributes):
        if tag == "a":
            at = dict(attributes)
            links[at["href"].split("#")[0].replace("%2B", "+")] = at
Links().feed(open(f"{top}/a/index.html").read())
for file in page["files"]:
    path = f"{top}/a/{file['filename']}"
    data = open(path, "rb").read()
    metadata = open(path + ".metadata", "rb").read()
    assert file["hashes"] == {"sha256": hashlib.sha256(data).hexdigest()}
    assert file["size"] == len(data)
    assert file["url"] == file["filename"].replace("+", "%2B")
    assert file["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
    assert file["requires-python"] == ">=3.9,<4"
    link = links[file["filename"]]
    assert link["href"].endswith("#sha256=" + file["hashes"]["sha256"])
    assert link["data-requires-python"] == ">=3.9,<4"
    assert link["data-core-metadata"] == "sha256=" + file["core-metadata"]["sha256"]
assert len(links) == 2
END2
# A wheel that is there already under its name, with other bytes: the index follows.
echo 'x = 1' > w-a-2.0/a/__init__.py
pack w-a-2.0 a-2.0-$tags.whl
exits 0 "one wheel of the index anew" "$ELFMEND" repack a-2.0-$tags.whl -o anew --index one-index-4
check "... it is the one that is there, by its hash too, and the other is left alone" "$python" - <<'END2'
import glob, hashlib, json
name = glob.glob("anew/*.whl")[0].split("/")[1]
new = open(f"anew/{name}", "rb").read()
files = {f["filename"]: f for f in json.load(open("one-index-4/a/index.json"))["files"]}
assert open(f"one-index-4/a/{name}", "rb").read() == new
assert files[name]["hashes"]["sha256"] == hashlib.sha256(new).hexdigest() and len(files) == 2
assert json.load(open("one-index/a/index.json"))["files"][0] == files["a-1.0+mend.1-cp311-abi3-linux_x86_64.whl"]
END2

# An index that others put files into: they stay on the pages, without what only we put beside a wheel.
mkdir -p foreign/a && cp a-1.0-$tags.whl foreign/a/ && echo s > foreign/a/a-0.5.tar.gz && echo r > foreign/a/README
exits 0 "an index with the files of others: exit 0" "$ELFMEND" repack a-2.0-$tags.whl one/b-1.0+mend.1-$tags.whl -o foreign-made --index foreign
check "... they are on its pages" "$python" - <<'END2'
import hashlib, json
page = json.load(open("foreign/a/index.json"))
files = {f["filename"]: f for f in page["files"]}
assert sorted(page["versions"]) == ["0.5", "1.0", "2.0+mend.1"], page
assert files["a-0.5.tar.gz"]["hashes"]["sha256"] == hashlib.sha256(b"s\n").hexdigest()
assert "core-metadata" not in files["a-1.0-cp311-abi3-linux_x86_64.whl"] and len(files) == 3
END2
check "... and two lines pin each wheel, a sound one too" sh -c 'test $(grep -c -- --hash= out) = 2 && grep -x " *a==2.0+mend.1 ." out'
# What is no file, or cannot be named in JSON, is none of the index's; what is only odd is.
odd=foreign/a
mkdir $odd/dir-1.tar.gz $odd/a-1.0-$tags.whl.metadata && mkfifo $odd/fifo-1.tar.gz && ln -s nowhere $odd/gone-1.tar.gz
ln -s a-0.5.tar.gz $odd/link-1.tar.gz && mkdir "$(printf 'foreign/pk\351')"
for name in 'a-4\351.tar.gz' 'a-4\351-py3-none-any.whl' 'a-5\303\251.tar.gz' 'a-6 <&>.tar.gz'; do echo s > "$(printf "$odd/$name")"; done
echo w > $odd/a-7-py3-none-any.whl && printf 'Name: a\nRequires-Python: \351\n' > $odd/a-7-py3-none-any.whl.metadata
exits 0 "... with odd ones among them: exit 0" "$ELFMEND" repack a-2.0-$tags.whl -o foreign-again --index foreign
check "... none stops it, and the pages have those that can be fetched" "$python" - <<'END2'
import html.parser, json, urllib.parse
wanted = ["a-0.5.tar.gz", "a-1.0-cp311-abi3-linux_x86_64.whl", "a-2.0+mend.1-cp311-abi3-linux_x86_64.whl", "a-5\u00e9.tar.gz",
          "a-6 <&>.tar.gz", "a-7-py3-none-any.whl", "link-1.tar.gz"]
files = {f["filename"]: f for f in json.load(open("foreign/a/index.json"))["files"]}
assert sorted(files) == wanted, sorted(files)
assert "core-metadata" not in files[wanted[1]] and "core-metadata" in files[wanted[5]] and "requires-python" not in files[wanted[5]]
assert [p["name"] for p in json.load(open("foreign/index.json"))["projects"]] == ["a", "b"]
links = []
class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attributes):
        links.extend(urllib.parse.unquote(v.split("#")[0]) for k, v in attributes if k == "href")
Links().feed(open("foreign/a/index.html", encoding="utf-8").read())
assert sorted(links) == wanted, links
END2
exits 1 "a dry run with an index: exit 1" "$ELFMEND" repack --dry-run a-2.0-$tags.whl --index dry
check "... makes none" test ! -e dry
echo > file
exits 2 "an index that cannot be made: exit 2" "$ELFMEND" repack a-2.0-$tags.whl -o without --index file/index
check "... and no wheel without it" sh -c '! ls without/*.whl'

cat > kill.c <<'END2'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
int openat(int dir, const char *path, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, "openat");
    if (strstr(path, "killme-"))
        raise(SIGKILL);
    return real(dir, path, flags, 0666);
}
END2
"${CC:-cc}" -shared -fPIC -o kill.so kill.c -ldl
case $ELFMEND_CHECKER in
    ?*) skip "a process that is ended" "the $ELFMEND_CHECKER wants to be loaded first" ;;
    *)
        exits 2 "a process that is ended: exit 2" env LD_PRELOAD="$PWD/kill.so" "$ELFMEND" repack --jobs 2 a-1.0-$tags.whl killme-1.0-$tags.whl \
            b-1.0-$tags.whl c-1.0-$tags.whl -o killed
        has 'number 2 was ended by signal 9' err "... is told of"
        check "... the others are done" sh -c 'test "$(ls killed | wc -l)" = 3'
        exits 2 "... as JSON" env LD_PRELOAD="$PWD/kill.so" "$ELFMEND" repack --json --jobs 2 a-1.0-$tags.whl killme-1.0-$tags.whl -o killed
        conforms repack-1
        check "... refused, with the reason" "$python" -c 'import json
assert [w["status"] for w in json.load(open("out"))["wheels"]] == ["written", "refused"]' ;;
esac

mkdir left
mkdir -m 700 left/.elfmend-0123456789abcdef
mkdir -m 755 left/.elfmend-fedcba9876543210
for directory in left/.elfmend-*; do : > "$directory/file"; done
exits 0 "beside what a killed run has left" "$ELFMEND" repack a-1.0-$tags.whl -o left
is ".elfmend-fedcba9876543210 .elfmend-fedcba9876543210/file" "$(cd left && echo $(find . -path './.e*' | cut -c 3- | sort))" \
    "... which goes, and what only has such a name stays"

mkdir other && cp a-1.0-$tags.whl other/
exits 2 "two wheels that would be one: exit 2" "$ELFMEND" repack a-1.0-$tags.whl other/a-1.0-$tags.whl -o both
check "... says so, and the first is done" sh -c 'grep -q "another wheel of this name has just become" err && cmp both/* one/a-1.0+*'
head -c 700 other/a-1.0-$tags.whl > half && mv half other/a-1.0-$tags.whl
exits 2 "... of which the first is broken" "$ELFMEND" repack other/a-1.0-$tags.whl a-1.0-$tags.whl -o second
check "... the second is done" sh -c 'cmp second/* one/a-1.0+*'
finish
