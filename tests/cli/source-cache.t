#!/bin/sh
# What was unpacked once is used again only if it is still that, and ours alone: nothing that lies in a cache makes a run fail that would
# succeed with an empty one, and nothing that others could have put there is taken. Who fetches the same at the same time gets it.
. "$ELFMEND_TOP/tests/tap"
# Others run it too, who may not enter the place where it was built.
cp "$ELFMEND" elfmend
ELFMEND=$PWD/elfmend
: "${CC:=cc}"
"$ELFMEND_TOP/fixtures/standin" --cudnn none v
"$ELFMEND_TOP/fixtures/standin" p
site=$(echo p/lib/python3*/site-packages)
wheel=$PWD/nvidia_cudnn_cu12-9.10.2.21-py3-none-any.whl
"$ELFMEND_TOP/fixtures/container" wheel none "$site" "$wheel"
"$ELFMEND_TOP/fixtures/container" deb none "$site" source.deb
export ELFMEND_CACHE="$PWD/cache" TMPDIR="$PWD/tmp"
mkdir tmp
python=$(command -v "$python")
plan() { # SOURCE [COMMAND...]: what would be copied, by content; exit status 1, since nothing is mended yet
    source=$1; shift
    status=0
    "$@" "$ELFMEND" fix --dry-run --json --source "$source" v > out 2> err || status=$?
    "$python" -c 'import json; print(*sorted((a["path"], a["sha256"]) for a in json.load(open("out"))["actions"] if a["do"] == "copy"), sep="\n")' \
        > copied 2>> err || status=unread
    [ "$status" = 1 ]
}
planned() { # WHAT SOURCE [COMMAND...]: the same as without a cache
    what=$1 found=0; shift
    plan "$@" || found=1
    ok $found "$what" err
    same "... the same is copied" wanted copied
}
warned() { # COUNT WORDS
    is "$1" "$(grep -c 'is not kept beyond this run' err)" "... $1 warning"
    [ "$1" = 0 ] || check "... $2" grep -e "$2" err
    is '' "$(ls -A tmp)" "... nothing is left"
}
plan "$wheel"
cp copied wanted
check "seven libraries are missing, and would be copied" sh -c 'test "$(wc -l < wanted)" -ge 7'
planned "from the cache" "$wheel"
warned 0

# ---- a cache that cannot be used, or is none ----
rm -rf cache
for which in cache elfmend; do
    : > file
    planned "a file where the cache should be" "$wheel" env ELFMEND_CACHE="$PWD/file/$which"
    warned 1 'cannot be used as a cache: Not a directory'
done
planned "no place for a cache" "$wheel" env -u ELFMEND_CACHE -u XDG_CACHE_HOME -u HOME
warned 1 'there is no place for a cache'
(umask 077 && mkdir -p tmp/elfmend-0123456789abcdef/sources/left && : > tmp/elfmend-0123456789abcdef/sources/left/libx.so)
planned "no place for a cache, and what a killed run has left instead of one" "$wheel" env -u ELFMEND_CACHE -u XDG_CACHE_HOME -u HOME
warned 1 'there is no place for a cache'
mkdir -m 700 tmp/elfmend-0123456789abcdef
planned "... where its maker lives" "$wheel" flock tmp/elfmend-0123456789abcdef env -u ELFMEND_CACHE -u XDG_CACHE_HOME -u HOME
is elfmend-0123456789abcdef "$(ls -A tmp)" "... that stays"
rmdir tmp/elfmend-0123456789abcdef
mkdir open
chmod 777 open
planned "a directory that everybody may write to" "$wheel" env ELFMEND_CACHE="$PWD/open/cache"
warned 1 'others may write to it'
is '' "$(ls -A open)" "... and nothing was made there"
mkdir -p worn/sources
chmod 777 worn/sources
planned "a cache that everybody may write to" "$wheel" env ELFMEND_CACHE="$PWD/worn"
warned 1 'worn/sources belongs to another user, or others may write to it'
mkdir -m 770 listed
if "$python" -c 'import os, struct; os.setxattr("listed", "system.posix_acl_access", struct.pack("<I" + "HHI" * 5, 2,
    1, 7, 0xffffffff, 2, 7, 65534, 4, 0, 0xffffffff, 0x10, 7, 0xffffffff, 0x20, 0, 0xffffffff))' 2> log; then
    planned "a directory with an access list that names somebody who may write to it" "$wheel" env ELFMEND_CACHE="$PWD/listed/cache"
    warned 1 'others may write to it'
