# make lab     set up once, then open the course in JupyterLab
# make setup   set up, no more
# make clean   remove what was set up
# More, for authors and teachers (make test, make run, ...), stands in the file included at the end; a student's copy is without it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: lab setup clean
.DELETE_ON_ERROR:

lab: $(READY)
	@$(BIN)/course lab

setup: $(READY)

# install,EXTRAS: the course, with extras such as [test], in the versions of requirements.txt. uv where it is found, plain pip where
# not; byte-compiled either way, which saves seconds at each kernel start.
define install
{ if command -v uv >/dev/null; then \
	uv pip install --quiet --compile-bytecode --python $(BIN)/python -c requirements.txt setuptools && \
	uv pip install --quiet --compile-bytecode --python $(BIN)/python -c requirements.txt --no-build-isolation -e ".$(1)" ; \
else \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt setuptools && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt --no-build-isolation -e ".$(1)" ; \
fi; } || { echo; \
	echo "Set-up failed; the reason stands above. What helps:"; \
	echo "  - no network or a time-out: check the connection and run the same command again, it goes on where it stopped;"; \
	echo "  - no space left: torch with its GPU libraries takes about 6 GB on Linux; README.md says how to get the small CPU build;"; \
	echo "  - 'No module named venv' or 'ensurepip': install your system's venv package (Debian: apt install python3-venv);"; \
	echo "  - anything else: make clean, then the same command again."; \
	exit 1; }
endef

$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Set-up: there is no '$(PYTHON)'. Install Python 3.11 or newer, or say make PYTHON=/path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Set-up: $$($(PYTHON) --version) is too old. Install Python 3.11 or newer, or say make PYTHON=python3.12."; exit 1; }
	@rm -f $(READY)*
	@echo "Setting up .venv once (a few minutes, most of it torch) ..."
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv ; \
	else \
		$(PYTHON) -m venv .venv ; \
	fi && $(call install)
	@touch $(READY)

clean:
	rm -rf .venv .venv-newest

-include course_utils/authoring/authors.mk
