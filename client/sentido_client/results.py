"""What calls return: frozen dataclasses and NumPy arrays, made here from the messages."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass, replace
from inspect import signature
from sys import intern
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from sentido.v1 import common_pb2, embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2

Vectors = NDArray[np.float32]

_Params = ParamSpec("_Params")
_Made = TypeVar("_Made")

TIMINGS = ("sentido-timings", "1")
"""The metadata that asks for a call's timings; the trailer that holds them has the same name."""


@dataclass(frozen=True)
class Usage:
    """What became of one text on its way to the model. Nothing is dropped silently."""

    character_count: int  # code points of the text
    token_count: int  # tokens that the model read
    truncated_token_count: int  # tokens cut off a long text
    out_of_vocabulary_count: int  # words that the model does not know


@dataclass(frozen=True)
class Score:
    """A label and its probability."""

    label: str
    probability: float  # 0 to 1
    chosen: bool  # whether the label holds: see Prediction


@dataclass(frozen=True)
class Timings:
    """What the stages of a call took at the server, in µs; of all its texts together."""

    queue: int  # until the turn of its first text
    tokenize: int  # to parse, check and tokenize
    compute: int  # until the result of its last text
    encode: int  # to make the answer


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    `chosen` is `label` alone for a model with the task "single"; for "multi_label" those labels
    whose probability is at least their threshold: any number of them, also none.
    """

    label: str  # the most probable one
    probability: float  # of that label, 0 to 1
    chosen: tuple[str, ...]  # in the model's order
    scores: tuple[Score, ...]  # every label, in the model's order
    logits: tuple[float, ...]  # one per score before the last activation; (): not asked for
    usage: Usage
    model: str  # its plain name
    version: str  # of the model
    bundle_digest: str  # names every byte of the model
    precision: str = ""  # as of Model; "": a server that does not say
    timings: Timings | None = None  # of the call, where the client asks for them; not of a stream


@dataclass(frozen=True)
class Token:
    """One word of a text; `start` and `end` are code points of the text as given."""

    id: int  # 0: unknown to the model, which never reads it
    text: str
    start: int
    end: int
    out_of_vocabulary: bool


class TokenEmbeddings(NamedTuple):
    """The tokens that the model read, and a vector for each."""

    tokens: tuple[Token, ...]
    vectors: Vectors  # (tokens, dimension)


@dataclass(frozen=True)
class Tokenization:
    """What the tokenizer makes of one text."""

    tokens: tuple[Token, ...]  # every word, also those that the model never reads
    token_ids: tuple[int, ...]  # what the model reads
    usage: Usage
    model: str
    version: str
    bundle_digest: str
    precision: str = ""  # as of Model; "": a server that does not say
    timings: Timings | None = None  # of the call, where the client asks for them


@dataclass(frozen=True)
class Word:
    """What the model knows of a word."""

    text: str
    id: int  # 0 if it is not in the vocabulary
    out_of_vocabulary: bool
    vector: Vectors = field(
        repr=False, compare=False
    )  # (dimension,), zeros if it is not in the vocabulary


@dataclass(frozen=True)
class Neighbour:
    """A word near another one."""

    word: str
    similarity: float  # cosine, -1 to 1
    id: int


@dataclass(frozen=True)
class Preprocessing:
    """How a text becomes ids: the settings of Keras' Tokenizer or TextVectorization; truncation.

    Of the latter `lower` is of A to Z alone, and `filters` disappear from within words.
    """

    lower: bool
    filters: str
    split: str
    out_of_vocabulary_token: str  # of out_of_vocabulary_id; may be "" also where there is one
    max_tokens: int
    truncation: str  # "pre" keeps the last tokens of a long text, "post" the first
    out_of_vocabulary_id: int | None = None  # None: unknown words are dropped
    char_level: bool = False  # each character is a word; filters and split mean nothing then
    start_id: int | None = None  # the id before the first token of each text
    kind: str = "keras"  # the rules of its Tokenizer, or "text_vectorization"


@dataclass(frozen=True)
class Model:
    """What is known of a loaded model."""

    name: str
    version: str
    bundle_digest: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    vocabulary_size: int
    embedding_dimension: int  # 0: the model gives no word vectors
    hidden_units: int  # 0: the model gives no hidden states
    metrics: Mapping[str, float]
    created: str  # RFC 3339, UTC
    precision: str  # "fp32" or "int8": what the server computes predictions and states in
    task: str  # "single", one label is right, or "multi_label", any number of labels is
    thresholds: tuple[float, ...]  # of multi_label: from which probability on a label is chosen
    capabilities: tuple[str, ...]  # "hidden", "steps", "word_vectors", "logits", "int8", "cleaning"
    same_bits: bool  # a text gives the same bits, whatever else is in its batch
    cleaned_by_caller: bool  # texts must come cleaned as those were that it learned from

    def dimension(self, kind: str) -> int:
        """Return the elements of a text's vector of a kind, 0 if the model has none of it."""
        return {"hidden": self.hidden_units, "mean": self.embedding_dimension}[kind]


@dataclass(frozen=True)
class Limits:
    """What a call to the server may hold."""

    max_text_characters: int
    max_texts: int
    max_message_bytes: int


def usage(message: common_pb2.Usage) -> Usage:
    """Read a Usage."""
    return Usage(
        message.character_count,
        message.token_count,
        message.truncated_token_count,
        message.out_of_vocabulary_count,
    )


