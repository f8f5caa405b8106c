"""An executor that runs tasks in this process, and lets a test act before each of them."""

from concurrent.futures import Executor, Future


class Serial(Executor):
    """Runs what is submitted at once, one after the other.

    `before(number)` is called before task 1, 2, ...; what it raises is the task's failure, but an
    interrupt ends the sweep. (The first thing submitted is the placement of the cells.)
    """

    def __init__(self, before=lambda number: None):
        self.before, self.tasks = before, -1

    def submit(self, function, /, *arguments, **named):
        self.tasks += 1
        future = Future()
        try:
            if self.tasks:
                self.before(self.tasks)
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def interrupt_at(number):
    """An executor for a sweep that is interrupted before one of its tasks."""

    def before(task):
        if task == number:
            raise KeyboardInterrupt

    return Serial(before)


def fail_at(number, error):
    """An executor for a sweep of which one task fails."""

    def before(task):
        if task == number:
            raise error

    return Serial(before)
