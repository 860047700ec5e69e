"""Comparing estimators on the same folds, without taking chance for a difference."""
