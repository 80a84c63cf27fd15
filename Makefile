# make demo | test | test-fast | lint.  Another interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP_INSTALL := $(RUN) -m pip install --disable-pip-version-check

.PHONY: demo test test-fast lint clean

demo: $(VENV)/installed
	$(RUN) demo.py
	$(RUN) demo.py --config=own_dataset --weights weights/fruits.pdparams images/fruits

# Two parts at a time, each in a process of its own, whose output comes when it has ended.  Engines
# leave threads and drivers behind, and limits of memory want a fresh process: these files run alone.
JOBS ?= 2
ALONE := durability engines engine_cache export engine_choice engine_marks hostile_files
LETTERS := d [q-z] [ab] c [e-h] i [j-p]
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: $(VENV)/installed-test
	$(MAKE) --no-print-directory $(SYNC) -j$(JOBS) $(ALONE:%=test-of-%) $(LETTERS:%=tests-from-%)

test-of-%:
	$(RUN) -m pytest tests/test_$*.py

tests-from-%:
	$(RUN) -m pytest $(filter-out $(ALONE:%=tests/test_%.py),$(wildcard tests/test_$**.py))

test-fast: $(VENV)/installed-test
	$(RUN) -m pytest -m "not slow"

lint: $(VENV)/installed-test
	$(RUN) -m ruff check .

# Stamp files: nothing is installed again until the requirements change.
$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or \
	sys.exit("error: Python %d.%d; Paddle has wheels for 3.10 to 3.13. Name one of them: make " \
	"PYTHON=python3.13; without one: uv venv --python 3.13 --seed py313 && make " \
	"PYTHON=py313/bin/python" % v)'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements.txt
	touch $@

$(VENV)/installed-test: requirements-test.txt $(VENV)/installed
	$(PIP_INSTALL) -r requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV)
