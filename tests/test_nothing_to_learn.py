"""A run that no object teaches anything ends with a sentence, not with weights."""
import json

import pytest

from tests.builders import listed, make_trainer, tiny_config, write_grey_images
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.training import loop

BEYOND = tuple((900 + level, 901 + level) for level in range(5))
SEEN = [[10, 10, 50, 10, 50, 50, 10, 50]]


@pytest.fixture
def make(tmp_path):
    """make(segmentation, ...) -> the config of a run on two grey images with such an object each.
    """
    write_grey_images(tmp_path, ["a.png", "b.png"], (64, 96))

    def build(segmentation, **changed):
        annotations = [{"id": number, "image_id": number, "category_id": 1,
                        "segmentation": segmentation} for number in (1, 2)]
        (tmp_path / "set.json").write_text(json.dumps({
            "images": [listed(1, "a.png", 64, 96), listed(2, "b.png", 64, 96)],
            "annotations": annotations, "categories": [{"id": 1, "name": "box"}]}))
        return tiny_config(**{"train_json": f"{tmp_path}/set.json", "train_images": str(tmp_path),
                              "val_json": "", "output_dir": str(tmp_path / "output"), **changed})
    return build


@pytest.mark.parametrize("segmentation, changed", [
    ([[-10, 5, 0.3, 5, 0.3, 30, -10, 30]], {}),        # covers no pixel of its image
    (SEEN, {"scale_ranges": BEYOND})])
def test_a_run_in_which_no_object_has_a_cell(make, segmentation, changed, monkeypatch):
    monkeypatch.setattr(loop, "MUST_LEARN", 2)
    trainer = make_trainer(make(segmentation, **changed), 5)
    with pytest.raises(UserError, match="no object to learn from: in 2 steps.*check_dataset"):
        trainer.run()
    short = make_trainer(make(segmentation, **changed), 1)
    with pytest.raises(UserError, match="no object to learn from: in 1 steps"):
        short.run()


def test_a_whole_epoch_may_pass_before(make):
    assert make_trainer(make(SEEN, batch_size=1), 1).epoch_steps == 2
    trainer = make_trainer(make(SEEN), 1)
    trainer.run()
    assert trainer.learned


def test_a_validation_set_without_an_object_is_named(make, tmp_path, caplog):
    cfg = make([], val_json=f"{tmp_path}/set.json", val_images=str(tmp_path))
    open_dataset(cfg, "val")
    assert "no object to compare results with, so that AP is undefined" in caplog.text
