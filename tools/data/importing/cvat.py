"""CVAT's XML ("CVAT for images" and "CVAT for video"): polygons, masks, boxes, ellipses, tracks.

Shapes of one label and group are the parts of one object, as in CVAT's own COCO export.  A mask is
run lengths within its box, row by row, background first.  Between the keyframes of a track, where
the file leaves frames out, boxes and polygons of equal corners move in a straight line.
"""
import re

import numpy as np

from tools.data.importing.bitmaps import placed
from tools.data.importing.collection import (
    DAMAGED,
    DAMAGED_FILE,
    NO_CLASS,
    NO_IMAGE,
    NO_OUTLINE,
    NOT_AREAS,
    RECTANGLES,
    text_label,
    whole_size,
)
from tools.data.importing.outlines import ellipse, flat_ring, number, turned_rectangle
from tools.data.importing.safe_xml import parse_xml
from tools.data.importing.source import SPLIT_NAMES, split_of
from tools.errors import UserError, shown

NAME = "cvat"
HELD = "frames between keyframes with different corners (the last outline stays)"
SHAPES = ("polygon", "box", "mask", "ellipse", "polyline", "points", "cuboid", "skeleton")


def recognise(source):
    for name in source.ending(".xml"):
        if re.search(r"<annotations[\s>]", source.text(name)[:20_000]):
            return f"{name}, whose root is <annotations>"
    return None


def read(source, collection):
    for name in source.ending(".xml"):
        try:
            root = parse_xml(source.bytes(name), name)
        except UserError as error:
            collection.leave_out(DAMAGED_FILE, str(error))
            continue
        if root.tag == "annotations":
            declare(root, collection)
            for image in root.iter("image"):
                read_image(image, name, collection)
            read_tracks(root, name, collection)


def declare(root, collection):
    """The labels of the task, but those of the parts of skeletons."""
    labels = [label for label in root.iter("label") if label.find("parent") is None]
    names = [text_label(label.findtext("name")) for label in labels]
    collection.declare(filter(None, names))


def read_image(image, file, collection):
    size = whole_size(image.get("height"), image.get("width"))
    name = image.get("name", "")
    subset = SPLIT_NAMES.get(str(image.get("subset", "")).lower()) or None
    picture = collection.add_picture(name, size, file, subset, viewed=True)
    if picture is None:
        return
    groups = {}
    for position, shape in enumerate(image):
        where = f"{name}: {shape.tag} {position}"
        label = text_label(shape.get("label"))
        if shape.tag not in SHAPES:
            continue
        if not label:
            collection.leave_out(NO_CLASS, where)
            continue
        group = group_of(shape)
        key = (label, group, "group") if group else (label, position)
        part = read_shape(shape.tag, shape.attrib, picture.size, collection, where)
        groups.setdefault(key, []).extend([] if part is None else [part])
    for (label, *_), parts in groups.items():
        collection.add_parts(picture, label, parts)


def group_of(tag):
    """The group of a shape or track, "" for none."""
    group = tag.get("group_id", "0")
    return "" if group == "0" else group


def read_shape(kind, values, size, collection, where):
    """A flat ring, a bool mask, or None and counted."""
    try:
        if kind == "polygon":
            return flat_ring(points_of(values["points"]))
        if kind == "box":
            collection.note(RECTANGLES, where)
            return box_of(values)
        if kind == "ellipse":
            return ellipse(*(values[key] for key in ("cx", "cy", "rx", "ry")),
                           float(values.get("rotation") or 0))
    except (ValueError, KeyError):
        return collection.leave_out(NO_OUTLINE, where)
    if kind != "mask":
        return collection.leave_out(NOT_AREAS, where)
    try:
        return mask_of(values, size)
    except (ValueError, KeyError, OverflowError) as error:
        return collection.leave_out(DAMAGED, f"{where}: {shown(str(error))}")


def points_of(text):
    return [[float(value) for value in point.split(",")] for point in text.split(";")
            if point.strip()]


