"""The server's settings, each declared once: flag, SENTIDO_* variable, default, help text."""

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from sentido_bundle import Precision, cpus, default_bundle
from sentido_bundle.bundle import BATCH_TOKENS, LEAST_ROWS, MOST_ROWS

from sentido_server import batcher

_DESCRIPTION = "Serve predictions and embedding vectors of Sentido bundles over gRPC."
_EPILOG = """\
Each flag can also be set by an environment variable, --max-texts by SENTIDO_MAX_TEXTS; a flag
wins. Several bundles in SENTIDO_BUNDLE are separated by ':'.

Health (grpc.health.v1) is NOT_SERVING until every bundle is loaded and verified. SIGTERM and
SIGINT finish what was accepted and exit with 0; a second one stops at once.

examples:
  sentido-server                                   serve the default bundle
  sentido-server --bundle bundles/mine --listen 0.0.0.0:50051"""

_BATCH_PADDING = 0.1  # the share of a batch's tokens that may be padding


def _setting(
    default: Any,
    text: str,
    *,
    least: int | None = None,
    most: int = 2**31 - 1,
    choices: tuple[str, ...] = (),
) -> Any:
    return dataclasses.field(
        default=default,
        metadata={"help": text, "least": least, "most": most, "choices": choices},
    )


@dataclass(frozen=True)
class Config:
    """All settings of a server."""

    bundle: tuple[Path, ...] = _setting(
        (default_bundle(),),
        "folder of a bundle; give it again for more, the first answers calls that name no model"
        " (default: the shipped one)",
    )
    precision: str = _setting(
        "fp32",
        "fp32, or int8: faster, a little less exact, and a text's answer then depends a little on"
        " its batch; every bundle must hold model.int8.onnx",
        choices=tuple(Precision),
    )
    listen: str = _setting(
        "127.0.0.1:50051", "address and port, port 0 for a free one, or unix:/path/to/socket"
    )
    max_text_characters: int = _setting(1_000_000, "Unicode code points a text", least=1)
    max_texts: int = _setting(4096, "texts or words a call or stream message", least=1)
    max_message_bytes: int = _setting(16 * 1024 * 1024, "bytes a message on the wire", least=1024)
    max_queued_tokens: int = _setting(
        500_000, "calls are refused while so many tokens wait to be computed", least=1
    )
    transport: str = _setting(
        "auto",
        "grpcio; native: several times faster for small calls, without TLS, needs the extra"
        " sentido-server[native]; or auto: native where it is installed",
        choices=("auto", "grpcio", "native"),
    )
    threads: int = _setting(
        0,
        "compute threads; 0 for one a CPU that the process or its container may use",
        least=0,
        most=1024,
    )
    drain_seconds: int = _setting(
        30, "seconds that accepted calls have to finish after SIGTERM", least=0
    )
    log_format: str = _setting(
        "auto", "json, text, or auto: text on a terminal", choices=("auto", "json", "text")
    )

    @classmethod
    def load(cls, argv: Sequence[str], environ: Mapping[str, str]) -> Self:
        """Read the settings: flag, else variable, else default. Exits with 2 for a bad one."""
        parser = _parser(cls)
        values: dict[str, Any] = {}
        for setting in dataclasses.fields(cls):
            variable = "SENTIDO_" + setting.name.upper()
            if environ.get(variable):
                try:
                    values[setting.name] = _from_variable(setting, environ[variable])
                except argparse.ArgumentTypeError as error:
                    parser.error(f"{variable}: {error}")
        values.update({k: v for k, v in vars(parser.parse_args(argv)).items() if v is not None})
        values["bundle"] = tuple(values.get("bundle", cls.bundle))
        return cls(**values)

    def batch_limits(self) -> batcher.Limits:
        """Give what a batch and the queue may hold."""
        return batcher.Limits(
            rows=MOST_ROWS,
            least_rows=LEAST_ROWS,
            budget=BATCH_TOKENS,
            padding=_BATCH_PADDING,
            queued=self.max_queued_tokens,
        )

    def thread_count(self) -> int:
        """Give the number of compute threads."""
        return self.threads or cpus.granted()


def _parser(config: type[Config]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentido-server",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('sentido-server')}"
    )
    for setting in dataclasses.fields(config):
        text = setting.metadata["help"]
        if setting.name == "bundle":
            parser.add_argument("--bundle", type=_folder, action="append", metavar="DIR", help=text)
            continue
        parser.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=_type(setting),
            metavar="N" if setting.type is int else setting.name.split("_")[-1].upper(),
            help=f"{text} (default: {setting.default})",
        )
    return parser


def _from_variable(setting: dataclasses.Field[Any], text: str) -> Any:
    if setting.name == "bundle":
        return [_folder(part) for part in text.split(os.pathsep)]
    return _type(setting)(text)


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the folder of a bundle is needed")
    return Path(text)


def _type(setting: dataclasses.Field[Any]) -> Any:
    least, most, choices = (setting.metadata[key] for key in ("least", "most", "choices"))

    def parse(text: str) -> int | str:
        if setting.type is int:
            try:
                value = int(text)
            except ValueError:
                value = -1
            if not least <= value <= most:
                raise argparse.ArgumentTypeError(
                    f"{text!r} is not a whole number from {least} to {most}"
                )
            return value
        if choices and text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse
