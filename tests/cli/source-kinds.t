#!/bin/sh
# Each kind of source, whole and with each fault: copied from, and it works; or refused in a sentence, and nothing has changed.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
container=$ELFMEND_TOP/fixtures/container
export ELFMEND_CACHE="$PWD/cache"
use='import ctranslate2; print("transcribe:", ctranslate2.transcribe())'
bytes() { find "$1" -path "$1/.elfmend" -prune -o -type f -exec sha256sum {} + | sort; }
files() { find "$1" -path "$1/.elfmend" -prune -o -printf '%P %y %i %m %T@ %l\n' | sort && bytes "$1"; }

"$standin" --cudnn none v
"$standin" p
site=$(echo p/lib/python3*/site-packages)
files v > shipped
place() { # KIND FAULT: in the name that such a file has
    case $1 in
    wheel) name=nvidia_cudnn_cu12-9.10.2.21-py3-none-any.whl ;;
    *) name=source.$1 ;;
    esac
    rm -rf "$name"
    "$container" "$1" "$2" "$site" "$name"
}
whole() { # KIND FORM
    place "$1" "$2"
    exits 0 "$1, $2: exit 0" "$ELFMEND" fix --yes --source "$name" v
    exits 0 "... it works" "$ELFMEND_TOP/fixtures/hidden" v/bin/python -B -c "$use"
    exits 0 "... verify: exit 0" "$ELFMEND" verify v
    exits 0 "... undo: exit 0" "$ELFMEND" undo --all v
    files v > now
    same "... everything is as it was" shipped now
    rm -rf "$name"
}
refused() { # KIND FAULT WORDS
    place "$1" "$2"
    exits 2 "$1, $2: exit 2" "$ELFMEND" fix --yes --source "$name" v
    check "... $3" grep -E -e "$3" err
    files v > now
    same "... nothing has changed" shipped now
    rm -rf "$name"
}

archives='wheel tar tar.gz tar.xz tar.bz2 deb rpm'
if command -v zstd > /dev/null; then archives="$archives tar.zst conda"; else skip "tar.zst, conda" "there is no zstd"; fi
for kind in directory environment $archives conda.tar.bz2; do
    whole "$kind" none
    refused "$kind" flipped 'libcudnn_cnn.so.9.*(sha256|SHA-256)'
    refused "$kind" truncated 'cannot|truncated|damaged|is no (zip )?archive|is not what the RECORD'
    refused "$kind" machine 'cannot be used: it is for'
    case $kind in directory|wheel|tar|conda)
        refused "$kind" magic 'libcudnn_cnn.so.9.*(sha256|SHA-256)'
        for fault in foreign class; do refused "$kind" $fault 'cannot be used: it is for'; done
        refused "$kind" unlisted 'libcudnn_cnn.so.9: has nothing that vouches for it'
        ;;
    esac
    case $kind in directory|environment) continue ;; esac
    refused "$kind" climbs "would lie outside of it: '../libescaped.so'|does not stay where it is unpacked: ../libescaped.so"
    refused "$kind" link 'leads out of it|is a symbolic link'
    case $kind in wheel|tar|deb|conda)
        for fault in aside upwards; do refused "$kind" $fault 'leads out of it|is a symbolic link'; done
        ;;
    esac
    # Uncompressed there is no bomb: it is as large as it says.
    [ "$kind" = tar ] || refused "$kind" bomb 'beyond all measure|is a bomb'
done

# What is odd and honest, and what only looks like it
for form in gnu pax hard case python; do whole tar $form; done
whole wheel case
whole deb control
if tar --version 2> log | grep -q GNU; then whole tar.gz sparse; else skip "tar.gz, sparse" "there is no GNU tar"; fi
for kind in wheel tar deb rpm; do refused $kind twice "has (two members of the name|a member twice:) .*libcudnn_cnn.so.9"; done
for kind in tar deb; do refused $kind hardout "leads out of it"; done
for kind in wheel tar.gz rpm; do refused $kind nested "holds no library that could be copied"; done
refused wheel encrypted "has an encrypted member"

