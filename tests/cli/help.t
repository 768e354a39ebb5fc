#!/bin/sh
# --help of every command opens with an example and leaves nothing unsaid; a word that is no command ends with 2.
. "$ELFMEND_TOP/tests/tap"

exits 0 "elfmend --help" "$ELFMEND" --help
sed -n 's/^  \([a-z]*\)  *[A-Z].*/\1/p' out > commands
check "... lists eleven commands" test "$(wc -l < commands)" -eq 11
exits 0 "elfmend help is the same" "$ELFMEND" help
cp out general
"$ELFMEND" -h > short
same "... and so is -h" general short
while read -r command; do
    exits 0 "$command --help" "$ELFMEND" "$command" --help
    cp out help
    check "... opens with an example of it" sh -c "sed -n 1p help | grep -q '^    elfmend .*$command'"
    check "... tells how to call it" grep -qE "^usage: elfmend $command( |\$)" help
    grep '^  --' help | grep -vE '^  --[^ ]+( [^ ]+)*  +[^ ]' > log
    ok $((1 - $?)) "... says something of each option" log
    grep -n '[[:blank:]]$' help > log
    ok $((1 - $?)) "... and ends no line with a blank" log
    "$ELFMEND" help "$command" > other
    same "... is what help $command prints" help other
done < commands
exits 2 "no command" "$ELFMEND"
exits 2 "a word that is none" "$ELFMEND" audti
check "... is named" grep -q '^elfmend: audti: no such command' err
exits 2 "... nor has it help" "$ELFMEND" help audti
exits 0 "--version" "$ELFMEND" --version
check "... is one line" grep -qxE 'elfmend [0-9]+\.[0-9]+\.[0-9]+' out
finish
