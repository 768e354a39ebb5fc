# A sample of tests/matrix, of which make check-matrix runs all: some hundred cells, and random edits of random objects.
. "$ELFMEND_TOP/tests/tap"
matrix() { # WHAT ARGUMENTS...
    check "$@"
    sed 's/^/# /' log
}
matrix "every cell of the sample runs, shows the edit, and is no noisier" "$python" "$ELFMEND_TOP/tests/matrix/run" "$ELFMEND_BUILD" quick
matrix "random edits of random objects" "$python" "$ELFMEND_TOP/tests/matrix/run" "$ELFMEND_BUILD" random "" 30
finish
