# The simulator, the mutants, the model checker and the fuzzing.

SIM := target/sim/boardroom-sim

.PHONY: sim-build
sim-build:
	@$(CARGO) build --locked --quiet --profile sim -p boardroom-sim

.PHONY: sim
sim: sim-build ## simulate: SEEDS=N a mode, or MODE=plain SEED=7 for one story
ifdef SEED
	@$(SIM) run --mode $(or $(MODE),all) --seed $(SEED)
else
	@$(SIM) run --mode $(or $(MODE),all) --from $(or $(FROM),0) --seeds $(or $(SEEDS),10000)
endif

.PHONY: story
story: sim-build ## tell a transcript as it goes now: FILE=tests/transcripts/lone-board.txt
	@$(SIM) story $(FILE)
