"""The error for a clip that can't be analysed."""

from shared.schemas import ErrorCode


class ClipRejected(Exception):  # noqa: N818  (named for what happened)
    """The clip can't be analysed, and another try would end the same way.

    code    for programs, one of `ErrorCode`
    detail  for people: what is wrong with the clip and what to do about it; also `str()` of the error
    """

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["ClipRejected"], tuple[ErrorCode, str]]:
        # The default would call the class with the message alone, which fails where errors cross processes.
        return type(self), (self.code, self.detail)
