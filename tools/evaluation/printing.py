"""What an evaluation prints: metrics as text, and what one should know about them."""
import sys

from tools.data.truth import OWN_MEASURES
from tools.errors import shown
from tools.evaluation.coco_eval import crowded_images, metric_text, metrics_of

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def print_evaluation(precision, dataset, max_dets, max_per_image):
    """The metrics of a CocoDataset from what `precisions` returned, and notes on them."""
    print_metrics(metrics_of(precision, dataset.class_names))
    print_limits(dataset.ground_truth(), max_dets, max_per_image)
    if OWN_MEASURES in dataset.problems:
        print(f"note: {len(dataset.problems[OWN_MEASURES])} {OWN_MEASURES}")


def print_metrics(metrics):
    """A table of the COCO metrics, then the AP of every class; "-" without ground truth."""
    for kind in ("segm", "bbox"):
        if f"{kind}_AP" in metrics:
            values = (f"  {name} {metric_text(metrics[f'{kind}_{name}'], 4)}" for name in METRICS)
            print(f"{kind:5s}" + "".join(values))
    for name, ap in metrics.get("segm_per_class", {}).items():
        print(f"  {shown(name):24s} {metric_text(ap, 4)}")


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


def print_unreadable(sentences, num_images):
    """Name the images that could not be read, on stderr."""
    for sentence in sentences:
        print(f"unreadable: {sentence}", file=sys.stderr)
    if sentences:
        print(f"{len(sentences)} of {num_images} images could not be read; their objects count "
              "as not found", file=sys.stderr)