else
    skip "an access list" "the file system has none: $(tail -n 1 log)"
fi
mkdir far
ln -s "$PWD/far" linked
planned "a link that we made" "$wheel" env ELFMEND_CACHE="$PWD/linked"
warned 0
check "... leads where it leads" test -d far/sources

# ---- other users ----
if [ "$(id -u)" -eq 0 ] && command -v setpriv > log 2>&1; then
    as_other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    chmod 755 .
    mkdir home
    chown 65534:65534 home
    planned "root with the HOME of a user" "$wheel" env -u ELFMEND_CACHE -u XDG_CACHE_HOME HOME="$PWD/home"
    warned 1 'home belongs to another user'
    is '' "$(ls -A home)" "... nothing was made there"
    chmod 1777 tmp
    planned "the user himself" "$wheel" as_other env -u ELFMEND_CACHE -u XDG_CACHE_HOME HOME="$PWD/home"
    warned 0
    # He puts a library of his own there, and says of it that it is the right one.
    cat > poison.py <<'END'
import base64, glob, hashlib, sys
for library in glob.glob(sys.argv[1] + "/*/files/nvidia/cudnn/lib/libcudnn_cnn.so.9"):
    data = bytearray(open(library, "rb").read())
    data[-1] ^= 1
    open(library, "wb").write(data)
    record = glob.glob(library.split("/files/")[0] + "/files/*.dist-info/RECORD")[0]
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    rows = [f"nvidia/cudnn/lib/libcudnn_cnn.so.9,sha256={digest},{len(data)}\n" if row.startswith("nvidia/cudnn/lib/libcudnn_cnn.so.9,")
            else row for row in open(record)]
    open(record, "w").writelines(rows)
END
    as_other "$python" poison.py home/.cache/elfmend/sources
    planned "root is not given what the user has put there" "$wheel" env -u ELFMEND_CACHE XDG_CACHE_HOME="$PWD/home/.cache"
    warned 1 'belongs to another user'
    find home -printf '%p %u %m %T@\n' | sort > before
    "$ELFMEND" repack --dry-run "$wheel" > log 2>&1 || :
    env -u ELFMEND_CACHE HOME="$PWD/home" "$ELFMEND" repack --dry-run "$wheel" > log 2>&1 || :
    find home -printf '%p %u %m %T@\n' | sort > after
    same "... nor does what is known of wheels come to lie there" before after
    planned "the user finds out that it is not what he unpacked" "$wheel" as_other env -u ELFMEND_CACHE -u XDG_CACHE_HOME HOME="$PWD/home"
    warned 0
    chmod 755 tmp

    rm -rf cache
    mkdir in
    cp "$wheel" in
    chown 65534 in/*.whl
    planned "an archive that another may write to" in/*.whl
    warned 0

    # What others may write to is not run.
    his=h${site#p}
    mkdir -p h/bin "$his"
    cp v/pyvenv.cfg h
    cp -r "$(echo v/lib/python3*/site-packages)"/. "$his"
    ln -s "$(readlink -f v/bin/python3)" h/bin/python3
    echo "import os; open('$PWD/ran', 'w')" > "$his/run.pth"
    chown -hR 65534 h
    exits 2 "pip: in an environment of another user: exit 2" "$ELFMEND" fix --yes --source pip:nvidia-cudnn-cu12 h
    check "... says why, and what to do" grep 'h/bin belongs to another user.*fetch the wheel yourself' err
    check "... and nothing of it was run" test ! -e ran
else
    skip "caches, archives and environments of other users" "needs root and setpriv"
fi

# ---- dying while it is unpacked: killed after each call that changes something, and one thing that goes wrong instead of each ----
rm -rf cache
if [ -n "$ELFMEND_CHECKER" ]; then
    skip "dying while it is unpacked" "the $ELFMEND_CHECKER wants to be loaded first"
