"""The attributes of an op, read from MLIR's text: strictly, so that nothing of an op is passed over."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tt.tt_compiler.ttnn_module import value_end

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_KEY = re.compile(r'\s*(?:([A-Za-z_][\w$.]*)|"((?:[^"\\]|\\.)*)")\s*')
_NUMBER = re.compile(r"(-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))(?:\s*:\s*([\w]+))?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SYMBOL = re.compile(r'@(?:([\w$.\-]+)|"([^"]*)")((?:::@[\w$.\-]+)*)')
_DIALECT = re.compile(r"#([\w$.]+)(<.*>)?", re.DOTALL)
_MNEMONIC = re.compile(r"([\w.]+)(?: (.*))?", re.DOTALL)
_ARRAY = re.compile(r"array<(\w+)(?::\s*(.*))?>", re.DOTALL)
_DENSE = re.compile(r"(dense|dense_resource)<(.*)>\s*:\s*tensor<((?:\d+x)*)(\w+)>", re.DOTALL)
_TYPE = re.compile(r"!?[A-Za-z_][\w.]*(?:<.*>)?", re.DOTALL)
_DTYPES = {
    "i1": "bool", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "si8": "int8", "si16": "int16",
    "si32": "int32", "si64": "int64", "ui8": "uint8", "ui16": "uint16", "ui32": "uint32", "ui64": "uint64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "f16": "float16", "bf16": "bfloat16", "f32": "float32",
    "f64": "float64",
}  # fmt: skip


class AttributeTextError(ValueError):
    """Text of an attribute in a form that is not known: the text, and what was expected."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """An attribute of a dialect, or a type: ``#ttnn.shape<1x2>`` is named ``ttnn.shape`` and holds the text ``1x2``.

    ``#ttnn<mesh_shape 1x2>`` is named ``ttnn.mesh_shape``. A type is named ``type``.
    """

    name: str
    text: str

    @property
    def fields(self) -> dict[str, str]:
        """``a = b, c = <d = e>`` by name, each as text. Raises AttributeTextError for text that is not of this form."""
        found: dict[str, str] = {}
        for part in _parts(self.text):
            key, equals, value = part.partition(" = ")
            if not equals:
                raise AttributeTextError(f"#{self.name}<{self.text}>: expected NAME = VALUE, found {part!r}")
            found[key.strip()] = value.strip()
        return found

    @property
    def integers(self) -> tuple[int, ...]:
        """The sizes of a shape, ``1x2``. Raises AttributeTextError for other text."""
        if not re.fullmatch(r"(?:-?\d+(?:x-?\d+)*)?", self.text):
            raise AttributeTextError(f"#{self.name}<{self.text}>: expected sizes, 1x2")
        return tuple(int(size) for size in self.text.split("x")) if self.text else ()


@dataclass(frozen=True, slots=True)
class Dense:
    """A constant tensor: its shape, the type of its elements (``f32``, ``si32`` …), and its values as text."""

    shape: tuple[int, ...]
    element: str
    text: str

    def array(self) -> np.ndarray[Any, Any]:
        """The values, in NumPy's type for the elements. Raises AttributeTextError if they are not of the shape."""
        import ml_dtypes  # noqa: F401 - gives NumPy bfloat16
        import numpy as np

        dtype = np.dtype(_DTYPES[self.element])
        text = self.text.strip()
        if text.startswith('"0x'):
            raw = bytes.fromhex(text[3:-1])
            values = np.frombuffer(raw, dtype) if self.element != "i1" or len(raw) > 1 else np.array([raw[0] != 0])
        elif not text:
            values = np.empty(0, dtype)
        else:
            numbers = re.sub(r"[\[\]\s]", "", text).split(",")
            values = np.array([_scalar(number, self.element) for number in numbers]).astype(dtype)
        if values.size not in (1, int(np.prod(self.shape, dtype=np.int64))):
            raise AttributeTextError(f"dense<…> of {values.size} values: expected the shape {self.shape}")
        return np.broadcast_to(values.reshape(()), self.shape) if values.size == 1 else values.reshape(self.shape)


Value = bool | int | float | str | tuple["Value", ...] | Opaque | Dense
"""What an attribute can be: ``[1, 2]`` and ``array<i32: 1, 2>`` are tuples, a symbol is its name without ``@``."""


