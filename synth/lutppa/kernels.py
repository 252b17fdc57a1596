"""C++ of library cells: evaluation, state and counting, 64 streams a word, written from Liberty.

A kernel runs over many cells of its kind. Pins are known by their place, nets by their number.
"""

from __future__ import annotations

from collections.abc import Sequence

from lutcore.errors import InputError

from .cells import Arc, PowerCell, State
from .expression import Code, evaluate

__all__ = ["kernels"]

_SIGNATURES = {
    "evaluate": ("void", "const Kind& kind, int first, int cells, W* v"),
    "sample": ("void", "const Kind& kind, const W* v"),
    "drive": ("void", "const Kind& kind, W* v"),
    "unstable": ("int", "const Kind& kind, const W* v"),
    "count": ("void", "const Kind& kind, const W* o, const W* v"),
}


def kernels(cells: Sequence[PowerCell]) -> str:
    """Functions of every cell, and tables of them in the order of `cells`.

    evaluate   outputs of combinational cells and latches from their inputs
    sample     the state of flip-flops whose clock has risen; `drive` puts it out
    unstable   whether the clock of a flip-flop is no longer what it was when it sampled
    count      edges of outputs, and edges that match an arc; o are the nets before, v after
    InputError for a function that cannot be read.
    """
    parts: list[str] = []
    tables: dict[str, list[str]] = {name: [] for name in _SIGNATURES}
    for index, cell in enumerate(cells):
        try:
            bodies = _bodies(cell)
        except (KeyError, IndexError) as error:
            raise InputError(
                f"cell {cell.name} has a function that cannot be read: {error}"
            ) from None
        for name, (result, parameters) in _SIGNATURES.items():
            if name in bodies:
                parts.append(f"static {result} {name}_{index}({parameters}) {{\n{bodies[name]}\n}}")
            tables[name].append(f"{name}_{index}" if name in bodies else "nullptr")
    for name, (result, parameters) in _SIGNATURES.items():
        parts.append(f"static {result} (*{name}[])({parameters}) = {{{', '.join(tables[name])}}};")
    return "\n".join(parts)


def _bodies(cell: PowerCell) -> dict[str, str]:
    state = cell.state
    values = _values(cell, "v")
    outputs = [
        f"v[p[{cell.pins.index(pin)}]] = {evaluate(function, values)};"
        for pin, function in cell.outputs.items()
    ]
    bodies = {"count": _loop(cell, _count(cell))}
    if state is None:
        bodies["evaluate"] = _loop(cell, outputs, "first", "first + cells")
        return bodies
    load, store = "W s = kind.state[i];", "kind.state[i] = s;"
    clock = f"const W c = {evaluate(state.clock, values)};"
    take = _take(state, values)
    if not state.edge:
        body = [load, clock, "const W e = c;", *take, store, *outputs]
        bodies["evaluate"] = _loop(cell, body, "first", "first + cells")
        return bodies
    edge = ["const W e = ~kind.clock[i] & c;", "kind.clock[i] = c;"]
    bodies["sample"] = _loop(cell, [load, clock, *edge, *take, store])
    bodies["drive"] = _loop(cell, [load, *outputs])
    found = _loop(cell, [clock, "wrong |= kind.clock[i] ^ c;"])
    bodies["unstable"] = f"W wrong = 0;\n{found}\nreturn wrong != 0;"
    return bodies


def _values(cell: PowerCell, nets: str) -> dict[str, Code]:
    """What the names of a cell's functions stand for: pins in the array `nets`, s the state."""
    values = {pin: Code(f"{nets}[p[{i}]]") for i, pin in enumerate(cell.pins)}
    if cell.state is not None:
        values[cell.state.name], values[cell.state.inverse] = Code("s"), Code("~s")
    return values | {"0": Code("W(0)"), "1": Code("~W(0)")}


def _take(state: State, values: dict[str, Code]) -> list[str]:
    """The state takes its data where e; clear and preset have their effect then."""
    lines = [f"s = (s & ~e) | ({evaluate(state.data, values)} & e);"]
    if state.clear:
        lines.append(f"s &= ~{evaluate(state.clear, values)};")
    if state.preset:
        lines.append(f"s |= {evaluate(state.preset, values)};")
    return lines


def _count(cell: PowerCell) -> list[str]:
    before, after = _values(cell, "o"), _values(cell, "v")
    moved = {pin: f"t{i}" for i, pin in enumerate(cell.pins)}
    lines = [f"const W t{i} = o[p[{i}]] ^ v[p[{i}]];" for i in range(len(cell.pins))]
    lines.append(f"if (!({' | '.join(moved.values())})) continue;")
    if cell.state is not None:
        lines.append("const W s = kind.state[i]; (void)s;")
    lines.append(f"uint32_t* e = kind.edges + i * {2 * len(cell.outputs)};")
    lines.append(f"uint32_t* a = kind.arcs + i * {2 * len(cell.arcs)};")
    for i, pin in enumerate(cell.pins):
        lines.append(f"const W r{i} = t{i} & v[p[{i}]], f{i} = t{i} & o[p[{i}]];")
        if pin in cell.outputs:
            j = i - len(cell.inputs)
            lines.append(f"e[{2 * j}] += ones(r{i}); e[{2 * j + 1}] += ones(f{i});")
    lines.append("(void)e; (void)a;")
    for place, arc in enumerate(cell.arcs):
        # What a clock edge costs depends on what the cell held when the edge came.
        condition = _condition(cell, arc, before if arc.pin in cell.clocks else after)
        if arc.related:
            related = [moved[pin] for pin in arc.related if pin in moved]
            condition = f"{condition} & ({' | '.join(related) or 'W(0)'})"
        elif arc.when and cell.state is None:
            # The condition is that the output stays; its own arcs cover inputs that move together.
            condition = f"{condition} & ~({' | '.join(moved[pin] for pin in cell.outputs)})"
        i = cell.pins.index(arc.pin)
        lines.append(f"{{ const W m = {condition};")
        lines.append(f"a[{2 * place}] += ones(r{i} & m); a[{2 * place + 1}] += ones(f{i} & m); }}")
    return lines


def _condition(cell: PowerCell, arc: Arc, values: dict[str, Code]) -> Code:
    """The condition of an arc; without one, that none of the pin's other arcs holds."""
    if arc.when:
        return evaluate(arc.when, values)
    condition = values["1"]
    for other in cell.arcs:
        if other.when and (other.pin, other.related) == (arc.pin, arc.related):
            condition = condition & ~evaluate(other.when, values)
    return condition


def _loop(cell: PowerCell, body: list[str], start: str = "0", stop: str = "kind.count") -> str:
    lines = "\n    ".join(body)
    return f"""\
  const int32_t* p = kind.pins + {len(cell.pins)} * ({start});
  for (int i = {start}; i < {stop}; i++, p += {len(cell.pins)}) {{
    {lines}
  }}"""
