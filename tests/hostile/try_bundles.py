"""Tries what became of spoiled bundles: each is refused, or answers as a bundle does.

A program of its own, so that a crash or a hang ends it and not the tests: given two seeds it tries
those from the first to before the second, names each on standard error before it is tried, and ends
with an error at the first that does harm.
"""

import faulthandler
import json
import resource
import sys
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from bundles import Files, Sizes, sized, with_cleaning, with_golden, with_twin
from fixed_bundle import fixed
from mutations import mutated
from sentido_bundle import Bundle, BundleError, CleaningError, Precision

_SECONDS = 30  # that one bundle may take, on any machine
_PEAK_BYTES = 700_000_000  # of the whole process, which is some 250 MB without a bundle


def outcome(files: Files, precision: str) -> str:
    """Load a bundle; if that is refused for its golden texts alone, with others that fit.

    Raises whatever is neither a BundleError nor a good answer.
    """
    try:
        bundle = Bundle.parse(files, precision)
    except BundleError as error:
        message = str(error)
        assert len(message) < 1100, message
        assert message.isprintable(), message
        is_golden = "golden.json by" in message or "another hidden state" in message
        if precision == Precision.FP32 and is_golden:  # so model.onnx is safe to run
            return _outcome_of_fitted(files)
        return message
    check_answers(bundle)
    return "loaded"


def _outcome_of_fitted(files: Files) -> str:
    try:
        check_answers(Bundle.parse(with_golden(files)))
    except BundleError as error:
        return str(error)
    return "loaded with golden texts that fit"


def check_answers(bundle: Bundle) -> None:
    """Ask some polite texts. Raises AssertionError for an answer that is none."""
    texts = ["", "w1 w2", "W3!w4." * 40, "İ", "x" * 10_000, "w1 " * 3000, "e " * 2000, "<" * 5000]
    if any(isinstance(found, CleaningError) for found in bundle.tokenizer.encode_each(texts)):
        return  # a step lets one grow too long
    outputs = bundle.predict(texts, threads=1)
    for name, size in bundle.manifest.outputs().items():
        assert outputs[name].shape == (len(texts), size)
        assert np.isfinite(outputs[name]).all()
    assert ((outputs.probabilities >= 0) & (outputs.probabilities <= 1)).all()
    if bundle.precision is Precision.FP32 and bundle.manifest.same_bits:
        alone = bundle.predict(texts[2:3])
        assert np.array_equal(alone.probabilities[0], outputs.probabilities[2])
    for text in texts:
        tokens = bundle.tokenizer.read_tokens(text)
        ids = bundle.tokenizer.encode(text).ids
        assert [token.id for token in tokens] == ids.tolist()
        if (steps := bundle.manifest.steps) is not None:
            assert bundle.run_steps(ids).shape == (len(ids), steps.size)
        if (vectors := bundle.manifest.word_vectors) is not None:
            assert bundle.word_vectors.mean(ids).shape == (vectors.size,)
    if bundle.manifest.word_vectors is not None and bundle.manifest.vocabulary_size > 1:
        assert len(bundle.word_vectors.nearest(1, 5)) <= 5


def peak_bytes() -> int:
    """What this process held at most; what getrusage says counts the one that started it too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(first: int, end: int) -> int:
    """Try the bundles of some seeds; print what became of them."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    models = (with_twin(sized(Sizes())), with_cleaning(fixed()))
    for good, precision in ((models[0], "fp32"), (models[0], "int8"), (models[1], "fp32")):
        assert outcome(good, precision) == "loaded"
    counts: Counter[str] = Counter()
    for seed in range(first, end):
        print(f"seed {seed}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(_SECONDS, exit=True)
        precision = Precision.INT8 if seed % 8 == 0 else Precision.FP32
        try:
            said = outcome(mutated(models[seed % 2], seed), precision)
        except Exception:
            traceback.print_exc()
            return 1
        counts["loaded" if said.startswith("loaded") else said.split(":")[0]] += 1
        peak = peak_bytes()
        if peak > _PEAK_BYTES:
            print(f"{peak:,} bytes of memory: {said}", file=sys.stderr)
            return 1
    print(json.dumps({"peak": peak, "outcomes": dict(counts.most_common(8))}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
