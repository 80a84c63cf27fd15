"""The published checkpoints: config, family, file name, address and mask AP on COCO val2017.

The addresses are those of the projects' model pages.  CloudStor, which held the files of WXinlong
and AdelaiDet, closed at the end of 2023: these need a local copy.
"""
import re
from dataclasses import dataclass

from config import CONFIGS, get_config
from convert.errors import ConversionError

PPDET = "https://paddledet.bj.bcebos.com/models"
PADDLEX = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_pretrained_model"
STATIC = "https://paddlemodels.bj.bcebos.com/object_detection"
MMDET = "https://download.openmmlab.com/mmdetection/v2.0/solov2"
CLOSED = "https://cloudstor.aarnet.edu.au/plus/s"


LICENCES = {
    "ppdet": "PaddleDetection is under Apache-2.0; no separate licence of the weights is stated",
    "paddlex": "PaddleX is under Apache-2.0; as ppdet", "ppdet-static": "as ppdet",
    "mmdet3": "mmdetection is under Apache-2.0; as ppdet",
    "wxinlong": "non-commercial: BSD 2-clause for academic use, commercial use needs the authors",
    "adelaidet": "non-commercial: BSD 2-clause for academic use, commercial use needs the authors"}


@dataclass(frozen=True)
class Published:
    """One file: `ap` is the mask AP its project states; `closed` marks a host that is gone."""

    config: str
    family: str
    file: str
    address: str
    ap: float

    @property
    def sha256(self):
        """The first 8 digits of the checksum, which mmdetection puts into its file names, or ""."""
        match = re.search(r"-([0-9a-f]{8})\.pth$", self.file)
        return match[1] if match else ""

    @property
    def closed(self):
        return self.address.startswith(CLOSED)


def ppdet(config, name, ap):
    return Published(config, "ppdet", f"{name}.pdparams", f"{PPDET}/{name}.pdparams", ap)


def static(config, name, ap):
    return Published(config, "ppdet-static", f"{name}.pdparams", f"{STATIC}/{name}.pdparams", ap)


def mmdet(config, folder, stamp, ap):
    file = f"{folder}_{stamp}.pth"
    return Published(config, "mmdet3", file, f"{MMDET}/{folder}/{file}", ap)


def cloudstor(config, family, name, key, ap):
    return Published(config, family, f"{name}.pth", f"{CLOSED}/{key}/download", ap)


