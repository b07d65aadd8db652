"""How a command ends when it does not end well: one line for standard error, one exit status."""

REFUSED = 1
USAGE = 2


class Failure(Exception):
    """A command that was understood and did not succeed. Its text is one line for the operator."""

    status = REFUSED


class UsageError(Failure):
    """A command that cannot be carried out as it was given: its arguments, its environment or its files are at fault."""

    status = USAGE