# Not one object in it, and no distribution: nothing that an environment could be made of
mkdir bare
echo 'not an object at all' > bare/libcudnn_cnn.so.9
tar -cf bare.tar bare
"$python" -m zipfile -c bare.zip bare
exits 2 "a directory without an object: exit 2" "$ELFMEND" fix --yes --source bare v
check "... says so" grep 'bare: is no environment' err
for name in bare.tar bare.zip; do
    exits 1 "$name, without an object: the rest is repaired" "$ELFMEND" fix --yes --allow-unverified --source $name v
    check "... and why it was not taken is said, once" \
        sh -c 'test "$(grep -A 1 -F "not taken $1: bare/libcudnn_cnn.so.9" out | grep -c "it is no ELF object")" = 1' - $name
    "$ELFMEND" undo --all v > log
done
files v > now
same "... nothing has changed" shipped now

# Nobody who could fetch it
exits 2 "pip:, and neither pip nor uv: exit 2" env PATH=/nowhere "$ELFMEND" fix --yes --source pip:nvidia-cudnn-cu12 v
check "... says what to do" grep -F 'has no pip, and there is no uv; install either, or name the wheel itself' err
files v > now
same "... nothing has changed" shipped now

# Copied, taken back, copied again: the same tree each time.
place directory none
"$ELFMEND" fix --yes --source source.directory v > /dev/null
bytes v > first
"$ELFMEND" undo --all v > /dev/null
files v > now
same "taken back: as it was" shipped now
"$ELFMEND" fix --yes --source source.directory v > /dev/null
bytes v > second
same "copied again: the same bytes" first second
"$ELFMEND" undo --all v > /dev/null

# Two at once: one repairs, the other waits, finds it done, or refuses; none is lost.
i=0
while [ $i -lt 5 ]; do
    i=$((i + 1))
    "$ELFMEND" fix --yes --source source.directory v > one.out 2> one.err & one=$!
    "$ELFMEND" fix --yes --source source.directory v > two.out 2> two.err & two=$!
    a=0 b=0
    wait $one || a=$?
    wait $two || b=$?
    cat one.err two.err > log
    case "$a $b" in '0 0'|'0 2'|'2 0') ok 0 "two at once, round $i: $a and $b" ;; *) ok 1 "two at once: $a and $b" log ;; esac
    bytes v > second
    same "... the same tree" first second
    "$ELFMEND" undo --all v > /dev/null
    files v > now
    same "... taken back" shipped now
done

# A wheel that the environment's own pip fetches, from where its settings say
pip=$("$python" -I -c 'import os, pip; print(os.path.dirname(pip.__file__))' 2> log) || pip=
if [ -n "$pip" ]; then
    cp -r "$pip" "$(echo v/lib/python3*/site-packages)"
    find v -name __pycache__ -prune -exec rm -r {} +
    mkdir index
    export PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/index"
    files v > shipped
    fetched() { # FAULT
        place wheel "$1"
        mv "$name" index
        name=pip:nvidia-cudnn-cu12==9.10.2.21
    }
    for fault in flipped:'libcudnn_cnn.so.9.*(sha256|SHA-256)' truncated:'could not be fetched' foreign:'cannot be used: it is for' \
        climbs:'does not stay where it is unpacked' link:'is a symbolic link' bomb:'is a bomb'; do
        fetched "${fault%%:*}"
        exits 2 "pip:, ${fault%%:*}: exit 2" "$ELFMEND" fix --yes --source "$name" v
        check "... ${fault#*:}" grep -E -e "${fault#*:}" err
        files v > now
        same "... nothing has changed, and pip has left no bytecode" shipped now
    done
    fetched none
    exits 0 "pip:, whole: exit 0" "$ELFMEND" fix --yes --source "$name" v
    exits 0 "... it works" "$ELFMEND_TOP/fixtures/hidden" v/bin/python -B -c "$use"
    exits 0 "... undo: exit 0" "$ELFMEND" undo --all v
    files v > now
    same "... everything is as it was" shipped now
else
    skip "pip:" "there is no pip"
fi
finish
