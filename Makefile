# `make test` installs what the tests need and runs everything that a change must pass.
.PHONY: all test peers lint unit docs deny bench fuzz
CARGO ?= cargo

all:
	$(CARGO) build --release

test: peers lint unit docs deny

# Real peers for the tests, unpacked under target/, nothing installed.
peers:
	scripts/debian-packages.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

# Started in the background, a shell has SIGINT ignored, by all that it starts; the tests send it.
unit:
	env --default-signal=INT $(CARGO) test --locked --lib --bins --tests --examples --no-fail-fast

# Examples in doc comments, and the documentation itself: a broken link is an error.
docs:
	$(CARGO) test --locked --doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib

# Licences, bans and sources of dependencies. Advisories need the network, so they are a job of their own.
deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	    $(CARGO) deny --offline check bans licenses sources; \
	else \
	    echo "cargo-deny is not installed: licences were checked by tests/dependencies.rs alone"; \
	fi

bench:
	$(CARGO) bench --locked

# One minute per target; needs cargo-fuzz and a nightly toolchain. `make unit` runs the same bodies for a second each.
fuzz:
	ALERTD_FUZZ_CORPUS=fuzz/corpus $(CARGO) test --locked --test fuzz_smoke seeds_are_written
	@for target in $$(cd fuzz && $(CARGO) +nightly fuzz list); do \
	    (cd fuzz && $(CARGO) +nightly fuzz run $$target -- -max_total_time=60 -timeout=20) || exit 1; \
	done
