#!/bin/sh
# Packages that are no wheel say themselves what is in them: conda's paths.json and rpm's header by SHA-256, which vouches for a copy;
# Debian's md5sums, which are held against what comes and vouch for nothing.
. "$ELFMEND_TOP/tests/tap"
standin=$ELFMEND_TOP/fixtures/standin
export ELFMEND_CACHE="$PWD/cache"
files() { find "$1" -path "$1/.elfmend" -prune -o -printf '%P %y %i %m %T@ %l ' -type f -exec sha256sum {} \; -o -printf '\n' | sort; }
use() { "$ELFMEND_TOP/fixtures/hidden" v/bin/python -B -c 'import ctranslate2; ctranslate2.transcribe()'; }

"$standin" --cudnn none v
"$standin" p
mkdir lib && cp p/lib/python3*/site-packages/nvidia/cudnn/lib/*.so* lib
echo 'the words' > words
files v > shipped
info=$(echo v/lib/python3*/site-packages/ctranslate2-4.6.0.dist-info)
comes_from() { # PACKAGE VERSION LICENCE
    check "... it works" use
    exits 0 "... verify: exit 0" "$ELFMEND" verify v
    check "... the bill names the package" grep -F "\"version\": \"$2\"" "$info/sboms/elfmend.cdx.json"
    check "... and no package URL that it has not" sh -c '! grep -F "pkg:pypi/libcudnn" "$1"' - "$info/sboms/elfmend.cdx.json"
    check "... its licence came along" cmp words "$info/licenses/$1-$2/$3"
    exits 0 "... undo: exit 0" "$ELFMEND" undo v
    files v > now
    same "... everything is as it was" shipped now
}
refused() { # WORDS
    check "... $1" grep -F -e "$1" err
    files v > now
    same "... nothing has changed" shipped now
}

if command -v dpkg-deb > log; then
    mkdir -p d/DEBIAN d/usr/lib/x86_64-linux-gnu d/usr/share/doc/libcudnn9-cuda-12
    cp lib/* d/usr/lib/x86_64-linux-gnu
    cp words d/usr/share/doc/libcudnn9-cuda-12/copyright
    printf 'Package: libcudnn9-cuda-12\nVersion: 1:9.10.2.21-1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: cuDNN\n' > d/DEBIAN/control
    (cd d && find usr -type f -exec md5sum {} +) > sums && cp sums d/DEBIAN/md5sums
    dpkg-deb -Zgzip -b d cudnn.deb > log
    exits 2 "a .deb: nothing vouches for it: exit 2" "$ELFMEND" fix --yes --source cudnn.deb v
    refused "has nothing that vouches for it"
    exits 0 "... allowed: exit 0" "$ELFMEND" fix --yes --allow-unverified --source cudnn.deb v
    comes_from libcudnn9-cuda-12 9.10.2.21-1 copyright
    (cd lib && sha256sum ./*) > pins
    exits 0 "... pinned file by file: exit 0" "$ELFMEND" fix --yes --require-hashes pins --source cudnn.deb v
    exits 0 "... undo: exit 0" "$ELFMEND" undo v
    sha256sum cudnn.deb > pins
    exits 0 "... pinned as a whole: exit 0" "$ELFMEND" fix --yes --require-hashes pins --source cudnn.deb v
    check "... as the plan says" grep -F 'vouched for by pins' out
    exits 0 "... undo: exit 0" "$ELFMEND" undo v
    files v > shipped
    sed 's/^..../0000/' pins > others
    exits 2 "another is pinned: exit 2" "$ELFMEND" fix --yes --require-hashes others --source cudnn.deb v
    refused "cudnn.deb: is not what others asks for"
    sed 's/^[0-9a-f]\{4\}\(.*libcudnn_ops\)/0000\1/' sums > d/DEBIAN/md5sums
    dpkg-deb -Zgzip -b d cudnn.deb > log
    files v > shipped
    exits 2 "one md5sum is another: exit 2" "$ELFMEND" fix --yes --allow-unverified --source cudnn.deb v
    refused "libcudnn_ops.so.9 that is not what its own md5sums say"
else
    skip "a .deb" "there is no dpkg-deb"
fi

# A wheel, by what a lock says of its release: one of its digests, over several lines
"$ELFMEND_TOP/fixtures/container" wheel none "$(echo p/lib/python3*/site-packages)" nvidia_cudnn_cu12-9.10.2.21-py3-none-any.whl
other=$(echo other | sha256sum | cut -c1-64)
this=$(sha256sum nvidia_cudnn_cu12-*.whl | cut -c1-64)
lock() { # VERSION DIGEST
    printf -- '--index-url https://x\n# by hand\nnumpy==2.0 --hash=sha256:%s\n\nNVIDIA_cudnn.cu12[x]==%s ; python_version > "3" \\\n' "$other" "$1"
    printf '    --hash=sha256:%s \\\r\n    --hash=sha256:%s\n    # via torch\n' "$other" "$2"
}
files v > shipped
lock 9.10.2.21 "$this" > requirements.txt
fix() { "$ELFMEND" fix --yes --require-hashes "$1" --source nvidia_cudnn_cu12-9.10.2.21-py3-none-any.whl v; }
exits 0 "a wheel as the lock has it: exit 0" fix requirements.txt
check "... as the plan says" grep -F 'vouched for by requirements.txt' out
check "... it works" use
exits 0 "... undo: exit 0" "$ELFMEND" undo v
files v > shipped
lock 9.10.2.21 "$other" > others
exits 2 "... of other digests: exit 2" fix others
refused "is not what others asks for"
lock 9.9 "$this" > others
exits 2 "... of another release: exit 2" fix others
refused "is not in others, and only what is may be copied"

