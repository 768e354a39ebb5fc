#!/bin/sh
# The private copy of cuDNN's shim in ctranslate2's wheel given up for the installed one: NEEDED and the versions asked of it renamed.
# With cuDNN 9, and with cuDNN 8, where the installed one is older than the copy.
. "$ELFMEND_TOP/tests/real/tap"
big=v
works() { # GetVersion Create
    printf 'cudnnGetVersion %s\ncudnnCreate %s\n' "$1" "$2"
    for kind in Tensor Convolution RNN; do echo "cudnnCreate${kind}Descriptor 0"; done
}
degrafted() { # ENVIRONMENT SONAME GetVersion Create
    "$real/env" "$1" v
    "$real/manifest" v > shipped
    libs=$(echo v/lib/python3*/site-packages/ctranslate2.libs)
    ext=$(echo v/lib/python3*/site-packages/ctranslate2/_ext.*.so)
    shim=$(basename "$libs"/libcudnn-*)
    exits 0 "$1: fix --strategy degraft: exit 0" elfmend fix --yes --strategy degraft v
    readelf -d "$libs"/libctranslate2* | sed -n 's/.*(NEEDED).*\[\(libcudnn.*\)\]/\1/p' > got
    echo "$2" > wanted
    same "... libctranslate2 needs $2" wanted got
    works "$3" "$4" > wanted
    calls v "$ext" > got 2> messages || true
    same "... the five calls return what they do on a machine without a GPU" wanted got
    exits 0 "... cuBLAS is found" calls v blas "$ext"
    check "... libcublasLt by the members too" calls v finds "$(echo v/lib/python3*/site-packages/nvidia/cudnn/lib/libcudnn_adv*.so.* | cut -d' ' -f1)" libcublasLt.so.12
    exits 0 "... audit: exit 0" elfmend audit v
    if grep -q -F "$shim" out; then ok 1 "... no word of the private copy" out; else ok 0 "... no word of the private copy"; fi
    exits 0 "... verify: exit 0" elfmend verify v
    check "... RECORD is true" python3 "$real/record.py" "$(site v)" ctranslate2
    exits 0 "... undo: exit 0" elfmend undo v
    "$real/manifest" v > now
    same "... everything is as it was" shipped now
    rm -rf v
}
degrafted ct2-9 libcudnn.so.9 91002 1001
degrafted ct2-8 libcudnn.so.8 8902 1
finish
