"""Newton's method with a compiled Hessian: logistic regression of two digits in a few steps.

Loss, gradient, Hessian, the solution of the linear system and the update are one program.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

import lazygrad as lg
from lazygrad import nn

from .common import count, parse, parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Run Newton's method, and give the norm of the gradient at each step."""
    command_line = parser("newton", __doc__)
    command_line.add_argument("--steps", type=count, default=8, help="default: %(default)s")
    options = parse(command_line, arguments)
    pixels, labels = lg.data.digits()
    chosen = (labels == 3) | (labels == 8)
    data, classes = pixels[chosen] / 16.0, (labels[chosen] == 8).astype(float)

    x = lg.placeholder(("batch", 64), name="x")
    t = lg.placeholder(("batch",), name="t")
    w = lg.variable(np.zeros(65), name="w")
    score = x @ w[:-1] + w[-1]
    # The penalty makes the Hessian positive definite.
    loss = nn.binary_cross_entropy_with_logits(score, t) + 1e-3 * lg.sum(w**2)
    gradient = lg.grad(loss, w)
    hessian = lg.hessian(loss, w)
    outputs = {"loss": loss, "norm": lg.linalg.norm(gradient)}
    step = lg.compile(outputs, updates={w: w - lg.linalg.solve(hessian, gradient)})

    norms = []
    print("step        loss   norm of the gradient")
    for number in tqdm(range(options.steps), unit="step", disable=options.quiet):
        result = step(x=data, t=classes)
        norms.append(float(result["norm"]))
        tqdm.write(f"{number:4} {result['loss']:11.8f}   {result['norm']:.3e}")
    accuracy = lg.compile(lg.mean((score > 0) == (t > 0.5)))(x=data, t=classes)
    print(f"accuracy {accuracy:.1%} of {len(data)} images of 3 and 8")
    return norms


if __name__ == "__main__":
    main()
