"""Convert checkpoints of other projects: python -m convert FILE [--config N] [--to FAMILY]."""
import argparse
import json
from pathlib import Path

from config import config_name, get_config, list_configs
from convert.converter import convert
from convert.errors import ConversionError
from convert.export import SUFFIXES, export
from convert.families import BY_NAME, FAMILIES
from convert.fit import expected_misfit
from convert.published import published_for, table
from convert.readers import read_checkpoint
from convert.report import input_text
from tools.cli import add_version, run
from tools.download import download
from tools.errors import UserError
from tools.weights.weights_file import save_weights


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m convert",
        description="Convert a SOLOv2 checkpoint of another project to weights of this one, or "
                    "back.  Nothing in the file is executed; no other framework is needed.",
        epilog="\n".join(["families:", *(f"  {f.name:22s} {f.title}" for f in FAMILIES),
                          "\nconfigs:", list_configs()]),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_version(parser)
    parser.add_argument("file", nargs="?", metavar="FILE",
                        help="a .pdparams, .pth, .pkl or .tar file or a folder of variables")
    parser.add_argument("--config", metavar="N|NAME", help="config (default: recognised)")
    parser.add_argument("--family", metavar="FAMILY", help="family (default: recognised)")
    parser.add_argument("--output", metavar="OUT", help="default: weights/<config>.pdparams")
    parser.add_argument("--num-classes", type=int, metavar="C",
                        help="accept a file with C classes instead of the config's")
    parser.add_argument("--classes", metavar="FILE", help="class names, one per line")
    parser.add_argument("--to", choices=tuple(SUFFIXES), metavar="FAMILY",
                        help=f"write weights of ours as another project: {', '.join(SUFFIXES)}")
    parser.add_argument("--download", action="store_true",
                        help="fetch the published file of --config (and --family) first")
    parser.add_argument("--sha256", default="", metavar="HEX",
                        help="checksum that the source must have, or its beginning")
    parser.add_argument("--list", action="store_true",
                        help="print the published files, their addresses and mask AP")
    args = parser.parse_args(argv)
    wanted = [bool(args.file), args.download, args.list]
    if wanted.count(True) != 1 or (args.download and args.config is None):
        parser.error("give one of FILE, --config with --download, --list")
    return args


def main(argv=None):
    args = parse_args(argv)
    if args.list:
        print("\n".join(table()))
        return
    if args.download:
        args.file = fetch_published(args)
    try:
        source = read_checkpoint(args.file)
    except UserError as error:
        hint = "; delete it to fetch it again" if args.download else ""
        raise ConversionError(f"{error}{hint}") from None
    if not source.sha256.startswith(args.sha256.lower()):
        raise ConversionError(f"'{args.file}' has the sha256 {source.sha256}, expected "
                              f"{args.sha256}: it is another file, or damaged")
    if source.meta is not None:
        return use_own(args, source)
    if args.to:
        raise ConversionError(f"'{args.file}' is not a weights file of this project; convert it "
                              "first, then --to")
    names = read_class_names(args.classes) if args.classes else None
    result = convert(source, args.config, args.family, args.num_classes, names)
    output = args.output or f"weights/{result.config or source.path.stem}.pdparams"
    if Path(output).resolve() == source.path.resolve():
        raise ConversionError(f"'{output}' is the source itself; give another --output")
    save_weights(output, result.arrays, result.meta)
    print("\n".join([f"source: {source.path}, sha256 {source.sha256[:16]}...", *result.lines,
                     f"written: {output}"]))


def fetch_published(args):
    """Download the published file of a config; its path."""
    file = published_for(config_name(args.config), args.family)
    path = f"weights/published/{file.file}"
    args.sha256 = args.sha256 or file.sha256             # also of a file that is there already
    if not Path(path).exists():
        print(f"fetching {file.address}")
        try:
            found = download(file.address, path, args.sha256)
        except UserError as error:
            raise ConversionError(f"{error}; with a copy from elsewhere: "
                                  "python -m convert FILE") from None
        print(f"fetched: {path}, sha256 {found}")
    args.family = args.family or file.family
    return path


def read_class_names(path):
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"cannot read the class names in '{path}': {error}") from None
    return tuple(line.strip() for line in lines if line.strip())


def use_own(args, source):
    """Check weights of ours; with --to, write them as another project."""
    meta = source.meta
    if meta.get("backbone_only"):
        if args.to:
            raise ConversionError(f"'{source.path}' is a backbone alone; --to needs a whole model")
        print(f"a backbone ({meta['family']}), {len(source.arrays)} tensors; train from it with "
              f"-o pretrained={source.path}")
        return
    cfg = get_config(args.config if args.config is not None else meta["config"])
    misfit = expected_misfit(source, cfg.name)
    if misfit:
        raise ConversionError(f"'{source.path}' does not fit config {cfg.name}:{misfit.text()}")
    print(f"weights of this project: config {cfg.name}, {len(source.arrays)} tensors, "
          f"{len(meta['class_names'])} classes, family {meta.get('family', 'own')}")
    if not args.to:
        print("nothing to convert; --to FAMILY writes them as another project")
        return
    output = args.output or str(source.path.with_name(
        f"{source.path.stem}-{args.to}{SUFFIXES[args.to]}"))
    if Path(output).resolve() == source.path.resolve():
        raise ConversionError(f"'{output}' is the source itself; give another --output")
    tensors = export(source.arrays, meta, cfg, args.to, output)
    print(f"written: {output}, {len(tensors)} tensors as {args.to}")
    theirs = json.loads(json.dumps(BY_NAME[args.to].input))
    if any(meta["input"].get(key) != value for key, value in theirs.items()):
        print(f"note: these weights were made for the input\n  {input_text(meta['input'])}\n"
              f"{BY_NAME[args.to].title} feeds\n  {input_text(theirs)}")


if __name__ == "__main__":
    run(main)
