#!/bin/sh
# What goes on beside a repair: other elfmends, pip, a process that has the libraries mapped, processes that load them at that moment.
. "$ELFMEND_TOP/tests/tap"
[ -n "${PYTHON:-}" ] || PYTHON=$python
"$PYTHON" -m venv pip > log 2>&1 || { echo "1..0 # SKIP no venv: $(tail -n 1 log)"; exit 0; }
pip() { pip/bin/python -m pip --disable-pip-version-check -q --python v/bin/python "$@"; }
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -shared -fPIC -o shim.so "$ELFMEND_TOP/tests/faults/shim.c" -ldl
"$ELFMEND_TOP/fixtures/standin" shipped > log 2>&1 || { cat log >&2; exit 1; }
site=$(cd shipped && echo lib/python3*/site-packages)
"$PYTHON" "$ELFMEND_TOP/fixtures/wheel" shipped/"$site" ctranslate2 4.6.1 newer
mkdir new
(cd new && "$PYTHON" -m zipfile -e ../newer/*.whl .)
files() { find v -path v/.elfmend -prune -o -type f -printf '%P %i %m %T@ ' -exec sha256sum {} \; | sort; }
fresh() { rm -rf v; cp -a shipped v; files > before; }
# pips: the files that pip has installed at last are those of its wheel, every one
pips() { (cd new && find . -type f ! -path '*/RECORD' -exec cmp {} ../v/"$site"/{} \;) > log 2>&1 && [ ! -s log ]; }

# ---- other elfmends
fresh
for i in 1 2 3 4 5 6 7 8; do { status=0; "$ELFMEND" fix --yes v > out.$i 2> err.$i || status=$?; echo $status > status.$i; } & done
wait
cat status.? err.? > log
done=$(cat status.? | grep -c '^0$')
odd=$(for i in 1 2 3 4 5 6 7 8; do [ "$(cat status.$i)" -eq 0 ] || grep -q -e 'by another elfmend' -e 'by other elfmends' -e 'changed' -e 'there now' -e 'under way' err.$i || echo $i; done)
[ "$done" -ge 1 ] && [ -z "$odd" ]
ok $? "eight fixes at once: $done go through, the others say why not" log
exits 0 "... the environment is whole" "$ELFMEND" audit v
is 1 "$("$ELFMEND" undo --list v | grep -c '^0')" "... one repair was made"
exits 0 "... undo" "$ELFMEND" undo --all v
files > now
same "... gives everything back" before now
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    "$ELFMEND" fix --yes v > /dev/null 2>> log &
    "$ELFMEND" undo v > /dev/null 2>> log &
    "$ELFMEND" audit v > /dev/null 2>> log &
done
wait
exits 0 "after a dozen of fixes, undos and audits at once: fix" "$ELFMEND" fix --yes v
exits 0 "... the environment is whole" "$ELFMEND" audit v
exits 0 "... undo" "$ELFMEND" undo --all v
files > now
same "... gives everything back" before now

# ---- two that make or remove .elfmend at once: each sets the root's time again, to what it was before both
calls_of() { # COMMAND...: how many of its calls change something
    env LD_PRELOAD="$PWD/shim.so" FAULT_COUNT=count "$ELFMEND" "$@" v > log 2>&1
    cat count
}
meet() { # WHAT: before call $at, which sets the time, $one waits for $other to come as far, to its $other_at, and goes on first
    touch -d '2001-02-03 04:05:06.789' v
    rm -f name other.name there ended
    cat > other.sh <<END
{ env FAULT_AT=$other_at FAULT_NAME=other.name FAULT_RUN='touch there; sleep 0.5' LD_PRELOAD="$PWD/shim.so" "$ELFMEND" $other v > other.log 2>&1
touch ended; } &
for i in 1 2 3 4; do [ -e there ] || sleep 0.1; done
END
    env LD_PRELOAD="$PWD/shim.so" FAULT_AT=$at FAULT_HOW=other FAULT_NAME=name FAULT_RUN='sh other.sh' "$ELFMEND" $one v > log 2>&1 || :
    for i in $(seq 600); do [ -e ended ] || sleep 0.1; done
    is 'utimensat utimensat' "$(cat name) $(cat other.name)" "$1"
    is '2001-02-03 04:05:06.789000000' "$(stat -c %y v | cut -d ' ' -f 1-2)" "... the root's time is as it was"
}
fresh
mkdir -m 700 v/.elfmend
one='fix --yes' at=2 other=undo other_at=$(calls_of undo)
meet "undo removes what fix has just made"
fresh
"$ELFMEND" fix --yes v > log 2>&1
one=undo at=$(calls_of undo) other='fix --yes' other_at=2
"$ELFMEND" fix --yes v > log 2>&1
meet "fix makes what undo has just removed"

# ---- pip, between the plan and its execution
planned() { # WHAT PIP-COMMAND...: the plan is refused, and what pip has left stays
    what=$1; shift
    fresh
    "$ELFMEND" fix --dry-run --plan plan.json v > log 2>&1
    "$@" > log 2>&1 || { ok 1 "$what" log; return; }
    files > left
    exits 2 "$what: apply is refused" "$ELFMEND" apply plan.json
    has 'since the plan was made' err "... and says that it is late"
    files > now
    same "... and changes nothing" left now
    if [ -e v/.elfmend ]; then ok 1 "... and leaves nothing"; else ok 0 "... and leaves nothing"; fi
}
planned "pip install -U before apply" pip install --no-index --no-deps -U newer/*.whl
planned "pip uninstall before apply" pip uninstall -y ctranslate2

# ---- pip, while apply is at work: before a call that changes something, of some seventy
fresh
"$ELFMEND" fix --dry-run --plan plan.json v > log 2>&1
beside() { # CALL COMMAND: apply, and before its CALL the command is run
    status=0
    env LD_PRELOAD="$PWD/shim.so" FAULT_AT="$1" FAULT_HOW=other FAULT_NAME=name FAULT_RUN="$2" "$ELFMEND" apply --jobs 1 plan.json > out 2> err ||
        status=$?
}
env LD_PRELOAD="$PWD/shim.so" FAULT_COUNT=count "$ELFMEND" apply --jobs 1 plan.json > log 2>&1
calls=$(cat count)
lost='' at=3 count=0
while [ $at -le "$calls" ]; do
    rm -rf v; cp -a shipped v
    beside $at "cd '$PWD' && pip/bin/python -m pip --disable-pip-version-check -q --python v/bin/python install --no-index --no-deps -U newer/*.whl > pip.log 2>&1"
    pips || { lost="$lost $at"; { echo "call $at: exit $status"; cat out err pip.log log; } > kept.log; }
    case $status in 0 | 2) ;; *) lost="$lost $at:$status" ;; esac
    at=$((at + 13)) count=$((count + 1))
done
touch kept.log
[ -z "$lost" ] && [ $count -ge 4 ]
ok $? "pip install -U at $count moments of apply: whatever pip has put there stays$lost" kept.log

# The like of it at every third call: another file under the name of one that is to be replaced.
main=v/$site/ctranslate2.libs/libctranslate2-c75cca97.so.4.6.0
record=v/$site/ctranslate2-4.6.0.dist-info/RECORD
for file in "$main" "$record"; do
    lost='' at=1 count=0
    while [ $at -le "$calls" ]; do
        rm -rf v; cp -a shipped v
        beside $at "echo theirs > v/theirs && mv v/theirs $file"
        [ "$(cat "$file")" = theirs ] || { lost="$lost $at"; cp err kept.log; }
        at=$((at + 3)) count=$((count + 1))
    done
    [ -z "$lost" ]
    ok $? "${file##*/} replaced by somebody at $count moments of apply: theirs stays$lost" kept.log
