"""Export to ONNX: a fitted estimator as a graph of standard nodes.

skl2onnx converts scikit-learn's estimators, pipelines among them, and asks for a converter of what
it does not know. Here it is. The graph computes what prediction does:

- scaling of the features and their embedding are nodes;
- the hidden layers are computed in the network's precision, or in float32 where X is float32;
- a learned scale of the features is part of the first layer's weights; temperature, mean and scale
  of the targets, and the second logit of two classes are part of the last one's;
- several networks are computed side by side, and their logits averaged;
- dropout is not there, as in prediction.
"""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from .._classifier import ScratchMLPClassifier
from .._regressor import ScratchMLPRegressor
from ..inspection import HiddenLayerTransformer
from .onnx_nodes import Graph, add_affine, add_layer, add_scaling

LINKS = {"softmax": "Softmax", "logistic": "Sigmoid", "exp": "Exp", "identity": "Identity"}
FIRST_OPSET = 13
FIRST_OPSETS = {"layer": 17}
"""Those of the normalizations that need a later one."""
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
    "raw_scores": [True, False],
}
"""What skl2onnx lets one choose for a classifier."""


def register_onnx() -> None:
    """Teach skl2onnx to convert our estimators and `~skscratch.inspection.HiddenLayerTransformer`.

    Call it once, before ``skl2onnx.to_onnx(model, X[:1])``, where the model is one of them or
    contains it: a pipeline, a column transformer, a search, an ensemble. Outputs are those of
    scikit-learn's MLP (the labels and the probabilities of each class, or the predicted targets) or
    what the hidden layer makes of X. They have X's precision, but for the dictionaries of
    probabilities that ``zipmap=True`` makes, which are float32. skl2onnx's options for classifiers
    are known: ``zipmap``, ``output_class_labels``, ``nocl``, and ``raw_scores`` for the logits in
    place of the probabilities.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    Conversion itself raises a ``ValueError`` for an activation or a link of your own, which have no
    ONNX form here, and for a ``target_opset`` that is too low for the nodes needed: 13, and with
    ``normalization="layer"`` 17.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier, register_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> X = X.astype(np.float32)
    >>> clf = ScratchMLPClassifier((8,), random_state=0).fit(X, y)
    >>> register_onnx()
    >>> graph = skl2onnx.to_onnx(clf, X[:1], options={"zipmap": False})
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> labels, probabilities = session.run(None, {"X": X})
    >>> bool(np.allclose(probabilities, clf.predict_proba(X), atol=1e-5))
    True
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError('ONNX export needs skl2onnx: pip install "skscratch[onnx]".') from error
    for model, options in (
        (ScratchMLPRegressor, None),
        (HiddenLayerTransformer, None),
        (ScratchMLPClassifier, OPTIONS),
    ):
        name = f"Skscratch{model.__name__}"
        update_registered_converter(model, name, _declare_outputs, _convert, options=options)


# What skl2onnx calls -----------------------------------------------------------------------------


def _declare_outputs(operator: Any) -> None:
    """Declare the outputs: labels and probabilities, targets, or activations of a hidden layer."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    model, estimator = operator.raw_operator, _estimator_of(operator)
    n_rows, number = _check_input(operator, estimator), _float_type(operator)
    if not is_classifier(model):
        width = estimator.n_outputs_ if model is estimator else model._n_features_out
        operator.outputs[0].set_type(number([n_rows, width]))
        return
    labels, probabilities = operator.outputs
    classes = _classes(operator.scope_inst, estimator)
    kind = Int64TensorType if classes.dtype == np.int64 else StringTensorType
    # The node that makes dictionaries of probabilities takes no other.
    number = FloatTensorType if _meets_zipmap(operator) else number
    labels.set_type(kind([n_rows, len(classes)] if estimator._target.multilabel else [n_rows]))
    probabilities.set_type(number([n_rows, len(classes)]))


def _estimator_of(operator: Any) -> Any:
    """Return what is to be converted, or what it takes a hidden layer of; checked to be fitted."""
    model = operator.raw_operator
    if isinstance(model, HiddenLayerTransformer):
        check_is_fitted(model, "estimator_")
        model = model.estimator_
    check_is_fitted(model, "network_")
    return model


def _meets_zipmap(operator: Any) -> bool:
    followers = operator.scope_inst.operators.values()
    probabilities = operator.outputs[1]
    return any(
        follower.type == "SklearnZipMap" and any(item is probabilities for item in follower.inputs)
        for follower in followers
    )


def _check_input(operator: Any, estimator: Any) -> Any:
    """Check what an estimator gets in the graph, and return its number of rows, if known."""
    from skl2onnx.common import data_types
    from skl2onnx.common.utils import check_input_and_output_numbers, check_input_and_output_types

    n_outputs = 2 if is_classifier(operator.raw_operator) else 1
    check_input_and_output_numbers(operator, input_count_range=1, output_count_range=n_outputs)
    kinds = ("Boolean", "Double", "Float", "Int64")
    types = [getattr(data_types, f"{kind}TensorType") for kind in kinds]
    check_input_and_output_types(operator, good_input_types=types)
    shape, n_features = operator.inputs[0].type.shape, estimator.n_features_in_
    # Around what selects columns, as BaggingClassifier does, skl2onnx declares no shape.
    if shape and (len(shape) != 2 or shape[1] not in (None, n_features)):
        raise ValueError(
            f"{type(estimator).__name__} has learned from {n_features} features, and the graph's "
            f"input has the shape {shape}. Give initial_types the shape [None, {n_features}], as "
            f"in FloatTensorType([None, {n_features}])."
        )
    return operator.inputs[0].get_first_dimension()


