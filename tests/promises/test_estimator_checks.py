"""scikit-learn's own checks, at defaults and over a spread of configurations.

At defaults nothing is expected to fail. Elsewhere a check is expected to fail only where its claim
is false by the nature of the method, and says why.
"""

import pytest
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skscratch import Focal, Huber, Pinball, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.nn.embeddings import EMBEDDINGS
from skscratch.nn.optimizers import OPTIMIZERS

ESTIMATORS = [ScratchMLPClassifier, ScratchMLPRegressor]

WEIGHTS_EQUAL_REPETITION = [
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
]
BATCHES = "A repeated row fills batches that a weighted one does not."
DROPOUT = "A repeated row gets a dropout mask for each copy, a weighted one only one."
SPLIT = "Copies of a row may fall on both sides of the validation split, a weighted row cannot."
FLOAT32 = "Sums of different order differ by float32's rounding, far above the check's 1e-7."

AGAIN = "The check fits one object twice and expects the same; warm_start is there to go on."

# The checks call partial_fit whatever the parameters.
pytestmark = [
    pytest.mark.filterwarnings("ignore:early_stopping=True has no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:calibrate=True has no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:numerical_embedding=.* learns its bins:UserWarning"),
]


def weights_differ(reason):
    return dict.fromkeys(WEIGHTS_EQUAL_REPETITION, reason)


# What the configurations start from: small and plain, so that each stands for what it names.
PLAIN = {
    "hidden_layer_sizes": (32,),
    "activation": "relu",
    "optimizer": "adam",
    "batch_size": 200,
    "learning_rate": 2e-3,
    "lr_schedule": "constant",
    "feature_scaling": None,
    "max_iter": 100,
    "n_networks": 1,
}
PLAIN_CLASSIFIER = {"label_smoothing": 0.0, "calibrate": False}

