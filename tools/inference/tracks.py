"""Objects that keep their number over the frames of a video: mask IoU after a constant-velocity
shift.

A track holds the mask of its object when it was last seen whole, and its velocity.  In each frame
the masks of all tracks are moved on; of the pairs of a track and a result the one that overlaps
most belongs together, then the next, sure results first.  A track that is hidden is waited for.
Its class is what most of its results say, weighed by their scores.
Masks are (top, left, bool [h, w]), positions (x, y) in pixels, times in frames.
"""
import cv2
import numpy as np

UNKNOWN = 0                        # the id of a result without a track, or not seen often enough
SAMPLES = 32                       # pixels along the shorter side of what is looked at
WHOLE = 0.9                        # part of the full area from which on a result shows all of it
SHRINK = 0.99                      # of the full area, per frame, of objects that become smaller
INSIDE = 0.7                       # weight of an overlap with a result that may show a part only


class Track:
    """One object over time.  `number` is 0 until it has been seen often enough to count."""

    def __init__(self, mask, step):
        self.number, self.hits, self.votes = UNKNOWN, 0, {}
        self.velocity = np.zeros(2)
        self.seen = step                               # the last frame with a result
        self.take(mask, np.count_nonzero(mask[2]), middle(mask), step)
        self.full = self.area                          # pixels of the whole object
        self.position = self.middle                    # in the frame `seen`

    def take(self, mask, area, middle_of_it, step):
        """The object is whole in this frame."""
        self.mask, self.area, self.middle, self.whole = mask, area, middle_of_it, step

    def moved(self, step):
        """Its mask where it should be in a frame."""
        right, down = np.rint(self.velocity * (step - self.whole)).astype(int).tolist()
        return self.mask[0] + down, self.mask[1] + right, self.mask[2]

    def update(self, mask, step, smoothing, patience):
        """Take in a result.  One that shows a part only tells neither the shape nor the speed."""
        area, here, age = np.count_nonzero(mask[2]), middle(mask), step - self.whole
        self.full = max(area, self.full * SHRINK)
        if WHOLE * self.full <= area <= self.area / WHOLE:
            weight = 1.0 if self.hits < 2 else 1 - smoothing
            speed = (here - self.middle) / age
            self.velocity = self.velocity + weight * (speed - self.velocity)
        if area >= WHOLE * self.full or age > patience:
            self.take(mask, area, here, step)
        self.position = self.middle + self.velocity * (step - self.whole)
        self.seen = step

    def vote(self, class_index, score):
        self.votes[class_index] = self.votes.get(class_index, 0.0) + score
        self.hits += 1

    @property
    def class_index(self):
        return max(self.votes, key=self.votes.get)


