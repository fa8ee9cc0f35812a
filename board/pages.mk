.PHONY: pages
pages: build ## manual pages and completions: target/pages
	@/usr/bin/python3 board/pages/manual.py target/release/boardroom target/pages/man
	@/usr/bin/python3 board/pages/completions.py target/release/boardroom target/pages/completions
	@echo 'made: target/pages/man and target/pages/completions'
