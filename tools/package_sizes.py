"""Prints how large each package of a build is: `package_sizes.py .aws-sam/build`."""

import io
import sys
import zipfile
from pathlib import Path


def sizes(package: Path) -> tuple[int, int]:
    """Bytes of the package's zip, deflated as `sam deploy` uploads it, and of its files."""
    archive = io.BytesIO()
    files = [path for path in sorted(package.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in files:
            zipped.write(path, path.relative_to(package))
    return archive.getbuffer().nbytes, sum(path.stat().st_size for path in files)


def table(build: Path) -> str:
    """A line for each function and layer in a build directory of `sam build`, in bytes."""
    packages = sorted(path for path in build.iterdir() if path.is_dir())
    lines = [f"{'package':<22}{'zipped':>12}{'unzipped':>12}"]
    for package in packages:
        zipped, unzipped = sizes(package)
        lines.append(f"{package.name:<22}{zipped:>12,}{unzipped:>12,}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(f"{table(Path(sys.argv[1]))}\n")
