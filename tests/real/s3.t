#!/bin/sh
# S3 on wheels: ctranslate2 4.4.0, which wants cuDNN 8, beside cuDNN 9; modules of NumPy 1 under NumPy 2. What audit says is what the
# loader and the imports say, and each advice is followed.
. "$ELFMEND_TOP/tests/real/tap"
big="m n"
cp -al "$("$real/env" ct2-8)" m
rm -r "$(site m)"/nvidia/cudnn "$(site m)"/nvidia_cudnn_cu12-*
cp -al "$(site "$("$real/env" ct2-9)")"/nvidia/cudnn "$(site m)"/nvidia/
cp -al "$(site "$("$real/env" ct2-9)")"/nvidia_cudnn_cu12-* "$(site m)"/
shim=$(echo "$(site m)"/ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7)
calls m "$shim" > got 2> messages || true
check "the shim of 8 beside cuDNN 9: every call aborts" awk '$2 != 134 { exit 1 }' got
check "... for the library of 8" grep -F 'libcudnn_ops_infer.so.8' messages
elfmend audit --json m > audit.json || true
for member in ops_infer ops_train cnn_infer cnn_train adv_infer adv_train; do
    echo "EM104 *ctranslate2.libs/libcudnn-463fd6d5.so.8.9.7 libcudnn_$member.so.8 ctranslate2"
done > wanted
echo "EM102 *ctranslate2.libs/libctranslate2-*.so.4.4.0 libcublas.so.12 ctranslate2" >> wanted
check "audit: these and no other" python3 "$real/expect.py" audit.json wanted
exits 1 "audit: exit 1" elfmend audit m
check "... the table: 8 wanted, none found" grep -E '^ctranslate2 4.4.0 +12 +8 +none' out
check "... what is there, and whose" grep -E 'libcudnn.*\.so\.9 in .*nvidia-cudnn-cu12 9.10.2.21' out
check "... the release that needs none" grep -F "pip install 'ctranslate2>=4.6.3'" out
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
"$real/env" ct2-new > /dev/null
check "that release" m/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-index --find-links "$cache/wheels" \
    'ctranslate2>=4.6.3'
exits 0 "... and fix, for cuBLAS: exit 0" elfmend fix --yes m
exits 0 "audit: exit 0" elfmend audit m
exits 0 "libctranslate2 finds cuBLAS" calls m blas "$(echo "$(site m)"/ctranslate2/_ext.*.so)"

cp -al "$("$real/env" numpy)" n
exits 1 "OpenCV of NumPy 1 under NumPy 2: the import fails" n/bin/python -B -c 'import cv2'
check "... in these words" grep -F 'numpy.core.multiarray failed to import' err
exits 1 "pandas of NumPy 1 under NumPy 2: the import fails" n/bin/python -B -c 'import pandas'
check "... in these" grep -F 'numpy.dtype size changed' err
exits 1 "audit: exit 1" elfmend audit n
check "... EM501 for both" sh -c '[ "$(grep -c "^error\[EM501\]" out)" -eq 2 ] && grep -q "owner *opencv-python-headless" out && grep -q "owner *pandas" out'
check "... and no other error" sh -c '! grep "^error" out | grep -v EM501'
for words in 'numpy.core.multiarray failed to import' 'numpy.dtype size changed'; do
    check "... with the words: $words" grep -F "$words" out
done
check "... what to do" grep -F "help: pip install 'numpy<2'" out
check "that" n/bin/python -m pip --disable-pip-version-check -q install 'numpy<2'
exits 0 "both import" n/bin/python -B -c 'import cv2, pandas'
exits 0 "audit: exit 0" elfmend audit n
finish
