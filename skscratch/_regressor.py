"""The regressor: targets to standardized columns on the way in, and back on the way out."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from ._base import BaseScratchMLP, is_stochastic
from ._fitting.settings import REGRESSOR_LOSSES
from ._fitting.targets import Quantities, clean_quantities
from .nn.options import REAL_LINE


class ScratchMLPRegressor(RegressorMixin, BaseScratchMLP):
    """Multilayer perceptron regressor, written from scratch in NumPy.

    Trains a network of fully connected layers on the squared error, or on another loss: for the
    median, a quantile, counts or positive amounts. Targets may have one output or several.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(128, 128, 128)
        Number of units of each hidden layer, >= 1; an int makes one layer. ``()`` makes a linear
        model, the perceptron.
    activation : str, Activation or a sequence of these, default="mish"
        Activation of the hidden layers, or one for each: ``"identity"``, ``"logistic"`` (also
        ``"sigmoid"``), ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``, ``"selu"``,
        ``"gelu"``, ``"silu"`` (also ``"swish"``), ``"mish"``, ``"softplus"``, or an object such
        as ``LeakyReLU(slope=0.1)``.
    init : str or Initializer, default="auto"
        How the weights are drawn: ``"he_normal"`` (also ``"he"``), ``"he_uniform"``,
        ``"glorot_normal"`` (also ``"xavier"``), ``"glorot_uniform"``, ``"lecun_normal"``,
        ``"normal"`` (standard deviation 0.01), ``"orthogonal"``, or an object such as
        ``Normal(std=0.1)``. ``"auto"`` takes, layer by layer, He's for the ReLU family (ReLU, leaky
        ReLU, ELU, GELU, SiLU, Mish), LeCun's for SELU, and Glorot's uniform one for the others and
        for the output layer, whose weights start at 0 with Adam, AdamW and Nadam.
    optimizer : str or Optimizer, default="adam"
        ``"sgd"``, ``"momentum"``, ``"nesterov"`` (both with momentum 0.9), ``"adagrad"``,
        ``"rmsprop"``, ``"adam"``, ``"adamw"``, ``"nadam"``, ``"lbfgs"``, or an object such as
        ``SGD(momentum=0.8, nesterov=True)``, whose parameters can be searched as
        ``optimizer__momentum``. ``"lbfgs"`` trains on all rows at once; it refuses dropout, batch
        normalization, a schedule and ``clip_norm``, and makes no use of ``learning_rate``,
        ``batch_size``, ``shuffle``, ``early_stopping`` and ``n_iter_no_change``.
    l2 : float, default=1e-4
        Strength of the penalty ``l2/2 * sum(W**2) / n`` on the weights (not the biases), >= 0,
        where n is the number of rows of a batch; scikit-learn's ``alpha``. With ``"adamw"`` it
        is decoupled from the loss: each step takes ``learning_rate * l2 * W`` away from W.
    dropout : float or sequence of float, default=0.0
        Share of the units that each hidden layer switches off while training, in [0, 1); one
        value for all layers or one for each.
    normalization : {"batch", "layer"} or None, default=None
        What normalizes each hidden layer's affine map before the activation: ``"batch"`` each
        unit over the rows of a batch (in prediction by running averages), ``"layer"`` each row
        over the layer's units. Both have a learned scale and shift, which ``l2`` spares.
    batch_size : int, "auto", "full" or None, default="auto"
        Rows of a mini-batch, >= 1. ``"auto"`` is 256 from 300 rows on, and below all rows;
        ``"full"`` and None take all rows. A batch never has more rows than there are.
    learning_rate : float, default=7e-3
        Step size, > 0; the schedule's base rate.
    lr_schedule : str or Schedule, default="auto"
        The learning rate over the epochs: ``"constant"``, ``"step"``, ``"exponential"``,
        ``"cosine"``, ``"invscaling"``, ``"adaptive"``, and over the steps ``"one_cycle"``,
        ``"warmup_cosine"`` and ``"coslog"``, or an object such as
        ``StepDecay(drop=0.5, every=100)``. ``"cosine"`` and those over the steps end at
        ``max_iter``, so that training is not ended by ``tol`` before (only by early stopping).
        ``"auto"`` is ``"cosine"``, and ``"constant"`` where the run's length is decided otherwise:
        by ``early_stopping=True``, with ``"lbfgs"``, in `partial_fit`.
    clip_norm : float or None, default=None
        Bound on the Euclidean norm of each step's gradient, penalty included, > 0: a longer one is
        shortened to it. None leaves gradients as they are.
    loss : str or Loss, default="squared_error"
        What is minimized, averaged over the outputs:

        - ``"squared_error"``: half the squared error; predicts the mean.
        - ``"absolute_error"``: predicts the median, and heeds outliers less.
        - ``"huber"``: squared for small errors, absolute for large ones.
        - ``"quantile"``: the pinball loss, of the median unless an object says otherwise.
        - ``"poisson"``, ``"gamma"``: half the deviance, for targets >= 0 and > 0; the network
          learns the logarithm of the mean, and its output biases start at that of y's mean.

        Or an object such as ``Huber(delta=1.35)`` or ``Pinball(quantile=0.9)``, whose parameter can
        be searched as ``loss__quantile``, or one of your own, see `skscratch.nn.Loss`.
        ``"absolute_error"`` and ``"quantile"`` have no derivative at 0: ``"lbfgs"``, made for
        smooth losses, may stop short of their minimum, with a warning; a stochastic optimizer with
        a decaying schedule gets closer.
    standardize_target : bool, default=True
        Whether to train on targets with mean 0 and standard deviation 1 in each output (weighted
        by ``sample_weight``; a constant output is only centered). Predictions and scores are in
        y's units all the same, ``loss_`` and the delta of ``Huber`` are in those of training.
        ``"poisson"``, ``"gamma"`` and other losses with a link or limited targets ignore it.
    feature_scaling : {"auto", "robust", "learned"} or None, default="auto"
        What is done to each column of X, in training and in prediction. ``"robust"`` centers it on
        its median, divides it by its spread (a constant becomes 0) and squeezes its tails smoothly
        into (-3, 3), as RealMLP does: ``x' / sqrt(1 + (x'/3)**2)``. The spread is the distance of
        the quartiles, or where tails are long a quarter of that of the outer percentiles, see the
        guide. Outliers, units and offsets then do little harm, and a
        `StandardScaler` before makes no difference. Medians and quantiles are weighted by
        ``sample_weight`` and taken of all rows of the first call, rows held out included (of more
        than 10,000 of as many, drawn at random). With ``warm_start`` and in `partial_fit` they
        stay, but go on improving until 100 rows have come; a column that was constant or nearly so
        is scaled from when it first varies. Sparse X is scaled as dense X is, and stays sparse.

        ``"learned"`` scales in the same way. Besides, the first layer learns a scale for each
        feature, 1 at first, and so how much it counts: at 60 times the rate of other parameters.
        That suits the steps of Adam, AdamW and Nadam, with which ``"auto"`` is ``"learned"``. With
        other optimizers it is ``"robust"``.
    numerical_embedding : str, Embedding or None, default=None
        What turns each numerical feature into several before the first affine map, after
        ``feature_scaling`` [1]_: ``"piecewise_linear"``, learned functions that bend at the edges
        of bins of equal shares of the training rows, ``"periodic"``, learned combinations of waves
        whose frequencies are learned, or an object such as ``Periodic(scale=0.1)``, whose
        parameters can be searched as ``numerical_embedding__scale``. They help where the target
        bends often along single features, and may fit noise: over 11 data sets they made 1 - R2
        smaller by 6 and 5 % on average, and a fit 16 and 27 % longer. Features of no more than two
        distinct values in the first call's data, as one-hot columns are, are left as they are. Bins
        are counted by ``sample_weight``, taken of the rows whose quartiles ``feature_scaling``
        takes, and stay with ``warm_start`` and in `partial_fit`. X has to be dense.
    max_iter : int or "auto", default="auto"
        Most epochs, that is passes over the data, >= 1; with ``"lbfgs"`` most iterations.
        ``"auto"`` is 64, but as many as make 1,000 steps, which small data need; 100 below
        300 rows; and 200 where the schedule has no end of its own. More epochs cost time and gain
        some accuracy, see ``docs/benchmarks/quality.md``.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new random order.
    random_state : int, RandomState instance or None, default=None
        Source of the random numbers for initial weights, order of rows, dropout and validation
        split, each of which has a stream of its own. Pass an int for reproducible results. A
        ``numpy.random.Generator`` is refused, as scikit-learn does.
    tol : float, default=1e-4
        Least improvement of the training loss, or with early stopping of the validation score,
        that counts as one, >= 0. With ``"lbfgs"`` the largest gradient component at convergence,
        unless the loss hardly changes any more before, see `LBFGS`.
    n_iter_no_change : int or inf, default=10
        Training ends after more than this many epochs in a row without improvement, >= 1. With inf
        it goes on for ``max_iter`` epochs, which are then all meant to be made: in contrast to
        scikit-learn's there is no ConvergenceWarning after them.
    early_stopping : bool or "auto", default="auto"
        Whether to hold a part of the rows out and to return, in the end, to the weights with the
        best score on it (R2; the first of equals), or to ``refit`` then. True also ends training
        when the score does not improve any more. ``"auto"`` holds rows out from 300 on, where that
        was measured to be worth the loss of them; it lets a schedule that has an end come to it,
        and takes the last of equal scores. It makes no difference to
        ``optimizer="lbfgs"``, as in scikit-learn.
    validation_fraction : float or "auto", default="auto"
        Share of the rows to hold out, in (0, 1), but at least 2 rows. Groups and time order are
        not looked at. ``"auto"`` is a fifth, but at most 10,000 rows.
    scoring : str, callable or None, default=None
        What is scored on the validation rows: ``"loss"`` (its negative), a name or scorer that
        scikit-learn takes (it sees a fitted predictor, and sample weights if it takes them), or
        None for R2. Greater is better.
    refit : bool or "auto", default="auto"
        Whether to train once more, from the same initial weights but on all rows, those held out
        included, for as many epochs as the best one's number, ``best_epoch_``, the schedule ending
        with them. ``history_``, ``n_iter_`` and all scores stay those of the first training; ``t_``
        counts the rows of both. An interrupt or a divergence leaves the network of the first, and
        where a callback ends that, nothing follows. True needs rows held out by ``early_stopping``,
        and does not go with ``warm_start`` or an adaptive ``lr_schedule``. ``"auto"`` refits where
        ``early_stopping="auto"`` holds out a fifth of the rows, if they are 1,000 to 50,000, unless
        ``warm_start`` is set. On 11 data sets of 576 to 10,000 training rows, three seeds each, it
        made 1 - R2 on test rows 2 % smaller, and the fit 45 to 55 % longer; with fewer rows the
        best epoch is too much a matter of chance. It has no part in `partial_fit`.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the optimizer's moments of the last call instead
        of starting anew. A schedule with an end, such as ``"cosine"``, starts anew, and so does
        what ``"lbfgs"`` knows of the curvature.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of training. ``"auto"`` is float32 where that pays and is accurate enough, and
        float64 otherwise. It pays from 1,000 rows on, except with ``"lbfgs"``: an epoch was
        measured to take 15 to 55 % less time with 100 units, the more the more features there are
        (``python docs/benchmarks/fit.py``). A fit on fewer rows is short anyway, and float64 makes
        integer weights equal repeated rows to 1e-7. It is accurate enough if each column of X and y
        (standardized, if y is) has a largest absolute value between 1e-19 and 1e5, and at most 100
        times its range; zeros throughout do no harm, and a constant needs no range. Within these
        limits scores in float32 and float64 were measured to differ no more than those of two
        random states, or than after a change of X by 1e-10; with an offset of 400 times the range
        or a feature of 1e7 they differ by several times that, even where X is float32 already.
        Standardized features are within them, and with ``feature_scaling`` any are. The first call
        decides: `partial_fit` and ``warm_start`` go on in its precision, whatever data come.
        Predictions are float64 in any case.
    verbose : bool or int, default=False
        Whether to show each epoch: in a terminal by a progress bar if rich or tqdm is installed,
        otherwise by a line.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weight matrices of shape (n_in, n_out) and bias vectors of shape (n_out,), layer by layer;
        views into the network's parameters.
    network_ : skscratch.nn.Network
        The trained network.
    feature_scaler_ : object or None
        What scales the features, with ``center_`` (medians) and ``scale_`` (factors), both of shape
        (``n_features_in_``,), and a method ``transform``; None without ``feature_scaling``.
    history_ : dict of list
        A value per epoch for each of ``epoch`` (from 1, over all calls), ``loss`` (in training
        units, penalty included), ``validation_loss`` (without penalty), ``validation_score`` (in
        y's units; both NaN where nothing is held out), ``learning_rate``, ``gradient_norm`` (mean
        over the epoch's steps, penalty included, before clipping)
        and ``seconds``; ``pd.DataFrame(est.history_)`` makes a table of it.
    loss_, best_loss_ : float
        Last and smallest training loss, penalty included; ``best_loss_`` is None with early
        stopping.
    loss_curve_ : list of float
        Training loss of each epoch.
    best_epoch_ : int or None
        Number of the epoch in ``history_`` with the best validation score; None without early
        stopping.
    validation_scores_, best_validation_score_ : list of float, float
        Score on the rows held out, for each epoch, and the best; None without early stopping.
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Rows trained on, over all epochs.
    n_layers_, n_outputs_ : int
        Number of layers, input and output included, and of the network's outputs.
    out_activation_ : str
        Function that turns logits into predictions: ``"identity"``, or ``"exp"`` for ``"poisson"``
        and ``"gamma"``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str of shape (``n_features_in_``,)
        Names of the features, where X has them.

    See Also
    --------
    ScratchMLPClassifier : The same network for classification.
    sklearn.neural_network.MLPRegressor : scikit-learn's, whose names and meanings are kept.

    References
    ----------
    .. [1] Gorishniy, Rubachev and Babenko (2022), "On embeddings for numerical features in tabular
       deep learning", NeurIPS, arXiv:2203.05556.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skscratch import ScratchMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = ScratchMLPRegressor((32,), activation="tanh", l2=1.0, max_iter=30, random_state=0,
    ...                           lr_schedule="cosine", batch_size=32)
    >>> model = make_pipeline(StandardScaler(), reg).fit(X_train, y_train)
    >>> bool(model.score(X_test, y_test) > 0.3)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes=(128, 128, 128),
        activation="mish",
        *,
        init="auto",
        optimizer="adam",
        l2=1e-4,
        dropout=0.0,
        normalization=None,
        batch_size="auto",
        learning_rate=7e-3,
        lr_schedule="auto",
        clip_norm=None,
        loss="squared_error",
        standardize_target=True,
        feature_scaling="auto",
        numerical_embedding=None,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping="auto",
        validation_fraction="auto",
        scoring=None,
        refit="auto",
        warm_start=False,
        dtype="auto",
        verbose=False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
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
        self.refit = refit
        self.warm_start = warm_start
        self.dtype = dtype
        self.verbose = verbose

    @available_if(is_stochastic)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train for one epoch on X and y, going on from where the last call ended.

        Mean and scale of a standardized target, and center and scale of the features with
        ``feature_scaling``, are estimated from the first calls, anew whenever their rows have
        doubled, and settled once there are 100. A column that is constant or nearly so till then
        is scaled from when it first varies, and its scale improves as more of its rows differ. Bins
        of a ``numerical_embedding`` are those of the first call alone.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; None means 1 everywhere.
        X_val, y_val : array-like, default=None
            Validation data. Loss and score on it are in ``history_``. With ``early_stopping`` the
            score is watched over the calls: once it has not improved for more than
            ``n_iter_no_change`` of them, the weights with the best score are restored, and further
            calls warn and make no update.

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
            Predictions in float64, in the unit of the y that was trained on; none for no rows.

        Raises
        ------
        ValueError
            If X is not what `fit` takes, or so large that the network's outputs overflow.
        """
        y = self._predict(X, self._target.decode, may_overflow=True)
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
