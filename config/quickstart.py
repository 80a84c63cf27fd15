"""The small model that trains from scratch on a laptop; the default of every script."""
from config.base import Base


class Config(Base):
    """Quick start: a narrow R18 on drawn shapes at 256 pixels, trained from scratch in half an hour on two CPU cores."""

    train_json = "data/shapes/train.json"
    train_images = "data/shapes/train"
    val_json = "data/shapes/val.json"
    val_images = "data/shapes/val"
    test_json = "data/shapes/val.json"
    test_images = "data/shapes/val"
    num_classes = 6
    use_empty_images = True

    train_short_sides = (224, 240, 256, 272, 288)
    train_max_side = 352
    test_short_side = 256
    test_max_side = 352

    backbone_depth = 18
    backbone_width = 32
    fpn_channels = 64
    num_grids = (24, 20, 16, 12, 8)
    head_channels = 64
    head_convs = 2
    kernel_channels = 64
    mask_channels = 32
    norm_groups = 8
    frozen_stages = 0
    freeze_norm_statistics = False
    freeze_norm_affine = False
    scale_ranges = ((1, 32), (24, 56), (44, 96), (72, 160), (120, 1024))

    batch_size = 8
    reference_batch_size = 8
    learning_rate = 0.02
    max_steps = 3000
    epochs = 10
    warmup_steps = 200
    checkpoint_every = 250
    eval_every = 1500
