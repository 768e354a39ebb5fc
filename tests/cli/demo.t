#!/bin/sh
# The demo is the first thing that anyone runs: it goes through, and what it prints is what it promises to print. It stops itself with
# a status when a step does not end as it should, or when undo leaves a byte, inode, mode or mtime behind.
number=0 failed=0
ok() {
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then echo "ok $number - $2"; else failed=1; echo "not ok $number - $2"; sed 's/^/# /' log; fi
}
"$ELFMEND_TOP/fixtures/demo" standin "$ELFMEND_BUILD" > log 2>&1
ok $? "the demo goes through"
grep -q 'Unable to load any of {libcudnn_graph.so.9.1.0, ' log
ok $? "it shows the failure that people search for"
for member in graph ops cnn adv heuristic engines_precompiled engines_runtime_compiled; do
    grep -q "libcudnn_$member.so.9" log
    ok $? "audit names libcudnn_$member.so.9"
done
grep -q 'libcublas.so.12' log
ok $? "audit names libcublas.so.12"
grep -q '^transcribe: 0$' log
ok $? "it shows the repaired environment at work"
grep -q 'files: sha256, inode, mode and mtime the same' log
ok $? "it shows that undo gives everything back"
echo "1..$number"
exit $failed
