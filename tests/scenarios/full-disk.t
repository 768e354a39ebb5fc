#!/bin/sh
# A disk that runs full while fix writes, at every amount of room from none up to enough: each time exit 2 with one sentence and
# nothing changed, or exit 0 and all of it done. Needs a file system of its own, small.
. "$ELFMEND_TOP/tests/tap"
if [ -z "${ELFMEND_SMALL:-}" ]; then
    as=
    [ "$(id -u)" -eq 0 ] || as=-r
    mkdir small
    # shellcheck disable=SC2086
    if unshare $as -m mount -t tmpfs -o size=4m tmpfs small 2> why; then
        ELFMEND_SMALL=1 exec unshare $as -m sh "$0"
    fi
    echo "1..0 # SKIP no file system of its own: $(head -n 1 why)"
    exit 0
fi
mount -t tmpfs -o size=4m,nr_inodes=4096 tmpfs small
"$ELFMEND_TOP/fixtures/standin" small/v
files() { find small/v -path small/v/.elfmend -prune -o -type f -printf '%P %i %m %T@ ' -exec sha256sum {} \; | sort; }
files > shipped
done=no
for room in 0 4 12 20 32 48 64 96 128 256 512 1024; do
    free=$(df --output=avail -k small | tail -n 1 | tr -d ' ')
    [ "$free" -gt "$room" ] || break
    head -c "$(((free - room) * 1024))" /dev/zero > small/filler
    status=0
    "$ELFMEND" fix --yes small/v > out 2> err || status=$?
    rm small/filler
    if [ $status -eq 0 ]; then
        ok 0 "$room KiB of room: enough"
        done=yes
        break
    fi
    cat out err > log
    echo "exit status $status" >> log
    if [ $status -eq 2 ] && [ "$(wc -l < err)" -eq 1 ]; then ok 0 "$room KiB of room: exit 2, one sentence"
    else ok 1 "$room KiB of room: exit 2, one sentence" log; fi
    files > now
    same "... nothing has changed" shipped now
    if [ -d small/v/.elfmend/txn ]; then ok 1 "... nothing is left half done"; else ok 0 "... nothing is left half done"; fi
done
if [ $done = yes ]; then ok 0 "with room it goes through"; else ok 1 "with room it goes through" log; fi
exits 0 "undo: exit 0" "$ELFMEND" undo small/v
files > now
same "... everything is as it was installed" shipped now
finish