def predictions(
    served_by: common_pb2.ServedBy,
) -> Callable[[prediction_pb2.Prediction], Prediction]:
    """Give what reads the Predictions of one answer. Of equal strings only one is kept."""
    model, version = intern(served_by.model), intern(served_by.version)
    bundle_digest, precision = intern(served_by.bundle_digest), intern(served_by.precision)
    has_logits: bool | None = None  # all of an answer or none; to look into each takes long

    def read(message: prediction_pb2.Prediction) -> Prediction:
        nonlocal has_logits
        if has_logits is None:
            has_logits = bool(message.logits)
        scores, chosen = [], []
        for score in message.scores[:]:  # a list: iterating over the field ends in an exception
            label, is_chosen = intern(score.label), score.chosen
            scores.append(Score(label, score.probability, is_chosen))
            if is_chosen:
                chosen.append(label)
        return _prediction(
            intern(message.label),
            message.probability,
            tuple(chosen),
            tuple(scores),
            tuple(message.logits) if has_logits else (),
            usage(message.usage),
            model,
            version,
            bundle_digest,
            precision,
            None,
        )

    return read


def _maker(kind: Callable[_Params, _Made]) -> Callable[_Params, _Made]:
    """Return what makes a frozen dataclass of all its fields in less time than its `__init__`.

    That sets each field by a call, since the class refuses assignment. Here a twin that does not
    refuse is made, and becomes one of the class once it is complete.
    """

    def become(made: Any) -> None:
        made.__class__ = kind

    names = list(signature(kind).parameters)
    return make_dataclass(kind.__name__, names, namespace={"__post_init__": become})


_prediction = _maker(Prediction)


def timed(answer: Any, trailer: Iterable[tuple[str, str | bytes]] | None) -> Any:
    """Put a call's timings on its Prediction, its Tokenization, or each of its Predictions.

    Anything else stays as it is: an array has no place for them.
    """
    found = _timings(dict(trailer or ()).get(TIMINGS[0]))
    if isinstance(answer, list):
        return [_with_timings(each, found) for each in answer]
    return _with_timings(answer, found)


def _with_timings(answer: Any, found: Timings | None) -> Any:
    is_timed = isinstance(answer, Prediction | Tokenization)
    return replace(answer, timings=found) if is_timed else answer


def _timings(taken: str | bytes | None) -> Timings | None:
    """Read "queue=12, tokenize=34, ..."; None from a server that does not say."""
    if not isinstance(taken, str):
        return None
    stages = dict(stage.strip().split("=", 1) for stage in taken.split(","))
    return Timings(**{field.name: int(stages[field.name]) for field in fields(Timings)})


def vectors(tensor: common_pb2.Tensor) -> Vectors:
    """Read a Tensor: an array of its shape, that may be written to."""
    if tensor.data_type != common_pb2.DATA_TYPE_FLOAT32:
        raise ValueError(f"tensor of type {tensor.data_type}: this client reads float32 only")
    flat = np.frombuffer(tensor.data, "<f4").astype(np.float32)  # a copy
    return flat.reshape(tuple(tensor.shape))


def token_embeddings(message: embedding_pb2.EmbedTokensResponse) -> TokenEmbeddings:
    """Read the answer to EmbedTokens."""
    return TokenEmbeddings(_tokens(message.tokens), vectors(message.embeddings))


def tokenization(message: tokenizer_pb2.TokenizeResponse) -> Tokenization:
    """Read the answer to Tokenize."""
    return Tokenization(
        _tokens(message.tokens),
        tuple(message.token_ids),
        usage(message.usage),
        message.served_by.model,
        message.served_by.version,
        message.served_by.bundle_digest,
        message.served_by.precision,
    )


def words(message: embedding_pb2.LookupWordsResponse) -> list[Word]:
    """Read the answer to LookupWords."""
    rows = vectors(message.embeddings)
    return [
        Word(word.text, word.id, word.out_of_vocabulary, row)
        for word, row in zip(message.words, rows, strict=True)
    ]


def neighbours(message: embedding_pb2.FindNearestWordsResponse) -> list[Neighbour]:
    """Read the answer to FindNearestWords."""
    return [Neighbour(word.text, word.similarity, word.id) for word in message.words]


def model(message: model_pb2.Model) -> Model:
    """Read a Model."""
    rules = message.preprocessing
    return Model(
        name=message.name,
        version=message.version,
        bundle_digest=message.bundle_digest,
        labels=tuple(message.labels),
        preprocessing=Preprocessing(
            rules.lower,
            rules.filters,
            rules.split,
            rules.out_of_vocabulary_token,
            rules.max_tokens,
            rules.truncation,
            rules.out_of_vocabulary_id or None,
            rules.char_level,
            rules.start_id or None,
            rules.kind or "keras",
        ),
        vocabulary_size=message.vocabulary_size,
        embedding_dimension=message.embedding_dimension,
        hidden_units=message.hidden_units,
        metrics=dict(sorted(message.metrics.items())),
        created=message.created,
        precision=message.precision,
        task=message.task,
        thresholds=tuple(message.thresholds),
        capabilities=tuple(message.capabilities),
        same_bits=message.same_bits,
        cleaned_by_caller=message.cleaned_by_caller,
    )


def limits(message: model_pb2.GetServerInfoResponse) -> Limits:
    """Read a server's limits."""
    return Limits(
        message.limits.max_text_characters,
        message.limits.max_texts,
        message.limits.max_message_bytes,
    )


def _tokens(messages: Any) -> tuple[Token, ...]:
    return tuple(Token(t.id, t.text, t.start, t.end, t.out_of_vocabulary) for t in messages)
