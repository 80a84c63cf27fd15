"""Networks through Vulkan; on a machine without a GPU a driver in software (llvmpipe) computes."""
import numpy as np
import pytest

from config import CONFIGS, get_config
from tests.builders import SLIM, realistic
from tools import runtime, vulkan
from tools.engines.check import deviation, flat
from tools.engines.dygraph import Dygraph
from tools.engines.ncnn import Ncnn
from tools.errors import UserError
from tools.vulkan import VulkanDevice, find_device, vulkan_devices

HALF_RMS = 0.2                     # of an output's deviation; 0.17 was the most seen
GPU, SOFTWARE = VulkanDevice(1, "a GPU", False), VulkanDevice(0, "llvmpipe", True)
needs_driver = pytest.mark.skipif(not vulkan_devices(), reason=(
    "no Vulkan device: ncnn or a driver is missing (Debian: mesa-vulkan-drivers)"))


RUN = [name for name in CONFIGS if not Ncnn.cannot_run(get_config(name), "")]
IN_HALF = ("quickstart", "solov2_light_r50_vd_fpn_dcn_512_3x", "solov2_mobilenetv3_fpn_448_3x")


@needs_driver
@pytest.mark.slow
@pytest.mark.parametrize("name, precision", [*((name, "float32") for name in RUN),
                                             *((name, "half") for name in IN_HALF)])
def test_vulkan_agrees_with_dygraph(name, precision, tmp_path):
    cfg = get_config(name, **SLIM, head_convs=1)
    model = realistic(cfg)
    Ncnn.write(model, tmp_path)
    engine = Ncnn(tmp_path, 2, precision, f"vulkan:{vulkan_devices()[0].index}")
    images = np.random.default_rng(1).normal(size=(1, 3, 32, 64)).astype(np.float32)
    found, expected = engine(images), Dygraph(model)(images)
    assert engine.network.opt.use_vulkan_compute
    if precision == "float32":
        assert deviation(found, expected) < 1e-4
    # Scores of random weights lie close to their bias of -4.6, where float16 has steps of 0.004.
    for ours, theirs in zip(flat(found), flat(expected), strict=True):
        assert np.sqrt(np.mean((ours - theirs) ** 2)) < HALF_RMS * theirs.std()


def test_what_runs_on_the_cpu_is_said():
    assert "deformable convolutions run on the CPU" in Ncnn.on_the_cpu(get_config(2))
    assert Ncnn.on_the_cpu(get_config("quickstart")) == ""


@pytest.fixture
def devices(monkeypatch):
    def pretend(*found):
        for module in (vulkan,):
            monkeypatch.setattr(module, "vulkan_devices", lambda: list(found))
        monkeypatch.setattr("paddle.device.is_compiled_with_cuda", lambda: False)
    return pretend


def test_a_driver_in_software_is_only_taken_by_its_number(devices):
    devices(SOFTWARE)
    assert find_device("vulkan:0") == SOFTWARE
    with pytest.raises(UserError, match=r"ncnn sees vulkan:0 llvmpipe \(in software\)"):
        find_device("vulkan")
    assert runtime.resolve_device("auto", vulkan=True) == "cpu"
    with pytest.raises(UserError, match="CPU build"):
        runtime.resolve_device("gpu", vulkan=True)


def test_a_gpu_without_cuda_is_found_through_vulkan(devices):
    devices(SOFTWARE, GPU)
    assert runtime.resolve_device("gpu", vulkan=True) == "vulkan:1"
    assert runtime.resolve_device("vulkan", vulkan=True) == "vulkan:1"
    assert runtime.paddle_device("vulkan:1") == "cpu" and runtime.paddle_device("gpu:1") == "gpu:1"
    with pytest.raises(UserError, match="'vulkan:1' can only predict"):
        runtime.resolve_device("vulkan:1")
    with pytest.raises(UserError, match="CPU build"):
        runtime.resolve_device("gpu")


def test_no_device(devices):
    devices()
    with pytest.raises(UserError, match="ncnn sees no Vulkan device"):
        find_device("vulkan:0")


def test_closed_streams_are_no_matter(monkeypatch):
    """As of a daemon or a program with windows."""
    monkeypatch.setattr(vulkan.quiet_output.__globals__["sys"], "stdout", None)

    def closed(number):
        raise OSError(9, "Bad file descriptor")
    monkeypatch.setattr(vulkan.quiet_output.__globals__["os"], "dup", closed)
    with vulkan.quiet_output():
        pass


def test_native_output_stays_away(capfd):
    import os

    with vulkan.quiet_output():
        os.write(1, b"noise")
        os.write(2, b"noise")
    os.write(1, b"heard")
    assert capfd.readouterr() == ("heard", "")
