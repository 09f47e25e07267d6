"""Words and ids as people keep them beside a model: word indexes, lists, Keras' imdb."""

import dataclasses
import hashlib
import json
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from keras_text import fitted
from sentido_bundle import Tokenizer
from sentido_bundle.command_line import Parser
from sentido_bundle.settings import made, parse
from sentido_export.errors import ExportError
from sentido_export.imported.keras_imdb import read_keras_imdb
from sentido_export.imported.vocabulary import TextOptions, Vocabulary
from sentido_export.imported.vocabulary_hints import vocabulary_hints
from sentido_export.imported.vocabulary_options import VocabularyOptions

ROWS = 100


def read(content: bytes | str | Any, path: Path, rows: int = ROWS, **options: Any) -> Vocabulary:
    """Read a file of this content, by default as a word index."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
    given = {"word_index": path, **options}
    return VocabularyOptions(**given).read(rows)


def read_listed(content: Any, path: Path, **options: Any) -> Vocabulary:
    return read(content, path, word_index=None, vocabulary=str(path), **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "words"


def test_a_word_index_is_read_with_the_rows_of_the_embedding_as_num_words(path: Path) -> None:
    words = {"the": 1, "cat": 2, "sat": 3}
    for content in (words, json.dumps(json.dumps(words)), pickle.dumps(words)):
        found = read(content, path, rows=3)
        assert found.ids == {"the": 1, "cat": 2}
        assert found.options == TextOptions(num_words=3)
        assert (found.oov_id, found.start_id) == (None, None)
        (note,) = found.notes
        assert "num_words was not given: it is 3, the rows of the model's Embedding" in note
        assert "makes 1 of 3 words out-of-vocabulary" in note
    given = read(words, path, rows=3, num_words=2)
    assert (given.ids, given.notes) == ({"the": 1}, ())


def test_the_settings_of_a_word_index_are_those_that_are_given(path: Path) -> None:
    words = {"": 1, "The": 2, "a": 3}
    found = read(words, path, oov_token="", filters="!", lower=False, char_level=True)
    assert found.oov_id == 1
    assert found.options == TextOptions(ROWS, "!", False, " ", True, "")
    assert read(words, path).options == TextOptions(ROWS)


def test_a_word_index_among_other_settings_is_taken_and_that_is_said(path: Path) -> None:
    found = read({"max_len": 100, "word_index": {"a": 1}, "labels": {"x": "y"}}, path)
    assert found.ids == {"a": 1}
    assert "the words and ids of its 'word_index' are taken" in found.notes[0]


def test_an_index_word_is_turned_around_and_that_is_said(path: Path) -> None:
    for content in ({"1": "the", "2": "cat"}, pickle.dumps({1: "the", 2: "cat"})):
        found = read(content, path)
        assert found.ids == {"the": 1, "cat": 2}
        assert "it is turned around" in found.notes[0]


def test_ids_shifted_by_hand_are_read_as_they_are(path: Path) -> None:
    words = {"<PAD>": 0, "<START>": 1, "<UNK>": 2, "<UNUSED>": 3, "the": 4, "rare": 99}
    found = read(words, path, rows=50, oov_token="<UNK>")
    assert found.ids == {"<START>": 1, "<UNK>": 2, "<UNUSED>": 3, "the": 4}
    assert found.oov_id == 2


def test_an_oov_token_behind_num_words_keeps_its_id(path: Path) -> None:
    # What a widely copied answer does: word_index[oov_token] = num_words + 1.
    words = {"the": 1, "cat": 2, "rare": 3, "<OOV>": 4}
    found = read(words, path, rows=5, num_words=3, oov_token="<OOV>")
    assert (found.ids, found.oov_id, found.largest_id) == ({"the": 1, "cat": 2}, 4, 4)
    assert found.words() == [None, "the", "cat", None, "<OOV>"]
    assert found.rules().num_words is None  # a manifest bounds all ids by it


def test_words_that_share_the_id_of_the_oov_token_are_out_of_vocabulary(path: Path) -> None:
    found = read({"<UNK>": 1, "rare": 1, "the": 2}, path, oov_token="<UNK>")
    assert (found.ids, found.oov_id) == ({"<UNK>": 1, "the": 2}, 1)


def test_ids_may_have_holes_and_words_that_no_text_holds(path: Path) -> None:
    found = read({"the": 1, "Cat": 5, "cat": 5, "\ud800": 7, "x" * 2000: 200, "sat": 9}, path)
    assert found.ids == {"the": 1, "cat": 5, "sat": 9}
    assert found.words() == [None, "the", None, None, None, "cat", None, None, None, "sat"]


def test_settings_that_leave_no_text_for_many_words_are_said(path: Path) -> None:
    words = {f"Word{i}": i for i in range(1, 50)} | {"plain": 50}
    found = read(words, path)
    assert "49 of 50 words, such as 'Word1', are in no text with lower=True" in found.notes[-1]
    assert len(read(words, path, lower=False).notes) == 1


def test_lines_are_counted_from_one_and_a_json_list_from_zero(path: Path) -> None:
    assert read_listed("the\r\ncat\n\nsat\n", path).ids == {"the": 1, "cat": 2, "sat": 4}
    assert read_listed("\ufeffthe\ncat", path, first_id=4).ids == {"the": 4, "cat": 5}
    assert read_listed("[UNK]\nthe", path, oov_token="[UNK]").oov_id == 1
    found = read_listed(["", "[UNK]", "the"], path)
    assert (found.ids, found.oov_id) == ({"[UNK]": 1, "the": 2}, 1)
    assert "begins with padding and [UNK]" in found.notes[0]
    tokenizer = Tokenizer(found.words(), found.rules())
    assert tokenizer.encode("T'he cat").ids.tolist() == [2, 1]  # as the layer splits texts
    found = read_listed(["", "[UNK]", "the"], path, oov_token="[UNK]", first_id=0)
    tokenizer = Tokenizer(found.words(), found.rules())
    assert tokenizer.encode("the-the").ids.tolist() == [2, 2]
    assert read_listed(["the", "cat"], path, first_id=1).ids == {"the": 1, "cat": 2}
    found = read_listed("\n[UNK]\nthe\n", path, first_id=0)
    assert (found.ids, found.oov_id) == ({"[UNK]": 1, "the": 2}, 1)
    assert read_listed(pickle.dumps(["", "cat"]), path).ids == {"cat": 1}
    assert read_listed(["", "b", "a", "c"], path, num_words=3).ids == {"b": 1, "a": 2}


@contextmanager
def serving(data: bytes) -> Iterator[str]:
    """Run a web server that answers with these bytes; return the address of a file."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/imdb_word_index.json"
        server.shutdown()
        thread.join()