class Tracker:
    """tracker(instances) -> int64 [I], the number of the track of each; call it in every frame.

    Numbers count from 1 in the order in which objects have been seen often enough; UNKNOWN for the
    others.  `tracks`: those that are seen or waited for; `objects`: every numbered Track so far.
    The settings are the track_... of config/base.py.
    """

    def __init__(self, cfg):
        self.cfg, self.step, self.tracks, self.objects = cfg, 0, [], []

    def __call__(self, instances):
        self.step += 1
        numbers = np.full(len(instances), UNKNOWN, np.int64)
        usable = instances.boxes.any(1) & (instances.scores >= self.cfg.track_low)
        masks = {index: instances.box_mask(index) for index in np.flatnonzero(usable).tolist()}
        matched = self.match(instances, masks)
        for index, track in matched.items():
            track.update(masks[index], self.step, self.cfg.track_smoothing, self.cfg.track_lost)
            numbers[index] = self.count(track, instances, index)
        for index in masks.keys() - matched.keys():
            if instances.scores[index] >= self.cfg.track_new:
                numbers[index] = self.begin(instances, index, masks[index])
        self.tracks = [track for track in self.tracks
                       if self.step - track.seen <= (self.cfg.track_lost if track.number else 1)]
        return numbers

    def follow(self, instances):
        """A copy of the Instances of the next frame with `track_ids`, and classes by vote."""
        followed = instances.select(slice(None))
        followed.track_ids = self(instances)
        followed.class_indices = np.array([
            self.objects[number - 1].class_index if number else own for number, own
            in zip(followed.track_ids.tolist(), instances.class_indices.tolist(), strict=True)],
            np.int64)
        return followed

    def totals(self):
        """{class index: objects so far}."""
        classes = [track.class_index for track in self.objects]
        return {index: classes.count(index) for index in sorted(set(classes))}

    def match(self, instances, masks):
        """{index of a result: its track}."""
        matched, free = {}, list(self.tracks)
        sure = instances.scores >= self.cfg.track_new
        for group in (sure, ~sure):
            indices = [index for index in masks if group[index]]
            pairs = self.pairs(free, indices, instances, masks)
            for _, place, index in sorted(pairs, key=lambda pair: -pair[0]):
                if free[place] is not None and index not in matched:
                    matched[index], free[place] = free[place], None
            free = [track for track in free if track is not None]
        return matched

    def pairs(self, tracks, indices, instances, masks):
        """[(overlap, place in `tracks`, index of a result)] of all that overlap enough."""
        if not tracks or not indices:
            return []
        moved = [track.moved(self.step) for track in tracks]
        areas = {index: np.count_nonzero(masks[index][2]) for index in indices}
        found = []
        for place, column in zip(*np.nonzero(touching(moved, [masks[i] for i in indices])),
                                 strict=True):
            track, index = tracks[place], indices[column]
            area, common = areas[index], intersection(moved[place], masks[index])
            value = common / (area + track.area - common)
            if area < track.area and instances.class_indices[index] == track.class_index:
                value = max(value, INSIDE * common / area)             # it may be half hidden
            if value >= self.cfg.track_iou:
                found.append((value, place, index))
        return found

    def begin(self, instances, index, mask):
        """The number of a new track, unless the result shows what another one shows already."""
        area = np.count_nonzero(mask[2])
        for track in self.tracks:
            if track.seen == self.step and intersection(mask, track.moved(self.step)) > area / 2:
                return UNKNOWN
        track = Track(mask, self.step)
        self.tracks.append(track)
        return self.count(track, instances, index)

    def count(self, track, instances, index):
        """The number of a track after one more result."""
        track.vote(int(instances.class_indices[index]), float(instances.scores[index]))
        if track.number == UNKNOWN and track.hits >= self.cfg.track_hits:
            self.objects.append(track)
            track.number = len(self.objects)
        return track.number


def middle(mask):
    """float64 [2]: the middle (x, y) of a mask's pixels."""
    top, left, inside = mask
    step = max(1, min(inside.shape) // SAMPLES)
    seen = np.ascontiguousarray(inside[step // 2::step, step // 2::step]).view(np.uint8)
    moments = cv2.moments(seen, binaryImage=True)
    area = moments["m00"]
    if area == 0:                                      # all of it lies between the samples
        return np.array([left + inside.shape[1] / 2, top + inside.shape[0] / 2])
    offset = step // 2 + 0.5
    return np.array([left + offset + step * moments["m10"] / area,
                     top + offset + step * moments["m01"] / area])


def touching(masks, others):
    """bool [I, J]: whether the boxes of two masks have a pixel in common."""
    first, second = boxes(masks)[:, None], boxes(others)[None]
    return (np.minimum(first[..., 2:], second[..., 2:])
            > np.maximum(first[..., :2], second[..., :2])).all(-1)


def boxes(masks):
    return np.array([(top, left, top + mask.shape[0], left + mask.shape[1])
                     for top, left, mask in masks])


def intersection(mask, other):
    """The pixels that two masks have in common; of many, every second, third .. is counted."""
    top, left = max(mask[0], other[0]), max(mask[1], other[1])
    bottom = min(mask[0] + mask[2].shape[0], other[0] + other[2].shape[0])
    right = min(mask[1] + mask[2].shape[1], other[1] + other[2].shape[1])
    if bottom <= top or right <= left:
        return 0
    step = max(1, min(bottom - top, right - left) // SAMPLES)
    part, other_part = (inside[top - first:bottom - first:step, left - start:right - start:step]
                        for first, start, inside in (mask, other))
    return np.count_nonzero(part & other_part) * step * step
