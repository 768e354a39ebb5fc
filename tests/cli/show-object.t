#!/bin/sh
# show prints what an object is, in words and in JSON, and refuses in a sentence what is no object.
. "$ELFMEND_TOP/tests/tap"
cat > shim.c <<'C'
extern void *dlopen(const char *, int);
void *em_open(int i) { static const char *const names[] = { "libfam_cnn.so.9", "libfam_ops.so.9" }; return dlopen(names[i], 2); }
C
echo 'int em_dep;' | cc -shared -nostdlib -Wl,-soname,libdep.so.1 -x c - -o libdep.so
cc -shared -fPIC -nostdlib -Wl,-soname,libshim.so.9,--disable-new-dtags,-rpath,'$ORIGIN/../x',-z,now,-z,nodelete,-z,noexecstack,--no-as-needed \
    shim.c libdep.so -o libshim.so.9
cc -shared -fPIC -nostdlib -Wl,--enable-new-dtags,-rpath,'$ORIGIN',-z,execstack shim.c -o run.so

run show libshim.so.9 run.so
is 0 $status "two objects are shown"
has '^libshim.so.9$' out "by their paths"
has '^  soname  *libshim.so.9$' out "soname"
has '^  needed  *libdep.so.1$' out "NEEDED"
has '^  rpath  *$ORIGIN/../x$' out "RPATH"
has '^  runpath  *$ORIGIN$' out "RUNPATH, told apart"
has '^  flags_1  *NOW NODELETE$' out "flags"
has '^  stack  *not executable$' out "a stack"
has '^  stack  *executable$' out "and an executable one"
has '^  may open  *libfam_cnn.so.9$' out "the names that it may dlopen"
has '^  *libfam_ops.so.9$' out "all of them"

# What stands in the way of an edit is told by the patcher itself: the real thing meets the same.
run show run.so
has '^  os abi  *System V$' out "the ABI"
has '^  symbols  *[0-9]* defined, [0-9]* undefined$' out "symbols that can be renamed"
has '^  edits  *--set-rpath' out "what an edit would meet"
has ' --set-interpreter: refused: has no interpreter' out "and why one would be refused"
cc -static -nostdlib -x c - -o still 2> err << 'C'
void _start(void) { for (;;); }
C
run show --json still run.so libdep.so
is "same same same " "$(python3 - "$ELFMEND" << 'P'
import json, os, shutil, subprocess, sys
for shown in json.load(open("out"))["objects"]:
    verdict = "same"
    path = shown["runpath"] or shown["rpath"]
    longer = (path + ":" if path else "") + "E" * 256
    for edit in shown["edits"]:
        value = {"--set-rpath": [longer], "--add-needed": ["libelfmend-forecast.so.0"], "--set-interpreter": [longer]}.get(edit["option"])
        if value is None:
            continue
        shutil.copy(shown["path"], "copy")
        tag = [] if shown["runpath"] or not path else ["--force-rpath"]
        done = subprocess.run([sys.argv[1], "patch", *tag, edit["option"], *value, "copy"], capture_output=True, text=True)
        if (done.returncode == 0) != edit["possible"] or (edit["refused"] or "") not in done.stderr:
            verdict = f"{edit} {done}"
        elif edit["possible"] and os.stat("copy").st_size - shown["size"] != edit["growth"]:
            verdict = f"{edit} {os.stat('copy').st_size} {shown['size']}"
    print(verdict, end=" ")
P
)" "what is foretold is what happens"

run show --json libshim.so.9
is 0 $status "--json"
is 'elfmend.show/1 libshim.so.9 ["libdep.so.1"] $ORIGIN/../x None plain ["libfam_cnn.so.9", "libfam_ops.so.9"] False' "$(python3 -c "
import json
d = json.load(open('out'))
o = d['objects'][0]
print(d['schema'], o['soname'], json.dumps(o['needed']), o['rpath'], o['runpath'], o['stack'],
      json.dumps(o['may_open']), o['truncated'])")" "has the same"
run show /bin/sh
has '^  interpreter  */lib.*/ld' out "an executable has its interpreter"
has '^  wants .*GLIBC' out "and the versions that it wants"

mkdir dir; echo text > file.txt; head -c 40 libshim.so.9 > short; : > wheel.whl; mkfifo fifo
for bad in nowhere dir file.txt short wheel.whl fifo; do
    run show libshim.so.9 $bad
    is 2 $status "$bad is refused"
    has "^elfmend: $bad: " err "in a sentence"
    is 0 "$(wc -c < out | tr -d ' ')" "and nothing is printed"
done
has 'no regular file' err "a FIFO does not hang it"
run show
is 2 $status "without a FILE it is a usage error"
cp libshim.so.9 "$(printf 'n\033[31m\351.so')"
run show n*
is 0 "$(tr -cd '\033' < out | wc -c | tr -d ' ')" "a name cannot steer the terminal"
run show --json n*
python3 -c "import json; json.load(open('out', encoding='utf-8'))"
is 0 $? "nor break the JSON"

finish
