"""Segment one image with an exported model; needs none of this project's code.

  python predict_example.py solov2.onnx photo.jpg       needs numpy, opencv and onnxruntime
  python predict_example.py exported_folder photo.jpg   needs numpy, opencv and paddlepaddle
"""
import json
import os
import sys

import cv2
import numpy as np


def load_onnx(path):
    """(run, about): run(images float32 [1, 3, H, W]) -> {output: array}, what the model is for."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    about = json.loads(session.get_modelmeta().custom_metadata_map["solov2"])
    return lambda images: dict(zip(names, session.run(None, {"images": images}),
                                   strict=True)), about


def load_paddle(folder):
    from paddle.inference import Config, create_predictor

    with open(f"{folder}/solov2.json", encoding="utf-8") as file:
        about = json.load(file)
    program = "model.json" if os.path.exists(f"{folder}/model.json") else "model.pdmodel"
    config = Config(f"{folder}/{program}", f"{folder}/model.pdiparams")
    config.disable_glog_info()
    if hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()                  # on by default in 3.x
    predictor = create_predictor(config)

    def run(images):
        images_in = predictor.get_input_handle(predictor.get_input_names()[0])
        images_in.reshape(images.shape)
        images_in.copy_from_cpu(images)
        predictor.run()
        outputs = [predictor.get_output_handle(name) for name in predictor.get_output_names()]
        return {name: output.copy_to_cpu()
                for name, output in zip(about["outputs"], outputs, strict=True)}
    return run, about


def preprocess(image, about):
    """uint8 [h, w, 3] BGR -> (float32 [1, 3, H, W], (height, width) before padding)."""
    if about["normalize_first"]:
        image, size = resize(normalize(image, about), about)
    else:
        image, size = resize(image, about)
        image = normalize(image, about)
    down, right = (-side % about["size_divisor"] for side in image.shape[:2])
    padded = np.pad(image, ((0, down), (0, right), (0, 0)))
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None]), size


def normalize(image, about):
    if about["channel_order"] == "rgb":
        image = image[:, :, ::-1]
    return (image - np.float32(about["pixel_mean"])) / np.float32(about["pixel_std"])


def resize(image, about):
    """The short side to test_short_side, unless the long one then exceeds test_max_side."""
    sides = image.shape[:2]
    scale = min(about["test_short_side"] / min(sides), about["test_max_side"] / max(sides))
    if about["resized_size_rule"] == "fractional":             # of PaddleDetection 2.2
        size = [max(1.0, side * scale) for side in sides]
        by_factor = {"dsize": None, "fx": scale, "fy": scale}
        by_size = {"dsize": (round(size[1]), round(size[0]))}
        return (cv2.resize(image, **(by_factor if min(size) > 1 else by_size)),
                [int(side) for side in size])
    size = [max(1, int(side * scale + 0.5)) for side in sides]
    if about["resize_library"] == "cv2":
        return cv2.resize(image, size[::-1]), size
    from PIL import Image  # anti-aliased

    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)), size


def postprocess(outputs, resized_size, original_size, threshold):
    """Scores float32 [I], class indices int64 [I] and masks bool [I, H, W] of the one image."""
    count = int(outputs["count"][0])
    masks = np.zeros((count, *original_size), bool)
    for mask, probs in zip(masks, outputs["masks"][0], strict=False):
        larger = cv2.resize(probs, (4 * probs.shape[1], 4 * probs.shape[0]))
        cut = larger[:resized_size[0], :resized_size[1]]
        mask[:] = cv2.resize(cut, original_size[::-1]) > threshold
    return outputs["scores"][0, :count], outputs["class_indices"][0, :count], masks


def three_channels(image):
    """uint8 [h, w, 3] of a grey image, [h, w] or [h, w, 1], or of one with alpha, [h, w, 4]."""
    image = image[..., None] if image.ndim == 2 else image
    return np.ascontiguousarray(np.repeat(image, 3, 2) if image.shape[2] == 1 else image[..., :3])


def predict(run, about, image):
    """Scores, class indices and masks in a uint8 [H, W, 3] BGR image (or grey, or with alpha)."""
    images, resized_size = preprocess(three_channels(image), about)
    return postprocess(run(images), resized_size, image.shape[:2], about["mask_threshold"])


def load(path):
    return load_paddle(path) if os.path.isdir(path) else load_onnx(path)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    run, about = load(sys.argv[1])
    image = cv2.imread(sys.argv[2])
    if image is None:
        sys.exit(f"'{sys.argv[2]}' is not an image that OpenCV can read")
    for score, index, mask in zip(*predict(run, about, image), strict=True):
        print(f"{about['class_names'][index]:20s} score {score:.3f}  {mask.sum()} pixels")


if __name__ == "__main__":
    main()
