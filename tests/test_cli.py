"""The shared command line: flags, the list of configs, exit codes."""
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config import CONFIGS
from config.base import ConfigError
from tools import cli
from tools.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def test_help_lists_all_configs(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.build_parser("About.").parse_args(["--help"])
    text = capsys.readouterr().out
    assert "About." in text
    for number, name in enumerate(CONFIGS):
        assert f"{number:3d}  {name}" in text


def parse(*argv):
    return cli.build_parser("").parse_args(argv)


def test_defaults():
    args = parse()
    assert args.device == "auto" and cli.load_config(args).name == "quickstart"


def test_config_by_number_with_overrides():
    args = parse("--config=2", "-o", "seed=7", "batch_size=4", "--override", "learning_rate=1e-3")
    cfg = cli.load_config(args)
    assert cfg.name == CONFIGS[2]
    assert (cfg.seed, cfg.batch_size, cfg.learning_rate) == (7, 4, 1e-3)
    assert parse().override == []                      # nothing is kept between calls


@pytest.mark.parametrize("argv", [["--config=99"], ["--config=quikstart"], ["-o", "sede=1"],
                                  ["-o", "seed=x"], ["-o", "seed"]])
def test_bad_config_arguments(argv):
    with pytest.raises(ConfigError):
        cli.load_config(parse(*argv))


@pytest.mark.parametrize("returned, code", [(None, 0), (0, 0), (1, 1)])
def test_exit_code_is_what_main_returns(returned, code):
    seen = []
    with pytest.raises(SystemExit) as exit_info:
        cli.run(lambda argv: seen.append(argv) or returned, ["--flag"])
    assert exit_info.value.code == code and seen == [["--flag"]]


@pytest.mark.parametrize("error", [UserError("no such file"), ConfigError("no such file")])
def test_bad_input_is_one_line(capsys, error):
    def main(argv):
        raise error
    with pytest.raises(SystemExit) as exit_info:
        cli.run(main)
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "error: no such file\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda argv: 1 // 0)


def test_interrupt_ends_at_once_whatever_threads_do():
    code = ("import threading, time; from tools.cli import run\n"
            "def main(argv):\n"
            "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
            "    print('started'); raise KeyboardInterrupt\n"
            "run(main)")
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                            timeout=50, check=False)
    assert result.returncode == 130 and time.monotonic() - start < 30
    assert result.stdout == "started\n" and "Traceback" not in result.stderr
