#!/bin/sh
# Files that are more than their bytes: what patch keeps of them, where a result goes, and what is no file to edit. Printing changes none.
. "$ELFMEND_TOP/tests/tap"
echo 'int f(void) { return 1; }' > lib.c
"${CC:-cc}" -shared -fPIC lib.c -o good.so -Wl,-rpath,/old && mkdir d || { echo "1..0 # SKIP no compiler"; exit 0; }
path_of() { "$ELFMEND" patch --print-rpath "$1"; }
is() { # WHAT GOT WANTED
    if [ "$2" = "$3" ]; then ok 0 "$1"; else printf 'got:    %s\nwanted: %s\n' "$2" "$3" > log; ok 1 "$1" log; fi
}
fresh() { rm -rf d; mkdir d; cp good.so d/lib.so; }
# unfit WHAT FILE WORDS: exit 2 by our name and 1 by patchelf's, a sentence with the file's name, nothing beside it
ln -s "$ELFMEND" patchelf
unfit() {
    ls -lA d > before
    exits 2 "$1 is refused" "$ELFMEND" patch --set-rpath /new "$2"
    check "... in a sentence" grep -q -- "^elfmend: .*$3" err
    exits 1 "... by patchelf's name too" ./patchelf --set-rpath /new "$2"
    ls -lA d > after
    same "... and nothing comes of it" before after
}

# Modes, times, owners.
for mode in 0755 0644 0444 0400 4755 2755 6711 1755; do
    fresh; chmod $mode d/lib.so; touch -d '2001-02-03 04:05:06' d/lib.so
    access=$(stat -c %X d/lib.so)
    exits 0 "a file of mode $mode is edited" "$ELFMEND" patch --set-rpath /new d/lib.so
    is "... and keeps it" "$(stat -c '%#4a' d/lib.so | sed 's/^0*//') $(path_of d/lib.so)" "${mode#0} /new"
    test "$(stat -c %Y d/lib.so)" -gt "$access"; ok $? "... its time is that of the edit"
done
fresh; "$ELFMEND" patch --set-rpath /same d/lib.so; touch -d '2001-02-03 04:05:06' d/lib.so; stat -c '%i %Y %s' d/lib.so > before
exits 0 "what is so already is no edit" "$ELFMEND" patch --set-rpath /same d/lib.so
stat -c '%i %Y %s' d/lib.so > after; same "... and touches neither inode nor time" before after
if [ "$(id -u)" -eq 0 ]; then
    fresh; chown 1234:4321 d/lib.so; chmod 6755 d/lib.so; "$ELFMEND" patch --set-rpath /new d/lib.so
    is "owner and group stay, and so does set-uid" "$(stat -c '%u:%g %a' d/lib.so)" "1234:4321 6755"
else
    skip "owner and group" "only root gives files away"
fi
# rw for user 65534 too, as the kernel keeps it (acl(5), linux/posix_acl_xattr.h): no tool is needed to see it.
list='import os, struct, sys
name = "system.posix_acl_access"
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in
    ((1, 6, 2**32 - 1), (2, 6, 65534), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 4, 2**32 - 1)))
if sys.argv[1] == "set": os.setxattr(sys.argv[2], name, acl)
else: sys.exit(os.getxattr(sys.argv[2], name) != acl)'
fresh
if "$python" -c "$list" set d/lib.so 2> why; then
    "$ELFMEND" patch --set-rpath /new d/lib.so
    check "an access list stays" "$python" -c "$list" get d/lib.so
else
    skip "an access list" "$(tail -n 1 why)"
fi

# Links.
fresh; ln d/lib.so d/other.so
exits 0 "a file with two names is edited" "$ELFMEND" patch --set-rpath /new d/lib.so
is "... and the other name keeps what it had" "$(path_of d/lib.so) $(path_of d/other.so)" "/new /old"
fresh; mkdir d/sub; mv d/lib.so d/sub/real.so; ln -s sub/real.so d/lib.so; ln -s lib.so d/link.so
exits 0 "through two symbolic links" "$ELFMEND" patch --set-rpath /new d/link.so
is "... the file behind them is edited" "$(path_of d/sub/real.so)" /new
is "... and they stay links" "$(readlink d/link.so) $(readlink d/lib.so)" "lib.so sub/real.so"
is "... with nothing beside them" "$(ls -A d d/sub | tr '\n' ' ')" "d: lib.so link.so sub  d/sub: real.so "
fresh; ln -s lib.so d/link.so; ln -s "$PWD/d/target.so" d/out.so
exits 0 "output over a dangling link" "$ELFMEND" patch --set-rpath /new --output d/out.so d/lib.so
is "... leaves a file that has the path" "$(path_of d/out.so)" /new
is "... and the input as it was" "$(path_of d/lib.so)" /old
exits 0 "output onto the input" "$ELFMEND" patch --set-rpath /self --output d/lib.so d/lib.so
is "... edits it" "$(path_of d/lib.so)" /self

# A file system that calls a hole what was written a moment ago (tests/faults/shim.c: OpenZFS before 2.2.2).
printf '%s\n' 'char data[1 << 20] = { 1 };' > large.c
if [ -n "$ELFMEND_CHECKER" ]; then
    skip "holes that are none" "the $ELFMEND_CHECKER wants to be loaded first"
