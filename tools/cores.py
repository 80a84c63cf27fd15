"""How many cores this process may use."""
import contextlib
import math
import os
from pathlib import Path


def available_cores():
    """Cores that this process may use: its CPU affinity, capped by the quota of a container."""
    if hasattr(os, "sched_getaffinity"):          # Linux
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota(Path("/sys/fs/cgroup"))
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def cgroup_quota(root, listing="/proc/self/cgroup"):
    """CPU quota in cores (1.5: one and a half) of the process's control group or of one above it,
    whichever is the lowest; 0.0 where there is none.

    listing: the file that names the groups.  Where a container sees only its own group, that is
    the root.
    """
    groups = {Path("/")}
    with contextlib.suppress(OSError):
        for line in Path(listing).read_text().splitlines():       # "0::/a/b", "4:cpu,cpuacct:/a/b"
            _, controllers, path = line.split(":", 2)
            if controllers == "" or "cpu" in controllers.split(","):
                groups.update([Path(path), *Path(path).parents])
    quotas = [quota_of(root, group.relative_to("/")) for group in groups if group.is_absolute()]
    return min(filter(None, quotas), default=0.0)


def quota_of(root, group):
    """The quota in cores that the files of one control group state; 0.0 for none."""
    try:
        if (root / group / "cpu.max").exists():   # version 2: "150000 100000" or "max 100000"
            quota, period = (root / group / "cpu.max").read_text().split()
        else:                                     # version 1: -1 means no limit
            quota, period = ((root / "cpu" / group / f"cpu.cfs_{name}_us").read_text()
                             for name in ("quota", "period"))
        return max(0.0, int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):     # no such file, or "max"
        return 0.0