# (parameters, expected failures); each optimizer joins by being in the table.
CONFIGURATIONS = [
    *(({"optimizer": name}, {}) for name in [*OPTIMIZERS, "lbfgs"]),
    ({"early_stopping": True, "learning_rate": 0.01}, weights_differ(SPLIT)),
    ({"n_networks": 3}, {}),  # as many as splits that the checks set cv to
    ({"n_networks": 3, "hidden_layer_sizes": (16,), "n_jobs": 2}, {}),
    ({"n_networks": "auto", "hidden_layer_sizes": (8,), "cv": 2, "learning_rate": 0.01}, {}),
    ({"dropout": 0.2, "learning_rate": 0.01}, weights_differ(DROPOUT)),
    ({"hidden_layer_sizes": (32, 16), "activation": ["tanh", "gelu"]}, {}),
    ({"hidden_layer_sizes": (), "learning_rate": 0.1}, {}),
    ({"activation": "selu", "init": "orthogonal", "batch_size": "full"}, {}),
    ({"batch_size": 8}, weights_differ(BATCHES)),
    (
        {
            "dtype": "float32",
            "init": "he_normal",
            "hidden_layer_sizes": (100,),
            "learning_rate": 1e-3,
            "max_iter": 200,
        },
        {**weights_differ(FLOAT32), "check_methods_subset_invariance": FLOAT32},
    ),
    ({"dtype": "float64"}, {}),
    (
        {"warm_start": True},
        {
            "check_classifiers_multilabel_representation_invariance": AGAIN,
            "check_supervised_y_2d": AGAIN,
        },
    ),
    ({"lr_schedule": "cosine"}, {}),
    ({"lr_schedule": "one_cycle", "learning_rate": 0.01}, {}),
    ({"lr_schedule": "warmup_cosine"}, {}),
    ({"lr_schedule": "coslog", "learning_rate": 0.01}, {}),
    ({"feature_scaling": "learned"}, {}),
    ({"normalization": "batch"}, {}),
    ({"normalization": "layer"}, {}),
    ({"feature_scaling": "robust", "shuffle": False}, {}),
    ({"feature_scaling": "robust", "optimizer": "lbfgs", "shuffle": False}, {}),
    (
        {
            "feature_scaling": "robust",
            "early_stopping": True,
            "learning_rate": 0.01,
            "shuffle": False,
        },
        weights_differ(SPLIT),
    ),
    *(
        ({"numerical_embedding": name, "feature_scaling": "robust", "shuffle": False}, {})
        for name in EMBEDDINGS
    ),
    ({"clip_norm": 1.0}, {}),
    ({"lr_schedule": "adaptive", "shuffle": False, "n_iter_no_change": 3}, {}),
]
CLASSIFIER_CONFIGURATIONS = [
    (
        {"class_weight": "balanced"},
        dict.fromkeys(
            [
                "check_fit_score_takes_y",
                "check_n_features_in_after_fitting",
                "check_estimators_partial_fit_n_features",
            ],
            "partial_fit takes a dict only, as scikit-learn's own estimators do.",
        ),
    ),
    ({"label_smoothing": 0.1}, {}),
    ({"loss": Focal(gamma=1.0)}, {}),
    (
        {"calibrate": True, "early_stopping": True, "learning_rate": 0.01},
        weights_differ(SPLIT),
    ),
    ({"calibrate": "auto", "n_networks": 3}, {}),
]
REGRESSOR_CONFIGURATIONS = [
    *(
        ({"loss": loss}, {})
        for loss in ("absolute_error", Huber(delta=1.35), Pinball(quantile=0.5))
    ),
    *(
        (
            {"loss": loss, "learning_rate": 0.01},
            {"check_regressor_multioutput": "Its targets are negative, whatever the tags say."},
        )
        for loss in ("poisson", "gamma")
    ),
]
CONFIGURATIONS_OF = {
    ScratchMLPClassifier: CONFIGURATIONS + CLASSIFIER_CONFIGURATIONS,
    ScratchMLPRegressor: CONFIGURATIONS + REGRESSOR_CONFIGURATIONS,
}
RATES = {"sgd": 0.01, "adagrad": 0.05}
"""For optimizers that would learn too little from the checks' data at the default rate."""


def configured(estimator_class, params):
    plain = PLAIN | (PLAIN_CLASSIFIER if estimator_class is ScratchMLPClassifier else {})
    estimator = estimator_class(**{**plain, **params})
    rate = RATES.get(params.get("optimizer"))
    return estimator.set_params(learning_rate=rate) if rate else estimator


EXPECTED = {
    repr(configured(estimator_class, params)): failures
    for estimator_class in ESTIMATORS
    for params, failures in CONFIGURATIONS_OF[estimator_class]
}


@parametrize_with_checks([estimator_class() for estimator_class in ESTIMATORS])
def test_defaults_pass_every_check(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        configured(estimator_class, params)
        for estimator_class in ESTIMATORS
        for params, _ in CONFIGURATIONS_OF[estimator_class]
    ],
    expected_failed_checks=lambda estimator: EXPECTED[repr(estimator)],
)
def test_configurations_pass_every_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_tags(estimator_class):
    tags = get_tags(estimator_class())
    assert tags.input_tags.sparse
    assert tags.target_tags.required
    assert not tags.non_deterministic
    if estimator_class is ScratchMLPClassifier:
        assert tags.estimator_type == "classifier"
        assert tags.classifier_tags.multi_class
        assert tags.classifier_tags.multi_label
        assert not tags.target_tags.multi_output  # multiclass-multioutput raises
    else:
        assert tags.estimator_type == "regressor"
        assert tags.target_tags.multi_output


def test_every_configuration_is_distinct():
    assert len(EXPECTED) == sum(map(len, CONFIGURATIONS_OF.values()))
    assert all(clone(configured(ESTIMATORS[0], params)) for params, _ in CONFIGURATIONS)
