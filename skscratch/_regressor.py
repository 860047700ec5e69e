"""The regressor: targets to standardized columns on the way in, and back on the way out."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from ._base import BaseScratchMLP, is_stochastic
from ._fitting.conformal import intervals, rank_of, sort_scores
from ._fitting.settings import REGRESSOR_LOSSES
from ._fitting.targets import Quantities, clean_quantities
from .nn.options import REAL_LINE


class ScratchMLPRegressor(RegressorMixin, BaseScratchMLP):
    """Multilayer perceptron regressor, written from scratch in NumPy.

    Trains a network of fully connected layers on the squared error, or on another loss. Targets may
    have one output or several. What the defaults rest on, and how they behave in detail, is on
    :doc:`a page of the guide </guide/evidence>`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 64, 64)
        Units of each hidden layer, >= 1; an int makes one layer, ``()`` a linear model.
    activation : str, Activation or a sequence of these, default="silu"
        Activation of the hidden layers, or one for each: ``"identity"``, ``"logistic"`` (also
        ``"sigmoid"``), ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``, ``"selu"``, ``"gelu"``,
        ``"silu"`` (also ``"swish"``), ``"mish"``, ``"softplus"``, or an object such as
        ``LeakyReLU(slope=0.1)``.
    n_networks : int or "auto", default="auto"
        Networks that are trained side by side, >= 1, and whose logits are averaged. From 40 rows on
        each leaves out another fold, which tells how good it is; 1 trains on all rows. ``"auto"``
        is 8, as many as ``cv`` has splits, and 1 in `partial_fit`.
    cv : int, splitter, iterable or None, default=None
        How the folds are cut: None at random, of equal size; or what scikit-learn takes, with a
        network for each split. `fit` has ``groups`` for it. ``n_networks=1`` has no folds.
    n_jobs : int or None, default=None
        How many groups of networks are trained at the same time, by threads; -1 takes all cores.
        Narrow networks are a single group. Results do not depend on it.
    init : str or Initializer, default="auto"
        How to draw the weights: ``"he_normal"`` (also ``"he"``), ``"he_uniform"``,
        ``"glorot_normal"`` (also ``"xavier"``), ``"glorot_uniform"``, ``"lecun_normal"``,
        ``"normal"``, ``"orthogonal"``, or an object such as ``Normal(std=0.1)``. ``"auto"`` goes by
        each layer's activation.
    optimizer : str or Optimizer, default="adam"
        ``"sgd"``, ``"momentum"``, ``"nesterov"``, ``"adagrad"``, ``"rmsprop"``, ``"adam"``,
        ``"adamw"``, ``"nadam"``, ``"lbfgs"`` (all rows at once), or an object such as
        ``SGD(momentum=0.8)``, whose parameters can be searched as ``optimizer__momentum``.
    l2 : float, default=1e-4
        Strength of the penalty ``l2/2 * sum(W**2) / n`` on the weights, not the biases, >= 0; n is
        the number of rows of a batch. With ``"adamw"`` each step takes ``learning_rate * l2 * W``
        away from W instead.
    dropout : float or sequence of float, default=0.0
        Share of the units that a hidden layer switches off in training, in [0, 1); one value for
        all layers or one for each.
    normalization : {"batch", "layer"} or None, default=None
        What to normalize before each activation: ``"batch"`` each unit over the rows of a batch,
        ``"layer"`` each row over the units. Both learn a scale and a shift.
    batch_size : int, "auto", "full" or None, default="auto"
        Rows of a mini-batch, >= 1. ``"auto"`` makes even ones of at most 64; ``"full"`` and None
        take all rows.
    learning_rate : float, default=8e-3
        Step size, > 0; the schedule's base rate.
    lr_schedule : str or Schedule, default="cosine"
        ``"constant"``, ``"step"``, ``"exponential"``, ``"cosine"``, ``"invscaling"``,
        ``"adaptive"``, ``"one_cycle"``, ``"warmup_cosine"``, ``"coslog"``, or an object such as
        ``StepDecay(drop=0.5)``. One that ends with the run is constant in `partial_fit`.
    clip_norm : float or None, default=None
        Largest Euclidean norm of a step's gradient, penalty included, > 0. None sets no limit.
    loss : str or Loss, default="squared_error"
        ``"squared_error"`` for the mean, ``"absolute_error"`` for the median, ``"huber"`` between
        the two, ``"quantile"``, ``"poisson"`` for counts, ``"gamma"`` for amounts > 0; an object
        such as ``Pinball(quantile=0.9)``, searched as ``loss__quantile``; or one of your own, see
        `skscratch.nn.Loss`.
    standardize_target : bool, default=True
        Whether to train on targets of mean 0 and standard deviation 1. Predictions and scores stay
        in y's units; ``loss_`` and the delta of ``Huber`` are in those of training. Losses with a
        link or limited targets, such as ``"poisson"`` and ``"gamma"``, ignore it.
    feature_scaling : {"robust", "learned"} or None, default="learned"
        ``"robust"`` centers each column of X on its median, divides it by its spread and squeezes
        its tails into (-3, 3). ``"learned"`` adds a scale for each feature that the first layer
        learns. None leaves X as it is.
    numerical_embedding : str, Embedding or None, default=None
        What turns each numerical feature into several, after ``feature_scaling``:
        ``"piecewise_linear"``, ``"periodic"``, or an object such as ``Periodic(scale=0.1)``,
        searched as ``numerical_embedding__scale``. X has to be dense.
    max_iter : int or "auto", default="auto"
        Most epochs, >= 1; with ``"lbfgs"`` most iterations. ``"auto"`` is 32, or as many as make
        500 steps; 200 with ``"lbfgs"``.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new random order.
    random_state : int, RandomState instance or None, default=None
        Source of folds, initial weights, order of rows and dropout. Pass an int for reproducible
        results.
    tol : float, default=1e-4
        Least improvement of the training loss that counts as one, or with ``early_stopping`` of the
        validation score, >= 0. With a schedule that has an end the loss does not stop training.
        With ``"lbfgs"`` the largest gradient component at convergence.
    n_iter_no_change : int or inf, default=10
        Training ends after more than this many epochs in a row without improvement, >= 1. With inf
        all of ``max_iter`` are made, without a ConvergenceWarning.
    early_stopping : bool, default=False
        Whether to hold rows out of the training of all networks, and to end it when the score on
        them stops improving. The weights with the best score are kept. ``"lbfgs"`` ignores it.
    validation_fraction : float, default=0.1
        Share of the rows to hold out, in (0, 1), but at least 2 rows, drawn at random.
    scoring : str, callable or None, default=None
        What chooses the best epoch by the rows left out, greater is better: ``"loss"`` (its
        negative), or a name or a scorer of scikit-learn's. None takes the loss, and with
        ``early_stopping`` R2.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the optimizer's moments of the last call. A
        schedule with an end starts anew.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of training. ``"auto"`` is float32 where the numbers allow it, from 1,000 rows
        times networks on; otherwise and with ``"lbfgs"`` float64. Predictions are float64.
    verbose : bool or int, default=False
        Whether to show each epoch: by a progress bar in a terminal if rich or tqdm is installed,
        otherwise by a line.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weight matrices of shape (n_in, n_out) and bias vectors of shape (n_out,), layer by layer;
        with several networks they have a leading axis.
    network_ : skscratch.nn.Network
        The trained network, or the stack of them.
    plan_ : object
        What each automatic choice became and why, and where the time went. Prints as a table.
    oof_score_ : float
        Score of what networks predict of rows that they were not trained on: R2, or that of
        ``scoring``.
    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Their predictions; NaN for rows that no network left out.
    feature_scaler_ : object or None
        What scales the features, with ``center_``, ``scale_`` and ``transform``; None without
        ``feature_scaling``.
    history_ : dict of list
        Values per epoch: ``epoch``, ``loss``, ``validation_loss``, ``validation_score``,
        ``learning_rate``, ``gradient_norm`` and ``seconds``. `pandas.DataFrame` makes it a table.
    loss_, best_loss_ : float
        Last and smallest training loss, penalty included. The latter is None where validation
        chooses the epoch.
    loss_curve_ : list of float
        Training loss of each epoch.
    best_epoch_ : int or None
        Epoch that validated best, to which the networks go back; None without.
    validation_scores_, best_validation_score_ : list of float, float
        Validation score of each epoch, and of the best one; None where nothing chooses it.
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Rows trained on, over all epochs.
    n_layers_, n_outputs_ : int
        Number of layers, input and output included, and of the network's outputs.
    out_activation_ : str
        What turns logits into outputs: ``"identity"``; ``"exp"`` for ``"poisson"``, ``"gamma"``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str of shape (``n_features_in_``,)
        Names of the features, where X has them.

    See Also
    --------
    ScratchMLPClassifier : The same network for classification.
    sklearn.neural_network.MLPRegressor : scikit-learn's, whose names and meanings are kept.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from skscratch import ScratchMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = ScratchMLPRegressor((16,), l2=10, max_iter=20, random_state=0).fit(X_train, y_train)
    >>> bool(reg.score(X_test, y_test) > 0.2)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes=(64, 64, 64),
        activation="silu",
        *,
        n_networks="auto",
        cv=None,
        n_jobs=None,
        init="auto",
        optimizer="adam",
        l2=1e-4,
        dropout=0.0,
        normalization=None,
        batch_size="auto",
        learning_rate=8e-3,
        lr_schedule="cosine",
        clip_norm=None,
        loss="squared_error",
        standardize_target=True,
        feature_scaling="learned",
        numerical_embedding=None,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        scoring=None,
        warm_start=False,
        dtype="auto",
        verbose=False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_networks = n_networks
        self.cv = cv
        self.n_jobs = n_jobs
        self.init = init
        self.optimizer = optimizer
        self.l2 = l2
        self.dropout = dropout
        self.normalization = normalization
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.clip_norm = clip_norm
        self.loss = loss
        self.standardize_target = standardize_target
        self.feature_scaling = feature_scaling
        self.numerical_embedding = numerical_embedding
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.warm_start = warm_start
        self.dtype = dtype
        self.verbose = verbose

    @available_if(is_stochastic)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train for one epoch on X and y, going on from where the last call ended.

        What the first calls fix is on :doc:`a page of the guide </guide/evidence>`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; None means 1 everywhere.
        X_val, y_val : array-like, default=None
            Validation data. With ``early_stopping``, once the score on it has not improved for more
            than ``n_iter_no_change`` calls, the weights with the best score come back, and further
            calls only warn.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            As `fit`. The estimator then stays as it was before the call.
        """
        return self._partial_fit(X, y, sample_weight, X_val, y_val)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in float64, in the units of the y that was trained on.

        Raises
        ------
        ValueError
            If X is not what `fit` takes, or so large that the network's outputs overflow.
        """
        y = self._predict(X, self._target.decode, may_overflow=True)
        return y[:, 0] if y.shape[1] == 1 else y

    def predict_interval(self, X: Any, confidence_level: float = 0.9) -> np.ndarray:
        """Predict an interval for each target, from the errors on rows left out of training.

        It is CV+ of Barber and others [1]_: each left-out row has the network that was not trained
        on it, and that network's predictions for X, plus and minus the row's error, are what the
        ends are quantiles of. With rows left out of all networks (``early_stopping=True``, or one
        network) it is split conformal prediction around `predict`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        confidence_level : float, default=0.9
            The share of targets to lie in their interval, in (0, 1).

        Returns
        -------
        intervals : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Lower and upper end, in y's units, of each output by itself. An end is not beyond what
            the loss takes for a target: for ``"poisson"`` it is 0 at least.

        Raises
        ------
        ValueError
            If no rows were left out of training, if ``confidence_level`` is not in (0, 1) or more
            than so few rows can tell, which would make the interval infinite, or if X is not what
            `fit` takes.

        Notes
        -----
        What it rests on is that the rows trained on and the new ones are exchangeable: drawn from
        one population, in any order. No time series, no groups unless ``cv`` keeps them together
        and new rows are of new groups, and no other weights than 0, which leave a row out: the
        share counts each row once. A target is then inside with a probability of
        ``2 * confidence_level - 1`` at least, less a term of the order ``1 / sqrt(n)``, whatever
        the data are; ``confidence_level`` is what one finds. This is an average over all
        rows: where there is more noise than elsewhere, fewer may be inside. Several outputs are
        inside all at once less often than each. The best epoch and the scaling of y are learned
        from the same rows, which the proof does not allow for; over 80 samples of 100 rows, 0.89 to
        0.91 of new targets were inside at 0.9 all the same. A ``cv`` that leaves a row out several
        times lets it count as often, for which nothing is proven.

        Losses that weigh both sides alike (squared, absolute and Huber's error) make intervals of
        absolute errors. With others, each side has its own half of the misses. Errors of
        ``"gamma"`` are in units of the prediction, of ``"poisson"`` and other losses with a
        logarithmic link in units of its square root, so that intervals grow with it.

        References
        ----------
        .. [1] Barber, Candes, Ramdas and Tibshirani (2021), "Predictive inference with the
           jackknife+", Annals of Statistics 49, 486-507, arXiv:1905.02928.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.model_selection import train_test_split
        >>> from skscratch import ScratchMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        >>> reg = ScratchMLPRegressor((16,), max_iter=20, random_state=0).fit(X_train, y_train)
        >>> low, high = reg.predict_interval(X_test, confidence_level=0.8).T
        >>> bool(0.7 < ((low <= y_test) & (y_test <= high)).mean() < 0.9)
        True
        """
        found, level = self._left_out(confidence_level)
        target, symmetric = self._target, self._target.has_symmetric_errors
        rank = rank_of(level, len(found.y), n_sides=1 if symmetric else 2)
        predicted = target.decode(found.logits.astype(np.float64))
        errors = (found.y.reshape(predicted.shape) - predicted) / target.spread(predicted)
        above, below = (np.abs(errors),) * 2 if symmetric else (errors, -errors)
        sorted_scores = [
            (sort_scores(above[:, k], found.networks), sort_scores(below[:, k], found.networks))
            for k in range(target.n_outputs)
        ]

        def decode(Z: np.ndarray) -> np.ndarray:
            y = target.decode(Z if Z.ndim > 2 else Z[np.newaxis])
            spreads = target.spread(y)
            ends = [
                intervals(y[..., k], spreads[..., k], *scores, rank)
                for k, scores in enumerate(sorted_scores)
            ]
            return target.clip(np.hstack(ends))

        average = found.networks is None
        ends = self._predict(X, decode, may_overflow=True, average=average)
        return ends if target.n_outputs == 1 else ends.reshape(len(ends), target.n_outputs, 2)

    @property
    def oof_prediction_(self) -> np.ndarray:
        """What `predict` gives for the rows of X by networks not trained on them."""
        found, n_samples = self._out_of_fold, self.plan_.n_samples
        y = found.table(self._target.decode(found.logits.astype(np.float64)), n_samples)
        return y[:, 0] if y.shape[1] == 1 else y

    @property
    def _target(self) -> Quantities:
        target: Any = self._fitted.target
        return target

    _clean_target = staticmethod(clean_quantities)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # scikit-learn asks for the tags in each validation of input, and it is for fit to say what
        # is wrong with the loss.
        loss = REGRESSOR_LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        domain = getattr(loss, "target_domain", REAL_LINE)
        tags.target_tags.positive_only = -1.0 not in domain
        return tags
