# make lab     set up once, then open the course in JupyterLab
# make test    set up once, then run the whole test suite
# make run     set up once, then execute every lesson and print the comparison table
# make setup   set up, no more
# make pins    write requirements.txt anew from pyproject.toml; make pins UPGRADE=--upgrade takes the newest versions
# make site    set up once, then build the course as a static site into build/site
# make newest  run the tests with the newest versions that pyproject.toml allows, in an environment of their own
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TESTS := -m pytest -n auto --maxprocesses 4 --dist loadfile tests solutions
NEWEST := .venv-newest

.PHONY: lab test run setup site pins newest clean
.DELETE_ON_ERROR:

lab: $(READY)
	@$(BIN)/course lab

test: $(READY)
	@$(BIN)/python $(TESTS)

run: $(READY)
	@$(BIN)/course run

setup: $(READY)

site: $(READY)
	@$(BIN)/course site

# uv where it is found, plain venv and pip where not; byte-compiled either way, which saves seconds at each kernel start.
$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Set-up: there is no '$(PYTHON)'. Install Python 3.11 or newer, or say make PYTHON=/path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Set-up: $$($(PYTHON) --version) is too old. Install Python 3.11 or newer, or say make PYTHON=python3.12."; exit 1; }
	@rm -f $(READY)
	@echo "Setting up .venv once (a few minutes, most of it torch) ..."
	@{ if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi; } || { echo; \
		echo "Set-up failed; the reason stands above. What helps:"; \
		echo "  - no network or a time-out: check the connection and run the same command again, it goes on where it stopped;"; \
		echo "  - no space left: torch with its GPU libraries takes about 6 GB on Linux; README.md says how to get the small CPU build;"; \
		echo "  - 'No module named venv' or 'ensurepip': install your system's venv package (Debian: apt install python3-venv);"; \
		echo "  - anything else: make clean, then the same command again."; \
		exit 1; }
	@touch $(READY)

# uv keeps the versions that stand in requirements.txt unless it is told to upgrade. The CUDA libraries are left out: the wheel
# of torch pins them itself. setuptools builds the course, which is installed without build isolation.
pins:
	@command -v uv >/dev/null || { echo "make pins needs uv: pip install uv"; exit 1; }
	@cp requirements.txt requirements.txt.new
	@echo setuptools | uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-header \
		--no-annotate --no-emit-index-url --all-extras pyproject.toml - $(UPGRADE) -o requirements.txt.new || \
		{ rm requirements.txt.new; exit 1; }
	@{ grep '^#' requirements.txt; grep -vE '^(nvidia-|cuda-|triton)' requirements.txt.new; } > requirements.txt.both
	@rm requirements.txt.new && mv requirements.txt.both requirements.txt

# Every test but the one that holds the environment to the pins.
newest:
	@command -v uv >/dev/null || { echo "make newest needs uv: pip install uv"; exit 1; }
	@uv venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(NEWEST)
	@uv pip install --quiet --compile-bytecode --python $(NEWEST)/bin/python setuptools -e . --all-extras -r pyproject.toml
	@uv pip freeze --python $(NEWEST)/bin/python | grep -vE '^(-e|nvidia-|cuda-|triton)' > $(NEWEST)/versions.txt
	@echo "Newer than the pins:"
	@sed 's/ ;.*//' requirements.txt | grep -vxF -f - $(NEWEST)/versions.txt | tee $(NEWEST)/newer.txt
	@$(NEWEST)/bin/python $(TESTS) --deselect tests/test_setup.py::test_what_is_installed_is_what_is_pinned

clean:
	rm -rf .venv $(NEWEST)
