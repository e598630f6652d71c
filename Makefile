# The two commands that a newcomer needs, and one for who changes an adapter; everything else is cargo.

.PHONY: run test test-matrix

# The main job in one process, with a receiver of its own. Needs Rust and a C compiler, nothing else.
run:
	cargo run --locked --package dockbell -- up --demo

# Every test. Installs the Debian packages that the tests need, if they are absent.
test:
	scripts/test

# What the adapters must do, on newer versions of RabbitMQ, Redis and Valkey. Needs root and Debian.
test-matrix:
	scripts/test-matrix
