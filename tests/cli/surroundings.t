#!/bin/sh
# What a program is started in is not its own choice: streams that are closed, a umask of any kind, directories that give what is made in
# them an access list, and some in which nothing may be taken away. None of it may get into a file, or keep a repair from being taken back.
. "$ELFMEND_TOP/tests/tap"
# Others run it too, who may not enter the place where it was built.
cp "$ELFMEND" elfmend
ELFMEND=$PWD/elfmend
mkdir -p t/dep
echo 'int g(void) { return 1; }' | "${CC:-cc}" -shared -fPIC -x c - -o t/dep/libdep.so -Wl,-soname,libdep.so
echo 'int f(void) { return 1; }' > f.c
"${CC:-cc}" -shared -fPIC -o t/user.so f.c -Wl,--no-as-needed t/dep/libdep.so
tree() { find t -path t/.elfmend -prune -o -printf '%P %y %i %m %T@ ' \( -type f -exec sha256sum {} \; -o -printf '\n' \) | sort; }
tree > before
as_before() { # WHAT
    tree > now
    same "$1" before now
}

# A stream that is closed: no file that is opened gets its number. The pipe keeps the program at work until somebody looks.
if [ "$ELFMEND_CHECKER" = valgrind ]; then
    skip "standard streams that are closed" "valgrind opens its own files"
else
    mkfifo pipe
    "$ELFMEND" patch --set-rpath /elsewhere --output pipe t/user.so <&- >&- 2>&- &
    check "no file is opened as a standard stream" "$python" - $! "$PWD/t/user.so" <<'END2'
import os, sys, time
fds, end = f"/proc/{sys.argv[1]}/fd", time.monotonic() + 60
def where():
    return {int(fd): os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)}
while sys.argv[2] not in where().values():
    assert time.monotonic() < end
    time.sleep(0.01)
assert not any(fd < 3 and path != "/" for fd, path in where().items()), where()
END2
    cat pipe > patched
    check "... and the file is whole" "$ELFMEND" show patched
    exits 2 "... and what cannot be said is an error" sh -c '"$ELFMEND" audit t >&-'
fi
exits 2 "a plan that nobody is shown" sh -c '"$ELFMEND" fix --yes t > /dev/full'
check "... is not executed" grep 'nothing was changed' err
as_before "... in no file"

# A umask that takes away our own rights: what undo needs is ours all the same.
if [ "$(id -u)" -eq 0 ] && command -v setpriv > log 2>&1; then
    chmod 755 . && chown -R 65534:65534 t
    exits 0 "fix under a umask of 0777" setpriv --reuid=65534 --regid=65534 --clear-groups \
        sh -c 'umask 0777; exec "$ELFMEND" fix --yes t'
    exits 0 "... is taken back" setpriv --reuid=65534 --regid=65534 --clear-groups "$ELFMEND" undo t
    as_before "... to the last file"
    chown -R 0:0 t
else
    skip "a umask of 0777" "needs root, to be somebody else"
fi

# A directory from which nothing may be taken away, as it is for logs: the exchange fails, and there is nothing to take back.
mkdir appended
cp -p t/user.so appended && cp -rp t/dep appended
mkdir around && mv appended around
if chattr +a around/appended 2> log; then
    exits 2 "fix in a directory where names can only be made" "$ELFMEND" fix --yes around
    check "... is refused once" sh -c 'grep "cannot be exchanged" err && ! grep "taking the others back failed" err'
    check "... and nothing is left" test ! -e around/.elfmend
    chattr -a around/appended
else
    skip "a directory where names can only be made" "chattr: $(tail -n 1 log)"
fi

# A directory whose default access list lets somebody in: a file that kept them out does so when it is repaired.
cat > acl.py <<'END2'
import os, struct, sys
def entries(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
nobody, rest = 65534, 0xffffffff
for directory in sys.argv[1:]:
    os.setxattr(directory, "system.posix_acl_default",
                entries((1, 7, rest), (2, 7, nobody), (4, 5, rest), (0x10, 7, rest), (0x20, 5, rest)))
END2
lists() { # PATH: 0 if it has an access list
    "$python" -c 'import os, sys; os.getxattr(sys.argv[1], "system.posix_acl_access")' "$1" 2> log
}
chmod 664 t/user.so
cp -p t/user.so t/other.so
tree > before
if "$python" acl.py t t/dep 2> log; then
    exits 0 "fix where a default access list lets others write" "$ELFMEND" fix --yes t
    if lists t/user.so; then ok 1 "... lets nobody write to the file"; else ok 0 "... lets nobody write to the file"; fi
    is 664 "$(stat -c %a t/user.so)" "... which has its mode"
    exits 0 "undo" "$ELFMEND" undo t
    as_before "... brings back what was there"
    exits 0 "patch there" "$ELFMEND" patch --set-rpath /elsewhere t/other.so
    if lists t/other.so; then ok 1 "... lets nobody write to the file"; else ok 0 "... lets nobody write to the file"; fi
    is 664 "$(stat -c %a t/other.so)" "... which has its mode"
else
    skip "a default access list" "the file system has none: $(tail -n 1 log)"
fi
finish
