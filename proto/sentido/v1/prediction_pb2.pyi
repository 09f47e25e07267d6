from google.rpc import status_pb2 as _status_pb2
from sentido.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PredictRequest(_message.Message):
    __slots__ = ("text", "model", "truncation", "include_logits")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LOGITS_FIELD_NUMBER: _ClassVar[int]
    text: str
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    include_logits: bool
    def __init__(self, text: _Optional[str] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., include_logits: bool = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("prediction", "served_by")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    served_by: _common_pb2.ServedBy
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class BatchPredictRequest(_message.Message):
    __slots__ = ("texts", "model", "truncation", "include_logits")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LOGITS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    include_logits: bool
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., include_logits: bool = ...) -> None: ...

class BatchPredictResponse(_message.Message):
    __slots__ = ("predictions", "served_by")
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedCompositeFieldContainer[Prediction]
    served_by: _common_pb2.ServedBy
    def __init__(self, predictions: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class StreamPredictRequest(_message.Message):
    __slots__ = ("texts", "model", "truncation", "include_logits")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LOGITS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    include_logits: bool
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., include_logits: bool = ...) -> None: ...

class StreamPredictResponse(_message.Message):
    __slots__ = ("results", "served_by")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[StreamPredictResult]
    served_by: _common_pb2.ServedBy
    def __init__(self, results: _Optional[_Iterable[_Union[StreamPredictResult, _Mapping]]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class StreamPredictResult(_message.Message):
    __slots__ = ("prediction", "error")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    error: _status_pb2.Status
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("label", "probability", "scores", "usage", "logits")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    usage: _common_pb2.Usage
    logits: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., logits: _Optional[_Iterable[float]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("label", "probability", "chosen")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    chosen: bool
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., chosen: bool = ...) -> None: ...
