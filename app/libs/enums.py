"""The closed lists of words that the database, the API and the tasks share."""

from enum import IntEnum, StrEnum


class Role(StrEnum):
    """What a person is on this server."""

    ADMIN = "admin"
    ENGINEER = "engineer"
    VIEWER = "viewer"


class MemberRole(StrEnum):
    """What a person is in one project."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


class Queue(StrEnum):
    """Where work waits. A worker may serve one, some or all of them."""

    TRAINING = "training"
    OPTIMIZATION = "optimization"
    DEFAULT = "default"


class TaskKind(StrEnum):
    """What a task does."""

    IMPORT = "dataset.import"
    TRAIN = "model.train"
    TRAIN_FOLD = "model.train_fold"
    OPTIMIZE = "optimization.run"
    SEARCH = "optimization.search"
    ANALYZE = "analysis.run"
    PIPELINE = "process.pipeline"

    @property
    def queue(self) -> Queue:
        """The queue in which tasks of this kind wait."""
        return _QUEUES[self]

    @property
    def is_part(self) -> bool:
        """Whether such tasks are only there for the one that they are parts of."""
        return self in {TaskKind.TRAIN_FOLD, TaskKind.SEARCH}

    @property
    def may_have_parts(self) -> bool:
        """Whether such a task may be split, or is made of others from the start."""
        return self in {TaskKind.TRAIN, TaskKind.OPTIMIZE, TaskKind.PIPELINE}


_QUEUES = {
    TaskKind.IMPORT: Queue.DEFAULT,
    TaskKind.TRAIN: Queue.TRAINING,
    TaskKind.TRAIN_FOLD: Queue.TRAINING,
    TaskKind.OPTIMIZE: Queue.OPTIMIZATION,
    TaskKind.SEARCH: Queue.OPTIMIZATION,
    TaskKind.ANALYZE: Queue.TRAINING,
    TaskKind.PIPELINE: Queue.DEFAULT,
}


class Priority(IntEnum):
    """How urgent a task is; higher goes first."""

    LOW = -1
    NORMAL = 0
    HIGH = 1


class TaskState(StrEnum):
    """A task's life: queued -> running -> succeeded | failed | cancelled, by way of stopping when cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to the task any more."""
        return self in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}


class EventType(StrEnum):
    """What a numbered fact in a task's life tells."""

    STATE = "state"
    PROGRESS = "progress"
    METRIC = "metric"
    LOG = "log"
    RESULT = "result"


class EndReason(StrEnum):
    """Why somebody who followed a task is told nothing more. Where there is an error code for it, it is that code."""

    TASK_ENDED = "task.ended"
    NOT_FOUND = "task.not_found"
    TOKEN_EXPIRED = "auth.token_expired"  # noqa: S105 (a reason, not a secret)
    SESSION_ENDED = "auth.session_ended"
    TOO_SLOW = "stream.too_slow"
    UNAVAILABLE = "server.unavailable"


class CallbackState(StrEnum):
    """What has become of telling an address of a task's end."""

    WAITING = "waiting"
    DUE = "due"
    DELIVERED = "delivered"
    FAILED = "failed"


class ScheduleAction(StrEnum):
    """What a schedule submits."""

    TRAIN = "train"
    OPTIMIZE = "optimize"


class RunOutcome(StrEnum):
    """What came of a time at which a schedule was due."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    REFUSED = "refused"
    PAUSED = "paused"


class ResultState(StrEnum):
    """What has become of an optimization or an analysis, told by its task and, after that is gone, by its result."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AnalysisKind(StrEnum):
    """What an analysis of a model asks."""

    IMPORTANCE = "importance"
    DEPENDENCE = "dependence"
    CONTRIBUTIONS = "contributions"


class ModelState(StrEnum):
    """What has become of a model, told by its training."""

    TRAINING = "training"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
