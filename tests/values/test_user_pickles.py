"""Pickles of other people are read as data: what a Tokenizer needs, and nothing that runs."""

import gzip
import json
import pickle
import pickletools
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import keras_text
import pytest
from keras_text import NAMES, fitted
from sentido_bundle import TokenizerKind
from sentido_export.errors import ExportError
from sentido_export.imported.contents import MOST_BYTES
from sentido_export.imported.keras_tokenizer import read_tokenizer
from sentido_export.imported.pickle_reader import read_pickle

OOV_TOKENIZER = {"oov_token": "<OOV>", "num_words": 50}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Tokenizer pickled under every name and protocol, by another process."""
    made = tmp_path_factory.mktemp("pickles")
    subprocess.run([sys.executable, keras_text.__file__, made], check=True, timeout=60)
    return made


def text(value: str) -> bytes:
    """Return the opcode of a string in Unicode."""
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def tokenizer(state: bytes, name: str = NAMES[0]) -> bytes:
    """Return a pickle of a Tokenizer whose attributes these opcodes leave in a dict."""
    return b"\x80\x02c" + name.encode() + b"\nTokenizer\n)\x81}(" + state + b"ub."


WORDS = text("word_index") + b"}(" + text("cat") + b"K\x01" + text("dog") + b"K\x02u"


def read(data: bytes, tmp_path: Path) -> Any:
    path = tmp_path / "tokenizer.pickle"
    path.write_bytes(data)
    return read_tokenizer(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_tokenizer_is_read_under_each_of_keras_names_and_in_each_protocol(
    name: str, folder: Path
) -> None:
    wanted = vars(fitted())
    for protocol in range(6):
        data = (folder / f"{name}-{protocol}.pickle").read_bytes()
        value, rest = read_pickle(data, "it")
        assert (value.state, rest) == (wanted, 0), protocol


def test_packed_and_wrapped_tokenizers_are_taken_and_that_is_said(
    folder: Path, tmp_path: Path
) -> None:
    plain = (folder / f"{NAMES[2]}-4.pickle").read_bytes()
    wanted = read(plain, tmp_path)
    assert wanted.notes == ()
    joblib_header = b"ZF" + hex(len(plain)).ljust(19).encode()
    two_parts = gzip.compress(plain[:100]) + gzip.compress(plain[100:])
    for packed in (zlib.compress(plain), two_parts, joblib_header + zlib.compress(plain)):
        assert read(packed, tmp_path) == wanted
    body = plain[2 + 9 : -1]  # without the protocol, the frame and the last opcode
    for kind, begin, end in (("tuple", b"", b"K\x64\x86."), ("dict", b"}" + text("t"), b"s.")):
        found = read(b"\x80\x04" + begin + body + end, tmp_path)
        assert (found.ids, found.options) == (wanted.ids, wanted.options)
        assert f"is a {kind}: the Tokenizer in it is taken" in found.notes[0]
    (note,) = read(plain + plain, tmp_path).notes
    assert f"{len(plain):,} bytes behind the first pickle are not read" in note


def test_python_2_byte_strings_are_read_as_utf_8(tmp_path: Path) -> None:
    word = "é".encode()
    for opcode in (b"U\x02" + word, b"T\x02\0\0\0" + word, b"S'\\xc3\\xa9'\n", b"V\\u00e9\n"):
        state = b"U\x0aword_index}(" + opcode + b"K\x01U\x02\xff\xfeK\x02I3\nL4L\nu"
        found = read(tokenizer(state), tmp_path)
        assert found.ids == {"é": 1}
        assert "2 of its words are not text" in found.notes[0]


def test_python_2_ordered_dicts_are_lists_of_pairs() -> None:
    state = (
        text("word_counts") + b"ccollections\nOrderedDict\n](](" + text("cat") + b"K\x07eea\x85R"
    )
    state = text("word_counts") + b"ccollections\nOrderedDict\n](]("
    state += text("cat") + b"K\x07e" + b"](" + text("dog") + b"K\x05e" + b"e\x85R"
    value, _ = read_pickle(tokenizer(state), "it")
    assert value.state == {"word_counts": {"cat": 7, "dog": 5}}


class Runs:
    """What a pickle of it would run, if it were loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_nothing_of_a_pickle_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "it_ran"
    for protocol in range(6):
        for value in (Runs(trace), {"a": (Runs(trace),)}):
            data = pickle.dumps(value, protocol=protocol)
            with pytest.raises(ExportError, match=r"names .*open.*nothing was imported or run"):
                read_pickle(data, "it")
    assert not trace.exists()
    pickle.loads(data)["a"][0].close()
    assert trace.exists()  # it would have run


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


