# One Makefile, no recursion, no configure.  "make help" lists what it does.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
BASHDIR    ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR     ?= $(PREFIX)/share/zsh/site-functions
FISHDIR    ?= $(PREFIX)/share/fish/vendor_completions.d
DOCDIR     ?= $(PREFIX)/share/doc/certfleet
DATADIR    ?= $(PREFIX)/share/certfleet
DESTDIR    ?=

CC         ?= cc
PKG_CONFIG ?= pkg-config
CFLAGS     ?= -O2 -g

# SAN=address,undefined builds beside the plain build, not over it.
SAN   ?=
comma := ,
BUILD := build$(addprefix -,$(subst $(comma),-,$(SAN)))

# Debian 12 names the C library "msgpack", newer systems "msgpack-c".
# On a machine that has nothing yet, "deps" comes first and make reads this
# file again; so no probe complains.
MSGPACK := $(shell $(PKG_CONFIG) --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
PKGS    := libevent libevent_openssl hiredis openssl jansson libcares libpsl \
	   libidn2 libconfuse $(MSGPACK)
CURL    := libcurl

# What Debian has to provide; "make deps" installs what is missing.  a|b: the
# first that the release has.
DEPS := gcc make pkg-config libc6-dev libevent-dev libhiredis-dev \
	libcurl4-openssl-dev libssl-dev libjansson-dev libc-ares-dev libpsl-dev \
	libidn2-dev libconfuse-dev uthash-dev libmsgpack-c-dev|libmsgpack-dev \
	redis-server haproxy pebble curl openssl ca-certificates python3
DEPS_CHECK := $(DEPS) clang libclang-rt-dev clang-format libcmocka-dev \
	python3-pytest python3-jsonschema python3-pytest-xdist libfaketime knot mandoc \
	prometheus lego chromium chromium-driver spin
DEPS_BENCH := $(DEPS) redis-tools wrk
DEPS_PACK := $(DEPS) debootstrap dpkg-dev debhelper fakeroot lintian devscripts

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wnull-dereference \
	-Wconversion -Wdouble-promotion
# What a compiler may not know is asked for, one flag at a time.
probe = $(shell $(CC) $(1) -Werror -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
HARD := -fstack-protector-strong -fPIE -fno-delete-null-pointer-checks \
	-fno-strict-overflow -Werror=format-security \
	$(call probe,-fstack-clash-protection) \
	$(call probe,-fcf-protection=full) \
	$(call probe,-ftrivial-auto-var-init=zero) \
	$(call probe,-fzero-call-used-regs=used-gpr) \
	$(call probe,-fstrict-flex-arrays=3)
ifeq ($(SAN),)
HARD += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
else
# Test builds fail where CERTFLEET_FAULT says; releases have no such code.
HARD += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-DCERTFLEET_FAULTS
endif
HARD := $(HARD)

VERSION := 0.1.0
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -DCERTFLEET_VERSION='"$(VERSION)"' \
	      $(WARN) $(HARD) -MMD -MP \
	      $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(PKGS) $(CURL) 2>/dev/null)) \
	      $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,nodlopen,--as-needed \
	       $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LIBS        := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
CURL_LIBS   := $(shell $(PKG_CONFIG) --libs $(CURL) 2>/dev/null)

