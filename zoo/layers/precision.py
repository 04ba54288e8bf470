"""How precisely a model computes: the dtype of each kind of value, one object a model.

TT's chips sum products in float32 whatever they multiply, and round the sum on the way out. So bfloat16 costs digits
where numbers are kept between operations, and there a model has the dtype of its parameters: published ones are what
their checkpoint has, and whoever converts the parameters to bfloat16 has a program in bfloat16. What emulation says of
either is in each model's README (``python -m zoo predict``). Weights of 8 bits are an option of TT's compiler,
``experimental_weight_dtype=bfp_bf8``: it converts arguments that are marked as parameters, and nothing here changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

PARAMETERS = "that of the parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Names of dtypes, or of what has the same: `PARAMETERS`, as they are given."""

    parameters: str = "float32"
    """As checkpoints of the published variants are loaded."""
    activations: str = PARAMETERS
    """Between operations: factors of products, and keys and values that are kept."""
    residual: str = PARAMETERS
    """The sum that goes through the layers."""
    accumulation: str = "float32"
    """In products, the sums of their terms."""
    heads: str = PARAMETERS
    """Queries and keys, as they are multiplied with each other. A step and a prompt of a decoder in bfloat16 attend by
    one operation of TT's, which takes no other dtype."""
    scores: str = "float32"
    """Scores of attention and their softmax: bfloat16 has no digits behind the point of large scores, and TT's compiler
    makes one operation of a softmax in float32 alone."""
    norms: str = "float32"
    """Means, variances and what is divided by them."""
    outputs: str = PARAMETERS
    """Logits, or what else a model gives."""

    def table(self) -> str:
        """In Markdown, for a README."""
        rows = (
            ("parameters as published", self.parameters),
            ("activations", self.activations),
            ("residual sum", self.residual),
            ("sums in products", self.accumulation),
            ("queries and keys", self.heads),
            ("scores and softmax", self.scores),
            ("normalisations", self.norms),
            ("outputs", self.outputs),
        )
        return "\n".join(("| value | dtype |", "| --- | --- |", *(f"| {what} | {dtype} |" for what, dtype in rows)))


SHARED = Precision()
"""What the shared layers do; a model's own differs in what its config and its head decide."""

DECODER = replace(
    SHARED, parameters="bfloat16", activations="float32", residual="float32", heads="float32", outputs="float32"
)
"""Of decoders whose config says the dtype, and whose published weights are bfloat16. All but these is float32 in one
pass over texts: the card multiplies float32 with bfloat16, so that it is fewer operations, not more. In a step and a
prompt activations, residual and heads are as `SHARED` says, in the config's dtype, which the cache has."""
