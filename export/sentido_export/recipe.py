"""What to build and how to train it: two recipes, whose fields the flags override one by one."""

from dataclasses import dataclass


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
    final_learning_rate: float  # of the last step, reached by equal factors
    clip_norm: float | None  # longest gradient, for each weight matrix; None: any
    word_dropout: float  # share of the words left out in training, others in every epoch
    spatial_dropout: float  # share of a text's vector elements dropped for all of its words
    dropout: float  # share of the LSTM's final state dropped
    averaged_epochs: int  # the weights may be the mean of those after so many last epochs


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
    word_dropout=0.0,
    spatial_dropout=0.0,
    dropout=0.0,
    averaged_epochs=1,
)
"""The classic tutorial: quick, good enough to see that everything works."""

BEST = Recipe(
    words=20_000,
    max_tokens=500,
    dimensions=32,
    units=100,
    epochs=5,
    batch_size=64,
    learning_rate=2e-3,
    final_learning_rate=2.5e-4,
    clip_norm=1.0,
    word_dropout=0.4,
    spatial_dropout=0.5,
    dropout=0.3,
    averaged_epochs=3,
)
"""What the default bundle is trained with."""

RECIPES = {"tutorial": TUTORIAL, "best": BEST}