srcs = $(filter-out %/main.c,$(sort $(foreach d,$(1),$(wildcard $(d)/*.c))))
objs = $(patsubst %.c,$(BUILD)/%.o,$(call srcs,$(1)))

# Archives, so that a program links only the parts it calls: the agent never
# gets libcurl.  In the order of the includes: each may use those after it.
ROOMS    := cli agent sync providers haproxy common
DIRS_cli  = sync/cli
DIRS_sync = sync sync/api
DIRS      = $(or $(DIRS_$(1)),$(1))
archive   = $(BUILD)/$(1).a
ARCHIVES := $(foreach r,$(ROOMS),$(call archive,$(r)))
LIBS_sync := $(call archive,sync) $(call archive,providers) \
	     $(call archive,haproxy) $(call archive,common)

BINS     := $(BUILD)/certfleet-agent $(BUILD)/certfleet-sync $(BUILD)/certfleet
TESTS    := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZERS  := $(patsubst tests/fuzz/%.c,build-fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES  := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(sort $(wildcard tests/bench/*.c)))
ASK      := $(BUILD)/tests/dnsapi/ask $(BUILD)/tests/dnsapi/look
C_FILES  := $(sort $(wildcard */*.[ch] sync/*/*.[ch] tests/*/*.[ch]))

ifneq ($(V),1)
Q = @
say = @printf '  %-5s %s\n' $(1) $(2)
endif

## all       the three programs, in build/
all: $(BINS)

$(BUILD)/certfleet-agent: $(BUILD)/agent/main.o $(call archive,agent) $(call archive,common)
$(BUILD)/certfleet-sync: $(BUILD)/sync/main.o $(LIBS_sync)
$(BUILD)/certfleet: $(BUILD)/sync/cli/main.o $(call archive,cli) $(call archive,common)
$(BUILD)/certfleet-sync: LIBS += $(CURL_LIBS)
$(BINS):
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(TESTS): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS) $(CURL_LIBS) -lcmocka

$(BENCHES) $(ASK): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS) $(CURL_LIBS)

define archive_rule
$(call archive,$(1)): $(call objs,$(call DIRS,$(1)))
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call archive_rule,$(r))))

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

# libFuzzer calls its targets by a name that no header declares.
$(BUILD)/tests/fuzz/%.o: ALL_CFLAGS += -Wno-missing-prototypes

# The Redis Functions, the API's description and the dashboard travel inside the
# programs.
$(BUILD)/common/library.o: common/library.lua
$(BUILD)/sync/api/openapi.o: sync/api/openapi.json
$(BUILD)/sync/api/dashboard.o: $(wildcard sync/dashboard/*)

## check     rules, unit tests, fuzz corpora and end-to-end tests, with sanitizers
check: deps-check
	@$(MAKE) --no-print-directory rules
	@$(MAKE) --no-print-directory model
	@$(MAKE) --no-print-directory SAN=address,undefined unit
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory SAN=address,undefined e2e
	@$(MAKE) --no-print-directory SAN=address,undefined check-newest

## unit      cmocka tests of the pure files
unit: $(TESTS)
	@for t in $(TESTS); do \
	    echo "# $${t##*/}"; $$t || exit 1; \
	done

## fuzz      replay every corpus, then FUZZ_SECONDS of new input per target
FUZZ_SECONDS ?= 30
FUZZ_CC      := clang
FUZZ_SAN     := address,undefined
FUZZ_OBJ     := build-fuzz/obj
fuzz: $(FUZZERS)
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)

# libFuzzer wants everything it looks into built by clang with its flags; one
# more make does that, once for all targets.
fuzz-objects:
	@$(MAKE) --no-print-directory CC=$(FUZZ_CC) BUILD=$(FUZZ_OBJ) \
	    SAN=fuzzer-no-link,$(FUZZ_SAN) CFLAGS="-O1 -g" fuzz-built
fuzz-built: $(ARCHIVES) $(FUZZERS:build-fuzz/%=$(BUILD)/tests/fuzz/%.o)

$(FUZZERS): build-fuzz/%: fuzz-objects
	$(call say,FUZZ,$@)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,$(FUZZ_SAN) -o $@ \
	    $(FUZZ_OBJ)/tests/fuzz/$*.o $(ARCHIVES:$(BUILD)/%=$(FUZZ_OBJ)/%) \
	    $(LIBS) $(CURL_LIBS)

## e2e       real Redis, HAProxy and Pebble on loopback (ARGS: pytest options)
# Tests mostly wait, so more files run at a time than there are processors.
# Real servers on a busy machine can be late: files in which something failed are
# run once more, whole, by themselves, and count when something fails again.
E2E_JOBS ?= $(shell echo $$((2 * $$(nproc))))
PYTEST = CERTFLEET_BUILD=$(BUILD) /usr/bin/python3 -m pytest \
	 -o cache_dir=$(abspath $(BUILD))/pytest
e2e: $(BINS) $(ASK)
	@rm -rf $(BUILD)/pytest
	@set -- $(if $(filter tests/%,$(ARGS)),,tests/e2e) $(ARGS); \
	    $(PYTEST) -n $(E2E_JOBS) --dist loadfile "$$@" || \
	    { [ $$? -eq 1 ] && echo "# the files of what failed, once more" && \
	    $(PYTEST) --maxfail=8 $$(sed -n 's/^ *"\([^":]*\)::.*/\1/p' \
	    $(BUILD)/pytest/v/cache/lastfailed | sort -u); }