IMDB = {"the": 1, "and": 2, "film": 3, "rare": 40}


def test_keras_imdb_shifts_ids_and_gives_unknown_words_2(path: Path) -> None:
    found = read(IMDB, path, rows=10, vocabulary="keras-imdb")
    assert found.ids == {"the": 4, "and": 5, "film": 6}
    assert (found.start_id, found.oov_id, found.options.num_words) == (1, 2, 10)
    assert "it is 10, the rows of the model's Embedding" in found.notes[0]
    cut = read(IMDB, path, rows=10, vocabulary="keras-imdb", num_words=6)  # after the shift
    assert cut.ids == {"the": 4, "and": 5}


def test_keras_imdb_is_found_where_keras_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    kept = tmp_path / "datasets" / "imdb_word_index.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps(IMDB))
    found = VocabularyOptions(vocabulary="keras-imdb").read(50)
    assert found.ids == {"the": 4, "and": 5, "film": 6, "rare": 43}
    assert "is not the file that Keras publishes" in found.notes[0]
    kept.rename(tmp_path / "other")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras" / "datasets").mkdir(parents=True)
    (tmp_path / "other").rename(tmp_path / ".keras" / "datasets" / kept.name)
    assert VocabularyOptions(vocabulary="keras-imdb").read(50).ids == found.ids


def test_keras_imdb_is_downloaded_once_and_its_hash_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    data = json.dumps(IMDB).encode()
    digest = hashlib.md5(data).hexdigest()
    with serving(data) as origin:
        with pytest.raises(
            ExportError, match=r"is not the file that Keras publishes.*--word-index"
        ):
            read_keras_imdb(None, TextOptions(), 50, origin=origin, digest="0" * 32)
        assert list(tmp_path.rglob("*.json*")) == []
        found = read_keras_imdb(None, TextOptions(), 50, origin=origin, digest=digest)
    assert found.ids["film"] == 6
    kept = tmp_path / "datasets" / "imdb_word_index.json"
    assert kept.read_bytes() == data
    again = read_keras_imdb(None, TextOptions(), 50, origin="http://[", digest=digest)
    assert again.ids == found.ids


