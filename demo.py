"""What `make demo` shows: from reviews to a bundle to a server to a client, in about a minute.

Everything is real and small: the commands that are run are printed first, and the client's calls
are the ones that any program would make.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentido_client import Client

BIN = Path(sys.executable).parent
TEXTS = (
    "A wonderful little film, warm and funny.",
    "A dull, lifeless mess; the worst thing I have seen this year.",
)
WORDS = ("great", "awful", "actor")


def main() -> int:
    """Run the demo; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="sentido-demo-") as folder:
        bundle = Path(folder) / "demo"
        step("1. Export: train on 5,000 real reviews, convert to ONNX, compare with Keras")
        flags = "--limit 5000 --epochs 4 --batch-size 32 --max-tokens 200 --name demo"
        run("sentido-export", *flags.split(), "--out", str(bundle))
        step("2. Keras and ONNX agree: what each says of the golden texts")
        show_parity(bundle)
        step("3. Serve the bundle")
        with server(bundle) as address, Client(address) as client:
            client.wait_until_ready()
            print(f"  SERVING on {address}")
            step("4. Call it")
            show_calls(client)
        print("  server stopped")
    return 0


def show_parity(folder: Path) -> None:
    """Print some golden texts with the answers of Keras and of ONNX Runtime."""
    from sentido_bundle import Bundle

    bundle = Bundle.load(folder)
    golden = json.loads((folder / "golden.json").read_bytes())
    print(f"  {'Keras':>10} {'ONNX':>10} {'difference':>11}  text")
    for item in golden[9:13]:
        keras = item["probabilities"][1]
        onnx = float(bundle.predict([item["text"]]).probabilities[0, 1])
        print(f"  {keras:10.7f} {onnx:10.7f} {abs(keras - onnx):11.1e}  {item['text'][:50]}")
    parity = bundle.manifest.parity
    print(f"  largest difference over {parity.texts:,} texts: {parity.largest_difference:.1e}")


def show_calls(client: Client) -> None:
    """Print what a client can ask for."""
    for text in TEXTS:
        print(f"\n  {text!r}")
        tokenization = client.tokenize(text)
        print("  tokens    ", *(token.text for token in tokenization.tokens))
        print("  ids       ", *tokenization.token_ids)
        tokens, vectors = client.embed_tokens(text)
        print(f"  embeddings {vectors.shape}, the first rows:")
        for token, vector in list(zip(tokens, vectors, strict=True))[:3]:
            numbers = " ".join(f"{number:+.4f}" for number in vector[:6])
            print(f"    {token.text:<12} {numbers} ...")
        prediction = client.predict(text)
        print(f"  prediction {prediction.label}, probability {prediction.probability:.4f}")
    print()
    for word in WORDS:
        found = ", ".join(f"{n.word} {n.similarity:.2f}" for n in client.nearest(word, 5))
        print(f"  nearest to {word!r}: {found}")


@contextmanager
def server(bundle: Path) -> Iterator[str]:
    """Run sentido-server on a free port; give its address; stop it."""
    command = ["sentido-server", "--bundle", str(bundle), "--listen", "127.0.0.1:0"]
    print("  $", *command, flush=True)
    with subprocess.Popen(
        [BIN / command[0], *command[1:]], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                entry = json.loads(line) if line.startswith("{") else {"event": line}
                if entry["event"] == "serving":
                    break
            else:
                raise SystemExit("the server did not start")
            yield entry["address"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def run(command: str, *arguments: str) -> None:
    """Run one of Sentido's commands; end the demo if it fails."""
    print("  $", command, *arguments, flush=True)
    result = subprocess.run([BIN / command, *arguments])
    if result.returncode:
        raise SystemExit(result.returncode)


def step(title: str) -> None:
    """Print a heading."""
    print(f"\n{title}\n{'-' * len(title)}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
