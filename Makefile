# boardroom's doors. `make` alone lists them; each part of the tree may bring
# its own doors in a .mk file.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
CARGO := tests/cargo

.PHONY: help
help: ## this list
	@echo 'Usage: make DOOR'
	@echo
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) \
		| sed -E 's/^([a-z-]+):[^#]*## /\1\t/' \
		| awk -F '\t' '{ printf "  make %-18s %s\n", $$1, $$2 }'

.PHONY: build
build: ## the program for this machine: target/release/boardroom
	@$(CARGO) build --release --locked

.PHONY: demo
demo: build ## see it work: five boards on this machine, no root needed
	@tests/demo/demo

.PHONY: check
check: ## format, lints, documentation, dependencies, oldest compiler
	@tests/check

.PHONY: test
test: ## everything: installs what it needs, ends in `N passed, N failed, N skipped`
	@tests/run

.PHONY: clean
clean: ## remove all that was built
	@$(CARGO) clean

-include $(wildcard board/*.mk tests/*/*.mk)
