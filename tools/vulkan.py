"""GPUs that Vulkan shows, as ncnn finds them; nothing is chosen here.

ncnn's wheel has its own Vulkan layers and looks for the system's loader at the first question.
"""
import functools
import re
from typing import NamedTuple

from tools.errors import UserError
from tools.quiet import quiet_output

SOFTWARE = 3                                   # ncnn's number for a driver that runs on the CPU


class VulkanDevice(NamedTuple):
    """A device as ncnn numbers it."""

    index: int
    name: str
    is_software: bool


@functools.cache
def vulkan_devices():
    """[VulkanDevice]; empty without ncnn, the loader or a driver."""
    try:
        with quiet_output():
            import ncnn

            infos = [ncnn.get_gpu_info(index) for index in range(ncnn.get_gpu_count())]
    except (ImportError, OSError, RuntimeError, AttributeError):
        return []
    return [VulkanDevice(index, info.device_name(), info.type() == SOFTWARE)
            for index, info in enumerate(infos)]


def fastest_gpu():
    """The first device that is a GPU, not a driver in software; None if there is none."""
    return next((device for device in vulkan_devices() if not device.is_software), None)


def find_device(text):
    """The VulkanDevice behind "vulkan" (the first GPU) or "vulkan:N"; UserError if it is not there.

    A driver in software is only taken by its number.
    """
    number = re.fullmatch(r"vulkan:(\d{1,4})", text)
    if number and int(number[1]) < len(vulkan_devices()):
        return vulkan_devices()[int(number[1])]
    if text == "vulkan" and (gpu := fastest_gpu()):
        return gpu
    there = ", ".join(f"vulkan:{device.index} {device.name}"
                      + " (in software)" * device.is_software for device in vulkan_devices())
    raise UserError(f"device '{text}' is not there: ncnn sees {there or 'no Vulkan device'}; "
                    "it needs ncnn, a Vulkan driver and its loader (libvulkan), or use "
                    "--device cpu")
