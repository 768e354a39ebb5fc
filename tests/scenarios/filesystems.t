#!/bin/sh
# Where the files may lie: each kind of file system that can be made here is repaired on and brought back, or refused with the reason and
# left as it was. Needs mounts of its own; a full disk is full-disk.t's.
. "$ELFMEND_TOP/tests/tap"
PATH=$PATH:/usr/sbin:/sbin
if [ -z "${ELFMEND_MOUNTS:-}" ]; then
    if unshare -m true 2> why; then ELFMEND_MOUNTS=1 exec unshare -m sh "$0"; fi
    echo "1..0 # SKIP no mounts of our own: $(head -n 1 why)"
    exit 0
fi
"$ELFMEND_TOP/fixtures/standin" shipped > log 2>&1 || { echo "1..0 # SKIP no stand-in: $(tail -n 1 log)"; exit 0; }
mkdir at
files() { # [FORMAT]: all below at/v but ours, each with what FORMAT says
    find at/v -path at/v/.elfmend -prune -o -printf "%P %y %m %T@ ${1:-}%l " \( -type f -exec sha256sum {} \; -o -printf '\n' \) | sort
}
copied() { cp -a shipped at/v; }
unmounted() { umount at; }

# supported KIND [FORMAT]: what is mounted at `at` is repaired on, exactly undone, and repaired once more for good
supported() {
    what=$1 format=${2-%i }
    files "$format" > before
    exits 0 "$what: fix" "$ELFMEND" fix --yes at/v
    files "$format" > now
    if cmp -s before now; then ok 1 "... changes something" log; else ok 0 "... changes something"; fi
    exits 0 "... audit finds no error" "$ELFMEND" audit at/v
    exits 0 "... undo" "$ELFMEND" undo at/v
    files "$format" > now
    same "... gives everything back" before now
    if [ -e at/v/.elfmend ]; then ok 1 "... and leaves nothing"; else ok 0 "... and leaves nothing"; fi
    exits 0 "... fix --no-undo" "$ELFMEND" fix --yes --no-undo at/v
    if [ -e at/v/.elfmend ]; then ok 1 "... keeps nothing"; else ok 0 "... keeps nothing"; fi
}
# refused WHAT PATTERN COMMAND...: exit 2, one line that gives the reason, nothing has changed (exFAT's driver sets no directory's time)
refused() {
    what=$1 pattern=$2; shift 2
    kept=no
    [ ! -e at/v/.elfmend ] || kept=yes
    files '%i ' > before
    exits 2 "$what" "$@"
    if [ "$(wc -l < err)" -eq 1 ] && grep -q -e "$pattern" err; then ok 0 "... and says why"; else ok 1 "... and says why" log; fi
    files '%i ' > now
    if [ "$(stat -f -c %T at)" = fuseblk ]; then sed -i 1d before now; fi
    same "... and changes nothing" before now
    if [ $kept = no ] && [ -e at/v/.elfmend ]; then ok 1 "... and leaves nothing"; else ok 0 "... and leaves nothing"; fi
}
image() { # KIND SIZE [MKFS-OPTION...]: 0 if there is one, in the file image; the reason in why
    kind=$1 size=$2; shift 2
    rm -f image
    command -v "mkfs.$kind" > why || { echo "no mkfs.$kind" > why; return 1; }
    truncate -s "$size" image && "mkfs.$kind" "$@" image > why 2>&1
}

for kind in ext4 xfs btrfs; do
    if image $kind 400M && mount -o loop image at 2> why; then
        copied
        supported $kind
        unmounted
    else skip "$kind" "$(head -n 1 why)"; fi
done
mount -t tmpfs tmpfs at
copied
supported tmpfs
rm -rf at/v
copied
mount -o remount,ro at
refused "read-only: fix" "Read-only file system" "$ELFMEND" fix --yes at/v
exits 1 "... where audit works" "$ELFMEND" audit at/v
unmounted

# A layer over an image, as each step of a build has one; in the next step what was repaired, and what undo needs, lies below.
mount -t tmpfs tmpfs at
mkdir at/lower at/upper at/work at/upper2 at/work2 at/v
cp -a shipped/. at/lower
(cd at/lower && find . -exec stat -c '%n %i %Y' {} + | sort) > lower
over() { mount -t overlay overlay -o "lowerdir=$1,upperdir=at/$2,workdir=at/$3" at/v 2> why; }
if over at/lower upper work; then
    supported overlayfs ''
    umount at/v
    rm -rf at/upper/* && over at/lower upper work
    exits 0 "a step of a build: fix" "$ELFMEND" fix --yes at/v
    umount at/v
    (cd at/lower && find . -exec stat -c '%n %i %Y' {} + | sort) > now
    same "... the layer below is untouched" lower now
    over at/upper:at/lower upper2 work2
    refused "the next step: undo" "lower layer of an overlay" "$ELFMEND" undo at/v
    refused "... undo --forget" "lower layer of an overlay" "$ELFMEND" undo --forget at/v
    exits 0 "... audit finds no error" "$ELFMEND" audit at/v
    umount at/v
else skip overlayfs "$(head -n 1 why)"; fi
unmounted

# The least that a file system can be: no exchange, no reflink; and less than that: no second names either.
mount -t tmpfs tmpfs at
copied
if "${CC:-cc}" -std=c11 -D_GNU_SOURCE -shared -fPIC -o shim.so "$ELFMEND_TOP/tests/faults/shim.c" -ldl 2> why; then
    real=$ELFMEND
    printf '#!/bin/sh\nLD_PRELOAD=%s/shim.so FAULT_LACKS=$LACKS exec %s "$@"\n' "$PWD" "$real" > lacking
    chmod 755 lacking
    ELFMEND=$PWD/lacking
    export LACKS=exchange
    supported "without exchange and reflink, as on NFS"
    rm -rf at/v
    copied
    LACKS=exchange,links
    refused "without second names either: fix" "neither exchange two files nor give one a second name" "$ELFMEND" fix --yes at/v
    ELFMEND=$real
else skip "without exchange" "$(head -n 1 why)"; fi
unmounted
loop=
if command -v mkfs.exfat > why && command -v mount.exfat-fuse > why && truncate -s 64M image && loop=$(losetup -f --show image 2> why) &&
    mkfs.exfat "$loop" > why 2>&1 && mount.exfat-fuse -o umask=077 "$loop" at > why 2>&1; then
    cp -rL shipped at/v 2> log
    refused "exFAT: fix" "neither exchange two files nor give one a second name" "$ELFMEND" fix --yes at/v
    unmounted
    mount.exfat-fuse "$loop" at > log 2>&1
    refused "exFAT, open to all: fix" "mount it with permissions" "$ELFMEND" fix --yes at/v
    unmounted
else skip exFAT "no exfat-fuse and exfatprogs, or no FUSE: $(head -n 1 why)"; fi
[ -z "$loop" ] || losetup -d "$loop"

# Names without case
caseless() { # WHAT: .ELFMEND is .elfmend there
    supported "$1"
    "$ELFMEND" fix --yes at/v > log 2>&1
    rm -rf at/v
    mkdir at/v
    echo 'int f;' > f.c
    "${CC:-cc}" -shared -fPIC -o at/v/a.so f.c -Wl,-rpath,/old
    for path in .ELFMEND/txn/9.so .Elfmend/x.so; do
        cat > plan.json <<END
{ "schema": "elfmend.plan/1", "target": "v", "root": "$PWD/at/v", "refused": [], "after": [], "inputs": [ $(stated at/v a.so) ], "actions": [
    { "do": "set-path", "path": "a.so", "tag": "rpath", "value": "/new", "resolves": [] },
    { "do": "copy", "path": "$path", "from": "$PWD/at/v/a.so", "sha256": "$(sha256sum at/v/a.so | cut -c 1-64)", "mode": "0755", "resolves": [] } ] }
END
        refused "$1: a plan for $path" "is elfmend's own" "$ELFMEND" apply plan.json
    done
}
if image ext4 64M -O casefold && mount -o loop image at 2> why && mkdir at/caseless && chattr +F at/caseless 2> why; then
    mkdir at/v && chattr +F at/v && cp -a shipped/. at/v
    caseless "ext4 with casefold"
    unmounted
else
    skip "ext4 with casefold" "$(head -n 1 why)"
    ! mountpoint -q at || unmounted
fi
rm -f image
if command -v lowntfs-3g > why && truncate -s 64M image && mkntfs -F -q image > why 2>&1 &&
    lowntfs-3g -o ignore_case,permissions,loop image at > why 2>&1; then
    copied
    caseless "NTFS without case"
    unmounted
else skip "NTFS without case" "no lowntfs-3g, or no FUSE: $(head -n 1 why)"; fi

# A quota: at each amount of room from none to enough it is all or nothing
quota() { # WHAT LIMIT-COMMAND...: which sets the limit to what it is given
    what=$1; shift
    files '%i ' > before
    for room in 64k 128k 256k 512k 1m 64m; do
        "$@" $room > log 2>&1
        run fix --yes at/v
        { cat out err; echo "exit status $status"; } > log
        [ $status -ne 0 ] || break
        { [ $status -eq 2 ] && [ "$(wc -l < err)" -eq 1 ] && grep -q "quota" err; }
        ok $? "$what of $room more: exit 2, and says so" log
        files '%i ' > now
        same "... nothing has changed" before now
    done
    ok $status "$what: with room it goes through" log
    exits 0 "... undo" "$ELFMEND" undo at/v
    files '%i ' > now
    same "... gives everything back" before now
}
bytes() { numfmt --from=iec "$(echo "$1" | tr km KM)"; }
if image btrfs 400M && mount -o loop image at 2> why && btrfs quota enable at 2> why && btrfs subvolume create at/v > why 2>&1; then
    cp -a shipped/. at/v
    btrfs_limit() {
        btrfs filesystem sync at
        btrfs qgroup limit $(($(btrfs qgroup show --raw at/v | awk 'END { print $2 }') + $(bytes "$1"))) at/v
    }
    quota "a quota" btrfs_limit
    unmounted
else
    skip "a quota on btrfs" "$(head -n 1 why)"
    ! mountpoint -q at || unmounted
fi
if image ext4 64M -O quota,project && mount -o loop,prjquota image at 2> why && command -v setquota > why; then
    mkdir at/v && chattr -p 7 +P at/v && cp -a shipped/. at/v
    ext4_limit() { setquota -P 7 0 $((($(du -s -B1 at/v | cut -f 1) + $(bytes "$1")) / 1024)) 0 0 at; }
    quota "a project quota" ext4_limit
    unmounted
else
    skip "a project quota on ext4" "$(head -n 1 why)"
    ! mountpoint -q at || unmounted
fi
finish
