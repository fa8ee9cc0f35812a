# The board from here: BOARDS="root@10.3.52.2 root@10.3.52.3 …"

.PHONY: deploy
deploy: $(if $(BOARDS),firmware) ## installs on BOARDS="root@10.3.52.2 …" over ssh and starts them; BUILD= CONFIG= SSH_OPTIONS=
	@board/tools/deploy deploy $(BOARDS)

.PHONY: undeploy rollback status
undeploy: ## removes what was installed on BOARDS
	@board/tools/deploy undeploy $(BOARDS)

rollback: ## back to the program before the last deployment, on BOARDS
	@board/tools/deploy rollback $(BOARDS)

status: ## what each of BOARDS says of itself
	@board/tools/deploy status $(BOARDS)
