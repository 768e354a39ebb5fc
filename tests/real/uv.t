#!/bin/sh
# The scenario with uv, where uv is fetched for it.
cache=${ELFMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/elfmend}
[ -n "${UV:-}" ] || UV=$cache/uv/bin/uv
[ -x "$UV" ] || { python3 -m venv "$cache/uv" && "$cache/uv/bin/pip" --disable-pip-version-check -q install uv; } ||
    { echo '1..0 # SKIP uv cannot be fetched'; exit 0; }
export UV
. "$ELFMEND_TOP/tests/scenarios/uv.t"
