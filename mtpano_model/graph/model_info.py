"""Finds a model, reads and checks its metadata, and refuses a model whose metadata do not fit."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mtpano_model.addresses import refuse_address
from mtpano_model.classes import ClassSet, available_class_sets, load_class_set, rgb_of
from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.graph import contract
from mtpano_model.graph.contract import TAILS, Tail, TensorSpec
from mtpano_model.graph.header import OnnxHeader, read_onnx_header
from mtpano_model.pictures.size import Size
from mtpano_model.tasks import SEMSEG, Task

FORMAT = 1
METADATA_KEY = "mtpano"
WEIGHTS = Path(__file__).parents[1] / "weights"
_RE_EXPORT = "export it again with `mtpano export`"
_EXPECTED = "give the path of an .onnx file or one of the bundled names"
# Network inputs and outputs beyond this many pixels are no picture: a typing error, or an attack.
_MOST_PIXELS = 1 << 26
_FREE_TEXT = ("precision", "preset", "revision", "license", "trained_on")


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of a model file, and the engine that runs it.

    classes: names, palette and openness by id. input_size, output_size: (H, W) of the network's
    image and of its outputs. output_sizes: of outputs that have another size, by task. tail: see
    `graph.contract`. precision: of the engine's arithmetic, or of the file before one is opened.
    tasks: the tasks that it predicts. backend, device: the engine, empty before one is opened.
    """

    path: Path
    classes: ClassSet
    input_size: Size
    output_size: Size
    tail: Tail
    precision: str
    preset: str
    revision: str
    license: str
    trained_on: str
    tasks: tuple[Task, ...] = contract.REQUIRED
    backend: str = ""
    device: str = ""
    output_sizes: Mapping[str, Size] = field(default_factory=dict)

    @property
    def unlabelled(self) -> int:
        """The label that means "no class"."""
        return contract.unlabelled_id(len(self.classes))

    @property
    def outputs(self) -> dict[str, TensorSpec]:
        """The network's outputs, by name."""
        tensors = (
            contract.output_tensor(
                task,
                self.tail,
                self.output_sizes.get(task.name, self.output_size),
                len(self.classes),
            )
            for task in self.tasks
        )
        return {tensor.name: tensor for tensor in tensors}

    def with_gpu_tail(self, size: Size | None = None) -> ModelInfo:
        """The metadata of this model with the GPU tail joined: all outputs at `size` (H, W), or at
        the picture's. A model with a GPU tail keeps its own."""
        if self.tail == "gpu":
            return self
        return replace(self, tail="gpu", output_size=size or self.input_size, output_sizes={})


def find_model(model: str | Path) -> Path:
    """Path of a model given as a file or as a bundled name such as "default"."""
    try:
        path = Path(model).expanduser()
        if path.is_file():
            return path
        # Before Python 3.12 is_file does not raise where a folder may not be entered.
        path.stat()
    except FileNotFoundError:
        refuse_address(str(model))
    except (OSError, RuntimeError, ValueError) as error:  # "~nobody", a NUL, a name too long
        reason = error.strerror if isinstance(error, OSError) else error
        raise MtpanoError(
            f"model {_short(model)} cannot be searched for ({reason}): {_EXPECTED} "
            f"({_bundled_names()})"
        ) from error
    if path.name != str(model) or path.suffix:
        raise MtpanoError(
            f"model file {path.absolute()} does not exist or is no file: {_EXPECTED} "
            f"({_bundled_names()})"
        )
    bundled = WEIGHTS / f"{model}.onnx"
    if bundled.is_file():
        return bundled
    raise MtpanoError(
        f"model {_short(model)} not found: looked for {str(bundled)!r} and for a file of that name "
        f"here, {_EXPECTED} ({_bundled_names()})"
    )


def _short(model: str | Path) -> str:
    """The name in quotes, cut to one line."""
    text = str(model)
    return repr(text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)")


def read_model_info(path: Path) -> ModelInfo:
    """Metadata of the ONNX file at `path`; MtpanoError if it is damaged or does not fit."""
    try:
        header = read_onnx_header(path)
    except (ValueError, KeyError) as error:
        reason = error if isinstance(error, ValueError) else "it is not an ONNX model"
        raise MtpanoError(
            f"model file {path} cannot be read as ONNX ({reason}): copy it again or {_RE_EXPORT}"
        ) from error
    except OSError as error:
        raise MtpanoError(
            f"model file {path} cannot be opened ({error.strerror}): check its permissions"
        ) from error
    if METADATA_KEY not in header.metadata:
        raise MtpanoError(
            f"model file {path} has no '{METADATA_KEY}' metadata, which names its classes, frame "
            f"and size: {_RE_EXPORT}"
        )
    facts = _facts(path, header.metadata[METADATA_KEY])
    info = _info(path, facts, header)
    _check_graph(info, header)
    return info


