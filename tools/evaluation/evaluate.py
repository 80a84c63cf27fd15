"""A predictor over a data set, and the metrics as text."""
import itertools
import logging
import sys
import time

from tqdm import tqdm

from tools.errors import UserError
from tools.evaluation.coco_eval import evaluate, shown
from tools.inference.pipeline import Pipeline
from tools.inference.predictor import Predictor
from tools.inference.writers import coco_results
from tools.training.distributed import gather, get_rank, get_world_size, is_main, together

logger = logging.getLogger(__name__)

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def predict_dataset(predictor, dataset, batch_size=1, skipped=None):
    """The COCO result dicts (RLE masks, tight boxes) of every image of a CocoDataset, as a list.

    Of several processes each predicts its share of the images, and gets the results of all.
    batch_size: images of one padded size that the network sees at once; the results are the same.
    UserError naming an image that cannot be read; or, given a list `skipped`, its message goes
    there and the others are predicted.
    """
    results, started = {}, time.perf_counter()

    def keep(index, image, instances):
        image_id = dataset.image_info(index)["image_id"]
        results[index] = coco_results(instances, image_id, dataset.category_ids)

    share = list(range(get_rank(), len(dataset), get_world_size()))
    if batch_size > 1:                                 # so that few batches stay incomplete
        share.sort(key=lambda index: dataset.image_info(index)["size"])
    pipeline = Pipeline(predictor, keep, dataset.load_image, batch_size)
    jobs = pipeline([(index, index) for index in share])
    with together(long=True):
        for job in tqdm(jobs, total=len(share), desc="predict", unit="image", disable=None,
                        leave=False):
            if job.error and skipped is None:
                raise UserError(job.error)
            if job.error:
                skipped.append(job.error)
    if skipped is not None:
        skipped[:] = itertools.chain.from_iterable(gather(skipped))
    own = [result for index in sorted(results) for result in results[index]]
    results = list(itertools.chain.from_iterable(gather(own)))
    seconds = time.perf_counter() - started
    print(f"predicted {len(dataset)} images in {seconds:.1f} s "
          f"({len(dataset) / seconds:.2f} images/s), {len(results)} instances", file=sys.stderr)
    return results


def evaluate_model(cfg, dataset, model):
    """Mask metrics of a network in training on a CocoDataset: {"segm_AP": ..., ...}.

    Of several processes only rank 0 gets them, the others {}.  An image that cannot be read does
    not end the training: nothing is found in it, which the metrics count, and it is named.
    """
    predictor = Predictor.from_model(cfg, model, dataset.class_names)
    skipped = []
    results = predict_dataset(predictor, dataset, skipped=skipped)
    if skipped and is_main():
        logger.warning("%d images of the evaluation cannot be read, their objects count as not "
                       "found: %s", len(skipped), "; ".join(skipped))
    metrics = evaluate(dataset, results) if is_main() else {}
    return {key: value for key, value in metrics.items() if not isinstance(value, dict)}


def print_metrics(metrics):
    """A table of the COCO metrics, then the AP of every class; "-" without ground truth."""
    for kind in ("segm", "bbox"):
        if f"{kind}_AP" in metrics:
            values = (f"  {name} {shown(metrics[f'{kind}_{name}'], 4)}" for name in METRICS)
            print(f"{kind:5s}" + "".join(values))
    for name, ap in metrics.get("segm_per_class", {}).items():
        print(f"  {name:24s} {shown(ap, 4)}")
