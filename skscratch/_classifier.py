"""The classifier: labels to columns on the way in, probabilities to labels on the way out."""

from typing import Any, Self
from zlib import crc32

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from ._base import BaseScratchMLP, is_stochastic
from ._fitting.conformal import inclusion_scores, rank_of, sets, sort_scores
from ._fitting.targets import Labels, clean_labels, sort_classes


class ScratchMLPClassifier(ClassifierMixin, BaseScratchMLP):
    """Multilayer perceptron classifier, written from scratch in NumPy.

    Trains a network of fully connected layers on the log loss. Targets may have two classes, more
    classes, or several independent labels a row (multilabel). What the defaults rest on, and how
    they behave in detail, is on :doc:`a page of the guide </guide/evidence>`.

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
        How the folds are cut: None at random, stratified; or what scikit-learn takes, with a
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
    loss : str or Loss, default="log_loss"
        ``"log_loss"``, the cross-entropy (summed over the labels of a multilabel target);
        ``"focal"``, which gives less weight to rows that are right already; an object such as
        ``Focal(gamma=1)``, searched as ``loss__gamma``; or one of your own, see
        `skscratch.nn.Loss`.
    label_smoothing : float, default=0.1
        Share of certainty taken from the targets of training, in [0, 1): y becomes
        ``(1 - s) y + s / K`` for K classes, K being 2 for each label of a multilabel target.
    class_weight : dict, "balanced", list of dict or None, default=None
        Weights of the classes, >= 0, which multiply ``sample_weight``: a dict, in which a missing
        class has 1, or ``"balanced"``, which is ``n_samples / (n_classes * count)``. Multilabel
        targets take ``"balanced"`` or a list with a dict ``{0: weight, 1: weight}`` for each label.
        `partial_fit` refuses ``"balanced"``.
    feature_scaling : {"robust", "learned"} or None, default="learned"
        ``"robust"`` centers each column of X on its median, divides it by its spread and squeezes
        its tails into (-3, 3). ``"learned"`` adds a scale for each feature that the first layer
        learns. None leaves X as it is.
    numerical_embedding : str, Embedding or None, default=None
        What turns each numerical feature into several, after ``feature_scaling``:
        ``"piecewise_linear"``, ``"periodic"``, or an object such as ``Periodic(scale=0.1)``,
        searched as ``numerical_embedding__scale``. X has to be dense.
    max_iter : int or "auto", default="auto"
        Most epochs, >= 1; with ``"lbfgs"`` most iterations. ``"auto"`` is 24, or as many as make
        250 steps; 200 with ``"lbfgs"``.
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
        Share of the rows to hold out, in (0, 1), but at least 2 rows, drawn at random with each
        class's share.
    scoring : str, callable or None, default=None
        What chooses the best epoch by the rows left out, greater is better: ``"loss"`` (its
        negative), or a name or a scorer of scikit-learn's. None takes the loss, and with
        ``early_stopping`` accuracy.
    calibrate : bool or "auto", default="auto"
        Whether to divide the logits by the temperature that fits the rows left out best; `predict`
        stays the same. ``"auto"`` does so with 20 such rows or more.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the optimizer's moments of the last call. A
        schedule with an end starts anew. Classes that y lacks stay known, new ones are an error.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of training. ``"auto"`` is float32 where the numbers allow it, from 1,000 rows
        times networks on; otherwise and with ``"lbfgs"`` float64. Predictions are float64.
    verbose : bool or int, default=False
        Whether to show each epoch: by a progress bar in a terminal if rich or tqdm is installed,
        otherwise by a line.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes in ascending order; for multilabel targets the label numbers.
    coefs_, intercepts_ : list of ndarray
        Weight matrices of shape (n_in, n_out) and bias vectors of shape (n_out,), layer by layer;
        with several networks they have a leading axis.
    network_ : skscratch.nn.Network
        The trained network, or the stack of them.
    plan_ : object
        What each automatic choice became and why, and where the time went. Prints as a table.
    oof_score_ : float
        Score of what networks predict of rows that they were not trained on: accuracy, or that of
        ``scoring``.
    oof_decision_function_ : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Their logits, as `decision_function` gives them; NaN for rows that no network left out.
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
    temperature_ : float
        What the logits are divided by, see ``calibrate``; 1.0 without calibration.
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Rows trained on, over all epochs.
    n_layers_, n_outputs_ : int
        Number of layers, input and output included, and of the network's outputs.
    out_activation_ : str
        What turns logits into outputs: ``"softmax"`` or ``"logistic"``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str of shape (``n_features_in_``,)
        Names of the features, where X has them.

    See Also
    --------
    ScratchMLPRegressor : The same network for regression.
    sklearn.neural_network.MLPClassifier : scikit-learn's, whose names and meanings are kept.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from skscratch import ScratchMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = ScratchMLPClassifier((16,), random_state=0).fit(X_train, y_train)
    >>> bool(clf.score(X_test, y_test) > 0.9)
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
        loss="log_loss",
        label_smoothing=0.1,
        class_weight=None,
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
        calibrate="auto",
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
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
        self.calibrate = calibrate
        self.warm_start = warm_start
        self.dtype = dtype
        self.verbose = verbose

    @available_if(is_stochastic)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train for one epoch on X and y, going on from where the last call ended.

        What the first calls fix is on :doc:`a page of the guide </guide/evidence>`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will meet; needed in the first call. For multilabel
            targets the label numbers, ``np.arange(n_labels)``.
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
            As `fit`; also if ``classes`` is missing in the first call or differs in a later one.
            The estimator then stays as it was before the call.
        """
        is_first = not self.__sklearn_is_fitted__()
        if classes is None and is_first:
            raise ValueError(
                "classes must be passed on the first call to partial_fit, since rows to come may "
                "have classes that these lack. Pass classes=np.unique(y) if all of them are here."
            )
        if classes is not None:
            classes = sort_classes(classes)
            if not is_first and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes!r} is not the same as on the last call to partial_fit or "
                    f"fit, which was {self.classes_!r}."
                )
        return self._partial_fit(X, y, sample_weight, X_val, y_val, classes)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits, divided by ``temperature_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        Z : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits in float64; for two classes those of the second one.
        """
        Z = self._temper(self._predict(X))
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, or its labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes, in the dtype of ``classes_``; for multilabel targets 0 or 1 for each label.

        Raises
        ------
        ValueError
            If X is not what `fit` takes, or so large that the network's outputs overflow.
        """
        y = self._predict(X, self._target.labels)
        return y if self._target.multilabel else y[:, 0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Probabilities in float64, in the order of ``classes_``. Rows sum to 1, except those of
            multilabel targets.
        """
        return self._predict(X, lambda Z: self._target.probabilities(self._temper(Z)))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of each class's probability, exact where that is close to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        log_P : ndarray of shape (n_samples, n_classes)
            Logarithms in float64, in the order of ``classes_``.
        """
        return self._predict(X, lambda Z: self._target.log_probabilities(self._temper(Z)))

    def predict_set(self, X: Any, confidence_level: float = 0.9) -> np.ndarray:
        """Predict a set of classes for each row, which holds the true one as often as wanted.

        It is CV+ for classes, of Romano, Sesia and Candes [1]_: the likeliest classes up to a sum
        of probabilities that was enough on rows left out of training, each with the network that
        was not trained on it. With rows left out of all networks (``early_stopping=True``, or one
        network) it is their split conformal prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        confidence_level : float, default=0.9
            The share of rows whose set is to hold the true class, in (0, 1).

        Returns
        -------
        inside : ndarray of bool of shape (n_samples, n_classes)
            Whether each class belongs to the set, in the order of ``classes_``.

        Raises
        ------
        ValueError
            If no rows were left out of training, if ``confidence_level`` is not in (0, 1) or more
            than so few rows can tell, if the target is multilabel, or if X is not what `fit` takes.

        Notes
        -----
        What it rests on is that the rows trained on and the new ones are exchangeable, see
        `ScratchMLPRegressor.predict_interval`, whose bounds hold here, too: the true class is
        inside with a probability of ``2 * confidence_level - 1`` at least, less a term of the order
        ``1 / sqrt(n)``; ``confidence_level`` is what one finds. This is an average over all rows,
        and not a promise for each class: rare ones may be missed more often. The best epoch and the
        temperature are chosen by the same rows, which the proof does not allow for.

        **Sets may be empty.** Whether the last class belongs to a set is left to chance, in the
        measure that makes the share right. Where the network is right more often than
        ``confidence_level``, some rows have to go without: ask for more, or take `predict` for
        them. The random numbers come from the rows themselves, so that the same call gives the same
        sets, and a part of X other ones.

        References
        ----------
        .. [1] Romano, Sesia and Candes (2020), "Classification with valid and adaptive coverage",
           NeurIPS, arXiv:2006.02544.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import train_test_split
        >>> from skscratch import ScratchMLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        >>> clf = ScratchMLPClassifier((16,), max_iter=10, random_state=0).fit(X_train, y_train)
        >>> inside = clf.predict_set(X_test)
        >>> bool(0.85 < inside[range(450), y_test].mean() < 0.97)  # the classes are 0 to 9
        True
        """
        found, level = self._left_out(confidence_level)
        target = self._target
        if target.multilabel:
            raise ValueError(
                "predict_set needs rows that have one class each, and the target is multilabel. "
                "Take predict_proba, or fit a classifier for each label."
            )
        rank = rank_of(level, len(found.y))

        def score(Z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            P = target.probabilities(self._temper(Z.reshape(-1, Z.shape[-1])))
            P = P.reshape(*Z.shape[:-1], P.shape[-1])
            return inclusion_scores(P, rng.random(Z.shape[-2:-1]))

        own = np.searchsorted(target.classes, found.y).ravel()
        scores = score(found.logits.astype(np.float64), np.random.default_rng(0))[
            np.arange(len(own)), own
        ]
        left_out = sort_scores(scores, found.networks)

        def decode(Z: np.ndarray) -> np.ndarray:
            # Numbers that depend on the rows are the same in each call, and yet not the same for
            # all rows that come one by one.
            rng = np.random.default_rng(crc32(Z.tobytes()))
            return sets(score(Z if Z.ndim > 2 else Z[np.newaxis], rng), left_out, rank)

        return self._predict(X, decode, average=found.networks is None)

    @property
    def classes_(self) -> np.ndarray:
        """The classes in ascending order; for multilabel targets the numbers of the labels."""
        return self._target.classes

    @property
    def oof_decision_function_(self) -> np.ndarray:
        """What `decision_function` gives for the rows of X by networks not trained on them."""
        found, n_samples = self._out_of_fold, self.plan_.n_samples
        Z = self._temper(found.table(found.logits, n_samples))
        return Z[:, 0] if Z.shape[1] == 1 else Z

    @property
    def temperature_(self) -> float:
        """What the logits are divided by; 1 without calibration."""
        return self._fitted.temperature

    @property
    def _target(self) -> Labels:
        target: Any = self._fitted.target
        return target

    _clean_target = staticmethod(clean_labels)

    def _temper(self, Z: np.ndarray) -> np.ndarray:
        return Z if self.temperature_ == 1 else Z / self.temperature_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
