"""Which views of an image the network sees: the image itself, tiles of it, augmented ones."""
from tools.inference.augmented import segment_augmented
from tools.inference.tiles import segment_tiles, tile_side


def has_views(cfg):
    """Whether an image is more than one run of the network on it."""
    return cfg.tta or cfg.tile_size != 0


def segment_views(predictor, pixels):
    """Instances of uint8 [H, W, 3] BGR: of tiles where the config wants them, each augmented or
    not."""
    segment = segment_augmented if predictor.cfg.tta else type(predictor).segment_once
    side = tile_side(predictor.cfg, pixels.shape[:2])
    return segment_tiles(predictor, pixels, side, segment) if side else segment(predictor, pixels)
