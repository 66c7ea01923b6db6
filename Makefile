PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out
# Processes that run tests side by side, one thread each.
JOBS ?= 2
# Where to take torch from; https://download.pytorch.org/whl/cpu spares the CUDA packages.
TORCH_INDEX ?=
PHOTO = $(shell $(BIN)/python -c "import pathlib, skimage; print(pathlib.Path(skimage.__file__).parent / 'data/astronaut.png')")
CHECKPOINT := benchmarks/training/resnet-small-stride-1/best.safetensors
# Torch's tests and converters are faster on one thread than on two that compete.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test lint bench docs wheel-test test-arm test-boot clean

help:
	@echo "make demo        set up .venv, quantize the shipped checkpoint, bench it, read a face"
	@echo "make test        all tests"
	@echo "make lint        format, lint, types, layers"
	@echo "make bench       latency of the shipped bundle on every installed engine"
	@echo "make docs        write the command-line reference and the READMEs' tables"
	@echo "make wheel-test  build the wheel and run it alone in a clean environment"
	@echo "make test-arm    run the wheel on emulated ARM processors (root)"
	@echo "make test-boot   flash a Debian image and boot it in QEMU (root, 5 to 15 minutes)"

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'edge-fer needs Python 3.10 or newer')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	@touch $@

demo: $(VENV)/.ready
	@mkdir -p $(OUT)
	$(BIN)/edge-fer quantize $(CHECKPOINT) --calibration photos:$(PHOTO) --out $(OUT)/demo-bundle --force
	$(BIN)/edge-fer bench $(OUT)/demo-bundle --threads 1
	$(BIN)/edge-fer run $(PHOTO) --bundle $(OUT)/demo-bundle --record $(OUT)/demo.png --force
	@echo "The annotated picture is $(OUT)/demo.png, the bundle $(OUT)/demo-bundle"

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready
	$(BIN)/edge-fer bench

docs: $(VENV)/.ready
	$(BIN)/python docs/write_reference.py
	$(BIN)/python docs/write_tables.py

wheel-test: $(VENV)/.ready
	$(BIN)/python -m pytest -m wheel

test-arm: $(VENV)/.ready
	$(BIN)/python -m pytest -m arm tests/arm

test-boot: $(VENV)/.ready
	$(BIN)/python -m pytest -m boot tests/boot
	@echo "What its console said is in out/boot.log"

clean:
	rm -rf $(OUT) dist build