elif "${CC:-cc}" -shared -fPIC large.c -o large.so -Wl,-rpath,/old 2> log &&
    "${CC:-cc}" -D_GNU_SOURCE -O1 -shared -fPIC -o shim.so "$ELFMEND_TOP/tests/faults/shim.c" -ldl 2>> log; then
    "$ELFMEND" patch --set-rpath /new --output wanted.so large.so
    for lacks in holes holes,exchange; do
        cp large.so d/large.so
        exits 0 "holes that are none ($lacks)" env LD_PRELOAD="$PWD/shim.so" FAULT_LACKS=$lacks "$ELFMEND" patch --set-rpath /new d/large.so
        check "... are copied as what they are" cmp wanted.so d/large.so
    done
else
    skip "holes that are none" "the shim cannot be built: $(tail -n 1 log)"
fi

# What is none.
fresh; unfit "a directory" d "d: is not a regular file"
fresh; mkfifo d/fifo; unfit "a FIFO" d/fifo "d/fifo: is not a regular file"
fresh; unfit "a device" /dev/null "/dev/null: is not a regular file"
fresh; unfit "a name that is not there" d/none "getting info about 'd/none': No such file"
fresh; ln -s nowhere d/link; unfit "a dangling link" d/link "getting info about 'd/link': No such file"
fresh; ln -s loop d/loop; unfit "a link to itself" d/loop "d/loop: "
fresh; : > d/empty; unfit "an empty file" d/empty "d/empty: is no ELF object: it has 0 bytes"
fresh; echo text > d/text; unfit "a text" d/text "d/text: is no ELF object"
fresh; cp good.so d/lib.so; cp d/lib.so before.so
exits 2 "a directory that is the output" "$ELFMEND" patch --set-rpath /new --output d d/lib.so
check "... in a sentence" grep -q '^elfmend: d: ' err
exits 2 "an output in no directory" "$ELFMEND" patch --set-rpath /new --output d/no/lib.so d/lib.so
check "... in a sentence" grep -q '^elfmend: .*d/no' err
same "... leave the input" before.so d/lib.so
"$ELFMEND" patch --set-rpath /new --output /dev/stdout d/lib.so > piped 2> err; cp piped piped.so
is "a pipe gets the result" "$(path_of piped.so)" /new

# Several files: the first that cannot be done ends the call, with those before it done.
fresh; cp good.so d/2.so; echo text > d/text
exits 2 "one of three is no object" "$ELFMEND" patch --set-rpath /new d/lib.so d/text d/2.so
is "... those before it are done" "$(path_of d/lib.so) $(path_of d/2.so)" "/new /old"

# Where nothing may be made beside the file it stays as it is: not root, who may everything.
if [ "$(id -u)" -ne 0 ]; then as=; else as="setpriv --reuid 65534 --regid 65534 --clear-groups"; chmod 755 .; fi
fresh; [ -z "$as" ] || chown -R 65534:65534 d
chmod 555 d; cp d/lib.so before.so
if ! $as "$ELFMEND" patch --print-rpath d/lib.so > log 2>&1; then
    skip "a directory that may not be written" "another user cannot run the program here"
else
    exits 2 "a directory that may not be written" $as "$ELFMEND" patch --set-rpath /new d/lib.so
    check "... is named with the reason" grep -q '^elfmend: .*d/lib.so: cannot be replaced: .*Permission denied' err
    same "... and leaves the file" before.so d/lib.so
    exits 0 "in place it needs no directory" $as "$ELFMEND" patch --in-place --set-rpath /ne d/lib.so || true
    chmod 755 d; chmod 000 d/lib.so
    exits 2 "a file that may not be read" $as "$ELFMEND" patch --set-rpath /new d/lib.so
    check "... is named with the reason" grep -q '^elfmend: d/lib.so: .*Permission denied' err
    chmod 444 d/lib.so
    exits 0 "one that may not be written is replaced, since its directory may" $as "$ELFMEND" patch --set-rpath /new d/lib.so
    is "... and keeps its mode" "$(stat -c %a d/lib.so) $(path_of d/lib.so)" "444 /new"
    [ -z "$as" ] || { chown 0:0 d/lib.so; chmod 4755 d/lib.so; chown 65534:65534 d
        exits 0 "a set-uid file of somebody else's" $as "$ELFMEND" patch --set-rpath /theirs d/lib.so
        is "... is ours then, and set-uid no more" "$(stat -c '%u %a' d/lib.so)" "65534 755"; }
fi

# A program that runs keeps its inode, and its file gets another.
printf '%s\n' '#include <unistd.h>' 'int main(void) { pause(); return 0; }' > pause.c
if "${CC:-cc}" pause.c -o d/pause -Wl,-rpath,/long/enough/for/another 2> log; then
    ./d/pause & running=$!
    until [ "$(readlink /proc/$running/exe)" = "$PWD/d/pause" ]; do sleep 0.01; done
    exits 0 "a program that runs is copied, even if in place was asked for" "$ELFMEND" patch --in-place --set-rpath /new d/pause
    check "... with the reason" grep -q "copied, not edited in place: it is a program that runs" err
    kill -0 $running; ok $? "... and runs on"
    kill $running; wait $running 2> log || true
fi
is "no temporary file is left" "$(find . -name '.elfmend*' | wc -l | tr -d ' ')" 0
finish
