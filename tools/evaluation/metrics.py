"""The metrics as text."""
from tools.evaluation.coco_eval import crowded_images, shown

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def print_metrics(metrics):
    """A table of the COCO metrics, then the AP of every class; "-" without ground truth."""
    for kind in ("segm", "bbox"):
        if f"{kind}_AP" in metrics:
            values = (f"  {name} {shown(metrics[f'{kind}_{name}'], 4)}" for name in METRICS)
            print(f"{kind:5s}" + "".join(values))
    for name, ap in metrics.get("segm_per_class", {}).items():
        print(f"  {name:24s} {shown(ap, 4)}")


def print_limits(truth, max_dets, max_per_image=None):
    """Say where an image has more objects than results of it count."""
    limits = [(max_dets, "max_dets results per image and class count")]
    if max_per_image is not None:
        limits.append((max_per_image, "max_per_image results per image are kept"))
    for limit, meaning in limits:
        count = crowded_images(truth, limit, per_class=meaning.startswith("max_dets"))
        if count:
            print(f"note: {count} images have more than {limit} objects"
                  f"{' of a class' if meaning.startswith('max_dets') else ''}, but only {limit} "
                  f"{meaning}; raise {meaning.split()[0]} to find them all")
