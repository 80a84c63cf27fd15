"""What the quick-start set shows: shapes on textured, noisy, unevenly lit grounds.

Objects are drawn from back to front, so that later ones hide earlier ones.  An object is only put
where enough of it, and of all that it covers, stays visible.  Like real things, a kind has a
typical colour besides its shape, so that minutes of training from nothing can tell them apart.
"""
import cv2
import numpy as np

CLASS_NAMES = ("circle", "triangle", "rectangle", "star", "ring", "cross")
HUES = dict(zip(CLASS_NAMES, range(0, 360, 60), strict=True))          # degrees, typical of a kind
HUE_SPREAD = 12                 # degrees, standard deviation: neighbouring kinds rarely meet
EMPTY_PROBABILITY = 0.03        # images without any object
CROWD_PROBABILITY = 0.08        # images with a cluster of tiny objects, annotated as one crowd
CROWD_SIDES = (7, 13)           # pixels, of these tiny objects
MAX_OBJECTS = 24                # the number of objects is log-uniform from 1 to this
MIN_SIDE, MAX_SIDE = 52, 0.60   # of an object: pixels; fraction of the image side; log-uniform
CROWDING = 1.4                  # no side above this * image side / sqrt(objects): dozens must fit
MIN_VISIBLE = 0.8               # of an object's area; the rest may be hidden or outside
MIN_PIXELS = 400                # that stay visible
MIN_CONTRAST = 90               # distance in BGR between an object and what is behind it
SUPERSAMPLING = 4               # outlines are filled at this scale, then averaged
ATTEMPTS = 12                   # positions tried for one object


def smooth_field(rng, size, cells):
    """float32 [H, W] in 0..1 that varies smoothly, with about `cells` hills along a side."""
    coarse = rng.random((cells + 2, cells + 2), np.float32)
    field = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(field, None, 0, 1, cv2.NORM_MINMAX)


