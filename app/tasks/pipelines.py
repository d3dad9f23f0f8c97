"""The steps of pipelines, each a moment between tasks that take long."""

from app.tasks.claim import Claim
from app.viewModels import pipelines


def run_pipeline(claim: Claim) -> None:
    """Submit what comes next in a pipeline and go back into the line until that is done; at its end, tell its result.

    Both are one transaction under the lease: what a worker that dies had begun was not begun.
    """
    if pipelines.is_at_its_end(claim.lease):
        with claim.success() as result:
            result.update(pipelines.finish(claim.lease))
    else:
        claim.wait_for(lambda: pipelines.advance(claim.lease))
