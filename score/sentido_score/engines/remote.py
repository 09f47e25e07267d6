"""The engine of servers: each window's texts go out in calls, several in flight.

A server that stops or is full is waited for; what it had not answered is asked again. Every answer
proves that it is of the bundle and precision with which the run began; a window of which one is not
ends the run, and nothing of it is written.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_client import (
    BundleChangedError,
    Client,
    DeadlineError,
    InvalidRequestError,
    OverloadedError,
    Prediction,
    SentidoError,
    UnavailableError,
)

from sentido_score.callbacks import Say
from sentido_score.engines.engine import Model, Scores
from sentido_score.errors import ScoreError
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position, Window
from sentido_score.options import Options, Servers
from sentido_score.ordered import in_order, read_ahead

_WINDOWS = 3  # in flight, each in several calls
_PATIENCE = 300.0  # seconds without an answer after which a run ends
_DELAY = 1.0  # seconds between attempts
_REACHED = 8.0  # seconds in which the first answer must come
_PASSING = (UnavailableError, OverloadedError, DeadlineError)

_Vector = NDArray[np.float32]


class RemoteEngine:
    """Lives until it is closed; its connections are made by the first call."""

    name = "remote"

    def __init__(self, servers: Servers, options: Options, say: Say) -> None:
        """Ask the server which model it has. Raises ScoreError if none answers or it is another."""
        self._asked = servers.model, servers.model_version
        self._say = say
        self._closing = Event()
        self._saying = Lock()
        self._is_waiting = False  # for a server that does not answer
        try:
            with _client(servers, _REACHED) as asking:
                self._served = facts = asking.model(servers.model, servers.model_version)
            self._client = _client(servers)
        except (SentidoError, ValueError) as error:
            raise ScoreError(str(error)) from error
        if facts.precision != options.precision:
            raise ScoreError(
                f"the server at {servers.address} computes in {facts.precision}, not in"
                f" {options.precision}: choose --precision {facts.precision} or another server"
            )
        self.model = Model(
            facts.name,
            facts.version,
            facts.bundle_digest,
            facts.labels,
            facts.precision,
            facts.task,
        )
        self._kind: Any = options.embed  # None: no vectors
        self.dimension = (facts.dimension(self._kind) or None) if self._kind else None

    def scored(self, reader: Reader, start: Position) -> Iterator[tuple[Window, Scores]]:
        """Read and ask, some windows at once; see Engine."""
        self._closing.clear()
        with ThreadPoolExecutor(_WINDOWS, "sentido-remote") as pool:
            try:
                yield from in_order(pool, self._score, read_ahead(reader.windows(start)), _WINDOWS)
            finally:
                self.close()  # what is in flight ends, and is not waited for

    def close(self) -> None:
        """Close the connections; they are opened again if the engine is used again."""
        self._closing.set()
        self._client.close()

    def _score(self, window: Window) -> tuple[Window, Scores]:
        texts = window.texts.good
        # Near lengths together: a call's texts are computed together.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        answers, vectors = self._patiently([texts[i] for i in order])
        errors: dict[int, str] = {}
        probabilities = np.zeros((len(texts), len(self.model.labels)), np.float32)
        chosen = np.zeros(probabilities.shape, np.bool_)
        counts = np.zeros((3, len(texts)), np.int32)
        whole = np.zeros((len(texts), self.dimension), np.float32) if self.dimension else None
        for place, answer in zip(order, answers, strict=True):
            if isinstance(answer, InvalidRequestError):
                errors[place] = _described(answer)
                continue
            probabilities[place] = [score.probability for score in answer.scores]
            chosen[place] = [score.chosen for score in answer.scores]
            usage = answer.usage
            counts[:, place] = (
                usage.token_count,
                usage.truncated_token_count,
                usage.out_of_vocabulary_count,
            )
        if whole is not None:
            for place, vector in zip(order, vectors, strict=True):
                if not isinstance(vector, InvalidRequestError):
                    whole[place] = vector
        return window, Scores(probabilities, chosen, counts[0], counts[1], counts[2], whole, errors)

    def _patiently(
        self, texts: Sequence[str]
    ) -> tuple[Sequence[Prediction | InvalidRequestError], Sequence[_Vector | InvalidRequestError]]:
        """Ask until there is an answer. Raises ScoreError if there is none for long."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                answers = self._predict(texts), self._vectors(texts)
                self._is_waiting = False
                return answers
            except _PASSING as error:
                if time.monotonic() > end or self._closing.is_set():
                    raise ScoreError(str(error)) from error
                self._say_once(f"waiting for the server: {error}")
                self._closing.wait(_DELAY)
            except BundleChangedError as error:
                raise ScoreError(
                    f"the server now has the bundle {error.found} in"
                    f" {error.precision or 'an unknown precision'}, the run began with"
                    f" {self.model.digest} in {self.model.precision}: go on with --resume once that"
                    " is served again"
                ) from error
            except SentidoError as error:
                raise ScoreError(str(error)) from error

    def _say_once(self, message: str) -> None:
        """Say that the server is waited for: once, however many windows wait, until it answers."""
        with self._saying:
            if not self._is_waiting:
                self._say(message)
            self._is_waiting = True

    def _predict(self, texts: Sequence[str]) -> Sequence[Prediction | InvalidRequestError]:
        (model, model_version), served = self._asked, self._served
        try:
            return self._client.predict(
                texts, model=model, model_version=model_version, expect_bundle=served
            )
        except InvalidRequestError:  # a text is over a limit of the server's: which ones?
            return self._client.predict(
                texts,
                model=model,
                model_version=model_version,
                expect_bundle=served,
                errors="return",
            )

    def _vectors(self, texts: Sequence[str]) -> Sequence[_Vector | InvalidRequestError]:
        if self.dimension is None or not texts or self._closing.is_set():
            return []
        (model, model_version), served = self._asked, self._served
        kind = self._kind
        try:
            return list(
                self._client.embed(
                    texts, model=model, model_version=model_version, kind=kind, expect_bundle=served
                )
            )
        except InvalidRequestError:
            return self._client.embed(
                texts,
                model=model,
                model_version=model_version,
                kind=kind,
                expect_bundle=served,
                errors="return",
            )


def _client(servers: Servers, timeout: float = 30.0) -> Client:
    """Make a client. Raises ValueError."""
    return Client(
        servers.address,
        timeout=timeout,
        tls_ca=servers.tls_ca,
        tls_cert=servers.tls_cert,
        tls_key=servers.tls_key,
        token_file=servers.token_file,
        insecure_tokens=servers.insecure_tokens,
    )


def _described(error: InvalidRequestError) -> str:
    """Say what is wrong with a text without its place in a call."""
    for violation in error.violations:
        return f"the text {violation.description}"
    return str(error)
