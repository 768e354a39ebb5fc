# trace on files: exit status, the JSON that is promised, the process that is one.
set -eu
n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { n=$((n + 1)); echo "not ok $n - $1"; }
check() { if eval "$2"; then ok "$1"; else fail "$1: $2"; fi; }
status() { set +e; "$@" >out 2>err; code=$?; set -e; }
field() { python3 -c "import json,os,sys; t=json.load(open('out')); print($1)"; }

mkdir -p libs other
echo 'int leaf;' | cc -shared -xc - -o libs/libleaf.so -Wl,-soname,libleaf.so
echo 'int mid;' | cc -shared -xc - -xnone -o libs/libmid.so -Wl,-soname,libmid.so -Wl,--no-as-needed libs/libleaf.so
echo 'int ext;' | cc -shared -xc - -xnone -o ext.so -Wl,--no-as-needed libs/libmid.so -Wl,-rpath-link,libs \
    -Wl,--disable-new-dtags,-rpath,'$ORIGIN/libs'
echo 'int run;' | cc -shared -xc - -xnone -o run.so -Wl,--no-as-needed libs/libmid.so -Wl,-rpath-link,libs \
    -Wl,--enable-new-dtags,-rpath,'$ORIGIN/libs'
here=$(pwd -P)

status "$ELFMEND" trace --json "$here/ext.so"
check "all found is exit 0" '[ $code -eq 0 ]'
check "the schema is named" '[ "$(field "t[\"schema\"]")" = elfmend.trace/1 ]'
names=$(field "' '.join(os.path.basename(o['path']) for o in t['objects'] if o['path'].startswith('$here'))")
check "in load order" '[ "$names" = "ext.so libmid.so libleaf.so" ]'
check "the rule that found it" '[ "$(field "[r[\"rule\"] for r in t[\"requests\"] if r[\"name\"]==\"libleaf.so\"][0]")" = rpath ]'
check "a file is opened by nobody" '[ "$(field "t[\"requests\"][0][\"via\"]")" = open ] && [ "$(field "t[\"requests\"][0][\"from\"]")" = None ]'

status "$ELFMEND" trace --json "$here/run.so" "$here/ext.so"
check "something missing is exit 1" '[ $code -eq 1 ]'
check "and not ok" '[ "$(field "t[\"ok\"]")" = False ]'
check "the later file is tried, the failed one is gone" '[ "$(field "t[\"objects\"][0][\"path\"].rsplit(\"/\",1)[1]")" = ext.so ]'
check "the directories tried are listed" '[ "$(field "len([r for r in t[\"requests\"] if r[\"result\"]==\"missing\"][0][\"tried\"]) > 0")" = True ]'

status "$ELFMEND" trace --json --ld-library-path libs "$here/run.so"
check "--ld-library-path counts from here" '[ $code -eq 0 ]'
check "and is the rule" '[ "$(field "[r[\"rule\"] for r in t[\"requests\"] if r[\"name\"]==\"libmid.so\"][0]")" = env ]'

status "$ELFMEND" trace ext.so
check "a bare name that is a file here is that file" '[ $code -eq 0 ]'
status "$ELFMEND" trace libnowhere-at-all.so.7
check "another bare name is searched" '[ $code -eq 1 ]'
check "text names the directories" 'grep -q "default directories" out'

echo hello >text.so
for bad in "$here/none.so" "$here/text.so" "$here"; do
    status "$ELFMEND" trace "$bad"
    check "bad input is exit 2: $(basename "$bad")" '[ $code -eq 2 ] && [ -s err ] && [ ! -s out ]'
done
status "$ELFMEND" trace
check "no file is exit 2" '[ $code -eq 2 ]'

mkdir -p img/lib img/opt
cp "$here/ext.so" img/opt/ext.so
cp "$here/libs/libmid.so" "$here/libs/libleaf.so" img/lib/
status "$ELFMEND" trace --json --root img /opt/ext.so
check "--root looks inside the image" '[ "$(field "[r[\"path\"] for r in t[\"requests\"] if r[\"name\"]==\"libmid.so\"][0]")" = /lib/libmid.so ]'
status "$ELFMEND" trace --json --root img img/opt/ext.so
check "a path from outside is the same file" '[ "$(field "t[\"requests\"][0][\"path\"]")" = /opt/ext.so ]'

status "$ELFMEND" trace --json --world empty "$here/libs/libleaf.so"
check "the empty world has libc" '[ $code -eq 0 ]'
status "$ELFMEND" trace --world empty libstdc++.so.6
check "and no libstdc++" '[ $code -eq 1 ]'
status "$ELFMEND" trace --world manylinux libstdc++.so.6
check "the manylinux world has it" '[ $code -eq 0 ]'
status "$ELFMEND" trace --world nowhere "$here/ext.so"
check "an unknown world is exit 2" '[ $code -eq 2 ]'
echo "1..$n"
