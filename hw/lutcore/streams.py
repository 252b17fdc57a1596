"""Payload layouts of every stream, by configuration. First field at the least significant bit."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream

from .config import TRIT_CODE_BITS, TensorCoreConfig
from .formats import FP32

__all__ = ["StreamLayouts", "index_bits"]


def index_bits(count: int) -> int:
    """Bits of an index below `count`; at least one, since Verilog has no empty vector."""
    return max(1, (count - 1).bit_length())


class StreamLayouts:
    """The payload layouts of `config`, in the order of the data flow.

    passes       one descriptor per pass
    activations  m rows of k activations, one beat a step; none for a pass with `keep`
    steps        m rows of k aligned activations, repeated for every plane
    tables       m rows of G tables: entries, and the low bit of their sums with `parity`
    weights      n columns of lookup codes, one beat per plane and step
    psums        m * n accumulators, m activation sums, with `parity` m sums of low bits
    scales       rescale_columns columns of scale and doubled zero point, if there is one
    accumulators rescale_columns columns of m FP32 or INT32 accumulators
    addends      the same, with `config.addends`
    outputs      rescale_columns columns of m results
    """

    def __init__(self, config: TensorCoreConfig) -> None:
        c = config

        def rows(element: data.Layout | int | object) -> data.ArrayLayout:
            return data.ArrayLayout(element, c.m)  # type: ignore[arg-type]

        # `addend`: with `first` the accumulators start from addends, not from zero.
        addend = {"addend": 1} if c.addends else {}
        self.kind = data.StructLayout(
            {"first": 1, **addend, "last": 1, "output": index_bits(len(c.output_formats))}
        )
        # What the rescale unit does with a pass, beside its exponents.
        self.rescaling = data.StructLayout(
            {"offset": 1, "scale": index_bits(len(c.scale_formats)), "kind": self.kind}
        )
        self.passes = data.StructLayout(
            {
                "format": index_bits(len(c.formats)),
                "planes": index_bits(c.weight_bits),
                "steps": index_bits(c.max_steps),
                "equal": 1,
                "keep": 1,
                "rescaling": self.rescaling,
            }
        )
        self.activations = rows(data.ArrayLayout(c.activation_bits, c.k))
        self.scaling = data.StructLayout(
            {
                "exponents": rows(signed(c.exponent_bits)),
                "nonfinite": c.m,
                # The sum of what the planes weigh; only subset sums need it.
                **({"plane_sum": c.weight_bits} if c.subsets else {}),
                "rescaling": self.rescaling,
            }
        )
        self.control = data.StructLayout({"clear": 1, "shift": 1, "restart_sum": 1, "end": 1})
        self.steps = data.StructLayout(
            {
                "values": rows(data.ArrayLayout(signed(c.aligned_bits), c.k)),
                "control": self.control,
                "scaling": self.scaling,
            }
        )
        # `odd`: the low bit of every sum, see `TensorCoreConfig.parity`.
        odd = {"odd": 1} if c.parity else {}
        self.table = data.StructLayout(
            {"entries": data.ArrayLayout(signed(c.table_bits), c.entries), **odd}
        )
        self.row_tables = data.ArrayLayout(self.table, c.groups_per_step)
        self.tables = data.StructLayout(
            {"rows": rows(self.row_tables), "control": self.control, "scaling": self.scaling}
        )
        self.codes = (
            data.ArrayLayout(c.lookup_group, c.groups_per_step)
            if c.table_digits == 2
            else data.ArrayLayout(TRIT_CODE_BITS, c.code_bits // TRIT_CODE_BITS)
        )
        # What a column's codes tell its lanes: one line an entry, all of them low for nothing.
        selection = {"lines": c.entries} | ({} if c.subsets else {"negate": 1})
        self.selections = data.ArrayLayout(data.StructLayout(selection), c.groups_per_step)
        self.weights = data.ArrayLayout(self.codes, c.n)
        self.psums = data.StructLayout(
            {
                "columns": data.ArrayLayout(rows(signed(c.psum_bits)), c.n),
                "sums": rows(signed(c.sum_bits)),
                **({"odds": rows(c.odd_bits)} if c.parity else {}),
                "scaling": self.scaling,
            }
        )
        self.scales = data.ArrayLayout(
            data.StructLayout(
                {
                    "scale": max(fmt.bits for fmt in c.scale_formats),
                    **({"zero": signed(c.zero_bits)} if c.zero_bits else {}),
                }
            ),
            c.rescale_columns,
        )
        self.accumulators = data.ArrayLayout(rows(FP32.bits), c.rescale_columns)
        self.addends = self.accumulators
        self.outputs = data.ArrayLayout(
            rows(max(fmt.bits for fmt in c.output_formats)), c.rescale_columns
        )

    def signature(self, name: str) -> stream.Signature:
        """The valid/ready stream that carries the layout called `name`."""
        return stream.Signature(getattr(self, name))
