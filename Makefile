# The two commands of README.md. Everything else is cargo's.

# Where `make quickstart` makes its server.
DIR ?= quickstart

.PHONY: help quickstart test

help:
	@echo "make quickstart   build, make a mail server in the folder $(DIR), show that mail flows over TLS, serve until Ctrl-C"
	@echo "make test         the tests that need nothing but this folder"
	@echo ".ci/run           all checks, among them those with real peers"

quickstart:
	@scripts/needs
	cargo build --release --package mailclad --package xtask
	"$${CARGO_TARGET_DIR:-target}/release/xtask" quickstart "$(DIR)"

test:
	@scripts/needs
	cargo test --workspace