done

# ---- a process that has the libraries mapped
fresh
cat > holder.py <<'END'
import ctypes, os, sys
library = ctypes.CDLL(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    mapped = {l.split()[4] for l in open("/proc/self/maps") if "libheld" in l or ".elfmend" in l}
    print(library.f(), *mapped, flush=True)
END
mkdir held
echo 'int f(void) { return 42; }' > f.c
"${CC:-cc}" -shared -fPIC -o held/libheld.so f.c -Wl,--disable-new-dtags,-rpath,/build/machine
plan() { # RPATH
    cat <<END
{ "schema": "elfmend.plan/1", "target": "held", "root": "$PWD/held", "inputs": [ $(stated held libheld.so) ], "refused": [], "after": [],
  "actions": [ { "do": "set-path", "path": "libheld.so", "tag": "rpath", "value": "$1", "resolves": [] } ] }
END
}
plan '$ORIGIN/libs' > held.json
"$PYTHON" - "$ELFMEND" > log 2>&1 <<'END'
import os, subprocess, sys
elfmend = sys.argv[1]
old = os.stat("held/libheld.so").st_ino
holder = subprocess.Popen([sys.executable, "holder.py", "held/libheld.so"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert holder.stdout.readline() == "ready\n"
def ask():
    holder.stdin.write("\n"); holder.stdin.flush()
    return holder.stdout.readline().split()
assert ask() == ["42", str(old)]
for command in (["apply", "held.json"], ["undo", "held"], ["apply", "--no-undo", "held.json"]):
    subprocess.run([elfmend, *command], check=True)
    assert ask() == ["42", str(old)], command
    assert (os.stat("held/libheld.so").st_ino == old) == (command[0] == "undo"), command
END
ok $? "a process that has a library mapped keeps its inode, through apply, undo, and an apply that keeps nothing" log

# ---- processes that load it at that moment: each finds it, whole, and what it needs
mkdir -p loaded/libs
echo 'int g(void) { return 42; }' > g.c
"${CC:-cc}" -shared -fPIC -o loaded/libs/libg.so g.c
echo 'int g(void); int f(void) { return g(); }' > f.c
"${CC:-cc}" -shared -fPIC -o loaded/libheld.so f.c loaded/libs/libg.so -Wl,-soname,libheld.so -Wl,--disable-new-dtags,-rpath,"\$ORIGIN/libs"
cat > load.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
/* load LIBRARY STOP: a fresh process loads it, and calls it, again and again, until STOP is there. */
int main(int argc, char **argv)
{
    unsigned long loads = 0, failed = 0;
    while (argc == 3 && access(argv[2], F_OK) != 0) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            void *library = dlopen(argv[1], RTLD_NOW);
            int (*f)(void) = library ? (int (*)(void))dlsym(library, "f") : NULL;
            if (!f)
                fprintf(stderr, "%s\n", dlerror());
            _exit(!f || f() != 42);
        }
        waitpid(child, &status, 0);
        loads++;
        failed += status != 0;
    }
    printf("%lu loads, %lu failed\n", loads, failed);
    return failed || loads < 50;
}
END
"${CC:-cc}" -w -o load load.c -ldl
sed 's/held/loaded/g; s/libloaded/libheld/g; s/"inputs": \[.*\], "refused"/"inputs": [ '"$(stated loaded libheld.so)"' ], "refused"/; s|/libs"|/libs:/elsewhere"|' held.json > loaded.json
./load "$PWD/loaded/libheld.so" stop > loads 2> log &
loader=$!
failed_rounds=0
for i in $(seq 40); do
    "$ELFMEND" apply loaded.json > out 2>> log || failed_rounds=$((failed_rounds + 1))
    "$ELFMEND" undo loaded > out 2>> log || failed_rounds=$((failed_rounds + 1))
done
touch stop
wait $loader
status=$?
cat loads >> log
[ $status -eq 0 ] && [ $failed_rounds -eq 0 ]
ok $? "$(cat loads) in fresh processes, while it is repaired and brought back forty times" log
finish
