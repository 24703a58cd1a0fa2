"""Explain in a notebook what to do about a name that no cell has set yet."""

import sys


def explain_missing_names() -> None:
    """Let a cell's NameError say to run the cells above first; without IPython, do nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return

    def explain(shell, kind, error, traceback, tb_offset=None):
        error.args = (
            f"{error}. If a cell further up sets it, run the cells above this one first: menu "
            "Run, Run All Above Selected Cell",
        )
        shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), explain)