def _float_type(operator: Any) -> Any:
    """Return the type of all outputs but labels: double if the input is."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if _out_dtype(operator) == np.float64 else FloatTensorType


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator, or of its layers up to a hidden one, to the graph."""
    model, estimator = operator.raw_operator, _estimator_of(operator)
    network = estimator.network_ if model is estimator else model._network
    opset = container.target_opset_any_domain("")
    needed = FIRST_OPSETS.get(network.architecture.normalization, FIRST_OPSET)
    if opset < needed:
        raise ValueError(
            f"target_opset={opset} is too low for this {type(model).__name__}, which needs "
            f"{needed} or higher."
        )
    out_dtype = _out_dtype(operator)
    graph = Graph(scope, container, min(network.dtype, out_dtype))  # the less precise
    X, scaler = operator.inputs[0].full_name, estimator.feature_scaler_
    X = graph.cast(X, graph.dtype) if scaler is None else add_scaling(graph, scaler, X)
    for layer in network.layers[: -1 if model is estimator else model._index + 1]:
        X = add_layer(graph, layer, X)
    if model is not estimator:
        graph.cast(X, out_dtype, output=operator.outputs[0].full_name)
        return
    if graph.dtype != out_dtype:
        graph.dtype, X = out_dtype, graph.cast(X, out_dtype)
    add_outputs = _add_labels if is_classifier(estimator) else _add_targets
    add_outputs(graph, estimator, X, operator.outputs)


def _out_dtype(operator: Any) -> np.dtype:
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    return np.dtype(np.float64 if is_double else np.float32)


# Outputs ------------------------------------------------------------------------------------------


def _add_targets(graph: Graph, estimator: Any, X: str, outputs: list[Any]) -> None:
    W, b = _last_layer(estimator)
    scaler = estimator._target.scaler
    if scaler is not None:
        W, b = W * scaler.scale_, b * scaler.scale_ + scaler.mean_
    _link(graph, _link_of(estimator), _add_mean(graph, X, W, b), outputs[0])


def _add_labels(graph: Graph, estimator: Any, X: str, outputs: list[Any]) -> None:
    labels, probabilities = outputs
    W, b = (array / estimator.temperature_ for array in _last_layer(estimator))
    if estimator._target.is_binary:
        W, b = (np.concatenate([-array, array], axis=-1) for array in (W, b))
    Z = _add_mean(graph, X, W, b)
    # What calls decision_function, as CalibratedClassifierCV does, has its converter ask for this.
    raw = graph.scope.get_options(estimator, {"raw_scores": False})["raw_scores"]
    _link(graph, "identity" if raw else _link_of(estimator), Z, probabilities)
    if estimator._target.multilabel:
        graph.cast(graph("Greater", Z, 0.0), np.dtype(np.int64), output=labels.full_name)
        return
    best = graph("ArgMax", Z, axis=1, keepdims=0)
    graph("Gather", _classes(graph.scope, estimator), best, output=labels.full_name)


def _last_layer(estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    layer = estimator.network_.dense[-1]
    return layer.coefficients.astype(np.float64), layer.b.astype(np.float64)


def _add_mean(graph: Graph, X: str, W: np.ndarray, b: np.ndarray) -> str:
    """Add the nodes of the last affine map, and of the mean if there are several networks."""
    if W.ndim == 2:
        return add_affine(graph, X, W, b)
    # The axes of ReduceMean are an attribute or an input, depending on the opset.
    Z = add_affine(graph, X, W / len(W), b / len(b))
    return graph("ReduceSum", Z, np.array([0]), keepdims=0)


def _link_of(estimator: Any) -> str:
    link = estimator.out_activation_
    if link not in LINKS:
        raise ValueError(
            f"The output activation {link!r} of loss={estimator.loss!r} has no ONNX form here. "
            f"Those that have one are {', '.join(LINKS)}."
        )
    return link


def _link(graph: Graph, link: str, Z: str, output: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    if graph.dtype == np.float64 and isinstance(output.type, FloatTensorType):
        graph.cast(graph(LINKS[link], Z), np.dtype(np.float32), output=output.full_name)
    else:
        graph(LINKS[link], Z, output=output.full_name)


def _classes(scope: Any, estimator: Any) -> np.ndarray:
    """Return the classes as ONNX has them, integers or strings."""
    from skl2onnx.common.utils_classifier import get_label_classes

    classes = np.asarray(get_label_classes(scope, estimator))  # with the option nocl their numbers
    if classes.dtype.kind in "biuf":
        integers = classes.astype(np.int64)
        if np.array_equal(integers, classes):
            return integers
    elif all(isinstance(label, str) for label in classes):
        return classes.astype(str)
    raise ValueError(
        f"classes_ must be integers or strings for ONNX, got {classes.tolist()} of dtype "
        f"{classes.dtype}."
    )