else
    $CC -D_GNU_SOURCE -O1 -shared -fPIC -o shim.so "$ELFMEND_TOP/tests/faults/shim.c" -ldl
    for source in "$wheel" source.deb; do
        plan "$source"
        cp copied wanted
        rm -rf cache
        plan "$source" env LD_PRELOAD="$PWD/shim.so" FAULT_COUNT="$PWD/count"
        calls=$(cat count) at=0 bad=0
        : > kills
        while [ $at -lt "$calls" ]; do
            at=$((at + 1))
            for how in after $(echo ENOSPC EIO short before | cut -d' ' -f$((at % 4 + 1))); do
                rm -rf cache
                plan "$source" env LD_PRELOAD="$PWD/shim.so" FAULT_AT=$at FAULT_HOW=$how && ! cmp -s wanted copied &&
                    { echo "$how $at: another plan"; bad=1; } >> kills
                { plan "$source" && cmp -s wanted copied; } || { bad=1; echo "$how $at: the next run"; cat err; } >> kills
            done
        done
        ok $bad "${source##*/}: killed and failed at each of $calls calls, the next run is none the worse" kills
        check "... there are enough of them" test "$calls" -ge 20
    done
    plan "$wheel"
    cp copied wanted
fi

# ---- fetching ----
mkdir bin
cat > bin/uv <<END
#!/bin/sh
while [ "\$1" != --target ]; do shift; done
for file in nvidia nvidia_cudnn_cu12-9.10.2.21.dist-info; do cp -r "$PWD/$site/\$file" "\$2"; sleep 0.0\$((\$\$ % 7)); done
END
chmod 755 bin/uv
round=0
while [ $round -lt 6 ]; do
    round=$((round + 1))
    # Each other time there is nothing yet.
    [ $((round % 2)) -eq 0 ] || rm -rf cache
    pids=
    for i in 1 2 3 4; do
        PATH="$PWD/bin:$PATH" "$ELFMEND" fix --dry-run --source pip:nvidia-cudnn-cu12 v > out.$i 2> err.$i & pids="$pids $!"
    done
    statuses=
    for pid in $pids; do
        status=0
        wait "$pid" || status=$?
        statuses="$statuses$status "
    done
    cat err.* > log
    is '1 1 1 1 ' "$statuses" "four that fetch the same by uv, round $round"
    is 1 "$(ls cache/sources | wc -l)" "... have one directory"
done
for i in 2 3 4; do same "... and one plan" out.1 out.$i; done
for damage in 'truncate -s 0' 'rm'; do
    # shellcheck disable=SC2086
    find cache/sources -name RECORD -exec $damage {} +
    planned "fetched again, where the RECORD is lost" pip:nvidia-cudnn-cu12 env PATH="$PWD/bin:$PATH"
    # shellcheck disable=SC2086
    find cache/sources -name 'libcudnn_cnn.so.9' -exec $damage {} +
    planned "... where a library is" pip:nvidia-cudnn-cu12 env PATH="$PWD/bin:$PATH"
done

sed -i 's/cp -r/cp -rs/' bin/uv
planned "fetched as links into uv's own cache" pip:nvidia-cudnn-cu12 env PATH="$PWD/bin:$PATH"
planned "... and again" pip:nvidia-cudnn-cu12 env PATH="$PWD/bin:$PATH"

# What is asked for is a name: pip would build what lies at a place, and that runs it.
mkdir sdist
printf 'open("%s/ran", "w")\nfrom setuptools import setup\nsetup(name="sdist", version="1")\n' "$PWD" > sdist/setup.py
tar -czf sdist.tar.gz sdist
for place in ./sdist "$PWD/sdist" sdist.tar.gz "sdist @ file://$PWD/sdist.tar.gz" "git+file://$PWD/sdist" --index-url=x ''; do
    exits 2 "pip:$place: exit 2" "$ELFMEND" fix --yes --source "pip:$place" v
    check "... says so" grep 'names no requirement' err
done
check "... and none was run" test ! -e ran
# Nor what lies in the current directory, whatever PATH says.
printf '#!/bin/sh\ntouch "%s/ran"\nexit 1\n' "$PWD" > uv
chmod 755 uv
for path in '' . :/nowhere /nowhere: bin/..; do
    exits 2 "pip: with PATH='$path': exit 2" env PATH="$path" "$ELFMEND" fix --yes --source pip:nvidia-cudnn-cu12 v
    check "... there is no uv" grep 'there is no uv' err
done
check "... and none was run" test ! -e ran
finish
