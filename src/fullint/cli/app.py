"""The commands, put together, and what happens when one fails."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fullint.cli.bench import bench
from fullint.cli.compare import compare
from fullint.cli.console import printable
from fullint.cli.demo import demo
from fullint.cli.evaluate import evaluate
from fullint.cli.export import export
from fullint.cli.hardware import hardware
from fullint.cli.inspect import inspect
from fullint.cli.interrupts import interrupts
from fullint.cli.quantize import quantize
from fullint.cli.recipes import recipes
from fullint.errors import FullintError
from fullint.version import __version__

COMMANDS = (quantize, evaluate, inspect, recipes, compare, bench, export, hardware, demo)


class CommandGroup(TyperGroup):
    """Turns what a command raises into one sentence on stderr and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Exception) as error:
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):  # typer's own
                raise
            if interrupts.number is not None:  # `main` tells the user
                raise typer.Exit(128 + interrupts.number) from error
            if isinstance(error, (KeyboardInterrupt, BrokenPipeError)):
                raise  # typer's and main's business
            if ctx.params["debug"]:
                traceback.print_exception(error)
            print(f"error: {_sentence(error)}", file=sys.stderr)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the examples in the help texts keep their lines
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in COMMANDS:
    app.command(_command.__name__)(_command)


def command() -> Any:
    """The whole command line as one object with a `main`."""
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fullint {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def fullint(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="FULLINT_DEBUG", help="Show where in the code errors arise."
        ),
    ] = False,
) -> None:
    """Turn trained vision transformers into integer-only models, and run them.

    \b
    A first look, in half a minute:
      fullint demo
    A model of your own:
      fullint quantize deit_tiny_patch16_224 --data-dir images/ -o out/
      fullint evaluate out/ --data-dir val/
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _sentence(error: BaseException) -> str:
    if isinstance(error, FullintError):
        return printable(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory; a smaller --batch-size needs less"
    if isinstance(error, OSError):
        return printable(error)
    return (
        f"unexpected {type(error).__name__}: {printable(error)}; this is a defect of fullint, "
        "'fullint --debug ...' shows where it arises"
    )
