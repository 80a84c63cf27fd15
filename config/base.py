"""Every setting once: its default, its unit and the reason for it.

A variant (`solov2_*.py`) subclasses `Base` and states only what differs.  Plain class attributes,
so that a child can override any of them with one line.  The defaults are those of SOLOv2 R50 3x on
COCO (Wang et al. 2020, table 1).
"""
import ast
import difflib


class ConfigError(ValueError):
    """A setting that does not exist or has a value of the wrong kind."""


class Base:
    """Common defaults; not a model of its own."""

    _overridden = frozenset()

    name = ""                      # set by get_config: the module name of the variant
    weights = ""                   # of eval.py and demo.py; "" means weights/<name>.pdparams
    pretrained = ""                # weights to start training from; what does not fit is reported

    # -- data --------------------------------------------------------------------------------------
    train_json = "data/coco/annotations/instances_train2017.json"
    train_images = "data/coco/train2017"
    val_json = "data/coco/annotations/instances_val2017.json"
    val_images = "data/coco/val2017"
    test_json = "data/coco/annotations/image_info_test-dev2017.json"
    test_images = "data/coco/test2017"
    classes_file = ""              # a class name per line; "": from the annotations
    drop_unused_classes = False    # leave out categories that no training annotation uses
    num_classes = 80               # foreground classes; train.py takes what the annotations hold
    empty_images = 0.0             # share of the images without objects that train, evenly spread
    # Share of the training images that may be missing when a run starts.  Those that turn out to be
    # broken later are skipped with a warning, however many: a long run goes on.  0.0: none may.
    max_broken_images = 0.01
    num_workers = 2                # reader processes; 0 reads in the main process
    shuffle = True

    # -- input: what the network was trained to see (all numbers on the 0..255 scale) --------------
    channel_order = "rgb"          # "rgb" or "bgr" (AdelaiDet)
    pixel_mean = (123.675, 116.28, 103.53)    # in channel_order
    pixel_std = (58.395, 57.12, 57.375)
    resize_library = "cv2"         # "cv2", bilinear, or "pil", anti-aliased (AdelaiDet)
    normalize_first = False        # normalise, then resize floats (PaddleDetection 2.x evaluation)
    resized_size_rule = "round"    # half up; "fractional": s*h for the crop (PaddleDetection 2.2)
    size_divisor = 32              # padding at the right and bottom; the FPN needs a multiple of 32
    test_short_side = 800          # pixels
    test_max_side = 1333           # pixels; the long side never exceeds it

    # -- training input ----------------------------------------------------------------------------
    train_short_sides = (640, 672, 704, 736, 768, 800)     # one is drawn per image
    train_max_side = 1333
    flip_probability = 0.5
    color_distortion = False       # RandomDistort: brightness, contrast, saturation, hue
    random_crop = False            # RandomCrop: minimum-overlap crops around objects
    jitter_scales = ()             # (0.1, 2.0): large-scale jitter instead of train_short_sides
    copy_paste_probability = 0.0   # of pasting objects of another image (Simple Copy-Paste)

    # -- network -----------------------------------------------------------------------------------
    backbone = "resnet"
    backbone_depth = 50            # 18, 34, 50 or 101
    backbone_variant = "b"         # stride in the 1x1 ("a") or 3x3 ("b", "d"); see resnet.py
    backbone_width = 64            # channels of the stem and of res2 (x4 in bottlenecks)
    backbone_groups = 1            # ResNeXt: groups of the 3x3 convolution
    backbone_group_width = 64      # ResNeXt: 3x3 width = width * group_width / 64 * groups
    backbone_dcn = 0               # deformable 3x3 convolutions: 0 none, 1 offsets, 2 with mask
    backbone_dcn_stages = ()       # of res2..res5, e.g. (3, 4, 5)
    fpn_channels = 256
    num_grids = (40, 36, 24, 16, 12)          # S per level
    strides = (8, 8, 16, 32, 32)   # per level; masks must cover more pixels of the 1/4 map
    head_channels = 512
    head_convs = 4                 # convolutions per branch before the prediction
    head_dcn = 0                   # as backbone_dcn, for the towers
    head_dcn_convs = ()            # which of the tower convolutions, e.g. (2,)
    kernel_channels = 256          # E: length of a predicted kernel = channels of the mask features
    drop_block = False             # DropBlock after the towers, in training
    mask_channels = 128            # inside the mask branch
    mask_dcn = 0                   # as backbone_dcn, for every convolution of the mask branch
    dcn_bias = False               # deformable head convolutions with a bias (PaddleDetection 2.x)
    norm_groups = 32               # GroupNorm of the heads

    # -- what is frozen ----------------------------------------------------------------------------
    frozen_stages = 2              # 0: none, 1: stem, 2: stem + res2, ... (weights and norm affine)
    freeze_norm_statistics = True  # running statistics are used, and not moved, in training
    freeze_norm_affine = True      # scale and shift of the backbone norms
    sync_norms = True              # norms that learn statistics take them over all processes

    # -- targets and losses (SOLOv2, sections 3.1 and 3.3) -----------------------------------------
    # sqrt(box area) in pixels that each level learns
    scale_ranges = ((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048))
    center_region = 0.2            # sigma: the part of the box whose cells are positive
    # Masks to learn from: False, published: a pixel at stride 4 is 0 or 1.  True: the part of it
    # that the object covers, which makes outlines more precise.
    smooth_masks = False
    mask_loss_weight = 3.0
    # The mean is over the objects of all processes: N of them train as one with the same batch.
    normalize_over_processes = True            # PaddleDetection: False, each over its own
    focal_alpha = 0.25
    focal_gamma = 2.0

    # -- inference ---------------------------------------------------------------------------------
    score_threshold = 0.1          # a (cell, class) becomes a candidate above it
    mask_threshold = 0.5
    max_candidates = 500           # that enter Matrix NMS
    nms_kernel = "gaussian"        # or "linear"
    nms_sigma = 2.0
    update_threshold = 0.05        # lowest score after Matrix NMS
    max_per_image = 100
    max_dets = 100                 # results per image and class that AP counts (LVIS: 300)
    draw_threshold = 0.3           # demo.py draws instances from this score on
    polygon_tolerance = 1.0        # pixels that demo.py's polygons may deviate; 0.0: none

    # -- several views of an image (--tta, --tile) -------------------------------------------------
    tta = False                    # test-time augmentation: every scale below, also mirrored
    tta_scales = (0.85, 1.15)      # factors of the test size
    tta_flip = True
    tta_iou = 0.6                  # least overlap of masks of two views that are one object
    tile_size = 0                  # pixels of the image; 0: no tiles, -1: where an image is large
    tile_overlap = 0.2             # of neighbouring tiles, as a part of tile_size
    tile_merge = 0.5               # overlap in the common band from which on two parts are one
    tile_large = 0.8               # longest side from which the whole image decides, in tile sizes
    tile_auto = 2.0                # -1: tiles from this many times the test size on

    # -- tracks of a video -------------------------------------------------------------------------
    track_new = 0.4                # score from which on a result may begin a track
    track_low = 0.2                # score below which a result is no help to a track either
    track_iou = 0.2                # least overlap of a track, moved on, with a result
    track_lost = 30                # frames that an object is waited for
    track_hits = 2                 # results before an object is numbered and counted
    track_smoothing = 0.9          # weight of the velocity so far beside the newest one

    # -- schedule ----------------------------------------------------------------------------------
    batch_size = 16                # images per step over all devices
    accumulate_steps = 1           # forward and backward passes that share these images
    epochs = 36
    max_steps = 0                  # 0: epochs decide
    learning_rate = 0.01           # for reference_batch_size images; scaled with batch_size
    reference_batch_size = 16
    lr_milestones = (27, 33)       # epochs after which the rate is multiplied by lr_decay
    lr_decay = 0.1
    lr_schedule = "steps"          # or "cosine", from the peak to 0, without milestones
    warmup_steps = 1000            # linear, counted within the schedule
    warmup_start = 0.0             # factor of the rate at step 0 (PaddleDetection: 0)
    optimizer = "momentum"         # or "adamw", or "muon" (which wants momentum 0.95)
    momentum = 0.9
    weight_decay = 1e-4            # added to the gradient; adamw, muon: taken off the weights
    norm_weight_decay = 0.0        # of scales and shifts of norms; adamw, muon: 0 or as the others
    backbone_decay_factor = 1.0    # both decays, in the backbone
    stage_lr_factors = (1.0, 1.0, 1.0, 1.0, 1.0)       # stem, res2..res5; not of DCN offsets
    double_rate_biases = ()        # twice the rate, no decay: "fpn", "head_dcn" (PaddleDetection)
    grad_clip_norm = 0.0           # global norm; 0: off
    amp = False                    # float16 where it is safe (Paddle's O1), on GPUs only
    ema_decay = 0.0                # 0: off; evaluation and weights then use the averaged weights
    # What the average is divided by: "sum" of its weights, or "last": 1 - (last decay) ** updates,
    # PaddleDetection's, for its recipes.
    ema_correction = "sum"
    onednn = True                  # on a CPU: convolutions of training steps by oneDNN, sooner
    seed = 1

    # -- records -----------------------------------------------------------------------------------
    output_dir = "output"          # a run writes to <output_dir>/<name>
    log_every = 20                 # steps
    checkpoint_every = 1000        # steps
    keep_checkpoints = 3
    eval_every = 5000              # steps; 0: only at the end
    patience = 0                   # evaluations without a better mask AP that end a run; 0: none do
    sample_pictures = 4            # images of the val set drawn at each evaluation; 0: none
    visualdl = True                # curves for VisualDL too, where it is installed
    tensorboard = False            # curves for TensorBoard too

    @property
    def weights_path(self):
        return self.weights or f"weights/{self.name}.pdparams"

    @property
    def run_dir(self):
        return f"{self.output_dir}/{self.name}"

    def replace(self, **overrides):
        """A copy with other values.  Raises ConfigError for unknown names and wrong types."""
        copy = type(self)()
        copy.__dict__.update(self.__dict__)
        for key, value in overrides.items():
            setattr(copy, key, check_value(key, value, getattr(copy, known_key(copy, key))))
        copy._overridden = self._overridden | set(overrides)
        return copy

    def is_overridden(self, key):
        """Whether the value was given by the caller rather than by the config class."""
        return key in self._overridden

    def as_dict(self):
        """{setting: value} of every setting."""
        return {key: getattr(self, key) for key in setting_names(self)}


