"""The C++ of docs/exports.md, compiled and run where a compiler and the headers are there."""
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders import ROOT
from tools.export import __main__ as export

COMPILER = shutil.which("c++") or shutil.which("g++")
HEADERS = {"OpenVINO": "openvino/openvino.hpp", "ncnn": "ncnn/net.h"}

def snippet(name):
    text = (ROOT / "docs/exports.md").read_text(encoding="utf-8")
    return re.search(rf"### C\+\+: {name}\n\n```cpp\n(.*?)```", text, re.S)[1]

def places(package):
    """(folders of headers, folders of libraries) that a wheel or the system may have."""
    spec = importlib.util.find_spec(package)
    root = Path(spec.origin).parent if spec and spec.origin else Path("/nowhere")
    return ([root / "include", Path("/usr/include"), Path("/usr/local/include")],
            [root / "libs", root / "lib", Path("/usr/lib"), Path("/usr/local/lib")])

@pytest.mark.parametrize("name", HEADERS)
def test_the_snippet_runs(name, tmp_path):
    if not COMPILER:
        pytest.skip("no C++ compiler (c++ or g++)")
    headers, libraries = places(name.lower())
    if not any((folder / HEADERS[name]).is_file() for folder in headers):
        pytest.skip(f"no headers of {name} ({HEADERS[name]}): its Python wheel has none; "
                    "Debian: libncnn-dev or openvino's archive")
    library = next((path for folder in libraries for path in sorted(
        folder.glob(f"lib{name.lower()}.so*")) if path.is_file()), None)
    if not library:
        pytest.skip(f"no lib{name.lower()}.so")
    (tmp_path / "a.cpp").write_text(snippet(name))
    subprocess.run([COMPILER, "-std=c++17", "-fopenmp", str(tmp_path / "a.cpp"), "-o",
                    str(tmp_path / "a.out"), *(f"-I{folder}" for folder in headers), str(library),
                    f"-Wl,-rpath,{library.parent}"], check=True, timeout=120)
    folder = tmp_path / "exported"
    export.main(["--format", name.lower(), "--output", str(folder)])
    done = subprocess.run([tmp_path / "a.out", folder], capture_output=True, text=True, timeout=120,
                          check=True)
    assert [int(number) for number in re.findall(r"\d+", done.stdout)][-3:] == [32, 80, 80]
