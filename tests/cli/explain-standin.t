#!/bin/sh
# explain on the stand-in of ctranslate2 and cuDNN 9: what the shim gets for libcudnn_cnn.so.9 and why, before the repair and after
# it; who finds it outside; and the documents of explain and trace as their schemas have them.
. "$ELFMEND_TOP/tests/tap"
says() { # WHAT TEXT: a line of out has it, as it stands
    check "$1" grep -qF -e "$2" out
}
"$ELFMEND_TOP/fixtures/standin" v
shim=ctranslate2.libs/libcudnn-74a4c495.so.9.1.0
# A machine may have a cuDNN of its own; what manylinux promises has none.
explain() { # ARGUMENT...
    "$ELFMEND" explain --world manylinux "$@"
}

exits 1 "before the repair somebody does not find it" explain v libcudnn_cnn.so.9
says "... the shim, which opens it" "$shim opens libcudnn_cnn.so.9"
says "... and does not find it" 'libcudnn_cnn.so.9 => not found'
says "... first in its own DT_RPATH" "\$ORIGIN = $PWD/v/lib/"
says "... by that rule" 'ctranslate2.libs   (DT_RPATH of the object itself)'
says "... then in the one of who loaded it" 'ctranslate2.libs   (DT_RPATH inherited from who loaded it)'
says "... last in the system's directories" '(default directories)'
says "... and the one change is a path" "\$ORIGIN/../nvidia/cudnn/lib in the DT_RPATH of lib/"
says "... which leads to" 'nvidia/cudnn/lib/libcudnn_cnn.so.9: `elfmend fix` does that'
# What people do about it, tried in the model; tests/scenarios/s1.t does the same with the real loader.
tried() { # ANSWER WHAT WHY: a line of the attempts
    check "... $2: $1" grep -E -e "^ +$1 +.*$2.*: .*$3" out
}
tried yes "pip install 'ctranslate2>=4.6.3'" 'needs no cuDNN'
tried yes 'LD_LIBRARY_PATH=/.*/nvidia/cudnn/lib' 'set by the program itself it comes too late'
tried no 'libcudnn_cnn.so.9 copied or linked to' 'its own libcudnn_ops.so.9'
tried no 'a link instead of a copy' '.ORIGIN is the directory of the link'
tried yes 'ctypes.CDLL' 'RTLD_GLOBAL has no part in it'
says "cuDNN's own front end finds it by its DT_RUNPATH" '(DT_RUNPATH of the object itself, $ORIGIN)'
says "... which LD_LIBRARY_PATH could win over" 'would win over the DT_RUNPATH of lib/'
check "the directories stand in the loader's order" "$python" - <<'END'
text = open("out").read()
marks = ["(DT_RPATH of the object itself)", "(DT_RPATH inherited from who loaded it)", "(default directories)"]
at = [text.index(m) for m in marks]
assert at == sorted(at), at
END
exits 1 "explain --json" explain --json v libcudnn_cnn.so.9
conforms explain-1
check "... with each directory, its rule and whose it is" "$python" - <<'END'
import json
edges = {e["object"].rsplit("/", 1)[1]: e for e in json.load(open("out"))["edges"]}
shim = edges["libcudnn-74a4c495.so.9.1.0"]
assert shim["owner"] == "ctranslate2" and shim["stability"] == "missing" and shim["request"]["result"] == "missing", shim
assert [s["rule"] for s in shim["steps"]][:2] == ["rpath", "rpath"] and shim["steps"][-1]["rule"] == "default", shim
assert [s["directory"] for s in shim["steps"]] == shim["request"]["tried"], shim
assert shim["steps"][0]["entry"] == "$ORIGIN" and shim["steps"][0]["owner"].endswith("libcudnn-74a4c495.so.9.1.0"), shim
assert [a["helps"] for a in shim["attempts"]] == [True, True, False, False, True], shim["attempts"]
front = edges["libcudnn.so.9"]
assert front["attempts"] == [], front
assert front["request"]["rule"] == "runpath" and front["stability"] == "environment-dependent" and not front["steps"], front
END
exits 1 "a file stands for its SONAME" explain --json v v/lib/python3*/site-packages/nvidia/cudnn/lib/libcudnn_cnn.so.9
check "... and is explained as that" grep -q '"name": "libcudnn_cnn.so.9"' out

