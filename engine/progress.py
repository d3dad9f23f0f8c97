"""How far a work is, told by its parts."""

from engine.surrogates.params import OnStep


def part(on_step: OnStep | None, start: float, size: float) -> OnStep:
    """Return what a part of a work tells its progress to, so that ``on_step`` is told that of the whole.

    Args:
        on_step: is told the share of the whole that is done; None where nobody watches.
        start: share of the whole at which the part begins.
        size: share of the whole that the part is.
    """
    return lambda share: on_step(start + size * share) if on_step else None
