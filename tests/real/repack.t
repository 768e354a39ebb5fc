#!/bin/sh
# ctranslate2's wheel repacked, put into an index, and installed from there by pip over loopback HTTP into an environment that has the
# nvidia wheels: the five calls return, cuBLAS is found, and nothing in the environment was touched to get there.
. "$ELFMEND_TOP/tests/real/tap"
big="v made index again"
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
"$real/env" ct2-9 v
pip="v/bin/python -m pip --disable-pip-version-check -q"
wheel=$(echo "$cache"/wheels/ctranslate2-4.6.0-cp311-*.whl)
if [ ! -f "$wheel" ]; then skip "repack of ctranslate2 4.6.0" "no wheel for this Python in the cache"; finish; fi

exits 0 "repack: exit 0" elfmend repack "$wheel" -o made --index index
check "... the path to cuDNN" grep -F '$ORIGIN/../nvidia/cudnn/lib' out
check "... and what it leans on is required, within its major" grep -F 'nvidia-cudnn-cu12>=9,<10' out
elfmend repack -q --jobs 1 "$wheel" -o again
same "the same bytes again" made/* again/*
exits 0 "audit of the new wheel: exit 0" elfmend audit made/*.whl
exits 0 "verify of the new wheel: exit 0" elfmend verify made/*.whl
exits 0 "a second repack has nothing to do" elfmend repack made/*.whl -o again

cat > serve.py <<'END'
import functools, http.server, os
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory="index"))
print(server.server_port, file=open("port.new", "w"), flush=True)
os.rename("port.new", "port")
server.serve_forever()
END
python3 serve.py > /dev/null 2>&1 &
server=$!
trap 'kill $server; rm -rf $big' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do [ -f port ] || sleep 0.3; done
# shellcheck disable=SC2086
check "pip installs it from the index" $pip install --no-deps --force-reinstall --index-url "http://127.0.0.1:$(cat port)/" ctranslate2
check "... the repaired one" sh -c "v/bin/python -m pip --disable-pip-version-check list | grep -F 4.6.0+mend.1"

shim=$(site v)/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
cat > works <<END
cudnnGetVersion 91002
cudnnCreate 1001
cudnnCreateTensorDescriptor 0
cudnnCreateConvolutionDescriptor 0
cudnnCreateRNNDescriptor 0
END
calls v "$shim" > got 2> messages
same "the five calls return what they do on a machine without a GPU" works got
exits 0 "libctranslate2 finds cuBLAS" calls v blas "$(echo "$(site v)"/ctranslate2/_ext.*.so)"
exits 0 "audit of the environment: exit 0" elfmend audit v
finish
