"""The only pairing of pre- and post-processing with a network."""
import paddle

from model.decode import Decoder
from model.solov2 import build_solov2
from tools.data.transforms import Preprocess, pad_to_divisor
from tools.inference.engine import Dygraph, open_engine
from tools.runtime import available_cores, resolve_device
from tools.weights.weights_file import config_of, load_arrays, read_weights


class Predictor:
    """predictor(image_bgr uint8 [H, W, 3]) -> Instances at the size of the image.

    weights: path of a weights file; default the config's own.  What the file says of classes and
    input (channel order, mean, resize, ...) wins over the config.
    device: "auto", "cpu", "gpu" or "gpu:1".
    engine: one of tools.inference.engine.ENGINES; `engine_choice` then says which it became, and
    why not a faster one.
    """

    def __init__(self, cfg, weights=None, device="auto", engine="dygraph"):
        self.device = resolve_device(device)
        paddle.set_device(self.device)
        self.weights = weights or cfg.weights_path
        arrays, meta = read_weights(self.weights, cfg.name)
        self.class_names = tuple(meta["class_names"])
        self.cfg = config_of(cfg, meta, self.weights)

        def build_model():
            model = build_solov2(self.cfg)
            load_arrays(model, arrays, self.weights)
            return model

        self._setup(*open_engine(engine, self.device, self.weights, self.cfg, build_model))

    @classmethod
    def from_model(cls, cfg, model, class_names):
        """A predictor around a network that is already there (evaluation during training)."""
        self = cls.__new__(cls)
        self.device, self.weights = paddle.get_device(), ""
        self.cfg, self.class_names = cfg, tuple(class_names)
        self._setup(Dygraph(model))
        return self

    def _setup(self, engine, why_not_faster=""):
        cfg, self.engine = self.cfg, engine
        self.engine_choice = f"{engine.name} {engine.version}" + (
            f" ({why_not_faster})" if why_not_faster else "")
        self.preprocess = Preprocess(cfg)      # image -> (float32 [3, h, w], resized size)
        self.decoder = Decoder(cfg.strides, cfg.score_threshold, cfg.mask_threshold,
                               cfg.max_candidates, cfg.nms_kernel, cfg.nms_sigma,
                               cfg.update_threshold, cfg.max_per_image, available_cores())

    def __call__(self, image_bgr):
        image, resized_size = self.preprocess(image_bgr)
        images = pad_to_divisor([image], self.cfg.size_divisor)
        return self.predict_tensor(images, [resized_size], [image_bgr.shape[:2]])[0]

    def predict_tensor(self, images, resized_sizes, original_sizes):
        """Network-ready float32 [N, 3, H, W] (numpy or Tensor) -> [Instances].

        The sizes are (height, width) of each image.
        """
        return self.postprocess(self.network(images), resized_sizes, original_sizes)

    def network(self, images):
        """Normalised, padded float32 [N, 3, H, W] -> raw outputs of the network."""
        return self.engine(images)

    def postprocess(self, outputs, resized_sizes, original_sizes):
        """Raw outputs -> [Instances] at the original sizes."""
        return self.decoder(outputs, resized_sizes, original_sizes)
