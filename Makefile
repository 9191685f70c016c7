# Every target sets up what it needs: the virtual environment is made once, and again when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The CPU build tested here. On a GPU machine: make venv TORCH='torch' (or the build for your CUDA version).
TORCH ?= torch==2.13.0
WORKERS ?= 2
MINUTES ?= 10
NAME ?= after
NOTEBOOK := docs/notebook.ipynb
KILLS ?= 1000
# Before "five minutes to the first answer", and what that code needs besides.
COMMIT ?= 544812c
PACKAGES ?= orjson
STUDY ?= reference
SEED ?= 0
BLOCK ?= $(STUDY)-seed$(SEED)
REFERENCE := results/reference
TABLE = $(REFERENCE)$(patsubst reference_%,/%,$(filter reference_%,$(STUDY)))
GPU_SECONDS ?= 600
GPU_WORKERS ?= 16
MODELS ?= build/models
SPEECH ?= build/speech
RUN := $(BIN)/asr-scaling
SLURM_PROGRAMS := slurmctld munged slurmdbd mariadbd my_print_defaults
SLURM_PACKAGES := slurm-wlm munge slurmdbd mariadb-server-core mariadb-client-core
SLURM_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SLURM_PACKAGES)
DEMO := results/demo
# Twice the demo's largest budget: one more run, which the fits have not seen.
FORECAST := 8e11

.PHONY: venv demo study study-gpu test torture test-slow test-gpu test-slurm test-ray slurm-ready ray-ready browser-ready check docs bench bench-against bench-gpu reference-answers mutate fuzz notebook minis clean

venv: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q '$(TORCH)'
	$(BIN)/python -m pip install -q -e '.[all]' --group dev
	touch $@

demo: $(READY)  ## the main job in miniature: a real sweep on CPU, from a study file to a report
	$(RUN) plan demo --out $(DEMO)
	$(RUN) run demo --out $(DEMO) --workers $(WORKERS)
	$(RUN) fit $(DEMO)
	$(RUN) compare $(DEMO) --baseline joint
	$(RUN) predict $(DEMO) --flops $(FORECAST)
	$(RUN) recommend $(DEMO) --flops $(FORECAST) --study $(DEMO)/next.yaml
	$(RUN) run $(DEMO)/next.yaml --out $(DEMO)/forecast --ledger $(DEMO) --workers 1
	$(RUN) forecast $(DEMO)
	$(RUN) report $(DEMO)

test: $(READY)  ## the tests that pass everywhere in minutes
	$(BIN)/python -m pytest

test-slow: $(READY)  ## with the tests that take minutes each
	$(BIN)/python -m pytest --slow -m slow

test-gpu: $(READY)  ## the tests that need an accelerator
	$(BIN)/python -m pytest --gpu -m gpu

test-slurm: slurm-ready  ## on a real Slurm of two nodes of its own
	$(BIN)/python -m pytest --slurm $(addprefix tests/sweeps/launchers/,test_slurm_faults.py test_slurm.py)

test-ray: ray-ready  ## on a real Ray cluster of two nodes, in a network of its own
	$(BIN)/python -m pytest --ray tests/sweeps/launchers/test_ray.py

slurm-ready: $(READY)  ## what test-slurm needs: root, host names of its own, Debian's packages (installed if need be)
	@unshare --uts true || { echo "a Slurm of its own needs root" >&2; exit 1; }
	@(for name in $(SLURM_PROGRAMS); do command -v $$name || exit 1; done) >/dev/null || \
		{ apt-get update -qq && $(SLURM_INSTALL); } || \
		{ echo "a Slurm of its own needs $(SLURM_PACKAGES), and apt-get could not install them" >&2; exit 1; }

ray-ready: $(READY)  ## what test-ray needs: root, a network of its own, the package (installed if need be)
	@unshare --net true || { echo "a Ray cluster with a network of its own needs root" >&2; exit 1; }
	@$(BIN)/python -c 'import ray' 2>/dev/null || $(BIN)/python -m pip install -q -e '.[ray]'

browser-ready:  ## what tests of the page click in: Debian's chromium (installed if need be, as root)
	@command -v chromium >/dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } || \
		{ echo "tests of the page need chromium, and apt-get could not install it" >&2; exit 1; }

torture: $(READY)  ## a real sweep under KILLS kill -9, to results/benchmarks/torture.json
	PYTHONPATH=tests/scaling:tests/sweeps/torture OMP_NUM_THREADS=1 $(BIN)/python tests/sweeps/torture/torture.py --kills $(KILLS)

check: $(READY)  ## format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)  ## the pages of docs/ as a site, in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(READY)  ## ratios against named baselines, in one run, to results/benchmarks/
	for file in $(filter-out %bench_gpu.py,$(wildcard tests/benchmarks/bench_*.py)); do $(BIN)/python $$file || exit 1; done

bench-against: $(READY)  ## what a user's work costs beside the code of COMMIT, in turns, to results/benchmarks/against_commit.json; nothing else may run
	$(BIN)/python tests/benchmarks/against_commit.py $(COMMIT) $(PACKAGES)

reference-answers: $(READY)  ## the answers and pages of results/reference from its tables; four minutes
	PYTHONPATH=.:tests/analysis $(BIN)/python -m reference_study

study: $(READY)  ## a block of the reference study, merged into its table: STUDY, SEED, SET='budgets_flops=[1e12]'
	$(RUN) run $(STUDY) --out build/reference/$(BLOCK) --ledger build/reference/ledger --workers $(WORKERS) --set seeds=[$(SEED)] $(if $(SET),--set '$(SET)')
	$(RUN) merge $(wildcard $(REFERENCE)/parts/$(STUDY)-*.jsonl) build/reference/$(BLOCK) --out $(TABLE)
	mkdir -p $(REFERENCE)/parts && cp build/reference/$(BLOCK)/runs.jsonl $(REFERENCE)/parts/$(BLOCK).jsonl

study-gpu: $(READY)  ## its question on one accelerator, runs side by side, GPU_SECONDS at most: MODELS and SPEECH (results/reference/gpu.yaml)
	timeout --signal=TERM $(GPU_SECONDS) $(RUN) run $(REFERENCE)/gpu.yaml --out build/reference/gpu --workers $(GPU_WORKERS) --set precision=bf16 \
		--set models.0.encoder=$(MODELS)/whisper-tiny.en --set models.0.llm=$(MODELS)/smollm2-135m --set data.root=$(SPEECH) $(if $(SET),--set '$(SET)')

bench-gpu: $(READY)  ## on an accelerator, in about five minutes, to results/benchmarks/gpu.json
	$(BIN)/python tests/benchmarks/bench_gpu.py

mutate: $(READY)  ## which small wrong changes the tests notice, to results/benchmarks/mutation.json under NAME; an hour and more
	$(BIN)/python tests/mutation/mutate.py $(NAME)

fuzz: $(READY)  ## damaged input for every reader; MINUTES for all together
	$(BIN)/python tests/fuzz/fuzz.py --minutes $(MINUTES)

notebook: $(READY)  ## execute docs/notebook.ipynb again, where what it shows has changed
	$(BIN)/python -c 'import nbclient, nbformat; book = nbformat.read("$(NOTEBOOK)", 4); \
		nbclient.NotebookClient(book, record_timing=False).execute(); nbformat.write(book, "$(NOTEBOOK)")'

minis: $(READY)  ## make the small base models again, from their seeds (about half an hour on two cores)
	$(BIN)/python -m scaling.asr.pretraining.pretrain all

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis results/demo build dist *.egg-info
