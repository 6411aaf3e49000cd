"""Runs a command of `python -m styletransfer`, from its folders to its exit code."""

from rich.console import Console

from common.cli.signals import Interrupted
from common.cli.terminal import complain
from common.image_files import other_files
from common.text import counted, printable
from styletransfer.commands import PROG, Batch
from styletransfer.execution.result_log import BatchError
from styletransfer.pictures.listing import Listing
from styletransfer.planning.batch_request import BatchRequest, make_request
from styletransfer.planning.inputs import Inputs
from styletransfer.planning.manifest import locked
from styletransfer.planning.output_names import SHEET_NAME
from styletransfer.planning.plan import BatchPlan, make_plan
from styletransfer.planning.reuse import reuse
from styletransfer.report.contact_sheet import write_contact_sheet
from styletransfer.report.plan_lines import plan_lines
from styletransfer.report.terminal import BatchView


def run(command: Batch, console: Console) -> int:
    """Run a command; returns the exit code.

    0 all pairs are done, 3 some have failed or the batch could not continue, 130 and 143 stopped by a signal.

    Raises: ConfigError when the command cannot be run.
    """
    view = BatchView(console)
    with view.working("reading the folders"):
        request = make_request(command)
    _say_skipped(request, view)
    if command.dry_run:
        from styletransfer.dry_run import describe

        for line in describe(make_plan(request), command):
            view.say(line)
        return 0
    with locked(request.out):
        with view.working("comparing with what is done"):
            plan = make_plan(request)
        if set(plan.reasons.values()) - {"new"}:
            view.say(f"why: {plan.why()}")
        for line in plan_lines(plan):
            view.say(line)
        if plan.reusable:
            with view.working("copying pictures"):
                new_entries = {pair: plan.entry(pair) for pair in plan.reusable}
                copied = reuse(request.out, plan.reusable, new_entries, quality=request.quality)
                plan = make_plan(request)
            view.say(f"{counted(copied, 'picture')} copied")
        if len(plan.stale) < len(plan.outputs):
            view.say(f"{len(plan.outputs) - len(plan.stale)} of {len(plan.outputs)} are up to date")
        if plan.stale:
            return _stylize(plan, command, view)
        write_contact_sheet(plan)
    view.say(f"nothing to stylize: {request.out.path(SHEET_NAME)}")
    return 0


def _stylize(plan: BatchPlan, command: Batch, view: BatchView) -> int:
    from styletransfer.execution.batch import Options, run_batch  # Ray takes a second

    options = Options(
        address=command.address,
        workers=command.workers,
        gpu=command.wants_gpu(),
        batch=command.batch,
        threads=command.threads,
    )
    remedy = "finished pairs are kept: repeat the command to continue"
    try:
        results = run_batch(plan, options, view)
    except Interrupted as interrupted:
        view.say(f"{interrupted}; {view.summary()}; {remedy}")
        return interrupted.exit_code
    except BatchError as error:
        complain(PROG, f"{error}; {view.summary()}; {remedy}")
        return 3
    view.say(f"pictures: {plan.request.out.path(SHEET_NAME)}")
    return 3 if results.failed else 0


def _say_skipped(request: BatchRequest, view: BatchView) -> None:
    """Say which files were left out: how many of other kinds, and the first that is a picture."""
    for listing in _distinct(request.inputs):
        if listing.others:
            view.say(f"{listing.location}: {other_files(listing.others)}")
    skipped = [each for listing in _distinct(request.inputs) for each in listing.skipped]
    if skipped:
        name, reason = skipped[0]
        view.say(f"skipped {len(skipped)}, first {printable(name)}: {reason}")


def _distinct(inputs: Inputs) -> list[Listing]:
    """The listings of contents and styles, once where both are of one folder."""
    return [inputs.contents] if inputs.contents is inputs.styles else [inputs.contents, inputs.styles]