def random_color(rng, saturation, value, hue=None):
    """float32 [3], BGR in 0..255; `saturation`, `value`: (low, high) in 0..1; any hue or `hue`."""
    hue = rng.uniform(0, 360) if hue is None else hue % 360
    hsv = np.float32([[[hue, rng.uniform(*saturation), rng.uniform(*value)]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0] * 255


def pattern(rng, size):
    """float32 [H, W] in -1..1: plain, grains, waves, a weave or tiles, in any direction."""
    kind = rng.integers(5)
    if kind == 0:
        return np.zeros(size, np.float32)
    if kind == 1:
        return 2 * smooth_field(rng, size, int(max(size) / rng.uniform(2, 6))) - 1
    angle, frequency = rng.uniform(0, np.pi), 2 * np.pi / rng.uniform(5, 20)
    ys, xs = np.indices(size, np.float32)
    cos, sin = np.float32([frequency * np.cos(angle), frequency * np.sin(angle)])
    along, across = xs * cos + ys * sin, ys * cos - xs * sin
    if kind == 2:
        return np.sin(along + 6 * smooth_field(rng, size, 3))
    if kind == 3:
        return 0.5 * (np.sin(along) + np.sin(across))
    return np.sign(np.sin(along) * np.sin(across))


def background(rng, size):
    """float32 [H, W, 3]: two muted colours flowing into each other, a faint pattern, scratches."""
    low, high = (random_color(rng, (0, 0.45), (0.25, 0.85)) for _ in range(2))
    blend = smooth_field(rng, size, int(rng.integers(1, 7))) * np.float32(rng.uniform(0.2, 1))
    texture = pattern(rng, size) * np.float32(rng.uniform(0.03, 0.12))
    image = (low + (high - low) * blend[..., None]) * (1 + texture[..., None])
    for _ in range(rng.integers(0, 6)):
        x1, y1, x2, y2 = rng.integers(0, max(size), 4).tolist()
        color = random_color(rng, (0, 0.4), (0.2, 0.9)).tolist()
        cv2.line(image, (x1, y1), (x2, y2), color, 1, cv2.LINE_AA)
    return image


def polar(degrees, radius=1.0):
    """Points [P, 2] at these angles around the origin."""
    radians = np.deg2rad(np.asarray(degrees, np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], 1) * np.reshape(radius, (-1, 1))


def outline(rng, kind):
    """Polygons, a list of [P, 2], of radius about 1; what lies within two of them is a hole."""
    if kind == "circle":
        return [polar(np.arange(0, 360, 6))]
    if kind == "ring":
        return [polar(np.arange(0, 360, 6)), polar(np.arange(0, 360, 6), rng.uniform(0.45, 0.65))]
    if kind == "triangle":
        return [polar(np.array([90, 210, 330]) + rng.uniform(-14, 14, 3))]
    if kind == "rectangle":
        half = rng.uniform(20, 45)
        return [polar([half, 180 - half, 180 + half, 360 - half])]
    if kind == "star":
        return [polar(np.arange(0, 360, 36), np.tile([1, rng.uniform(0.38, 0.46)], 5))]
    arm = rng.uniform(0.22, 0.36)                      # cross: three corners, turned four times
    corners = np.array([[1, -arm], [1, arm], [arm, arm]]) / np.hypot(1, arm)
    turn = np.array([[0, 1], [-1, 0]])
    return [np.concatenate([corners @ np.linalg.matrix_power(turn, k) for k in range(4)])]


def coverage(rng, kind, side):
    """float32 [P, P], how much of each pixel a shape of `side` pixels covers, turned freely."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    squeeze = np.diag([1, rng.uniform(0.78, 1)])
    patch = int(np.ceil(side)) + 4
    polygons = [np.rint((points @ squeeze @ turn * side / 2 + patch / 2) * SUPERSAMPLING)
                for points in outline(rng, kind)]
    large = np.zeros((patch * SUPERSAMPLING, patch * SUPERSAMPLING), np.uint8)
    cv2.fillPoly(large, [points.astype(np.int32) for points in polygons], 255)
    small = cv2.resize(large, (patch, patch), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


class Scene:
    """An image drawn from back to front.

    `owner`: int32 [H, W], the index of the object that a pixel shows, -1 for the ground.
    `objects`: per object its kind, crowd, `visible` pixels and those `needed` to stay visible.
    """

    def __init__(self, rng, size):
        self.rng = rng
        self.image = background(rng, size)             # float32 [H, W, 3]
        self.owner = np.full(size, -1, np.int32)
        self.objects = []

    def add(self, kind, side):
        """Draws an object where it fits, or not at all if no such place is found."""
        alpha = coverage(self.rng, kind, side)
        needed = max(MIN_PIXELS, MIN_VISIBLE * (alpha > 0.5).sum())
        for _ in range(ATTEMPTS):
            window, part = self.window(alpha, self.rng.uniform(-0.05, 1.05, 2) * self.owner.shape)
            shown = part > 0.5
            owners = self.owner[window][shown]
            losses = np.bincount(owners[owners >= 0], minlength=len(self.objects)).tolist()
            pairs = list(zip(self.objects, losses, strict=True))
            if shown.sum() < needed or any(thing["visible"] - loss < thing["needed"]
                                           for thing, loss in pairs if loss):
                continue
            for thing, loss in pairs:
                thing["visible"] -= loss
            self.record(kind, False, window, shown, needed)
            self.paint(kind, window, part)
            return

    def add_crowd(self, kind):
        """Draws a cluster of tiny, overlapping objects of one kind: a single crowd region."""
        region = np.zeros(self.owner.shape, np.uint8)
        middle, spread = self.rng.uniform(0.2, 0.8, 2), self.rng.uniform(0.06, 0.12, 2)
        for _ in range(self.rng.integers(25, 60)):
            offset = np.clip(self.rng.normal(0, 1, 2), -1.8, 1.8) * spread
            alpha = coverage(self.rng, kind, self.rng.uniform(*CROWD_SIDES))
            window, part = self.window(alpha, (middle + offset) * self.owner.shape)
            region[window][part > 0.5] = 1
            self.paint(kind, window, part)
        region = cv2.morphologyEx(region, cv2.MORPH_CLOSE, np.ones((13, 13), np.uint8))
        self.record(kind, True, np.s_[:, :], region.astype(bool), region.sum() / 2)

    def record(self, kind, crowd, window, shown, needed):
        self.owner[window][shown] = len(self.objects)
        self.objects.append({"kind": kind, "crowd": crowd, "visible": int(shown.sum()),
                             "needed": needed})

    def window(self, alpha, center):
        """The part of the image under a patch around `center` (y, x), and that of the patch."""
        start = np.rint(center - np.array(alpha.shape) / 2).astype(int)
        (top, left), (bottom, right) = np.clip([start, start + alpha.shape], 0, self.owner.shape)
        part = alpha[top - start[0]:bottom - start[0], left - start[1]:right - start[1]]
        return np.s_[top:bottom, left:right], part

    def paint(self, kind, window, alpha):
        """Blends a patterned colour of the kind into the image, lit from a side, rim darkened."""
        if alpha.size == 0:
            return
        behind = self.image[window]
        shade = pattern(self.rng, alpha.shape) * np.float32(self.rng.uniform(0, 0.25))
        slope = np.float32(self.rng.uniform(-0.15, 0.15))
        shade += np.linspace(1 - slope, 1 + slope, alpha.shape[1], dtype=np.float32)
        shade *= 0.75 + 0.25 * cv2.GaussianBlur(alpha, (0, 0), 1.5)
        paint = self.contrasting_color(kind, behind.mean((0, 1))) * shade[..., None]
        self.image[window] = behind + (paint - behind) * alpha[..., None]

    def contrasting_color(self, kind, behind):
        """The first of several colours of the kind that is far from `behind`, else the farthest."""
        hues = self.rng.normal(HUES[kind], HUE_SPREAD, 8)
        colors = [random_color(self.rng, (0.45, 1), (0.35, 1), hue) for hue in hues]
        distances = np.linalg.norm(np.subtract(colors, behind), axis=1)
        far = np.flatnonzero(distances > MIN_CONTRAST)
        return colors[far[0] if len(far) else distances.argmax()]

    def photograph(self):
        """uint8 [H, W, 3]: the image under uneven light, slightly blurred, with sensor noise."""
        light = smooth_field(self.rng, self.owner.shape, 2) - np.float32(0.6)
        image = self.image * (1 + light * np.float32(self.rng.uniform(0.1, 0.7)))[..., None]
        image = cv2.GaussianBlur(image, (0, 0), self.rng.uniform(0.3, 0.8))
        noise = self.rng.standard_normal(image.shape, np.float32)
        return np.clip(image + noise * np.float32(self.rng.uniform(1, 8)), 0, 255).astype(np.uint8)


def draw_scene(rng, side):
    """A finished Scene whose height and width are `side` pixels, give or take an eighth."""
    height, width = rng.integers(round(side * 0.875), round(side * 1.125) + 1, 2).tolist()
    scene = Scene(rng, (height, width))
    if rng.random() < EMPTY_PROBABILITY:
        return scene
    if rng.random() < CROWD_PROBABILITY:
        scene.add_crowd(str(rng.choice(CLASS_NAMES)))
    count = int(np.exp(rng.uniform(0, np.log(MAX_OBJECTS + 1))))
    largest = max(MIN_SIDE, side * min(MAX_SIDE, CROWDING / np.sqrt(count)))
    for _ in range(count):
        length = np.exp(rng.uniform(np.log(MIN_SIDE), np.log(largest)))
        scene.add(str(rng.choice(CLASS_NAMES)), length)
    return scene
