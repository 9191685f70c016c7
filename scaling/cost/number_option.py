"""An option of the command line that holds a number, for the verbs of both packages."""

import functools

import typer


def as_number(text: str) -> float:
    """The number that is typed. Raises the command line's own error, which names the option, with the value."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}, expected a number, such as 0.05, 500 or 1e20") from None


NumberOption = functools.partial(typer.Option, parser=as_number, metavar="NUMBER")
"""Like typer.Option, for a float."""
