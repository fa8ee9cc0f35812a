WIRESHARK_PLUGINS ?= $(HOME)/.local/lib/wireshark/plugins

.PHONY: install-wireshark
install-wireshark: ## the election in Wireshark and tshark, for this user
	@mkdir -p $(WIRESHARK_PLUGINS)
	@cp board/wireshark/boardroom.lua $(WIRESHARK_PLUGINS)/
	@echo 'installed: $(WIRESHARK_PLUGINS)/boardroom.lua (Analyze > Reload Lua Plugins, or start anew)'
