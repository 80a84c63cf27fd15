"""The exported networks of one weights file: made and checked at their first use, then kept."""
import contextlib
import importlib
import importlib.util
import sys

from tools.engines import cache
from tools.engines.check import TOLERANCE, difference
from tools.engines.dygraph import Dygraph
from tools.engines.openvino import OpenVino
from tools.errors import UserError, shown
from tools.stopping import stop_behind

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
        with told(kind):
            reason = kind.cannot_run(self.cfg, version)
        if reason:
            raise UserError(reason)
        name = f"{kind.name}-{version}-{self.key(kind.__module__)}"
        folder = cache.find(self.weights, name)
        if not folder:
            print(f"exporting '{self.weights}' for {kind.name} {version}, once", file=sys.stderr)
            folder = cache.make(self.weights, name, lambda folder: self.write(kind, folder))
        with told(kind):
            return kind(folder, self.threads, precision, device)

    def write(self, kind, folder):
        """Write an export and compare it with dygraph."""
        try:
            with told(kind, ImportError, OSError):
                kind.write(self.model, folder)
                error = difference(kind(folder, self.threads), Dygraph(self.model))
        except ImportError as error:
            raise UserError(f"engine '{kind.name}' needs an export ({error}): "
                            f"{how_to_install(kind)}") from None
        if not error <= TOLERANCE:
            raise UserError(f"engine '{kind.name}' {version_of(kind)} differs from dygraph by "
                            f"{error:.1e} of an output's deviation, more than {TOLERANCE}: use "
                            "another --engine")

    def eight_bits(self, calibration=None):
        """OpenVINO with the network in 8 bits, which is made from images at the first use.

        calibration: (sources, prepare) with prepare(source) -> network-ready float32
        [1, 3, H, W]; makes it anew.  UserError without, if there is none yet.  One that was made
        before stays until its successor is whole.
        """
        version_of(OpenVino)
        name = f"int8-{self.key('tools.engines.int8')}"
        folder = None if calibration else cache.find(self.weights, name)
        if calibration:
            folder = cache.make(self.weights, name,
                                lambda folder: self.quantize(folder, name, *calibration))
        if not folder:
            raise UserError(f"no 8-bit network of '{self.weights}' as it is now: give --calibration"
                            " FOLDER once, with some ten to 300 typical images")
        with told(OpenVino):
            return OpenVino(folder, self.threads, "int8")

    def quantize(self, folder, name, sources, prepare):
        """Write the 8-bit network; then the one of that name makes room for it."""
        try:
            from tools.engines.int8 import write_int8  # needs the optional package nncf
        except ImportError as error:
            raise UserError(f"precision int8 needs more ({error}): pip install -r {EXTRAS}"
                            ) from None
        sources = readable(sources, prepare)
        print(f"making '{self.weights}' in 8 bits from {len(sources)} images, once",
              file=sys.stderr)
        with told(OpenVino, OSError):
            write_int8(self.model, folder, sources, prepare)
        cache.discard(self.weights, name)

    def half(self, kind):
        """The half precision of an engine on this processor, or ""; UserError as in `engine`."""
        with told(kind):
            return kind.half()

    def key(self, module):
        return cache.export_key(self.weights, self.cfg, module)


@contextlib.contextmanager
def told(engine, *passed):
    """Whatever the package of an engine raises becomes one sentence, a UserError; not the types
    in `passed`.  Foreign code may raise anything: no list of types would be whole."""
    try:
        yield
    except (UserError, *passed):
        raise
    except Exception as error:
        if stop_behind(error):
            raise
        raise UserError(f"engine '{engine.name}' {version_of(engine)} cannot run the network: "
                        f"{in_words(error)}") from None


def in_words(error):
    """An exception in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, (RuntimeError, ValueError, OSError, ImportError)) and text:
        return shown(text, 400)
    return f"{type(error).__name__} {shown(text, 400)}".strip()


def readable(sources, prepare):
    """Those of the calibration images that can be read; the others are named.  UserError if none
    is left."""
    good, faults = [], []
    for source in sources:
        try:
            prepare(source)
            good.append(source)
        except UserError as error:
            faults.append(str(error))
            print(f"note: left out of the calibration: {error}", file=sys.stderr)
    if not good:
        raise UserError(f"none of the calibration images can be read: {'; '.join(faults[:1])}")
    return good


def installed(kind):
    """Whether the packages of an engine are there; whether they work, version_of tells."""
    return all(sys.modules.get(package) or importlib.util.find_spec(package)
               for package in kind.needs)


def how_to_install(*kinds):
    """The command that installs engines."""
    files = sorted({kind.requirements for kind in kinds}, reverse=True)
    return f"pip install {' '.join(f'-r {file}' for file in files)}"


def version_of(kind):
    """The version of an engine's package; UserError if it cannot be imported."""
    try:
        return importlib.import_module(kind.package).__version__.partition("-")[0]
    except Exception as error:                         # of foreign code, see told
        if stop_behind(error):
            raise
        raise UserError(f"no engine '{kind.name}' ({in_words(error)}): {how_to_install(kind)}"
                        ) from None
