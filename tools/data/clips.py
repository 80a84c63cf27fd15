"""Drawn videos with known identities: shapes that move, turn, hide one another, come and go.

    python -m tools.data.clips --output data/clips --clips 10 --frames 100 --seed 1

writes clip01.mp4 .. and clips.json, in the format of YouTube-VIS: per object one annotation, with
the run-length code of its visible part in every frame, or null where too little of it is seen.  The
shapes are those of the quick-start set (scenes.py).  Each clip is seeded with (seed, index).
"""
import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from tools.data.masks import mask_to_box, mask_to_rle
from tools.data.scenes import CLASS_NAMES, Scene, coverage, smooth_field
from tools.errors import UserError
from tools.files import write_json

FRAME_RATE = 25                 # frames per second of the files
SIDES = (58, 92)                # pixels, of an object
SPEEDS = (0.4, 3.0)             # pixels per frame
SWAYS = (0, 6)                  # pixels that an object sways from its straight path
TURNS = 1.5                     # degrees per frame, standard deviation
LATE = 0.3                      # part of the objects that come in from outside later on
MIN_VISIBLE = 0.5               # of an object's area: with less, finding it is not asked for
NOISE = (1, 5)                  # deviation of the sensor noise


class Actor:
    """An object with its path: a straight line with a sway, entered at frame `start`."""

    def __init__(self, rng, size, frames, ground):
        self.kind = str(rng.choice(CLASS_NAMES))
        self.alpha = coverage(rng, self.kind, rng.uniform(*SIDES))           # float32 [P, P]
        studio = Scene(rng, self.alpha.shape)
        studio.image[:] = ground
        studio.paint(self.kind, np.s_[:, :], self.alpha)
        self.picture = studio.image                                          # float32 [P, P, 3]
        self.area = int((self.alpha > 0.5).sum())
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([np.cos(angle), np.sin(angle)])
        self.velocity = direction * rng.uniform(*SPEEDS)
        self.origin, self.start = rng.uniform(0.15, 0.85, 2) * size[::-1], 0
        if rng.random() < LATE:                        # on its way to the same place from outside
            self.start = int(rng.integers(0, frames))
            self.origin = self.origin - direction * max(size)
            self.velocity = direction * SPEEDS[1]
            self.start -= int(max(size) / 2 / SPEEDS[1])
        self.sway, self.period = rng.uniform(*SWAYS), rng.uniform(20, 60)
        self.turn = rng.normal(0, TURNS)

    def at(self, frame):
        """((x, y) of the middle, degrees) in a frame, (None, 0) before the first."""
        age = frame - self.start
        if age < 0:
            return None, 0
        across = np.array([-self.velocity[1], self.velocity[0]]) / np.linalg.norm(self.velocity)
        sway = across * self.sway * np.sin(2 * np.pi * age / self.period)
        return self.origin + self.velocity * age + sway, self.turn * age

    def paint(self, image, owner, frame, number):
        """Draw the object into float32 `image` and its number into int32 `owner`."""
        middle, degrees = self.at(frame)
        if middle is None:
            return
        reach = len(self.alpha)                        # a turned patch needs 1.42 times its side
        start = np.floor(middle).astype(int) - reach
        (left, top), (right, bottom) = np.clip([start, start + 2 * reach], 0, owner.shape[::-1])
        if left >= right or top >= bottom:
            return
        matrix = cv2.getRotationMatrix2D(((reach - 1) / 2, (reach - 1) / 2), degrees, 1)
        matrix[:, 2] += middle - (left, top) - (reach - 1) / 2
        size = (int(right - left), int(bottom - top))
        alpha = cv2.warpAffine(self.alpha, matrix, size)
        picture = cv2.warpAffine(self.picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        window = image[top:bottom, left:right]
        window += (picture - window) * alpha[..., None]
        owner[top:bottom, left:right][alpha > 0.5] = number


class Clip:
    """for image, owner in clip: uint8 [H, W, 3] BGR; int32 [H, W], -1 or who is seen there.

    size: (H, W); `actors`: the objects by their number, the later in front.
    """

    def __init__(self, rng, size=(256, 288), frames=100, objects=6):
        self.rng, self.size, self.frames = rng, size, frames
        self.ground = Scene(rng, size).image
        middle = self.ground.mean((0, 1))
        self.actors = [Actor(rng, size, frames, middle) for _ in range(objects)]
        light = smooth_field(rng, size, 2) - np.float32(0.6)
        self.light = (1 + light * np.float32(rng.uniform(0.1, 0.5)))[..., None]
        self.noise = np.float32(rng.uniform(*NOISE))

    def __len__(self):
        return self.frames

    def __iter__(self):
        for frame in range(self.frames):
            image, owner = self.ground.copy(), np.full(self.size, -1, np.int32)
            for number, actor in enumerate(self.actors):
                actor.paint(image, owner, frame, number)
            image = cv2.GaussianBlur(image * self.light, (0, 0), 0.5)
            image += self.rng.standard_normal(image.shape, np.float32) * self.noise
            yield np.clip(image, 0, 255).astype(np.uint8), owner

    def visible(self, owner, at_least=MIN_VISIBLE):
        """{number: bool [H, W]} of the objects of which this part or more is seen in a frame."""
        counts = np.bincount(owner[owner >= 0], minlength=len(self.actors))
        return {number: owner == number for number, actor in enumerate(self.actors)
                if counts[number] > at_least * actor.area}


def draw_clip(seed, index, **settings):
    """The Clip of a seed and an index; the settings are those of Clip."""
    return Clip(np.random.default_rng([seed, index]), **settings)


def write_clip(clip, path, video_id, first_id):
    """Write the frames as a video; returns (the "videos" entry, its "annotations")."""
    height, width = clip.size
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FRAME_RATE,
                             (width, height))
    if not writer.isOpened():
        raise UserError(f"OpenCV cannot write the video '{path}'")
    masks = [[None] * len(clip) for _ in clip.actors]
    for frame, (image, owner) in enumerate(clip):
        writer.write(image)
        for number, mask in clip.visible(owner).items():
            masks[number][frame] = mask
    writer.release()
    annotations = []
    for actor, rows in zip(clip.actors, masks, strict=True):
        if any(mask is not None for mask in rows):
            annotations.append({"id": first_id + len(annotations), "video_id": video_id,
                                "category_id": CLASS_NAMES.index(actor.kind) + 1, "iscrowd": 0,
                                "height": height, "width": width, **columns(rows)})
    return {"id": video_id, "file_name": Path(path).name, "height": height, "width": width,
            "length": len(clip)}, annotations


