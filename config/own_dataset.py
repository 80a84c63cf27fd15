"""Your own COCO-style data set."""
from config.quickstart import Config as QuickStart


class Config(QuickStart):
    """Your own data: fine-tunes the quick-start network; the files are given with -o.

    Give train_json, train_images, val_json, val_images; classes come from the annotations.
    For a big network use its config with the same -o settings, and start from its weights:
    python train.py --config=1 -o pretrained=weights/solov2_light_448_r50_fpn_8gpu_3x.pdparams ...
    """

    pretrained = "weights/quickstart.pdparams"
    train_json = "data/own/train.json"
    train_images = "data/own/train"
    val_json = "data/own/val.json"
    val_images = "data/own/val"
    weights = "output/own_dataset/best.pdparams"

    train_short_sides = (288, 320, 352, 384)
    train_max_side = 512
    test_short_side = 352
    test_max_side = 512

    batch_size = 4
    reference_batch_size = 4
    learning_rate = 0.003
    sync_norms = True
    ema_decay = 0.995
    warmup_steps = 20
    max_steps = 800
    eval_every = 200
    checkpoint_every = 100
