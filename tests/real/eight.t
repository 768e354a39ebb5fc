#!/bin/sh
# S1's twin of cuDNN 8: ctranslate2 4.4.0, whose private shim has an RPATH that counts from the current directory. Mended by paths where
# cuDNN 8 is installed; by copies from NVIDIA's wheel and by pip where none is, and where cuDNN 9 lies in its place; taken over where one
# library was put beside the shim by hand.
. "$ELFMEND_TOP/tests/real/tap"
big="v b m cache"
wheels=$cache/wheels
wheel=$(echo "$wheels"/nvidia_cudnn_cu12-8.9.2.26-*.whl)
members="ops_infer ops_train cnn_infer cnn_train adv_infer adv_train"
eight=$("$real/env" ct2-8)
nine=$(site "$("$real/env" ct2-9)")
export ELFMEND_CACHE="$PWD/cache" PIP_NO_INDEX=1 PIP_FIND_LINKS="$wheels"
cat > works <<END
cudnnGetVersion 8902
cudnnCreate 1
cudnnCreateTensorDescriptor 0
cudnnCreateConvolutionDescriptor 0
cudnnCreateRNNDescriptor 0
END
works() { # WHAT ENVIRONMENT: the five calls, from the shim alone and where the extension has loaded it; cuBLAS
    shim=$(echo "$(site "$2")"/ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7)
    ext=$(echo "$(site "$2")"/ctranslate2/_ext.*.so)
    for asked in "$shim" "$ext"; do
        calls "$2" "$asked" > got 2> messages || true
        same "$1: the calls of $(basename "$asked")" works got
    done
    exits 0 "... cuBLAS is found" calls "$2" blas "$ext"
    exits 0 "... audit: exit 0" elfmend audit "$2"
    exits 0 "... verify: exit 0" elfmend verify "$2"
    check "... RECORD is true" python3 "$real/record.py" "$(site "$2")" ctranslate2
}
taken_back() { # ENVIRONMENT
    exits 0 "... undo: exit 0" elfmend undo --all "$1"
    "$real/manifest" "$1" > now
    same "... everything is as it was" shipped now
}

# Installed, and not found
cp -al "$eight" v
"$real/manifest" v > shipped
calls v "$(echo "$(site v)"/ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7)" > got 2> messages || true
check "as shipped: calls abort" grep -q ' 134$' got
check "... in the words that people search for" grep -F 'Could not load library libcudnn_ops_infer.so.8.' messages
exits 0 "by paths: fix: exit 0" elfmend fix --yes v
works "by paths" v
taken_back v

# One library put there by hand
cp "$(site v)/nvidia/cudnn/lib/libcudnn_cnn_infer.so.8" "$(site v)/ctranslate2.libs/"
exits 1 "one library copied by hand: audit: exit 1" elfmend audit v
check "... says what it is" grep -E 'EM603.*libcudnn_cnn_infer.so.8: is listed in no RECORD: somebody put it there' out
"$real/manifest" v > shipped
exits 0 "... fix: exit 0" elfmend fix --yes v
works "... taken over" v
taken_back v
rm -r v

# None installed: copies
cp -al "$eight" b
rm -r "$(site b)"/nvidia/cudnn "$(site b)"/nvidia_cudnn_cu12-*
"$real/manifest" b > shipped
for place in "$wheel" pip:nvidia-cudnn-cu12==8.9.2.26; do
    exits 0 "from $(basename "$place"): exit 0" elfmend fix --yes --source "$place" b
    for member in $members; do
        check "... libcudnn_$member.so.8 is there" test -f "$(site b)/ctranslate2.libs/libcudnn_$member.so.8"
    done
    works "... it works" b
    taken_back b
done
exits 0 "once more: exit 0" elfmend fix --yes --source "$wheel" b
check "... pip uninstall" pip b uninstall -y ctranslate2
find b -path b/.elfmend -prune -o \( -iname '*ctranslate2*' -o -name 'ct2-*' -o -name 'libcudnn*' \) -print > left
same "... leaves nothing" /dev/null left
rm -r b

# cuDNN 9 in its place: never bridged, and no hindrance for the right one
cp -al "$eight" m
rm -r "$(site m)"/nvidia/cudnn "$(site m)"/nvidia_cudnn_cu12-*
cp -al $nine/nvidia/cudnn "$(site m)"/nvidia/
cp -al $nine/nvidia_cudnn_cu12-* "$(site m)"/
"$real/manifest" m > shipped
exits 1 "cuDNN 9 beside it: audit: exit 1" elfmend audit m
check "... EM104" grep -F EM104 out
exits 1 "... fix alone mends what is not cuDNN's" elfmend fix --yes m
exits 1 "... audit still says so" elfmend audit m
check "... EM104, and no other error" sh -c 'grep -q "^error\[EM104\]" out && ! grep "^error" out | grep -v EM104'
taken_back m
exits 0 "cuDNN 9 beside it, cuDNN 8 from a wheel: exit 0" elfmend fix --yes --source "$wheel" m
works "... it works" m
taken_back m
finish
