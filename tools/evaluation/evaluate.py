"""A predictor over a data set."""
import itertools
import logging
import sys
import time

from tools.distributed import all_gather, get_rank, get_world_size, is_main, together
from tools.evaluation.coco_eval import evaluate
from tools.inference.pipeline import Pipeline
from tools.inference.predictor import Predictor
from tools.inference.writers.coco import coco_results
from tools.progress import progress

logger = logging.getLogger(__name__)


def predict_dataset(predictor, dataset, batch_size=1):
    """(results, unreadable) of every image of a CocoDataset.

    results: list of COCO result dicts (RLE masks, tight boxes); unreadable: a sentence about each
    image that cannot be read, in which then nothing is found.

    Of several processes each predicts its share of the images, and gets the results of all.
    batch_size: images of one padded size that the network sees at once; the results are the
    same, but for the rounding of engines other than dygraph.
    """
    results = {}

    def keep(index, image, instances):
        image_id = dataset.image_info(index)["image_id"]
        results[index] = coco_results(instances, image_id, dataset.category_ids)

    unreadable = predict_images(predictor, dataset, range(len(dataset)), keep, batch_size)
    own = [result for index in sorted(results) for result in results[index]]
    return list(itertools.chain.from_iterable(all_gather(own))), unreadable


def predict_to_disk(predictor, dataset, store, batch_size=1):
    """Predict the images of a CocoDataset that a ResultStore lacks; a sentence about each
    unreadable one."""
    left = [index for index in range(len(dataset)) if index not in store.finished]
    if len(left) < len(dataset) and is_main():
        print(f"continued: {len(dataset) - len(left)} of {len(dataset)} images are done")
    return predict_images(predictor, dataset, left, store.sink(dataset), batch_size)


def predict_images(predictor, dataset, indices, sink, batch_size):
    """This process's share of the images through a Pipeline; the unreadable ones of all."""
    started, unreadable = time.perf_counter(), []
    mine = [index for index in indices if index % get_world_size() == get_rank()]
    if batch_size > 1:                                 # so that few batches stay incomplete
        mine.sort(key=lambda index: dataset.image_info(index)["size"])
    pipeline = Pipeline(predictor, sink, dataset.load_image, batch_size)
    with together(long=True):
        for job in progress(pipeline([(index, index) for index in mine]), len(mine), "predict",
                            "image"):
            if job.error:
                unreadable.append(job.error)
    unreadable = list(itertools.chain.from_iterable(all_gather(unreadable)))
    seconds = time.perf_counter() - started
    print(f"predicted {len(indices)} images in {seconds:.1f} s "
          f"({len(indices) / seconds:.2f} images/s)", file=sys.stderr)
    return unreadable


def evaluate_model(cfg, dataset, model):
    """Mask metrics of a network in training on a CocoDataset: {"segm_AP": ..., ...}.

    Of several processes only rank 0 gets them, the others {}.  An image that cannot be read does
    not end the training: nothing is found in it, which the metrics count, and it is named.
    """
    predictor = Predictor.from_model(cfg, model, dataset.class_names)
    results, unreadable = predict_dataset(predictor, dataset)
    if unreadable and is_main():
        logger.warning("%d images of the evaluation cannot be read, their objects count as not "
                       "found: %s", len(unreadable), "; ".join(unreadable))
    metrics = evaluate(dataset, results, max_dets=cfg.max_dets) if is_main() else {}
    return {key: value for key, value in metrics.items() if not isinstance(value, dict)}
