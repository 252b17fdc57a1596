"""What the sequencer knows of the slots of a buffer: contents, position, and what is under way."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["OperandSlots", "ResultSlots"]

UNDER_WAY = 3
"""Bits of a count of instructions that use a slot; queues are shorter."""


class OperandSlots:
    """The two slots of buffer A, W, S or C.

    loaded, position  beats
    loading           a load has been issued and is not complete
    reading           lmmas that have been issued and have not read all of theirs
    """

    def __init__(self, name: str, depth: int) -> None:
        bits = depth.bit_length()
        self.loaded = [Signal(bits, name=f"{name}{i}_loaded") for i in range(2)]
        self.position = [Signal(bits, name=f"{name}{i}_position") for i in range(2)]
        self.loading = [Signal(name=f"{name}{i}_loading") for i in range(2)]
        self.reading = [Signal(UNDER_WAY, name=f"{name}{i}_reading") for i in range(2)]

    def left_from(self, slot: Value, rewind: Value) -> tuple[Value, Value]:
        """Where an lmma starts to read, and what the slot holds in all."""
        position = Mux(slot, self.position[1], self.position[0])
        return Mux(rewind, 0, position), Mux(slot, self.loaded[1], self.loaded[0])

    def free(self, slot: Value) -> Value:
        """Whether the slot may be loaded."""
        free = [~a & (b == 0) for a, b in zip(self.loading, self.reading, strict=True)]
        return Mux(slot, free[1], free[0])

    @property
    def idle(self) -> Value:
        """Whether nothing is under way."""
        return self.free(Value.cast(0)) & self.free(Value.cast(1))

    def load(self, m: Module, slot: Value, beats: Value) -> None:
        """Statements: a load is issued."""
        for i in range(2):
            with m.If(slot == i):
                m.d.sync += [
                    self.loaded[i].eq(beats),
                    self.position[i].eq(0),
                    self.loading[i].eq(1),
                ]

    def advance(self, m: Module, slot: Value, position: Value) -> None:
        """Statements: an lmma is issued that leaves the slot at this position."""
        for i in range(2):
            with m.If(slot == i):
                m.d.sync += self.position[i].eq(position)

    def track(self, m: Module, issued: Value, slot: Value, read: Value, read_slot: Value) -> None:
        """Statements for every cycle: a run of beats is issued, one is read."""
        for i, reading in enumerate(self.reading):
            up, down = issued & (slot == i), read & (read_slot == i)
            m.d.sync += reading.eq(reading + up - down)

    def complete(self, m: Module, done: Value, slot: Value) -> None:
        """Statements for every cycle: a load is complete."""
        for i, loading in enumerate(self.loading):
            with m.If(done & (slot == i)):
                m.d.sync += loading.eq(0)


class ResultSlots:
    """The two slots of buffer D.

    full     an lmma with `last` has been issued
    filling  and its results are not there yet
    storing  stores that have been issued and have not read all of theirs
    """

    def __init__(self) -> None:
        self.full = [Signal(name=f"d{i}_full") for i in range(2)]
        self.filling = [Signal(name=f"d{i}_filling") for i in range(2)]
        self.storing = [Signal(UNDER_WAY, name=f"d{i}_storing") for i in range(2)]

    def free(self, slot: Value) -> Value:
        """Whether the slot may be filled."""
        free = [~a & (b == 0) for a, b in zip(self.filling, self.storing, strict=True)]
        return Mux(slot, free[1], free[0])

    def ready(self, slot: Value) -> Value:
        """Whether the slot may be read."""
        return ~Mux(slot, self.filling[1], self.filling[0])

    @property
    def idle(self) -> Value:
        """Whether nothing is under way."""
        return self.free(Value.cast(0)) & self.free(Value.cast(1))

    def track(
        self,
        m: Module,
        issued: tuple[Value, Value],
        filled: tuple[Value, Value],
        store: tuple[Value, Value],
        stored: tuple[Value, Value],
    ) -> None:
        """Statements for every cycle; each pair says whether, and of which slot."""

        def of(event: tuple[Value, Value], slot: int) -> Value:
            return event[0] & (event[1] == slot)

        for i in range(2):
            with m.If(of(issued, i)):
                m.d.sync += [self.full[i].eq(1), self.filling[i].eq(1)]
            with m.If(of(filled, i)):
                m.d.sync += self.filling[i].eq(0)
            m.d.sync += self.storing[i].eq(self.storing[i] + of(store, i) - of(stored, i))
