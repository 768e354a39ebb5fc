#!/bin/sh
# What a file has besides its bytes is kept by patch, or the file is left as it is: a capability, which only the privileged may give.
. "$ELFMEND_TOP/tests/tap"
echo 'int main(void) { return 0; }' > main.c
"${CC:-cc}" main.c -o main -Wl,-rpath,/x || { echo "1..0 # skip no compiler"; exit 0; }
attribute() { "$python" -c 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]))' "$@"; }
has() { "$python" -c 'import os, sys; sys.exit(sys.argv[2] not in os.listxattr(sys.argv[1]))' "$@"; }

if attribute main user.note 61 2> why; then
    check "patch" "$ELFMEND" patch --set-rpath /y main
    check "... keeps an attribute" has main user.note
else
    echo "# no attributes of a user's on this file system: $(tail -n 1 why)"
fi
# cap_net_raw+ep as the kernel keeps it (linux/capability.h, VFS_CAP_REVISION_2).
if [ "$(id -u)" -ne 0 ] || ! setpriv --version > log 2>&1; then echo "# a file capability is given by root, with setpriv at hand: not tried"
else
    chmod 755 .
    mkdir theirs && cp main theirs/main && chown -R 65534:65534 theirs
    if ! attribute theirs/main security.capability 0100000200200000000000000000000000000000 2> why; then
        echo "# no file capabilities here: $(tail -n 1 why)"
    elif ! setpriv --reuid 65534 --regid 65534 --clear-groups "$ELFMEND" show theirs/main > log 2>&1; then
        echo "# another user cannot run the program here"
    else
        cp theirs/main before
        exits 2 "patch by one who may not give a capability" setpriv --reuid 65534 --regid 65534 --clear-groups "$ELFMEND" patch --set-rpath /z theirs/main
        if grep -q 'security.capability, which its new file cannot be given' err; then ok 0 "... says so"; else ok 1 "... says so" err; fi
        check "... and leaves the bytes" cmp before theirs/main
        check "... and the capability" has theirs/main security.capability
    fi
fi
finish
