"""The exported networks of one weights file: made and checked at their first use, then kept."""
import importlib
import importlib.util
import sys

from tools.engines import cache
from tools.engines.check import TOLERANCE, difference
from tools.engines.dygraph import Dygraph
from tools.engines.openvino import OpenVino
from tools.errors import UserError

EXTRAS = "requirements-extras.txt"


class Exports:
    """build_model() -> the network with its weights loaded, called only if it is needed."""

    def __init__(self, weights, cfg, build_model, threads):
        self.weights, self.cfg, self.threads = weights, cfg, threads
        self.build_model, self.built = build_model, None

    @property
    def model(self):
        """The network, built at the first use."""
        self.built = self.built or self.build_model()
        return self.built

    def engine(self, kind, precision="float32", device="cpu"):
        """An engine, opened.  UserError if it cannot run the network exactly in float32."""
        version = version_of(kind)
        if reason := kind.cannot_run(self.cfg, version):
            raise UserError(reason)
        name = f"{kind.name}-{version}-{self.key(kind.__module__)}"
        folder = cache.find(self.weights, name)
        if not folder:
            print(f"exporting '{self.weights}' for {kind.name} {version}, once", file=sys.stderr)
            folder = cache.make(self.weights, name, lambda folder: self.write(kind, folder))
        try:
            return kind(folder, self.threads, precision, device)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"engine '{kind.name}' {version} cannot run the network: {error}"
                            ) from None

    def write(self, kind, folder):
        """Write an export and compare it with dygraph."""
        version = version_of(kind)
        try:
            kind.write(self.model, folder)
            error = difference(kind(folder, self.threads), Dygraph(self.model))
        except ImportError as error:
            raise UserError(f"engine '{kind.name}' needs an export ({error}): "
                            f"{how_to_install(kind)}") from None
        except (RuntimeError, ValueError) as error:
            raise UserError(f"engine '{kind.name}' {version} cannot run the network: {error}"
                            ) from None
        if not error <= TOLERANCE:
            raise UserError(f"engine '{kind.name}' {version} differs from dygraph by {error:.1e} "
                            f"of an output's deviation, more than {TOLERANCE}: use another "
                            "--engine")

    def eight_bits(self, calibration=None):
        """OpenVINO with the network in 8 bits, which is made from images at the first use.

        calibration: (sources, prepare) with prepare(source) -> network-ready float32
        [1, 3, H, W]; makes it anew.  UserError without, if there is none yet.
        """
        version_of(OpenVino)
        name = f"int8-{self.key('tools.engines.int8')}"
        folder = None if calibration else cache.find(self.weights, name)
        if calibration:
            cache.discard(self.weights, name)
            folder = cache.make(self.weights, name,
                                lambda folder: self.quantize(folder, *calibration))
        if not folder:
            raise UserError(f"no 8-bit network of '{self.weights}' as it is now: give --calibration"
                            " FOLDER once, with some ten to 300 typical images")
        return OpenVino(folder, self.threads, "int8")

    def quantize(self, folder, sources, prepare):
        try:
            from tools.engines.int8 import write_int8  # needs the optional package nncf
        except ImportError as error:
            raise UserError(f"precision int8 needs more ({error}): pip install -r {EXTRAS}"
                            ) from None
        print(f"making '{self.weights}' in 8 bits from {len(sources)} images, once",
              file=sys.stderr)
        write_int8(self.model, folder, sources, prepare)

    def key(self, module):
        return cache.export_key(self.weights, self.cfg, module)


def installed(kind):
    """Whether the packages of an engine are there."""
    return all(importlib.util.find_spec(package) for package in kind.needs)


def how_to_install(*kinds):
    """The command that installs engines."""
    files = sorted({kind.requirements for kind in kinds}, reverse=True)
    return f"pip install {' '.join(f'-r {file}' for file in files)}"


def version_of(kind):
    """The version of an engine's package; UserError if it cannot be imported."""
    try:
        return importlib.import_module(kind.package).__version__.partition("-")[0]
    except ImportError as error:
        raise UserError(f"no engine '{kind.name}' ({error}): {how_to_install(kind)}") from None
