# The simulator, the mutants, the model checker and the fuzzing.

SIM := target/sim/boardroom-sim

.PHONY: sim-build
sim-build:
	@$(CARGO) build --locked --quiet --profile sim -p boardroom-sim

.PHONY: sim
sim: sim-build ## simulate: SEEDS=N a mode, MODE=plain SEED=7 one story, REPORT=1 figures
ifdef SEED
	@$(SIM) run --mode $(or $(MODE),all) --seed $(SEED)
else ifdef REPORT
	@$(SIM) report $(REPORT)
else
	@$(SIM) run --mode $(or $(MODE),all) --from $(or $(FROM),0) --seeds $(or $(SEEDS),10000)
endif

.PHONY: scenarios
scenarios: sim-build ## what happens in the field, by name: SEEDS=N of each
	@$(SIM) scenarios $(or $(SEEDS),100)

.PHONY: mutants
mutants: sim-build ## build deliberate bugs and see each caught: ONLY=part-of-a-name
	@$(SIM) mutants $(ONLY)

.PHONY: model
model: sim-build ## model checking: every order of events of 2 and 3 boards, MODE=quorum
	@$(SIM) model $(MODE)

.PHONY: fuzz
fuzz: sim-build ## any bytes to every decoder and to the board: SECONDS=60
	@$(SIM) fuzz $(or $(SECONDS),60)

.PHONY: replay
replay: sim-build ## play again what `serve --record` wrote: FILE=record.txt
	@$(SIM) replay $(FILE)

.PHONY: story
story: sim-build ## draw what happened: SEED=7 MODE=failover, FILE=tests/transcripts/lone-board.txt, or RECORD=file
	@$(if $(RECORD),cat $(RECORD),$(if $(SEED),$(SIM) run --mode $(or $(MODE),plain) --seed $(SEED),$(SIM) story $(FILE))) \
		>target/story.txt || true
	@/usr/bin/python3 tests/story/story.py --title "$(or $(RECORD),$(if $(SEED),$(or $(MODE),plain) seed $(SEED),$(FILE)))" \
		target/story.txt >target/story.svg
	@echo 'told in target/story.txt, drawn in target/story.svg'
