from google.rpc import status_pb2 as _status_pb2
from sentido.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbeddingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EMBEDDING_KIND_UNSPECIFIED: _ClassVar[EmbeddingKind]
    EMBEDDING_KIND_HIDDEN: _ClassVar[EmbeddingKind]
    EMBEDDING_KIND_MEAN: _ClassVar[EmbeddingKind]

class TokenEmbeddingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_EMBEDDING_KIND_UNSPECIFIED: _ClassVar[TokenEmbeddingKind]
    TOKEN_EMBEDDING_KIND_WORD: _ClassVar[TokenEmbeddingKind]
    TOKEN_EMBEDDING_KIND_HIDDEN: _ClassVar[TokenEmbeddingKind]
EMBEDDING_KIND_UNSPECIFIED: EmbeddingKind
EMBEDDING_KIND_HIDDEN: EmbeddingKind
EMBEDDING_KIND_MEAN: EmbeddingKind
TOKEN_EMBEDDING_KIND_UNSPECIFIED: TokenEmbeddingKind
TOKEN_EMBEDDING_KIND_WORD: TokenEmbeddingKind
TOKEN_EMBEDDING_KIND_HIDDEN: TokenEmbeddingKind

class EmbedRequest(_message.Message):
    __slots__ = ("text", "model", "truncation", "kind", "normalize")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    text: str
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    kind: EmbeddingKind
    normalize: bool
    def __init__(self, text: _Optional[str] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., kind: _Optional[_Union[EmbeddingKind, str]] = ..., normalize: bool = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embedding", "usage", "served_by")
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    embedding: _common_pb2.Tensor
    usage: _common_pb2.Usage
    served_by: _common_pb2.ServedBy
    def __init__(self, embedding: _Optional[_Union[_common_pb2.Tensor, _Mapping]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class BatchEmbedRequest(_message.Message):
    __slots__ = ("texts", "model", "truncation", "kind", "normalize")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    kind: EmbeddingKind
    normalize: bool
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., kind: _Optional[_Union[EmbeddingKind, str]] = ..., normalize: bool = ...) -> None: ...

class BatchEmbedResponse(_message.Message):
    __slots__ = ("embeddings", "usages", "served_by")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    USAGES_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    embeddings: _common_pb2.Tensor
    usages: _containers.RepeatedCompositeFieldContainer[_common_pb2.Usage]
    served_by: _common_pb2.ServedBy
    def __init__(self, embeddings: _Optional[_Union[_common_pb2.Tensor, _Mapping]] = ..., usages: _Optional[_Iterable[_Union[_common_pb2.Usage, _Mapping]]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class StreamEmbedRequest(_message.Message):
    __slots__ = ("texts", "model", "truncation", "kind", "normalize")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    kind: EmbeddingKind
    normalize: bool
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., kind: _Optional[_Union[EmbeddingKind, str]] = ..., normalize: bool = ...) -> None: ...

class StreamEmbedResponse(_message.Message):
    __slots__ = ("embeddings", "results", "served_by")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    embeddings: _common_pb2.Tensor
    results: _containers.RepeatedCompositeFieldContainer[StreamEmbedResult]
    served_by: _common_pb2.ServedBy
    def __init__(self, embeddings: _Optional[_Union[_common_pb2.Tensor, _Mapping]] = ..., results: _Optional[_Iterable[_Union[StreamEmbedResult, _Mapping]]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class StreamEmbedResult(_message.Message):
    __slots__ = ("usage", "error")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    usage: _common_pb2.Usage
    error: _status_pb2.Status
    def __init__(self, usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class EmbedTokensRequest(_message.Message):
    __slots__ = ("text", "model", "truncation", "kind", "normalize")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    text: str
    model: _common_pb2.ModelSelector
    truncation: _common_pb2.Truncation
    kind: TokenEmbeddingKind
    normalize: bool
    def __init__(self, text: _Optional[str] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., kind: _Optional[_Union[TokenEmbeddingKind, str]] = ..., normalize: bool = ...) -> None: ...

class EmbedTokensResponse(_message.Message):
    __slots__ = ("tokens", "embeddings", "usage", "served_by")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[_common_pb2.Token]
    embeddings: _common_pb2.Tensor
    usage: _common_pb2.Usage
    served_by: _common_pb2.ServedBy
    def __init__(self, tokens: _Optional[_Iterable[_Union[_common_pb2.Token, _Mapping]]] = ..., embeddings: _Optional[_Union[_common_pb2.Tensor, _Mapping]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class LookupWordsRequest(_message.Message):
    __slots__ = ("words", "model", "normalize")
    WORDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    words: _containers.RepeatedScalarFieldContainer[str]
    model: _common_pb2.ModelSelector
    normalize: bool
    def __init__(self, words: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ..., normalize: bool = ...) -> None: ...

class LookupWordsResponse(_message.Message):
    __slots__ = ("words", "embeddings", "served_by")
    WORDS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    words: _containers.RepeatedCompositeFieldContainer[Word]
    embeddings: _common_pb2.Tensor
    served_by: _common_pb2.ServedBy
    def __init__(self, words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., embeddings: _Optional[_Union[_common_pb2.Tensor, _Mapping]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "id", "out_of_vocabulary")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    text: str
    id: int
    out_of_vocabulary: bool
    def __init__(self, text: _Optional[str] = ..., id: _Optional[int] = ..., out_of_vocabulary: bool = ...) -> None: ...

class FindNearestWordsRequest(_message.Message):
    __slots__ = ("word", "limit", "model")
    WORD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    word: str
    limit: int
    model: _common_pb2.ModelSelector
    def __init__(self, word: _Optional[str] = ..., limit: _Optional[int] = ..., model: _Optional[_Union[_common_pb2.ModelSelector, _Mapping]] = ...) -> None: ...

class FindNearestWordsResponse(_message.Message):
    __slots__ = ("words", "served_by")
    WORDS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    words: _containers.RepeatedCompositeFieldContainer[NearestWord]
    served_by: _common_pb2.ServedBy
    def __init__(self, words: _Optional[_Iterable[_Union[NearestWord, _Mapping]]] = ..., served_by: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class NearestWord(_message.Message):
    __slots__ = ("text", "id", "similarity")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    text: str
    id: int
    similarity: float
    def __init__(self, text: _Optional[str] = ..., id: _Optional[int] = ..., similarity: _Optional[float] = ...) -> None: ...
