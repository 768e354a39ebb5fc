#!/bin/sh
# ctranslate2's newest wheel with cuBLAS copied in from NVIDIA's: put into an index, installed from there over loopback HTTP by pip and by
# uv into fresh environments that have no CUDA of their own. What is copied is opened by name and needs a library in turn.
. "$ELFMEND_TOP/tests/real/tap"
big="made index p u"
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
wheel=$(echo "$cache"/wheels/ctranslate2-4.8.5-cp311-*.whl)
blas=$(echo "$cache"/wheels/nvidia_cublas_cu12-12.8.4.1-*.whl)
if [ ! -f "$wheel" ] || [ ! -f "$blas" ]; then skip "repack of ctranslate2 4.8.5" "its wheel and cuBLAS's are not in the cache"; finish; fi
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3

exits 0 "repack --strategy copy: exit 0" elfmend repack "$wheel" -o made --strategy copy --source "$blas" --index index
check "... cuBLAS" grep -F 'copy      ctranslate2.libs/libcublas.so.12' out
check "... and what it needs" grep -F 'copy      ctranslate2.libs/libcublasLt.so.12' out
exits 0 "audit of the new wheel: exit 0" elfmend audit made/*.whl

"$PYTHON" - index > /dev/null 2>&1 <<'END_OF_SERVER' &
import functools, http.server, os, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, file=open("port.new", "w"), flush=True)
os.rename("port.new", "port")
server.serve_forever()
END_OF_SERVER
server=$!
trap 'kill $server; rm -rf $big' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do [ -f port ] || sleep 0.3; done
url="http://127.0.0.1:$(cat port)/"
works() { # ENVIRONMENT
    exits 0 "... a matrix product gets as far as the GPU" calls "$1" blas "$(echo "$(site "$1")"/ctranslate2/_ext.*.so)"
    check "... both libraries are the environment's own" sh -c 'grep -E "/ctranslate2.libs/libcublas.so.12 .*/ctranslate2.libs/libcublasLt.so.12" out'
}
"$PYTHON" -m venv p
check "pip installs it from the index" p/bin/python -m pip --disable-pip-version-check -q install --no-cache-dir --extra-index-url "$url" ctranslate2==4.8.5+mend.1
check "pip check is content" p/bin/python -m pip --disable-pip-version-check check
works p
rm -rf p
if command -v uv > uv; then
    "$PYTHON" -m venv --without-pip u
    check "uv installs it from the index" uv pip install -q --no-cache --no-deps --index-url "$url" --python u/bin/python ctranslate2==4.8.5+mend.1
    works u
else
    skip "uv installs it from the index" "no uv here"
fi
finish
