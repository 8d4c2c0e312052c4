"""KeyboardInterrupts at each moment in which a signal handler can run."""

import sys


class InterruptAt:
    """Within this context, raises a KeyboardInterrupt where a signal handler can run.

    Python runs handlers where a function begins and after a call of a function in C.

    Parameters
    ----------
    number : int
        Which of these places in the code of some modules.
    modules : tuple of str
        Their names.
    """

    def __init__(self, number, modules):
        self.number, self.modules = number, modules

    def __enter__(self):
        sys.setprofile(self._count)

    def __exit__(self, *error):
        sys.setprofile(None)

    def _count(self, frame, event, _):
        if event in ("call", "c_return") and frame.f_globals["__name__"] in self.modules:
            self.number -= 1
            if self.number == 0:
                raise KeyboardInterrupt
