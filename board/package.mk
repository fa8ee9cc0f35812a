.PHONY: deb
deb: pages firmware ## Debian packages for this machine and for the board (armel): target/packages
	@board/package/deb "$$(dpkg --print-architecture)" target/release/boardroom target/pages target/packages
	@board/package/deb armel target/firmware/armv4t/boardroom target/pages target/packages