def _facts(path: Path, text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
        raise MtpanoError(
            f"model file {path} has broken '{METADATA_KEY}' metadata ({error}): {_RE_EXPORT}"
        ) from error
    version = facts.get("format") if isinstance(facts, dict) else None
    if type(version) is not int:
        raise MtpanoError(
            f"model file {path} has '{METADATA_KEY}' metadata without a format number: {_RE_EXPORT}"
        )
    if version > FORMAT:
        raise MtpanoError(
            f"model file {path} has metadata format {version}, this version reads up to {FORMAT}: "
            "update mtpano"
        )
    return facts


def _info(path: Path, facts: dict[str, Any], header: OnnxHeader) -> ModelInfo:
    for key, expected in (("frame", ("optical",)), ("depth", ("range_m",)), ("tail", TAILS)):
        if facts.get(key) not in expected:
            raise MtpanoError(
                f"model file {path} says {key} = {reprlib.repr(facts.get(key))}, expected "
                f"{' or '.join(expected)}: {_RE_EXPORT}"
            )
    try:
        classes = _class_set(facts)
        input_size, output_size = _size(facts["input_size"]), _size(facts["output_size"])
        output_sizes = _output_sizes(facts.get("output_sizes", {}))
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise MtpanoError(
            f"model file {path} has incomplete '{METADATA_KEY}' metadata "
            f"({one_line(error)}): {_RE_EXPORT}"
        ) from error
    height, width = input_size
    if width != 2 * height:
        raise MtpanoError(
            f"model file {path} takes images of {height}x{width} (HEIGHTxWIDTH), expected an "
            f"equirectangular 2:1 size: {_RE_EXPORT}"
        )
    return ModelInfo(
        path=path,
        classes=classes,
        input_size=input_size,
        output_size=output_size,
        output_sizes=output_sizes,
        tail=facts["tail"],
        tasks=contract.tasks_among(header.outputs, facts["tail"]),
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


def _size(pair: Any) -> Size:
    if not isinstance(pair, list):
        raise TypeError(f"size {reprlib.repr(pair)} is no list of height and width")
    height, width = (int(number) for number in pair)
    if height < 1 or width < 1 or height * width > _MOST_PIXELS:
        raise ValueError(f"size {pair}, expected 1 to {_MOST_PIXELS} pixels")
    return height, width


def _output_sizes(sizes: Any) -> dict[str, Size]:
    if not isinstance(sizes, dict):
        raise TypeError(f"output_sizes {sizes!r} is no table of tasks")
    known = {task.name for task in contract.OUTPUTS}
    if unknown := sorted(set(sizes) - known):
        raise ValueError(f"output_sizes of {', '.join(unknown)}, expected {', '.join(known)}")
    return {name: _size(pair) for name, pair in sizes.items()}


def _check_graph(info: ModelInfo, header: OnnxHeader) -> None:
    """MtpanoError if the graph's arrays are not those that the metadata promise."""
    image = contract.image_tensor(info.input_size)
    found = {**header.outputs, image.name: header.inputs.get(image.name)}
    for expected in (image, *info.outputs.values()):
        tensor = found.get(expected.name)
        if tensor is None:
            raise MtpanoError(
                f"model file {info.path} has no tensor '{expected.name}', which a model with a "
                f"{info.tail} tail must have: {_RE_EXPORT}"
            )
        channels = tensor.shape[1] if len(tensor.shape) == 4 else 0
        if expected.name == SEMSEG.name and channels not in (0, len(info.classes)):
            raise MtpanoError(
                f"model file {info.path} names {len(info.classes)} classes but its "
                f"{expected.name} output has {channels} channels: {_RE_EXPORT}"
            )
        if tensor != expected:
            raise MtpanoError(
                f"model file {info.path} has {tensor}, its metadata calls for {expected.dtype} "
                f"{list(expected.shape)}: {_RE_EXPORT}"
            )


def _bundled_names() -> str:
    return ", ".join(sorted(path.stem for path in WEIGHTS.glob("*.onnx"))) or "none installed"
