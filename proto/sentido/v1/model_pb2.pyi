from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("server_version", "limits", "default_model")
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    limits: Limits
    default_model: str
    def __init__(self, server_version: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., default_model: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_text_characters", "max_texts", "max_message_bytes")
    MAX_TEXT_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    MAX_TEXTS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_text_characters: int
    max_texts: int
    max_message_bytes: int
    def __init__(self, max_text_characters: _Optional[int] = ..., max_texts: _Optional[int] = ..., max_message_bytes: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class ReloadModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ReloadModelResponse(_message.Message):
    __slots__ = ("model", "previous_bundle_digest")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    model: Model
    previous_bundle_digest: str
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., previous_bundle_digest: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "bundle_digest", "labels", "preprocessing", "vocabulary_size", "embedding_dimension", "hidden_units", "metrics", "created", "precision", "task", "thresholds", "capabilities", "same_bits", "cleaned_by_caller")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_SIZE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_UNITS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    SAME_BITS_FIELD_NUMBER: _ClassVar[int]
    CLEANED_BY_CALLER_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    bundle_digest: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    preprocessing: Preprocessing
    vocabulary_size: int
    embedding_dimension: int
    hidden_units: int
    metrics: _containers.ScalarMap[str, float]
    created: str
    precision: str
    task: str
    thresholds: _containers.RepeatedScalarFieldContainer[float]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    same_bits: bool
    cleaned_by_caller: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., preprocessing: _Optional[_Union[Preprocessing, _Mapping]] = ..., vocabulary_size: _Optional[int] = ..., embedding_dimension: _Optional[int] = ..., hidden_units: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ..., created: _Optional[str] = ..., precision: _Optional[str] = ..., task: _Optional[str] = ..., thresholds: _Optional[_Iterable[float]] = ..., capabilities: _Optional[_Iterable[str]] = ..., same_bits: bool = ..., cleaned_by_caller: bool = ...) -> None: ...

class Preprocessing(_message.Message):
    __slots__ = ("lower", "filters", "split", "out_of_vocabulary_token", "max_tokens", "truncation", "out_of_vocabulary_id", "char_level", "start_id", "kind")
    LOWER_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_VOCABULARY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_VOCABULARY_ID_FIELD_NUMBER: _ClassVar[int]
    CHAR_LEVEL_FIELD_NUMBER: _ClassVar[int]
    START_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    lower: bool
    filters: str
    split: str
    out_of_vocabulary_token: str
    max_tokens: int
    truncation: str
    out_of_vocabulary_id: int
    char_level: bool
    start_id: int
    kind: str
    def __init__(self, lower: bool = ..., filters: _Optional[str] = ..., split: _Optional[str] = ..., out_of_vocabulary_token: _Optional[str] = ..., max_tokens: _Optional[int] = ..., truncation: _Optional[str] = ..., out_of_vocabulary_id: _Optional[int] = ..., char_level: bool = ..., start_id: _Optional[int] = ..., kind: _Optional[str] = ...) -> None: ...