def setting_names(cfg):
    return [key for key in dir(Base) if not key.startswith("_")
            and not callable(getattr(Base, key)) and not isinstance(getattr(Base, key), property)]


def known_key(cfg, key):
    """`key` itself if it is a setting, else ConfigError with the nearest name, if one is near."""
    names = setting_names(cfg)
    if key in names:
        return key
    nearest = difflib.get_close_matches(key, names, n=1)
    raise ConfigError(f"unknown setting '{key}'; " + (
        f"the nearest name is '{nearest[0]}'" if nearest else "config/base.py lists them all"))


def check_value(key, value, default):
    """`value` as the type of `default` (int widens to float, list to tuple), else ConfigError."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if type(value) is type(default):
        return value
    raise ConfigError(f"setting '{key}' needs {type(default).__name__} (such as {default!r}), "
                      f"got {type(value).__name__} {value!r}")


def parse_value(key, text, default):
    """The value written as `text` on a command line, in the type of `default`."""
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ConfigError(f"setting '{key}' needs true or false, got '{text}'")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ConfigError(f"setting '{key}' needs {type(default).__name__} (such as {default!r}), "
                          f"got '{text}'") from None
    if isinstance(default, tuple) and not isinstance(value, (list, tuple)):
        value = (value,)
    return check_value(key, value, default)
