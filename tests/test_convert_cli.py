"""python -m convert: the report, exit codes, files written or not, and the way to the predictor."""
import hashlib

import numpy as np
import pytest

from config import get_config
from convert.__main__ import main
from convert.published import PUBLISHED
from convert.readers import read_checkpoint
from model.solov2 import build_solov2
from tests.checkpoint_files import write_checkpoint
from tests.golden.checkpoints import weights
from tools.cli import run
from tools.errors import UserError
from tools.inference.predictor import Predictor
from tools.weights.weights_file import load_pretrained, read_weights

R18 = "wxinlong__SOLOv2_LIGHT_448_R18_3x"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an original R18 file and its conversion."""
    folder = tmp_path_factory.mktemp("convert")
    write_checkpoint(folder / "r18.pth", R18, weights(R18))
    main([str(folder / "r18.pth"), "--output", str(folder / "r18.pdparams")])
    return folder


def test_report_and_weights(folder, capsys):
    main([str(folder / "r18.pth"), "--output", str(folder / "again.pdparams")])
    report = capsys.readouterr().out
    for part in ("family: wxinlong", "config: solov2_light_448_r18_fpn_3x (by all 156 names",
                 "156 matched, 20 dropped, 0 missing", "classes: 80 (person, bicycle", "input: RGB",
                 "written: "):
        assert part in report
    arrays, meta = read_weights(folder / "again.pdparams")
    original = weights(R18)
    np.testing.assert_array_equal(arrays["head.category_pred.weight"],
                                  original["bbox_head.solo_cate.weight"])
    np.testing.assert_array_equal(arrays["backbone.res3.0.shortcut.proj.norm._variance"],
                                  original["backbone.layer2.0.downsample.1.running_var"])
    assert meta["source_sha256"] == hashlib.sha256((folder / "r18.pth").read_bytes()).hexdigest()
    assert not list(folder.glob("*.tmp"))


@pytest.mark.parametrize("family, suffix", [("wxinlong", ".pth"), ("mmdet3", ".pth"),
                                            ("ppdet", ".pdparams"), ("ppdet-static", ".pdparams")])
def test_out_and_back_is_bit_equal(family, suffix, folder):
    theirs, back = folder / f"r18-{family}{suffix}", folder / "back.pdparams"
    main([str(folder / "r18.pdparams"), "--to", family])
    main([str(theirs), "--output", str(back)])
    arrays, returned = read_weights(folder / "r18.pdparams")[0], read_weights(back)[0]
    assert arrays.keys() == returned.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, returned[name])
    if family == "wxinlong":                             # the file itself, with torch's counters
        exported, original = read_checkpoint(theirs).arrays, weights(R18)
        assert exported.keys() == original.keys()
        assert all(np.array_equal(exported[name], original[name]) for name in original)


def test_pytorch_opens_what_we_write(folder):
    torch = pytest.importorskip("torch")
    main([str(folder / "r18.pdparams"), "--to", "mmdet3", "--output", str(folder / "t.pth")])
    state = torch.load(folder / "t.pth", weights_only=True)["state_dict"]
    for name, array in read_checkpoint(folder / "t.pth").arrays.items():
        np.testing.assert_array_equal(state[name].numpy(), array)


def test_predictor_uses_what_the_file_says(folder):
    """The same config serves every family, each with its own input."""
    cfg = get_config("solov2_light_448_r18_fpn_3x")
    main([str(folder / "r18.pdparams"), "--to", "ppdet", "--output", str(folder / "p.pdparams")])
    main([str(folder / "p.pdparams"), "--output", str(folder / "ours.pdparams")])
    rules = [Predictor(cfg, str(folder / name), "cpu", "dygraph").preprocess.settings
             for name in ("r18.pdparams", "ours.pdparams")]
    assert [(s.normalize_first, s.resized_size_rule) for s in rules] == [
        (False, "round"), (True, "fractional")]


@pytest.mark.parametrize("arguments, hint", [
    (["r18.pth", "--config", "6"], "do not fit config solov2_r101_fpn_3x"),
    (["r18.pth", "--config", "99"], "no config '99'"), (["r18.pth", "--family", "x"], "no family"),
    (["r18.pth", "--sha256", "0" * 16], "expected 0000000000000000: it is another file"),
    (["r18.pth", "--to", "mmdet3"], "not a weights file of this project"),
    (["r18.pdparams", "--to", "adelaidet"], "has no counterpart"),
    (["cut.pth"], "truncated"), (["nowhere.pth"], "no checkpoint"),
    (["r18.pth", "--classes", "nowhere.txt"], "cannot read the class names")])
def test_errors(arguments, hint, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "cut.pth").write_bytes((folder / "r18.pth").read_bytes()[:-1000])
    with pytest.raises(SystemExit) as error:
        run(main, [*arguments, "--output", "made/out.pdparams"])
    assert error.value.code == 2
    assert hint in capsys.readouterr().err and not (folder / "made").exists()


@pytest.mark.parametrize("arguments", [[], ["--download"], ["a.pth", "--download", "--config", "2"],
                                       ["a.pth", "--list"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2 and "give one of FILE" in capsys.readouterr().err


def test_list(capsys):
    main(["--list"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == len(PUBLISHED) + 1 and sum("(closed)" in row for row in rows) == 11


def test_unwritable_output(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "taken").mkdir(exist_ok=True)
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match="cannot write 'taken'"):
        main(["r18.pth", "--output", "taken"])
    assert sorted(folder.iterdir()) == before


def test_source_is_never_overwritten(folder, monkeypatch):
    monkeypatch.chdir(folder)
    content = (folder / "r18.pth").read_bytes()
    for arguments in (["r18.pth"], ["r18.pdparams", "--to", "ppdet"]):
        with pytest.raises(SystemExit):
            run(main, [*arguments, "--output", arguments[0]])
    assert (folder / "r18.pth").read_bytes() == content


def test_a_backbone_starts_a_training(tmp_path, capsys):
    name = "paddledet2__ResNet50_cos_pretrained"
    write_checkpoint(tmp_path / "r50.pdparams", name, weights(name))
    main([str(tmp_path / "r50.pdparams"), "--output", str(tmp_path / "ours.pdparams")])
    assert "the backbone of solov2_r50_fpn_8gpu_3x" in capsys.readouterr().out
    main([str(tmp_path / "ours.pdparams")])
    assert "train from it" in capsys.readouterr().out
    model = build_solov2(get_config("solov2_r50_fpn_8gpu_3x"))
    misfit = load_pretrained(model, str(tmp_path / "ours.pdparams"))
    assert misfit.missing and not misfit.unknown and not misfit.shapes
    assert not any(line.startswith("backbone.") for line in misfit.missing)
    np.testing.assert_array_equal(model.backbone.stem[0].conv.weight.numpy(),
                                  weights(name)["backbone.conv1.conv1.conv.weight"])
