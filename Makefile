# edgevoice: make run, make install, make test, make bench, make deb. Each sets up everything it needs on a fresh Debian or Raspberry Pi OS.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ASTERISK := .asterisk
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Debian packages: to build pyalsaaudio; the second choice of echo canceller; for the tests a second sound card
# (PulseAudio's plugin), systemd-analyze, certificates, a SIP registrar (Kamailio), another telephone (baresip) and
# scripted ones (sipp); for the benchmark's baseline PortAudio.
DEBIAN_RUN := gcc python3-dev python3-venv libasound2-dev libspeexdsp1
DEBIAN_SIP := kamailio kamailio-tls-modules baresip-core sip-tester
DEBIAN_TEST := $(DEBIAN_RUN) pulseaudio libasound2-plugins systemd openssl $(DEBIAN_SIP)
DEBIAN_BENCH := $(DEBIAN_TEST) portaudio19-dev asterisk-core-sounds-en-wav

.PHONY: run demo install uninstall deb test test-sip test-install test-nightly test-faults lab fuzz soak check bench clean
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
export DESTDIR PREFIX EXTRAS

# With a sound card the appliance, on the built-in parrot unless edgevoice.toml says otherwise; else the demo.
run: $(VENV)/.run
	@if grep -q '^ *[0-9]' /proc/asound/cards 2>/dev/null || grep -qs '^ *simulate *= *true' edgevoice.toml; then \
	    echo 'Press the button (or type "$(BIN)/edgevoice ctl press" in another window) and talk. Ctrl-C ends it.'; \
	    $(BIN)/edgevoice run $(if $(wildcard edgevoice.toml),-c edgevoice.toml); \
	else \
	    echo 'There is no sound card on this machine (/proc/asound/cards lists none): here is the simulated room.'; \
	    $(BIN)/edgevoice demo; \
	fi

# As a service, as root: versions side by side under /opt/edgevoice. See systemd/README.md for DESTDIR, PREFIX, EXTRAS.
install:
	$(if $(DESTDIR),,$(call debian,$(DEBIAN_RUN)))
	@sh packaging/install

uninstall:
	@sh packaging/install remove

# A package with everything inside: SUITE=bookworm or trixie (the Debian of the box), ARCH=amd64 or arm64.
SUITE ?= bookworm
ARCH ?= $(shell dpkg --print-architecture)
deb: $(VENV)/.run
	$(call debian,dpkg-dev lintian gcc libc6-dev $(if $(filter trixie,$(SUITE)),swig) $(if $(filter-out $(shell dpkg --print-architecture),$(ARCH)),$(CROSS)))
	$(BIN)/python packaging/deb.py --suite $(SUITE) --arch $(ARCH)
	lintian --fail-on error,warning build/deb/edgevoice_*+deb$(if $(filter trixie,$(SUITE)),13,12)_$(ARCH).deb
CROSS := $(if $(filter arm64,$(ARCH)),gcc-aarch64-linux-gnu libc6-dev-arm64-cross,gcc-x86-64-linux-gnu libc6-dev-amd64-cross)

demo: $(VENV)/.run
	$(BIN)/edgevoice demo

# Two files at a time, as most of their time is waited for: what runs in real time not beside what computes, and what
# cancels an echo in real time beside nothing: it would be late, and hear itself. The hundreds of programs that are
# started find themselves compiled.
test: export PYTHONPYCACHEPREFIX = $(CURDIR)/build/bytecode
test: export PYTHONDONTWRITEBYTECODE =
test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/e2e
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/e2e --ignore tests/e2e/test_echo.py
	$(BIN)/python -m pytest tests/e2e/test_echo.py

# SIP over a network that loses packets, goes away and changes its address, and at Asterisk: minutes, a network namespace
# and a root of Asterisk's own, so as root.
test-sip: $(VENV)/.test $(ASTERISK)/.ready
	$(call debian,iproute2 nftables)
	$(SUDO) $(BIN)/python -m pytest -m network tests/network

# What goes wrong in the field, tried for real: minutes, some of it as root. HOURS: for how long writing is watched.
test-faults: $(VENV)/.test
	$(call debian,iproute2)
	$(SUDO) env EDGEVOICE_WATCH_HOURS=$(or $(HOURS),1) $(BIN)/python -m pytest -m faults

# A million inputs for each parser of what comes from outside. SECONDS_EACH: no more than so long for each.
fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH))

# Does anything grow? A day of calls in virtual time, ten minutes in real time.
soak: $(VENV)/.test
	$(BIN)/python -m benchmarks.soak --interruptions 100000
	$(BIN)/python -m benchmarks.soak_calls --minutes 10
	$(BIN)/python -m benchmarks.soak_calls --hours 24

