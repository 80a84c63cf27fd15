"""Every command is killed, interrupted and put on a full disk; python -m tests.faults: more often.
"""
import os
import signal
import sys

import pytest

from tests.faults.campaign import Campaign, SlowServer
from tests.faults.commands import Command, commands, make_inputs

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
TESTED = ("test_dev", "demo, engine made", "export openvino", "convert", "download", "shapes")


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """{name: Command}, with inputs and a server."""
    inputs = tmp_path_factory.mktemp("inputs")
    make_inputs(inputs)
    with SlowServer(bytes(500_000), 4 << 20) as address:
        yield commands(inputs, address)


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
def test_nothing_is_lost_hung_or_left_behind(name, known, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    campaign = Campaign(known[name], tmp_path / "work")
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        campaign.signals(1, number)
    campaign.full_disk(2)
    campaign.no_place()
    assert campaign.findings == [] and sum(campaign.tried.values()) >= 5


@pytest.mark.slow
def test_the_campaign_finds_what_is_wrong(tmp_path):
    """A careless command: a half-written file, a traceback where there is no place."""
    campaign = Campaign(Command("tests.faults.careless", ["{out}/a"]), tmp_path / "work")
    campaign.signals(3, signal.SIGKILL)
    campaign.no_place()
    text = "\n".join(campaign.findings)
    assert "'a' is not whole" in text and "no place to write" in text
    assert os.listdir(tmp_path / "work") == []
