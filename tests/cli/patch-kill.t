#!/bin/sh
# A kill at every system call of an edit, copied, in place, of several files, and into another: each file loads as the old or the new
# one, and the same edit made again completes it and leaves nothing beside it.
number=0 failed=0
ok() {
    status=$1; shift; number=$((number + 1))
    if [ "$status" -eq 0 ]; then echo "ok $number - $*"; else failed=1; echo "not ok $number - $*"; sed 's/^/# /' log; fi
}
skip() { number=$((number + 1)); echo "ok $number - # skip $*"; }
: > log
command -v strace > /dev/null && strace -o trace true 2> log || { echo "1..0 # skip strace cannot trace here"; exit 0; }
mkdir dir other
echo 'int dep(void) { return 42; }' > dep.c
echo 'int dep(void); int f(void) { return dep(); }' > lib.c
printf '%s\n' '#include <dlfcn.h>' 'int main(int c, char **v) { void *l = dlopen(v[1], RTLD_NOW); int (*f)(void) = l ? dlsym(l, "f") : 0;' \
    'return f && f() == 42 ? 0 : 1; }' > main.c
gcc -shared -fPIC dep.c -o dir/libdep.so && gcc main.c -o main && cp dir/libdep.so other/ || { echo "1..0 # skip no compiler"; exit 0; }
new=$PWD/other/../other/../other

# The calls of a run from the one that opens the file on, each as "name n", the n-th call of that name. strace kills before the call is
# made, so a call that only looks is the same place as the one behind it.
calls() {
    awk -F'(' '{ name = $1; count[name]++ } /^openat.*dir\/lib.so/ { on = 1 }
        on && name ~ /^[a-z0-9_]+$/ && name !~ /^(pread64|read|mmap|munmap|brk|fstat|newfstatat)$/ { print name, count[name] }' trace
}
complaints() { eu-elflint --gnu-ld "$1" 2>&1 | sort > "$2"; }
# sweep LEAST OPTIONS FILES [STARTS]: FILES are edited. STARTS, FILES if not said, are start.so before, with the path $old; they are there
# at any time, and whole, and so is what comes to be beside them. All but $read_only have the path $new in the end.
edit() { "$@" "$ELFMEND" patch $options --set-rpath "$new" $files; }
begin() { rm -f dir/*lib.so; for file in $starts; do cp start.so "$file"; done; }
all() { printf '%s\n' $starts dir/*lib.so | sort -u; }
whole() { # a file that loads, and as which of the two
    path=$("$ELFMEND" patch --print-rpath "$1") && ./main "./$1" && { [ "$path" = "$old" ] || [ "$path" = "$new" ]; }
}
sweep() {
    least=$1 options=$2 files=$3 starts=${4:-$3}
    begin
    edit strace -qq -o trace 2> log
    calls > list; kills=0 torn=0 lost=0
    complaints start.so before; ls -A dir > there
    while read -r name count; do
        begin
        { edit strace -qq -o /dev/null -e "inject=$name:signal=KILL:when=$count"; } 2> /dev/null
        kills=$((kills + 1))
        for file in $(all); do
            whole "$file" || { torn=$((torn + 1)); echo "at $name $count: $file is torn: $path"; } >> log
        done
        edit 2>> log
        ls -A dir > now; cmp -s there now || { lost=$((lost + 1)); echo "at $name $count:"; cat now; } >> log
        for file in $(all); do
            complaints "$file" after
            { whole "$file" && { [ "$path" = "$new" ] || [ "$file" = "${read_only:-}" ]; } && [ -z "$(comm -13 before after)" ]; } ||
                { lost=$((lost + 1)); echo "at $name $count: $file has $path"; comm -13 before after; } >> log
        done
    done < list
    test "$kills" -ge "$least" -a "$torn" -eq 0; ok $? "$what: $kills kills, and each file is the old or the new one after each"
    test "$lost" -eq 0; ok $? "$what: the same edit made again completes it, and nothing lies beside it"
}

# The linker's own path is long, so that an edit by copying leaves room for one in place: strings and dynamic section change.
gcc -shared -fPIC lib.c -o dir/lib.so -Ldir -ldep -Wl,-rpath,"$PWD/$(printf '%0200d' 0)" || exit 1
old='$ORIGIN'
"$ELFMEND" patch --set-rpath "$old" dir/lib.so && cp dir/lib.so start.so
what=copied; sweep 10 "" dir/lib.so
cp start.so dir/lib.so; what="two files in one call"; sweep 20 "" "dir/lib.so dir/2lib.so"
what="into another file"; read_only=dir/lib.so; sweep 10 "--output dir/2lib.so" dir/lib.so; read_only=
what="over another file"; read_only=dir/lib.so; sweep 10 "--output dir/2lib.so" dir/lib.so "dir/lib.so dir/2lib.so"; read_only=
rm -f dir/2lib.so; cp start.so dir/lib.so; "$ELFMEND" patch --set-rpath "$new" dir/lib.so
inode=$(stat -c %i dir/lib.so)
"$ELFMEND" patch --in-place --set-rpath '$ORIGIN/.' dir/lib.so 2> log
if [ -s log ]; then
    skip "no edit in place here: $(cat log)"
else
    test "$(stat -c %i dir/lib.so)" = "$inode"; ok $? "an edit in place keeps the inode"
    what="in place, over free bytes"; sweep 6 --in-place dir/lib.so
    # Without free bytes a path goes over the one that it replaces, in one write.
    old="\$ORIGIN:/$(printf '%0300d' 0)"
    gcc -fuse-ld=bfd -shared -fPIC lib.c -o dir/lib.so -Ldir -ldep -Wl,-rpath,"$old" && cp dir/lib.so start.so
    inode=$(stat -c %i dir/lib.so); "$ELFMEND" patch --in-place --set-rpath "$new" dir/lib.so 2> log
    test "$(stat -c %i dir/lib.so)" = "$inode"; ok $? "an edit over the old path keeps the inode"
    what="in place, over the old path"; sweep 3 --in-place dir/lib.so
    # Strings of this length go to a segment of their own at the end of the file: program and section headers change too.
    long=$(printf '%03000d' 0) old="\$ORIGIN:$long" new="$new:/$long"
    if gcc -fuse-ld=lld -shared -fPIC lib.c -o dir/lib.so -Ldir -ldep 2> log && "$ELFMEND" patch --set-rpath "$old" dir/lib.so 2> log; then
        cp dir/lib.so start.so
        what="in place, at the end of the file"; sweep 9 --in-place dir/lib.so
        test "$(stat -c %s dir/lib.so)" -gt "$(stat -c %s start.so)"; ok $? "which grows"
    else
        skip "no lld"
    fi
fi
echo "1..$number"
exit $failed