# What takes half a minute of real time or more, and is tried in a shorter way by `make test`; and other input than there.
test-nightly: $(VENV)/.test
	$(BIN)/python -m pytest -m nightly
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile chance

# The package on a Debian that boots in a container: installed, hung, updated, gone back, purged, and rebooted by the box;
# `make install` likewise, from the network. Half an hour, as root.
test-install: $(VENV)/.test
	$(call debian,mmdebstrap systemd-container dpkg-dev gcc libc6-dev swig)
	$(SUDO) $(BIN)/python -m pytest -m debian tests/install

# The whole box in an emulated machine: Debian's kernel with a sound card and pins, our package. Half an hour, as root.
# ARCH=arm64: as on a Pi, by its device tree.
LAB = build/lab/$(ARCH)
DEBIAN_LAB = mmdebstrap gcc make flex bison bc libelf-dev libssl-dev cpio kmod e2fsprogs dpkg-dev device-tree-compiler \
    $(if $(filter arm64,$(ARCH)),qemu-system-arm qemu-user-static,qemu-system-x86)
lab: $(VENV)/.test
	$(call debian,$(DEBIAN_LAB) $(if $(filter-out $(shell dpkg --print-architecture),$(ARCH)),$(CROSS)))
	rm -rf $(LAB)/deb
	$(BIN)/python packaging/deb.py --arch $(ARCH) --compression none --out $(LAB)/deb
	$(SUDO) bash tests/lab/qemu/image.sh $(ARCH) $(LAB)/deb/*.deb $(LAB)
	$(BIN)/python -m tests.lab.whole_box $(LAB)

check: $(VENV)/.test
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

# SPEECH: a folder of recorded speakers (benchmarks/README.md); the tables of who is taken for a person need it.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(if $(SPEECH),--speech $(SPEECH))
	$(BIN)/python -m benchmarks.echo
	$(BIN)/python -m benchmarks.resumes
	$(BIN)/python -m benchmarks.lines
	$(BIN)/python -m benchmarks.sip
	$(BIN)/python -m benchmarks.sdk
	$(if $(SPEECH),$(BIN)/python -m benchmarks.barge_in --speech $(SPEECH) --hours 1 --interruptions 120)

clean:
	rm -rf $(VENV) build *.egg-info edgevoice-demo
	@if [ -d $(ASTERISK) ]; then $(SUDO) rm -rf --one-file-system $(ASTERISK); fi

# Asterisk is in Debian's unstable suite only: 500 MB in three minutes, kept until `make clean`.
$(ASTERISK)/.ready:
	$(call debian,debootstrap)
	@echo 'Asterisk ...'
	@$(SUDO) rm -rf --one-file-system $(ASTERISK)
	@$(SUDO) debootstrap --variant=minbase --include=asterisk sid $(ASTERISK) >/dev/null
	@$(SUDO) touch $@

# $(call debian,packages): install those that are missing, and only then ask for root.
define debian
	@missing=$$(for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || printf '%s ' $$p; done); \
	if [ -n "$$missing" ]; then \
	    echo "Debian packages: $$missing"; \
	    $(SUDO) apt-get -qq update && \
	    DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get -qq install -y --no-install-recommends $$missing >/dev/null; \
	fi
endef

# $(call venv,extras): the virtual environment, with this package in it. On a Pi, lgpio may come from Debian.
define venv
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(if $(wildcard /dev/gpiochip*),--system-site-packages) $(VENV)
	@echo 'Python packages ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.$(1)'
	@touch $@
endef

# pipecat's serializers answer the fake phone services in the tests. Without its dependencies: those that the serializers
# import stand in the extra `dev`; the others (numba, onnxruntime) are 300 MB, and late for a new Python. In a place of
# its own, where pip does not miss them.
define peers
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/peers 'pipecat-ai==1.14.*'
endef

comma := ,

$(VENV)/.run: pyproject.toml
	$(call debian,$(DEBIAN_RUN))
	$(call venv,[aec$(if $(wildcard /dev/gpiochip*),$(comma)pi)])

$(VENV)/.test: pyproject.toml
	$(call debian,$(DEBIAN_TEST))
	$(call venv,[aec$(comma)dev])
	$(call peers)
	@touch $(VENV)/.run

$(VENV)/.bench: pyproject.toml
	$(call debian,$(DEBIAN_BENCH))
	$(call venv,[aec$(comma)dev$(comma)bench])
	$(call peers)
	@touch $(VENV)/.run $(VENV)/.test
