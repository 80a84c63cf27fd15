"""The only pairing of pre- and post-processing with a network."""
import os
from collections.abc import Iterator
from pathlib import Path

from tools.runtime import configure, paddle_device, resolve_device, threads

configure()                        # before Paddle: the threads of the scripts, for a user too

import paddle

from config import DEFAULT_CONFIG, get_config
from config.base import Base
from model.decode import Decoder
from model.solov2 import build_solov2
from tools.data.transforms import Preprocess, pad_to_divisor
from tools.engines.dygraph import Dygraph
from tools.engines.exports import told
from tools.engines.open import open_engine
from tools.errors import UserError
from tools.inference.image_instances import ImageInstances
from tools.inference.inputs import each_image, is_endless, is_one_image
from tools.inference.pipeline import Pipeline
from tools.inference.pixels import to_pixels
from tools.inference.sources import find_images
from tools.inference.views import has_views, segment_views
from tools.weights.weights_file import config_of, load_arrays, read_weights

ROOT = Path(__file__).resolve().parents[2]


class Predictor:
    """predictor(image) -> ImageInstances at the size of the image.

    An image: a path, an http(s) address, a PIL image, uint8 [H, W, 3] (BGR; RGB with
    channels="rgb"), [H, W] grey or [H, W, 4], or the bytes of an image file.  A list, a folder or a
    pattern gives a list, an iterator or a video a generator.

    cfg: a config, its name or number.  weights: path of a weights file; default the config's own.
    A relative path that does not exist in the current folder is looked for in the project's.  What
    the file says of classes and input (channel order, mean, resize, ...) wins over the config.
    device: "auto", "cpu", "gpu", "gpu:1" or "vulkan:0".
    engine: one of tools.engines.open.ENGINES; `engine_choice` then says which it became, and
    why not a faster one.  precision: "float32", "half" or "int8"; calibration: image, folder or
    pattern of typical images, or a list of such, once, for int8.
    """

    def __init__(self, cfg: Base | str | int = DEFAULT_CONFIG, weights: str | Path | None = None,
                 device: str = "auto", engine: str = "auto", precision: str = "float32",
                 calibration: str = ""):
        cfg = get_config(cfg) if isinstance(cfg, (str, int)) else cfg
        self.device = resolve_device(device, vulkan=True)
        paddle.set_device(paddle_device(self.device))
        self.weights = find_weights(weights or cfg.weights_path)
        arrays, meta = read_weights(self.weights, cfg.name)
        self.class_names = tuple(meta["class_names"])
        self.cfg = config_of(cfg, meta, self.weights)

        def build_model():
            model = build_solov2(self.cfg)
            load_arrays(model, arrays, self.weights)
            return model

        self.preprocess = Preprocess(self.cfg)     # image -> (float32 [3, h, w], resized size)
        images = calibration and (calibration_images(calibration), self.prepare)
        self._setup(*open_engine(engine, self.device, self.weights, self.cfg, build_model,
                                 precision, images))

    @classmethod
    def open(cls, config: str | int = DEFAULT_CONFIG, weights: str | Path | None = None,
             device: str = "auto", engine: str = "auto", precision: str = "float32",
             calibration: str = "", **settings) -> "Predictor":
        """A Predictor by the name or number of a config, with other `settings` where given:
        Predictor.open("quickstart", score_threshold=0.3)."""
        return cls(get_config(config, **settings), weights, device, engine, precision,
                   calibration)

    @classmethod
    def from_model(cls, cfg, model, class_names):
        """A predictor around a network that is already there (evaluation during training)."""
        self = cls.__new__(cls)
        self.device, self.weights = paddle.get_device(), ""
        self.cfg, self.class_names = cfg, tuple(class_names)
        self.preprocess = Preprocess(cfg)
        self._setup(Dygraph(model))
        return self

    def _setup(self, engine, why_not_faster=""):
        cfg, self.engine = self.cfg, engine
        precision = "" if engine.precision == "float32" else f"{engine.precision} "
        self.engine_choice = f"{engine.name} {precision}{engine.version}" + (
            f" ({why_not_faster})" if why_not_faster else "")
        self.decoder = Decoder(cfg.strides, cfg.score_threshold, cfg.mask_threshold,
                               cfg.max_candidates, cfg.nms_kernel, cfg.nms_sigma,
                               cfg.update_threshold, cfg.max_per_image, threads())

    def prepare(self, path):
        """An image file as the network takes it, float32 [1, 3, H, W]."""
        tensor, _ = self.preprocess(to_pixels(path))
        return pad_to_divisor([tensor], self.cfg.size_divisor)

    def __repr__(self):
        return (f"Predictor({self.cfg.name}, {len(self.class_names)} classes, {self.weights}, "
                f"engine {self.engine.name}, device {self.device})")

    def __call__(self, image, channels: str = "bgr"):
        """ImageInstances of one image, a list of them for a list, a folder or a pattern, and a
        generator for an iterator or a video (see `stream`).

        channels: "bgr" or "rgb", the order of an array.  UserError, a ValueError, for what is no
        image: it says what came and what is expected.
        """
        if is_one_image(image):
            pixels = to_pixels(image, channels)
            return self.with_image(self.segment(pixels), image, pixels)
        found = self.stream(image, channels)
        return found if isinstance(image, Iterator) or is_endless(image) else list(found)

    def stream(self, images, channels: str = "bgr", batch_size: int = 1):
        """Yield the ImageInstances of many images in order, while the next ones are being read.

        images: a path or address, a folder, a pattern, a video, the number of a camera, or a list
        or iterator of what `predictor(image)` takes.  batch_size: images of one padded size that
        the network sees at once; the results are the same.  UserError at the first image that
        cannot be read, after those before it.
        """
        pipeline = Pipeline(self, lambda source, pixels, _: pixels,
                            lambda source: to_pixels(source, channels), batch_size, warm_up=False)
        for job in pipeline((image, image) for image in each_image(images)):
            if job.error:
                raise UserError(job.error)
            yield self.with_image(job.instances, job.source, job.written)

    def segment(self, pixels):
        """Instances of uint8 [H, W, 3] BGR, from as many views as the config says."""
        return segment_views(self, pixels) if has_views(self.cfg) else self.segment_once(pixels)

    def segment_once(self, pixels):
        """Instances of uint8 [H, W, 3] BGR, from one run of the network."""
        tensor, resized_size = self.preprocess(pixels)
        images = pad_to_divisor([tensor], self.cfg.size_divisor)
        return self.predict_tensor(images, [resized_size], [pixels.shape[:2]])[0]

    def with_image(self, instances, image, pixels):
        """`instances` with what they were found in; the pixels of a file are not kept."""
        is_path = isinstance(image, (str, Path))
        is_file = is_path and os.path.isfile(image)
        return ImageInstances.of(instances, self.class_names, None if is_file else pixels,
                                 image if is_path else "", self.cfg.draw_threshold,
                                 self.cfg.polygon_tolerance)

    def predict_tensor(self, images, resized_sizes, original_sizes):
        """Network-ready float32 [N, 3, H, W] (numpy or Tensor) -> [Instances].

        The sizes are (height, width) of each image.
        """
        return self.postprocess(self.network(images), resized_sizes, original_sizes)

    def network(self, images):
        """Normalised, padded float32 [N, 3, H, W] -> raw outputs of the network."""
        if isinstance(self.engine, Dygraph):           # our own code: its errors are ours
            return self.engine(images)
        with told(self.engine):
            return self.engine(images)

    def postprocess(self, outputs, resized_sizes, original_sizes):
        """Raw outputs -> [Instances] at the original sizes."""
        return self.decoder(outputs, resized_sizes, original_sizes)


def calibration_images(sources):
    """Paths of the images that a source, or a list of them, stands for."""
    sources = sources if isinstance(sources, (list, tuple)) else [sources]
    return [path for source in sources for path, _ in find_images(source)]


def find_weights(path):
    """A weights path as it is, or below the project where only that exists."""
    below = ROOT / path
    return str(below if not os.path.exists(path) and below.exists() else path)
