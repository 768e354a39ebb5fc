#!/bin/sh
# Which of several libraries is taken: what the target's loader can use, a family whole and of one version, the nearest to what asks
# for it; and the plan says why another was not.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
relabel() { # VERSION DIRECTORY [WITHOUT]: the stand-in's cuDNN as a wheel of that version, one library left out
    mkdir -p "$2"
    cp -a "$provider"/nvidia "$2" && rm -rf "$2/nvidia/cublas"
    [ -z "${3:-}" ] || rm "$2/nvidia/cudnn/lib/$3"
    mkdir "$2/nvidia_cudnn_cu12-$1.dist-info"
    printf 'Metadata-Version: 2.1\nName: nvidia-cudnn-cu12\nVersion: %s\n' "$1" > "$2/nvidia_cudnn_cu12-$1.dist-info/METADATA"
    grep '^nvidia/cudnn/lib' "$provider"/nvidia_cudnn_cu12-*.dist-info/RECORD > "$2/nvidia_cudnn_cu12-$1.dist-info/RECORD"
}
plan() { "$ELFMEND" fix --dry-run --json "$@" none; }
from() { # the directories that the plan copies from, once each
    python3 -c 'import json
print(*sorted({step["from"].split("/nvidia/")[0].rsplit("/", 1)[1] for step in json.load(open("out"))["actions"] if step["do"] == "copy"}))'
}
taken() { # WHAT SOURCE...
    what=$1; shift
    echo "$@" > wanted
    from > got
    same "$what" wanted got
}
why() { # FILE WORDS: why that file was not taken
    python3 -c 'import json, sys
print(*(no["why"] for no in json.load(open("out"))["not_taken"] if no["candidate"].endswith(sys.argv[1])), sep="\n")' "$1" > got
    check "... says of $1: $2" grep -F -e "$2" got
}

"$standin" --cudnn none none
"$standin" p
provider=$(echo p/lib/python3*/site-packages)
relabel 9.19.0.56 far
relabel 9.10.2.21 near
relabel 9.0.0.312 old
relabel 8.9.7.29 major
relabel 9.5.1.17 part libcudnn_adv.so.9

exits 1 "three versions: a plan" plan --source far --source old --source near
conforms plan-1
taken "the lowest that is not older than the shim, 9.1.0, wherever it stands" near
why far/nvidia/cudnn/lib/libcudnn_cnn.so.9 'version 9.10.2.21 is nearer to 9.1.0 than 9.19.0.56'
why old/nvidia/cudnn/lib/libcudnn_cnn.so.9 'version 9.10.2.21 is nearer to 9.1.0 than 9.0.0.312'
exits 1 "only an older one: a plan" plan --source old
taken "it is taken" old
exits 1 "one that is nearer, and not whole: a plan" plan --source part --source far
taken "a family comes whole" far
why part/nvidia/cudnn/lib/libcudnn_cnn.so.9 'there is no libcudnn_adv.so.9 of 9.5.1.17 beside it'
relabel 9.5.1.17 rest libcudnn_cnn.so.9
exits 1 "a version in two halves: a plan" plan --source part --source rest --source far
taken "whole over all sources" part rest
exits 1 "the same version twice: a plan" plan --source near --source near/nvidia/cudnn/lib
why near/nvidia/cudnn/lib/libcudnn_cnn.so.9 'the same is in near, which comes first'
exits 1 "another major by the package's version: a plan" plan --source major
taken "nothing is taken"
why major/nvidia/cudnn/lib/libcudnn_cnn.so.9 'another major than 9.1.0'
check "... and the finding is refused" grep -F 'no source has it, or its family whole' out
exits 1 "the plan in words says it too" "$ELFMEND" fix --dry-run --source far --source near none
check "... not taken" grep -F 'not taken' out

# Whatever the loader would choke on
so() { # OUTPUT [FLAGS...]
    out=$1; shift
    mkdir -p "$(dirname "$out")"
    echo "${code:-int f;}" | "${CC:-cc}" -shared -nostdlib -fPIC -w -x c -o "$out" - -Wl,--no-as-needed -Wl,-z,noexecstack -x none "$@"
}
node() { echo "$1 { global: $2; };" > "$1.map"; echo "-Wl,--version-script,$1.map"; }
soname=-Wl,-soname,libq.so.1
so linked/libq.so.1 $soname "$(node V_2 f)"
code='extern int f; int *g(void) { return &f; }' so t/pkg/_e.abi3.so linked/libq.so.1
so v1/libq.so.1 $soname "$(node V_1 f)"
so v2/libq.so.1 $soname "$(node V_2 f)"
so new/libc.so.6 -Wl,-soname,libc.so.6 "$(node GLIBC_2.99 h)"
code='int f; extern int h(void); int g(void) { return h(); }'
echo 'int h(void) { return 0; }' | "${CC:-cc}" -shared -nostdlib -fPIC -x c -o new/libc.so.6 - -Wl,-soname,libc.so.6 "$(node GLIBC_2.99 h)"
so glibc/libq.so.1 $soname "$(node V_2 f)" new/libc.so.6
code='int f;' so musl/libc.so -Wl,-soname,libc.so
code='int f;' so musl/lib/libq.so.1 $soname "$(node V_2 f)" musl/libc.so
code=
cp -a v2 machine
printf '\267' | dd of=machine/libq.so.1 bs=1 seek=18 conv=notrunc 2> /dev/null
so name/libq.so.1 -Wl,-soname,libq.so.2
unverified() { "$ELFMEND" fix --world manylinux --dry-run --json --allow-unverified "$@" t; }
exits 1 "what does not fit, then what does: a plan" \
    unverified --source v1 --source glibc --source musl/lib --source machine --source name --source v2
conforms plan-1
check "the one that fits" sh -c 'grep -q "\"from\": \".*/v2/libq.so.1\"" out'
why v1/libq.so.1 'it does not define V_2, which _e.abi3.so needs of it'
why glibc/libq.so.1 'it needs GLIBC_2.99'
why musl/lib/libq.so.1 'it is built for musl'
why machine/libq.so.1 'it is for '
why name/libq.so.1 'it has the name libq.so.1 and calls itself libq.so.2'
find t -printf '%p %i %T@\n' | sort > before
exits 2 "nothing but another machine's: exit 2" unverified --source machine
check "... in a sentence" grep -F 'cannot be used: it is for' err
exits 1 "nothing but another version's: the finding stays" unverified --source v1
find t -printf '%p %i %T@\n' | sort > now
same "... and nothing has changed" before now
finish
