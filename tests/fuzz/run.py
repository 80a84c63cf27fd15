"""A campaign: seeds -> files -> outcomes -> findings."""
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from tests.fuzz.kinds import KINDS
from tests.fuzz.sandbox import run_all

SECONDS = 2.0                      # of CPU for a small file; the promise is one, on a free machine
ROOM = 48 << 20                   # bytes of memory; no file here has over 100 kB
ROOMS = {"image": 3 << 30}         # a picture takes what its header states, up to OpenCV's limit
BATCH = 50                         # inputs per child



def one_input(kind, seed):
    """Make the file of a seed, and read it."""
    make, check = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = make(np.random.default_rng(seed), Path(folder))
        check(path)


def problem(outcome, room=ROOM):
    """What is wrong with an Outcome, "" if nothing is."""
    if outcome.kind not in ("ok", "refused"):
        return f"{outcome.kind}: {outcome.text}"
    if outcome.seconds > SECONDS + outcome.peak / 5e8:   # pages of a large picture cost time
        return f"took {outcome.seconds:.1f} s of CPU"
    if outcome.peak > room:
        return f"took {outcome.peak >> 20} MiB"
    lines = outcome.text.split("\n")
    if not all(line.isprintable() for line in lines):
        return f"would write control characters: {outcome.text!r}"
    return ""


def campaign(kind, seeds):
    """(Counter of outcomes, [(seed, problem)]) of the files of these seeds."""
    counts, findings = Counter(), []
    for seed, outcome in run_all(lambda seed: one_input(kind, seed), seeds):
        wrong = problem(outcome, ROOMS.get(kind, ROOM))
        counts["finding" if wrong else outcome.kind] += 1
        if wrong:
            findings.append((seed, wrong))
    return counts, findings


def run_for(seconds, kinds, seed, say=print):
    """Campaigns in turn for about `seconds`; ({kind: Counter}, [(kind, seed, problem)])."""
    counts, findings = {kind: Counter() for kind in kinds}, []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for kind in kinds:
            found, wrong = campaign(kind, range(seed, seed + BATCH))
            counts[kind] += found
            findings += [(kind, number, text) for number, text in wrong]
            for number, text in wrong:
                say(f"finding: --kind {kind} --seed {number} --count 1\n{text}")
        seed += BATCH
    return counts, findings