PUBLISHED = (
    ppdet("solov2_r50_fpn_8gpu_3x", "solov2_r50_fpn_3x_coco", 38.0),
    ppdet("solov2_r50_fpn_1x", "solov2_r50_fpn_1x_coco", 35.5),
    ppdet("solov2_r101_vd_fpn_3x", "solov2_r101_vd_fpn_3x_coco", 42.7),
    ppdet("solov2_r50_enhance", "solov2_r50_enhance_coco", 39.0),
    Published("solov2_r50_fpn_1x", "paddlex", "SOLOv2_pretrained.pdparams",
              f"{PADDLEX}/SOLOv2_pretrained.pdparams", 35.5),
    static("solov2_r50_fpn_8gpu_3x", "solov2_r50_fpn_3x", 37.9),
    static("solov2_r50_fpn_1x", "solov2_r50_fpn_1x", 35.6),
    static("solov2_r101_vd_fpn_3x", "solov2_r101_vd_fpn_3x", 42.6),
    static("solov2_light_r50_vd_fpn_dcn_512_3x", "solov2_light_r50_vd_fpn_dcn_512_3x", 38.8),
    static("solov2_mobilenetv3_fpn_448_3x", "solov2_mobilenetv3_fpn_448_3x", 30.0),
    mmdet("solov2_r50_fpn_1x", "solov2_r50_fpn_1x_coco", "20220512_125858-a357fa23", 34.8),
    mmdet("solov2_r50_fpn_8gpu_3x", "solov2_r50_fpn_3x_coco", "20220512_125856-fed092d4", 37.5),
    mmdet("solov2_r101_fpn_3x", "solov2_r101_fpn_3x_coco", "20220511_095119-c559a076", 39.1),
    mmdet("solov2_r101_dcn_fpn_3x", "solov2_r101_dcn_fpn_3x_coco", "20220513_214734-16c966cb",
          41.2),
    mmdet("solov2_x101_dcn_fpn_3x", "solov2_x101_dcn_fpn_3x_coco", "20220513_214337-aef41095",
          42.4),
    mmdet("solov2_light_448_r18_fpn_3x", "solov2_light_r18_fpn_3x_coco",
          "20220511_083717-75fa355b", 29.7),
    mmdet("solov2_light_448_r34_fpn_3x", "solov2_light_r34_fpn_3x_coco",
          "20220511_091839-e51659d3", 31.9),
    mmdet("solov2_light_448_r50_fpn_8gpu_3x", "solov2_light_r50_fpn_3x_coco",
          "20220512_165256-c93a6074", 33.7),
    cloudstor("solov2_r50_fpn_1x", "wxinlong", "SOLOv2_R50_1x", "DvjgeaPCarKZoVL", 34.8),
    cloudstor("solov2_r50_fpn_8gpu_3x", "wxinlong", "SOLOv2_R50_3x", "nkxN1FipqkbfoKX", 37.5),
    cloudstor("solov2_r101_fpn_3x", "wxinlong", "SOLOv2_R101_3x", "61WDqq67tbw1sdw", 39.1),
    cloudstor("solov2_r101_dcn_fpn_3x", "wxinlong", "SOLOv2_R101_DCN_3x", "4ePTr9mQeOpw0RZ", 41.4),
    cloudstor("solov2_x101_dcn_fpn_3x", "wxinlong", "SOLOv2_X101_DCN_3x", "KV9PevGeV8r4Tzj", 42.4),
    cloudstor("solov2_light_448_r18_fpn_3x", "wxinlong", "SOLOv2_LIGHT_448_R18_3x",
              "HwHys05haPvNyAY", 29.6),
    cloudstor("solov2_light_448_r34_fpn_3x", "wxinlong", "SOLOv2_LIGHT_448_R34_3x",
              "QLQpXg9ny7sNA6X", 32.0),
    cloudstor("solov2_light_448_r50_fpn_8gpu_3x", "wxinlong", "SOLOv2_LIGHT_448_R50_3x",
              "cn1jABtVJwsbb2G", 33.7),
    cloudstor("solov2_light_512_dcn_r50_fpn_3x", "wxinlong", "SOLOv2_LIGHT_512_DCN_R50_3x",
              "pndBdr1kGOU2iHO", 36.4),
    cloudstor("solov2_adelaidet_r50_3x", "adelaidet", "SOLOv2_R50_3x", "chF3VKQT4RDoEqC", 37.6),
    cloudstor("solov2_adelaidet_r101_3x", "adelaidet", "SOLOv2_R101_3x", "9w7b3sjaXvqYQEQ", 39.0),
)


def table():
    """The published files as lines of a Markdown table, in the order of the configs."""
    lines = ["| config | family | file | mask AP | address |", "|---|---|---|---|---|"]
    for file in sorted(PUBLISHED, key=lambda file: CONFIGS.index(file.config)):
        address = f"{file.address} (closed)" if file.closed else file.address
        number = CONFIGS.index(file.config)
        lines.append(f"| {number} {file.config} | {file.family} | {file.file} | {file.ap} | "
                     f"{address} |")
    lines += ["", *(f"{family}: {licence}" for family, licence in LICENCES.items())]
    return lines


def zoo():
    """The published files as a Markdown table with links, in the order of the configs."""
    lines = ["| config | backbone | file of | mask AP | file |", "|---|---|---|---|---|"]
    for file in sorted(PUBLISHED, key=lambda file: CONFIGS.index(file.config)):
        number = CONFIGS.index(file.config)
        link = f"{file.file} (host closed)" if file.closed else f"[{file.file}]({file.address})"
        lines.append(f"| {number} {file.config} | {backbone_text(get_config(file.config))} | "
                     f"{file.family} | {file.ap} | {link} |")
    return lines


def backbone_text(cfg):
    """"R50-vd-DCN" and the like."""
    if cfg.backbone != "resnet":
        return "MobileNetV3"
    text = f"{'X' if cfg.backbone_groups > 1 else 'R'}{cfg.backbone_depth}"
    return text + ("-vd" if cfg.backbone_variant == "d" else "") + (
        f"-DCNv{cfg.backbone_dcn}" if cfg.backbone_dcn else "")


def published_for(config, family=None):
    """The Published file of a config, the first that can still be fetched.  ConversionError."""
    files = [file for file in PUBLISHED
             if file.config == config and family in (None, file.family)]
    if not files:
        raise ConversionError(f"nobody published weights of config {config}"
                              f"{f' in the family {family}' if family else ''}")
    reachable = [file for file in files if not file.closed]
    if not reachable:
        raise ConversionError(
            f"{files[0].file} of {files[0].family} was at {files[0].address}, a host that has "
            "closed; ask its authors for a copy, then: python -m convert FILE")
    return reachable[0]