def parse(text: str, resources: Mapping[str, str] | None = None) -> dict[str, Value]:
    """The attributes in `text`, what stands in the braces of an op, by name; one without a value is True.

    `resources` are constants that stand at the end of the module, hexadecimal, by name. Raises AttributeTextError for
    a form that is not known.
    """
    found: dict[str, Value] = {}
    at = 0
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None:
            raise AttributeTextError(f"expected the name of an attribute, found {text[at : at + 60]!r}")
        name, at = key[1] or key[2], key.end()
        if name in found:
            raise AttributeTextError(f"attribute {name} stands twice")
        if text.startswith("=", at):
            end = value_end(text, at + 1)
            found[name] = _value(text[at + 1 : end].strip(), resources or {})
            at = end
        else:
            found[name] = True
        rest = text[at:].lstrip()
        if rest and not rest.startswith(","):
            raise AttributeTextError(f"expected a comma after {name}, found {rest[:60]!r}")
        at = len(text) - len(rest) + 1
    return found


def _value(text: str, resources: Mapping[str, str]) -> Value:
    if text in ("true", "false"):
        return text == "true"
    if text == "unit":
        return True
    if found := _NUMBER.fullmatch(text):
        return _scalar(
            found[1], found[2] or ("f64" if re.search(r"[.eE]", found[1]) and "x" not in found[1] else "i64")
        )
    if found := _STRING.fullmatch(text):
        return re.sub(r"\\([0-9A-Fa-f]{2}|.)", lambda m: chr(int(m[1], 16)) if len(m[1]) == 2 else m[1], found[1])
    if found := _SYMBOL.fullmatch(text):
        return (found[1] or found[2]) + found[3].replace("@", "")
    if text.startswith("[") and text.endswith("]"):
        return tuple(_value(part, resources) for part in _parts(text[1:-1]))
    if found := _ARRAY.fullmatch(text):
        return tuple(_scalar(part, found[1]) for part in _parts(found[2] or ""))
    if found := _DENSE.fullmatch(text):
        shape = tuple(int(size) for size in found[3].split("x")[:-1])
        if found[4] not in _DTYPES:
            raise AttributeTextError(f"constant of {found[4]}: expected one of {', '.join(_DTYPES)}")
        content = found[2]
        if found[1] == "dense_resource":
            if content not in resources:
                raise AttributeTextError(f"constant {content} is not at the end of the module, as dense_resource says")
            content = '"0x' + resources[content].removeprefix("0x")[8:] + '"'  # its first four bytes are the alignment
        return Dense(shape, found[4], content)
    if (found := _DIALECT.fullmatch(text)) is not None:
        inner = (found[2] or "<>")[1:-1].strip()
        if "." in found[1] or found[2] is None:
            return Opaque(found[1], inner)
        mnemonic = _MNEMONIC.fullmatch(inner)
        if mnemonic is not None:
            return Opaque(f"{found[1]}.{mnemonic[1]}", (mnemonic[2] or "").strip())
    elif _TYPE.fullmatch(text):
        return Opaque("type", text)
    raise AttributeTextError(f"attribute {text[:80]!r} is in a form that is not known")


def _scalar(text: str, kind: str) -> bool | int | float:
    text = text.strip()
    try:
        if text in ("true", "false"):
            return text == "true"
        if kind in ("i1", "bool"):
            return int(text, 0) != 0
        if not kind.startswith(("f", "bf")):
            return int(text, 0)
        if not text.lower().startswith("0x"):
            return float(text)
        bits = int(text, 16)
        if kind == "f64":
            return float(struct.unpack("<d", struct.pack("<Q", bits))[0])
        if kind == "f16":
            return float(struct.unpack("<e", struct.pack("<H", bits))[0])
        return float(struct.unpack("<f", struct.pack("<I", bits << 16 if kind == "bf16" else bits))[0])
    except (ValueError, struct.error):
        raise AttributeTextError(f"{text!r} is not a number of type {kind}") from None


def _parts(text: str) -> list[str]:
    """`text` at its commas outside of brackets."""
    parts = []
    at = 0
    while at < len(text):
        end = value_end(text, at)
        parts.append(text[at:end].strip())
        at = end + 1
    return [part for part in parts if part]
