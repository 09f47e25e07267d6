from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Truncation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUNCATION_UNSPECIFIED: _ClassVar[Truncation]
    TRUNCATION_KEEP_LAST: _ClassVar[Truncation]
    TRUNCATION_KEEP_FIRST: _ClassVar[Truncation]
    TRUNCATION_FORBIDDEN: _ClassVar[Truncation]

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_TYPE_UNSPECIFIED: _ClassVar[DataType]
    DATA_TYPE_FLOAT32: _ClassVar[DataType]
TRUNCATION_UNSPECIFIED: Truncation
TRUNCATION_KEEP_LAST: Truncation
TRUNCATION_KEEP_FIRST: Truncation
TRUNCATION_FORBIDDEN: Truncation
DATA_TYPE_UNSPECIFIED: DataType
DATA_TYPE_FLOAT32: DataType

class ModelSelector(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("data_type", "shape", "data")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    data_type: DataType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, data_type: _Optional[_Union[DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("character_count", "token_count", "truncated_token_count", "out_of_vocabulary_count")
    CHARACTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_VOCABULARY_COUNT_FIELD_NUMBER: _ClassVar[int]
    character_count: int
    token_count: int
    truncated_token_count: int
    out_of_vocabulary_count: int
    def __init__(self, character_count: _Optional[int] = ..., token_count: _Optional[int] = ..., truncated_token_count: _Optional[int] = ..., out_of_vocabulary_count: _Optional[int] = ...) -> None: ...

class ServedBy(_message.Message):
    __slots__ = ("model", "version", "bundle_digest", "precision")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    bundle_digest: str
    precision: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., precision: _Optional[str] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("id", "text", "start", "end", "out_of_vocabulary")
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    id: int
    text: str
    start: int
    end: int
    out_of_vocabulary: bool
    def __init__(self, id: _Optional[int] = ..., text: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., out_of_vocabulary: bool = ...) -> None: ...
