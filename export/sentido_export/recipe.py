"""What to build and how to train it: two recipes, whose fields the flags override one by one."""

from dataclasses import dataclass
from enum import StrEnum

from sentido_bundle import bounds
from sentido_bundle.settings import setting

MOST_SPANS = 4
"""Of each text: so many are drawn beforehand, of which every epoch takes others."""


class Teacher(StrEnum):
    """Whether a model learns from a teacher's answers, too."""

    OFF = "off"
    ON = "on"
    AUTO = "auto"  # train with and without, keep what is better on the validation texts


GROUP = "model and training (a flag overrides the recipe)"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The sizes of a model and the settings of its training; a flag overrides what is declared."""

    words: int = setting(  # Keras' num_words
        text="ids in the vocabulary, padding included", least=2, most=bounds.VOCABULARY, group=GROUP
    )
    max_tokens: int = setting(
        text="tokens of a text that the model reads, the last", least=1, most=bounds.MAX_TOKENS
    )
    dimensions: int = setting(text="elements of a word's vector", least=1, most=bounds.VECTOR)
    units: int = setting(text="of the LSTM", least=1, most=bounds.VECTOR)
    epochs: int = setting(text="passes over the training texts", least=1, most=10_000)
    batch_size: int = setting(text="texts a training step", least=1, most=100_000)
    learning_rate: float
    final_learning_rate: float  # of the last step, reached along a cosine
    clip_norm: float | None  # longest gradient, for each weight matrix; None: any
    patience: int  # epochs without a better validation loss before training stops
    spatial_dropout: float  # share of a text's vector elements dropped for all of its words
    dropout: float  # share of the LSTM's final state dropped
    teacher: Teacher = setting(
        text="learn from the answers of linear models of word pairs and triples beside the labels;"
        " auto: train with and without, keep what is better on the validation texts",
    )
    hard_share: float = setting(
        text="of the label in what is learned; the rest is the teacher's answer",
        most=1,
        metavar="SHARE",
    )
    spans: int = setting(
        text="random parts of each long text per epoch, which the teacher labels", most=MOST_SPANS
    )
    prefix_weight: float = setting(
        text="how much a teacher's answers to the beginnings of a text count, all together; the"
        " whole text counts 1",
        most=100,
        metavar="WEIGHT",
    )
    word_dropout: float = setting(
        text="leave out this share of the words of each long text, others in every epoch, but no"
        " negators",
        most=1,
        metavar="SHARE",
    )
    sentences: int = setting(text="made from --templates per epoch", most=10_000_000)
    calibrate: bool = setting(
        text="fit a temperature on the validation texts and fold it into the last layer, so that"
        " probabilities can be believed"
    )
    long_text: int = 20  # words; longer texts lose words and have spans, others do not
    common_words: int = 150  # whose vectors made sentences move, too: real texts are full of them
    negators: tuple[str, ...] = ()  # never left out; the teacher marks the words behind them
    turns: tuple[str, ...] = ()  # never left out, either


TUTORIAL = Recipe(
    words=5_000,
    max_tokens=500,
    dimensions=32,
    units=100,
    epochs=3,
    batch_size=64,
    learning_rate=1e-3,
    final_learning_rate=1e-3,
    clip_norm=None,
    patience=2,
    spatial_dropout=0.0,
    dropout=0.0,
    teacher=Teacher.OFF,
    hard_share=0.7,
    spans=0,
    prefix_weight=0.0,
    word_dropout=0.0,
    sentences=0,
    calibrate=False,
)
"""The classic tutorial: quick, good enough to see that everything works."""

BEST = Recipe(
    words=20_000,
    max_tokens=500,
    dimensions=32,
    units=64,
    epochs=12,
    batch_size=64,
    learning_rate=3e-3,
    final_learning_rate=1e-4,
    clip_norm=1.0,
    patience=12,
    spatial_dropout=0.3,
    dropout=0.2,
    word_dropout=0.3,
    negators=(
        *("not", "no", "never", "nor", "neither", "none", "nothing", "nobody", "nowhere"),
        *("without", "hardly", "barely", "scarcely", "cannot", "isn't", "aren't", "wasn't"),
        *("weren't", "don't", "doesn't", "didn't", "can't", "couldn't", "won't", "wouldn't"),
        *("haven't", "hasn't", "hadn't", "shouldn't", "needn't", "mustn't", "ain't"),
        *("isnt", "arent", "wasnt", "werent", "dont", "doesnt", "didnt", "cant", "couldnt"),
        *("wont", "wouldnt", "havent", "hasnt", "hadnt", "shouldnt", "aint"),
    ),
    turns=("but", "although", "despite"),
    teacher=Teacher.ON,
    hard_share=0.7,
    spans=1,
    prefix_weight=1.0,
    sentences=12_000,
    calibrate=True,
)
"""What `make default-bundle` trains with."""

RECIPES = {"tutorial": TUTORIAL, "best": BEST}
