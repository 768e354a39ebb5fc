#!/bin/sh
# Four libraries of the field, from 125 KB to a gigabyte, with a search path of 966 characters: they load after the edit and after each
# tool that may follow it, unless the tool breaks the file as it came too (others have edited it before); they keep their build id and
# what gdb finds in them, and the edit repeated changes nothing.
. "$ELFMEND_TOP/tests/real/tap"
big="t"
cp -al "$("$real/env" torch)" t
packages=$(echo t/lib/python3*/site-packages)
path='$ORIGIN'
for name in cublas cuda_cupti cuda_nvrtc cuda_runtime cudnn cufft curand cusolver cusparse cusparselt nccl nvjitlink nvtx cufile nvshmem; do
    path="$path:\$ORIGIN/../../$name/lib:\$ORIGIN/../../nvidia/$name/lib"
done
path="$path:\$ORIGIN/$(printf "%0$((966 - ${#path} - 9))d" 0)"
loads() { # FILE: in a process of its own, with nothing of the machine's CUDA in reach
    "$ELFMEND_TOP/fixtures/hidden" t/bin/python -I -S -B -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1"
}
treat() { # FILE RESULT: by $tool
    if [ "$tool" = objcopy ]; then objcopy "$1" "$2" 2> treat.log; else $tool -o "$2" "$1" 2> treat.log; fi
}
build_id() { readelf -nW "$1" 2> readelf.log | sed -n 's/.*Build ID: //p'; }
functions() { gdb -nx -batch -ex 'info functions -n ^(cudnnCreate|cublasLtCreate|c10_cuda_init)$' -ex 'info symbol *'"$2" "$1" 2>&1 | grep -v '^Reading'; }
for file in nvidia/cudnn/lib/libcudnn.so.9=cudnnCreate nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9=cudnnGetVersion \
    nvidia/cublas/lib/libcublasLt.so.12=cublasLtCreate torch/lib/libtorch_cuda.so=_init; do
    symbol=${file#*=} name=$(basename "${file%=*}") file=$packages/${file%=*}
    build_id "$file" > id.before
    gdb=$(command -v gdb || true)
    [ -z "$gdb" ] || functions "$file" "$symbol" > gdb.before
    check "$name loads as it is" loads "$file"
    ln "$file" came
    check "a path of ${#path} characters" elfmend patch --set-rpath "$path" "$file"
    check "... is there" sh -c '[ "$("$1" patch --print-rpath "$2")" = "$3" ]' sh "$ELFMEND" "$file" "$path"
    check "... and it loads" loads "$file"
    build_id "$file" > id.after
    same "... with the same build id" id.before id.after
    if [ -n "$gdb" ]; then
        functions "$file" "$symbol" > gdb.after
        same "... and gdb finds in it what it found" gdb.before gdb.after
    else
        skip "... and gdb finds in it what it found" "no gdb here"
    fi
    sum=$(sha256sum < "$file") inode=$(stat -c %i "$file")
    check "... once more" elfmend patch --set-rpath "$path" "$file"
    is "$sum $inode" "$(sha256sum < "$file") $(stat -c %i "$file")" "... changes nothing"
    mv "$file" edited
    for tool in strip 'strip -g' eu-strip llvm-strip objcopy; do
        if ! command -v "${tool%% *}" > log 2>&1; then
            skip "$tool, and it loads" "no ${tool%% *} here"
            continue
        fi
        treat edited "$file"
        if loads "$file" > log 2>&1; then
            ok 0 "$tool, and it loads"
        else
            cp log why
            treat came "$file"
            loads "$file" > log 2>&1
            ok $((! $?)) "$tool breaks it, edited or not: $(sed -n 's/.*: //p' why | tail -1)" why
        fi
    done
    rm -f edited came
done
finish
