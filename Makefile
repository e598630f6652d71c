# The two commands that a newcomer needs, one for who changes an adapter, and the load tests; everything else is cargo.

.PHONY: run test test-matrix bench bench-full bench-instructions bench-isolation bench-parked soak fuzz

# The main job in one process, with a receiver of its own. Needs Rust and a C compiler, nothing else.
run:
	cargo run --locked --package dockbell -- up --demo

# Every test. Installs the Debian packages that the tests need, if they are absent.
test:
	scripts/test

# What the adapters must do, on newer versions of RabbitMQ, Redis and Valkey. Needs root and Debian.
test-matrix:
	scripts/test-matrix

# What each part makes of what the machine can do, beside what is promised (load-tests/README.md); under 10 minutes.
bench:
	scripts/load bench $(ARGS)

# The same five times; fails when the median of any figure misses its goal.
bench-full:
	scripts/load bench --passes 5 --strict $(ARGS)

# What the hot path costs in instructions and allocations, beside what it cost before; ARGS=--keep keeps the new numbers.
bench-instructions:
	scripts/load instructions $(ARGS)

# What webhooks that hang do to their neighbours (docs/load-tests.md); about 10 minutes. ARGS="--seconds 60 --pairs 3"
bench-isolation:
	scripts/load isolation $(ARGS)

# What a webhook with 100,000 waiting deliveries costs, and whether it gets them when it heals; about 25 minutes.
bench-parked:
	scripts/load parked $(ARGS)

# Whether anything is lost while faults of all kinds come at random: make soak MINUTES=60, with ARGS="--seed 7" again.
MINUTES = 10
soak:
	scripts/load soak --minutes $(MINUTES) $(ARGS)

# Random input for every decoder, 120 seconds each: make fuzz SECONDS=20 TARGETS="harbor zot".
SECONDS = 120
TARGETS =
fuzz:
	scripts/fuzz $(SECONDS) $(TARGETS)