SYSTEM = named("posix", "system")
NESTED = b"\x80\x02" + b"]" * 102 + b"a" * 101 + b"."
REFUSED = {
    "a call of os.system": (SYSTEM + b"(S'touch it'\ntR.", r"names posix\.system,.*nothing was"),
    "by its name on the stack": (
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text("x") + b"\x85R.",
        r"names posix\.system",
    ),
    "in the old style": (b"(S'touch it'\niposix\nsystem\n.", r"names posix\.system"),
    "as an object": (b"\x80\x02" + SYSTEM + text("x") + b"\x85\x81.", r"names posix\.system"),
    "eval": (named("__builtin__", "eval") + text("1") + b"\x85R.", r"names __builtin__\.eval"),
    "an import": (named("importlib", "import_module") + b".", r"names importlib\.import_module"),
    "another package's encoder": (
        named("sklearn.preprocessing._label", "LabelEncoder") + b")\x81.",
        r"names sklearn\.preprocessing\._label\.LabelEncoder",
    ),
    "an array of NumPy": (named("numpy.core.multiarray", "_reconstruct") + b".", r"names numpy"),
    "a dotted name": (
        b"\x80\x04" + text("collections") + text("OrderedDict.fromkeys") + b"\x93.",
        r"names collections\.OrderedDict\.fromkeys",
    ),
    "a function of Keras": (
        named("keras.preprocessing.text", "text_to_word_sequence") + b".",
        r"names keras\.preprocessing\.text\.text_to_word_sequence",
    ),
    "a Tokenizer called": (
        b"\x80\x02" + named(NAMES[0], "Tokenizer") + b")R.",
        r"calls something; nothing was called",
    ),
    "a Tokenizer made with arguments": (
        b"\x80\x02" + named(NAMES[0], "Tokenizer") + b"K\x05\x85\x81.",
        r"makes an object that is not a Tokenizer",
    ),
    "int called": (b"\x80\x02" + named("builtins", "int") + text("1") + b"\x85R.", r"calls some"),
    "an object made with arguments": (
        b"\x80\x04" + named(NAMES[0], "Tokenizer") + b")}\x92.",
        r"NEWOBJ_EX",
    ),
    "a class made without a name": (b"\x80\x02K\x01)\x81.", r"not a Tokenizer"),
    "attributes of a dict": (b"\x80\x02}}b.", r"sets attributes of what is not a Tokenizer"),
    "an analyzer": (
        tokenizer(text("analyzer") + named("__main__", "clean")),
        r"has the analyzer __main__\.clean",
    ),
    "a set": (pickle.dumps({1, 2}, protocol=4), r"holds a set"),
    "a persistent id": (b"Pelsewhere\n.", r"stored elsewhere"),
    "an extension": (b"\x80\x02\x82\x01.", r"table of extensions"),
    "a buffer outside": (b"\x80\x05\x97.", r"buffer that is stored elsewhere"),
    "a protocol to come": (b"\x80\x06N.", r"protocol 6"),
    "no pickle at all": (b"just text", r"neither a whole pickle nor JSON"),
    "an unknown opcode": (b"\x80\x02\xee.", r"byte 0xee where an opcode"),
    "nothing on the stack": (b"\x80\x02.", r"breaks off|stops making sense"),
    "a memo that is empty": (b"\x80\x02h\x05.", r"stops making sense"),
    "a mark that is missing": (b"\x80\x02t.", r"stops making sense"),
    "half a pair": (b"\x80\x02}(K\x01u.", r"stops making sense"),
    "a dict as a key": (b"\x80\x02}}K\x01s.", r"has a dict as a key"),
    "a tuple as a key": (b"\x80\x02})K\x01s.", r"has a tuple as a key"),
    "items of a number": (b"\x80\x02K\x01(K\x01e.", r"appends to what is not a list"),
    "lists in lists": (NESTED, r"more than 100 in each other"),
    "marks in marks": (b"\x80\x02" + b"(" * 101 + b".", r"begins more than 100 objects"),
    "tuples in tuples": (b"\x80\x02)" + b"\x85" * 100_000 + b".", r"more than 100 in each other"),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", r"holds an object in itself"),
    "a number of a thousand digits": (b"I" + b"9" * 1000 + b"\n.", r"whole number of 1,000 digits"),
    "a number of many bytes": (b"\x8b\xff\xff\xff\x0f.", r"whole number of 268,435,455 bytes"),
    "a string that is not there": (b"\x80\x02X\xff\xff\xff\xff.", r"breaks off in the middle"),
    "bytes that are not there": (b"\x80\x04\x8e" + b"\xff" * 8 + b".", r"breaks off"),
    "an index of the memo as large as can be": (
        b"\x80\x02Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.",
        r"holds a NoneType, no Tokenizer",
    ),
    "two Tokenizers": (
        b"\x80\x02](" + 2 * (tokenizer(WORDS)[2:-1]) + b"e.",
        r"holds 2 Tokenizers",
    ),
    "words alone": (b"\x80\x02}" + text("cat") + b"K\x01s.", r"give it with --word-index"),
    "an odd number of words": (tokenizer(text("word_index") + b"K\x01"), r"not a dict of words"),
    "ids that are text": (
        tokenizer(text("word_index") + b"}" + text("cat") + text("1") + b"s"),
        r"the word 'cat' has '1' for an id, a whole number",
    ),
    "a class for a setting": (
        tokenizer(WORDS + text("lower") + named("builtins", "object")),
        r"its lower is",
    ),
    "an empty split": (tokenizer(WORDS + text("split") + text("")), r"split is empty"),
    "a long split": (
        tokenizer(WORDS + text("split") + text("x" * 9)),
        r"split has 9 characters, at most 8",
    ),
    "an ordered dict of numbers": (
        b"\x80\x02ccollections\nOrderedDict\n](K\x01K\x02e\x85R.",
        r"makes a dict of what is not a list of pairs",
    ),
    "an ordered dict of strings": (
        b"\x80\x02ccollections\nOrderedDict\n](" + text("ab") + b"e\x85R.",
        r"makes a dict of what is not a list of pairs",
    ),
    "a split of None": (tokenizer(WORDS + text("split") + b"N"), r"its split is None"),
    "a Tokenizer never fitted": (
        tokenizer(text("word_index") + b"}"),
        r"before fit_on_texts was called",
    ),
    "a Tokenizer without words": (tokenizer(text("lower") + b"\x88"), r"before fit_on_texts"),
    "no word below num_words": (
        tokenizer(WORDS + text("num_words") + b"K\x01"),
        r"no text can have a word",
    ),
    "an oov_token that is no word": (
        tokenizer(WORDS + text("oov_token") + text("<OOV>")),
        r"oov_token '<OOV>' has no id",
    ),
    "two words of one id": (
        tokenizer(text("word_index") + b"}(" + text("a") + b"K\x01" + text("b") + b"K\x01u"),
        r"'a' and 'b' both have the id 1",
    ),
    "a word for padding": (
        tokenizer(text("word_index") + b"}" + text("a") + b"K\x00s"),
        r"word 'a' has the id 0",
    ),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", r"Git LFS pointer"),
    "an empty file": (b"\n\n", r"is empty"),
    "a model": (b"\x89HDF\r\n\x1a\n", r"HDF5 file"),
    "a zip": (b"PK\x03\x04", r"zip file"),
    "bzip2": (b"BZh91AY", r"packed with bzip2"),
    "an array": (b"\x93NUMPY\x01", r"numpy\.save"),
    "half of a packed one": (zlib.compress(tokenizer(WORDS))[:-9], r"breaks off or is damaged"),
    "a damaged one": (gzip.compress(tokenizer(WORDS))[:-8] + b"\0" * 8, r"damaged"),
    "half of a pickle": (tokenizer(WORDS)[:-20], r"breaks off in the middle"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_tokenizer_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    data, why = REFUSED[case]
    with pytest.raises(ExportError, match=why) as caught:
        read(data, tmp_path)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "tokenizer.pickle"))
    assert "\n" not in message
    assert len(message) < 700
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.pickle"]