def test_where_keras_imdb_is_nowhere_one_sentence_names_the_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))
    with serving(b"") as origin:
        closed = origin
    for gone in (closed, "http://["):
        with pytest.raises(ExportError) as caught:
            read_keras_imdb(None, TextOptions(), 50, origin=gone)
        for way in ("imdb_word_index.json: does not exist", "KERAS_HOME", "--word-index FILE"):
            assert way in str(caught.value)


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "an empty word index": ({}, {}, "holds no words"),
    "a list for a word index": (["a"], {}, "holds a list, not words and their ids"),
    "a Tokenizer for a word index": (fitted().to_json(), {}, "give it with --tokenizer"),
    "ids that are text": ({"a": "1"}, {}, "the word 'a' has '1' for an id"),
    "ids with a point": ({"a": 1.0}, {}, "the word 'a' has 1.0 for an id"),
    "half a character to filter": ({"a": 1}, {"filters": "\ud800"}, "filters holds half a char"),
    "an id of 3,000 digits": ({"a": 10**3000}, {}, "the word 'a' has 1000000"),
    "truth for an id": ({"a": True}, {}, "the word 'a' has True for an id"),
    "a word for padding": ({"a": 0, "b": 1}, {}, "'a' has the id 0, but 0 is padding"),
    "a negative id": ({"a": -1, "b": 1}, {}, "'a' has the id -1"),
    "two words of one id": ({"a": 1, "b": 1}, {}, "'a' and 'b' both have the id 1"),
    "an oov_token that is no word": ({"a": 1}, {"oov_token": "<OOV>"}, "'<OOV>' has no id"),
    "an oov_token with the id of padding": (
        {"a": 1, "<P>": 0},
        {"oov_token": "<P>"},
        "has the id 0",
    ),
    "an id beyond the table": ({"a": 100}, {"num_words": 500}, "go up to 100, but the model's Emb"),
    "an oov_token beyond the table": (
        {"a": 1, "<OOV>": 100},
        {"oov_token": "<OOV>"},
        "go up to 100, but the model's Embedding has 100 rows, ids 0 to 99",
    ),
    "a word that is too long": ({"x" * 2000: 1}, {}, "has 2,000 characters, at most 1,000"),
    "settings that leave no words": ({"Cat": 1}, {}, "no text can have a word of it"),
    "a negative num_words": ({"a": 1}, {"num_words": -1}, "num_words is -1"),
    "a num_words of one": ({"a": 1}, {"num_words": 1}, "no text can have a word of it"),
    "two vocabularies": ({"a": 1}, {"tokenizer": Path("t")}, "--tokenizer and --word-index given"),
    "no vocabulary": ({"a": 1}, {"word_index": None}, "no vocabulary given: one of --tokenizer"),
    "a first id for a word index": ({"a": 1}, {"first_id": 1}, "--first-id counts the words of"),
    "a word index of three sources": (
        {"a": 1},
        {"tokenizer": Path("t"), "vocabulary": "keras-imdb"},
        "--tokenizer and --word-index and --vocabulary given",
    ),
    "settings beside a Tokenizer": (
        {"a": 1},
        {"word_index": None, "tokenizer": Path("t"), "lower": False, "filters": "!"},
        "--filters, --no-lower: the Tokenizer itself says so",
    ),
    "imdb with an oov_token": (
        IMDB,
        {"vocabulary": "keras-imdb", "oov_token": "x"},
        "unknown words become id 2",
    ),
    "imdb that was shifted": ({"<PAD>": 0, "the": 4}, {"vocabulary": "keras-imdb"}, "3 was added"),
    "imdb with a first id": (IMDB, {"vocabulary": "keras-imdb", "first_id": 1}, "leave it out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_words_and_settings_that_cannot_be_meant_are_refused(case: str, path: Path) -> None:
    content, options, why = REFUSED[case]
    with pytest.raises(ExportError) as caught:
        read(content, path, **options)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


REFUSED_LISTS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "an empty first line": ("\nthe\ncat\n", {}, "its first line is empty"),
    "a word twice": ("the\ncat\nthe\n", {}, "'the' is there twice, for the ids 1 and 3"),
    "a word at padding": (["the", "cat"], {}, "'the' has the id 0, but 0 is padding"),
    "a number": (["", 5], {}, "item 1 is 5, a word is needed"),
    "a word index": ({"a": 1}, {}, "holds a dict, not a list of words"),
    "counts beside the words": (
        "the\t5\ncat\t3\n",
        {},
        "no text can have a word of it, such as 'the\\t5'",
    ),
    "a num_words beyond all": ("the\n", {"num_words": 2**40}, "num_words is 1099511627776"),
    "long filters": ("the\n", {"filters": "x" * 2000}, "filters has 2,000 characters, at most"),
    "more words than rows": ("\n".join(f"w{i}" for i in range(1, 200)), {}, "go up to 199"),
    "not UTF-8": ("é".encode("latin-1"), {}, "is not UTF-8 at byte 0"),
    "nothing": ("\n\n", {}, "is empty"),
    "half a list": (b'["a", "b"', {}, "is not valid JSON"),
}


