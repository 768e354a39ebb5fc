#!/bin/sh
# A world written here and read back answers as this machine does; one from elsewhere answers as that machine would; a malformed one
# is refused with a sentence.
. "$ELFMEND_TOP/tests/tap"
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
LD_LIBRARY_PATH=/nonexistent/here "$ELFMEND" doctor --world here.json > log 2>&1
ok "$([ -s here.json ]; echo $?)" "doctor --world writes a file" log
exits 2 "... and not over one that is there" "$ELFMEND" doctor --world ./here.json
check "... and says that" grep -q 'here.json: a world is written to a new file' err
check "... which conforms to schemas/world-1.json" "$python" -W ignore - "$ELFMEND_TOP/schemas/world-1.json" here.json <<'END'
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(json.load(open(sys.argv[2])))
END

# Libraries of the system with needs of their own, and the interpreter.
"$python" - "$ELFMEND" <<'END'
import json, os, subprocess, sys
libraries = json.load(open("here.json"))["cache"] or {}
interpreter = os.path.realpath(sys.executable)
files = [libraries[n] for n in sorted(libraries)[::max(1, len(libraries) // 40)] if os.path.isfile(libraries[n])]
# Given to both, since the file has what LD_LIBRARY_PATH was when it was written.
path = ["--ld-library-path", "/nonexistent/here"]
wrong = compared = 0
for options, file in [([], f) for f in files] + [(["--exec"], interpreter)]:
    run = [[sys.argv[1], "trace", "--json", *world, *options, file] for world in (path, ["--world", "here.json"])]
    a, b = (subprocess.run(r, capture_output=True, text=True) for r in run)
    if a.returncode == 2:
        continue
    compared += 1
    if (a.stdout, a.returncode) != (b.stdout, b.returncode):
        wrong += 1
        print("# differs:", file, b.stderr)
open("answers", "w").write(f"{compared} traced, {wrong} differ\n")
sys.exit(wrong or compared < 2)
END
ok $? "trace answers the same: $(cat answers)" answers

# Another machine: it has a library that this one lacks, lacks one that is here, and an LD_LIBRARY_PATH.
change() { # FROM TO PYTHON
    "$python" -c 'import json, sys
w = json.load(open(sys.argv[1]))
exec(sys.argv[3])
json.dump(w, open(sys.argv[2], "w"))' "$@"
}
mkdir lib env
echo 'int f(void) { return 1; }' > f.c
${CC:-cc} -shared -fPIC -o lib/libelsewhere.so.1 f.c -Wl,-soname,libelsewhere.so.1
${CC:-cc} -shared -fPIC -o lib/libunder.so.1 f.c -Wl,-soname,libunder.so.1
cp lib/libunder.so.1 env/libunder.so.1
${CC:-cc} -shared -fPIC -o ask.so f.c -Wl,--no-as-needed lib/libelsewhere.so.1 -lm
${CC:-cc} -shared -fPIC -o under.so f.c -Wl,--no-as-needed lib/libunder.so.1
if ! grep -q '"libc": "glibc"' here.json; then
    skip "a library that is only there" "no glibc here"
else
    exits 1 "a library that is nowhere here is missing" "$ELFMEND" trace ./ask.so
    change here.json there.json 'w["cache"] = {"libelsewhere.so.1": "/opt/there/libelsewhere.so.1", **(w["cache"] or {})}'
    exits 0 "... and found in a world whose cache has it" "$ELFMEND" trace --world ./there.json ./ask.so
    check "... as promised" grep -q '/opt/there/libelsewhere.so.1  (ld.so.cache; promised by this world' out
    change there.json without.json 'w["cache"].pop("libm.so.6", 0); w["libraries"] = [n for n in w["libraries"] if n != "libm.so.6"]'
    exits 1 "a library of this system is missing in a world without it" "$ELFMEND" trace --world ./without.json ./ask.so
    check "... by name" grep -q 'libm.so.6 => not found' out
    change here.json path.json 'w["ld_library_path"] = "'"$PWD/env"'"'
    exits 0 "the world's LD_LIBRARY_PATH counts" "$ELFMEND" trace --world ./path.json ./under.so
    exits 1 "... and --ld-library-path before it" "$ELFMEND" trace --world ./path.json --ld-library-path /nonexistent ./under.so
    LD_LIBRARY_PATH=$PWD/env exits 1 "... and not the one of this process" "$ELFMEND" trace --world ./here.json ./under.so
    exits 2 "a world of glibc has no musl" "$ELFMEND" trace --libc musl --world ./here.json ./ask.so
fi

refused() { # WHAT PYTHON SENTENCE
    change here.json bad.json "$2"
    exits 2 "$1" "$ELFMEND" trace --world ./bad.json ./ask.so
    check "... with the sentence" grep -qF "bad.json: $3" err
}
refused "another schema" 'w["schema"] = "elfmend.plan/1"' 'is no world: its "schema" is not "elfmend.world/1"'
refused "a member that is missing" 'del w["hwcaps"]' 'lacks "hwcaps"'
refused "a member too many" 'w["colour"] = 1' 'has a member "colour", which no world has'
refused "a libc that is not modelled" 'w["libc"] = "bionic"' '"libc" is neither "glibc" nor "musl"'
refused "a version that is none" 'w["version"] = "2.36-9"' '"version" is not a version like "2.36"'
refused "a machine out of range" 'w["machine"] = 65536' '"machine" is no number from 0 to 65535'
refused "a class that is none" 'w["bits"] = 48' '"bits" is not 32 or 64'
refused "a directory that is a number" 'w["system_dirs"][1] = 3' 'entry 1 of "system_dirs" is no path or name'
refused "a cache that is a list" 'w["cache"] = []' '"cache" is not an object from names to paths, or null'
refused "a cache entry without a path" 'w["cache"] = {"libm.so.6": ""}' "the cache's entry for \"libm.so.6\" is no path"
refused "an interpreter that is no path" 'w["interpreter"] = "ld.so"' '"interpreter" is not an absolute path'
refused "a document that is a list" 'w = []' 'is no world'
head -c 300 here.json > bad.json
exits 2 "half a file" "$ELFMEND" trace --world ./bad.json ./ask.so
check "... with the line" grep -q 'bad.json: is not JSON: line [0-9]*: ' err
exits 2 "a file that is not there" "$ELFMEND" trace --world ./nowhere.json ./ask.so
exits 2 "a word that is no world" "$ELFMEND" trace --world sytem ./ask.so
finish
