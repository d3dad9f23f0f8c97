"""The one kind of refusal a person at the terminal sees."""


class LaunchError(Exception):
    """Why the start or the run ended: one sentence, then, where it helps, a child's last log lines."""


class StopRequestedError(Exception):
    """Somebody pressed Ctrl-C or sent a signal. The run ends in order; it is not a failure."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.signal_number = signal_number
