#!/bin/sh
# The demo is the first thing that anyone runs: it goes through, and what it prints is what it promises to print. It stops itself with
# a status when a step does not end as it should, or when undo leaves a byte, inode, mode or mtime behind.
. "$ELFMEND_TOP/tests/tap"
"$ELFMEND_TOP/fixtures/demo" standin "$ELFMEND_BUILD" > out 2>&1
ok $? "the demo goes through" out
has 'Unable to load any of {libcudnn_graph.so.9.1.0, ' out "it shows the failure that people search for"
for member in graph ops cnn adv heuristic engines_precompiled engines_runtime_compiled; do
    has "libcudnn_$member.so.9" out "audit names libcudnn_$member.so.9"
done
has 'libcublas.so.12' out "audit names libcublas.so.12"
has '^transcribe: 0$' out "it shows the repaired environment at work"
has 'files: sha256, inode, mode and mtime the same' out "it shows that undo gives everything back"
finish