if command -v rpmbuild > log; then
    cat > cudnn.spec <<END
Name: libcudnn9
Version: 9.10.2.21
Release: 1
Summary: cuDNN
License: none
AutoReqProv: no
%define __os_install_post %{nil}
%define _build_id_links none
%define _binary_payload w1.gzdio
%define _binary_filedigest_algorithm 8
%description
cuDNN
%install
mkdir -p %{buildroot}/usr/lib64 %{buildroot}/usr/share/licenses/libcudnn9
cp -a $PWD/lib/. %{buildroot}/usr/lib64
cp $PWD/words %{buildroot}/usr/share/licenses/libcudnn9/LICENSE
%files
/usr/lib64
/usr/share/licenses/libcudnn9/LICENSE
END
    rpmbuild --quiet -bb --define "_topdir $PWD/rpm" cudnn.spec > log 2>&1
    mv rpm/RPMS/*/*.rpm cudnn.rpm
    exits 0 "an .rpm: its header vouches: exit 0" "$ELFMEND" fix --yes --source cudnn.rpm v
    check "... as the plan says" grep -F 'vouched for by RECORD of libcudnn9 9.10.2.21-1' out
    comes_from libcudnn9 9.10.2.21-1 LICENSE
    # One digest of the header: of a library that is wanted. What is signed is not looked at.
    "${PYTHON:-python3}" - "$(sha256sum lib/libcudnn_ops.so.9 | cut -c1-64)" <<'END'
import sys
rpm, digest = open("cudnn.rpm", "rb").read(), sys.argv[1].encode()
assert rpm.count(digest) == 1
open("other.rpm", "wb").write(rpm.replace(digest, bytes(reversed(digest))))
END
    exits 2 "one digest is another: exit 2" "$ELFMEND" fix --yes --source other.rpm v
    refused "libcudnn_ops.so.9"
else
    skip "an .rpm" "there is no rpmbuild"
fi

if command -v zstd > log; then
    "$ELFMEND_TOP/fixtures/container" conda none "$(echo p/lib/python3*/site-packages)" cudnn.conda
    exits 0 "a .conda: exit 0" "$ELFMEND" fix --yes --source cudnn.conda v
    check "... the bill has conda's package, not PyPI's" grep -F '"purl": "pkg:conda/cudnn@9.10.2' "$info/sboms/elfmend.cdx.json"
    exits 0 "... undo: exit 0" "$ELFMEND" undo v
else
    skip "a .conda" "there is no zstd"
fi
finish
