"""Ids back into words, by both clients."""

import grpc
import pytest
from both import Both
from sentido.v1 import tokenizer_pb2
from sentido.v1.tokenizer_pb2_grpc import TokenizerServiceStub
from sentido_bundle import Bundle
from sentido_client import BundleChangedError, InvalidRequestError, NotFoundError


def test_ids_become_the_words_that_they_were_made_of(both: Both) -> None:
    tokens = both.client.tokenize("A wonderful little film.")
    read = [token.text for token in tokens.tokens if token.id]
    assert both("detokenize", tokens.token_ids) == read
    assert both("detokenize", []) == []


def test_every_word_of_a_vocabulary_has_its_id(both: Both, bundle: Bundle) -> None:
    words = bundle.tokenizer.vocabulary[1:513]
    assert both("detokenize", list(range(1, 513))) == list(words)


@pytest.mark.parametrize("id", [0, -1, 2**31 - 1, -(2**31), 2**31, 10**30])
def test_an_id_that_names_no_word_is_named(both: Both, id: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        both("detokenize", [1, 2, id, 3])
    assert str(caught.value).startswith(f"token_ids[2]: is {id}, ")
    assert [violation.field for violation in caught.value.violations] == ["token_ids[2]"]
    assert caught.value.index == 2


def test_the_first_id_beyond_the_vocabulary_is_refused_and_the_last_within_is_not(
    both: Both, bundle: Bundle
) -> None:
    size = len(bundle.tokenizer.vocabulary)
    assert both("detokenize", [size - 1]) == [bundle.tokenizer.vocabulary[-1]]
    with pytest.raises(InvalidRequestError, match=rf"token_ids\[0\]: is {size}"):
        both("detokenize", [size])


@pytest.mark.parametrize("id", ["1", 1.0, None, True])
def test_what_is_not_an_int_is_a_type_error(both: Both, id: object) -> None:
    with pytest.raises(TypeError, match=r"token_ids\[1\] is of type"):
        both("detokenize", [1, id])


def test_more_ids_than_a_call_may_hold_are_refused(both: Both) -> None:
    most = both.client.limits().max_texts
    with pytest.raises(InvalidRequestError, match=f"token_ids: has {most + 1} elements"):
        both("detokenize", [1] * (most + 1))


def test_the_model_and_the_bundle_can_be_named(both: Both) -> None:
    model = both.client.model()
    assert both("detokenize", [1], model=model.name, expect_bundle=model)
    with pytest.raises(NotFoundError):
        both("detokenize", [1], model="nobodys")
    with pytest.raises(BundleChangedError):
        both("detokenize", [1], expect_bundle="0" * 64)


def test_the_answer_says_whose_vocabulary_it_was(address: str, bundle: Bundle) -> None:
    with grpc.insecure_channel(address) as channel:
        request = tokenizer_pb2.DetokenizeRequest(token_ids=[1])
        answer = TokenizerServiceStub(channel).Detokenize(request)
    assert answer.served_by.bundle_digest == bundle.digest
