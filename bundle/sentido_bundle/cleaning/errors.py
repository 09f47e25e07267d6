"""The errors of cleaning: of a step that cannot be taken, and of a text that a step refuses."""


class StepError(ValueError):
    """A step, or its pattern, is not one that can be taken; the message says why and what to do."""


class CleaningError(ValueError):
    """A text cannot be cleaned; the message names the step."""
