# Random graphs of tiny objects on glibc's own loader and on the model: success, kind of failure, order and names must be the same.
set -eu
"$ELFMEND_TOP/tests/oracle/run" 400 "${ELFMEND_SEED:-1}"
