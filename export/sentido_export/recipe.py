"""What to build and how to train it: two recipes, whose fields the flags override one by one."""

from dataclasses import dataclass
from enum import StrEnum

MOST_SPANS = 4
"""Of each text: so many are drawn beforehand, of which every epoch takes others."""


class Teacher(StrEnum):
    """Whether a model learns from a teacher's answers, too."""

    OFF = "off"
    ON = "on"
    AUTO = "auto"  # train with and without, keep what is better on the validation texts


@dataclass(frozen=True)
class Recipe:
    """The sizes of a model and the settings of its training."""

    words: int  # ids in the vocabulary, padding included (Keras' num_words)
    max_tokens: int  # tokens of a text that the model reads, its last ones
    dimensions: int  # elements of a word's vector
    units: int  # of the LSTM
    epochs: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float  # of the last step, reached along a cosine
    clip_norm: float | None  # longest gradient, for each weight matrix; None: any
    patience: int  # epochs without a better validation loss before training stops
    spatial_dropout: float  # share of a text's vector elements dropped for all of its words
    dropout: float  # share of the LSTM's final state dropped
    word_dropout: float = 0.0  # share of the words of long texts left out, others in every epoch
    long_text: int = 20  # words; longer texts lose words and have spans, others do not
    negators: tuple[str, ...] = ()  # never left out; the teacher marks the words behind them
    turns: tuple[str, ...] = ()  # never left out, either
    teacher: Teacher = Teacher.OFF
    hard_share: float = 0.3  # of the label in a target; the rest is the teacher's answer
    spans: int = 0  # random parts of each long text per epoch, with the teacher's answers to them
    sentences: int = 0  # made from templates per epoch, where there are templates
    calibrate: bool = False  # whether to fold a temperature into the last layer


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
    hard_share=0.3,
    spans=1,
    sentences=12_000,
    calibrate=True,
)
"""What `make default-bundle` trains with."""

RECIPES = {"tutorial": TUTORIAL, "best": BEST}
