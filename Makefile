# The targets of the lab of real sshd nodes (tests/lab). They need root.

LAB = cargo run --quiet --package clearway-lab --bin lab --
N ?= 3

.PHONY: lab-base lab-up lab-down

# Makes the image that all nodes share: about a minute, once.
lab-base:
	$(LAB) base --install

# Starts N nodes that run until lab-down, and prints where their inventory is.
lab-up:
	$(LAB) up --nodes $(N)

lab-down:
	$(LAB) down
