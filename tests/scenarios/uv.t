#!/bin/sh
# uv and a repaired environment: each of its link modes, its cache, `uv sync` of a locked project, `uv pip uninstall`; and what these
# undo of a repair, the next audit says. Offline, on wheels made of the stand-ins. uv is $UV, or on PATH, or where tests/real/uv.t has
# put it; it is no package of Debian's, so without it there is nothing to see here.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
wheel=$ELFMEND_TOP/fixtures/wheel
for uv in "${UV:-}" "$(command -v uv)" "${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}/uv/bin/uv" ''; do
    [ -z "$uv" ] || [ ! -x "$uv" ] || break
done
[ -n "$uv" ] || { echo '1..0 # SKIP there is no uv here'; exit 0; }
export UV_CACHE_DIR="$PWD/cache" UV_OFFLINE=1 UV_PYTHON_DOWNLOADS=never UV_PYTHON="$python" UV_NO_PROGRESS=1

"$standin" st
site=$(echo st/lib/python3*/site-packages)
for release in 'ctranslate2 4.6.0' 'nvidia_cudnn_cu12 9.10.2.21' 'nvidia_cublas_cu12 12.8.4.1'; do
    "$python" "$wheel" "$site" $release wheels
done
where=$(cd st && echo lib/python3*/site-packages)
shim=$where/ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
files() { find "$1" -type f -printf '%P %i %m %T@ ' -exec sha256sum {} \; | cut -d' ' -f1-5 | sort; }
tree() { find "$1" -path "$1/.elfmend" -prune -o -printf '%y %P %i %m %T@ %l\n' | sort; }
works() { check "$1" "$ELFMEND_TOP/fixtures/hidden" v/bin/python -B -c 'import ctranslate2; raise SystemExit(ctranslate2.transcribe())'; }
audit() { exits "$1" "$2" "$ELFMEND" audit --world manylinux --verbose v; }
left() { # what is of ctranslate2, and cuDNN outside of NVIDIA's own directories
    find v -path v/.elfmend -prune -o \( -iname '*ctranslate2*' -o -name 'libcudnn*' -o -name '_ext.*' \) -print | grep -v /nvidia/ > left
    same "$1" /dev/null left
}
install() { # MODE
    rm -rf v
    "$uv" -q venv v
    "$uv" -q pip install --python v/bin/python --no-index --find-links wheels --link-mode "$1" ctranslate2 nvidia-cudnn-cu12 \
        nvidia-cublas-cu12
}

for mode in hardlink clone copy; do
    check "uv pip install --link-mode $mode" install $mode
    files cache > before
    audit 1 "... audit"
    links=$(stat -c %h v/"$shim")
    if [ "$links" -gt 1 ]; then
        has 'EM604.*is a hard link' out "... says that its files are the cache's"
    else
        check "... has no hard link to speak of" sh -c '! grep EM604 out'
    fi
    exits 0 "... fix: exit 0" "$ELFMEND" fix --yes v
    files cache > after
    same "... the cache keeps its bytes, inodes and times" before after
    works "... the environment works"
    exits 0 "... verify: exit 0, not a note" "$ELFMEND" verify --fail-on note v
    check "... uv pip check" "$uv" pip check --python v/bin/python
    check "... uv pip uninstall" "$uv" -q pip uninstall --python v/bin/python ctranslate2
    left "... leaves nothing of it"
done

# All of a distribution is links into the cache: a repair would break the link, or write into the cache
check "uv pip install --link-mode symlink" install symlink
files cache > before
tree v > tree.before
exits 1 "... fix: exit 1, what was found remains" "$ELFMEND" fix --yes --world manylinux v
has 'is a link to .*, and nothing is changed through links: install with copies (uv: --link-mode=copy)' out "... refused, with the reason"
tree v > tree.after
same "... the environment is as it was" tree.before tree.after
files cache > after
same "... and so is the cache" before after
exits 0 "... verify reads through the links" "$ELFMEND" verify v

# A locked project
mkdir project
cat > project/pyproject.toml <<END
[project]
name = "project"
version = "1"
requires-python = ">=3.8"
dependencies = ["ctranslate2", "nvidia-cudnn-cu12", "nvidia-cublas-cu12"]
[tool.uv]
no-index = true
find-links = ["../wheels"]
package = false
END
rm -rf v
sync() { UV_PROJECT_ENVIRONMENT=$PWD/v "$uv" -q sync --project project "$@"; }
check "uv sync, which writes uv.lock" sync
check "... it does" test -s project/uv.lock
exits 0 "fix" "$ELFMEND" fix --yes v
check "uv sync --locked has nothing to do" sync --locked
audit 0 "... and leaves the repair"
check "... of which nothing is undone" sh -c '! grep EM605 out'
check "uv sync --reinstall-package" sync --locked --reinstall-package ctranslate2
audit 1 "... undoes it"
has '^warning.EM605.*its distribution has been installed again since' out "... which audit says"
exits 0 "fix repairs it again" "$ELFMEND" fix --yes v
works "... and it works"
"$python" "$wheel" "$site" ctranslate2 4.6.1 wheels
check "uv sync --upgrade" sync --upgrade
audit 1 "... undoes it"
has '^  was of *ctranslate2-4.6.0' out "... which audit says, with what was repaired"
exits 0 "fix repairs the new one" "$ELFMEND" fix --yes v
exits 0 "... verify: exit 0, not a note" "$ELFMEND" verify --fail-on note v
sed -i 's/"ctranslate2", //' project/pyproject.toml
check "uv sync without ctranslate2" sync
left "... leaves nothing of it"
audit 0 "... audit: exit 0"
has '^note.EM605.*its distribution has been uninstalled' out "... and a note on what elfmend still keeps"
finish
