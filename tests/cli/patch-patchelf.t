#!/bin/sh
# elfmend patch, and the same under patchelf's name: options, output, exit status. The loader and readelf are the judges.
. "$ELFMEND_TOP/tests/tap"
fails() { # STATUS WHAT COMMAND...: with a word about it
    want=$1 what=$2; shift 2
    "$@" > log 2>&1; got=$?
    [ $got -eq "$want" ] && [ -s log ] || { echo "exit $got" >> log; false; }
    ok $? "$what" log
}
: > log
ln -s "$ELFMEND" patchelf; patchelf=$PWD/patchelf
echo 'int dep(void) { return 42; }' > dep.c
echo 'int dep(void); int main(void) { return dep() - 42; }' > main.c
mkdir lib; gcc -shared -fPIC -Wl,-soname,libdep.so.1 dep.c -o lib/libdep.so.1 && ln -s libdep.so.1 lib/libdep.so
gcc main.c -o main -Llib -ldep || { echo "1..0 # skip no compiler"; exit 0; }

is "" "$($patchelf --print-rpath main)" "no path is an empty line"
fails 127 "without a path the program does not run" ./main
LD_DEBUG=files "$ELFMEND" patch --set-rpath '$ORIGIN/lib' main 2> log; ok $? "set a path" log
is 0 "$(grep -c -e libarchive -e libcrypto log)" "neither libarchive nor libcrypto is opened for it"
./main 2> log; ok $? "the program runs" log
is '$ORIGIN/lib' "$($patchelf --print-rpath main)" "the path is printed"
readelf -d main | grep -q RUNPATH; ok $? "it is a RUNPATH" log
$patchelf --force-rpath --add-rpath /more main 2> log; ok $? "add to it, as RPATH" log
readelf -d main | grep -q 'RPATH.*\[$ORIGIN/lib:/more\]'; ok $? "it is an RPATH of two entries" log
$patchelf --add-rpath /more main; is '$ORIGIN/lib:/more' "$($patchelf --print-rpath main)" "an entry is added once"
sum=$(stat -c %i%Y main); $patchelf --add-rpath /more main; is "$sum" "$(stat -c %i%Y main)" "nothing to do touches nothing"
$patchelf --set-rpath "$PWD/lib:/not/there:\$ORIGIN/x::/usr/lib" main
$patchelf --shrink-rpath main; is "$PWD/lib:\$ORIGIN/x" "$($patchelf --print-rpath main)" "shrink keeps what serves"
$patchelf --shrink-rpath --allowed-rpath-prefixes /nix main
is '$ORIGIN/x' "$($patchelf --print-rpath main)" "shrink by prefixes"
$patchelf --remove-rpath main; is 0 "$(readelf -d main | grep -c PATH)" "remove it"
echo -n "$PWD/lib" > path; $patchelf --set-rpath @path main; is "$PWD/lib" "$($patchelf --print-rpath main)" "a value from a file"

$patchelf --add-needed libm.so.6 --add-needed libdl.so.2 main
is "libdl.so.2 libm.so.6 libdep.so.1 " "$($patchelf --print-needed main | head -n 3 | tr '\n' ' ')" "needed libraries come first, sorted"
$patchelf --add-needed libm.so.6 main; is 1 "$($patchelf --print-needed main | grep -c libm)" "and once"
$patchelf --remove-needed libm.so.6 --remove-needed libdl.so.2 --replace-needed libdep.so.1 libother.so main
fails 127 "a replaced library is looked for" ./main
ln -s libdep.so.1 lib/libother.so; ./main 2> log; ok $? "and found" log
interpreter=$($patchelf --print-interpreter main)
$patchelf --set-interpreter "/$interpreter" main; is "/$interpreter" "$($patchelf --print-interpreter main)" "another interpreter"
./main 2> log; ok $? "the program runs with it" log

$patchelf --set-soname libnew.so.2 --output new.so lib/libdep.so.1
is "$($patchelf --print-soname new.so) $($patchelf --print-soname lib/libdep.so.1)" "libnew.so.2 libdep.so.1" "another output"
is "execstack: -" "$($patchelf --print-execstack new.so)" "the stack is not executable"
$patchelf --set-execstack new.so; is "execstack: X" "$($patchelf --print-execstack new.so)" "it is"
$patchelf --clear-execstack new.so; is "execstack: -" "$($patchelf --print-execstack new.so)" "it is not"
$patchelf --set-os-abi linux new.so; is "Linux" "$($patchelf --print-os-abi new.so)" "OS ABI by name"

# What patchelf --build-resolution-cache leaves for the loader of Nix: it may not outlive the search that it was made of.
cat > cached.s <<'END'
 .section .note.nixos.ldcache, "a", @note
 .balign 4
 .long 6, 2f - 1f, 0x63a86cb6
 .asciz "NixOS"
 .balign 4
1: .asciz "=/nix/store/old/libdep.so.1"
 .balign 4
2: .section .note.GNU-stack, "", @progbits
END
gcc main.c cached.s -o cached -Llib -ldep -Wl,-rpath,"$PWD/lib" && cp cached again
$patchelf --remove-needed libnone.so --set-rpath "$PWD/lib" again 2> log; same "a cache for the loader of Nix stays with an edit that changes nothing" cached again
$patchelf --set-rpath "$PWD/lib:/new" again 2> log; grep -q 'nixos.ldcache' log; ok $? "it is emptied with another search path, which is told" log
is "0 0" "$(readelf -nW again | grep -c 63a86cb6) $(grep -c /nix/store/old again)" "nothing is left of it"
./again 2> log; ok $? "the program runs" log
cp cached again; $patchelf --replace-needed libdep.so.1 libother.so again 2> log; is 0 "$(readelf -nW again | grep -c 63a86cb6)" "so is it with another library"
cp cached again; $patchelf --set-os-abi linux again 2> log; is 1 "$(readelf -nW again | grep -c 63a86cb6)" "and not with what has nothing to do with it"

