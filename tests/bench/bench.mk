# What the figures of this machine need: the static build, and the armv4t one
# for what QEMU counts. A quick run takes those that are there.
.PHONY: bench
bench: build sim-build ## figures side by side with what one would use instead; QUICK=1 for a short run
	@tests/packages $$(sed 's/#.*//' tests/bench/packages.txt) || true
ifndef QUICK
	@board/tools/build host armv4t || true
endif
	@BOARDROOM_BIN=target/release/boardroom QUICK=$(QUICK) ONLY="$(ONLY)" /usr/bin/python3 tests/bench/bench.py
