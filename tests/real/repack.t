#!/bin/sh
# ctranslate2's wheels repacked, by paths to NVIDIA's packages and with copies of their libraries, put into an index, and installed from
# there by pip and by uv over loopback HTTP into fresh environments. The five calls return what they do on a machine without a GPU,
# cuBLAS is found, and everything is as its RECORD says. 4.4.0 wants cuDNN 8; 4.8.5 none. 4.4.0 and 4.5.0 ask for executable stacks.
#
# ELFMEND_REPACK names some of the rounds alone: "4.5.0-copy-uv".
. "$ELFMEND_TOP/tests/real/tap"
big="made index again v c"
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
rounds=${ELFMEND_REPACK:-}
[ -n "${PYTHON:-}" ] || if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi
fetch() { # REQUIREMENT FILE: into the cache, once
    # shellcheck disable=SC2086
    ls $cache/wheels/$2 > found 2>&1 || v/bin/python -m pip --disable-pip-version-check -q download --no-deps -d "$cache/wheels" "$1"
    # shellcheck disable=SC2086
    echo $cache/wheels/$2
}
wanted() { # VERSION STRATEGY [TOOL]: one of the rounds that were asked for
    [ -z "$rounds" ] || case " $rounds " in *" $1-$2-${3:-}"*) ;; *) return 1 ;; esac
}
"$PYTHON" -m venv v
cublas=$(fetch nvidia-cublas-cu12==12.8.4.1 'nvidia_cublas_cu12-12.8.4.1-*.whl')
cudnn9=$(fetch nvidia-cudnn-cu12==9.10.2.21 'nvidia_cudnn_cu12-9.10.2.21-*.whl')
cudnn8=$(fetch nvidia-cudnn-cu12==8.9.2.26 'nvidia_cudnn_cu12-8.9.2.26-*.whl')
fetch numpy 'numpy-*.whl' > log; fetch pyyaml 'pyyaml-*.whl' > log; fetch setuptools 'setuptools-*.whl' > log
for version in 4.4.0 4.5.0 4.6.0 4.8.5; do fetch ctranslate2==$version "ctranslate2-$version-cp*.whl" > log; done
rm -rf v
what_works > works
sed 's/91002/8902/; s/1001/1/' works > works8

cat > serve.py <<'END'
import functools, http.server, os
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="index")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, file=open("port.new", "w"), flush=True)
os.rename("port.new", "port")
server.serve_forever()
END
mkdir index
"$PYTHON" serve.py > served 2>&1 &
server=$!
trap 'kill $server; rm -rf $big' EXIT
i=0
while [ ! -f port ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.3; done
url="http://127.0.0.1:$(cat port)/"

install() { # TOOL REQUIREMENT...: the index first, the cache for all that it does not have
    tool=$1; shift
    case $tool in
        pip) "$PYTHON" -m venv v && v/bin/python -m pip --disable-pip-version-check -q install --no-cache-dir \
                --index-url "$url" --find-links "$cache/wheels" "$@" ;;
        uv) "$PYTHON" -m venv v && uv pip install -q --no-cache --python v/bin/python \
                --default-index "$url" --find-links "$cache/wheels" "$@" ;;
    esac
}
judge() { # VERSION STRATEGY TOOL: what is installed in v
    libs=$(site v)/ctranslate2.libs
    check "... pip check is content" v/bin/python -m pip --disable-pip-version-check check
    for shim in "$libs"/libcudnn-*; do
        [ -f "$shim" ] || continue
        calls v "$shim" > got 2> messages
        same "... the five calls" "$([ "$1" = 4.4.0 ] && echo works8 || echo works)" got
    done
    exits 0 "... a matrix product gets as far as the GPU" calls v blas "$(echo "$(site v)"/ctranslate2/_ext.*.so)"
    case $2 in
        copy) check "... with the libraries that were copied" grep -F '/ctranslate2.libs/libcublasLt.so.12' out ;;
        path) check "... with those of the package" grep -F '/nvidia/cublas/lib/libcublasLt.so.12' out ;;
    esac
    check "... no stack is executable" sh -c '! readelf -lW "$1"/*.so* | grep GNU_STACK | grep RWE' - "$libs"
    exits 0 "... audit" elfmend audit v
    exits 0 "... verify" elfmend verify v
    rm -rf v
}

for version in 4.4.0 4.5.0 4.6.0 4.8.5; do
    wheel=$(echo "$cache"/wheels/ctranslate2-$version-cp*.whl)
    case $version in
        4.4.0) cudnn=$cudnn8 package=nvidia-cudnn-cu12==8.9.2.26 ;;
        4.8.5) cudnn= package= ;;
        *) cudnn=$cudnn9 package=nvidia-cudnn-cu12==9.10.2.21 ;;
    esac
    for strategy in path copy; do
        wanted $version $strategy || continue
        rm -rf made index/* again
        packages=
        set -- --strategy $strategy
        if [ $strategy = path ]; then packages="nvidia-cublas-cu12==12.8.4.1 $package"; fi
        if [ $strategy = copy ]; then set -- "$@" --source "$cublas" ${cudnn:+--source "$cudnn"}; fi
        exits 0 "$version, $strategy: repack" elfmend repack "$wheel" -o made --index index "$@"
        new=$(echo made/*.whl)
        if [ $strategy = path ]; then
            check "... what it leans on is required, within its major" grep -F 'nvidia-cublas-cu12>=12,<13' out
            elfmend repack -q --jobs 1 "$wheel" -o again "$@"
            same "... the same bytes again" "$new" again/*
            exits 0 "... a second repack has nothing to do" elfmend repack "$new" -o again
        fi
        exits 0 "... audit of the new wheel" elfmend audit "$new"
        exits 0 "... verify of the new wheel" elfmend verify "$new"
        rm -rf made
        for tool in pip uv; do
            wanted $version $strategy $tool || continue
            if [ $tool = uv ] && ! command -v uv > uv; then skip "$version, $strategy: uv installs it from the index" "no uv here"; continue; fi
            # shellcheck disable=SC2086
            check "$version, $strategy: $tool installs it from the index" install $tool ctranslate2==$version+mend.1 $packages
            judge $version $strategy $tool
        done
    done
done
finish
