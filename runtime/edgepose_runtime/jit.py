"""How kernels are compiled."""

from __future__ import annotations

import logging
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from edgepose_runtime.errors import BackendUnavailableError

try:
    from numba import njit
    from numba.core.caching import FunctionCache, IndexDataCacheFile
except ImportError as error:  # left out on purpose: a plain tracker's kernels come compiled
    raise BackendUnavailableError(
        f"This needs kernels that numba compiles, and numba cannot be imported ({error}); run: "
        "pip install numba"
    ) from error

_logger = logging.getLogger("edgepose_runtime")
_warned: set[str] = set()

Function = TypeVar("Function", bound=Callable[..., Any])

#: Sources of this package: kernels lie beside what they belong to, and take constants from there.
_PACKAGE = Path(__file__).parent


def kernel(function: Function) -> Function:
    """Compile a function that needs no interpreter lock, on its first call with each type.

    The machine code is kept on disk for the next process wherever numba finds a folder that it
    can write; in a read-only install without one it is compiled again by each process. A change to
    any kernel makes it useless.
    """
    return _compiled(function)


def fused_kernel(function: Function) -> Function:
    """Compile like `kernel`, with a product and a sum in one step, rounded once.

    That is a third faster where there is little else, and never less exact. Division by zero gives
    infinity or NaN, as in NumPy, where `kernel` raises.
    """
    return _compiled(function, fastmath={"contract"}, error_model="numpy")


def summing_kernel(function: Function) -> Function:
    """Compile like `fused_kernel`, with sums in any order, so that those are vectors too.

    Not for what asks whether numbers are finite: that is the difference of a number and itself,
    which may then be taken for 0.
    """
    return _compiled(function, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


def _compiled(function: Function, **options: Any) -> Function:
    compiled = njit(nogil=True, **options)(function)
    # Without a folder that can hold the cache, and where NUMBA_DISABLE_JIT is set, there is none.
    with suppress(RuntimeError):
        if hasattr(compiled, "_cache"):
            compiled._cache = _KernelCache(function)
    if hasattr(compiled, "compile"):
        compiled.compile = _not_interrupted(compiled.compile)
    return cast(Function, compiled)


def _not_interrupted(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Put Ctrl-C off until a kernel is compiled.

    In the destructor of one of LLVM's objects it would be lost, and leave LLVM's lock held: the
    next kernel would wait for ever.
    """

    @wraps(compile_)
    def run(*signature: Any) -> Any:
        before = signal.getsignal(signal.SIGINT)  # None: not Python's
        if before is None or threading.current_thread() is not threading.main_thread():
            return compile_(*signature)
        pending: list[int] = []
        signal.signal(signal.SIGINT, lambda number, _: pending.append(number))
        try:
            return compile_(*signature)
        finally:
            signal.signal(signal.SIGINT, before)
            if pending:
                signal.raise_signal(signal.SIGINT)

    return run


class _KernelCache(FunctionCache):
    """Machine code on disk that is never a reason not to run.

    numba gives up on a cache that was cut off when the power went, and on a full disk. Here the
    kernel is compiled again, and kept if that is possible.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        numbas = self._cache_file
        # numba looks at a kernel's own file alone. But other kernels that it calls, and constants
        # of other modules, are part of its machine code, and that outlives an update.
        stamp = numbas._source_stamp, sources_hash()
        self._cache_file = _CheckedFiles(self.cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the machine code for a signature, None where it is not there or damaged."""
        try:
            found = super().load_overload(sig, target_context)
            if found is None:
                _say_compiling(self.cache_path)
            return found
        except Exception as error:  # noqa: BLE001 - a damaged pickle raises whatever it likes
            _warn_once(
                "Compiled kernels are damaged and are compiled again", self.cache_path, error
            )
            with suppress(OSError):
                self.flush()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code, if that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # noqa: BLE001 - it was compiled: nothing may stop it now
            _warn_once(
                "Compiled kernels cannot be kept, so that each start compiles them again (name "
                "another folder in NUMBA_CACHE_DIR)",
                self.cache_path,
                error,
            )


class _CheckedFiles(IndexDataCacheFile):
    """Files that know whether they are whole: LLVM crashes of machine code that is not."""

    def _dump(self, obj: Any) -> bytes:
        content: bytes = super()._dump(obj)
        return sha256(content).digest() + content

    def _load_index(self) -> Any:
        try:
            with Path(self._index_path).open("rb") as file:
                version = pickle.load(file)
                content = file.read()
        except FileNotFoundError:
            return {}
        if version != self._version:
            return {}
        stamp, overloads = pickle.loads(_checked(content))
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_checked(Path(self._data_path(name)).read_bytes()))


def _checked(content: bytes) -> bytes:
    size = sha256().digest_size
    if sha256(content[size:]).digest() != content[:size]:
        raise ValueError("the file is not what was written")
    return content[size:]


def _warn_once(what: str, folder: str, error: Exception) -> None:
    """Say it for the first of many kernels."""
    if what not in _warned:
        _warned.add(what)
        _logger.warning("%s: '%s' (%s: %s).", what, folder, type(error).__name__, error)


@cache
def _say_compiling(folder: str) -> None:
    """Say why the first start takes long."""
    _logger.warning("Compiling kernels, once; they are kept in '%s'.", folder)


@cache
def sources_hash() -> str:
    """Return a hash of every source file of the package, of which kernels are made."""
    found = sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        name = file.relative_to(_PACKAGE).as_posix()
        found.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()
