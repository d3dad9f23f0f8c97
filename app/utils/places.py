"""A number of places, each held by somebody for long."""

import threading


class Places:
    """So many and no more. Open sockets and streams hold a thread each; requests need the rest of them."""

    def __init__(self, n_places: int) -> None:
        self.n_places = n_places
        self.n_taken = 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a place. Returns whether there was one."""
        with self._lock:
            has_place = self.n_taken < self.n_places
            self.n_taken += has_place
            return has_place

    def give_back(self) -> None:
        """Give a place back."""
        with self._lock:
            self.n_taken -= 1
