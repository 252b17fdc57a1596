"""The multiply-add: an integer times a scale times a power of two, added to FP32, rounded once.

    factors -> product -> align -> sum -> normalise -> round
                addend ----^

Source: docs/specification.md, "Rescale". The factors are normalised, so that product and addend are
two numbers of as many digits: the lower one moves, what falls below the digits of any result
becomes sticky. The sum is rounded to FP32 or straight to the format of the output. With `truncate`
factors are not normalised, since the product fits anyway, and nothing is sticky or rounded. Each
unit is mapped by itself, so that only those on a long path grow with a clock.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .fma_layout import FmaUnit
from .fma_product import FmaFactors, FmaProduct
from .fma_round import FmaNormalise, FmaRound
from .fma_sum import FmaAlign, FmaSum
from .formats import FP32

__all__ = ["Fma"]


class Fma(FmaUnit):
    """result = RN(addend + difference * scale * 2^(exponent - 1)), or addend + difference.

    With `config.truncate` addend and product, then their sum, are cut off in place of RN.

    enable      moves all stages on
    empty       the product is 0, so that a number stays what it is, whatever difference, scale,
                exponent and nonfinite are
    difference  psum - z' sum; scale: as `scale_layout` has it; exponent: of a table step
    nonfinite   makes the result NaN, as does a special scale
    output_format  place of the output's format in `config.outputs`; int32: integer sum modulo 2^32
    last        rounds to that format; otherwise to FP32
    addend      FP32 or INT32, `config.addend_delay` enabled cycles after its difference
    result      combinational after the last register, `config.fma_latency` enabled cycles after its
                difference; a narrow format in the low bits, 0 above

    Registers by `pipeline`: docs/timing.md, "Registers".
    """

    suffix = "fma"

    def __init__(self, config: TensorCoreConfig, top: str) -> None:
        self.factors = FmaFactors(config, top)
        self.product = FmaProduct(config, top)
        self.align = FmaAlign(config, top)
        self.total = FmaSum(config, top)
        self.normalise = FmaNormalise(config, top)
        self.rounding = FmaRound(config, top)
        children = self.factors, self.product, self.align, self.total, self.normalise, self.rounding
        super().__init__(config, top, *children)

    def ports(self) -> dict[str, Any]:
        return {
            **self.factors.inputs(),
            "addend": In(unsigned(FP32.bits)),
            "result": Out(unsigned(FP32.bits)),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        w, enable = self.widths, self.enable
        factors, product, terms = Signal(w.factors), Signal(w.product), Signal(w.terms)
        total, digits, ahead = Signal(w.total), Signal(w.digits), Signal(w.product_exponent)
        inputs = {name: getattr(self, name) for name in self.factors.inputs()}
        m.submodules.stage_factors = self.factors.place(**inputs, factors=factors)
        m.submodules.stage_product = self.product.place(
            enable=enable, factors=factors, product=product, ahead=ahead
        )
        m.submodules.stage_align = self.align.place(
            enable=enable, product=product, ahead=ahead, addend=self.addend, terms=terms
        )
        m.submodules.stage_sum = self.total.place(enable=enable, terms=terms, total=total)
        m.submodules.stage_normalise = self.normalise.place(
            enable=enable, total=total, digits=digits
        )
        m.submodules.stage_round = self.rounding.place(digits=digits, result=self.result)
        return m
