"""What is said when an engine is asked for whose packages are not installed."""

from __future__ import annotations

from privacy.errors import UsageProblem


def not_installed(engine: str, extra: str, error: ImportError) -> UsageProblem:
    """Return the problem that an engine's packages are missing, with the extra that brings them.

    Parameters
    ----------
    engine
        What the operator knows it as.
    extra
        Name of the extra of this distribution.
    error
        Of the import; names the package.
    """
    return UsageProblem(
        f"{engine} cannot be used: the package {error.name or error} is not installed",
        means="this node has only the engines whose extras were installed",
        todo=f'install the extra: pip install "quorate[{extra}]"',
    )
