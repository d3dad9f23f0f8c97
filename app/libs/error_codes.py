"""Every refusal has one stable code. A client branches on the code; the words may change.

``docs/error_codes.md`` lists them, and a test keeps the two equal.
"""

from enum import Enum


class ErrorCode(Enum):
    """(code, HTTP status, title)."""

    # the request itself
    BAD_REQUEST = ("request.bad", 400, "The request could not be understood.")
    INVALID_INPUT = ("request.invalid", 422, "Some fields of the request are not as they must be.")
    NOT_FOUND = ("request.not_found", 404, "There is nothing at this address.")
    METHOD_NOT_ALLOWED = ("request.method_not_allowed", 405, "This address does not take that method.")
    NOT_ACCEPTABLE = ("request.not_acceptable", 406, "The answer cannot be given in the form asked for.")
    CONFLICT = ("request.conflict", 409, "Somebody else changed or deleted the same thing at this moment.")
    TOO_LARGE = ("request.too_large", 413, "The request is larger than this server takes.")
    UNSUPPORTED_MEDIA_TYPE = (
        "request.unsupported_media_type",
        415,
        "The body has a content type not taken here.",
    )
    TOO_MANY_REQUESTS = ("request.too_many", 429, "Too many requests; wait before the next one.")
    INTERNAL = ("server.internal", 500, "Something went wrong on the server. It was logged.")
    UNAVAILABLE = ("server.unavailable", 503, "A part of the server cannot be reached at the moment.")

    # accounts
    AUTH_REQUIRED = ("auth.required", 401, "Sign in first.")
    TOKEN_INVALID = ("auth.token_invalid", 401, "This token is not valid.")
    TOKEN_EXPIRED = ("auth.token_expired", 401, "This token has expired.")
    SESSION_ENDED = ("auth.session_ended", 401, "This session has ended. Sign in again.")
    REFRESH_REUSED = (
        "auth.refresh_reused",
        401,
        "This refresh token was used before, so its session was ended.",
    )
    LOGIN_FAILED = ("auth.login_failed", 401, "The user name or the password is wrong.")
    SCOPE_MISSING = ("auth.scope_missing", 403, "Your rights do not allow this.")
    REGISTRATION_CLOSED = ("auth.registration_closed", 403, "Accounts are made by an administrator here.")
    PASSWORD_UNFIT = ("auth.password_unfit", 422, "This password cannot be used.")
    PASSWORD_WRONG = ("auth.password_wrong", 403, "The present password is not right.")
    USER_NOT_FOUND = ("user.not_found", 404, "There is no such user.")
    USERNAME_TAKEN = ("user.name_taken", 409, "There is a user of this name already.")
    USER_LAST_ADMIN = ("user.last_admin", 409, "This is the last active administrator.")

    # projects
    PROJECT_NOT_FOUND = ("project.not_found", 404, "There is no such project.")
    PROJECT_ARCHIVED = ("project.archived", 409, "This project is archived and can only be read.")
    PROJECT_NOT_EMPTY = ("project.not_empty", 409, "This project still holds things.")
    MEMBER_NOT_FOUND = ("project.member_not_found", 404, "This project has no such member.")
    MEMBER_LAST_OWNER = ("project.last_owner", 409, "A project needs an owner.")

    # data sets
    DATASET_NOT_FOUND = ("dataset.not_found", 404, "There is no such data set.")
    DATASET_VERSION_NOT_FOUND = (
        "dataset.version_not_found",
        404,
        "There is no such version of the data set.",
    )
    DATASET_NAME_TAKEN = ("dataset.name_taken", 409, "The project has a data set of this name already.")
    DATASET_IN_USE = ("dataset.in_use", 409, "Something still uses this data set.")
    DATASET_LAST_VERSION = ("dataset.last_version", 409, "A data set needs a version.")

    # processes and modules
    PROCESS_NOT_FOUND = ("process.not_found", 404, "There is no such process.")
    PROCESS_NAME_TAKEN = ("process.name_taken", 409, "The project has a process of this name already.")
    PROCESS_IN_USE = ("process.in_use", 409, "Something still uses this process.")
    MODULE_NOT_FOUND = ("module.not_found", 404, "There is no such module.")
    MODULE_NAME_TAKEN = ("module.name_taken", 409, "The process has a module of this name already.")
    MODULE_IN_USE = ("module.in_use", 409, "Something still uses this module.")
    MODULE_TAG_UNKNOWN = ("module.tag_unknown", 422, "The data set has no such tag.")
    MODULE_TAG_NOT_NUMERIC = (
        "module.tag_not_numeric",
        422,
        "A module gives numbers, and takes numbers or the text of its plain inputs.",
    )

    # models
    MODEL_NOT_FOUND = ("model.not_found", 404, "There is no such model.")
    MODEL_NOT_TRAINED = ("model.not_trained", 409, "This model has not finished training.")
    MODEL_OUTDATED = ("model.outdated", 409, "The module has other inputs or outputs than this model.")
    VALIDATION_UNFIT = ("model.validation_unfit", 422, "This validation is not possible on this data set.")
    MODEL_IN_USE = ("model.in_use", 409, "Something still uses this model.")
    MODEL_DAMAGED = ("model.damaged", 409, "The stored file of this model is not what was stored.")
    ROWS_INVALID = ("model.rows_invalid", 422, "These rows cannot be given to the model.")

    # optimizations
    MODULE_WITHOUT_MODEL = ("module.without_model", 409, "No model of this module is in production.")
    OPTIMIZATION_NOT_FOUND = ("optimization.not_found", 404, "There is no such optimization.")
    OPTIMIZATION_RUNNING = ("optimization.running", 409, "This optimization is still at work.")

    # analyses
    ANALYSIS_NOT_FOUND = ("analysis.not_found", 404, "There is no such analysis.")
    ANALYSIS_RUNNING = ("analysis.running", 409, "This analysis is still at work.")

    # tasks
    TASK_NOT_FOUND = ("task.not_found", 404, "There is no such task.")
    TASK_KEY_REUSED = ("task.key_reused", 409, "This idempotency key was sent with another request.")
    TASK_LIMIT = ("task.limit", 429, "Too many tasks are unfinished.")
    TASK_NOT_ENDED = ("task.not_ended", 409, "This task has not ended yet.")
    TASK_NOT_REPEATABLE = ("task.not_repeatable", 409, "This task cannot be tried again.")
    TASK_NEED_FAILED = ("task.need_failed", 409, "A task that this one needed did not succeed.")
    TASK_ENDED = ("task.ended", 409, "This task has ended already.")
    TASK_CRASHED = ("task.crashed", 500, "The task met an unexpected fault. It was logged.")
    TASK_TIME_LIMIT = ("task.time_limit", 500, "The task took longer than its kind may take.")
    TASK_MEMORY_LIMIT = ("task.memory_limit", 500, "The task took more memory than its kind may take.")
    TASK_ATTEMPTS_EXHAUSTED = ("task.attempts_exhausted", 500, "The task lost its worker too often.")

    # callbacks and schedules
    CALLBACK_REFUSED = ("callback.refused", 422, "This address cannot be called back.")
    SCHEDULE_NOT_FOUND = ("schedule.not_found", 404, "There is no such schedule.")
    SCHEDULE_LIMIT = ("schedule.limit", 409, "The project has as many schedules as it may.")
    SCHEDULE_MISSED = ("schedule.missed", 409, "It was too late when the server could look.")
    SCHEDULE_STILL_RUNNING = ("schedule.still_running", 409, "What was submitted before has not ended.")
    SCHEDULE_OWNER_INACTIVE = ("schedule.owner_inactive", 409, "The owner of the schedule was deactivated.")

    # live events
    STREAMS_FULL = ("stream.full", 503, "This server holds as many live connections as it can.")

    # files handed out
    LINK_INVALID = ("object.link_invalid", 403, "This link is not valid or has expired.")
    OBJECT_NOT_FOUND = ("object.not_found", 404, "There is no such object.")

    def __init__(self, code: str, status: int, title: str) -> None:
        self.code, self.status, self.title = code, status, title
