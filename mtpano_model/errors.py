"""The one exception for mistakes a user can mend."""


class MtpanoError(Exception):
    """Something the user gave or the machine lacks.

    The message is one sentence a person can act on: the value, what was expected, what to do.
    Commands print it without a traceback and exit with status 1; the node answers FAILURE with it.
    """
