#!/bin/sh
# Wheels in which something is wrong, made byte by byte (bad_wheels.py): refused with a word that says what, and nothing is left in the
# output directory; or odd and harmless, and as validators want them afterwards (sound_wheel.py).
. "$ELFMEND_TOP/tests/tap"
echo 'int cublas(void) { return 12; }' | "${CC:-cc}" -shared -fPIC -x c -o libcublas.so.12 - -Wl,-soname,libcublas.so.12
"${CC:-cc}" -shared -fPIC -x c -o _ext.abi3.so - -L. -l:libcublas.so.12 -Wl,--no-as-needed <<END
int cublas(void);
int call(void) { return cublas(); }
END
mkdir cases out.d
"$python" -B "$ELFMEND_TOP/tests/cli/bad_wheels.py" cases
tab=$(printf '\t')
left() { check "... nothing is left behind" sh -c 'test -z "$(ls -A out.d)"'; }
while IFS=$tab read -r name becomes words; do
    case $becomes in
        both)
            exits 2 "$name: audit refuses it" "$ELFMEND" audit cases/$name/*.whl
            exits 2 "... repack refuses it" "$ELFMEND" repack cases/$name/*.whl -o out.d
            check "... by name, and says why" grep -F -e "pkg-1.0-cp311-abi3-linux_x86_64.whl: " err
            check "... in these words" grep -F -e "$words" err
            left ;;
        repack)
            exits 2 "$name: repack refuses it" "$ELFMEND" repack cases/$name/*.whl -o out.d
            check "... by name, and says why" grep -F -e "pkg-1.0-cp311-abi3-linux_x86_64.whl" err
            check "... in these words" grep -F -e "$words" err
            left
            check "... audit and verify outlive it" sh -c '
                for command in audit verify; do
                    "$ELFMEND" $command "$1"/*.whl; [ $? -le 2 ] || exit 1
                done' - cases/$name ;;
        repaired)
            exits 0 "$name: repacked" "$ELFMEND" repack cases/$name/*.whl -o out.d
            check "... and as validators want it" "$python" -B "$ELFMEND_TOP/tests/cli/sound_wheel.py" out.d/*.whl
            [ -z "$words" ] || check "... which is said" grep -F -e "$words" out
            rm -f out.d/* ;;
    esac
done < cases/table
check "there were cases of each kind" sh -c 'test "$(cut -f2 cases/table | sort | uniq -c | wc -l)" -eq 3'
exits 1 "signatures: a dry run" "$ELFMEND" repack --dry-run cases/signed/*.whl
check "... says that they would go" grep -F 'drop      pkg-1.0.dist-info/RECORD.jws' out
exits 0 "signatures go" "$ELFMEND" repack cases/signed/*.whl -o out.d
check "... with a word" grep -F 'drop      pkg-1.0.dist-info/RECORD.jws' out
check "... for each" grep -F 'drop      pkg-1.0.dist-info/RECORD.p7s' out

# auditwheel and repairwheel write a RECORD with the changed file's hash. Many wheels in one call: one that is refused stops no other.
rm -f out.d/*
exits 2 "one wheel was changed, one is sound" "$ELFMEND" repack cases/changed/*.whl cases/sound/*.whl -o out.d
check "... the changed file is named" grep -F 'pkg/__init__.py' err
check "... the sound one is done" test -f out.d/pkg-1.0+mend.1-cp311-abi3-linux_x86_64.whl
finish
