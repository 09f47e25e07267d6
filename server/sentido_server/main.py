"""The command `sentido-server`."""

import os
import signal
import sys


def main() -> int:
    """Run the command; return its exit code."""
    # Before the imports that take time. What SIGHUP asks for is about to be done. SIGTERM has no
    # default for the first process of a container, which would have to be killed.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    try:
        return _main()
    except KeyboardInterrupt:  # before the signals are the server's
        return 130
    except RuntimeError as error:
        if str(error) != "can't start new thread":
            raise
        print(
            "sentido-server: the system gives no more threads: raise its limit of processes"
            " (ulimit -u, or the container's limit of pids)",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)  # those that were started may wait for those that were not


def _main() -> int:
    # gRPC reads this when it is imported: its own lines are no use beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from sentido_bundle import BundleError
    from sentido_bundle.command_line import flushed

    from sentido_server import log, stderr
    from sentido_server.config import Config, StartError
    from sentido_server.health_check import check, split
    from sentido_server.origins import unknown_variables

    stderr.make_sure_of_it()
    address, argv = split(sys.argv[1:])
    config = Config.load(argv, os.environ)
    if address is not None:
        serving, message = check(address, config)
        if serving:
            return 0 if flushed(f"sentido-server: {message}\n") else 1
        print(f"sentido-server: {message}", file=sys.stderr)
        return 1
    with stderr.into_the_log(config.log_format):
        from sentido_server.life import run

        if names := unknown_variables(Config, os.environ):
            log.warning("unknown variables", variables=names, reason="they are not settings")
        try:
            code = run(config)
        except (StartError, BundleError) as error:
            log.say(f"sentido-server: {error}")
            code = 1
    # Python would stop threads in the midst of C++, such as one that still loads, and abort by it.
    os._exit(code)
