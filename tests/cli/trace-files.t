#!/bin/sh
# trace on files: exit status, the JSON that is promised, the process that is one.
. "$ELFMEND_TOP/tests/tap"
holds() { # WHAT CONDITION: in the shell's words, of the last run's $status, out and err
    { echo "$2"; cat out err; } > log
    eval "$2"
    ok $? "$1" log
}
field() { python3 -c "import json,os,sys; t=json.load(open('out')); print($1)"; }

mkdir -p libs other
echo 'int leaf;' | cc -shared -xc - -o libs/libleaf.so -Wl,-soname,libleaf.so
echo 'int mid;' | cc -shared -xc - -xnone -o libs/libmid.so -Wl,-soname,libmid.so -Wl,--no-as-needed libs/libleaf.so
echo 'int ext;' | cc -shared -xc - -xnone -o ext.so -Wl,--no-as-needed libs/libmid.so -Wl,-rpath-link,libs \
    -Wl,--disable-new-dtags,-rpath,'$ORIGIN/libs'
echo 'int run;' | cc -shared -xc - -xnone -o run.so -Wl,--no-as-needed libs/libmid.so -Wl,-rpath-link,libs \
    -Wl,--enable-new-dtags,-rpath,'$ORIGIN/libs'
here=$(pwd -P)

run trace --json "$here/ext.so"
holds "all found is exit 0" '[ $status -eq 0 ]'
holds "the schema is named" '[ "$(field "t[\"schema\"]")" = elfmend.trace/1 ]'
names=$(field "' '.join(os.path.basename(o['path']) for o in t['objects'] if o['path'].startswith('$here'))")
holds "in load order" '[ "$names" = "ext.so libmid.so libleaf.so" ]'
holds "the rule that found it" '[ "$(field "[r[\"rule\"] for r in t[\"requests\"] if r[\"name\"]==\"libleaf.so\"][0]")" = rpath ]'
holds "a file is opened by nobody" '[ "$(field "t[\"requests\"][0][\"via\"]")" = open ] && [ "$(field "t[\"requests\"][0][\"from\"]")" = None ]'

run trace --json "$here/run.so" "$here/ext.so"
holds "something missing is exit 1" '[ $status -eq 1 ]'
holds "and not ok" '[ "$(field "t[\"ok\"]")" = False ]'
holds "the later file is tried, the failed one is gone" '[ "$(field "t[\"objects\"][0][\"path\"].rsplit(\"/\",1)[1]")" = ext.so ]'
holds "the directories tried are listed" '[ "$(field "len([r for r in t[\"requests\"] if r[\"result\"]==\"missing\"][0][\"tried\"]) > 0")" = True ]'

run trace --json --ld-library-path libs "$here/run.so"
holds "--ld-library-path counts from here" '[ $status -eq 0 ]'
holds "and is the rule" '[ "$(field "[r[\"rule\"] for r in t[\"requests\"] if r[\"name\"]==\"libmid.so\"][0]")" = env ]'

run trace ext.so
holds "a bare name that is a file here is that file" '[ $status -eq 0 ]'
run trace libnowhere-at-all.so.7
holds "another bare name is searched" '[ $status -eq 1 ]'
holds "text names the directories" 'grep -q "default directories" out'

echo hello >text.so
for bad in "$here/none.so" "$here/text.so" "$here"; do
    run trace "$bad"
    holds "bad input is exit 2: $(basename "$bad")" '[ $status -eq 2 ] && [ -s err ] && [ ! -s out ]'
done
run trace
holds "no file is exit 2" '[ $status -eq 2 ]'

mkdir -p img/lib img/opt
cp "$here/ext.so" img/opt/ext.so
cp "$here/libs/libmid.so" "$here/libs/libleaf.so" img/lib/
run trace --json --root img /opt/ext.so
holds "--root looks inside the image" '[ "$(field "[r[\"path\"] for r in t[\"requests\"] if r[\"name\"]==\"libmid.so\"][0]")" = /lib/libmid.so ]'
run trace --json --root img img/opt/ext.so
holds "a path from outside is the same file" '[ "$(field "t[\"requests\"][0][\"path\"]")" = /opt/ext.so ]'

run trace --json --world empty "$here/libs/libleaf.so"
holds "the empty world has libc" '[ $status -eq 0 ]'
run trace --world empty libstdc++.so.6
holds "and no libstdc++" '[ $status -eq 1 ]'
run trace --world manylinux libstdc++.so.6
holds "the manylinux world has it" '[ $status -eq 0 ]'
run trace --world nowhere "$here/ext.so"
holds "an unknown world is exit 2" '[ $status -eq 2 ]'

echo 'int many;' | cc -shared -xc - -o many.so
"$ELFMEND" patch $(seq -f '--add-needed lib%g.so' 600) --set-rpath "$(seq -s: -f '/none/%g' 600)" many.so 2> log
run trace many.so
holds "more tries than anybody can mean are refused" '[ $status -eq 2 ] && grep -q "has 600 NEEDED libraries and 600 directories" err'
finish
