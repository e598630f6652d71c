# The two commands that a newcomer needs; everything else is cargo.

.PHONY: run test

# The main job in one process, with a receiver of its own. Needs Rust and a C compiler, nothing else.
run:
	cargo run --locked --package dockbell -- up --demo

# Every test. Installs the Debian packages that the tests need, if they are absent.
test:
	scripts/test