def columns(masks):
    """The "segmentations", "bboxes" and "areas" of the masks of an object, null for None."""
    boxes = [None if mask is None else mask_to_box(mask).tolist() for mask in masks]
    return {"segmentations": [None if mask is None else mask_to_rle(mask) for mask in masks],
            "bboxes": [box and [box[0], box[1], box[2] - box[0], box[3] - box[1]]
                       for box in boxes],
            "areas": [None if mask is None else int(mask.sum()) for mask in masks]}


def write_clips(folder, count, frames, seed):
    """Draw `count` clips into a folder and, last, their annotations: folder/clips.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    videos, annotations = [], []
    for index in tqdm(range(count), desc="drawing clips", disable=None):
        clip = draw_clip(seed, index, frames=frames)
        video, found = write_clip(clip, folder / f"clip{index + 1:02d}.mp4", index + 1,
                                  len(annotations) + 1)
        videos.append(video)
        annotations += found
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, 1)]
    write_json(folder / "clips.json", {"videos": videos, "annotations": annotations,
                                       "categories": categories})
    return videos, annotations


def parse_args():
    parser = argparse.ArgumentParser(description="Draws videos with known identities.")
    parser.add_argument("--output", default="data/clips", help="folder to write")
    parser.add_argument("--clips", type=int, default=10, help="number of videos")
    parser.add_argument("--frames", type=int, default=100, help="frames of each")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main(args):
    videos, annotations = write_clips(args.output, args.clips, args.frames, args.seed)
    print(f"{args.output}: {len(videos)} videos of {args.frames} frames, "
          f"{len(annotations)} objects")


if __name__ == "__main__":
    main(parse_args())
