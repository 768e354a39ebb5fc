# The model of musl's loader against the real one, where musl-gcc is installed: rules, then random graphs.
set -eu
if ! command -v musl-gcc >/dev/null; then echo "1..0 # SKIP no musl-gcc"; exit 0; fi
if [ "$(cd "$ELFMEND_TOP" && tests/oracle/run 200 "${ELFMEND_SEED:-1}" musl | tee /dev/stderr | grep -c '^ok')" = 1 ]; then
    echo "ok 1 - 200 random graphs"
else
    echo "not ok 1 - 200 random graphs"
fi
"$ELFMEND_TOP/tests/oracle/run" --recipe "$ELFMEND_TOP/tests/oracle/cases/musl.txt" musl >recipes && status=0 || status=$?
if [ $status -eq 0 ]; then echo "ok 2 - $(grep -c '^ok' recipes) rules"; else cat recipes >&2; echo "not ok 2 - rules"; fi
echo 1..2