def test_a_pickle_cut_anywhere_is_refused_and_never_read_wrongly(folder: Path) -> None:
    for protocol in (0, 2, 5):
        data = (folder / f"{NAMES[0]}-{protocol}.pickle").read_bytes()
        for end in range(1, len(data) - 1, 7):
            with pytest.raises(ExportError):
                read_pickle(data[:end], "it")


def test_bytes_of_a_pickle_may_be_anything(folder: Path) -> None:
    data = (folder / f"{NAMES[4]}-5.pickle").read_bytes()
    for position in range(0, len(data), 5):
        for byte in (0, 0x28, 0x63, 0x80, 0xFF):
            spoiled = data[:position] + bytes([byte]) + data[position + 1 :]
            try:
                value, _ = read_pickle(spoiled, "it")
            except ExportError:
                continue
            assert isinstance(value, object)


def test_more_opcodes_than_any_tokenizer_has_are_refused() -> None:
    for opcodes in (b"K\x01" * 60_000, b"N0" * 30_000, b"\x94" * 60_000):
        with pytest.raises(ExportError, match=r"has more than 50,000 opcodes"):
            read_pickle(b"\x80\x04N" + opcodes + b".", "it", most_opcodes=50_000)


@pytest.mark.parametrize(
    "opcodes",
    [
        b"]" * 60_000,
        b"X\1\0\0\0a" * 60_000,
        b"U\1a" * 60_000,
        b"N" + b"\x94" * 60_000,
        b"N" + b"".join(b"r" + index.to_bytes(4, "little") for index in range(60_000)),
        b"N" + b"".join(b"p%d\n" % index for index in range(60_000)),
    ],
    ids=["lists", "strings", "byte strings", "memo", "memo by index", "memo by line"],
)
def test_more_objects_than_any_tokenizer_has_are_refused(opcodes: bytes) -> None:
    data = b"\x80\x02" + opcodes + b"."
    with pytest.raises(ExportError, match=r"makes more than 50,000 strings, containers or entries"):
        read_pickle(data, "it", most_objects=50_000)


