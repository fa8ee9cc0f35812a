# The ARM builds: making them, their size, and what proves them.

.PHONY: firmware
firmware: ## both ARM builds, in target/firmware; ROUTE=cross|rustup|distribution THUMB=no
	@board/tools/build

.PHONY: size
size: firmware ## the firmware's size by crate, against board/size.txt; RECORD=1 writes it
	@board/tools/size $(if $(RECORD),--record)

.PHONY: image
image: firmware ## what can be flashed: target/firmware/*/boardroom*.tar.gz and .jffs2
	@board/tools/image armv4t

.PHONY: test-boards
test-boards: firmware image build ## three emulated ARM boards: deployment, restart, election; N=
	@tests/packages
	@tests/board/machines.py $(N)