@pytest.mark.parametrize("case", REFUSED_LISTS)
def test_lists_that_cannot_be_meant_are_refused(case: str, path: Path) -> None:
    content, options, why = REFUSED_LISTS[case]
    with pytest.raises(ExportError) as caught:
        read_listed(content, path.with_suffix(".json" if "half" in case else ""), **options)
    assert why in str(caught.value)


def test_more_words_than_rows_are_read_as_far_as_there_are_rows(path: Path) -> None:
    keras = fitted(num_words=None, oov_token=None)
    path.write_text(keras.to_json())
    count = len(keras.word_index)
    options = VocabularyOptions(tokenizer=path)
    whole = options.read(count + 1)
    assert (whole.largest_id, whole.notes) == (count, ())
    one_less = options.read(count)
    assert one_less.largest_id == count - 1
    assert one_less.options.num_words == count
    assert "input_dim must be the number of words + 1" in one_less.notes[0]
    few = options.read(5)
    assert few.largest_id == 4
    said = f"{count} words, but the model's Embedding has 5 rows: it is read as num_words=5"
    assert said in few.notes[0]
    cut = dataclasses.replace(options, num_words=5).read(5)
    assert cut.largest_id == 4
    assert "--num-words 5 takes the place of its num_words, None" in cut.notes[0]


def test_a_tokenizer_of_more_num_words_than_rows_is_refused(path: Path) -> None:
    path.write_text(fitted(num_words=15).to_json())
    options = VocabularyOptions(tokenizer=path)
    assert options.read(15).largest_id == 14
    with pytest.raises(ExportError, match=r"another model's vocabulary\?.*--num-words 14"):
        options.read(14)


def test_a_vocabulary_that_is_small_beside_the_models_rows_is_said(path: Path) -> None:
    path.write_text("\n".join(f"word{number}" for number in range(600)))
    options = VocabularyOptions(vocabulary=str(path))
    assert options.read(1200).notes == ()
    (note,) = options.read(1203).notes
    assert "ids go up to 600, but the model's Embedding has 1,203 rows: is it another" in note


def test_the_options_of_the_command_are_those_that_are_read() -> None:
    def read(line: str) -> VocabularyOptions:
        values = parse(Parser(prog="sentido-export"), line.split(), VocabularyOptions)
        return made(VocabularyOptions, values)

    assert read("") == VocabularyOptions()
    given = read(
        "--word-index w.json --num-words 5 --oov-token= --filters=! --no-lower --char-level"
    )
    wanted = VocabularyOptions(
        word_index=Path("w.json"),
        num_words=5,
        oov_token="",
        filters="!",
        lower=False,
        char_level=True,
    )
    assert given == wanted


def test_texts_tell_of_another_vocabulary_and_of_words_without_spaces(path: Path) -> None:
    texts = ["The cat sat on the mat", "the cat", ""]
    right = read({"the": 1, "cat": 2, "sat": 3, "on": 4}, path)
    tokenizer = Tokenizer(right.words(), right.rules())
    assert vocabulary_hints("mine.txt", tokenizer, texts) == []
    assert vocabulary_hints("mine.txt", tokenizer, ["", "!"]) == []
    (hint,) = vocabulary_hints("mine.txt", tokenizer, ["die Katze sitzt im the"])
    assert hint.startswith("mine.txt: 80% of the words in its texts are out-of-vocabulary")
    (hint,) = vocabulary_hints("mine.txt", tokenizer, ["很好看", "不好", "很好看", "the"])
    assert "its texts have 1.0 words each, one word per 3 characters: in a language" in hint
    assert vocabulary_hints("mine.txt", tokenizer, ["cat", "the", "sat", "The", "dog"]) == []
    (hint,) = vocabulary_hints("mine.txt", tokenizer, ["这部电影的每一个镜头都让人难以忘怀"])
    assert "one word per 17 characters: in a language that is written without spaces" in hint
    letters = read({"影": 1, "电": 2}, path, char_level=True, num_words=3)
    characters = Tokenizer(letters.words(), letters.rules())
    assert vocabulary_hints("mine.txt", characters, ["电影电影"]) == []