def test_what_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    packed = zlib.compressobj(9)
    bomb = b"".join(packed.compress(bytes(1 << 24)) for _ in range(MOST_BYTES >> 24))
    with pytest.raises(ExportError, match=r"unpacks to more than 268,435,456 bytes"):
        read(bomb + packed.compress(b"more") + packed.flush(), tmp_path)


def test_a_large_file_with_nothing_in_it_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.pickle"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ExportError, match=r"has 2,147,483,648 bytes, at most"):
        read_tokenizer(path)
    for other, why in ((tmp_path, "is a folder"), (tmp_path / "no", "does not exist")):
        with pytest.raises(ExportError, match=why):
            read_tokenizer(other)
    with pytest.raises(ExportError, match="is not a file"):
        read_tokenizer(Path("/dev/zero"))


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda opcode: opcode.name)
def test_every_opcode_of_python_is_known_or_refused_by_name(opcode: Any) -> None:
    code = opcode.code.encode("latin-1")
    try:
        read_pickle(b"\x80\x02N" + code, "it")
        message = ""
    except ExportError as error:
        message = str(error)
    assert f"byte {code[0]:#04x} where an opcode" not in message


def test_json_of_a_tokenizer_is_read_also_when_it_was_dumped_twice(tmp_path: Path) -> None:
    keras = fitted(num_words=8, filters="!", split=",", lower=False, char_level=True)
    path = tmp_path / "tokenizer.json"
    once = keras.to_json()
    config = json.loads(once)["config"]
    for data in (once, json.dumps(once), json.dumps(config), "\ufeff" + once):
        path.write_text(data, encoding="utf-8")
        found = read_tokenizer(path)
        assert found.ids == {word: id for word, id in keras.word_index.items() if id < 8}
        settings = dict(vars(found.options))
        assert settings.pop("kind") is TokenizerKind.KERAS
        for name, value in settings.items():
            assert getattr(keras, name) == value, name
        assert found.notes == ()
    path.write_bytes(pickle.dumps(once))
    assert read_tokenizer(path) == found


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("{", "not valid JSON"),
        ('{"config": "x"}', "not what Keras' tokenizer.to_json"),
        ("[" * 100_000, "nested too deeply"),
        ('"' + "[" * 100_000 + '"', "nested too deeply"),
        ('["a", "b"]', "a list of words is given with --vocabulary"),
        ('{"cat": 1}', "give it with --word-index"),
        ('{"version": "1.0", "model": {"type": "BPE"}}', "Hugging Face"),
        ('{"class_name": "TextVectorization", "config": {}}', "holds TextVectorization"),
        ('{"config": {"word_index": "[1"}}', "its word_index: is not valid JSON"),
        ('{"config": {"word_index": "[1]"}}', "not a dict of words"),
        ('{"config": {"word_index": {"a": 1.5}}}', "has 1.5 for an id"),
        ('{"config": {"word_index": {"a": 1}, "num_words": "5"}}', "its num_words is '5'"),
        ('{"config": {"word_index": {"a": 1}, "num_words": -5}}', "num_words is -5"),
        ('{"config": {"word_index": {"a": 1}, "filters": null}}', "its filters is None"),
        ('{"config": {"word_index": {"a": 1}, "oov_token": 1}}', "its oov_token is 1"),
        ('{"config": {"word_index": {}}}', "before fit_on_texts"),
    ],
)
def test_json_that_is_no_tokenizer_is_refused(data: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(data)
    with pytest.raises(ExportError, match=re.escape(why)):
        read_tokenizer(path)


def test_a_tokenizer_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes('{"é": 1}'.encode("latin-1"))
    with pytest.raises(ExportError, match="is not UTF-8 at byte 2"):
        read_tokenizer(path)


def test_the_settings_of_a_text_vectorization_are_asked_for_as_the_layer(tmp_path: Path) -> None:
    config = {"standardize": "lower", "output_mode": "int", "vocabulary": None, "name": "texts"}
    path = tmp_path / "layer"
    for data in (
        pickle.dumps({"config": config, "weights": []}),
        pickle.dumps(config),
        json.dumps(config).encode(),
        json.dumps({"class_name": "TextVectorization", "config": config}).encode(),
    ):
        path.write_bytes(data)
        with pytest.raises(ExportError, match=r"settings of a TextVectorization.*layer\.keras"):
            read_tokenizer(path)
