"""The wheels of a release: everything a device needs, for its Python and processor, offline."""

import ensurepip
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from email.parser import HeaderParser
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from edge_fer import __version__
from edge_fer.errors import EdgeFerError, MissingExtraError
from edge_fer.target import Target

OWN = "edge-fer"
#: What runs the installation on the device.
PIP = "pip"
CHECKOUT = Path(__file__).parents[2]
TIMEOUT_S = 1800


def gather(folder: Path, target: Target, extras: Sequence[str], say: Callable[[str], None]) -> None:
    """Downloads the wheels of edge-fer, of what it needs and of pip for a device.

    pip judges conditions such as ``python_version < "3.11"`` by the Python that runs it; what the
    device needs beyond that is found in the wheels and downloaded after.

    Args:
        folder: Where the wheels go.
        target: Whose Python and platforms they are for.
        extras: Of edge-fer.
        say: Told what is going on.

    Raises:
        EdgeFerError: A wheel cannot be built or does not exist for the device.
    """
    say(f"downloading wheels for {target.python} on {', '.join(target.architectures)}")
    own = build_own(folder) if (CHECKOUT / "pyproject.toml").is_file() else None
    version = "" if own else f"=={__version__}"
    wanted = [f"{own or OWN}{_bracketed(extras)}{version}", PIP]
    while wanted:
        _pip(["download", "--dest", str(folder), *_options(target, folder), *wanted])
        wanted = missing(folder, target, extras)


def take(source: Path, folder: Path, target: Target, extras: Sequence[str]) -> None:
    """Copies ready wheels, after a look whether they are complete and fit the device.

    Raises:
        EdgeFerError: A wheel is missing, or is for another Python or processor.
    """
    wheels = sorted(source.glob("*.whl"))
    if not wheels:
        raise EdgeFerError(f"{source}: there are no wheels in it")
    for wheel in wheels:
        shutil.copyfile(wheel, folder / wheel.name)
    if not list(folder.glob("pip-*.whl")):
        shutil.copyfile(_shipped_pip(), folder / _shipped_pip().name)
    check_tags(folder, target)
    if lacking := missing(folder, target, extras):
        raise EdgeFerError(f"{source}: wheels are missing: {', '.join(lacking)}")


def build_own(folder: Path) -> Path:
    """Builds the wheel of this checkout."""
    with tempfile.TemporaryDirectory() as temporary:
        _pip(["wheel", "--no-deps", "--wheel-dir", temporary, str(CHECKOUT)])
        built = next(Path(temporary).glob("*.whl"))
        return Path(shutil.move(built, folder / built.name))


def missing(folder: Path, target: Target, extras: Sequence[str]) -> list[str]:
    """Returns the requirements that no wheel of a folder meets, as the device would judge them."""
    try:
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name, parse_wheel_filename
    except ModuleNotFoundError:
        raise MissingExtraError("Making a release", "deploy") from None

    wheels = {parse_wheel_filename(path.name)[0]: path for path in folder.glob("*.whl")}
    unmet: set[str] = set()
    seen: set[tuple[str, str]] = set()
    queue = [Requirement(f"{OWN}{_bracketed(extras)}"), Requirement(PIP)]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        if name not in wheels:
            unmet.add(f"{requirement.name}{requirement.specifier}")
            continue
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                environment = {**device_environment(target), "extra": extra}
                queue += [
                    need
                    for need in map(Requirement, requirements_of(wheels[name]))
                    if need.marker is None or need.marker.evaluate(environment)
                ]
    return sorted(unmet)


def device_environment(target: Target) -> dict[str, str]:
    """Returns what conditions in requirements ask about, as it is on the device."""
    version = ".".join(map(str, python_version(target)))
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": target.architectures[0],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }


def python_version(target: Target) -> tuple[int, int]:
    """Returns a device's Python version, e.g. 3 and 13 for ``cp313``.

    Raises:
        EdgeFerError: The profile does not name one.
    """
    digits = target.python.removeprefix("cp")
    if not target.python.startswith("cp3") or not digits.isdecimal() or not target.platforms:
        raise EdgeFerError(f"target {target.name}: its profile names no python or no platforms")
    return int(digits[0]), int(digits[1:])


def check_tags(folder: Path, target: Target) -> None:
    """Raises ``EdgeFerError`` if a wheel is for another Python or processor."""
    try:
        from packaging.tags import compatible_tags, cpython_tags
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    except ModuleNotFoundError:
        raise MissingExtraError("Making a release", "deploy") from None

    version, platforms = python_version(target), list(target.platforms)
    fitting = {*cpython_tags(version, [target.python], platforms)}
    fitting |= {*compatible_tags(version, target.python, platforms)}
    for path in folder.glob("*.whl"):
        try:
            tags = parse_wheel_filename(path.name)[3]
        except InvalidWheelFilename as error:
            raise EdgeFerError(f"{path.name}: not a wheel's name") from error
        if not tags & fitting:
            raise EdgeFerError(f"{path.name}: not for {target.python} on {target.platforms[0]}")


def requirements_of(wheel: Path) -> Iterator[str]:
    """Yields what a wheel requires, each with its condition.

    Raises:
        EdgeFerError: The file is not a wheel.
    """
    try:
        with ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            metadata = HeaderParser().parsestr(archive.read(names[0]).decode())
    except (OSError, BadZipFile, IndexError, UnicodeDecodeError) as error:
        raise EdgeFerError(f"{wheel}: not a readable wheel ({error})") from error
    yield from (value for key, value in metadata.items() if key == "Requires-Dist")


def _bracketed(extras: Sequence[str]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _options(target: Target, folder: Path) -> list[str]:
    version = ".".join(map(str, python_version(target)))
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    for abi in (target.python, "abi3", "none"):
        options += ["--abi", abi]
    for platform in target.platforms:
        options += ["--platform", platform]
    return [*options, "--find-links", str(folder)]


def _pip(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeFerError(f"pip {arguments[0]}: not done after {TIMEOUT_S} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[0].removeprefix("ERROR: ") if lines else done.stderr.strip()[-200:]
        raise EdgeFerError(f"pip {arguments[0]}: {reason}")


def _shipped_pip() -> Path:
    """The wheel of pip inside this Python."""
    folders = (Path(ensurepip.__path__[0]) / "_bundled", Path("/usr/share/python-wheels"))
    found = [path for folder in folders for path in folder.glob("pip-*.whl")]
    if not found:
        raise EdgeFerError("there is no wheel of pip among the wheels; add one: pip download pip")
    return found[0]