# A path of 40,000 bytes in front of as many others: mold keeps the order in which it met them.
if command -v mold > log 2>&1; then
    for i in $(seq 2000); do echo "int f${i}_$(printf '%0100d' 0)(void) { return $i; }"; done > many.c
    long=/$(printf '%040000d' 0); gcc -fuse-ld=mold -shared -fPIC many.c -o many.so -Wl,-rpath,"$long"
    is "$long" "$($patchelf --print-rpath many.so 2>&1)" "a long path is read"
    $patchelf --set-rpath "$long:/more" many.so 2> log; is "$long:/more" "$($patchelf --print-rpath many.so 2>&1)" "and replaced by a longer one"
else
    skip "a long path in front of many names" "no mold"
fi

# In place: the same inode where the file is nobody else's, a copy and the reason where it is.
gcc -shared -fPIC dep.c -o mine.so -Wl,-rpath,"/$(printf '%0300d' 0)"; "$ELFMEND" patch --set-rpath /a mine.so; inode=$(stat -c %i mine.so)
if "$ELFMEND" patch --in-place --set-rpath /b mine.so 2> log && [ ! -s log ]; then
    is "$(stat -c %i mine.so) $($patchelf --print-rpath mine.so)" "$inode /b" "in place, the inode stays"
    "$ELFMEND" patch --in-place --set-rpath /c mine.so 3< mine.so 2> log
    grep -q 'copied, not edited in place: another process has it open' log; ok $? "a file that is open elsewhere is copied" log
    ln mine.so link.so; "$ELFMEND" patch --in-place --set-rpath /d mine.so 2> log
    grep -q 'another name' log; ok $? "so is one that has a second name" log
    is "$($patchelf --print-rpath link.so) $($patchelf --print-rpath mine.so)" "/c /d" "whose second name keeps the old file"
    sum=$(stat -c %i%Y%Z mine.so); "$ELFMEND" patch --in-place --set-rpath /d mine.so; is "$sum" "$(stat -c %i%Y%Z mine.so)" "nothing to do touches nothing"
    chmod u+s mine.so; "$ELFMEND" patch --in-place --set-rpath /e mine.so 2> log
    test -u mine.so; ok $? "a set-uid bit stays, by a copy" log
    "$ELFMEND" patch --in-place --set-soname libmine.so.1 mine.so 2> log; is libmine.so.1 "$($patchelf --print-soname mine.so)" "what cannot be done in place is copied"
else
    number=$((number + 1)); echo "ok $number - # skip no edit in place here: $(cat log)"
fi
fails 2 "in place into another output" "$ELFMEND" patch --in-place --output x --set-rpath /a mine.so

echo "dep other" > map; $patchelf --rename-dynamic-symbols map new.so; nm -D new.so | grep -q ' other$'; ok $? "rename a symbol" log
# Each of two edits fits by pushing what follows; so do both in one call, although both change the table of needed versions' neighbours.
echo 'int puts(const char *); int alias(void) { return puts("x"); }' > alias.c
gcc -shared -fPIC -Wl,--hash-style=gnu alias.c -o alias.so && echo "alias alias_of_a_longer_name" > map
rung() { "$ELFMEND" patch --debug "$@" --output two.so alias.so 2>&1 | sed -n 's/^elfmend: alias.so: \([a-z-]*\), .*/\1/p'; }
one=$(rung --rename-dynamic-symbols map)
is "$one" "$(rung --replace-needed libc.so.6 libc-0123456789abcdef.so.6)" "a longer name of a library takes the rung of a longer name of a symbol"
is "$one" "$(rung --rename-dynamic-symbols map --replace-needed libc.so.6 libc-0123456789abcdef.so.6)" "... and so do both"
# GNU ld for aarch64 lets the empty GNU hash table of a program that defines nothing begin at its first symbol.
if command -v aarch64-linux-gnu-gcc > log 2>&1; then
    echo 'int abs(int); int main(int argc, char **argv) { return abs(-argc); }' > far.c
    aarch64-linux-gnu-gcc -fno-builtin -fuse-ld=bfd far.c -o far && echo "abs labs" > map; $patchelf --rename-dynamic-symbols map far 2> log
    nm -D far | grep -q ' U labs'; ok $? "a symbol of a program whose GNU hash table is empty gets another name" log
else
    skip "a rename where the GNU hash table is empty" "no aarch64-linux-gnu-gcc"
fi
$patchelf --no-default-lib --add-debug-tag new.so; readelf -d new.so | grep -q NODEFLIB; ok $? "NODEFLIB" log

fails 1 "no file" $patchelf --print-rpath nothing
grep -q "getting info about 'nothing': No such file" log; ok $? "in patchelf's words" log
fails 2 "no file, as elfmend" "$ELFMEND" patch --print-rpath nothing
fails 1 "no argument" $patchelf --set-rpath
fails 1 "no file name" $patchelf --print-rpath
fails 1 "no such option" $patchelf --nonsense main
fails 1 "set and add" $patchelf --set-rpath a --add-rpath b main
fails 1 "one output for two files" $patchelf --output x --print-rpath main new.so
fails 1 "no object" $patchelf --print-rpath main.c
fails 1 "no ABI of that name" $patchelf --set-os-abi nonsense main
gcc -static main.c dep.c -o static 2> log && fails 1 "a static program has no path" $patchelf --print-rpath static
is "patchelf 0.19.3" "$($patchelf --version)" "version, as others parse it"
is 0 "$(ls -A | grep -c '^[.]elfmend')" "no temporary file is left"
finish
