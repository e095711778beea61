# Needs: bash, GNU make, python3 >= 3.11 with venv. Every target sets up what it needs and can be called again.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
SCENES ?= $(or $(GSCODEC_SHARED),../shared)/scenes
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONSTRAINTS := $(CURDIR)/constraints.txt

.PHONY: help
help: ## say what each target does
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

.PHONY: setup
setup: $(STAMP) ## make the virtual environment .venv and install everything into it

# The stamp is written last: an interrupted or failed installation is done again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is older than 3.11: make PYTHON=...")'
	rm -f $@
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(CONSTRAINTS) PIP_BUILD_CONSTRAINT=$(CONSTRAINTS) \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,eval]'
	touch $@

.PHONY: demo
demo: $(STAMP) ## code the sample scene there and back; sizes, errors and pictures in demo/
	$(BIN)/python -m gscodec_tools.demo

.PHONY: test
test: $(STAMP) ## the fast tests
	$(BIN)/python -m pytest -n 2 -q -m 'not slow and not gpu'

.PHONY: test-slow
test-slow: $(STAMP) ## the tests that take longer
	$(BIN)/python -m pytest -n 2 -q -m 'slow and not gpu'

.PHONY: lint
lint: $(STAMP) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: conformance
conformance: $(STAMP) ## gsdec and the reference decoder on the conformance files
	$(BIN)/python conformance/run.py --in-process
	$(BIN)/python conformance/run.py --decoder '$(BIN)/gsdec {in} -o {out}'
	$(BIN)/python conformance/run.py --decoder '$(BIN)/python -m bitstream_spec.reference_decoder {in} -o {out}'

.PHONY: bench
bench: $(STAMP) ## measure on the scenes below SCENES=, into results/, on a machine that does nothing else (hours)
	scenes=('$(SCENES)'/*/point_cloud.ply); \
	  $(BIN)/gsrd run "$${scenes[@]%/point_cloud.ply}" -o results --jobs 1; \
	  $(BIN)/gsrd prune "$${scenes[@]%/point_cloud.ply}" -o results --coding rap-distilled --figures; \
	  $(BIN)/python -m gscodec_tools.bench_targets "$${scenes[@]%/point_cloud.ply}" --json results/targets.json
	$(BIN)/python -m gscodec_tools.bench_entropy --json results/entropy.json
	$(BIN)/python -m gscodec_tools.bench_errors '$(SCENES)'/*/point_cloud.ply --json results/errors.json
	$(BIN)/python -m gscodec_tools.bench_lossless '$(SCENES)'/*/point_cloud.ply --json results/lossless.json
	$(BIN)/python -m gscodec_tools.bench_progressive '$(SCENES)'/*/ --json results/progressive.json
	$(BIN)/python -m gscodec_tools.bench_scale --scenes '$(SCENES)' --out results --splats 1000000 5000000 20000000 \
	  --peers-up-to 1000000 --scratch "$${TMPDIR:-/tmp}"
	if $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  $(BIN)/python -m gscodec_tools.bench_render --scenes '$(SCENES)' --json results/render.json; \
	else echo 'torch is not installed: results/render.json stays as it is'; fi
	$(BIN)/python -m gscodec_tools.bit_exact '$(SCENES)'/*/point_cloud.ply --lossless --json results/bit_exact.json

# A few points of each codec; those that need Node.js are left out of the curves without it.
REPORT := build/report
REPORT_CODECS := gscodec,spz,compressed-ply,naive
REPORT_LABELS := q15,q30,q50,q60,q75,q90,v4,v4-H2,v4-H1,v4-H0,default,default-H2,default-H1,default-H0,5bit,6bit,8bit,10bit

.PHONY: report
report: $(STAMP) ## rate-distortion curves of the sample scene as one page, build/report/report.html (minutes)
	mkdir -p $(REPORT)/sample
	$(BIN)/gsdec sample/sample.gsb -o $(REPORT)/sample/point_cloud.ply -f
	cp -r sample/cameras.json sample/images $(REPORT)/sample
	$(BIN)/gsrd run $(REPORT)/sample -o $(REPORT) --codecs $(REPORT_CODECS) --labels $(REPORT_LABELS) --jobs 1
	$(BIN)/gsrd report $(REPORT) -o $(REPORT)/report.html --literature results/literature -f

.PHONY: readme
readme: $(STAMP) ## write the numbers of results/ into README.md
	$(BIN)/python -m gscodec_tools.readme_results

.PHONY: clean
clean: ## remove everything that can be made again
	rm -rf $(VENV) build dist demo tools/peers/node_modules *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +
