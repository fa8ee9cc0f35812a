.PHONY: bench
bench: build ## figures side by side with what one would use instead; QUICK=1 for a short run
	@tests/packages $$(sed 's/#.*//' tests/bench/packages.txt) || true
	@BOARDROOM_BIN=target/release/boardroom QUICK=$(QUICK) ONLY="$(ONLY)" /usr/bin/python3 tests/bench/bench.py
