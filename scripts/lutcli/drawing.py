"""The picture of a core: its units and streams with their sizes, and below them one lane.

Coordinates are points (1/72 inch), as font sizes are, from the lower left corner.
"""

from __future__ import annotations

import io

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.textpath import TextPath

from lutcore.config import TensorCoreConfig
from lutcore.streams import StreamLayouts

__all__ = ["Drawing"]

WIDTH, HEIGHT = 684, 418
UNIT_WIDTH, GAP, MARGIN = 129, 50, 9
UNIT_BOTTOM, UNIT_HEIGHT = 186, 124
LANE_MIDDLE = 92

INK, SOFT, BLUE, AMBER = "#22272e", "#5c6670", "#2f5d8a", "#b26a00"
UNIT_FILL, PART_FILL, LANE_FILL = "#e6edf5", "#ffffff", "#faf6ee"

Point = tuple[float, float]


class Drawing:
    """A picture of `config`; `render` gives its bytes."""

    def __init__(self, config: TensorCoreConfig) -> None:
        self.config = config
        self.figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        self.axes.axis("off")
        self._heading()
        self._units()
        self._streams()
        self._lane()

    def render(self, kind: str) -> bytes:
        """The picture as `svg` or `png`; the same bytes on every call."""
        # Ids and dates in an SVG would differ from run to run.
        with matplotlib.rc_context({"svg.hashsalt": "core", "svg.fonttype": "path"}):
            stream = io.BytesIO()
            metadata = {"Date": None} if kind == "svg" else None
            self.figure.savefig(stream, format=kind, dpi=192, metadata=metadata)
        return stream.getvalue()

    # The parts of the picture.

    def _heading(self) -> None:
        c = self.config
        title = f"{c.name}: M{c.m} N{c.n} K{c.k}"
        text = (
            f"{', '.join(c.activations)} activations in blocks of {c.block}, weights of up to "
            f"{c.weight_bits} bits, lookup groups of {c.lookup_group}, {c.groups_per_step} a step"
        )
        self._text((MARGIN, HEIGHT - 14), title, 12, weight="bold", align="left", room=450)
        self._text(
            (WIDTH - MARGIN, HEIGHT - 14),
            "b: bits; of a stream, those of a beat",
            8.5,
            SOFT,
            align="right",
        )
        self._text((MARGIN, HEIGHT - 31), text, 8.5, SOFT, align="left", room=WIDTH - 2 * MARGIN)

    def _units(self) -> None:
        c = self.config
        rows = f"{c.m} × {c.k}"
        self._unit(
            0,
            "precompute",
            [
                ("block buffer", f"{c.max_steps} steps of {rows}"),
                ("peak → exponent", f"{c.exponent_bits} b a row"),
                ("align", f"{rows} of {c.aligned_bits} b"),
            ],
        )
        self._unit(
            1,
            "table",
            [
                ("signed sums", f"{c.entries} entries of {c.table_bits} b"),
                ("registers", f"{c.m} × {c.groups_per_step} tables"),
            ],
        )
        self._unit(
            2,
            "lookup",
            [
                ("activation sums", f"{c.m} of {c.sum_bits} b"),
                (f"{c.m} × {c.n} lanes", f"psums of {c.psum_bits} b"),
            ],
        )
        self._unit(
            3,
            "rescale",
            [
                ("psum − z′ sum", f"{c.difference_bits} b"),
                (f"{c.m} × {c.rescale_columns} multiply-adds", "scale 2ᵉ⁻¹, one rounding"),
                ("accumulators", f"{c.m} × {c.n} of 32 b"),
            ],
        )

    def _streams(self) -> None:
        top, middle = UNIT_BOTTOM + UNIT_HEIGHT, UNIT_BOTTOM + UNIT_HEIGHT / 2
        for index, name in enumerate(("steps", "tables", "psums")):
            right = _left(index + 1)
            self._arrow((right - GAP, middle), (right, middle))
            self._label((right - GAP / 2, middle + 3), name, SOFT, room=GAP - 4)
        c = self.config
        weights = f"{c.n} × {c.k} digits in {c.code_bits} b"
        scale = max(fmt.bits for fmt in c.scale_formats)
        result = max(fmt.bits for fmt in c.output_formats)
        for name, x, beat in (
            ("i_passes", _left(0) + 28, "a pass"),
            ("i_activations", _left(0) + 91, f"{c.m} × {c.k} of {c.activation_bits} b"),
            ("i_weights", _left(2) + UNIT_WIDTH / 2, weights),
            (
                "i_scales",
                _left(3) + UNIT_WIDTH / 2,
                f"{c.rescale_columns} of {scale} + {c.zero_bits} b",
            ),
        ):
            self._arrow((x, top + 20), (x, top), AMBER)
            self._label((x, top + 22), name, AMBER, beat)
        x = _left(3) + UNIT_WIDTH / 2
        self._arrow((x, UNIT_BOTTOM), (x, UNIT_BOTTOM - 20), AMBER)
        beat = f"{c.rescale_columns} × {c.m} of {result} b"
        self._label((x, UNIT_BOTTOM - 62), "o_outputs", AMBER, beat)

    def _lane(self) -> None:
        c = self.config
        y, left, right = LANE_MIDDLE, MARGIN, _left(3) - 14
        bottom, top = 12, UNIT_BOTTOM - 20
        self._box(left, bottom, right - left, top - bottom, LANE_FILL, "#d9cdb8")
        # From the lanes' part of the lookup unit.
        for x_from, x_to in ((_left(2) + 2, left + 3), (_left(2) + UNIT_WIDTH - 2, right - 3)):
            self._line([(x_from, UNIT_BOTTOM), (x_to, top)], "#c4b48f", dashed=True)
        self._text((left + 9, top - 12), "a lane", 10, BLUE, "bold", "left")
        groups = c.groups_per_step
        select = c.entries  # a line an entry
        x_select, x_negate, x_add, x_sum, x_hold = 128, 206, 286, 344, 406

        # Copies behind stand for the other groups of a step.
        for offset in (6, 3, 0) if groups > 1 else (0,):
            front = offset == 0
            self._selector((x_select + offset, y + offset), f"{select}:1" if front else "")
            if not c.subsets:
                self._gate((x_negate + offset, y + offset), "⊕" if front else "")
        if groups > 1:
            for x in (x_select, x_negate)[: 1 if c.subsets else 2]:
                self._text((x + 22, y + 25), f"× {groups}", 8.5, BLUE, align="left")
        self._arrow((left + 12, y), (x_select - 13, y))
        tables = f"{groups} × {select} entries" if groups > 1 else f"{select} entries"
        self._text((left + 14, y + 18), tables, 8.5, align="left")
        self._text((left + 14, y + 7), f"of {c.table_bits} b", 8.5, SOFT, align="left")
        if c.subsets:
            self._arrow((x_select + 13, y), (x_add - 11, y))
        else:
            self._arrow((x_select + 13, y), (x_negate - 11, y))
            self._arrow((x_negate + 11, y), (x_add - 11, y))

        # The selection: a line an entry; `negate` inverts and adds the one of -x = ~x + 1.
        y_code = y - 62
        uses = [(x_select, y - 22, f"lines, {select} b")]
        if not c.subsets:
            uses += [(x_negate, y - 11, "negate, 1 b"), (x_add, y - 11, "+ negate")]
        self._line([(left + 12, y_code), (uses[-1][0], y_code)], AMBER)
        codes = f"{groups} selections" if groups > 1 else "selection"
        self._text((left + 14, y_code + 18), codes, 8.5, AMBER, align="left")
        self._text(
            (left + 14, y_code + 7), f"of {select + (not c.subsets)} b", 8.5, SOFT, align="left"
        )
        for x, end, text in uses:
            self._arrow((x, y_code), (x, end), AMBER)
            self._text((x + 4, y_code + 16), text, 8.5, AMBER, align="left")

        # Sum, accumulator, and what the accumulator starts from.
        self._gate((x_add, y), "Σ" if groups > 1 else "+")
        self._arrow((x_add + 11, y), (x_sum - 11, y))
        self._gate((x_sum, y), "+")
        self._arrow((x_sum + 11, y), (x_hold - 24, y))
        self._box(x_hold - 24, y - 18, 48, 36, PART_FILL, BLUE)
        self._text((x_hold, y + 5), "psum", 8.5, weight="bold")
        self._text((x_hold, y - 6), f"{c.psum_bits} b", 8.5, SOFT)
        self._polygon([(x_hold - 4, y - 18), (x_hold, y - 13), (x_hold + 4, y - 18)])
        self._arrow((x_hold + 24, y), (right - 12, y))
        self._text((right - 14, y + 7), "once a pass", 8.5, SOFT, align="right")
        above, back = y + 44, x_hold + 36
        self._line([(back, y), (back, above), (x_sum + 34, above)])
        self._box(x_sum - 34, above - 11, 68, 22, PART_FILL, BLUE)
        self._text((x_sum, above), "× 1, × 2, 0", 8.5)
        self._arrow((x_sum, above - 11), (x_sum, y + 11))
        self._text((x_sum - 40, above + 6), "shift at a plane,", 8.5, SOFT, align="right")
        self._text((x_sum - 40, above - 5), "clear at a pass", 8.5, SOFT, align="right")
        self._text(
            (right - 14, y_code + 12), "a step of one bit plane a cycle,", 8.5, align="right"
        )
        self._text((right - 14, y_code + 1), "most significant plane first", 8.5, align="right")

    # What they are made of.

    def _unit(self, index: int, name: str, parts: list[tuple[str, str]]) -> None:
        left = _left(index)
        self._box(left, UNIT_BOTTOM, UNIT_WIDTH, UNIT_HEIGHT, UNIT_FILL, BLUE)
        top = UNIT_BOTTOM + UNIT_HEIGHT
        self._text((left + UNIT_WIDTH / 2, top - 11), name, 10.5, BLUE, "bold")
        space = UNIT_HEIGHT - 22
        height = space / len(parts)
        for place, (what, size) in enumerate(parts):
            bottom = top - 20 - (place + 1) * height
            self._box(left + 6, bottom + 3, UNIT_WIDTH - 12, height - 4, PART_FILL, "#b8c7d8")
            middle = bottom + 1 + height / 2
            for dy, line, color in ((5.5, what, INK), (-5.5, size, SOFT)):
                at = (left + UNIT_WIDTH / 2, middle + dy)
                self._text(at, line, 8.5, color, room=UNIT_WIDTH - 18)

    def _label(
        self, at: Point, name: str, color: str, beat: str = "", room: float = UNIT_WIDTH
    ) -> None:
        """A stream's name with what a beat is and its bits below; `at` is the foot."""
        bits = getattr(StreamLayouts(self.config), name.split("_")[-1]).size
        lines = [f"{bits:,} b", *([beat] if beat else []), name]
        for place, line in enumerate(lines):
            last = line is lines[-1]
            at_line = (at[0], at[1] + 6 + 11 * place)
            self._text(at_line, line, 8.5, color if last else SOFT, room=room)

    def _text(
        self,
        at: Point,
        text: str,
        size: float,
        color: str = INK,
        weight: str = "normal",
        align: str = "center",
        room: float = float("inf"),
    ) -> None:
        """One line, smaller where it would be wider than `room`."""
        prop = FontProperties(weight=weight)
        size *= min(1.0, room / TextPath((0, 0), f"|{text}", size, prop).get_extents().width)
        self.axes.text(
            *at, text, fontsize=size, color=color, fontweight=weight, ha=align, va="center"
        )

    def _box(self, x: float, y: float, width: float, height: float, fill: str, edge: str) -> None:
        style = "round,pad=0,rounding_size=3"
        self.axes.add_patch(
            FancyBboxPatch((x, y), width, height, style, facecolor=fill, edgecolor=edge)
        )

    def _polygon(self, points: list[Point]) -> None:
        self.axes.add_patch(Polygon(points, facecolor=PART_FILL, edgecolor=BLUE))

    def _selector(self, at: Point, text: str) -> None:
        x, y = at
        self._polygon([(x - 13, y - 28), (x + 13, y - 17), (x + 13, y + 17), (x - 13, y + 28)])
        self._text(at, text, 8.5, room=24)

    def _gate(self, at: Point, sign: str) -> None:
        self.axes.add_patch(Circle(at, 11, facecolor=PART_FILL, edgecolor=BLUE))
        self._text(at, sign, 12)

    def _line(self, points: list[Point], color: str = INK, dashed: bool = False) -> None:
        xs, ys = zip(*points, strict=True)
        self.axes.plot(xs, ys, color=color, linewidth=1, linestyle="--" if dashed else "-")

    def _arrow(self, start: Point, end: Point, color: str = INK) -> None:
        style = {"arrowstyle": "-|>,head_length=5,head_width=2.5", "color": color}
        self.axes.annotate(
            "", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 1}
        )


def _left(index: int) -> float:
    """Left edge of a unit, counted along the flow."""
    return MARGIN + index * (UNIT_WIDTH + GAP)
