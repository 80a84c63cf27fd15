"""The small model that trains from scratch on a laptop; the default of every script."""
from config.base import Base


class Config(Base):
    """Quick start: a narrow R18 on drawn shapes at 288 pixels, from scratch on a laptop.

    Training takes twenty minutes on two CPU cores.
    """

    train_json = "data/shapes/train.json"
    train_images = "data/shapes/train"
    val_json = "data/shapes/val.json"
    val_images = "data/shapes/val"
    test_json = "data/shapes/val.json"
    test_images = "data/shapes/val"
    num_classes = 6
    empty_images = 1.0

    train_short_sides = (256, 288)
    train_max_side = 288
    test_short_side = 320
    test_max_side = 320

    backbone_depth = 18
    backbone_width = 16
    fpn_channels = 48
    num_grids = (24, 16, 12, 8, 6)
    strides = (4, 4, 8, 16, 16)
    head_channels = 64
    head_convs = 2
    kernel_channels = 32
    mask_channels = 32
    norm_groups = 8
    frozen_stages = 0
    freeze_norm_statistics = False
    freeze_norm_affine = False
    scale_ranges = ((1, 48), (32, 64), (48, 96), (72, 144), (112, 1024))

    smooth_masks = True
    batch_size = 8
    reference_batch_size = 8
    optimizer = "muon"
    momentum = 0.95
    weight_decay = 0.02
    learning_rate = 0.005
    lr_schedule = "cosine"
    sync_norms = False             # four images are enough, and waiting costs a quarter of the time
    grad_clip_norm = 10.0
    max_steps = 1300
    ema_decay = 0.997
    epochs = 36
    warmup_steps = 100
    checkpoint_every = 100
    eval_every = 650
