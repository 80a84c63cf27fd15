# make demo | test | lint.  Another interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP_INSTALL := $(RUN) -m pip install --disable-pip-version-check

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(RUN) demo.py

test: $(VENV)/installed-test
	$(RUN) -m pytest

lint: $(VENV)/installed-test
	$(RUN) -m ruff check .

# Stamp files: nothing is installed again until the requirements change.
$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 12) or \
	sys.exit("error: Python %d.%d, expected 3.10 to 3.12; try: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements.txt
	touch $@

$(VENV)/installed-test: requirements-test.txt $(VENV)/installed
	$(PIP_INSTALL) -r requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV)
