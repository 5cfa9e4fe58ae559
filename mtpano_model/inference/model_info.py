"""Find a model, read what it says about itself, refuse what the rest of the code cannot trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtpano_model.classes import ClassSet, available_class_sets, load_class_set, rgb_of
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.onnx_header import OnnxHeader, read_onnx_header

FORMAT = 1
METADATA_KEY = "mtpano"
WEIGHTS = Path(__file__).parents[1] / "weights"
_RE_EXPORT = "export it again with `mtpano export`"
_TAILS = ("cpu", "gpu")
_FREE_TEXT = ("precision", "preset", "revision", "license", "trained_on")


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself, and what runs it.

    classes: names, palette and openness by id. input_size, output_size: (H, W) of the network's
    image and of its outputs. tail: "cpu" (outputs at the decoder's resolution, the host finishes)
    or "gpu" (finished in the graph). precision: of the arithmetic once an engine runs it, of the
    file before. backend, device: the engine, empty before one is opened.
    """

    path: Path
    classes: ClassSet
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    tail: Literal["cpu", "gpu"]
    precision: str
    preset: str
    revision: str
    license: str
    trained_on: str
    backend: str = ""
    device: str = ""

    @property
    def unlabelled(self) -> int:
        """The label that means "no class": 255, or 65535 from 255 classes on."""
        return 255 if len(self.classes) < 255 else 65535


def find_model(model: str | Path) -> Path:
    """Path of a model given as a file or as a bundled name such as "default"."""
    path = Path(model).expanduser()
    if path.is_file():
        return path
    bundled = WEIGHTS / f"{model}.onnx"
    if path.name == str(model) and not path.suffix and bundled.is_file():
        return bundled
    if path.name == str(model) and not path.suffix:
        raise MtpanoError(
            f"model '{model}' not found: looked for {bundled} and for a file of that name here, "
            f"give the path of an .onnx file or one of the bundled names ({_bundled_names()})"
        )
    raise MtpanoError(
        f"model file {path.absolute()} does not exist: give the path of an .onnx file or one of "
        f"the bundled names ({_bundled_names()})"
    )


def read_model_info(path: Path) -> ModelInfo:
    """Metadata of the ONNX file at `path`, checked against its graph, or MtpanoError."""
    try:
        header = read_onnx_header(path)
    except (ValueError, KeyError) as error:
        reason = error if isinstance(error, ValueError) else "it is not an ONNX model"
        raise MtpanoError(
            f"model file {path} cannot be read as ONNX ({reason}): copy it again or {_RE_EXPORT}"
        ) from error
    except OSError as error:
        raise MtpanoError(f"model file {path} cannot be opened: {error.strerror}") from error
    if METADATA_KEY not in header.metadata:
        raise MtpanoError(
            f"model file {path} has no '{METADATA_KEY}' metadata, which names its classes, frame "
            f"and size: {_RE_EXPORT}"
        )
    facts = _facts(path, header.metadata[METADATA_KEY])
    info = _info(path, facts)
    _check_graph(info, header)
    return info


def _facts(path: Path, text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as error:
        raise MtpanoError(
            f"model file {path} has broken '{METADATA_KEY}' metadata ({error}): {_RE_EXPORT}"
        ) from error
    version = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(version, int):
        raise MtpanoError(
            f"model file {path} has '{METADATA_KEY}' metadata without a format number: {_RE_EXPORT}"
        )
    if version > FORMAT:
        raise MtpanoError(
            f"model file {path} has metadata format {version}, this version reads up to {FORMAT}: "
            "update mtpano"
        )
    return facts


def _info(path: Path, facts: dict[str, Any]) -> ModelInfo:
    for key, expected in (("frame", ("optical",)), ("depth", ("range_m",)), ("tail", _TAILS)):
        if facts.get(key) not in expected:
            raise MtpanoError(
                f"model file {path} says {key} = {facts.get(key)!r}, expected "
                f"{' or '.join(expected)}: {_RE_EXPORT}"
            )
    try:
        classes = _class_set(facts)
        input_size, output_size = _size(facts["input_size"]), _size(facts["output_size"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MtpanoError(
            f"model file {path} has incomplete '{METADATA_KEY}' metadata "
            f"({type(error).__name__}: {error}): {_RE_EXPORT}"
        ) from error
    height, width = input_size
    if width != 2 * height:
        raise MtpanoError(
            f"model file {path} takes {width}x{height} images, expected an equirectangular 2:1 "
            f"size: {_RE_EXPORT}"
        )
    return ModelInfo(
        path=path,
        classes=classes,
        input_size=input_size,
        output_size=output_size,
        tail=facts["tail"],
        **{key: str(facts.get(key, "unknown")) for key in _FREE_TEXT},
    )


def _class_set(facts: dict[str, Any]) -> ClassSet:
    entries = facts["classes"]
    names = tuple(str(entry["name"]) for entry in entries)
    if not names:
        raise ValueError("no classes")
    set_name = str(facts["class_set"])
    to_default: tuple[str | None, ...] = (None,) * len(names)
    if set_name in available_class_sets() and load_class_set(set_name).names == names:
        to_default = load_class_set(set_name).indoor18
    return ClassSet(
        name=set_name,
        names=names,
        palette=tuple(rgb_of(entry["color"]) for entry in entries),
        open=tuple(bool(entry["open"]) for entry in entries),
        indoor18=to_default,
    )


def _size(pair: Any) -> tuple[int, int]:
    height, width = (int(number) for number in pair)
    if height < 1 or width < 1:
        raise ValueError(f"size {pair}")
    return height, width


def _check_graph(info: ModelInfo, header: OnnxHeader) -> None:
    """The graph must be what the metadata promises; whoever reads its arrays relies on it."""
    height, width = info.output_size
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "image": ("uint8", (1, *info.input_size, 3))
    }
    if info.tail == "cpu":
        expected["depth"] = ("float32", (1, 1, height, width))
        expected["normals"] = ("float32", (1, 3, height, width))
        expected["semseg"] = ("float32", (1, len(info.classes), height, width))
    else:
        expected["depth"] = ("float32", (1, height, width))
        expected["normals"] = ("float32", (1, height, width, 3))
        expected["labels"] = ("uint8", (1, height, width))
    tensors = {**header.outputs, **{k: v for k, v in header.inputs.items() if k == "image"}}
    for name, (dtype, shape) in expected.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise MtpanoError(
                f"model file {info.path} has no tensor '{name}', which a model with a "
                f"{info.tail} tail must have: {_RE_EXPORT}"
            )
        if name == "semseg" and len(tensor.shape) == 4 and tensor.shape[1] != shape[1]:
            raise MtpanoError(
                f"model file {info.path} names {shape[1]} classes but its semseg output has "
                f"{tensor.shape[1]} channels: {_RE_EXPORT}"
            )
        if (tensor.dtype, tensor.shape) != (dtype, shape):
            raise MtpanoError(
                f"model file {info.path} has {name} of {tensor.dtype} {list(tensor.shape)}, its "
                f"metadata calls for {dtype} {list(shape)}: {_RE_EXPORT}"
            )


def _bundled_names() -> str:
    return ", ".join(sorted(path.stem for path in WEIGHTS.glob("*.onnx"))) or "none installed"
