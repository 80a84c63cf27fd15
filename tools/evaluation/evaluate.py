"""A predictor over a data set, and the metrics as text."""
import sys
import time

from tqdm import tqdm

from tools.evaluation.coco_eval import evaluate
from tools.inference.predictor import Predictor
from tools.inference.writers import coco_results

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def predict_dataset(predictor, dataset):
    """The COCO result dicts (RLE masks, tight boxes) of every image of a CocoDataset, as a list."""
    results, started = [], time.perf_counter()
    for index in tqdm(range(len(dataset)), desc="predict", unit="image", disable=None, leave=False):
        instances = predictor(dataset.load_image(index))
        image_id = dataset.image_info(index)["image_id"]
        results += coco_results(instances, image_id, dataset.category_ids)
    seconds = time.perf_counter() - started
    print(f"predicted {len(dataset)} images in {seconds:.1f} s "
          f"({len(dataset) / seconds:.2f} images/s), {len(results)} instances", file=sys.stderr)
    return results


def evaluate_model(cfg, dataset, model):
    """Mask metrics of a network in training on a CocoDataset: {"segm_AP": ..., ...}."""
    predictor = Predictor.from_model(cfg, model, dataset.class_names)
    metrics = evaluate(dataset, predict_dataset(predictor, dataset))
    return {key: value for key, value in metrics.items() if not isinstance(value, dict)}


def print_metrics(metrics):
    """A table of the COCO metrics, then the AP of every class."""
    for kind in ("segm", "bbox"):
        if f"{kind}_AP" in metrics:
            values = (f"  {name} {metrics[f'{kind}_{name}']:.4f}" for name in METRICS)
            print(f"{kind:5s}" + "".join(values))
    for name, ap in metrics.get("segm_per_class", {}).items():
        print(f"  {name:24s} {ap:.4f}")
