"""The rules that keep the code base readable: imports point down, files stay short, nothing knows one scene."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
GENERATED = {"build", "dist", "demo", "node_modules", "__pycache__"}

# Longest prefix counts. An import may point to the same or a lower layer.
LAYERS = {
    "bitstream_spec": 0,
    "gscodec.cloud": 0,
    "gscodec.units": 0,
    "gscodec.errors": 0,
    "gscodec.config": 0,
    "gscodec.bitstream": 1,
    "gscodec.entropy": 1,
    "gscodec.transform": 1,
    "gscodec.branches": 2,
    "gscodec.sanitise": 3,
    "gscodec.digest": 3,
    "gscodec.quality": 3,
    "gscodec.encoder": 3,
    "gscodec.decoder": 3,
    "gscodec.inspect": 3,
    "gscodec.selection": 3,
    "gscodec.formats": 4,
    "gscodec.scene": 4,
    "gscodec.render": 5,
    "gscodec.importance": 6,
    "gscodec.rate": 6,
    "gscodec.train": 7,
    "gscodec.cli": 8,
    "gscodec": 8,  # the public face, which imports whatever it shows
    "gscodec_tools": 8,
}
# Rooms of one layer that do not know each other.
STRANGERS = (
    ("gscodec.bitstream", "gscodec.entropy", "gscodec.transform"),
    ("gscodec.branches.native", "gscodec.branches.lossless", "gscodec.branches.gpcc", "gscodec.branches.video"),
)
HEAVY = {"torch", "gsplat", "matplotlib", "av", "dask"}
HEAVY_ALLOWED = {("gscodec.cloud", "torch")}  # inside GaussianCloud.to_torch
SCENE_NAMES = re.compile(r"\bfox\b|snowmiku", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|home|root|Users|tmp)/|[A-Z]:\\\\")


def _repository_files(pattern: str) -> list[Path]:
    found = ROOT.rglob(pattern)
    return sorted(path for path in found if not any(_skipped(part) for part in path.relative_to(ROOT).parts[:-1]))


def _skipped(folder: str) -> bool:
    return folder in GENERATED or (folder.startswith(".") and folder != ".ci")


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("gscodec_tools", *parts[1:]) if parts[0] == "tools" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_module(path): path for folder in ("gscodec", "bitstream_spec") for path in (ROOT / folder).rglob("*.py")}
DECODERS = [name for name in FILES if re.fullmatch(r"gscodec\.branches\.\w+\.decode|gscodec\.decoder", name)]


def _imports(module: str) -> Iterator[tuple[str, bool]]:
    """(what is imported, whether inside a function); `from package import module` counts as the module."""
    path = FILES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield full if full in FILES else source, id(node) in inside


def _room(module: str) -> str:
    while module not in LAYERS:
        module = module.rpartition(".")[0]
    return module


def _ours(module: str) -> bool:
    return module.split(".")[0] in ("gscodec", "bitstream_spec", "gscodec_tools")


def test_every_module_has_a_layer_of_its_own() -> None:
    nowhere = [name for name in FILES if _room(name) == "gscodec" and name != "gscodec"]
    assert nowhere == []


def test_imports_point_down() -> None:
    wrong = [
        f"{name} (layer {LAYERS[_room(name)]}) imports {target} (layer {LAYERS[_room(target)]})"
        for name in FILES
        for target, _ in _imports(name)
        if _ours(target)
        # the version number is all that a tool may take from the public face
        and not (target == "gscodec" and LAYERS[_room(name)] == 8)
        and LAYERS[_room(target)] > LAYERS[_room(name)]
    ]
    assert wrong == []


def test_product_code_does_not_import_the_tools() -> None:
    assert [name for name in FILES if any(target.startswith("gscodec_tools") for target, _ in _imports(name))] == []


def test_the_specification_imports_nothing_of_the_codec() -> None:
    wrong = [
        (name, target)
        for name in FILES
        if name.startswith("bitstream_spec")
        for target, _ in _imports(name)
        if target.startswith("gscodec")
    ]
    assert wrong == []


@pytest.mark.parametrize("rooms", STRANGERS, ids=lambda rooms: " ".join(room.rpartition(".")[2] for room in rooms))
def test_neighbours_do_not_know_each_other(rooms: tuple[str, ...]) -> None:
    def room_of(module: str) -> str | None:
        return next((room for room in rooms if module == room or module.startswith(f"{room}.")), None)

    wrong = [
        f"{name} imports {target}"
        for name in FILES
        for target, _ in _imports(name)
        if room_of(name) and room_of(target) and room_of(name) != room_of(target)
    ]
    assert wrong == []


def test_there_are_decoders_to_check() -> None:
    assert {"gscodec.decoder", "gscodec.branches.native.decode", "gscodec.branches.lossless.decode"} <= set(DECODERS)


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_decoder_reaches_an_encoder(decoder: str) -> None:
    reached, left = set[str](), [decoder]
    while left:
        name = left.pop()
        if name in FILES and name not in reached:
            reached.add(name)
            left += [target for target, _ in _imports(name) if _ours(target)]
    assert [name for name in reached if name.rpartition(".")[2].startswith("encode")] == []


def test_heavy_packages_stay_above_layer_4() -> None:
    wrong = [
        f"{name} imports {target}"
        for name in FILES
        if LAYERS[_room(name)] <= 4 or _room(name) == "gscodec"
        for target, inside in _imports(name)
        if target.split(".")[0] in HEAVY and not (inside and (name, target.split(".")[0]) in HEAVY_ALLOWED)
    ]
    assert wrong == []


def test_the_cpu_renderer_needs_torch_for_gradients_only() -> None:
    modules = [name for name in FILES if name.startswith("gscodec.render.cpu") or name == "gscodec.render.protocol"]
    heavy = {name for name in modules for target, _ in _imports(name) if target.split(".")[0] in HEAVY}
    assert heavy == {"gscodec.render.cpu.autograd"}
    assert [name for name in modules for target, _ in _imports(name) if target == "gscodec.render.cpu.autograd"] == []


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _repository_files("*.py")}
    assert lengths
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MAX_LINES} == {}


@pytest.mark.parametrize("what", [SCENE_NAMES, MACHINE_PATHS], ids=["scene", "path"])
def test_product_code_names_no_scene_and_no_machine_path(what: re.Pattern[str]) -> None:
    files = [path for folder in ("gscodec", "bitstream_spec") for path in (ROOT / folder).rglob("*")]
    texts = [path for path in files if path.suffix in (".py", ".md") and path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if what.search(line)
    ]
    assert found == []
