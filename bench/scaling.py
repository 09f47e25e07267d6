"""More compute threads, and models of other sizes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common import CPUS, MODELS, Bench, kernel, rounds
from load import predict_generator
from report import rate
from sentido_bundle import Bundle
from servers import sentido


def threads(bench: Bench) -> None:
    """Measure one and more compute threads."""
    report, seconds = bench.report, bench.report.seconds
    report.section("compute threads, native, 160 tokens, 64 in flight")
    rates: dict[int, list[float]] = {}
    for _ in rounds(report):
        for count in (1, CPUS):
            with sentido("--transport", "native", "--threads", str(count)) as server:
                generator = predict_generator(server.address, bench.texts[160])
                generator.closed(64, seconds / 4)
                load = generator.closed(64, seconds)
                rates.setdefault(count, []).append(load.rate)
    one = report.add("1 thread", rates[1])
    report.add(f"{CPUS} threads", rates[CPUS], of=("1 thread", one), target=1.7)


def sizes(bench: Bench) -> None:
    """Measure other lengths, vocabularies and units, in-process against ONNX Runtime alone."""
    report = bench.report
    report.section("in-process predict, by length of text (10,000 words, 100 units)")
    words = " ".join(bench.texts.values()).split() * 3
    folder = MODELS / "10,000 words"
    for length in (10, 50, 200, 500, 1000, 2000):
        add_size(bench, folder, f"{length} tokens", [" ".join(words[:length])] * 512)
    report.section("in-process predict of real reviews, by size of the model")
    for folder in sorted(MODELS.iterdir(), key=lambda path: path.stat().st_mtime):
        add_size(bench, folder, folder.name, bench.reviews[:1024])


def add_size(bench: Bench, folder: Path, name: str, texts: Sequence[str]) -> None:
    """Report the rate of a bundle against that of its graph alone."""
    report, bundle = bench.report, Bundle.load(folder)
    sequences = sorted((bundle.tokenizer.encode(text).ids for text in texts), key=len)
    batches = [sequences[i : i + 8] for i in range(0, len(sequences), 8)]
    alone = kernel(batches, report.seconds, graph=folder / "model.onnx")
    report.measure(
        name,
        partial(rate, lambda: len(bundle.predict(texts).hidden)),
        of=("its graph alone", alone),
    )
