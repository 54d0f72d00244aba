# For authors and teachers, included by the Makefile; run from the top folder. Each command adds to .venv what it needs.
# make test       set up once, then run the whole test suite
# make run        set up once, then execute every lesson and print the comparison table
# make site       set up once, then build the course as a static site into build/site
# make classroom  set up once what grades a class: docs/teachers/classroom.md
# make pins       write requirements.txt anew from pyproject.toml; make pins UPGRADE=--upgrade takes the newest versions
# make newest     run the tests with the newest versions that pyproject.toml allows, in an environment of their own
TESTS := -m pytest -n auto --maxprocesses 4 --dist loadfile tests solutions
NEWEST := .venv-newest

.PHONY: test run site classroom pins newest

test: $(READY)-test
	@$(BIN)/python $(TESTS)

run: $(READY)-authors
	@$(BIN)/course run

site: $(READY)-site
	@$(BIN)/course site

classroom: $(READY)-classroom
	@echo "nbgrader is there: source .venv/bin/activate, then go on with docs/teachers/classroom.md"

$(READY)-%: $(READY)
	@echo "Adding to .venv what pyproject.toml lists under '$*' ..." && $(call install,[$*]) && echo "Ready after $$SECONDS s." && touch $@

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
