#!/bin/sh
# Wheels of other people, from PyPI: onnxruntime-gpu, whose CUDA provider needs seven libraries that its package requires in no way, by
# paths to NVIDIA's packages and with copies of their libraries; and torch, of 888 MB, which has all that it needs. The provider's
# static initialisers die where there is no driver, so the real loader lists what it would load, and nothing is run but cuDNN.
. "$ELFMEND_TOP/tests/real/tap"
big="made copied v new"
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
[ -n "${PYTHON:-}" ] || if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi
ort=$("$real/env" ort)
fetch() { # REQUIREMENT: its wheel, in the cache
    file=$(echo "$1" | tr - _ | sed 's/==/-/')
    # shellcheck disable=SC2086
    ls $cache/wheels/$file-*.whl > found 2>&1 || "$ort/bin/python" -m pip --disable-pip-version-check -q download --no-deps -d "$cache/wheels" "$1"
    # shellcheck disable=SC2086
    echo $cache/wheels/$file-*.whl
}
needed="libcublasLt.so.12 libcublas.so.12 libcurand.so.10 libcufft.so.11 libcudart.so.12 libcudnn.so.9 libnvrtc.so.12"
packages="nvidia-cublas-cu12>=12,<13 nvidia-cuda-runtime-cu12>=12,<13 nvidia-cudnn-cu12>=9,<10 nvidia-cufft-cu12>=11,<12
    nvidia-curand-cu12>=10,<11 nvidia-cuda-nvrtc-cu12>=12,<13"
loader=$(readelf -lW "$(command -v "$PYTHON")" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
list() { # what the loader would load for the provider, which it does not run
    "$loader" --inhibit-cache --list "$(echo "$(site v)"/onnxruntime/capi/libonnxruntime_providers_cuda.so)"
}
install() { # WHEEL
    rm -rf v && "$PYTHON" -m venv v && v/bin/python -m pip --disable-pip-version-check -q install --no-index --no-deps "$1"
}
found_in() { # DIRECTORY: below the site, where the loader finds each library that the provider needs
    list > listed 2>&1 || true
    for name in $needed; do grep -q "$name => .*/site-packages/$1" listed || { echo "$name is not found in $1"; cat listed; return 1; }; done
}

wheel=$(fetch onnxruntime-gpu==1.22.0)
exits 1 "onnxruntime-gpu: audit says that it lacks something" elfmend audit "$wheel"
for name in $needed; do check "... $name" grep -q "needs.* $name" out; done
exits 0 "by paths: exit 0" elfmend repack "$wheel" -o made
for package in $packages; do check "... requires $package" grep -qxF "  require   $package" out; done
exits 0 "... the new wheel audits clean" elfmend audit made/*.whl
check "... pip installs it" install "$(echo made/*.whl)"
list > out 2> err || true
has 'cannot open shared object file' err "... without the packages the loader says what it lacks"
cp -al "$(site "$ort")/nvidia" "$(site v)/"
check "... with them the real loader finds all seven" found_in onnxruntime/capi/../../nvidia/
rm -rf v made

set --
for package in cublas-cu12==12.8.4.1 cudnn-cu12==9.10.2.21 cufft-cu12==11.3.3.83 curand-cu12==10.3.9.90 cuda-runtime-cu12==12.8.90 \
    cuda-nvrtc-cu12==12.8.93; do
    set -- "$@" --source "$(fetch nvidia-$package)"
done
exits 0 "with copies: exit 0" elfmend repack "$wheel" -o copied --strategy copy "$@"
check "... requires nothing" sh -c '! grep "  require " out'
exits 0 "... the new wheel audits clean" elfmend audit copied/*.whl
exits 0 "... and is as its RECORD says" elfmend verify copied/*.whl
check "... pip installs it" install "$(echo copied/*.whl)"
rm -rf copied
check "... the real loader finds all of them inside" found_in onnxruntime/
what_works > works
calls v "$(dirname "$(find "$(site v)/onnxruntime" -name libcudnn.so.9)")/libcudnn.so.9" > got 2> messages
same "... the five calls of the copied cuDNN" works got
rm -rf v

exits 0 "torch: nothing to do" elfmend repack "$(fetch torch==2.8.0)" -o new
has 'nothing to do' out "... says so"
check "... and writes nothing" rmdir new
finish
