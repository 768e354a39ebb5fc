# The model of glibc's loader against the real one: each rule by a recipe, and some hundred random graphs. tests/oracle/run N SEED
# makes more.
set -eu
"$ELFMEND_TOP/tests/oracle/run" --recipe "$ELFMEND_TOP/tests/oracle/cases/glibc.txt"
