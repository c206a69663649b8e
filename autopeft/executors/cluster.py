"""Starting Ray on this machine or joining a cluster, and what its nodes have room for."""

import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from autopeft.errors import InvalidInputError, UnavailableError

ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's own advice against a warning about hiding GPUs
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}
PROBE_SECONDS = 3.0
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4)
"""How whoever speaks to a gRPC server begins: HTTP/2's preface and empty settings. The server answers with settings of its own."""
_SETTINGS_FRAME = 4


def start(n_cpus: int, cards: Sequence[str] = (), visibility_variable: str = "CUDA_VISIBLE_DEVICES") -> Any:
    """Start Ray on this machine, on loopback only.

    Args:
        n_cpus: How many processors it hands out.
        cards: Which GPUs it hands out, as `visibility_variable` names them.
        visibility_variable: The environment variable that says which GPUs a process sees.

    Returns:
        The module ray.

    Raises:
        UnavailableError: Ray can't start, or this process uses it already.
    """
    # "local": without it Ray would join a cluster that someone else has started on this machine.
    here = {"address": "local", "num_cpus": n_cpus, "num_gpus": len(cards), "_node_ip_address": "127.0.0.1"}
    if "ray" not in sys.modules:  # Ray reads it when it is imported: set later, its own processes would ask for what this one doesn't give
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # what Ray does by default, without announcing it at every start
    with _environment({visibility_variable: ",".join(cards)} if cards else {}):
        return _initialised("Run in this process instead: --workers 0.", **here)


def join(address: str) -> Any:
    """Join a running cluster.

    Args:
        address: "auto", "host:port" or "ray://host:port".

    Returns:
        The module ray.

    Raises:
        InvalidInputError: The address is none of these.
        UnavailableError: No cluster answers, or this process uses Ray already.
    """
    _require_reachable(address)
    return _initialised("Check the address, or leave --address out to use this machine.", address=address)


def n_places(ray: Any, n_gpus: float) -> int:
    """Return how many workers of one processor and so much of a GPU the nodes have room for that are up."""
    return sum(_n_places_of(node["Resources"], n_gpus) for node in _nodes(ray))


def n_cards(ray: Any) -> int:
    """Return how many GPUs the nodes have that are up."""
    return sum(int(node["Resources"].get("GPU", 0)) for node in _nodes(ray))


def n_cpus_per_card(ray: Any) -> int:
    """Return how many processors there are for each GPU, at the node where there are fewest."""
    shares = [node["Resources"].get("CPU", 0) / cards for node in _nodes(ray) if (cards := node["Resources"].get("GPU", 0)) >= 1]
    return int(min(shares, default=0))


def _nodes(ray: Any) -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _n_places_of(resources: Mapping[str, float], n_gpus: float) -> int:
    by_cpu = int(resources.get("CPU", 0))
    # Ray gives a fraction out of one GPU, never out of two; it counts in ten-thousandths.
    return min(by_cpu, int(resources.get("GPU", 0)) * math.floor(1 / n_gpus + 1e-3)) if n_gpus else by_cpu


def _initialised(remedy: str, **options: Any) -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():  # to stop it in the end would stop what others do with it
        raise UnavailableError(
            "Ray is in use in this process already", remedy="Call ray.shutdown() first, or run in this process: --workers 0."
        )
    try:
        with _own_termination():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False, **options)
    # Ray raises Exception itself where a machine is too busy for it to start, and exits the process when a cluster stops answering.
    except (Exception, SystemExit) as error:
        ray.shutdown()
        raise UnavailableError(f"Ray could not start: {next(iter(str(error).splitlines()), 'no reason given')}", remedy=remedy) from error
    except BaseException:  # an interrupt
        ray.shutdown()
        raise
    return ray


@contextmanager
def _own_termination() -> Iterator[None]:
    """Let SIGTERM do what it does in this process, although Ray sets it anew when it starts: to stop its own processes and exit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)  # where every signal is written, whoever handles it
    has_exited = False
    try:
        yield
    except SystemExit:
        has_exited = True
        raise
    finally:
        signal.set_wakeup_fd(before)
        if handler is not None:  # else set by something else than Python
            signal.signal(signal.SIGTERM, handler)
        with reader, writer:
            writer.send(b"\0")
            if has_exited and signal.SIGTERM in reader.recv(4096):
                signal.raise_signal(signal.SIGTERM)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for what is started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _require_reachable(address: str) -> None:
    """Try the address once, as far as an answer in its protocol: Ray itself would go on trying for minutes."""
    if address == "auto" and not (address := os.environ.get("RAY_ADDRESS", "")):  # Ray answers at once whether one runs on this machine
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise InvalidInputError(
            "the address of a Ray cluster must be auto, host:port or ray://host:port",
            value=address,
            remedy="ray start --head prints it; its port is 6379 by default, and 10001 behind ray://.",
        )
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
                connection.sendall(_HTTP2_PREFACE)
                answer = connection.recv(9)
                if len(answer) < 4 or answer[3] != _SETTINGS_FRAME:
                    raise OSError("what answers there is no Ray")
    except OSError as error:
        remedy = "Check the address, or leave --address out to use this machine."
        raise UnavailableError(f"no Ray cluster answers: {error}", value=address, remedy=remedy) from None
