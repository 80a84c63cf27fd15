"""python -m tools, --version and python -m tools.doctor."""
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tools import __main__ as listing
from tools import doctor
from tools.version import VERSION
from tools.weights import weights_file

ROOT = Path(__file__).resolve().parent.parent


def test_every_command_is_listed_with_a_sentence():
    rows = dict(listing.commands())
    assert {"python demo.py", "python train.py", "python eval.py", "python test_dev.py",
            "python -m convert", "python -m tools.check_dataset", "python -m tools.export",
            "python -m tools.doctor", "python -m tools.data.shapes"} <= set(rows)
    assert all(5 < len(sentence) < 110 for sentence in rows.values()), rows
    assert not any("-m tools" in sentence or sentence.endswith(".") for sentence in rows.values())


def test_no_command_beside_its_own_package():
    for path in [*ROOT.glob("tools/*.py"), *ROOT.glob("tools/*/*.py")]:
        assert not path.with_suffix("").is_dir(), path


@pytest.mark.parametrize("command", [["demo.py"], ["train.py"], ["-m", "convert"],
                                     ["-m", "tools.doctor"], ["-m", "tools.data.holdout"]])
def test_version(command):
    done = subprocess.run([sys.executable, *command, "--version"], cwd=ROOT, capture_output=True,
                          text=True, timeout=100)
    assert (done.returncode, done.stdout.strip()) == (0, VERSION)


def test_version_is_the_newest_of_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = next(line for line in text.splitlines() if line.startswith("## "))
    assert newest.split()[1] == VERSION
    assert f'version: "{VERSION}"' in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_doctor_names_versions_processor_and_engines():
    facts = dict(doctor.facts())
    assert facts["SOLOv2 in PaddlePaddle"] == VERSION
    assert "numpy " in facts["packages"] and "Python 3." in facts["system"]
    assert "cores" in facts["processor"] and "ncnn" in facts["engines"]


def test_what_is_not_installed_is_said():
    assert doctor.installed(("numpy", "no-such-package")).endswith(
        "(not installed: no-such-package)")


def test_the_old_name_of_the_weights_file_still_works():
    with pytest.warns(FutureWarning, match="from tools.weights import"):
        old = importlib.import_module("tools.training.checkpoint")
    assert old.load_weights is weights_file.load_weights
    assert old.save_weights is weights_file.save_weights