def box_of(values):
    corners = [number(values[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
    return turned_rectangle(*corners, float(values.get("rotation") or 0))


def mask_of(values, size):
    left, top, width, height = (int(float(values[key])) for key in
                                ("left", "top", "width", "height"))
    runs = np.array([int(run) for run in values["rle"].split(",") if run.strip()], np.int64)
    if min(width, height) < 1 or runs.min(initial=0) < 0 or width * height > 4 * size[0] * size[1]:
        raise ValueError(f"a mask of {width} x {height}")
    if runs.sum() != width * height:
        raise ValueError(f"runs of {runs.sum()} pixels for a mask of {width} x {height}")
    inside = np.arange(len(runs)) % 2 == 1
    return placed(np.repeat(inside, runs).reshape(height, width), left, top, size)


def read_tracks(root, file, collection):
    tracks = list(root.iter("track"))
    if not tracks:
        return
    size_tag = root.find(".//original_size")
    size = whole_size(size_tag.findtext("height"), size_tag.findtext("width")) \
        if size_tag is not None else None
    frames, groups = {}, {}
    for track in tracks:
        label, group = text_label(track.get("label")), group_of(track)
        for frame, kind, values in visible_shapes(track, collection):
            if frame not in frames:
                frames[frame] = frame_picture(frame, size, root, file, collection)
            picture, where = frames[frame], f"track {track.get('id')} frame {frame}"
            if picture is None:
                continue
            if not label:
                collection.leave_out(NO_CLASS, where)
                continue
            part = read_shape(kind, values, picture.size, collection, where)
            if part is not None and group:
                groups.setdefault((frame, label, group), []).append(part)
            elif part is not None:
                collection.add_parts(picture, label, [part])
    for (frame, label, _), parts in groups.items():
        collection.add_parts(frames[frame], label, parts)


def frame_picture(frame, size, root, file, collection):
    """The Picture of a frame: frame_000012.png, or the 12th image where their count fits."""
    images = list(collection.source.images)            # sorted
    by_stem = collection.source.images_by_stem
    named = by_stem.get(f"frame_{frame:06d}") or by_stem.get(f"frame_{frame}") or []
    count = root.findtext(".//task/size") or root.findtext(".//job/size") or ""
    if not named and count.isdigit() and int(count) == len(images) > frame:
        named = [images[frame]]
    if len(named) == 1:
        return collection.add_file(named[0], size, split_of(named[0]))
    if size is None or images:
        return collection.leave_out(NO_IMAGE, f"{file}: frame {frame} (frame_{frame:06d})")
    return collection.add_picture(f"frame_{frame:06d}.png", size, file)


def visible_shapes(track, collection):
    """(frame, kind, attributes) for each frame in which the object of a track is seen."""
    shapes = [shape for shape in track if shape.tag in SHAPES
              and str(shape.get("frame", "")).isdigit()]
    shapes.sort(key=lambda shape: int(shape.get("frame")))
    for shape, following in zip(shapes, [*shapes[1:], None], strict=True):
        if shape.get("outside") == "1":
            continue
        first = int(shape.get("frame"))
        yield first, shape.tag, shape.attrib
        if following is None:
            continue
        last = int(following.get("frame"))
        if last - first > 1 and not moves_straight(shape, following):
            collection.note(HELD, f"track {track.get('id')}, frames {first + 1} to {last - 1}")
        for frame in range(first + 1, min(last, first + 100_000)):
            try:
                values = between(shape, following, (frame - first) / (last - first))
            except ValueError:                         # damaged numbers, which are named then
                values = shape.attrib
            yield frame, shape.tag, values


def moves_straight(shape, following):
    return following.get("outside") == "1" or shape.tag == following.tag and (
        shape.tag in ("box", "ellipse") or shape.tag == "polygon"
        and shape.get("points", "").count(";") == following.get("points", "").count(";"))


def between(shape, following, share):
    """The attributes of a shape on its way to the next keyframe."""
    if following.get("outside") == "1" or not moves_straight(shape, following):
        return shape.attrib
    values = dict(shape.attrib)
    for key in ("xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry"):
        if key in values and key in following.attrib:
            values[key] = mix(float(values[key]), float(following.get(key)), share)
    if shape.tag == "polygon":
        pairs = zip(points_of(shape.get("points")), points_of(following.get("points")), strict=True)
        values["points"] = ";".join(f"{mix(x1, x2, share)!r},{mix(y1, y2, share)!r}"
                                    for (x1, y1), (x2, y2) in pairs)
    return values


def mix(first, second, share):
    return first + (second - first) * share
