"""Further ways in which people name and paint masks as pictures."""
import numpy as np
import pytest
from PIL import Image

from tests.importing_data import SIZE, Imported, blobs, photo, png, write


def painted(masks, values):
    return sum(mask * np.uint8(value) for mask, value in zip(masks, values, strict=True))


def same(found, label, masks):
    return [name for name, _ in found] == [label] * len(masks) and np.array_equal(
        [mask for _, mask in found], masks)


@pytest.mark.parametrize("image, mask", [
    ("my_masks/images/a.jpg", "my_masks/masks/a.png"),
    ("images/img_007.jpg", "masks/mask_007.png"), ("image7.jpg", "mask7.png.png"),
    ("photos/x_sat.jpg", "photos/x_mask.png"), ("rgb/12 image.jpg", "gt/12 label.png")])
def test_which_image_a_mask_belongs_to(tmp_path, image, mask):
    masks = blobs(7)
    photo(tmp_path / "in" / image)
    photo((tmp_path / "in" / image).with_name("other 12345.jpg"), seed=1)
    png(tmp_path / "in" / mask.replace(".png.png", "_mask.png"), painted(masks, [1, 2, 3]))
    found = Imported(tmp_path / "in", tmp_path / "out")
    name = image.rpartition("/")[2]
    assert found.code == 0 and same(found.masks(name), "object", masks)
    assert found.objects("other 12345.jpg") == []


def test_a_folder_of_the_image_is_stronger_than_a_number(tmp_path):
    masks = blobs(7)
    for number in (3, 5):
        photo(tmp_path / "in" / "images" / f"img{number}.jpg", seed=number)
    png(tmp_path / "in" / "masks" / "img5" / "mask_3.png", masks[0] * np.uint8(255))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert same(found.masks("img5.jpg"), "object", masks[:1]) and not found.objects("img3.jpg")


@pytest.mark.parametrize("values", [(85, 170, 255), (64, 128, 255), (1, 2, 255)])
def test_255_may_be_an_object(tmp_path, values):
    """Evenly spaced, or thicker than a border."""
    masks = np.zeros((3, *SIZE), bool)
    for mask, left in zip(masks, (2, 22, 42), strict=True):
        mask[5:45, left:left + (6 if values[0] == 85 else 15)] = True
    photo(tmp_path / "in" / "images" / "a.jpg")
    png(tmp_path / "in" / "masks" / "a.png", painted(masks, values))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.problems == "" and same(found.masks(), "object", masks)


def test_pages_of_a_tiff(tmp_path):
    masks = blobs(7)
    photo(tmp_path / "in" / "images" / "a.jpg")
    pages = [Image.fromarray(mask * np.uint8(255)) for mask in masks]
    (tmp_path / "in" / "masks").mkdir()
    pages[0].save(tmp_path / "in" / "masks" / "a.tif", save_all=True, append_images=pages[1:])
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert same(found.masks(), "object", masks) and "1 masks of several pages" in found.problems


def test_class_maps_of_roboflow(tmp_path):
    masks = blobs(7, 3)
    photo(tmp_path / "in" / "train" / "a_jpg.rf.0123.jpg")
    png(tmp_path / "in" / "train" / "a_jpg.rf.0123_mask.png", painted(masks, [1, 2, 4]))
    write(tmp_path / "in" / "train" / "_classes.csv",
          "Pixel Value, Class\n0, background\n1, cat\n2, big dog\n")
    found = Imported(tmp_path / "in", tmp_path / "out").masks("0123.jpg")
    assert [label for label, _ in found] == ["cat", "big dog", "4"]
    assert np.array_equal([mask for _, mask in found], masks)


def test_masks_as_jpeg(tmp_path):
    """White on black is soft or clean, other values would be hundreds of objects."""
    clean, soft = np.zeros((2, *SIZE), bool)
    clean[8:24, 16:40], soft[11:33, 13:37] = True, True
    values = painted([clean, soft & ~clean], [90, 190])
    (tmp_path / "in" / "masks").mkdir(parents=True)
    for name, pixels in (("a", clean * np.uint8(255)), ("b", soft * np.uint8(255)), ("c", values)):
        photo(tmp_path / "in" / "images" / f"{name}.jpg", seed=ord(name))
        Image.fromarray(pixels).save(tmp_path / "in" / "masks" / f"{name}.jpg")
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert same(found.masks("a.jpg"), "object", [clean])
    assert same(found.masks("b.jpg"), "object", [soft]) and found.objects("c.jpg") == []
    assert "1 masks of several objects as JPEG" in found.problems and found.code == 1


@pytest.mark.parametrize("void, kind", [(255, "grey as colours"), (65535, "16 bits")])
def test_borders_of_other_pictures(tmp_path, void, kind):
    masks = blobs(7)
    values = painted(masks, [1, 2, 9]).astype(np.uint16)
    values[-2:] = void
    photo(tmp_path / "in" / "images" / "a.jpg")
    png(tmp_path / "in" / "masks" / "a.png", values if kind == "16 bits" else
        np.stack([values] * 3, -1).astype(np.uint8))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert same(found.masks(), "object", masks) and "1 masks with a thin border" in found.problems


@pytest.mark.parametrize("upright", [False, True])
def test_masks_of_an_image_that_exif_turns(tmp_path, upright):
    """As it is stored or as it is shown: the size of the mask tells."""
    mask, exif = np.zeros(SIZE[::-1] if upright else SIZE, bool), Image.Exif()
    mask[5:20, 5:30] = True
    exif[0x0112] = 6
    (tmp_path / "in" / "images").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in" / "images" / "a.jpg", exif=exif)
    png(tmp_path / "in" / "masks" / "a.png", mask * np.uint8(255))
    found = Imported(tmp_path / "in", tmp_path / "out")
    [entry] = found.jsons["train"]["images"]
    assert (entry["height"], entry["width"]) == mask.shape
    assert same(found.masks(size=mask.shape), "object", [mask])


def test_a_photograph_among_the_masks(tmp_path):
    """A picture of 480 small objects is a mask; one of thousands of colours is none."""
    many = (np.arange(60 * 80).reshape(SIZE) // 10).astype(np.uint16)
    for name in "ab":
        photo(tmp_path / "in" / "images" / f"{name}.jpg", seed=ord(name))
    png(tmp_path / "in" / "labels" / "a.png", many)
    photo(tmp_path / "in" / "labels" / "b.png")
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert len(found.objects("a.jpg")) == 479 and found.objects("b.jpg") == []
    assert "1 pictures among the masks with as many values as a photograph" in found.problems


@pytest.mark.parametrize("source, images, mask", [
    ("out of the tool", "photos", "out of the tool/a.png"), ("set", "set/photos", "set/png/a.png"),
    ("set/masks", "set", "set/masks/a.png")])
def test_images_in_a_folder_of_their_own(tmp_path, source, images, mask):
    masks = blobs(7)
    photo(tmp_path / ("photos" if images == "photos" else "set/photos") / "a.jpg")
    png(tmp_path / mask, painted(masks, [1, 2, 3]))
    found = Imported(tmp_path / source, tmp_path / "out", "--images", str(tmp_path / images))
    assert found.code == 0 and same(found.masks(), "object", masks)
