#!/bin/sh
# show lists an object's GPU code, by architecture and kind, with entries and bytes.
. "$ELFMEND_TOP/tests/tap"
. "$ELFMEND_TOP/fixtures/gpucode"
for i in 1 2 3; do container '2 80 0' '2 90 0x100000' '1 90 0'; done | library libk.so .nv_fatbin
echo 'int none;' | "${CC:-cc}" -shared -nostdlib -x c - -o libnone.so

exits 0 "show: exit 0" "$ELFMEND" show libk.so
sed -n '/^  gpu code/,$p' out | sed 's/^  gpu code//; s/^ *//' > listed
cat > wanted <<'END'
sm_80 cubin, 3 entries, 192 bytes
sm_90a cubin, 3 entries, 192 bytes
compute_90 ptx, 3 entries, 192 bytes
END
same "each architecture and kind, with the payload in bytes" wanted listed
exits 0 "--json" "$ELFMEND" show --json libk.so
conforms show-1
check "... has the same" "$python" -c "
import json
gpu = json.load(open('out'))['objects'][0]['gpu']
assert gpu['containers'] == 3, gpu
assert [(c['arch'], c['kind'], c['entries']) for c in gpu['codes']] == [
    ('sm_80', 'cubin', 3), ('sm_90a', 'cubin', 3), ('compute_90', 'ptx', 3)], gpu"
exits 0 "an object without" "$ELFMEND" show libnone.so
check "... has no such line" sh -c '! grep -q gpu out'
exits 0 "... and says so in JSON" "$ELFMEND" show --json libnone.so /bin/sh
conforms show-1
check "... by an empty list" "$python" -c "
import json
assert json.load(open('out'))['objects'][0]['gpu']['codes'] == []"
finish