# Found, but outside of the target.
mkdir outside
cp v/lib/python3*/site-packages/nvidia/cudnn/lib/*.so.9 outside
exits 0 "with LD_LIBRARY_PATH all find it" explain --ld-library-path "$PWD/outside" v libcudnn_cnn.so.9
says "... there" "=> $PWD/outside/libcudnn_cnn.so.9  (LD_LIBRARY_PATH"
says "... and what would change it" 'without LD_LIBRARY_PATH the search would go on'

# One file copied in by hand is what the shim gets, by the name that it asks for first.
libs=$(echo v/lib/python3*/site-packages/ctranslate2.libs)
cp "$libs/../nvidia/cudnn/lib/libcudnn_cnn.so.9" "$libs/libcudnn_cnn.so.9.1.0"
exits 0 "a file under the first of the names that it tries" explain v libcudnn_cnn.so.9
says "... is found by that name" 'libcudnn_cnn.so.9.1.0 => '
rm "$libs/libcudnn_cnn.so.9.1.0"

"$ELFMEND" fix --world manylinux --yes v > log 2>&1
ok $? "the repair" log
exits 0 "after it all find it" explain v libcudnn_cnn.so.9
says "... the shim by its new path" '(DT_RPATH of the object itself, $ORIGIN/../nvidia/cudnn/lib)'
says "... after the directory before it" 'tried before, in this order:'
says "... in any environment" '      stable in '
check "... and names the one whose path it is without detours" \
    grep -q 'what would change it: another DT_RPATH of lib/python3[.0-9]*/site-packages/ctranslate2.libs/libcudnn-74a4c495' out
exits 0 "explain --json" explain --json v libcudnn_cnn.so.9
conforms explain-1

exits 1 "a name that nobody asks for and nobody has" explain --json v libnowhere.so.1
conforms explain-1
exits 1 "... as text" explain v libnowhere.so.1
says "... is the program's to ask" 'nobody in the target asks'
says "... and nothing but an installation helps" 'libnowhere.so.1 is nowhere in the target: install what brings it'

exits 2 "no NAME" explain v
check "... is said" grep -q 'takes a TARGET and a NAME' err
exits 2 "a file that is not there" explain v ./nothere.so
check "... is said" grep -q 'nothere.so: is not there' err
exits 2 "a file that is no object" explain v v/pyvenv.cfg
check "... is said" grep -q 'pyvenv.cfg: is no ELF object' err
exits 2 "a target that is not there" explain nowhere libz.so.1
exits 2 "an option that explain has not" explain --exec v libz.so.1

exits 0 "trace --json" "$ELFMEND" trace --json v/lib/python3*/site-packages/ctranslate2/_ext*.so
conforms trace-1
exits 0 "trace --exec --json" "$ELFMEND" trace --exec --json "$(readlink -f v/bin/python3)"
conforms trace-1
echo 'int f(void) { return 1; }' > f.c
${CC:-cc} -shared -fPIC -o libgone.so f.c -Wl,-soname,libgone.so
${CC:-cc} -shared -fPIC -o ask.so f.c -Wl,--no-as-needed libgone.so
rm libgone.so
exits 1 "trace --json of one that misses" "$ELFMEND" trace --json ./ask.so
conforms trace-1
${CC:-cc} -shared -fPIC -o libfirst.so f.c -Wl,-soname,libgone.so
exits 0 "in one process a FILE has what another one was loaded as" "$ELFMEND" trace ./libfirst.so ./ask.so
exits 1 "with --each it has not" "$ELFMEND" trace --each --json ./libfirst.so ./ask.so
conforms trace-1
check "... and each has its own answer" "$python" -c 'import json
assert [e["ok"] for e in json.load(open("out"))["each"]] == [True, False]'
exits 2 "two programs are no one process" "$ELFMEND" trace --exec ./libfirst.so ./ask.so
finish
