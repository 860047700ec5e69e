"""scikit-learn's callbacks on ours, and ours in scikit-learn's protocol."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skscratch.callbacks import Callback, Checkpoint, HistoryCSV, StopOnPlateau, TimeBudget

from ..conftest import BOTH, classifier, iris

both = pytest.mark.parametrize(("make", "data"), BOTH)

from_1_9 = pytest.mark.skipif(
    importlib.util.find_spec("sklearn.callback") is None, reason="scikit-learn has no callbacks"
)


@from_1_9
@pytest.mark.parametrize(
    "callback", [TimeBudget(1), StopOnPlateau(), HistoryCSV("x"), Checkpoint("x"), Callback()]
)
def test_ours_follow_the_protocol(callback):
    from sklearn.callback import FitCallback

    assert isinstance(callback, FitCallback)


@from_1_9
@both
def test_progress_bar_of_a_bare_estimator(make, data, capsys):
    from sklearn.callback import ProgressBar

    estimator = make(max_iter=3).set_callbacks(ProgressBar()).fit(*data())
    shown = capsys.readouterr().out
    assert type(estimator).__name__ in shown
    assert "100%" in shown


@from_1_9
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_search_over_a_pipeline(n_jobs, capsys):
    from sklearn.callback import ProgressBar

    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier(max_iter=2))])
    search = GridSearchCV(pipeline, {"mlp__l2": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*iris())
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    assert shown.count("ScratchMLPClassifier") >= 5
    assert search.best_estimator_[-1].n_iter_ == 2


@from_1_9
@both
def test_scoring_monitor_of_a_bare_estimator(make, data):
    from sklearn.callback import ScoringMonitor

    X, y = data()
    weights = np.linspace(0, 2, len(y))
    scoring = "neg_log_loss" if make is classifier else "neg_mean_absolute_error"
    monitor = ScoringMonitor(scoring=[scoring])
    make(max_iter=4).set_callbacks(monitor).fit(X, y, weights)
    log = monitor.get_logs().data_as_pandas
    logged = log.loc[log["task_name"] == "epoch", scoring].tolist()
    assert len(logged) == 4
    from sklearn.metrics import get_scorer

    for epoch in (1, 4):
        fitted = make(max_iter=epoch).fit(X, y, weights)
        expected = get_scorer(scoring)(fitted, X, y, sample_weight=weights)
        assert logged[epoch - 1] == pytest.approx(expected, rel=1e-9)


@from_1_9
def test_scoring_monitor_in_a_search_over_a_pipeline():
    from sklearn.callback import ScoringMonitor

    X, y = iris()
    monitor = ScoringMonitor(scoring="neg_log_loss")
    mlp = classifier(max_iter=3, learning_rate=0.05).set_callbacks(monitor)
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", mlp)])
    cv = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(pipeline, {"mlp__l2": [0.1, 50.0]}, cv=cv, n_jobs=2)
    search.fit(X, y)
    log = pd.concat(run.data_as_pandas for run in monitor.get_logs(select="all"))
    logged = np.sort(log.loc[log["task_name"] == "epoch", "neg_log_loss"])
    expected = []
    for l2 in (0.1, 50.0):
        for train, _ in cv.split(X):
            scaled = StandardScaler().fit_transform(X[train])
            for epoch in (1, 2, 3):
                fitted = classifier(max_iter=epoch, learning_rate=0.05, l2=l2)
                fitted.fit(scaled, y[train])
                expected.append(-log_loss(y[train], fitted.predict_proba(scaled)))
    scaled = StandardScaler().fit_transform(X)
    for epoch in (1, 2, 3):
        fitted = classifier(max_iter=epoch, learning_rate=0.05, l2=search.best_params_["mlp__l2"])
        expected.append(-log_loss(y, fitted.fit(scaled, y).predict_proba(scaled)))
    np.testing.assert_allclose(logged, np.sort(expected), rtol=1e-7)


@from_1_9
@pytest.mark.parametrize("kind", [TimeBudget, StopOnPlateau, HistoryCSV, Checkpoint])
def test_ours_belong_on_the_network_itself(kind, tmp_path):
    callback = {TimeBudget: lambda: kind(1), StopOnPlateau: kind}.get(
        kind, lambda: kind(tmp_path / "file")
    )()
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier())])
    with pytest.raises(TypeError, match=f"{kind.__name__} belongs on .*not on the Pipeline"):
        pipeline.set_callbacks(callback).fit(*iris())
