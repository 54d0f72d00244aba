# make lab     set up once, then open the course in JupyterLab
# make setup   set up, no more
# make clean   remove what was set up
# More, for authors and teachers (make test, make run, ...), stands in the file included at the end; a student's copy is without it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SHELL := bash

.PHONY: lab setup clean
.DELETE_ON_ERROR:

lab: $(READY)
	@$(BIN)/course lab

setup: $(READY)

# Of what pip and uv say, show what takes time: pip's large files, and all of uv but its list of every package. Nothing to show is
# no error.
PIP_SAYS := { grep --line-buffered -oE '(Downloading|Using cached) [^ ]+ \([0-9]{2,}\.[0-9] MB\)|Installing collected packages' || true; }
UV_SAYS := { grep --line-buffered -vE '^ [-+~] |^Using Python' || true; }

# install,EXTRAS: the course, with extras such as [test], in the versions of requirements.txt. uv where it is found, plain pip where
# not; byte-compiled on all cores either way, which saves seconds at each kernel start.
define install
{ set -o pipefail; if command -v uv >/dev/null; then \
	uv pip install --quiet --python $(BIN)/python -c requirements.txt setuptools && \
	uv pip install --compile-bytecode --python $(BIN)/python -c requirements.txt --no-build-isolation -e ".$(1)" 2>&1 | $(UV_SAYS) ; \
else \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt setuptools && \
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c requirements.txt --no-build-isolation -e ".$(1)" | $(PIP_SAYS) && \
	echo "Compiling them for quick starts" && { $(BIN)/python -m compileall -qq -j 0 .venv/lib || true; } ; \
fi; } || { echo; \
	echo "Set-up failed; the reason stands above. What helps:"; \
	echo "  - no network or a time-out: check the connection and run the same command again, it goes on where it stopped;"; \
	echo "  - no space left: torch with its GPU libraries takes about 6 GB on Linux; with uv, UV_TORCH_BACKEND=cpu make lab takes the small CPU build;"; \
	echo "  - 'No module named venv' or 'ensurepip': install your system's venv package (Debian: apt install python3-venv);"; \
	echo "  - anything else: make clean, then the same command again."; \
	exit 1; }
endef

$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Set-up: there is no '$(PYTHON)'. Install Python 3.11 or newer, or say make PYTHON=/path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Set-up: $$($(PYTHON) --version) is too old. Install Python 3.11 or newer, or say make PYTHON=python3.12."; exit 1; }
	@rm -f $(READY)*
	@echo "[1/3] A Python environment in .venv ..."; \
	if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv ; \
	else \
		$(PYTHON) -m venv .venv ; \
	fi && \
	echo "[2/3] Its packages, once: a few minutes, most of it torch; large files are named ..." && $(call install) && \
	echo "[3/3] Ready after $$SECONDS s." && touch $(READY)

clean:
	rm -rf .venv .venv-newest

-include course_utils/authoring/authors.mk