## check-servers  what tests Redis itself, on Redis 8, Valkey 8 and Valkey 9
SERVER_TESTS = $(patsubst %,tests/e2e/test_%.py,library redis acl partitions \
	       sentinel cluster)
check-servers: $(BINS)
	@for server in "redis trixie" "valkey trixie" "valkey sid"; do \
	    command=$$(/usr/bin/python3 tests/e2e/newer.py $$server) || exit 1; \
	    echo "# $$server: $$($$command -v)"; \
	    CERTFLEET_REDIS=$$command $(PYTEST) -q $(SERVER_TESTS) $(ARGS) || \
	    exit 1; \
	done

## check-matrix  end-to-end tests of the servers, on those of three Debian releases
check-matrix: $(BINS) $(ASK)
	@CERTFLEET_BUILD=$(BUILD) /usr/bin/python3 tests/e2e/matrix.py \
	    -n $(E2E_JOBS) $(ARGS)
check-newest: $(BINS) $(ASK)
	@CERTFLEET_BUILD=$(BUILD) /usr/bin/python3 tests/e2e/matrix.py --few \
	    -n $(E2E_JOBS) $(ARGS)

## model     spin looks at every state of the leaders' protocol
model:
	@tests/model/run.sh

## bench     measures beside something that runs in the same minute
bench: $(BINS) $(BENCHES)
	@for b in tests/bench/*.py; do \
	    CERTFLEET_BUILD=$(BUILD) /usr/bin/python3 $$b || exit 1; \
	done

## demo      everything real on loopback; ONCE=1 ends by itself
demo: deps
	@$(MAKE) --no-print-directory all
	@CERTFLEET_BUILD=$(BUILD) ONCE=$(ONCE) /usr/bin/python3 -u tests/e2e/demo.py

## deps      install the Debian packages that are missing
deps:
	@tests/deps.sh $(subst |,\|,$(DEPS))
deps-check:
	@tests/deps.sh $(subst |,\|,$(DEPS_CHECK))
deps-pack:
	@tests/deps.sh $(subst |,\|,$(DEPS_PACK))
deps-bench:
	@tests/deps.sh $(subst |,\|,$(DEPS_BENCH))

# Who may include whom; who may see which library; what nobody may call.
only = @! grep -lE '$(1)' $(C_FILES) | grep -vE '^($(2))$$'
## rules     layers, library visibility, forbidden calls, format
rules:
	@! grep -nE '^\#include "(agent|sync|providers|haproxy)/' common/*.[ch]
	@! grep -nE '^\#include "(agent|sync|haproxy)/' $(wildcard providers/*.[ch]) /dev/null
	@! grep -nE '^\#include "(agent|sync|providers)/' haproxy/*.[ch]
	@! grep -nE '^\#include "(sync|providers|haproxy)/' agent/*.[ch]
	@! grep -nE '^\#include "agent/' sync/*.[ch] sync/*/*.[ch]
	@! grep -nE '^\#include "(sync/[a-z0-9_]+\.h|sync/api|haproxy|providers)' $(wildcard sync/cli/*.[ch]) /dev/null
	$(call only,<curl/,sync/http\.c)
	$(call only,<hiredis/,common/rds[a-z_]*\.[ch]|tests/.*)
	$(call only,<ares,sync/resolve_link\.h)
	$(call only,<msgpack,common/domain\.c|sync/bundle\.c|tests/.*)
	$(call only,<confuse,common/conf\.c)
	$(call only,<uthash,common/table\.h)
	$(call only,<(libpsl|idn2)\.h,common/domain[a-z_]*\.c)
	@! grep -nE '\b(atoi|atol|sprintf|strcpy|strcat|strtok|gmtime|localtime|system|popen)\(' $(C_FILES)
	@! grep -nE '\b(malloc|calloc|realloc|strdup|asprintf)\(' $(C_FILES) | grep -vE '^(common/mem\.c|tests/)'
	@! grep -nE '\b(TODO|FIXME|XXX)\b' $(C_FILES)
	@tests/format.sh $(C_FILES)

## install   programs, pages, units, examples of configuration (DESTDIR, PREFIX)
# The configuration is the operator's: what is in /etc is not touched, except
# for the one file that HAProxy reads and nobody has to change.
install: $(BINS)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(SYSCONFDIR)/certfleet \
	    $(addprefix $(DESTDIR)$(PREFIX)/lib/,sysusers.d tmpfiles.d) \
	    $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)/examples \
	    $(DESTDIR)$(DATADIR)/monitoring
	install -m 0755 $(BUILD)/certfleet $(DESTDIR)$(BINDIR)
	install -m 0755 $(BUILD)/certfleet-agent $(BUILD)/certfleet-sync $(DESTDIR)$(SBINDIR)
	for u in sync/systemd/*.service sync/systemd/*.socket; do \
	    sed 's,/usr/sbin,$(SBINDIR),' $$u \
	        >$(DESTDIR)$(UNITDIR)/$${u##*/} || exit 1; \
	done
	chmod 0644 $(DESTDIR)$(UNITDIR)/certfleet-*
	for f in sysusers tmpfiles; do for c in sync/systemd/*.$$f; do \
	    n=$${c##*/}; \
	    install -m 0644 $$c $(DESTDIR)$(PREFIX)/lib/$$f.d/$${n%.*}.conf || exit 1; \
	done; done
	for m in sync/man/*.[1-8]; do \
	    install -D -m 0644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/} || exit 1; \
	done
	install -D -m 0644 sync/cli/completion/certfleet.bash $(DESTDIR)$(BASHDIR)/certfleet
	install -D -m 0644 sync/cli/completion/_certfleet $(DESTDIR)$(ZSHDIR)/_certfleet
	install -D -m 0644 sync/cli/completion/certfleet.fish $(DESTDIR)$(FISHDIR)/certfleet.fish
	install -m 0644 sync/doc/*.md $(DESTDIR)$(DOCDIR)
	sed 's,(sync/doc/,(,' README.md >$(DESTDIR)$(DOCDIR)/README.md
	chmod 0644 $(DESTDIR)$(DOCDIR)/README.md
	install -m 0644 sync/monitoring/* $(DESTDIR)$(DATADIR)/monitoring
	install -m 0644 haproxy/conf/* $(DESTDIR)$(DOCDIR)/examples
	install -m 0644 haproxy/conf/spoe-certfleet.conf $(DESTDIR)$(SYSCONFDIR)/certfleet

## package   Debian packages of this release, in build/package
package: deps-pack
	@rm -rf build/package && mkdir -p build/package/certfleet
	@tar -cf - --exclude=./build --exclude='./build-*' --exclude=./.git . | \
	    tar -xf - -C build/package/certfleet
	@cd build/package/certfleet && dpkg-buildpackage -us -uc -b
	@rm -rf build/package/certfleet && ls build/package/*.deb

## package-check   builds, compares, installs, upgrades and purges them: minutes
package-check: deps-pack
	@CERTFLEET_PACKAGE=1 $(PYTEST) -q tests/e2e/test_package.py \
	    tests/e2e/test_package_install.py

## fmt       clang-format in place
fmt:
	clang-format -i $(C_FILES)

## compile_commands.json   for clangd and clang-tidy
compile_commands.json:
	@$(MAKE) -nB V=1 --no-print-directory all $(TESTS) >$@.tmp && \
	awk -v d="$(CURDIR)" ' \
	    / -c -o / { sub(/^.*&& /, ""); gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); \
	    printf "%s{\"directory\":\"%s\",\"file\":\"%s\",\"command\":\"%s\"}", \
	    n++ ? ",\n " : "[\n ", d, $$NF, $$0 } END { print "\n]" }' \
	    $@.tmp >$@ && rm -f $@.tmp

## clean     everything that was built
clean:
	rm -rf build build-* compile_commands.json*

## help      this list
help:
	@sed -n 's/^## //p' Makefile

.PHONY: all check unit fuzz fuzz-objects fuzz-built e2e check-servers check-matrix check-newest model bench demo deps \
	deps-check deps-bench deps-pack package package-check rules install fmt compile_commands.json clean help
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
