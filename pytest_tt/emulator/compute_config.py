"""How the matrix and vector units are told to compute: ``#ttnn.device_compute_kernel_config``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_tt.emulator.attributes import Opaque

FIDELITIES = ("lofi", "hifi2", "hifi3", "hifi4")
_FIELDS = frozenset(
    ["math_fidelity", "math_approx_mode", "fp32_dest_acc_en", "packer_l1_acc", "dst_full_sync_en", "throttle_level"]
)


@dataclass(frozen=True, slots=True)
class ComputeConfig:
    """`fidelity` is one of FIDELITIES: how many phases a product takes; `fp32_dest_acc`: sums are kept in float32, not
    in 16 bits; `approximate`: the vector unit takes its coarse forms."""

    fidelity: str = "hifi4"
    fp32_dest_acc: bool = True
    approximate: bool = False

    @classmethod
    def of(cls, value: Opaque | None) -> ComputeConfig:
        """What an attribute says; where it says nothing, what the compiler's default level gives.

        Raises ValueError for a field or a fidelity that is not known.
        """
        if value is None:
            return cls()
        fields = value.fields
        if strange := sorted(fields.keys() - _FIELDS):
            raise ValueError(f"compute_config has {', '.join(strange)}: expected {', '.join(sorted(_FIELDS))}")
        fidelity = fields.get("math_fidelity", "hifi4")
        if fidelity not in FIDELITIES:
            raise ValueError(f"math_fidelity is {fidelity}: expected one of {', '.join(FIDELITIES)}")
        return cls(fidelity, fields.get("fp32_dest_acc_en", "true") == "true", fields.get("math_approx_mode") == "true")
