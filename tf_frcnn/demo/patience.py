"""Connections that are closed when they send nothing whole for a while."""

from uvicorn.protocols.http.h11_impl import H11Protocol

# Within which a request's head must arrive, counted from its first byte or from the
# beginning of the connection.
SECONDS = 10.0


class ImpatientProtocol(H11Protocol):
    """Uvicorn's protocol, which itself would wait for a request's head for ever."""

    _watch = None

    def connection_made(self, transport):
        """Starts the clock of a new connection."""
        super().connection_made(transport)
        self._begin()

    def data_received(self, data):
        """Starts the clock of a further request."""
        super().data_received(data)
        self._begin()

    def connection_lost(self, exc):
        """Stops the clock."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _begin(self):
        """Starts the clock, unless it runs: single bytes do not set it back."""
        if self._watch is None and self._waits():
            self._watch = self.loop.call_later(SECONDS, self._end)

    def _end(self):
        self._watch = None
        if self._waits():
            self.transport.close()

    def _waits(self):
        """Says whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete
