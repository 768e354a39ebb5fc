#!/bin/sh
# The seven libraries of cuDNN from each kind of place, with NVIDIA's own files: copied, verified, found; what package managers say of
# it afterwards, and what they leave.
. "$ELFMEND_TOP/tests/real/tap"
big="v u w files kinds cache"
"$real/env" ct2-bare v
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
wheels=$cache/wheels
wheel=$(echo "$wheels"/nvidia_cudnn_cu12-9.10.2.21-*.whl)
if [ ! -f "$wheel" ]; then
    v/bin/python -m pip --disable-pip-version-check -q download --no-deps -d "$wheels" nvidia-cudnn-cu12==9.10.2.21
    wheel=$(echo "$wheels"/nvidia_cudnn_cu12-9.10.2.21-*.whl)
fi
uv=$cache/uv/bin/uv
[ -x "$uv" ] || { python3 -m venv "$cache/uv" && "$cache/uv/bin/pip" --disable-pip-version-check -q install uv; } || uv=
# With what ctranslate2 requires besides, so that pip check is clean, and stays so.
pip="v/bin/python -m pip --disable-pip-version-check -q"
requires='numpy pyyaml setuptools'
# shellcheck disable=SC2086
$pip install --no-index --find-links "$wheels" $requires 2> log || {
    $pip download -d "$wheels" $requires
    $pip install --no-index --find-links "$wheels" $requires
}
export ELFMEND_CACHE="$PWD/cache"

# The kinds, made of one set of files; compressed little, since they are read once. make KIND prints the place.
python3 -m zipfile -e "$wheel" files
make() {
    mkdir -p kinds
    case $1 in
    wheel) echo "$wheel" ;;
    directory) echo "$PWD/files" ;;
    environment) mkdir -p w/bin w/lib/python3.11 && : > w/pyvenv.cfg && cp -al files w/lib/python3.11/site-packages && echo "$PWD/w" ;;
    tar.zst) tar -C files -cf - . | zstd -q -1 -T0 -o kinds/cudnn.tar.zst && echo kinds/cudnn.tar.zst ;;
    deb)
        mkdir -p kinds/deb/DEBIAN kinds/deb/usr/lib/python3
        cp -al files kinds/deb/usr/lib/python3/dist-packages
        printf 'Package: cudnn\nVersion: 9.10.2.21\nArchitecture: amd64\nMaintainer: a <a@b.c>\nDescription: cuDNN\n' \
            > kinds/deb/DEBIAN/control
        dpkg-deb -Zgzip -z1 -b kinds/deb kinds/cudnn.deb > /dev/null && rm -r kinds/deb && echo kinds/cudnn.deb
        ;;
    conda) python3 -I - <<'END' && echo kinds/cudnn.conda ;;
import hashlib, json, os, subprocess, zipfile
lib, name = "files/nvidia/cudnn/lib", "cudnn-9.10.2.21-0"
rows = []
for file in sorted(os.listdir(lib)):
    path = f"{lib}/{file}"
    if os.path.isfile(path):
        with open(path, "rb") as f:
            rows.append({"_path": f"lib/{file}", "path_type": "hardlink", "size_in_bytes": os.path.getsize(path),
                         "sha256": hashlib.file_digest(f, "sha256").hexdigest()})
os.makedirs("kinds/info", exist_ok=True)
json.dump({"name": "cudnn", "version": "9.10.2.21", "build": "0", "build_number": 0}, open("kinds/info/index.json", "w"))
json.dump({"paths": rows, "paths_version": 1}, open("kinds/info/paths.json", "w"))
def tar(kind, *arguments):
    subprocess.run(f"tar -cf - {' '.join(arguments)} | zstd -q -f -1 -T0 -o kinds/{kind}-{name}.tar.zst", shell=True, check=True)
tar("pkg", "-C", "files/nvidia/cudnn", "lib")
tar("info", "-C", "kinds", "info")
with zipfile.ZipFile("kinds/cudnn.conda", "w") as conda:
    conda.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
    for kind in "pkg", "info":
        conda.write(f"kinds/{kind}-{name}.tar.zst", f"{kind}-{name}.tar.zst")
END
    rpm)
        mkdir -p kinds/rpm
        cat > kinds/cudnn.spec <<END
Name: cudnn
Version: 9.10.2.21
Release: 1
Summary: cuDNN
License: none
AutoReqProv: no
%define __os_install_post %{nil}
%define _build_id_links none
%define _binary_payload w1.gzdio
%description
cuDNN
%install
mkdir -p %{buildroot}/usr/lib/python3.11
cp -al $PWD/files %{buildroot}/usr/lib/python3.11/site-packages
%files
/usr/lib/python3.11/site-packages
END
        rpmbuild --quiet -bb --define "_topdir $PWD/kinds/rpm" kinds/cudnn.spec > rpm.log 2>&1
        mv kinds/rpm/RPMS/*/*.rpm kinds/cudnn.rpm && rm -r kinds/rpm && echo kinds/cudnn.rpm
        ;;
    pip) echo pip:nvidia-cudnn-cu12==9.10.2.21 ;;
    esac
}
what_works > works
leavings() { find "$1" -path "$1/.elfmend" -prune -o \( -iname '*ctranslate2*' -o -name 'ct2-*' -o -name 'libcudnn*' \) -print; }
checked() { "$1/bin/python" -m pip --disable-pip-version-check check; }
kinds='directory wheel environment tar.zst deb conda rpm pip'
"$real/manifest" v > shipped
exits 0 "pip check: exit 0" checked v
# The environment's own index settings: for pip: they name the wheels that are here.
export PIP_NO_INDEX=1 PIP_FIND_LINKS="$wheels"

for kind in $kinds; do
    case $kind in
    deb) tool=dpkg-deb ;;
    rpm) tool=rpmbuild ;;
    tar.zst|conda) tool=zstd ;;
    *) tool=sh ;;
    esac
    command -v $tool > /dev/null || { skip "from $kind" "there is no $tool"; continue; }
    place=$(make $kind)
    exits 0 "from $kind: exit 0" elfmend fix --yes --source "$place" v
    calls v "$(echo v/lib/python3*/site-packages/ctranslate2.libs/libcudnn-*)" > got 2> messages || true
    same "... the five calls return what they do on a machine without a GPU" works got
    exits 0 "... verify: exit 0" elfmend verify v
    exits 0 "... pip check: exit 0" checked v
    info=$(echo v/lib/python3*/site-packages/ctranslate2-*.dist-info)
    check "... the licence came along" test -s "$info/licenses/nvidia-cudnn-cu12-9.10.2.21/License.txt" -o "$kind" = conda
    check "... and where they come from" grep -F '"version": "9.10.2.21"' "$info/sboms/elfmend.cdx.json"
    for manager in pip uv; do
        rm -rf u
        cp -al v u
        case $manager in
        pip) check "... pip uninstall" u/bin/python -m pip --disable-pip-version-check uninstall -y -q ctranslate2 ;;
        uv)
            [ -n "$uv" ] || { skip "... uv pip uninstall" "there is no uv"; continue; }
            check "... uv pip uninstall" "$uv" -q pip uninstall --python u/bin/python ctranslate2
            ;;
        esac
        leavings u > left
        same "... leaves nothing" /dev/null left
    done
    exits 0 "... undo: exit 0" elfmend undo --all v
    "$real/manifest" v > now
    same "... everything is as it was" shipped now
    rm -rf cache kinds/cudnn.* w u
done
finish
