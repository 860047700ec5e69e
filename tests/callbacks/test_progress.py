"""What verbose=True shows."""

import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from skscratch import SGD
from skscratch.callbacks import Callback, _progress

from ..conftest import BOTH, classifier, iris, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Let standard output pass for a terminal, and return a function that reads it."""
    stream = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stdout=stream))
    return lambda: capsys.readouterr().out


def without(monkeypatch, *names):
    """Let imports of these packages fail."""
    for name in names:
        for module in [name, *(loaded for loaded in sys.modules if loaded.startswith(name + "."))]:
            monkeypatch.setitem(sys.modules, module, None)


@pytest.fixture
def rich_bars(monkeypatch):
    """Put a stand-in in the place of rich, and return the bars that it makes."""
    bars = []

    class Progress:
        def __init__(self, *columns):
            self.running, self.shown, self.total = False, [], None
            bars.append(self)

        def add_task(self, description, total):
            self.total = total
            return 7

        def start(self):
            self.running = True

        def update(self, task, advance, description):
            assert (task, advance, self.running) == (7, 1, True)
            self.shown.append(description)

        def stop(self):
            self.running = False

    module = ModuleType("rich.progress")
    module.Progress = Progress
    module.BarColumn = module.MofNCompleteColumn = module.TextColumn = lambda *args: None
    package = ModuleType("rich")
    package.progress = module
    monkeypatch.setitem(sys.modules, "rich", package)
    monkeypatch.setitem(sys.modules, "rich.progress", module)
    return bars


@pytest.fixture
def tqdm_bars(monkeypatch):
    """Put a stand-in in the place of tqdm, and return the bars that it makes."""
    bars = []

    class Bar:
        def __init__(self, total, desc):
            self.running, self.shown, self.total = True, [], total
            bars.append(self)

        def set_postfix_str(self, text, refresh):
            self.text = text

        def update(self):
            assert self.running
            self.shown.append(self.text)

        def close(self):
            self.running = False

    module = ModuleType("tqdm.auto")
    module.tqdm = Bar
    package = ModuleType("tqdm")
    package.auto = module
    monkeypatch.setitem(sys.modules, "tqdm", package)
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    return bars


@pytest.fixture(params=["rich", "tqdm"])
def bars(request, monkeypatch):
    if request.param == "tqdm":
        without(monkeypatch, "rich")
    return request.getfixturevalue(f"{request.param}_bars")


@both
def test_a_line_for_each_epoch_in_pipes_and_files(make, data, capsys, rich_bars, tqdm_bars):
    estimator = make(verbose=True, max_iter=3).fit(*data())
    lines = capsys.readouterr().out.splitlines()
    expected = [f"Epoch {k}: loss {loss:.6f}" for k, loss in enumerate(estimator.loss_curve_, 1)]
    assert lines == expected
    assert rich_bars == tqdm_bars == []


@both
def test_a_line_has_the_validation_score(make, data, capsys):
    X, y = data()
    estimator = make(verbose=2, max_iter=2).fit(X, y, X_val=X, y_val=y)
    for line, score in zip(
        capsys.readouterr().out.splitlines(), estimator.history_["validation_score"], strict=True
    ):
        assert line.endswith(f", validation score {score:.4f}")


@both
@pytest.mark.parametrize("verbose", [False, 0])
def test_nothing_is_shown_unless_asked_for(make, data, verbose, terminal, bars):
    make(verbose=verbose).fit(*data())
    assert terminal() == ""
    assert bars == []


@both
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_bar_in_a_terminal(make, data, optimizer, terminal, bars):
    X, y = data()
    estimator = make(verbose=True, max_iter=4, optimizer=optimizer, tol=1e-12)
    estimator.fit(X, y, X_val=X, y_val=y)
    (bar,) = bars
    assert bar.total == 4
    scores = estimator.history_["validation_score"]
    assert bar.shown == [
        f"loss {loss:.6f}, validation score {score:.4f}"
        for loss, score in zip(estimator.loss_curve_, scores, strict=True)
    ]
    assert not bar.running
    assert terminal() == ""


def test_rich_is_taken_before_tqdm(terminal, rich_bars, tqdm_bars):
    classifier(verbose=True).fit(*iris())
    assert len(rich_bars) == 1
    assert tqdm_bars == []


@both
def test_lines_in_a_terminal_where_no_bar_is_installed(make, data, terminal, monkeypatch):
    without(monkeypatch, "rich", "tqdm")
    make(verbose=True, max_iter=3).fit(*data())
    lines = terminal().splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]


def test_the_bar_of_rich_itself(terminal):
    pytest.importorskip("rich")
    estimator = classifier(verbose=True, max_iter=3).fit(*iris())
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal())
    assert "3/3" in shown
    assert f"loss {estimator.loss_:.6f}" in shown


def test_the_bar_of_tqdm_itself(terminal, monkeypatch, capsys):
    pytest.importorskip("tqdm")
    without(monkeypatch, "rich")
    estimator = classifier(verbose=True, max_iter=3).fit(*iris())
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert f"loss {estimator.loss_:.6f}" in shown


@both
def test_each_fit_has_a_bar_of_its_own(make, data, terminal, bars):
    X, y = data()
    estimator = make(verbose=True, max_iter=2, warm_start=True).fit(X, y).fit(X, y)
    estimator.partial_fit(X, y)
    assert [bar.total for bar in bars] == [2, 2, 1]
    assert [len(bar.shown) for bar in bars] == [2, 2, 1]
    assert not any(bar.running for bar in bars)


class Ending(Callback):
    """Ends training after the third epoch, in one way or another."""

    def __init__(self, ending):
        self.ending, self.epochs = ending, 0

    def on_fit_task_end(self, estimator, context):
        if context.task_name != "epoch":
            return False
        self.epochs += 1
        return self.epochs == 3 and self.ending()


def fail():
    raise RuntimeError("failed")


def interrupt():
    raise KeyboardInterrupt


@both
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_bar_is_closed_however_training_ends(make, data, optimizer, terminal, bars):
    X, y = data()
    estimator = make(verbose=True, max_iter=9, optimizer=optimizer, tol=1e-12)
    with pytest.raises(RuntimeError, match="failed"):
        estimator.set_callbacks(Ending(fail)).fit(X, y)
    with pytest.warns(UserWarning, match="interrupted"):
        estimator.set_callbacks(Ending(interrupt)).fit(X, y)
    estimator.set_callbacks(Ending(lambda: True)).fit(X, y)
    assert [len(bar.shown) for bar in bars] == [3, 3, 3]
    assert not any(bar.running for bar in bars)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_the_bar_is_closed_when_training_diverges(make, terminal, bars):
    estimator = make(
        verbose=True, optimizer=SGD(), activation="relu", learning_rate=1e200, max_iter=50
    )
    with pytest.raises(ValueError, match="diverged"):
        estimator.fit(*iris())
    (bar,) = bars
    assert not bar.running


@both
def test_there_is_no_bar_before_the_input_is_found_good(make, data, terminal, bars):
    X, y = data()
    for bad in ((X, y[1:]), (X, None)):
        with pytest.raises(ValueError, match=r"inconsistent|requires y"):
            make(verbose=True).fit(*bad)
    with pytest.raises(ValueError, match="X_val"):
        make(verbose=True).fit(X, y, X_val=X[:, 1:], y_val=y)
    assert bars == []


def test_training_goes_on_where_a_callback_shows_something(terminal, bars):
    # A line of another's between two steps of the bar harms nothing.
    class Shouts(Callback):
        def on_fit_task_end(self, estimator, context):
            print("!")

    classifier(verbose=True, max_iter=2).set_callbacks(Shouts()).fit(*iris())
    assert terminal() == "!\n" * 3
    assert [len(bar.shown) for bar in bars] == [2]
