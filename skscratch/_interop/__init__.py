"""What others make of the estimators: scikit-learn's MLP, ONNX, skops, notebooks."""
