"""Results in COCO's format."""


def coco_results(instances, image_id, category_ids):
    """List of COCO result dicts of one image: image_id, category_id, segmentation, bbox, score.

    category_ids: class index -> category_id.  segmentation: RLE {"size", "counts"};
    bbox: [x, y, width, height] in pixels.
    """
    columns = zip(instances.class_indices.tolist(), instances.scores.tolist(),
                  instances.boxes.tolist(), instances.to_rle(), strict=True)
    return [{"image_id": image_id, "category_id": category_ids[class_index], "segmentation": rle,
             "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            for class_index, score, (x1, y1, x2, y2), rle in columns]
