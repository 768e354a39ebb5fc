#!/bin/sh
# What fix did can be taken back: every file has its bytes, inode, mode, owner and mtime again, and what was added is gone.
. "$ELFMEND_TOP/tests/real/tap"
big=v
"$real/env" ct2-9 v
"$real/manifest" v > shipped
exits 0 "fix: exit 0" elfmend fix --yes v
"$real/manifest" v > now
if cmp -s shipped now; then ok 1 "fix has changed something"; else ok 0 "fix has changed something"; fi
exits 0 "undo --list names it" elfmend undo --list v
exits 0 "undo: exit 0" elfmend undo v
"$real/manifest" v > now
same "everything is as it was shipped" shipped now
exits 1 "audit: exit 1 again" elfmend audit v
finish
