"""What a bundle may hold at most, all of it in one place; what is over a bound is refused by name.

Who may write a bundle must not be able to make the calls of others cost gigabytes, nor a load
stop them. Each bound alone is generous to real models; those at the end hold products, because two
large numbers that are harmless apart are not together. Used by all that read a bundle, and by the
exporter, which must not write what nobody can load.
"""

# Bytes of each file, looked at before it is read.
MANIFEST_BYTES = 1 << 18
VOCABULARY_BYTES = 1 << 25
GOLDEN_BYTES = 1 << 24
GRAPH_BYTES = 1 << 22  # of model.onnx and steps.onnx, whose large tensors are in weights.bin
INT8_GRAPH_BYTES = 1 << 26  # holds the quantized weights
EVALUATION_BYTES = 1 << 23  # a table of all labels by all labels among it
CLEANING_BYTES = 1 << 20
WEIGHTS_BYTES = 1 << 28  # the embedding matrix, vocabulary * embedding, among them

FILE_BYTES = {
    "manifest.json": MANIFEST_BYTES,
    "vocabulary.json": VOCABULARY_BYTES,
    "golden.json": GOLDEN_BYTES,
    "evaluation.json": EVALUATION_BYTES,
    "cleaning.json": CLEANING_BYTES,
    "model.onnx": GRAPH_BYTES,
    "steps.onnx": GRAPH_BYTES,
    "model.int8.onnx": INT8_GRAPH_BYTES,
    "weights.bin": WEIGHTS_BYTES,
}

# The manifest.
NESTING = 16  # objects and arrays in each other, in any JSON file
NUMBER_CHARACTERS = 64  # of a number with a point or an exponent; of a whole one WHOLE_DIGITS
WHOLE_DIGITS = 20
ENTRIES = 100  # of metrics, of tools and of files
LABELS = 1000
LABEL_CHARACTERS = 100

# Text to ids.
NUM_WORDS = 2**31 - 1  # Keras' num_words, which may be any number over that of the words
VOCABULARY = 500_000  # words
WORD_CHARACTERS = 1000  # of a word and of oov_token
SPLIT_CHARACTERS = 8  # each filtered character becomes so many
FILTERS_CHARACTERS = 1000
MAX_TOKENS = 100_000
CLEANING_STEPS = 64
PATTERN_CHARACTERS = 1000
TEXT_CHARACTERS = 1_000_000  # of a text as sent, unless another limit is set
CLEANING_GROWTH = 4  # so many times that limit a text may have after each step of its cleaning

# The model.
VECTOR = 4096  # elements of a vector of any kind
WEIGHT = 1e5  # the largest stored number; a tensor of one number may hold any finite one
GRAPH_NODES = 256
GRAPH_PARTS = 2048  # nodes, stored tensors, inputs, outputs and declared shapes of one graph
GRAPH_FIELDS = 256  # of any other message in an ONNX file
GRAPH_DIMENSIONS = 6  # of a tensor
GRAPH_STORED_BYTES = 1 << 26  # of a graph's tensors together, beside twice what weights.bin holds
RUN_BYTES = 512 << 20  # what one run of a graph takes, unless other limits are set
RUN_MULTIPLICATIONS = 10**11
GRAPH_NAME_BYTES = 1000

# The golden texts.
GOLDEN_TEXTS = 1000
GOLDEN_TEXT_BYTES = 1 << 19  # of one, as it stands in the file
GOLDEN_TOKENS = 50_000  # of all
GOLDEN_RUNS = 10  # all texts may take as many multiplications as so many of the largest runs

# Products.
LABELS_BYTES = 1 << 14  # of all labels in UTF-8: each text of an answer repeats them
TEXT_NUMBERS = 1 << 23  # length * (word vector + 4 * step): of the vectors of one text's tokens
